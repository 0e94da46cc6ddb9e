#include "dns/order.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dns/nsec3.h"
#include "dns/octets.h"

enum {
    KEYS_SIZE_MIN = 4096,
    SIZE_SIZE = 2, /* octets of a key's size in front of it */
};

/* Where the size of a key lies; the key (dns_name_key()) follows. */
typedef const uint8_t *place_t;

typedef struct {
    place_t *keys; /* owned */
    size_t count;
} list_t;

struct dns_order_s {
    dns_name_t apex;
    uint8_t *keys; /* owned */
    size_t size;
    size_t capacity;
    list_t lists[2]; /* by dns_order_list_t */
};

dns_status_t
dns_order_new(dns_order_t **out, const dns_name_t *apex)
{
    dns_order_t *order = calloc(1, sizeof(*order));

    if (order == NULL) {
        return DNS_ENOMEM;
    }

    order->apex = *apex;
    *out = order;
    return DNS_OK;
}

void
dns_order_free(dns_order_t *order)
{
    if (order != NULL) {
        free(order->lists[DNS_ORDER_OWNERS].keys);
        free(order->lists[DNS_ORDER_HASHES].keys);
        free(order->keys);
        free(order);
    }
}

static bool
is_digit(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'v');
}

/* A label of that size leaves no room for an escape of dns_name_key(). */
static bool
is_hash(const uint8_t *key, size_t size)
{
    size_t digits = 0;

    while (digits < size && is_digit(key[digits])) {
        digits++;
    }

    return digits == DNS_NSEC3_LABEL_SIZE && size == DNS_NSEC3_LABEL_SIZE + 1;
}

static dns_status_t
reserve(dns_order_t *order, size_t size)
{
    size_t capacity = order->capacity;

    if (capacity - order->size >= size) {
        return DNS_OK;
    }

    capacity = capacity == 0 ? KEYS_SIZE_MIN : 2 * capacity;

    uint8_t *keys = realloc(order->keys, capacity);

    if (keys == NULL) {
        return DNS_ENOMEM;
    }

    order->keys = keys;
    order->capacity = capacity;
    return DNS_OK;
}

dns_status_t
dns_order_add(dns_order_t *order, const dns_name_t *owner)
{
    dns_status_t status = reserve(order, SIZE_SIZE + DNS_KEY_MAX);

    if (status != DNS_OK) {
        return status;
    }

    uint8_t *at = order->keys + order->size;
    uint16_t size =
        (uint16_t) dns_name_key(at + SIZE_SIZE, owner, order->apex.label_count);

    memcpy(at, &size, SIZE_SIZE);
    order->size += SIZE_SIZE + size;
    order->lists[DNS_ORDER_OWNERS].count++;
    order->lists[DNS_ORDER_HASHES].count += is_hash(at + SIZE_SIZE, size);
    return DNS_OK;
}

static size_t
size_of(place_t key)
{
    uint16_t size;

    memcpy(&size, key, SIZE_SIZE);
    return size;
}

static int
compare(const void *left, const void *right)
{
    const place_t a = *(const place_t *) left;
    const place_t b = *(const place_t *) right;

    return octets_compare(a + SIZE_SIZE, size_of(a), b + SIZE_SIZE, size_of(b));
}

static dns_status_t
new_keys(list_t *list)
{
    list->keys = calloc(list->count + 1, sizeof(*list->keys));
    return list->keys == NULL ? DNS_ENOMEM : DNS_OK;
}

dns_status_t
dns_order_sort(dns_order_t *order)
{
    list_t *owners = &order->lists[DNS_ORDER_OWNERS];
    list_t *hashes = &order->lists[DNS_ORDER_HASHES];
    place_t at = order->keys;
    size_t hash = 0;

    assert(owners->keys == NULL);

    if (new_keys(owners) != DNS_OK || new_keys(hashes) != DNS_OK) {
        return DNS_ENOMEM;
    }

    for (size_t i = 0; i < owners->count; i++) {
        owners->keys[i] = at;
        at += SIZE_SIZE + size_of(at);
    }

    qsort(owners->keys, owners->count, sizeof(*owners->keys), compare);

    for (size_t i = 0; i < owners->count; i++) {
        const place_t key = owners->keys[i];

        if (is_hash(key + SIZE_SIZE, size_of(key))) {
            hashes->keys[hash++] = key;
        }
    }

    return DNS_OK;
}

size_t
dns_order_count(const dns_order_t *order, dns_order_list_t list)
{
    return order->lists[list].count;
}

size_t
dns_order_before(const dns_order_t *order, dns_order_list_t list,
                 const dns_name_t *name)
{
    const list_t *in = &order->lists[list];
    uint8_t key[DNS_KEY_MAX];
    size_t size = dns_name_key(key, name, order->apex.label_count);
    size_t low = 0;
    size_t high = in->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        place_t other = in->keys[middle];

        if (octets_compare(other + SIZE_SIZE, size_of(other), key, size) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    return low;
}

void
dns_order_get(const dns_order_t *order, dns_order_list_t list, size_t number,
              dns_name_t *out)
{
    assert(number < order->lists[list].count);

    place_t key = order->lists[list].keys[number];
    uint8_t name[DNS_NAME_MAX];

    if (dns_name_from_key(name, key + SIZE_SIZE, size_of(key),
                          order->apex.octets) != DNS_OK) {
        abort(); /* it was made of a name */
    }

    dns_name_set(out, name);
}
