/* A query whose zone is in a networked store: fetched, answered, kept. */

#include "server/health.h"
#include "server/private/ask.h"

static ngx_int_t go_on(dns_server_pending_t *ask);


/* The answer is to be kept under its zone, as it stands before the store is
   asked. */
static void
take_ticket(dns_server_pending_t *ask)
{
    const dns_name_t *apex;
    if (!ask->has_ticket && dns_server_cache != NULL &&
        dns_remote_find(&ask->query.qname, &apex) == DNS_REMOTE_YES) {
        ask->ticket = dns_cache_ticket(dns_server_cache, &ask->query,
                                       apex->octets, apex->size);
        ask->has_ticket = 1;
    }
}


static void
keep(const dns_server_pending_t *ask)
{
    dns_response_t response;
    if (!ask->has_ticket || !dns_remote_is_of_one_zone(&ask->fetch) ||
        dns_response_scan(&response, &ask->query, ask_answer.octets,
                          ask_answer.size) != DNS_OK) {
        return;
    }
    response.keep_max = dns_remote_ttl_cap(&ask->fetch, ask->query.qtype);
    dns_server_cache_put(dns_server_view(&ask->request), &ask->query,
                         &ask->ticket, &response, ask_answer.octets);
}


static ngx_int_t
fail(dns_server_pending_t *ask)
{
    dns_remote_end(&ask->fetch);
    ask->request.out = ask_answer.octets;
    ask_answer.size = dns_server_cache_get_stale(&ask->request, &ask->query);
    if (ask_answer.size == 0) {
        ask_answer.size = dns_server_failure(&ask->request, &ask->query,
                                             DNS_EDE_NO_REACHABLE_AUTHORITY);
    }
    return NGX_OK;
}


static void
on_fetched(void *data, dns_status_t status)
{
    dns_server_pending_t *ask = data;
    if (status == DNS_OK) {
        dns_health_work(ask->source);
    } else if (status == DNS_ESTORE) {
        dns_health_fail(ask->source);
    }
    if (ask->answered == NULL && !ask->is_background) { /* nobody waits */
        dns_remote_end(&ask->fetch);
        ask_release(ask);
        return;
    }
    ask_zones_fetched(ask, status == DNS_OK ? go_on(ask) : fail(ask));
}


/* No zone has the answer. */
static ngx_int_t
ask_upstream(dns_server_pending_t *ask)
{
    dns_remote_end(&ask->fetch);
    ask->request.no_zone = 1;
    return ask_service(ask);
}


static ngx_int_t
take_answer(dns_server_pending_t *ask, const dns_answer_t *answer)
{
    if (dns_server_asks_parent(&ask->request, &ask->query, answer)) {
        return ask_upstream(ask);
    }
    if (answer->leaves_zones &&
        dns_server_may_forward(&ask->request, &ask->query)) {
        ask->zones_size = answer->size;
        dns_remote_end(&ask->fetch);
        return ask_service(ask);
    }
    ask_answer.size = answer->size;
    keep(ask);
    dns_remote_end(&ask->fetch);
    return NGX_OK;
}


static ngx_int_t
go_on(dns_server_pending_t *ask)
{
    const dns_answer_t *answer;
    ask->request.out = ask_answer.octets;
    take_ticket(ask);
    dns_server_begin();
    const dns_status_t status =
        dns_server_zones(&ask->request, &ask->query, &ask->fetch, &answer);
    dns_server_end();
    switch (status) {
    case DNS_OK:
        return take_answer(ask, answer);
    case DNS_NEEDS:
        if (++ask->rounds > DNS_REMOTE_ROUNDS_MAX) {
            return fail(ask);
        }
        dns_remote_fetch(&ask->fetch, answer, on_fetched, ask);
        return NGX_AGAIN;
    case DNS_ENOTFOUND:
        return ask_upstream(ask);
    default:
        return fail(ask);
    }
}


ngx_int_t
ask_zones(dns_server_pending_t *ask)
{
    ask->step = ASK_ZONES;
    ask->rounds = 0;
    ask->has_ticket = 0;
    dns_remote_begin(&ask->fetch);
    ask->fetch.job.share = ask->share;
    return go_on(ask);
}
