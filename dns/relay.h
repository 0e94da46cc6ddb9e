#ifndef DNS_RELAY_H
#define DNS_RELAY_H

/*
 * A response to a client's query that is made of the responses of others: an
 * upstream's, or several that each answer for some links of a chain of aliases.
 * Nothing is allocated.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"
#include "dns/query.h"
#include "dns/status.h"

typedef enum {
    DNS_FOLLOW_NOTHING, /* neither; or the response is malformed */
    DNS_FOLLOW_RECORDS, /* records of the type; of any, for ANY */
    DNS_FOLLOW_ALIAS,   /* a CNAME, and no records */
} dns_follow_t;

/* What the answer section has of a name; *target: of the alias, lower case. */
DNS_EXPORT dns_follow_t dns_relay_follow(const uint8_t *wire, size_t size,
                                         const dns_name_t *name, uint16_t type,
                                         dns_name_t *target);

/* The response denies what was asked: NXDOMAIN, or a SOA in the authority
   section (RFC 2308). */
DNS_EXPORT bool dns_relay_is_denial(const uint8_t *wire, size_t size);

/* The flags for the client of a response that is an upstream's: RA set, AA
   cleared; an rcode of more than four bits is SERVFAIL. */
DNS_EXPORT uint16_t dns_relay_flags(const dns_query_t *query,
                                    const uint8_t *wire, size_t size);

/* One response of which records are taken: its answers, and those of the other
   sections if it is the last. */
typedef struct {
    const uint8_t *wire; /* borrowed */
    size_t size;
    const dns_name_t *owners; /* borrowed; only their answers are taken */
    unsigned owner_count;     /* 0: all are */
} dns_relay_part_t;

typedef struct {
    const dns_relay_part_t *parts; /* in the order of the chain */
    unsigned part_count;       /* of several, additional records are left out */
    uint16_t flags;            /* of the header, with the rcode */
    const dns_name_t *renamed; /* NULL, or a name that was looked up in the
                                  place of the question's: its records become
                                  the question's */
} dns_relay_t;

/*
 * Writes the response to query, without OPT, whose octets are kept free where
 * the query has one.  Record sets are kept whole: one that does not fit goes,
 * with all behind it, and TC is set unless only additional records are missing.
 * *size: octets.  DNS_EMALFORMED: a part is no message; DNS_ENOSPACE: the
 * question does not fit.
 */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_relay_write(const dns_query_t *query,
                                                     const dns_relay_t *relay,
                                                     uint8_t *out, size_t limit,
                                                     size_t *size);

#endif
