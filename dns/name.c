#include "dns/name.h"

#include <assert.h>
#include <string.h>

#include "dns/octets.h"

size_t
dns_name_size(const uint8_t *name)
{
    size_t size = 0;

    while (name[size] != 0) {
        size += 1u + name[size];
    }

    return size + 1;
}

/* Labels of a checked name, without the root. */
static unsigned
label_count(const uint8_t *name)
{
    unsigned count = 0;

    for (; name[0] != 0; name += 1 + name[0]) {
        count++;
    }

    return count;
}

dns_status_t
dns_name_check(const uint8_t *octets, size_t size, size_t *name_size)
{
    size_t at = 0;

    while (at < size && at < DNS_NAME_MAX) {
        if (octets[at] == 0) {
            *name_size = at + 1;
            return DNS_OK;
        }

        if (octets[at] > DNS_LABEL_MAX) {
            return DNS_EMALFORMED;
        }

        at += 1u + octets[at];
    }

    return DNS_EMALFORMED;
}

void
dns_name_set_exact(dns_name_t *out, const uint8_t *name)
{
    unsigned at = 0;
    unsigned count = 0;

    while (name[at] != 0) {
        out->label_at[count++] = (uint8_t) at;
        at += 1u + name[at];
    }

    out->label_at[count] = (uint8_t) at;
    out->label_count = (uint8_t) count;
    out->size = (uint8_t) (at + 1);
    memcpy(out->octets, name, at + 1);
}

/* Length octets are below 'A', so all octets may be lower-cased alike. */
void
dns_name_set(dns_name_t *out, const uint8_t *name)
{
    dns_name_set_exact(out, name);
    lower_octets(out->octets, out->size);
}

void
dns_name_lower(uint8_t *name)
{
    lower_octets(name, dns_name_size(name));
}

void
dns_name_ancestor(dns_name_t *out, const dns_name_t *name, unsigned label_count)
{
    assert(label_count <= name->label_count);

    unsigned skip = name->label_count - label_count;
    uint8_t at = name->label_at[skip];
    uint8_t size = (uint8_t) (name->size - at);

    for (unsigned i = 0; i <= label_count; i++) {
        out->label_at[i] = (uint8_t) (name->label_at[skip + i] - at);
    }

    memmove(out->octets, name->octets + at, size);
    out->size = size;
    out->label_count = (uint8_t) label_count;
}

dns_status_t
dns_name_wildcard(dns_name_t *out, const uint8_t *name)
{
    uint8_t octets[DNS_NAME_MAX] = {1, '*'};
    size_t size = dns_name_size(name);

    if (size + 2 > DNS_NAME_MAX) {
        return DNS_ENOSPACE;
    }

    memcpy(octets + 2, name, size);
    dns_name_set(out, octets);
    return DNS_OK;
}

static int
compare_octets(const uint8_t *a, const uint8_t *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        int difference = lower(a[i]) - lower(b[i]);

        if (difference != 0) {
            return difference;
        }
    }

    return 0;
}

bool
dns_name_equal(const uint8_t *a, const uint8_t *b)
{
    while (a[0] == b[0]) {
        unsigned length = a[0];

        if (length == 0) {
            return true;
        }

        if (compare_octets(a + 1, b + 1, length) != 0) {
            return false;
        }

        a += 1 + length;
        b += 1 + length;
    }

    return false;
}

bool
dns_name_is_within(const uint8_t *name, const uint8_t *suffix)
{
    unsigned have = label_count(name);
    unsigned want = label_count(suffix);

    for (; have > want; have--) {
        name += 1 + name[0];
    }

    return dns_name_equal(name, suffix);
}

/* RFC 4034 section 6.1: a missing octet sorts before a zero octet. */
static int
compare_labels(const uint8_t *a, const uint8_t *b)
{
    int order = compare_octets(a + 1, b + 1, a[0] < b[0] ? a[0] : b[0]);

    return order != 0 ? order : a[0] - b[0];
}

int
dns_name_compare(const uint8_t *a, const uint8_t *b)
{
    dns_name_t x;
    dns_name_t y;

    dns_name_set(&x, a);
    dns_name_set(&y, b);

    unsigned i = x.label_count;
    unsigned j = y.label_count;

    while (i > 0 && j > 0) {
        int order = compare_labels(x.octets + x.label_at[--i],
                                   y.octets + y.label_at[--j]);
        if (order != 0) {
            return order;
        }
    }

    return (int) i - (int) j;
}

/* Keys: see the header.  0 and 1 become two bytes, so that 00 can close a
   label and sort before everything that may stand in one. */
size_t
dns_name_key(uint8_t *out, const dns_name_t *name, unsigned skip)
{
    size_t at = 0;

    for (int i = (int) name->label_count - (int) skip - 1; i >= 0; i--) {
        const uint8_t *label = name->octets + name->label_at[i];

        for (unsigned k = 1; k <= label[0]; k++) {
            uint8_t c = lower(label[k]);

            if (c <= 1) {
                out[at++] = 1;
                c++;
            }

            out[at++] = c;
        }

        out[at++] = 0;
    }

    return at;
}

/* Reads one label of a key; gives what follows it, NULL if it is none. */
static const uint8_t *
label_from_key(uint8_t *label, const uint8_t *key, const uint8_t *end)
{
    unsigned length = 0;

    while (key < end && *key != 0) {
        uint8_t c = *key++;

        if (c == 1) {
            if (key == end || *key < 1 || *key > 2) {
                return NULL;
            }
            c = (uint8_t) (*key++ - 1);
        }

        if (length == DNS_LABEL_MAX) {
            return NULL;
        }

        label[++length] = c;
    }

    label[0] = (uint8_t) length;
    return key < end && length > 0 ? key + 1 : NULL;
}

dns_status_t
dns_name_from_key(uint8_t *out, const uint8_t *key, size_t key_size,
                  const uint8_t *apex)
{
    uint8_t name[DNS_NAME_MAX]; /* filled from its end */
    size_t size = dns_name_size(apex);
    const uint8_t *end = key + key_size;

    memcpy(name + DNS_NAME_MAX - size, apex, size);

    while (key < end) {
        uint8_t label[1 + DNS_LABEL_MAX];

        key = label_from_key(label, key, end);

        if (key == NULL || size + 1 + label[0] > DNS_NAME_MAX) {
            return DNS_EMALFORMED;
        }

        size += 1u + label[0];
        memcpy(name + DNS_NAME_MAX - size, label, 1u + label[0]);
    }

    memcpy(out, name + DNS_NAME_MAX - size, size);
    return DNS_OK;
}
