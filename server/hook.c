/* dns_query_by_lua*, dns_answer_by_lua* and dns_log_by_lua*. */

#include "dns/type.h"
#include "dns/writer.h"
#include "runtime/vm.h"
#include "server/options.h"
#include "server/private/ask.h"


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
hook_prepare(dns_server_pending_t *ask, uint8_t *out, size_t room)
{
    struct dns_ffi_hook *hook = &ask->hook;
    const dns_query_t *query = &ask->query;
    hook->packet = ask->request.packet;
    hook->packet_size = (uint32_t) ask->request.packet_size;
    hook->limit =
        (uint32_t) dns_query_response_limit(query, ask->request.conf->udp_size);
    hook->id = query->id;
    hook->flags = query->flags;
    hook->type = query->qtype;
    hook->class_code = query->qclass;
    hook->transport = (uint8_t) query->transport;
    hook->dnssec_ok = query->edns.is_present && query->edns.dnssec_ok;
    hook->udp_size = query->edns.is_present ? query->edns.udp_size : 0;
    hook->qname_size = query->qname.size;
    ngx_memcpy(hook->qname, query->qname.octets, query->qname.size);
    set_client(hook, ask->request.client);
    hook->out = out;
    hook->out_room = (uint32_t) room;
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
hook_pause(dns_server_pending_t *ask)
{
    ask->hook.out = ask->out;
    ask->hook.out_size = 0;
    ask->hook.out_room = 0;
}


/* Those without an ask, one behind the other. */
static struct dns_ffi_hook_life *free_lives;


ngx_int_t
hook_new(dns_server_pending_t *ask)
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
    life->hook = &ask->hook;
    ask->life = life;
    return NGX_OK;
}


void
hook_end(dns_server_pending_t *ask)
{
    ask->life->serial++;
}


void
hook_free(dns_server_pending_t *ask)
{
    ask->life->hook = (struct dns_ffi_hook *) free_lives;
    free_lives = ask->life;
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
push_call(dns_server_pending_t *ask, resolua_code_t *code)
{
    lua_State *L = resolua_vm;
    const int top = lua_gettop(L);
    if (push_runner(L) == NGX_OK && resolua_code_push(L, code) == NGX_OK) {
        lua_pushlightuserdata(L, ask->life);
        lua_pushnumber(L, ask->life->serial);
        return NGX_OK;
    }
    ngx_log_error(NGX_LOG_ERR, ask->lua.log, 0, "a DNS hook cannot run: %s",
                  resolua_error_text(L));
    lua_settop(L, top);
    return NGX_ERROR;
}


ngx_int_t
hook_query(dns_server_pending_t *ask)
{
    ask->step = ASK_QUERY_HOOK;
    if (push_call(ask, ask->request.conf->on_query) != NGX_OK) {
        return NGX_ERROR;
    }
    return resolua_run_function(&ask->lua, 3, RESOLUA_DNS_QUERY);
}


static size_t
put_opt(dns_server_pending_t *ask, uint8_t *out, size_t size, uint16_t rcode)
{
    uint8_t octets[DNS_EDNS_OPTIONS_MAX];
    dns_answer_options_t options;
    dns_server_options(&ask->request, &ask->query, octets, &options);
    return dns_response_put_opt(&ask->query, &options, rcode, out, size,
                                ask->hook.limit);
}


static size_t
finish_answer(dns_server_pending_t *ask)
{
    const struct dns_ffi_hook *hook = &ask->hook;
    return put_opt(ask, hook->out, hook->out_size, hook->rcode);
}


/* q:cache(seconds): for all clients that ask the same. */
static void
keep(dns_server_pending_t *ask)
{
    const struct dns_ffi_hook *hook = &ask->hook;
    dns_response_t response;
    if (hook->cache_seconds == 0 || dns_server_cache == NULL ||
        dns_response_scan(&response, &ask->query, hook->out, hook->out_size) !=
            DNS_OK) {
        return;
    }
    const dns_cache_ticket_t ticket = dns_cache_ticket(
        dns_server_cache, &ask->query,
        hook->tag_size > 0 ? (const uint8_t *) hook->tag : NULL,
        hook->tag_size);
    response.ttl = hook->cache_seconds;
    response.may_be_kept = !response.is_truncated;
    dns_server_cache_put(ask->request.conf->hook_view, &ask->query, &ticket,
                         &response, hook->out);
    ((dns_server_conf_t *) ask->request.conf)->hook_keeps = 1;
}


dns_server_verdict_t
hook_decide(dns_server_pending_t *ask, ngx_int_t rc)
{
    struct dns_ffi_hook *hook = &ask->hook;
    if (rc != NGX_OK) {
        ask->request.out = hook->out;
        ask->request.size =
            dns_server_refuse(&ask->request, DNS_RCODE_SERVFAIL);
        return DNS_SERVER_SEND;
    }
    switch (hook->action) {
    case DNS_FFI_HOOK_ANSWER:
        keep(ask);
        ask->request.out = hook->out;
        ask->request.size = finish_answer(ask);
        return DNS_SERVER_SEND;
    case DNS_FFI_HOOK_DROP:
        return DNS_SERVER_DROP;
    case DNS_FFI_HOOK_ASK:
        return DNS_SERVER_ASK;
    default:
        ask->request.skip_hooks = 1;
        return dns_server_answer(&ask->request);
    }
}


/* Runs a hook that may not sleep. */
static ngx_int_t
run_sync(dns_server_pending_t *ask, resolua_code_t *code, ngx_uint_t phase)
{
    return push_call(ask, code) == NGX_OK
               ? resolua_run_function_sync(&ask->lua, 3, phase, 0)
               : NGX_ERROR;
}


/* What a hook that fails would have left out or changed is not sent. */
static size_t
change_answer(dns_server_pending_t *ask, size_t size)
{
    struct dns_ffi_hook *hook = &ask->hook;
    if (run_sync(ask, ask->request.conf->on_answer, RESOLUA_DNS_ANSWER) !=
        NGX_OK) {
        hook->rcode = DNS_RCODE_SERVFAIL;
        ask->request.out = hook->out;
        return dns_server_refuse(&ask->request, DNS_RCODE_SERVFAIL);
    }
    switch (hook->action) {
    case DNS_FFI_HOOK_ANSWER:
        return finish_answer(ask);
    case DNS_FFI_HOOK_DROP:
        return 0;
    default:
        return size;
    }
}


size_t
hook_finish(dns_server_pending_t *ask, uint8_t *out, size_t size)
{
    struct dns_ffi_hook *hook = &ask->hook;
    const dns_server_conf_t *conf = ask->request.conf;
    hook->out = out;
    hook->out_size = (uint32_t) size;
    hook->out_room = (uint32_t) dns_server_room(ask->query.transport);
    hook->rcode = size > 3 ? out[3] & DNS_RCODE_MASK : 0;
    hook->action = DNS_FFI_HOOK_NONE;
    if (size > 0 && conf->on_answer != NULL) {
        size = change_answer(ask, size);
    }
    if (conf->on_log != NULL) {
        hook->out_size = (uint32_t) size;
        hook->out_room = 0;
        hook->duration = (uint32_t) ngx_current_msec - hook->started;
        (void) run_sync(ask, conf->on_log, RESOLUA_DNS_LOG);
    }
    return size;
}
