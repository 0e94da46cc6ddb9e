#include "server/handle.h"

#include "server/options.h"
#include "server/private/ask.h"
#include "server/statistics.h"


/* A client may ask for a cookie alone (RFC 7873 section 5.4). */
static ngx_uint_t
asks_for_cookie(const dns_server_request_t *request)
{
    const dns_query_t *query = request->query;
    dns_option_t cookie;
    return query->has_no_question && request->conf->cookie_secret.len > 0 &&
           query->edns.is_present &&
           dns_option_find(query->edns.options, query->edns.options_size,
                           DNS_OPTION_COOKIE, &cookie);
}


static void
put_cookie(dns_server_request_t *request)
{
    uint8_t octets[DNS_EDNS_OPTIONS_MAX];
    dns_answer_options_t options;
    dns_query_t plain = *request->query;
    plain.edns.is_present = 0; /* the OPT comes with the cookie */
    const size_t size =
        dns_query_error(&plain, DNS_RCODE_NOERROR, request->out);
    dns_server_options(request, request->query, octets, &options);
    request->size = dns_response_put_opt(
        request->query, &options, DNS_RCODE_NOERROR, request->out, size,
        dns_query_response_limit(request->query, request->conf->udp_size));
}


/* What is no query that can be answered. */
static void
answer_other(dns_server_request_t *request, int rcode)
{
    request->size = 0;
    if (asks_for_cookie(request)) {
        put_cookie(request);
    } else if (rcode < 0) {
        dns_counts[DNS_COUNT_IGNORED]++;
    } else {
        request->size = dns_server_refuse(request, rcode);
        dns_counts[DNS_COUNT_ERRORS]++;
    }
}


static dns_handled_t
answer_query(dns_server_request_t *request)
{
    dns_handled_t handled = DNS_ANSWERED;
    dns_server_begin();
    switch (dns_server_answer(request)) {
    case DNS_SERVER_SEND:
        break;
    case DNS_SERVER_DROP:
        request->size = 0;
        break;
    case DNS_SERVER_ASK:
        handled = ask_begin(request);
        break;
    }
    dns_server_end();
    return handled;
}


dns_handled_t
dns_server_handle(dns_server_request_t *request)
{
    dns_query_t query;
    int rcode;
    dns_handled_t handled = DNS_ANSWERED;
    if (!request->skip_hooks) { /* else it is no client's */
        dns_counts[request->transport]++;
    }
    request->query = &query;
    request->pending = NULL;
    if (dns_query_parse(&query, request->packet, request->packet_size,
                        request->transport, &rcode) != DNS_OK) {
        answer_other(request, rcode);
    } else {
        handled = answer_query(request);
    }
    request->query = NULL;
    return handled;
}


void
dns_server_wait(dns_server_pending_t *pending, dns_server_answered_pt answered,
                void *data)
{
    pending->answered = answered;
    pending->data = data;
}


size_t
dns_server_error(dns_server_request_t *request, int rcode)
{
    dns_query_t query;
    int own;
    request->query = &query;
    if (dns_query_parse(&query, request->packet, request->packet_size,
                        request->transport, &own) != DNS_OK) {
        rcode = own;
    }
    const size_t size = rcode < 0 ? 0 : dns_server_refuse(request, rcode);
    request->query = NULL;
    return size;
}
