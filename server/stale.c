/* Answers that have expired, in the place of none (dns_serve_stale, RFC 8767).
 */

#include "server/health.h"
#include "server/private/chain.h"


/* A query as the request's, with copies of what that borrows; NULL: no
   memory. */
static dns_server_pending_t *
copy_of(const dns_server_request_t *request)
{
    dns_server_request_t same = *request;
    same.pending = NULL;
    dns_server_pending_t *pending = pending_take(&same);
    if (pending != NULL && pending_keep(pending) != NGX_OK) {
        pending_release(pending);
        pending = NULL;
    }
    return pending;
}


size_t
stale_get(const dns_server_request_t *request, uint8_t *out)
{
    dns_server_request_t probe = *request;
    probe.out = out;
    return request->may_keep && dns_server_cache_has_stale()
               ? dns_server_cache_get_stale(&probe)
               : 0;
}


/* Asks in the background whether the source is back. */
static void
begin_check(const dns_server_request_t *request, uint32_t source)
{
    dns_server_pending_t *pending = copy_of(request);
    if (pending == NULL) {
        dns_health_end_check(source);
        return;
    }
    pending->request.may_keep = 1;
    pending->request.step = STEP_BACKENDS;
    pending->request.log = pending->lua.log = ngx_cycle->log; /* nobody's */
    pending->is_background = 1;
    pending->is_check = 1;
    pending->checked = source;
    pending_post(pending);
}


size_t
stale_of_failed_source(const dns_server_request_t *request)
{
    uint32_t source = dns_remote_health(&request->query->qname);
    if (source == 0) {
        source = dns_server_upstream_health(request);
    }
    if (!dns_health_is_failed(source)) {
        return 0;
    }
    const size_t size = dns_server_cache_get_stale(request);
    if (size > 0 && dns_health_begin_check(source)) {
        begin_check(request, source);
    }
    return size;
}


/* What has expired goes to the client by another object, for this one is busy
   with the question, which goes on without the client.  The hooks go along. */
static void
hand_over(dns_server_pending_t *pending, dns_server_pending_t *stand_in)
{
    dns_health_fail(pending->source);
    pending->is_background = 1;
    pending->request.log = pending->lua.log = ngx_cycle->log;
    pending_move_client(pending, stand_in);
    hook_end(pending);
    resolua_request_move_ctx(&stand_in->lua, &pending->lua);
    hook_prepare(stand_in, stand_in->out, DNS_SERVER_UDP_SIZE_MAX);
    stand_in->hook.started = pending->hook.started;
    stand_in->has_hook = pending->has_hook;
    pending_go_on(stand_in, STEP_ANSWER);
}


/* The client has waited for long. */
static void
on_long_wait(ngx_event_t *ev)
{
    dns_server_pending_t *pending = ev->data;
    if (pending->deliver == NULL) {
        return;
    }
    dns_server_pending_t *stand_in = copy_of(chain_client(pending));
    if (stand_in == NULL) {
        return;
    }
    dns_server_request_t *request = &stand_in->request;
    if (pending_set_out(stand_in) == NGX_OK) {
        request->size = dns_server_cache_get_stale(request);
        if (request->size > 0) {
            hand_over(pending, stand_in);
            return;
        }
    }
    pending_release(stand_in);
}


void
stale_watch(dns_server_pending_t *pending)
{
    enum { LONG_WAIT = 1800 }; /* ms, RFC 8767 section 5 */
    uint8_t out[PENDING_OUT_SIZE];
    if (!pending->was_asked || pending->is_background ||
        pending->event.timer_set) {
        return;
    }
    if (stale_get(&pending->request, out) > 0) {
        pending->event.handler = on_long_wait;
        pending->event.data = pending;
        pending->event.log = ngx_cycle->log;
        ngx_add_timer(&pending->event, LONG_WAIT);
    }
}
