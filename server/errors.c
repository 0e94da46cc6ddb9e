/* Errors as answers, and why (RFC 8914). */

#include "dns/type.h"
#include "server/private/answer.h"


ngx_uint_t
dns_server_may_forward(const dns_server_request_t *request)
{
    return dns_server_is_forwardable(request->query) &&
           dns_server_recurses(request);
}


static dns_ede_t
refusal(const dns_server_request_t *request)
{
    return request->conf->forward.len > 0 && !dns_server_recurses(request)
               ? DNS_EDE_PROHIBITED
               : DNS_EDE_NOT_AUTHORITATIVE;
}


/* Why, for who asks with EDNS (RFC 8914). */
static dns_ede_t
explain(const dns_server_request_t *request, const dns_query_t *query,
        int rcode)
{
    if (rcode == DNS_RCODE_SERVFAIL) {
        return DNS_EDE_NOT_READY;
    }
    return query->qclass == DNS_CLASS_IN ? refusal(request)
                                         : DNS_EDE_NOT_SUPPORTED;
}


size_t
dns_server_failure(const dns_server_request_t *request, dns_ede_t why)
{
    const size_t size = dns_query_error_explained(
        request->query, DNS_RCODE_SERVFAIL, why, request->out);
    if (dns_server_recurses(request)) {
        request->out[DNS_HEADER_FLAGS_AT + 1] |= DNS_FLAG_RA;
    }
    return size;
}


size_t
dns_server_refuse(const dns_server_request_t *request, int rcode)
{
    const dns_query_t *query = request->query;
    const size_t size =
        rcode == DNS_RCODE_REFUSED || rcode == DNS_RCODE_SERVFAIL
            ? dns_query_error_explained(
                  query, rcode, explain(request, query, rcode), request->out)
            : dns_query_error(query, rcode, request->out);
    if (dns_server_recurses(request)) {
        request->out[DNS_HEADER_FLAGS_AT + 1] |= DNS_FLAG_RA;
    }
    return size;
}
