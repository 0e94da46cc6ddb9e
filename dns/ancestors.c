#include "dns/ancestors.h"

#include <stdlib.h>
#include <string.h>

#include "dns/name_filter.h"

enum { SLOTS_MIN = 64 }; /* a power of two, as every number of slots */

/* A label that stands directly below a name. */
typedef struct {
    uint64_t parent; /* the name's hash */
    uint32_t label;
} child_t;

struct dns_ancestors_s {
    dns_name_t apex;
    uint8_t key[DNS_SIPHASH_KEY_SIZE];
    uint64_t *slots; /* owned: hashes; 0 is free */
    size_t slot_count;
    size_t count;
    child_t *children; /* owned; a name may be there as an owner and as one
                          above others */
    size_t child_count;
    size_t child_room;
    dns_label_key_t label_key;
    dns_order_t *order; /* owned; NULL: it is not kept */
    bool has_wildcards; /* among the owners */
};

static dns_label_key_t
label_key_of(const uint8_t *key)
{
    uint64_t first = dns_siphash(key, (const uint8_t *) "1", 1);
    uint64_t second = dns_siphash(key, (const uint8_t *) "2", 1);

    return (dns_label_key_t){.seed = (uint32_t) (first >> 32),
                             .multiplier = (uint32_t) first | 1,
                             .last_multiplier = (uint32_t) second | 1};
}

dns_status_t
dns_ancestors_new(dns_ancestors_t **out, const dns_name_t *apex,
                  const uint8_t *key)
{
    dns_ancestors_t *a = calloc(1, sizeof(*a));

    if (a == NULL) {
        return DNS_ENOMEM;
    }

    a->slots = calloc(SLOTS_MIN, sizeof(*a->slots));

    if (a->slots == NULL) {
        free(a);
        return DNS_ENOMEM;
    }

    a->slot_count = SLOTS_MIN;
    a->apex = *apex;
    memcpy(a->key, key, sizeof(a->key));
    a->label_key = label_key_of(key);
    *out = a;
    return DNS_OK;
}

void
dns_ancestors_free(dns_ancestors_t *a)
{
    if (a != NULL) {
        dns_order_free(a->order);
        free(a->slots);
        free(a->children);
        free(a);
    }
}

dns_status_t
dns_ancestors_keep_order(dns_ancestors_t *a)
{
    return dns_order_new(&a->order, &a->apex);
}

dns_status_t
dns_ancestors_settle(dns_ancestors_t *a)
{
    return a->order == NULL ? DNS_OK : dns_order_sort(a->order);
}

const dns_order_t *
dns_ancestors_order(const dns_ancestors_t *a)
{
    return a->order;
}

static uint64_t
hash_of(const dns_ancestors_t *a, const uint8_t *name, size_t size)
{
    return dns_siphash(a->key, name, size) | 1;
}

static uint64_t *
find_slot(uint64_t *slots, size_t slot_count, uint64_t hash)
{
    size_t at = (hash >> 1) & (slot_count - 1);

    while (slots[at] != 0 && slots[at] != hash) {
        at = (at + 1) & (slot_count - 1);
    }

    return &slots[at];
}

static dns_status_t
grow(dns_ancestors_t *a)
{
    size_t slot_count = 2 * a->slot_count;
    uint64_t *slots = calloc(slot_count, sizeof(*slots));

    if (slots == NULL) {
        return DNS_ENOMEM;
    }

    for (size_t i = 0; i < a->slot_count; i++) {
        if (a->slots[i] != 0) {
            *find_slot(slots, slot_count, a->slots[i]) = a->slots[i];
        }
    }

    free(a->slots);
    a->slots = slots;
    a->slot_count = slot_count;
    return DNS_OK;
}

/* *is_new: false if it was there. */
static dns_status_t
add(dns_ancestors_t *a, uint64_t hash, bool *is_new)
{
    uint64_t *slot = find_slot(a->slots, a->slot_count, hash);

    *is_new = *slot == 0;

    if (!*is_new) {
        return DNS_OK;
    }

    *slot = hash;
    a->count++;
    return 2 * a->count > a->slot_count ? grow(a) : DNS_OK;
}

/* Owners are in the same table, by other hashes than what is above names. */
static uint64_t
owner_hash(uint64_t hash)
{
    return ~hash | 1;
}

/* The name with label_count labels above owner, or owner itself, is new. */
static dns_status_t
add_child(dns_ancestors_t *a, const dns_name_t *owner, unsigned label_count)
{
    if (label_count <= a->apex.label_count || label_count == 1) {
        return DNS_OK; /* what is below the root is never asked for */
    }

    if (a->child_count == a->child_room) {
        size_t room = a->child_room == 0 ? SLOTS_MIN : 2 * a->child_room;
        child_t *children = realloc(a->children, room * sizeof(*children));

        if (children == NULL) {
            return DNS_ENOMEM;
        }

        a->children = children;
        a->child_room = room;
    }

    const uint8_t *label = dns_name_suffix(owner, label_count);
    const uint8_t *parent = dns_name_suffix(owner, label_count - 1);

    a->children[a->child_count++] = (child_t){
        .parent =
            hash_of(a, parent, (size_t) (owner->octets + owner->size - parent)),
        .label = dns_label_hash(&a->label_key, label)};
    return DNS_OK;
}

dns_status_t
dns_ancestors_add(dns_ancestors_t *a, const dns_name_t *owner)
{
    if (!dns_name_is_within(owner->octets, a->apex.octets)) {
        return DNS_OK;
    }

    bool is_new_owner;
    dns_status_t added = add(
        a, owner_hash(hash_of(a, owner->octets, owner->size)), &is_new_owner);

    if (added == DNS_OK && is_new_owner && a->order != NULL) {
        added = dns_order_add(a->order, owner);
    }

    if (added == DNS_OK && is_new_owner) {
        added = add_child(a, owner, owner->label_count);
    }

    if (added != DNS_OK || !is_new_owner) {
        return added;
    }

    a->has_wildcards =
        a->has_wildcards || (owner->octets[0] == 1 && owner->octets[1] == '*');

    for (unsigned n = owner->label_count; n-- > a->apex.label_count;) {
        const uint8_t *name = dns_name_suffix(owner, n);
        size_t size = (size_t) (owner->octets + owner->size - name);
        bool is_new;
        dns_status_t status = add(a, hash_of(a, name, size), &is_new);

        /* What is above a name that is there, is there. */
        if (status == DNS_OK && is_new) {
            status = add_child(a, owner, n);
        }

        if (status != DNS_OK || !is_new) {
            return status;
        }
    }

    return DNS_OK;
}

static bool
has_slot(const dns_ancestors_t *a, uint64_t hash)
{
    return *find_slot(a->slots, a->slot_count, hash) != 0;
}

static bool
knows(const dns_ancestors_t *a, const uint8_t *name, size_t size)
{
    uint64_t hash = hash_of(a, name, size);

    return has_slot(a, owner_hash(hash)) || has_slot(a, hash);
}

bool
dns_ancestors_knows(const dns_ancestors_t *a, const dns_name_t *name)
{
    return knows(a, name->octets, name->size);
}

/* The wildcard stands below the closest name above that is there: looked for
   from the apex downwards, for random names may have many labels. */
bool
dns_ancestors_cover(const dns_ancestors_t *a, const dns_name_t *name)
{
    uint8_t wildcard[2 + DNS_NAME_MAX] = {1, '*'};
    const uint8_t *encloser = dns_name_suffix(name, a->apex.label_count);
    size_t size = a->apex.size;

    if (!a->has_wildcards) {
        return false;
    }

    for (unsigned n = a->apex.label_count + 1; n < name->label_count; n++) {
        const uint8_t *next = dns_name_suffix(name, n);
        size_t next_size = (size_t) (name->octets + name->size - next);

        if (!knows(a, next, next_size)) {
            break;
        }

        encloser = next;
        size = next_size;
    }

    memcpy(wildcard + 2, encloser, size);
    return has_slot(a, owner_hash(hash_of(a, wildcard, size + 2)));
}

bool
dns_ancestors_has_wildcard(const dns_ancestors_t *a, const dns_name_t *name)
{
    uint8_t wildcard[2 + DNS_NAME_MAX] = {1, '*'};

    memcpy(wildcard + 2, name->octets, name->size);
    return a->has_wildcards &&
           has_slot(a, owner_hash(hash_of(a, wildcard, name->size + 2u)));
}

void
dns_ancestors_let_pass(const dns_ancestors_t *a, const dns_name_t *name,
                       uint32_t *bitmap, unsigned bits)
{
    uint64_t parent = hash_of(a, name->octets, name->size);

    for (size_t i = 0; i < a->child_count; i++) {
        if (a->children[i].parent == parent) {
            dns_name_filter_let_pass(bitmap, bits, a->children[i].label);
        }
    }
}

const dns_label_key_t *
dns_ancestors_label_key(const dns_ancestors_t *a)
{
    return &a->label_key;
}

bool
dns_ancestors_is_empty(const dns_ancestors_t *a, const dns_name_t *name)
{
    uint64_t hash = hash_of(a, name->octets, name->size);

    return has_slot(a, hash) && !has_slot(a, owner_hash(hash));
}

/* What is above a name that exists does so too: the last one that exists is
   found by halves. */
unsigned
dns_ancestors_encloser(const dns_ancestors_t *a, const dns_name_t *name)
{
    unsigned exists = a->apex.label_count;
    unsigned absent = name->label_count + 1u;

    while (absent - exists > 1) {
        unsigned n = exists + (absent - exists) / 2;
        const uint8_t *suffix = dns_name_suffix(name, n);

        if (knows(a, suffix, (size_t) (name->octets + name->size - suffix))) {
            exists = n;
        } else {
            absent = n;
        }
    }

    return exists;
}

bool
dns_ancestors_has(const dns_ancestors_t *a, const dns_name_t *name)
{
    return has_slot(a, hash_of(a, name->octets, name->size));
}
