#ifndef DNS_CACHE_H
#define DNS_CACHE_H

/*
 * The answer cache: responses in wire form, in a block of memory that all
 * workers share.  Readers take no lock: each entry has a sequence number that
 * is odd while the entry is written, and a reader that sees it change has a
 * miss.  A bucket holds a few entries; the one kept longest gives way.
 *
 * Entries are made invalid by numbers that rise: one for each group (a zone, or
 * a script's tag), one for each name, one for all.  A number is read before the
 * data that the answer is made from:
 *
 *     dns_cache_ticket_t ticket = dns_cache_ticket(cache, query, zone);
 *     ... ask the database ...
 *     dns_cache_put(cache, query, view, &ticket, &response, wire, &rules);
 */

#include <stddef.h>
#include <stdint.h>

#include "dns/query.h"
#include "dns/response.h"
#include "dns/status.h"

typedef struct dns_cache_s dns_cache_t;

enum {
    DNS_CACHE_SIZE_MIN = 1 << 20, /* octets of the block */
    DNS_CACHE_WIRE_MAX = 3968,    /* octets of a response that is kept */
};

/* Makes an empty cache of a zeroed block, aligned to 64; owned by the caller.
   DNS_ENOSPACE: the block is too small; DNS_ESTORE: the system gives no random
   key. */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_cache_init(void *block, size_t size,
                                                    dns_cache_t **out);

/* Answers may be kept only if nothing has changed since. */
typedef struct {
    uint64_t group;
    uint64_t name;
    uint32_t group_slot;
} dns_cache_ticket_t;

/* group: a name in wire form, lower case, or other octets; NULL: none. */
DNS_EXPORT dns_cache_ticket_t dns_cache_ticket(const dns_cache_t *cache,
                                               const dns_query_t *query,
                                               const uint8_t *group,
                                               size_t group_size);

typedef struct {
    uint32_t now;     /* seconds, of any clock that all workers share */
    uint32_t ttl_min; /* seconds that an answer is kept at least ... */
    uint32_t ttl_max; /* ... and at most */
} dns_cache_rules_t;

/* When it is asked. */
typedef struct {
    uint32_t now;   /* seconds */
    uint32_t grace; /* seconds for which what has expired is given as well */
} dns_cache_clock_t;

/*
 * Keeps a response for later queries of its kind: name, type, class, DO, AD, RD
 * and CD, and view, a number that tells servers with other upstreams apart.
 * wire is what response was scanned from.  Nothing is kept if the response may
 * not be, or another worker writes to the same place.
 */
DNS_EXPORT void dns_cache_put(dns_cache_t *cache, const dns_query_t *query,
                              uint32_t view, const dns_cache_ticket_t *ticket,
                              const dns_response_t *response,
                              const uint8_t *wire,
                              const dns_cache_rules_t *rules);

/*
 * The kept response to a query, with its id, letter case and RD and TTLs
 * counted down, without OPT (dns_response_put_opt() adds it).  out: room for
 * DNS_CACHE_WIRE_MAX + 64 octets.  *rcode: with the upper bits.  Gives the
 * size; 0: there is none.
 */
DNS_EXPORT size_t dns_cache_get(dns_cache_t *cache, const dns_query_t *query,
                                uint32_t view, uint32_t now, uint8_t *out,
                                uint16_t *rcode);

/*
 * As dns_cache_get(), also what has expired less than grace seconds ago: its
 * TTLs are then DNS_CACHE_STALE_TTL (RFC 8767 section 4).
 */
enum { DNS_CACHE_STALE_TTL = 30 };
DNS_EXPORT size_t dns_cache_get_stale(dns_cache_t *cache,
                                      const dns_query_t *query, uint32_t view,
                                      const dns_cache_clock_t *clock,
                                      uint8_t *out, uint16_t *rcode);

/* No answer that was kept before is given again: of one name (wire form, lower
   case), of one group, of all. */
DNS_EXPORT void dns_cache_purge_name(dns_cache_t *cache, const uint8_t *name,
                                     size_t size);
DNS_EXPORT void dns_cache_purge_group(dns_cache_t *cache, const uint8_t *group,
                                      size_t size);
DNS_EXPORT void dns_cache_purge_all(dns_cache_t *cache);

typedef struct {
    uint64_t capacity; /* entries */
    uint64_t kept;     /* answers put since the start */
    uint64_t replaced; /* of these, in the place of one that was still valid */
    uint64_t refused;  /* too large, or another worker was writing */
} dns_cache_stats_t;

DNS_EXPORT void dns_cache_stats(const dns_cache_t *cache,
                                dns_cache_stats_t *out);

#endif
