#ifndef DNS_NAME_FILTER_H
#define DNS_NAME_FILTER_H

/*
 * Classic BPF programs for UDP sockets (SO_ATTACH_FILTER) that drop most of the
 * questions for names which do not exist, before a process has to receive them.
 *
 * A program knows for each suffix which labels stand directly below it, as a
 * bitmap of their hashes that lies in its instructions.  It drops a datagram
 * only if that is one plain question of class IN for a name below the suffix
 * and the bit of the label below the suffix is not set; and of these it lets
 * one in so many through.  Whatever it cannot read passes.
 */

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/label_hash.h"
#include "dns/name.h"

enum {
    DNS_NAME_FILTER_MAX = 4096,    /* instructions (linux/bpf_common.h) */
    DNS_NAME_FILTER_BITS_MIN = 10, /* of a bitmap, as a power of two */
    DNS_NAME_FILTER_BITS_MAX = 15,
    DNS_NAME_FILTER_LABELS_MAX = 13, /* of a suffix */
    DNS_NAME_FILTER_WORDS_MAX = 1 << (DNS_NAME_FILTER_BITS_MAX - 5),
};

typedef struct {
    const dns_name_t *suffix;   /* borrowed; lower case, not the root */
    const dns_label_key_t *key; /* borrowed */
    const uint32_t *bitmap;     /* borrowed */
    unsigned bits;              /* that the bitmap has, as a power of two */
} dns_name_filter_zone_t;

/* Lets the labels with the hash pass. */
static inline void
dns_name_filter_let_pass(uint32_t *bitmap, unsigned bits, uint32_t hash)
{
    uint32_t number = hash >> (32 - bits);

    bitmap[number / 32] |= (uint32_t) 1 << number % 32;
}

/* Puts the program into out, which has room for DNS_NAME_FILTER_MAX
   instructions, and gives their number; 0: it would be longer, or a suffix has
   too many labels.  one_in: a power of two. */
DNS_EXPORT size_t dns_name_filter_build(struct sock_filter *out,
                                        const dns_name_filter_zone_t *zones,
                                        size_t zone_count, uint32_t one_in);

#endif
