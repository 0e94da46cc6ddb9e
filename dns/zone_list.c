#include "dns/zone_list.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_MIN = 16 }; /* a power of two, as every number of slots */

struct dns_zone_list_s {
    uint8_t key[DNS_SIPHASH_KEY_SIZE];
    dns_zone_t *zones; /* owned */
    size_t count;
    size_t capacity;
    uint32_t *slots; /* owned: number of a zone plus 1, 0 is free */
    size_t slot_count;
    bool has_depth[DNS_NAME_LABELS_MAX + 1]; /* is a zone's apex of so many
                                                labels? */
};

dns_status_t
dns_zone_list_new(dns_zone_list_t **out, const uint8_t *key)
{
    dns_zone_list_t *list = calloc(1, sizeof(*list));

    if (list == NULL) {
        return DNS_ENOMEM;
    }

    memcpy(list->key, key, sizeof(list->key));
    *out = list;
    return DNS_OK;
}

void
dns_zone_list_free(dns_zone_list_t *list)
{
    if (list != NULL) {
        free(list->zones);
        free(list->slots);
        free(list);
    }
}

size_t
dns_zone_list_count(const dns_zone_list_t *list)
{
    return list->count;
}

const dns_zone_t *
dns_zone_list_at(const dns_zone_list_t *list, size_t number)
{
    return &list->zones[number];
}

/* The slot of an apex in lower case, or the free one where it belongs. */
static uint32_t *
find_slot(const dns_zone_list_t *list, const uint8_t *apex, size_t size)
{
    size_t mask = list->slot_count - 1;
    size_t at = dns_siphash(list->key, apex, size) & mask;

    for (;; at = (at + 1) & mask) {
        uint32_t *slot = &list->slots[at];

        if (*slot == 0) {
            return slot;
        }

        const dns_name_t *other = &list->zones[*slot - 1].apex;

        if (other->size == size && memcmp(other->octets, apex, size) == 0) {
            return slot;
        }
    }
}

static dns_status_t
grow_slots(dns_zone_list_t *list)
{
    size_t old_count = list->slot_count;
    uint32_t *old = list->slots;
    size_t count = old_count == 0 ? SLOTS_MIN : 2 * old_count;
    uint32_t *slots = calloc(count, sizeof(*slots));

    if (slots == NULL) {
        return DNS_ENOMEM;
    }

    list->slots = slots;
    list->slot_count = count;

    for (size_t i = 0; i < list->count; i++) {
        const dns_name_t *apex = &list->zones[i].apex;

        *find_slot(list, apex->octets, apex->size) = (uint32_t) i + 1;
    }

    free(old);
    return DNS_OK;
}

static dns_status_t
grow_zones(dns_zone_list_t *list)
{
    size_t capacity = list->capacity == 0 ? SLOTS_MIN : 2 * list->capacity;
    dns_zone_t *zones = realloc(list->zones, capacity * sizeof(*zones));

    if (zones == NULL) {
        return DNS_ENOMEM;
    }

    list->zones = zones;
    list->capacity = capacity;
    return DNS_OK;
}

dns_status_t
dns_zone_list_add(dns_zone_list_t *list, const dns_zone_t *zone)
{
    dns_status_t status = DNS_OK;

    if (list->count == DNS_ZONE_LIST_MAX) {
        return DNS_ELIMIT;
    }

    if (2 * (list->count + 1) > list->slot_count) {
        status = grow_slots(list);
    }

    if (status == DNS_OK && list->count == list->capacity) {
        status = grow_zones(list);
    }

    if (status != DNS_OK) {
        return status;
    }

    uint32_t *slot = find_slot(list, zone->apex.octets, zone->apex.size);

    if (*slot != 0) {
        return DNS_EEXIST;
    }

    list->has_depth[zone->apex.label_count] = true;
    list->zones[list->count++] = *zone;
    *slot = (uint32_t) list->count;
    return DNS_OK;
}

static const dns_zone_t *
get(const dns_zone_list_t *list, const uint8_t *apex, size_t size)
{
    uint32_t number = list->slot_count == 0 ? 0 : *find_slot(list, apex, size);

    return number == 0 ? NULL : &list->zones[number - 1];
}

const dns_zone_t *
dns_zone_list_get(const dns_zone_list_t *list, const uint8_t *apex)
{
    dns_name_t name;

    dns_name_set(&name, apex);
    return get(list, name.octets, name.size);
}

const dns_zone_t *
dns_zone_list_find(const dns_zone_list_t *list, const dns_name_t *name,
                   unsigned above)
{
    unsigned labels = name->label_count;

    if (above == 0) {
        return NULL;
    }

    if (labels >= above) {
        labels = above - 1;
    }

    for (unsigned n = labels + 1; n-- > 0;) {
        if (!list->has_depth[n]) {
            continue;
        }

        const uint8_t *apex = dns_name_suffix(name, n);
        size_t size = (size_t) (name->octets + name->size - apex);
        const dns_zone_t *zone = get(list, apex, size);

        if (zone != NULL) {
            return zone;
        }
    }

    return NULL;
}

bool
dns_zone_list_has_below(const dns_zone_list_t *list, const dns_name_t *name)
{
    for (size_t i = 0; i < list->count; i++) {
        const dns_name_t *apex = &list->zones[i].apex;

        if (apex->label_count > name->label_count &&
            dns_name_has_suffix(apex, name)) {
            return true;
        }
    }

    return false;
}
