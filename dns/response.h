#ifndef DNS_RESPONSE_H
#define DNS_RESPONSE_H

/* What the server has to know of a response that the engine did not make. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/engine.h"
#include "dns/status.h"

enum { DNS_RESPONSE_TTLS_MAX = 256 };

typedef struct {
    size_t size;    /* octets without the OPT record, where it was last */
    uint16_t rcode; /* with the OPT's upper bits */
    bool is_truncated;
    bool may_be_kept;  /* whole, NOERROR or NXDOMAIN, with a TTL to go by */
    uint32_t ttl;      /* seconds that it may be kept: the lowest TTL; of a
                          negative answer as RFC 2308 section 5 says */
    uint32_t keep_max; /* seconds that it may be kept at most, whatever
                          the rules of the cache say: the caller's;
                          UINT32_MAX at first */
    uint16_t additional_count; /* records of that section without the OPT */
    unsigned ttl_count;
    uint16_t ttl_at[DNS_RESPONSE_TTLS_MAX]; /* offsets of the TTLs */
} dns_response_t;

/* DNS_EMALFORMED: it is no response to query. */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_response_scan(dns_response_t *r,
                                                       const dns_query_t *query,
                                                       const uint8_t *wire,
                                                       size_t size);

/*
 * Adds the OPT that the query is due to a response without one: server options
 * and padding.  limit: octets of the whole.  A response that does not fit loses
 * its records and gets TC.  Gives the size.
 */
DNS_EXPORT size_t dns_response_put_opt(const dns_query_t *query,
                                       const dns_answer_options_t *options,
                                       uint16_t rcode, uint8_t *wire,
                                       size_t size, size_t limit);

#endif
