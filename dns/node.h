#ifndef DNS_NODE_H
#define DNS_NODE_H

/*
 * A node is one owner name's record sets in wire form, as stores keep them
 * and as the engine reads them, without any decoding between:
 *
 *     node:   rrset ...
 *     rrset:  type u16, record count u16, TTL u32, size u32 (octets of all
 *             that follows), then for each record: size u16, rdata
 *
 * The integers are in the machine's own order and unaligned.  Rdata is in
 * wire form, names in it uncompressed.  Record sets stand in ascending order
 * of type, each type once; records in canonical order (RFC 4034 section 6.3)
 * without duplicates.
 *
 * Readers borrow the octets; for the LMDB store they lie in the memory map and
 * live until the read transaction ends.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dns/status.h"

enum {
    DNS_RRSET_HEADER_SIZE = 12,   /* octets before the first record */
    DNS_RRSET_RECORDS_MAX = 4096, /* records in one record set */
    DNS_RRSET_SIZE_MAX = 65535,   /* octets: more never fits a message */
    DNS_NODE_SIZE_MAX = 1 << 20,  /* octets */
};

/* Borrowed octets of a node; size 0 is an empty node. */
typedef struct {
    const uint8_t *octets;
    uint32_t size;
} dns_node_t;

/* One record set of a node; rdata points at the first record's size. */
typedef struct {
    uint16_t type;
    uint16_t count;
    uint32_t ttl;  /* seconds */
    uint32_t size; /* octets behind rdata */
    const uint8_t *rdata;
} dns_rrset_t;

/* One record's rdata. */
typedef struct {
    const uint8_t *octets;
    uint16_t size;
} dns_rdata_t;

/*
 * Iteration: *at starts as 0 and moves on; false at the end.
 *
 *     dns_rrset_t rrset;
 *     for (size_t at = 0; dns_node_next(&node, &at, &rrset);) { ... }
 */
static inline bool
dns_node_next(const dns_node_t *node, size_t *at, dns_rrset_t *out)
{
    if (node->size - *at < DNS_RRSET_HEADER_SIZE) {
        return false;
    }

    const uint8_t *p = node->octets + *at;

    memcpy(&out->type, p, 2);
    memcpy(&out->count, p + 2, 2);
    memcpy(&out->ttl, p + 4, 4);
    memcpy(&out->size, p + 8, 4);
    out->rdata = p + DNS_RRSET_HEADER_SIZE;

    if (node->size - *at - DNS_RRSET_HEADER_SIZE < out->size) {
        return false; /* damaged: ends here rather than behind the node */
    }

    *at += DNS_RRSET_HEADER_SIZE + out->size;
    return true;
}

/* As dns_node_next(), over the records of a set. */
static inline bool
dns_rrset_next(const dns_rrset_t *rrset, size_t *at, dns_rdata_t *out)
{
    if (rrset->size - *at < 2) {
        return false;
    }

    memcpy(&out->size, rrset->rdata + *at, 2);

    if (rrset->size - *at - 2 < out->size) {
        return false;
    }

    out->octets = rrset->rdata + *at + 2;
    *at += 2u + out->size;
    return true;
}

/* Finds the set of a type; false if the node has none. */
static inline bool
dns_node_find(const dns_node_t *node, uint16_t type, dns_rrset_t *out)
{
    for (size_t at = 0; dns_node_next(node, &at, out);) {
        if (out->type >= type) {
            return out->type == type;
        }
    }

    return false;
}

/*
 * The TTL of a record of a node's set: the set's, but for an RRSIG the one of
 * the set that it covers (RFC 4034 section 3), as signatures of several sets
 * stand in one set here.
 */
uint32_t dns_node_ttl(const dns_node_t *node, const dns_rrset_t *rrset,
                      const dns_rdata_t *rdata);

/* Has the node a signature of the type's set?  *ttl: the one that the signed
   set has (RFC 4034 section 3.1.4). */
DNS_EXPORT bool dns_node_has_signature(const dns_node_t *node, uint16_t type,
                                       uint32_t *ttl);

/*
 * Checks the layout of octets that come from outside (a file, another
 * process): sizes, order, counts, and each rdata by its type.
 */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_node_check(const dns_node_t *node);

/*
 * Building.  A builder owns a growing buffer; nodes that it gives borrow from
 * it until the next call.  Start with {0} and end with
 * dns_node_builder_free().
 */
typedef struct {
    uint8_t *octets; /* owned */
    uint32_t size;
    uint32_t capacity;
} dns_node_builder_t;

void dns_node_builder_free(dns_node_builder_t *b);

/* Makes the builder's node a copy of node (NULL: empty). */
DNS_MUST_USE dns_status_t dns_node_builder_reset(dns_node_builder_t *b,
                                                 const dns_node_t *node);

/*
 * Adds a record to its set, which is made if there is none; a set that exists
 * takes the new TTL for all of its records (RFC 2181 section 5.2).
 * DNS_EEXIST: the same rdata is there (the TTL is set all the same).
 * DNS_ELIMIT: over the bounds above.  DNS_ENOMEM.
 */
DNS_MUST_USE dns_status_t dns_node_builder_add(dns_node_builder_t *b,
                                               uint16_t type, uint32_t ttl,
                                               const uint8_t *rdata,
                                               uint16_t rdata_size);

/* As dns_node_builder_add(), but of the set's TTL and the record's the lowest
   stays: for records that come one by one from a file or a database, where no
   TTL is meant to win (RFC 2181 section 5.2). */
DNS_MUST_USE dns_status_t dns_node_builder_add_lowest(dns_node_builder_t *b,
                                                      uint16_t type,
                                                      uint32_t ttl,
                                                      const uint8_t *rdata,
                                                      uint16_t rdata_size);

/* Drops a set, or with rdata one record of it (and the set with its last).
   DNS_ENOTFOUND: it is not there. */
DNS_MUST_USE dns_status_t dns_node_builder_remove(dns_node_builder_t *b,
                                                  uint16_t type,
                                                  const uint8_t *rdata,
                                                  uint16_t rdata_size);

dns_node_t dns_node_builder_node(const dns_node_builder_t *b);

#endif
