/* Upstreams: the Lua module dns.service asks them, on a coroutine. */

#include "dns/type.h"
#include "dns/writer.h"
#include "runtime/seldom.h"
#include "runtime/socket.h"
#include "runtime/vm.h"
#include "server/health.h"
#include "server/options.h"
#include "server/private/pending.h"
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


/* Octets or nil; seconds, or nil, that the answer may be kept at most, and
   false where no upstream has answered. */
void
upstreams_results(dns_server_pending_t *pending, lua_State *L)
{
    dns_server_request_t *request = &pending->request;
    size_t size = 0;
    const char *octets = lua_tolstring(L, 1, &size);
    pending->is_silent = lua_type(L, 2) == LUA_TBOOLEAN;
    pending->keep_max = lua_type(L, 2) == LUA_TNUMBER
                            ? (uint32_t) lua_tonumber(L, 2)
                            : UINT32_MAX;
    request->size = 0;
    if (octets != NULL && size <= dns_server_capacity(request->transport) &&
        pending_set_out(pending) == NGX_OK) {
        ngx_memcpy(request->out, octets, size);
        request->size = size;
    }
}


/* No upstream has answered. */
static void
put_stale(dns_server_pending_t *pending)
{
    uint8_t out[PENDING_OUT_SIZE];
    dns_server_request_t *request = &pending->request;
    dns_server_request_t probe = *request;
    probe.out = out;
    const size_t size = dns_server_cache_get_stale(&probe, probe.query);
    if (size > 0) {
        ngx_memcpy(request->out, out, size);
        request->size = size;
    }
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
put_opt(dns_server_request_t *request, const dns_response_t *response)
{
    const dns_query_t *query = request->query;
    uint8_t octets[DNS_EDNS_OPTIONS_MAX];
    dns_answer_options_t options;
    request->out[DNS_HEADER_ARCOUNT_AT] =
        (uint8_t) (response->additional_count >> 8);
    request->out[DNS_HEADER_ARCOUNT_AT + 1] =
        (uint8_t) response->additional_count;
    dns_server_options(request, query, octets, &options);
    request->size = dns_response_put_opt(
        query, &options, response->rcode, request->out, response->size,
        dns_query_response_limit(query, request->conf->udp_size));
}


/* Keeps the answer for others and gives it the OPT that this client is due. */
static void
complete(dns_server_pending_t *pending)
{
    dns_server_request_t *request = &pending->request;
    dns_response_t response;
    if (request->size == 0 ||
        dns_response_scan(&response, request->query, request->out,
                          request->size) != DNS_OK) {
        return;
    }
    if (pending->is_silent) {
        dns_health_fail(pending->source);
    } else if (pending->is_forwarding) {
        dns_health_work(pending->source);
    }
    if (response.rcode == DNS_RCODE_SERVFAIL) {
        if (request->may_keep) { /* else it is of another source */
            put_stale(pending);
        }
        return;
    }
    if (request->may_keep) {
        keep(pending, &response);
    }
    if (request->query->edns.is_present &&
        request->size - response.size == DNS_OPT_SIZE) {
        put_opt(request, &response);
    }
}


step_t
upstreams_ended(dns_server_pending_t *pending, ngx_int_t rc)
{
    dns_server_request_t *request = &pending->request;
    if (rc != NGX_OK) {
        (void) pending_set_out(pending);
        request->size = dns_server_refuse(request, DNS_RCODE_SERVFAIL);
        return STEP_ANSWER;
    }
    complete(pending);
    return request->size > 0 ? STEP_ANSWER : STEP_DROP;
}


/* SERVFAIL: as many questions to upstreams are under way as may be. */
static step_t
refuse_forward(dns_server_pending_t *pending)
{
    static resolua_seldom_t logged;
    dns_server_request_t *request = &pending->request;
    if (resolua_seldom(&logged)) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "dns_forward: %ui questions to upstreams are under way, "
                      "as many as dns_forward_max_queries allows: %ui more "
                      "were answered SERVFAIL; upstreams are slow or do not "
                      "answer",
                      forwarding.max, logged.count);
    }
    request->size =
        dns_server_failure(request, request->query, DNS_EDE_NOT_READY);
    return upstreams_ended(pending, NGX_OK);
}


static void
set_seconds(lua_State *L, const char *name, ngx_msec_t ms)
{
    lua_pushnumber(L, (lua_Number) ms / 1000);
    lua_setfield(L, -2, name);
}


/* The third argument of dns.service.answer. */
static void
push_route(lua_State *L, const dns_server_pending_t *pending,
           const ngx_str_t *forward)
{
    const struct dns_ffi_hook *hook = &pending->hook;
    const dns_server_conf_t *conf = pending->request.conf;
    lua_createtable(L, 0, 8);
    lua_pushlstring(L, (const char *) forward->data, forward->len);
    lua_setfield(L, -2, "forward");
    if (hook->new_name_size > 0) {
        lua_pushlstring(L, (const char *) hook->new_name, hook->new_name_size);
        lua_setfield(L, -2, "new_name");
    }
    lua_pushboolean(L, hook->forward_size > 0);
    lua_setfield(L, -2, "forward_only");
    lua_pushboolean(L, pending->request.no_zone != 0);
    lua_setfield(L, -2, "no_zone");
    if (pending->zones_size > 0) {
        lua_pushlstring(L, (const char *) pending->request.out,
                        pending->zones_size);
        lua_setfield(L, -2, "zones_answer");
    }
    lua_pushinteger(L, dns_server_refusal(&pending->request));
    lua_setfield(L, -2, "refusal");
    set_seconds(L, "timeout", conf->forward_timeout);
    set_seconds(L, "retry", conf->forward_retry);
    set_seconds(L, "down", conf->forward_down);
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
    if (!service_push(L)) {
        return upstreams_ended(pending, NGX_ERROR);
    }
    pending->lua.sockets = &quiet; /* the forwarder logs what fails */
    lua_pushlstring(L, (const char *) request->packet, request->packet_size);
    lua_pushinteger(L, request->transport);
    push_route(L, pending, upstreams);
    const ngx_int_t rc =
        resolua_run_function(&pending->lua, 3, RESOLUA_DNS_QUERY);
    return rc == NGX_AGAIN ? STEP_WAIT : upstreams_ended(pending, rc);
}


step_t
step_upstreams(dns_server_request_t *request)
{
    const step_t said = pending_await_turn(request);
    if (said != STEP_NEXT) {
        return said;
    }
    dns_server_pending_t *pending = request->pending;
    const ngx_str_t upstreams = upstreams_of(pending);
    pending->was_asked = 1;
    if (upstreams.len > 0) {
        if (!may_forward_now(request)) {
            return refuse_forward(pending);
        }
        forwarding.count++;
        pending->is_forwarding = 1;
        pending->source = ngx_crc32_long(upstreams.data, upstreams.len) | 1;
    }
    return run_service(pending, &upstreams);
}
