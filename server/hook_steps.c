/* The steps of dns_query_by_lua*, dns_answer_by_lua* and dns_log_by_lua*. */

#include "dns/type.h"
#include "dns/writer.h"
#include "runtime/vm.h"
#include "server/options.h"
#include "server/private/chain.h"


static void
set_client(struct dns_ffi_hook *hook, const struct sockaddr *client)
{
    if (client->sa_family == AF_INET6) {
        const struct sockaddr_in6 *sin6 = (const void *) client;
        hook->client_family = 6;
        hook->client_port = ntohs(sin6->sin6_port);
        ngx_memcpy(hook->client_octets, &sin6->sin6_addr,
                   sizeof(sin6->sin6_addr));
    } else if (client->sa_family == AF_INET) {
        const struct sockaddr_in *sin = (const void *) client;
        hook->client_family = 4;
        hook->client_port = ntohs(sin->sin_port);
        ngx_memcpy(hook->client_octets, &sin->sin_addr, sizeof(sin->sin_addr));
    } else {
        hook->client_family = 0;
    }
}


void
hook_prepare(dns_server_pending_t *pending, uint8_t *out, size_t capacity)
{
    struct dns_ffi_hook *hook = &pending->hook;
    const dns_query_t *query = pending->request.query;
    hook->packet = pending->request.packet;
    hook->packet_size = (uint32_t) pending->request.packet_size;
    hook->limit = (uint32_t) dns_query_response_limit(
        query, pending->request.conf->udp_size);
    hook->id = query->id;
    hook->flags = query->flags;
    hook->type = query->qtype;
    hook->class_code = query->qclass;
    hook->transport = (uint8_t) query->transport;
    hook->dnssec_ok = query->edns.is_present && query->edns.dnssec_ok;
    hook->udp_size = query->edns.is_present ? query->edns.udp_size : 0;
    hook->qname_size = query->qname.size;
    ngx_memcpy(hook->qname, query->qname.octets, query->qname.size);
    set_client(hook, pending->request.client);
    hook->out = out;
    hook->out_room = (uint32_t) capacity;
    hook->out_size = 0;
    hook->cache_seconds = 0;
    hook->started = (uint32_t) ngx_current_msec;
    hook->action = DNS_FFI_HOOK_NONE;
    hook->rcode = 0;
    hook->tag_size = 0;
    hook->forward_size = 0;
    hook->new_name_size = 0;
}


void
hook_keep(dns_server_pending_t *pending)
{
    struct dns_ffi_hook *hook = &pending->hook;
    hook->packet = pending->request.packet;
    if (hook->out_room > 0) { /* it sleeps, and may have begun an answer */
        ngx_memcpy(pending->out, hook->out, hook->out_size);
        hook->out = pending->out;
    }
}


void
hook_pause(dns_server_pending_t *pending)
{
    pending->hook.out_size = 0;
    pending->hook.out_room = 0;
}


/* Those without an ask, one behind the other. */
static struct dns_ffi_hook_life *free_lives;


ngx_int_t
hook_new(dns_server_pending_t *pending)
{
    struct dns_ffi_hook_life *life = free_lives;
    if (life != NULL) {
        free_lives = (struct dns_ffi_hook_life *) life->hook;
    } else {
        life = ngx_calloc(sizeof(*life), ngx_cycle->log);
    }
    if (life == NULL) {
        return NGX_ERROR;
    }
    life->hook = &pending->hook;
    pending->life = life;
    return NGX_OK;
}


void
hook_end(dns_server_pending_t *pending)
{
    pending->life->serial++;
}


void
hook_free(dns_server_pending_t *pending)
{
    pending->life->hook = (struct dns_ffi_hook *) free_lives;
    free_lives = pending->life;
}


/* A field of dns.query on the stack, or an error's message. */
static ngx_int_t
push_field(lua_State *L, const char *name)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "dns.query");
    if (lua_pcall(L, 1, 1, 0) != 0) {
        return NGX_ERROR;
    }
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
    return NGX_OK;
}


static ngx_int_t
push_runner(lua_State *L)
{
    static const lua_State *vm;
    static int runner;
    if (vm != L) {
        if (push_field(L, "run") != NGX_OK) {
            return NGX_ERROR;
        }
        runner = luaL_ref(L, LUA_REGISTRYINDEX);
        vm = L;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, runner);
    return NGX_OK;
}


/* dns.query.run, the chunk and what its argument is made of on the stack. */
static ngx_int_t
push_call(dns_server_pending_t *pending, resolua_code_t *code)
{
    lua_State *L = resolua_vm;
    const int top = lua_gettop(L);
    if (push_runner(L) == NGX_OK && resolua_code_push(L, code) == NGX_OK) {
        lua_pushlightuserdata(L, pending->life);
        lua_pushnumber(L, pending->life->serial);
        return NGX_OK;
    }
    ngx_log_error(NGX_LOG_ERR, pending->lua.log, 0, "a DNS hook cannot run: %s",
                  resolua_error_text(L));
    lua_settop(L, top);
    return NGX_ERROR;
}


static ngx_int_t
run_query_hook(dns_server_pending_t *pending)
{
    if (push_call(pending, pending->request.conf->on_query) != NGX_OK) {
        return NGX_ERROR;
    }
    return resolua_run_function(&pending->lua, 3, RESOLUA_DNS_QUERY);
}


/* The answer that the hook has made, in the place where it is sent from. */
static size_t
finish_answer(dns_server_pending_t *pending)
{
    const struct dns_ffi_hook *hook = &pending->hook;
    pending->request.out = hook->out;
    return dns_server_put_opt(&pending->request, hook->rcode, hook->out_size);
}


/* q:cache(seconds): for all clients that ask the same. */
static void
keep(dns_server_pending_t *pending)
{
    const struct dns_ffi_hook *hook = &pending->hook;
    dns_response_t response;
    if (hook->cache_seconds == 0 || dns_server_cache == NULL ||
        dns_response_scan(&response, pending->request.query, hook->out,
                          hook->out_size) != DNS_OK) {
        return;
    }
    const dns_cache_ticket_t ticket = dns_cache_ticket(
        dns_server_cache, pending->request.query,
        hook->tag_size > 0 ? (const uint8_t *) hook->tag : NULL,
        hook->tag_size);
    response.ttl = hook->cache_seconds;
    response.may_be_kept = !response.is_truncated;
    dns_server_cache_put(pending->request.conf->hook_view,
                         pending->request.query, &ticket, &response, hook->out);
    ((dns_server_conf_t *) pending->request.conf)->hook_keeps = 1;
}


step_t
hook_ended(dns_server_pending_t *pending, ngx_int_t rc)
{
    dns_server_request_t *request = &pending->request;
    struct dns_ffi_hook *hook = &pending->hook;
    if (rc != NGX_OK) {
        request->out = hook->out;
        request->size = dns_server_refuse(request, DNS_RCODE_SERVFAIL);
        return STEP_ANSWER;
    }
    switch (hook->action) {
    case DNS_FFI_HOOK_ANSWER:
        keep(pending);
        request->size = finish_answer(pending);
        return STEP_ANSWER;
    case DNS_FFI_HOOK_DROP:
        return STEP_DROP;
    default:
        return STEP_NEXT;
    }
}


static ngx_uint_t
runs_hooks(const dns_server_request_t *request)
{
    return !request->skip_hooks && dns_server_has_hooks(request->conf);
}


step_t
step_hook_cache(dns_server_request_t *request)
{
    if (!request->conf->hook_keeps || !runs_hooks(request)) {
        return STEP_NEXT;
    }
    request->size = dns_server_cache_get(request->conf->hook_view, request);
    return request->size > 0 ? STEP_ANSWER : STEP_NEXT;
}


/* A dry run says what the hook has said. */
static step_t
take_route(dns_server_request_t *request)
{
    const dns_server_route_t *route = request->route;
    dns_server_pending_t *pending = pending_take(request);
    if (pending == NULL) {
        return step_error(request, DNS_RCODE_SERVFAIL);
    }
    struct dns_ffi_hook *hook = &pending->hook;
    hook->action = DNS_FFI_HOOK_ASK;
    hook->forward_size =
        (uint16_t) ngx_min(route->forward.len, sizeof(hook->forward_to));
    ngx_memcpy(hook->forward_to, route->forward.data, hook->forward_size);
    hook->new_name_size = route->new_name.size;
    ngx_memcpy(hook->new_name, route->new_name.octets, route->new_name.size);
    return STEP_NEXT;
}


step_t
step_route(dns_server_request_t *request)
{
    const dns_server_pending_t *pending = request->pending;
    dns_name_t name;
    if (pending == NULL || pending->hook.action != DNS_FFI_HOOK_ASK) {
        return STEP_NEXT;
    }
    const step_t said = pending_await_turn(request);
    if (said != STEP_NEXT) {
        return said;
    }
    const struct dns_ffi_hook *hook = &pending->hook;
    const unsigned step = hook->forward_size > 0 ? STEP_UPSTREAMS : STEP_ZONES;
    if (hook->new_name_size > 0) {
        dns_name_set(&name, hook->new_name);
        return chain_rename(request->pending, &name, step);
    }
    step_skip_to(request, step);
    return STEP_NEXT;
}


step_t
step_query_hook(dns_server_request_t *request)
{
    if (request->route != NULL) {
        return take_route(request);
    }
    if (!runs_hooks(request)) {
        return STEP_NEXT;
    }
    dns_server_pending_t *pending = pending_take(request);
    if (pending == NULL) {
        return step_error(request, DNS_RCODE_SERVFAIL);
    }
    pending->has_hook = 1;
    hook_prepare(pending, request->out, DNS_SERVER_UDP_SIZE_MAX);
    if (request->conf->on_query == NULL) {
        return STEP_NEXT;
    }
    const ngx_int_t rc = run_query_hook(pending);
    return rc == NGX_AGAIN ? STEP_WAIT : hook_ended(pending, rc);
}


/* Runs a hook that may not sleep. */
static ngx_int_t
run_sync(dns_server_pending_t *pending, resolua_code_t *code, ngx_uint_t phase)
{
    return push_call(pending, code) == NGX_OK
               ? resolua_run_function_sync(&pending->lua, 3, phase, 0)
               : NGX_ERROR;
}


/* What a hook that fails would have left out or changed is not sent. */
static size_t
change_answer(dns_server_pending_t *pending, size_t size)
{
    struct dns_ffi_hook *hook = &pending->hook;
    if (run_sync(pending, pending->request.conf->on_answer,
                 RESOLUA_DNS_ANSWER) != NGX_OK) {
        hook->rcode = DNS_RCODE_SERVFAIL;
        pending->request.out = hook->out;
        return dns_server_refuse(&pending->request, DNS_RCODE_SERVFAIL);
    }
    switch (hook->action) {
    case DNS_FFI_HOOK_ANSWER:
        return finish_answer(pending);
    case DNS_FFI_HOOK_DROP:
        return 0;
    default:
        return size;
    }
}


size_t
hook_finish(dns_server_pending_t *pending, size_t size)
{
    const dns_server_request_t *request = &pending->request;
    struct dns_ffi_hook *hook = &pending->hook;
    hook->out = request->out;
    hook->out_size = (uint32_t) size;
    hook->out_room = (uint32_t) dns_server_capacity(request->transport);
    hook->rcode = size > 3 ? hook->out[3] & DNS_RCODE_MASK : 0;
    hook->action = DNS_FFI_HOOK_NONE;
    if (size > 0 && request->conf->on_answer != NULL) {
        size = change_answer(pending, size);
    }
    if (request->conf->on_log != NULL) {
        hook->out_size = (uint32_t) size;
        hook->out_room = 0;
        hook->duration = (uint32_t) ngx_current_msec - hook->started;
        (void) run_sync(pending, request->conf->on_log, RESOLUA_DNS_LOG);
    }
    return size;
}
