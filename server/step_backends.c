/* Zones in networked stores: their nodes are fetched until the engine has an
   answer, which is kept under its zone. */

#include "server/health.h"
#include "server/private/pending.h"


/* The answer is to be kept under its zone, as it stands before the store is
   asked. */
static void
take_ticket(dns_server_pending_t *pending)
{
    const dns_query_t *query = pending->request.query;
    const dns_name_t *apex;
    if (!pending->has_ticket && dns_server_cache != NULL &&
        dns_remote_find(&query->qname, &apex) == DNS_REMOTE_YES) {
        pending->ticket =
            dns_cache_ticket(dns_server_cache, query, apex->octets, apex->size);
        pending->has_ticket = 1;
    }
}


static void
keep(const dns_server_pending_t *pending)
{
    const dns_server_request_t *request = &pending->request;
    dns_response_t response;
    if (!pending->has_ticket || !dns_remote_is_of_one_zone(&pending->fetch) ||
        dns_response_scan(&response, request->query, request->out,
                          request->size) != DNS_OK) {
        return;
    }
    response.keep_max =
        dns_remote_ttl_cap(&pending->fetch, request->query->qtype);
    dns_server_cache_put(dns_server_view(request), request->query,
                         &pending->ticket, &response, request->out);
}


static step_t
fail(dns_server_pending_t *pending)
{
    dns_server_request_t *request = &pending->request;
    dns_remote_end(&pending->fetch);
    request->size = dns_server_cache_get_stale(request);
    if (request->size == 0) {
        request->size =
            dns_server_failure(request, DNS_EDE_NO_REACHABLE_AUTHORITY);
    }
    return STEP_ANSWER;
}


/* No zone has the answer, or not all of it. */
static step_t
leave_to_upstreams(dns_server_pending_t *pending)
{
    dns_remote_end(&pending->fetch);
    return STEP_NEXT;
}


static step_t
take_answer(dns_server_pending_t *pending, const dns_answer_t *answer)
{
    dns_server_request_t *request = &pending->request;
    if (dns_server_asks_parent(request, answer)) {
        return leave_to_upstreams(pending);
    }
    if (answer->leaves_zones && dns_server_may_forward(request)) {
        pending->zones_size = answer->size;
        return leave_to_upstreams(pending);
    }
    request->size = answer->size;
    keep(pending);
    dns_remote_end(&pending->fetch);
    return STEP_ANSWER;
}


static void on_fetched(void *data, dns_status_t status);


static step_t
fetch(dns_server_pending_t *pending, const dns_answer_t *answer)
{
    if (++pending->rounds > DNS_REMOTE_ROUNDS_MAX) {
        return fail(pending);
    }
    pending->is_fetching = 1;
    dns_remote_fetch(&pending->fetch, answer, on_fetched, pending);
    return STEP_WAIT;
}


static step_t
go_on(dns_server_pending_t *pending)
{
    dns_answer_t answer;
    take_ticket(pending);
    dns_server_begin();
    const dns_status_t status =
        dns_server_zones(&pending->request, &pending->fetch, &answer);
    dns_server_end();
    switch (status) {
    case DNS_OK:
        return take_answer(pending, &answer);
    case DNS_NEEDS:
        return fetch(pending, &answer);
    case DNS_ENOTFOUND:
        return leave_to_upstreams(pending);
    default:
        return fail(pending);
    }
}


static void
note_health(const dns_server_pending_t *pending, dns_status_t status)
{
    if (status == DNS_OK) {
        dns_health_work(pending->source);
    } else if (status == DNS_ESTORE) {
        dns_health_fail(pending->source);
    }
}


static void
on_fetched(void *data, dns_status_t status)
{
    dns_server_pending_t *pending = data;
    pending->is_fetching = 0;
    note_health(pending, status);
    if (pending->deliver == NULL && !pending->is_background) {
        dns_remote_end(&pending->fetch); /* the client is gone */
        pending_release(pending);
        return;
    }
    if (pending_set_out(pending) != NGX_OK) {
        status = DNS_ESTORE; /* whose answer fits */
    }
    pending_go_on(pending, status == DNS_OK ? go_on(pending) : fail(pending));
}


step_t
step_backends(dns_server_request_t *request)
{
    const step_t said =
        dns_remote_count > 0 ? pending_await_turn(request) : STEP_NEXT;
    if (said != STEP_NEXT || dns_remote_count == 0) {
        return said;
    }
    dns_server_pending_t *pending = request->pending;
    pending->was_asked = 1;
    pending->source = dns_remote_health(&request->query->qname);
    pending->rounds = 0;
    pending->has_ticket = 0;
    dns_remote_begin(&pending->fetch);
    pending->fetch.job.share = request->share;
    return go_on(pending);
}
