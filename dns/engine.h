#ifndef DNS_ENGINE_H
#define DNS_ENGINE_H

/*
 * The answer engine: an authoritative answer from a query and a node source
 * (RFC 1034 section 4.3.2, RFC 4592, RFC 6672, RFC 2308).  It does no I/O,
 * allocates nothing and keeps no state between calls.
 *
 *     dns_answer_t answer;
 *     dns_status_t status = dns_answer(&query, &source, &options,
 *                                      out, limit, &answer);
 *     while (status == DNS_NEEDS) {
 *         fetch answer.needs[0 .. answer.need_count - 1] into the source
 *         status = dns_answer(...);
 *     }
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/query.h"
#include "dns/source.h"
#include "dns/status.h"

enum {
    DNS_CHAIN_MAX = 16, /* CNAME and DNAME steps that one answer follows */
    DNS_NEEDS_MAX = 32, /* names asked for at once */
};

/* What the server's configuration says about answers.  All is borrowed. */
typedef struct {
    uint16_t udp_size;        /* octets: our own limit over UDP, 1232 */
    bool recursion_available; /* RA: a forwarder stands behind the zones */
    const uint8_t *nsid;      /* NULL: none (RFC 5001) */
    uint16_t nsid_size;
    uint16_t edns_options_size;
    const uint8_t *edns_options; /* complete options for the response's OPT:
                                    cookie, keepalive; NULL: none */
    const char *version;         /* version.bind and version.server in class CH;
                                    NULL: refused */
    const char *hostname;        /* hostname.bind and id.server (RFC 4892) */
} dns_answer_options_t;

enum {
    DNS_EDNS_OPTIONS_MAX = 512
}; /* octets of all options that one answer
      carries; what is over is left out */

/* A name that the source could not give at once: its zone if zone.apex.size is
   0, its node otherwise.  Or the order of the zone's names, for a proof: then
   name is its apex. */
typedef struct {
    dns_zone_t zone;
    dns_name_t name;
    bool is_order;
    uint8_t first_labels; /* names above it that have more labels are of no use
                             unless it exists; 0: all are of use */
} dns_need_t;

typedef struct {
    size_t size;         /* octets of the response */
    int rcode;           /* as in the header */
    uint32_t ttl;        /* seconds that the answer may be kept: the lowest
                            TTL in it; 0 if not at all */
    uint64_t generation; /* of the zone of the question */
    uint32_t zone_id;
    bool is_truncated;
    bool in_zone;      /* false: no zone holds the name, rcode REFUSED */
    bool leaves_zones; /* the CNAME chain ended at a name that no zone
                          holds: the forwarder may go on from there */
    bool asks_parent;  /* DS of a zone's apex whose parent no zone is: who
                          offers recursion asks upstreams instead (RFC 4035
                          section 3.1.4.1) */
    unsigned need_count;
    dns_need_t needs[DNS_NEEDS_MAX];
} dns_answer_t;

/*
 * Answers a query that dns_query_parse() has accepted.  out: room for limit
 * octets, which dns_query_response_limit() gave; may not overlap the packet.
 *
 * DNS_OK: out holds a whole response, answer->size octets (an error rcode
 *   such as REFUSED or NXDOMAIN is a whole response too).
 * DNS_NEEDS: answer->needs lists names; out is undefined.
 * DNS_ENOTFOUND: no zone holds the name; nothing was written: forward it, or
 *   send REFUSED by dns_query_error().
 * DNS_ESTORE: the source failed: send SERVFAIL by dns_query_error().
 */
DNS_EXPORT DNS_MUST_USE dns_status_t
dns_answer(const dns_query_t *query, const dns_source_t *source,
           const dns_answer_options_t *options, uint8_t *out, size_t limit,
           dns_answer_t *answer);

#endif
