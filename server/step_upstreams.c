/* Upstreams: the Lua module dns.service asks them, on a coroutine. */

#include "dns/type.h"
#include "dns/writer.h"
#include "runtime/seldom.h"
#include "runtime/socket.h"
#include "runtime/vm.h"
#include "server/health.h"
#include "server/options.h"
#include "server/private/chain.h"
#include "server/private/service.h"

static struct {
    ngx_uint_t count; /* questions to upstreams that are under way ... */
    ngx_uint_t max;   /* ... and how many may be */
} forwarding;

/* For cosockets of dns.service, which log nothing themselves. */
static resolua_socket_conf_t quiet;


void
upstreams_open(ngx_uint_t max)
{
    forwarding.max = max;
    quiet = resolua_socket_defaults;
    quiet.log_errors = 0;
}


void
upstreams_end(dns_server_pending_t *pending)
{
    pending->is_forwarding = 0;
    forwarding.count--;
}


/* A failure goes to the client, or ends a chain. */
static step_t
fail(dns_server_pending_t *pending, dns_ede_t why)
{
    dns_server_request_t *request = &pending->request;
    const step_t said = chain_give_up(pending);
    if (said != STEP_NEXT) {
        return said;
    }
    (void) pending_set_out(pending);
    request->size = dns_server_failure(request, why);
    upstreams_complete(pending);
    return STEP_ANSWER;
}


/* The response as the upstream sent it; or nil, and whether none was asked. */
void
upstreams_results(dns_server_pending_t *pending, lua_State *L)
{
    size_t size;
    const char *wire = lua_tolstring(L, 1, &size);
    if (wire == NULL) {
        pending->is_silent = !lua_toboolean(L, 2);
        pending->said = fail(pending, DNS_EDE_NO_REACHABLE_AUTHORITY);
        return;
    }
    pending->said = chain_take_response(pending, (const uint8_t *) wire, size);
}


/* No upstream has answered: is there something in its place? */
static ngx_uint_t
put_stale(dns_server_pending_t *pending)
{
    uint8_t out[PENDING_OUT_SIZE];
    dns_server_request_t *request = &pending->request;
    const size_t size = stale_get(request, out);
    if (size > 0) {
        ngx_memcpy(request->out, out, size);
        request->size = size;
    }
    return size > 0;
}


/* Answers with records of a networked store's zone go with that zone. */
static void
keep(dns_server_pending_t *pending, dns_response_t *response)
{
    const dns_server_request_t *request = &pending->request;
    response->keep_max = pending->keep_max;
    if (pending->has_ticket) {
        if (!dns_remote_is_of_one_zone(&pending->fetch)) {
            return;
        }
        response->keep_max =
            ngx_min(response->keep_max,
                    dns_remote_ttl_cap(&pending->fetch, request->query->qtype));
    }
    dns_server_cache_put(dns_server_view(request), request->query,
                         &pending->ticket, response, request->out);
}


static void
note_health(const dns_server_pending_t *pending)
{
    if (pending->is_silent) {
        dns_health_fail(pending->source);
    } else if (pending->is_forwarding) {
        dns_health_work(pending->source);
    }
}


void
upstreams_complete(dns_server_pending_t *pending)
{
    dns_server_request_t *request = &pending->request;
    dns_response_t response;
    if (dns_response_scan(&response, request->query, request->out,
                          request->size) != DNS_OK) {
        return;
    }
    note_health(pending);
    if (response.rcode == DNS_RCODE_SERVFAIL) {
        if (put_stale(pending)) {
            return;
        }
    } else if (request->may_keep) { /* else it is of another source */
        keep(pending, &response);
    }
    if (request->query->edns.is_present && response.size == request->size) {
        request->size =
            dns_server_put_opt(request, response.rcode, request->size);
    }
}


step_t
upstreams_ended(dns_server_pending_t *pending, ngx_int_t rc)
{
    return rc == NGX_OK ? pending->said : fail(pending, DNS_EDE_NOT_READY);
}


/* SERVFAIL: as many questions to upstreams are under way as may be. */
static step_t
refuse_forward(dns_server_pending_t *pending)
{
    static resolua_seldom_t logged;
    if (resolua_seldom(&logged)) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "dns_forward: %ui questions to upstreams are under way, "
                      "as many as dns_forward_max_queries allows: %ui more "
                      "were answered SERVFAIL; upstreams are slow or do not "
                      "answer",
                      forwarding.max, logged.count);
    }
    return fail(pending, DNS_EDE_NOT_READY);
}


static void
push_seconds(lua_State *L, ngx_msec_t ms)
{
    lua_pushnumber(L, (lua_Number) ms / 1000);
}


/* Known names have a quarter of places more than there are for all. */
static ngx_uint_t
may_forward_now(const dns_server_request_t *request)
{
    if (request->share == NULL) {
        return forwarding.count < forwarding.max + forwarding.max / 4;
    }
    if (forwarding.count < forwarding.max) {
        return 1;
    }
    dns_fairness_refused(request->share);
    return 0;
}


/* Upstreams with spaces between: the hook's, or the server's. */
static ngx_str_t
upstreams_of(const dns_server_pending_t *pending)
{
    const dns_server_request_t *request = &pending->request;
    const struct dns_ffi_hook *hook = &pending->hook;
    if (hook->forward_size > 0) {
        return (ngx_str_t){hook->forward_size, (u_char *) hook->forward_to};
    }
    return dns_server_recurses(request) ? request->conf->forward
                                        : (ngx_str_t) ngx_null_string;
}


static step_t
run_service(dns_server_pending_t *pending, const ngx_str_t *upstreams)
{
    lua_State *L = resolua_vm;
    const dns_server_request_t *request = &pending->request;
    const dns_server_conf_t *conf = request->conf;
    if (!service_push(L)) {
        return fail(pending, DNS_EDE_NOT_READY);
    }
    pending->lua.sockets = &quiet; /* the forwarder logs what fails */
    lua_pushlstring(L, (const char *) request->packet, request->packet_size);
    lua_pushlstring(L, (const char *) upstreams->data, upstreams->len);
    push_seconds(L, conf->forward_timeout);
    push_seconds(L, conf->forward_retry);
    push_seconds(L, conf->forward_down);
    const ngx_int_t rc =
        resolua_run_function(&pending->lua, 5, RESOLUA_DNS_QUERY);
    return rc == NGX_AGAIN ? STEP_WAIT : upstreams_ended(pending, rc);
}


/* A question is under way, or one more of the same query. */
static void
count_question(dns_server_pending_t *pending, const ngx_str_t *upstreams)
{
    forwarding.count += !pending->is_forwarding;
    pending->is_forwarding = 1;
    pending->is_silent = 0;
    pending->questions++;
    pending->source = ngx_crc32_long(upstreams->data, upstreams->len) | 1;
}


step_t
step_upstreams(dns_server_request_t *request)
{
    const step_t said = pending_await_turn(request);
    if (said != STEP_NEXT) {
        return said;
    }
    dns_server_pending_t *pending = request->pending;
    pending->was_asked = 1;
    if (pending->zones_size > 0) {
        return chain_leave_zones(pending);
    }
    const ngx_str_t upstreams = upstreams_of(pending);
    if (upstreams.len == 0 || !dns_server_is_forwardable(request->query)) {
        return step_error(request, DNS_RCODE_REFUSED);
    }
    if (!may_forward_now(request) && !pending->is_forwarding) {
        return refuse_forward(pending);
    }
    count_question(pending, &upstreams);
    return run_service(pending, &upstreams);
}
