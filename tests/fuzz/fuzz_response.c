/* Responses of others: scanned, kept, given again.  Input: the query's size
   (one octet), the query, the response. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dns/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static dns_cache_t *
cache_of(void)
{
    static dns_cache_t *cache;

    if (cache == NULL) {
        void *block = aligned_alloc(64, DNS_CACHE_SIZE_MIN);

        memset(block, 0, DNS_CACHE_SIZE_MIN);

        if (dns_cache_init(block, DNS_CACHE_SIZE_MIN, &cache) != DNS_OK) {
            abort();
        }
    }

    return cache;
}

static void
keep_and_get(const dns_query_t *query, const dns_response_t *response,
             const uint8_t *wire)
{
    static uint8_t out[DNS_CACHE_WIRE_MAX + 2048];
    const dns_cache_rules_t rules = {.now = 1000, .ttl_max = 100};
    const dns_answer_options_t options = {.udp_size = 1232};
    dns_cache_ticket_t ticket = dns_cache_ticket(cache_of(), query, NULL, 0);
    uint16_t rcode;

    dns_cache_put(cache_of(), query, 1, &ticket, response, wire, &rules);
    size_t got = dns_cache_get(cache_of(), query, 1, 1001, out, &rcode);

    if (got > DNS_CACHE_WIRE_MAX ||
        (got > 0 && dns_response_put_opt(query, &options, rcode, out, got,
                                         sizeof(out)) > sizeof(out))) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
    dns_query_t query;
    dns_response_t response;
    int rcode;

    if (size < 1 || size - 1 < octets[0]) {
        return 0;
    }

    const uint8_t *wire = octets + 1 + octets[0];
    size_t wire_size = size - 1 - octets[0];

    if (dns_query_parse(&query, octets + 1, octets[0], DNS_OVER_TLS, &rcode) !=
            DNS_OK ||
        dns_response_scan(&response, &query, wire, wire_size) != DNS_OK) {
        return 0;
    }

    if (response.size > wire_size ||
        response.ttl_count > DNS_RESPONSE_TTLS_MAX) {
        abort();
    }

    keep_and_get(&query, &response, wire);
    return 0;
}
