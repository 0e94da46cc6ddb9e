#include "server/handle.h"

#include "server/options.h"
#include "server/private/pending.h"
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
    dns_query_t plain = *request->query;
    plain.edns.is_present = 0; /* the OPT comes with the cookie */
    const size_t size =
        dns_query_error(&plain, DNS_RCODE_NOERROR, request->out);
    request->size = dns_server_put_opt(request, DNS_RCODE_NOERROR, size);
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
        (void) step_error(request, rcode);
    }
}


/* It waits, or cannot. */
static dns_handled_t
keep(dns_server_request_t *request, dns_server_pending_t *pending)
{
    if (pending_keep(pending) == NGX_OK) {
        request->pending = pending;
        return DNS_PENDING;
    }
    request->size = dns_server_refuse(request, DNS_RCODE_SERVFAIL);
    pending_release(pending);
    return DNS_ANSWERED;
}


static dns_handled_t
answer_query(dns_server_request_t *request)
{
    dns_server_request_t *current = request;
    dns_server_begin();
    const step_t said = steps_run(&current);
    dns_handled_t handled = DNS_ANSWERED;
    if (said == STEP_WAIT) {
        handled = keep(request, current->pending);
    } else {
        dns_server_pending_t *pending = current->pending;
        request->size = steps_finish(current, said);
        if (pending != NULL) {
            pending_release(pending);
        }
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
    request->step = 0;
    if (dns_query_parse(&query, request->packet, request->packet_size,
                        request->transport, &rcode) != DNS_OK) {
        answer_other(request, rcode);
    } else {
        handled = answer_query(request);
    }
    request->query = NULL;
    return handled;
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
