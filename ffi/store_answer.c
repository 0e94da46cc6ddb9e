#include "ffi/store_ffi.h"

#include <string.h>

#include "dns/engine.h"
#include "dns/query.h"
#include "dns/type.h"
#include "ffi/store.h"

enum { SERVER_UDP_SIZE = 1232 }; /* octets, DNS flag day 2020 */

static void
refuse(const dns_query_t *query, int rcode, uint8_t *out,
       struct dns_ffi_answer *answer)
{
    answer->is_final = 1;
    answer->rcode = (uint16_t) (rcode < 0 ? 0 : rcode);
    answer->size =
        rcode < 0 ? 0 : (uint32_t) dns_query_error(query, rcode, out);
}

int
dns_ffi_store_answer(struct dns_ffi_store *store, const uint8_t *packet,
                     size_t size, int transport, uint8_t *out,
                     struct dns_ffi_answer *answer)
{
    static const dns_answer_options_t options = {.udp_size = SERVER_UDP_SIZE};
    dns_query_t query;
    dns_answer_t result;
    int rcode;

    memset(answer, 0, sizeof(*answer));

    if (dns_query_parse(&query, packet, size, (dns_transport_t) transport,
                        &rcode) != DNS_OK) {
        refuse(&query, rcode, out, answer);
        return DNS_OK;
    }

    dns_status_t status =
        dns_answer(&query, dns_ffi_store_source(store), &options, out,
                   dns_query_response_limit(&query, SERVER_UDP_SIZE), &result);

    if (status == DNS_ENOTFOUND) {
        answer->rcode = DNS_RCODE_REFUSED;
        return DNS_OK;
    }

    if (status != DNS_OK) {
        return DNS_ESTORE;
    }

    answer->size = (uint32_t) result.size;
    answer->ttl = result.ttl;
    answer->rcode = (uint16_t) result.rcode;
    answer->in_zone = result.in_zone;
    answer->leaves_zones = result.leaves_zones;
    answer->asks_parent = result.asks_parent;
    answer->is_truncated = result.is_truncated;
    answer->is_final = result.in_zone;
    return DNS_OK;
}
