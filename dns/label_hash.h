#ifndef DNS_LABEL_HASH_H
#define DNS_LABEL_HASH_H

/*
 * A keyed hash of a label that a classic BPF program can compute too
 * (dns/name_filter.h).  Letters hash without case; so do some other octets that
 * differ in that bit.  Of a long label the first 32 octets count, and its
 * length.
 */

#include <stdint.h>

enum {
    DNS_LABEL_HASH_WORDS = 8,
    DNS_LABEL_HASH_SHIFT = 15,
};

static const uint32_t DNS_LABEL_HASH_FOLD = 0x20202020;

/* Random; multipliers are odd. */
typedef struct {
    uint32_t seed;
    uint32_t multiplier;
    uint32_t last_multiplier;
} dns_label_key_t;

/* label: its length octet, inside of a name in wire form, not directly below
   the root: the last word may reach three octets into the labels behind it. */
static inline uint32_t
dns_label_hash(const dns_label_key_t *key, const uint8_t *label)
{
    uint32_t hash = label[0] ^ key->seed;

    for (unsigned i = 0; i < DNS_LABEL_HASH_WORDS && 4 * i < label[0]; i++) {
        const uint8_t *octets = label + 1 + 4 * (size_t) i;
        uint32_t word = (uint32_t) octets[0] << 24 |
                        (uint32_t) octets[1] << 16 | (uint32_t) octets[2] << 8 |
                        octets[3];

        hash = (hash ^ (word | DNS_LABEL_HASH_FOLD)) * key->multiplier;
    }

    return (hash ^ hash >> DNS_LABEL_HASH_SHIFT) * key->last_multiplier;
}

#endif
