#include "server/private/ask.h"

#include <sys/resource.h>

#include "dns/type.h"
#include "dns/writer.h"
#include "runtime/job.h"
#include "runtime/seldom.h"
#include "runtime/socket.h"
#include "runtime/vm.h"
#include "runtime/wait.h"
#include "server/health.h"
#include "server/options.h"

enum { FREE_MAX = 1024 };

static int answer_ref = LUA_NOREF; /* dns.service.answer */

/* Recycled asks; they belong to one VM. */
static dns_server_pending_t *free_asks;
static ngx_uint_t free_count;

/* From when an answer is made until it is delivered, between which nothing else
   runs. */
struct ask_answer_s ask_answer;

/* Questions to upstreams that are under way, and how many may be. */
static ngx_uint_t forwarding;
static ngx_uint_t forward_max;

/* For cosockets of dns.service, which log nothing themselves. */
static resolua_socket_conf_t quiet;

static void ended(resolua_request_t *r, ngx_int_t rc);


/* What dns.service.answer returned: octets or nil; seconds, or nil, that the
   answer may be kept at most, and false where no upstream has answered. */
static void
results(resolua_request_t *r, lua_State *L)
{
    dns_server_pending_t *ask = r->data;
    size_t size = 0;
    if (ask->step != ASK_SERVICE) {
        return;
    }
    const char *octets = lua_tolstring(L, 1, &size);
    ask->is_silent = lua_type(L, 2) == LUA_TBOOLEAN;
    ask->keep_max = lua_type(L, 2) == LUA_TNUMBER
                        ? (uint32_t) lua_tonumber(L, 2)
                        : UINT32_MAX;
    ask_answer.size = octets != NULL && size <= ASK_ANSWER_MAX ? size : 0;
    if (ask_answer.size > 0) {
        ngx_memcpy(ask_answer.octets, octets, ask_answer.size);
    }
}


static const resolua_host_t host = {
    .subsystem = "stream",
    .results = results,
    .resumed = ended,
};


static dns_server_pending_t *
ask_new(ngx_log_t *log)
{
    dns_server_pending_t *ask = free_asks;
    if (ask != NULL) {
        free_asks = ask->next;
        free_count--;
        return ask;
    }
    ask = ngx_alloc(sizeof(*ask), log);
    if (ask == NULL || hook_new(ask) != NGX_OK) {
        ngx_free(ask);
        return NULL;
    }
    ask->is_forwarding = 0;
    ask->is_check = 0;
    ngx_memzero(&ask->event, sizeof(ask->event));
    return ask;
}


/* Its own copies of what the call borrows. */
static ngx_int_t
copy_call(dns_server_pending_t *ask, const dns_server_request_t *request)
{
    uint8_t *packet = ask->few;
    ask->many = NULL;
    if (request->packet_size > sizeof(ask->few)) {
        packet = ask->many = ngx_alloc(request->packet_size, request->log);
        if (packet == NULL) {
            return NGX_ERROR;
        }
    }
    ngx_memcpy(packet, request->packet, request->packet_size);
    ask->request = *request;
    ask->request.packet = packet;
    ask->request.pending = NULL;
    ngx_memcpy(&ask->client, request->client,
               request->client->sa_family == AF_INET6
                   ? sizeof(struct sockaddr_in6)
                   : sizeof(struct sockaddr_in));
    ask->request.client = &ask->client.sockaddr;
    dns_query_copy(&ask->query, request->query, packet);
    ask->request.query = &ask->query;
    return NGX_OK;
}


/* One with copies of the call's packet and client; NULL: no memory. */
static dns_server_pending_t *
ask_take(const dns_server_request_t *request)
{
    dns_server_pending_t *ask = ask_new(request->log);
    if (ask == NULL) {
        return NULL;
    }
    ask->share = NULL;
    resolua_request_init(&ask->lua, &host, ask, NULL, request->log);
    if (copy_call(ask, request) != NGX_OK) {
        ask_release(ask);
        return NULL;
    }
    if (dns_server_cache != NULL) {
        ask->ticket = dns_cache_ticket(dns_server_cache, &ask->query, NULL, 0);
    }
    ask->step = ASK_QUERY_HOOK;
    ask->has_ticket = 0;
    ask->keep_max = UINT32_MAX;
    ask->source = 0;
    ask->is_background = ask->is_check = ask->is_silent = 0;
    ask->answered = NULL;
    ask->zones_size = 0;
    ask->hook.forward_size = 0;
    ask->hook.new_name_size = 0;
    return ask;
}


void
ask_release(dns_server_pending_t *ask)
{
    resolua_request_end(&ask->lua);
    resolua_wait_unset(&ask->event);
    if (ask->is_check) {
        ask->is_check = 0;
        dns_health_end_check(ask->checked);
    }
    if (ask->is_forwarding) {
        ask->is_forwarding = 0;
        forwarding--;
    }
    ask->share = NULL;
    if (ask->many != NULL) {
        ngx_free(ask->many);
        ask->many = NULL;
    }
    hook_end(ask);
    if (free_count < FREE_MAX) {
        ask->next = free_asks;
        free_asks = ask;
        free_count++;
        return;
    }
    hook_free(ask);
    ngx_free(ask);
}


/* No upstream has answered. */
static void
put_stale(dns_server_pending_t *ask)
{
    uint8_t old[DNS_SERVER_UDP_SIZE_MAX + 2 * DNS_EDNS_OPTIONS_MAX];
    ask->request.out = old;
    const size_t size = dns_server_cache_get_stale(&ask->request, &ask->query);
    if (size > 0) {
        ngx_memcpy(ask_answer.octets, old, size);
        ask_answer.size = size;
    }
}


/* Answers with records of a networked store's zone go with that zone. */
static void
keep(dns_server_pending_t *ask, dns_response_t *response)
{
    response->keep_max = ask->keep_max;
    if (ask->has_ticket) {
        if (!dns_remote_is_of_one_zone(&ask->fetch)) {
            return;
        }
        response->keep_max =
            ngx_min(response->keep_max,
                    dns_remote_ttl_cap(&ask->fetch, ask->query.qtype));
    }
    dns_server_cache_put(dns_server_view(&ask->request), &ask->query,
                         &ask->ticket, response, ask_answer.octets);
}


/* Keeps the answer for others and gives it the OPT that this client is due. */
static void
complete(dns_server_pending_t *ask)
{
    const dns_query_t *query = &ask->query;
    const dns_server_conf_t *conf = ask->request.conf;
    uint8_t octets[DNS_EDNS_OPTIONS_MAX];
    dns_answer_options_t options;
    dns_response_t response;
    if (ask_answer.size == 0 ||
        dns_response_scan(&response, query, ask_answer.octets,
                          ask_answer.size) != DNS_OK) {
        return;
    }
    if (ask->is_silent) {
        dns_health_fail(ask->source);
    } else if (ask->is_forwarding) {
        dns_health_work(ask->source);
    }
    if (response.rcode == DNS_RCODE_SERVFAIL) {
        if (ask->request.may_keep) { /* else it is of another source */
            put_stale(ask);
        }
        return;
    }
    if (ask->request.may_keep) {
        keep(ask, &response);
    }
    if (query->edns.is_present &&
        ask_answer.size - response.size == DNS_OPT_SIZE) {
        ask_answer.octets[DNS_HEADER_ARCOUNT_AT] =
            (uint8_t) (response.additional_count >> 8);
        ask_answer.octets[DNS_HEADER_ARCOUNT_AT + 1] =
            (uint8_t) response.additional_count;
        dns_server_options(&ask->request, query, octets, &options);
        ask_answer.size = dns_response_put_opt(
            query, &options, response.rcode, ask_answer.octets, response.size,
            dns_query_response_limit(query, conf->udp_size));
    }
}


/* What upstreams may take of the worker's connections and descriptors: others
   need theirs. */
static ngx_uint_t
forward_bound(const ngx_cycle_t *cycle, const dns_main_conf_t *conf)
{
    enum { SHARE = 4 }; /* a question has two sockets at most: a half */
    struct rlimit limit;
    ngx_uint_t count = cycle->connection_n;
    if (conf->forward_max != NGX_CONF_UNSET) {
        return (ngx_uint_t) conf->forward_max;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < count) {
        count = limit.rlim_cur;
    }
    return ngx_max(count / SHARE, 1);
}


/* SERVFAIL: as many questions to upstreams are under way as may be. */
static ngx_int_t
refuse_forward(dns_server_pending_t *ask)
{
    static resolua_seldom_t told;
    if (resolua_seldom(&told)) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "dns_forward: %ui questions to upstreams are under way, "
                      "as many as dns_forward_max_queries allows: %ui more "
                      "were answered SERVFAIL; upstreams are slow or do not "
                      "answer",
                      forward_max, told.count);
    }
    ask->request.out = ask_answer.octets;
    ask_answer.size =
        dns_server_failure(&ask->request, &ask->query, DNS_EDE_NOT_READY);
    return NGX_OK;
}


static void
set_seconds(lua_State *L, const char *name, ngx_msec_t ms)
{
    lua_pushnumber(L, (lua_Number) ms / 1000);
    lua_setfield(L, -2, name);
}


/* The third argument of dns.service.answer. */
static void
push_route(lua_State *L, const dns_server_pending_t *ask,
           const ngx_str_t *forward)
{
    const struct dns_ffi_hook *hook = &ask->hook;
    const dns_server_conf_t *conf = ask->request.conf;
    lua_createtable(L, 0, 8);
    lua_pushlstring(L, (const char *) forward->data, forward->len);
    lua_setfield(L, -2, "forward");
    if (hook->new_name_size > 0) {
        lua_pushlstring(L, (const char *) hook->new_name, hook->new_name_size);
        lua_setfield(L, -2, "new_name");
    }
    lua_pushboolean(L, hook->forward_size > 0);
    lua_setfield(L, -2, "forward_only");
    lua_pushboolean(L, ask->request.no_zone != 0);
    lua_setfield(L, -2, "no_zone");
    if (ask->zones_size > 0) {
        lua_pushlstring(L, (const char *) ask_answer.octets, ask->zones_size);
        lua_setfield(L, -2, "zones_answer");
    }
    lua_pushinteger(L, dns_server_refusal(&ask->request));
    lua_setfield(L, -2, "refusal");
    set_seconds(L, "timeout", conf->forward_timeout);
    set_seconds(L, "retry", conf->forward_retry);
    set_seconds(L, "down", conf->forward_down);
}


/* Known names have a quarter of places more than there are for all. */
static ngx_uint_t
may_forward_now(const dns_server_pending_t *ask)
{
    if (ask->share == NULL) {
        return forwarding < forward_max + forward_max / 4;
    }
    if (forwarding < forward_max) {
        return 1;
    }
    dns_fairness_refused(ask->share);
    return 0;
}


ngx_int_t
ask_service(dns_server_pending_t *ask)
{
    lua_State *L = resolua_vm;
    const struct dns_ffi_hook *hook = &ask->hook;
    const dns_server_request_t *request = &ask->request;
    ngx_str_t forward = ngx_null_string;
    ask->step = ASK_SERVICE;
    if (answer_ref == LUA_NOREF) {
        return NGX_ERROR;
    }
    if (hook->forward_size > 0) {
        forward.data = (u_char *) hook->forward_to;
        forward.len = hook->forward_size;
    } else if (dns_server_recurses(request)) {
        forward = request->conf->forward;
    }
    if (forward.len > 0) {
        if (!may_forward_now(ask)) {
            return refuse_forward(ask);
        }
        forwarding++;
        ask->is_forwarding = 1;
        ask->source = ngx_crc32_long(forward.data, forward.len) | 1;
    }
    ask->lua.sockets = &quiet; /* the forwarder tells what fails */
    lua_rawgeti(L, LUA_REGISTRYINDEX, answer_ref);
    lua_pushlstring(L, (const char *) request->packet, request->packet_size);
    lua_pushinteger(L, request->transport);
    push_route(L, ask, &forward);
    return resolua_run_function(&ask->lua, 3, RESOLUA_DNS_QUERY);
}


/* The end: out holds size octets. */
static void
deliver(dns_server_pending_t *ask, uint8_t *out, size_t size)
{
    const dns_server_answered_pt answered = ask->answered;
    void *data = ask->data;
    if (ask->step != ASK_QUERY_HOOK) {
        dns_fairness_answered(ask->share, &ask->query, out, size);
    }
    if (out == ask->out) { /* small, and the next ask may have it */
        ngx_memcpy(ask_answer.octets, out, size);
        out = ask_answer.octets;
    }
    if (dns_server_has_hooks(ask->request.conf) && !ask->is_background) {
        size = hook_finish(ask, out, size);
    }
    ask_release(ask);
    if (answered != NULL) {
        answered(data, out, size);
    }
}


/* The zones of networked stores are asked in C; what a hook has said to forward
   or to rename is dns.service's. */
static ngx_int_t
begin_steps(dns_server_pending_t *ask)
{
    ask->share = ask->request.share;
    if (dns_remote_count > 0 && ask->hook.forward_size == 0 &&
        ask->hook.new_name_size == 0) {
        ask->source = dns_remote_health(&ask->query.qname);
        return ask_zones(ask);
    }
    return ask_service(ask);
}


/* The client has waited for long: what has expired goes to it, and the question
   goes on without it.  The request is busy with that, so the hooks run in
   another's place. */
static void
on_long_wait(ngx_event_t *ev)
{
    dns_server_pending_t *ask = ev->data;
    const dns_server_answered_pt answered = ask->answered;
    if (answered == NULL) {
        return;
    }
    ask->request.out = ask_answer.octets;
    ask_answer.size = dns_server_cache_get_stale(&ask->request, &ask->query);
    dns_server_pending_t *stand_in =
        ask_answer.size > 0 ? ask_take(&ask->request) : NULL;
    if (stand_in == NULL) {
        return;
    }
    dns_health_fail(ask->source);
    ask->is_background = 1;
    ask->answered = NULL;
    ask->lua.log = ngx_cycle->log;
    hook_end(ask);
    resolua_request_move_ctx(&stand_in->lua, &ask->lua);
    hook_prepare(stand_in, ask_answer.octets, ASK_OUT_ROOM);
    stand_in->hook.started = ask->hook.started;
    stand_in->answered = answered;
    stand_in->data = ask->data;
    deliver(stand_in, ask_answer.octets, ask_answer.size);
}


/* Is there something that has expired, to be given after a while? */
static void
wait_with_stale(dns_server_pending_t *ask)
{
    enum { LONG_WAIT = 1800 }; /* ms, RFC 8767 section 5 */
    static uint8_t out[DNS_SERVER_UDP_SIZE_MAX + 2 * DNS_EDNS_OPTIONS_MAX];
    uint8_t *before = ask->request.out;
    if (!ask->request.may_keep || ask->is_background ||
        !dns_server_cache_has_stale()) {
        return;
    }
    ask->request.out = out;
    const size_t size = dns_server_cache_get_stale(&ask->request, &ask->query);
    ask->request.out = before;
    if (size > 0) {
        ask->event.handler = on_long_wait;
        ask->event.data = ask;
        ask->event.log = ngx_cycle->log;
        ngx_add_timer(&ask->event, LONG_WAIT);
    }
}


static ngx_int_t
begin(dns_server_pending_t *ask)
{
    const ngx_int_t rc = begin_steps(ask);
    if (rc == NGX_AGAIN) {
        wait_with_stale(ask);
    }
    return rc;
}


static void
service_ended(dns_server_pending_t *ask, ngx_int_t rc)
{
    if (rc != NGX_OK) {
        ask->request.out = ask_answer.octets;
        ask_answer.size = dns_server_refuse(&ask->request, DNS_RCODE_SERVFAIL);
    } else if (ask->step == ASK_SERVICE) {
        complete(ask);
    }
    deliver(ask, ask_answer.octets, ask_answer.size);
}


/* A query hook that slept has ended. */
static void
hook_ended(dns_server_pending_t *ask, ngx_int_t rc)
{
    ask->request.out = ask_answer.octets;
    dns_server_begin();
    const dns_server_verdict_t verdict = hook_decide(ask, rc);
    dns_server_end();
    if (verdict != DNS_SERVER_ASK) {
        deliver(ask, ask->request.out,
                verdict == DNS_SERVER_SEND ? ask->request.size : 0);
        return;
    }
    hook_pause(ask);
    rc = begin(ask);
    if (rc != NGX_AGAIN) {
        service_ended(ask, rc);
    }
}


void
ask_zones_fetched(dns_server_pending_t *ask, ngx_int_t rc)
{
    if (rc != NGX_AGAIN) {
        service_ended(ask, rc);
    }
}


static void
ended(resolua_request_t *r, ngx_int_t rc)
{
    dns_server_pending_t *ask = r->data;
    if (ask->step == ASK_QUERY_HOOK) {
        hook_ended(ask, rc);
    } else {
        service_ended(ask, rc);
    }
}


/* The hook sleeps: what it has written moves out of the caller's buffer. */
static void
take_along(dns_server_pending_t *ask)
{
    struct dns_ffi_hook *hook = &ask->hook;
    ngx_memcpy(ask->out, hook->out, hook->out_size);
    hook->out = ask->out;
    hook->out_room = ASK_OUT_ROOM;
}


dns_server_verdict_t
dns_server_hooked(dns_server_request_t *request)
{
    dns_server_pending_t *ask = ask_take(request);
    ngx_int_t rc = NGX_OK;
    if (ask == NULL) {
        request->size = dns_server_refuse(request, DNS_RCODE_SERVFAIL);
        return DNS_SERVER_SEND;
    }
    hook_prepare(ask, request->out, ASK_OUT_ROOM);
    if (request->conf->on_query != NULL) {
        rc = hook_query(ask);
    }
    if (rc == NGX_AGAIN) {
        take_along(ask);
        request->pending = ask;
        return DNS_SERVER_ASK;
    }
    const dns_server_verdict_t verdict = hook_decide(ask, rc);
    if (verdict == DNS_SERVER_ASK) {
        hook_pause(ask);
        request->pending = ask;
        return verdict;
    }
    request->size = hook_finish(
        ask, request->out, verdict == DNS_SERVER_SEND ? ask->request.size : 0);
    ask_release(ask);
    return request->size > 0 ? DNS_SERVER_SEND : DNS_SERVER_DROP;
}


static void
on_begin(ngx_event_t *ev)
{
    dns_server_pending_t *ask = ev->data;
    const ngx_int_t rc = begin(ask);
    if (rc != NGX_AGAIN) {
        service_ended(ask, rc);
    }
}


/* Asking begins when the event loop goes on: what is answered in place goes
   first, and who is asked may answer at once. */
static void
post_begin(dns_server_pending_t *ask)
{
    ask->event.handler = on_begin;
    ask->event.data = ask;
    ask->event.log = ngx_cycle->log;
    ngx_post_event(&ask->event, &ngx_posted_events);
}


dns_handled_t
ask_begin(dns_server_request_t *request)
{
    dns_server_pending_t *ask =
        request->pending != NULL ? request->pending : ask_take(request);
    if (ask == NULL) {
        request->size = dns_server_refuse(request, DNS_RCODE_SERVFAIL);
        return DNS_ANSWERED;
    }
    request->pending = ask;
    if (ask->lua.entry == NULL) { /* else its hook sleeps */
        post_begin(ask);
    }
    return DNS_PENDING;
}


/* Asks in the background whether the source is back. */
static void
begin_check(const dns_server_request_t *request, uint32_t source)
{
    dns_server_pending_t *ask = ask_take(request);
    if (ask == NULL) {
        dns_health_end_check(source);
        return;
    }
    ask->request.may_keep = 1;
    ask->request.log = ask->lua.log = ngx_cycle->log; /* nobody's */
    ask->is_background = 1;
    ask->is_check = 1;
    ask->checked = source;
    post_begin(ask);
}


size_t
dns_server_ask_stale(const dns_server_request_t *request,
                     const dns_query_t *query)
{
    uint32_t source = dns_remote_health(&query->qname);
    if (source == 0) {
        source = dns_server_upstream_health(request);
    }
    if (!dns_health_is_failed(source)) {
        return 0;
    }
    const size_t size = dns_server_cache_get_stale(request, query);
    if (size > 0 && dns_health_begin_check(source)) {
        begin_check(request, source);
    }
    return size;
}


void
dns_server_cancel(dns_server_pending_t *pending)
{
    if (pending->step == ASK_ZONES) { /* a store fills its sets: it ends by
                                         itself */
        pending->answered = NULL;
        pending->lua.log = ngx_cycle->log;
    } else {
        ask_release(pending);
    }
}


static void
set_string(lua_State *L, const char *name, const ngx_str_t *text)
{
    if (text->len > 0) {
        lua_pushlstring(L, (const char *) text->data, text->len);
        lua_setfield(L, -2, name);
    }
}


/* dns.service.configure{...}; gives its answer(), or raises. */
static int
load_service(lua_State *L)
{
    const dns_main_conf_t *conf = lua_touserdata(L, 1);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "dns.store");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "set_runner");
    lua_pushcfunction(L, resolua_job_run);
    lua_call(L, 1, 0);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "dns.service");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "configure");
    lua_createtable(L, 0, 2);
    set_string(L, "store", &conf->lmdb_folder);
    if (conf->has_lmdb) {
        lua_pushinteger(L, (lua_Integer) conf->lmdb_at);
        lua_setfield(L, -2, "store_at");
    }
    set_string(L, "forward", &conf->forward);
    dns_remote_push(L, conf);
    lua_call(L, 1, 0);
    if (conf->has_mirror) {
        lua_getfield(L, -1, "start");
        lua_call(L, 0, 0);
    }
    lua_getfield(L, -1, "answer");
    return 1;
}


void
dns_server_ask_open(ngx_cycle_t *cycle)
{
    const dns_main_conf_t *conf = dns_main_conf(cycle);
    lua_State *L = resolua_vm;
    answer_ref = LUA_NOREF;
    forward_max = forward_bound(cycle, conf);
    quiet = resolua_socket_defaults;
    quiet.log_errors = 0;
    if (L == NULL || (conf->store_count == 0 && conf->forward.len == 0)) {
        return;
    }
    lua_pushcfunction(L, load_service);
    lua_pushlightuserdata(L, (void *) conf);
    resolua_vm_phase = RESOLUA_INIT_WORKER;
    const int rc = lua_pcall(L, 1, 1, 0);
    resolua_vm_phase = 0;
    if (rc != 0) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "the Lua module dns.service cannot be used, which "
                      "forwards queries and edits zones: %s",
                      resolua_error_text(L));
        lua_pop(L, 1);
        return;
    }
    answer_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}
