/* Any octets as a query: the parser, its errors, and the EDNS options. */

#include <stdlib.h>

#include "dns/edns.h"
#include "dns/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static unsigned
read_options(const dns_query_t *query)
{
    static const uint8_t secret[DNS_COOKIE_SECRET_SIZE] = {1};
    static const uint8_t address[4] = {192, 0, 2, 1};
    dns_cookie_context_t context = {.secret = secret,
                                    .address = address,
                                    .address_size = sizeof(address),
                                    .now = 1};
    dns_option_t option;
    dns_subnet_t subnet;
    unsigned sum = 0;

    for (size_t at = 0; dns_option_next(
             query->edns.options, query->edns.options_size, &at, &option);) {
        sum += dns_subnet_parse(&subnet, option.data, option.size) == DNS_OK;
        sum += dns_cookie_check(&context, option.data, option.size);
    }

    return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
    dns_query_t query;
    uint8_t out[DNS_QUERY_ERROR_MAX];
    int rcode;
    dns_status_t status =
        dns_query_parse(&query, octets, size, DNS_OVER_UDP, &rcode);

    if (status == DNS_OK || rcode >= 0) {
        size_t out_size = dns_query_error(&query, rcode, out);

        if (out_size > sizeof(out) || out_size < 12) {
            abort();
        }

        if (query.edns.is_present) {
            read_options(&query);
        }
    }

    return 0;
}
