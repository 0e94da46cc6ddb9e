/*
 * The Lua module dns.servers.  Servers are numbered in the order of the
 * configuration; a query is octets, a client the text of its address.
 */

#include "server/explain.h"

#include "ffi/hook_ffi.h"
#include "runtime/clock.h"
#include "runtime/run.h"
#include "runtime/vm.h"
#include "runtime/wait.h"
#include "server/cache.h"
#include "server/private/answer.h"
#include "server/remote.h"

enum { PACKET_MAX = 512, ANSWER_MAX = 65535 };

/* A server as the configuration has it. */
typedef struct {
    dns_server_conf_t *conf;
    dns_server_conf_t plain; /* the same without hooks, made when first used */
    ngx_str_t file;
    ngx_uint_t line;
} server_t;

/* One query on its way. */
typedef struct {
    dns_server_request_t request;
    dns_server_route_t route;
    ngx_sockaddr_t client;
    ngx_event_t event;             /* its start */
    resolua_thread_t *thread;      /* who waits */
    dns_server_pending_t *pending; /* NULL: it does not wait */
    uint8_t packet[PACKET_MAX];
    char forward[DNS_FFI_HOOK_FORWARD_MAX];
} asking_t;

/* One hook on its way: in a request of its own, as for a query. */
typedef struct {
    resolua_request_t request;
    ngx_event_t event;        /* its start */
    resolua_thread_t *thread; /* who waits */
    ngx_uint_t phase;
    int function; /* in the registry */
} trial_t;


ngx_int_t
dns_explain_add_server(ngx_conf_t *cf, dns_server_conf_t *conf)
{
    dns_main_conf_t *main_conf = dns_main_conf(cf->cycle);
    server_t *server = ngx_array_push(&main_conf->servers);
    if (server == NULL) {
        return NGX_ERROR;
    }
    ngx_memzero(server, sizeof(*server));
    server->conf = conf;
    server->file = cf->conf_file->file.name;
    server->line = cf->conf_file->line;
    return NGX_OK;
}


ngx_int_t
dns_explain_init(ngx_pool_t *pool, ngx_array_t *servers)
{
    return ngx_array_init(servers, pool, 4, sizeof(server_t));
}


static server_t *
check_server(lua_State *L, int arg)
{
    const dns_main_conf_t *conf = dns_main_conf((ngx_cycle_t *) ngx_cycle);
    const lua_Integer number = luaL_checkinteger(L, arg);
    luaL_argcheck(L, number >= 1 && (ngx_uint_t) number <= conf->servers.nelts,
                  arg, "no such server");
    return (server_t *) conf->servers.elts + number - 1;
}


static dns_transport_t
check_transport(lua_State *L, int arg)
{
    const lua_Integer transport = luaL_checkinteger(L, arg);
    luaL_argcheck(L, transport >= DNS_OVER_UDP && transport <= DNS_OVER_HTTPS,
                  arg, "no such transport");
    return (dns_transport_t) transport;
}


/* A hook's function and where it stands, as fields of the table on top. */
static void
set_hook(lua_State *L, const char *name, resolua_code_t *code)
{
    if (code == NULL) {
        return;
    }
    lua_createtable(L, 0, 2);
    if (resolua_code_push(L, code) == NGX_OK) {
        lua_setfield(L, -2, "run");
    } else {
        lua_setfield(L, -2, "error");
    }
    lua_pushstring(L, code->path.len > 0 ? (char *) code->path.data
                                         : code->chunk_name + 1);
    lua_setfield(L, -2, "at");
    lua_setfield(L, -2, name);
}


/* servers.list(): tables with at, forward, udp_size and the hooks query and
   answer, each with run and at. */
static int
list(lua_State *L)
{
    const dns_main_conf_t *conf = dns_main_conf((ngx_cycle_t *) ngx_cycle);
    const server_t *server = conf->servers.elts;
    lua_createtable(L, (int) conf->servers.nelts, 0);
    for (ngx_uint_t i = 0; i < conf->servers.nelts; i++, server++) {
        const dns_server_conf_t *dns = server->conf;
        lua_createtable(L, 0, 5);
        lua_pushlstring(L, (char *) server->file.data, server->file.len);
        lua_pushfstring(L, ":%d", (int) server->line);
        lua_concat(L, 2);
        lua_setfield(L, -2, "at");
        lua_pushlstring(L, (char *) dns->forward.data, dns->forward.len);
        lua_setfield(L, -2, "forward");
        lua_pushinteger(L, (lua_Integer) dns->udp_size);
        lua_setfield(L, -2, "udp_size");
        set_hook(L, "query", dns->on_query);
        set_hook(L, "answer", dns->on_answer);
        lua_rawseti(L, -2, (int) i + 1);
    }
    return 1;
}


/* The text of an address; "unix:" is no address. */
static ngx_int_t
set_client(ngx_sockaddr_t *client, const char *text, size_t size)
{
    struct sockaddr_in *sin = &client->sockaddr_in;
    struct sockaddr_in6 *sin6 = &client->sockaddr_in6;
    u_char *address = (u_char *) text;
    ngx_memzero(client, sizeof(*client));
    sin->sin_family = AF_INET;
    if (size == 5 && ngx_strncmp(text, "unix:", 5) == 0) {
        return NGX_OK;
    }
    sin->sin_addr.s_addr = ngx_inet_addr(address, size);
    if (sin->sin_addr.s_addr != INADDR_NONE) {
        return NGX_OK;
    }
    ngx_memzero(client, sizeof(*client));
    sin6->sin6_family = AF_INET6;
    return ngx_inet6_addr(address, size, sin6->sin6_addr.s6_addr);
}


/* servers.recurses(client): are upstreams asked for this client? */
static int
recurses(lua_State *L)
{
    ngx_sockaddr_t client;
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    lua_pushboolean(L, set_client(&client, text, size) == NGX_OK &&
                           dns_server_is_local(&client.sockaddr));
    return 1;
}


/* servers.cached(number, packet, transport, by_hook, client): the answer that
   is kept, without OPT; nil: none. */
static int
cached(lua_State *L)
{
    static uint8_t out[ANSWER_MAX];
    const server_t *server = check_server(L, 1);
    size_t size;
    size_t client_size;
    const char *packet = luaL_checklstring(L, 2, &size);
    const dns_transport_t transport = check_transport(L, 3);
    const char *client = luaL_checklstring(L, 5, &client_size);
    ngx_sockaddr_t address;
    const dns_server_request_t request = {.conf = server->conf,
                                          .client = &address.sockaddr};
    dns_query_t query;
    int error;
    uint16_t rcode;
    if (dns_server_cache == NULL ||
        set_client(&address, client, client_size) != NGX_OK ||
        dns_query_parse(&query, (const uint8_t *) packet, size, transport,
                        &error) != DNS_OK) {
        return 0;
    }
    const uint32_t view = lua_toboolean(L, 4) ? server->conf->hook_view
                                              : dns_server_view(&request);
    size = dns_cache_get(dns_server_cache, &query, view,
                         resolua_clock_seconds(), out, &rcode);
    if (size == 0) {
        return 0;
    }
    lua_pushlstring(L, (char *) out, size);
    return 1;
}


/* servers.remote_zone(name): the zone of a networked store that holds the name
   (wire form, lower case), in wire form; nil: none. */
static int
remote_zone(lua_State *L)
{
    size_t size;
    const char *wire = luaL_checklstring(L, 1, &size);
    size_t name_size;
    const dns_name_t *apex;
    dns_name_t name;
    luaL_argcheck(
        L, dns_name_check((const uint8_t *) wire, size, &name_size) == DNS_OK,
        1, "not a domain name");
    dns_name_set(&name, (const uint8_t *) wire);
    if (dns_remote_count == 0 ||
        dns_remote_find(&name, &apex) != DNS_REMOTE_YES) {
        return 0;
    }
    lua_pushlstring(L, (const char *) apex->octets, apex->size);
    return 1;
}


/* The end of asking: Lua gets the answer, or nil for none. */
static void
answered(void *data, const uint8_t *answer, size_t size)
{
    asking_t *asking = data;
    resolua_thread_t *thread = asking->thread;
    ngx_free(asking);
    if (answer == NULL) { /* nobody waits any more */
        return;
    }
    lua_State *L = resolua_thread_state(thread);
    if (size > 0) {
        lua_pushlstring(L, (const char *) answer, size);
    } else {
        lua_pushnil(L);
    }
    resolua_thread_wake(thread, 1);
}


/* From the event loop, where no other coroutine runs. */
static void
start(ngx_event_t *ev)
{
    static uint8_t out[ANSWER_MAX];
    asking_t *asking = ev->data;
    dns_server_request_t *request = &asking->request;
    request->out = out;
    if (dns_server_handle(request) == DNS_ANSWERED) {
        answered(asking, out, request->size);
        return;
    }
    asking->pending = request->pending;
    dns_server_wait(request->pending, answered, asking);
}


static void
cancel(void *data)
{
    asking_t *asking = data;
    if (asking->event.posted) {
        ngx_delete_posted_event(&asking->event);
    }
    if (asking->pending != NULL) {
        dns_server_cancel(asking->pending); /* answered() frees it */
        return;
    }
    ngx_free(asking);
}


/* The server's rules without its hooks: a dry run calls those itself. */
static const dns_server_conf_t *
plain_conf(server_t *server)
{
    server->plain = *server->conf;
    server->plain.on_query = server->plain.on_answer = server->plain.on_log =
        NULL;
    return &server->plain;
}


/* As the server's access rules (allow, deny) have it. */
static ngx_uint_t
is_allowed(const dns_server_conf_t *conf, const struct sockaddr *client)
{
    return conf->allows == NULL || conf->allows(conf->rules, client);
}


/* The default server: without a server {} that serves DNS, look-ups are
   answered from the zones and, for clients that may, by the upstreams of the
   first dns_forward. */
static const dns_server_conf_t *
default_conf(void)
{
    static dns_server_conf_t conf;
    const dns_main_conf_t *main_conf = dns_main_conf((ngx_cycle_t *) ngx_cycle);
    dns_server_conf_t none;
    if (conf.udp_size == 0) { /* not made yet */
        dns_server_conf_init(&conf);
        dns_server_conf_init(&none);
        conf.forward = main_conf->forward;
        dns_server_conf_merge(&conf, &none);
    }
    return &conf;
}


/* The arguments forward and new_name, a name in wire form; empty: not given. */
static void
read_route(lua_State *L, int arg, asking_t *asking)
{
    size_t forward_size;
    size_t name_size;
    size_t checked;
    const char *forward = luaL_optlstring(L, arg, "", &forward_size);
    const char *name = luaL_optlstring(L, arg + 1, "", &name_size);
    if (forward_size <= sizeof(asking->forward)) {
        ngx_memcpy(asking->forward, forward, forward_size);
        asking->route.forward =
            (ngx_str_t){forward_size, (u_char *) asking->forward};
    }
    if (name_size > 0 &&
        dns_name_check((const uint8_t *) name, name_size, &checked) == DNS_OK) {
        dns_name_set(&asking->route.new_name, (const uint8_t *) name);
    }
    if (asking->route.forward.len > 0 || asking->route.new_name.size > 0) {
        asking->request.route = &asking->route;
    }
}


/* The server's own rules, or for a dry run, which calls the hooks itself, those
   without hooks. */
static const dns_server_conf_t *
conf_for(lua_State *L, int as_client)
{
    if (lua_tointeger(L, 1) == 0) {
        return default_conf();
    }
    server_t *server = check_server(L, 1);
    return as_client ? server->conf : plain_conf(server);
}


static asking_t *
asking_new(lua_State *L, const dns_server_conf_t *conf, int as_client)
{
    size_t size;
    size_t client_size;
    const char *packet = luaL_checklstring(L, 2, &size);
    const char *client = luaL_checklstring(L, 4, &client_size);
    const dns_transport_t transport = check_transport(L, 3);
    luaL_argcheck(L, size <= PACKET_MAX, 2, "too long");
    asking_t *asking = ngx_calloc(sizeof(*asking), ngx_cycle->log);
    if (asking == NULL) {
        luaL_error(L, "no memory");
    }
    if (set_client(&asking->client, client, client_size) != NGX_OK) {
        ngx_free(asking);
        luaL_argerror(L, 4, "not an address");
    }
    ngx_memcpy(asking->packet, packet, size);
    asking->request = (dns_server_request_t){.conf = conf,
                                             .client = &asking->client.sockaddr,
                                             .packet = asking->packet,
                                             .packet_size = size,
                                             .log = ngx_cycle->log,
                                             .transport = transport,
                                             .skip_hooks = !as_client};
    return asking;
}


/* servers.answer(number, packet, transport, client, as_client?, forward?,
   new_name?): what the cache, the zones and the upstreams say; number 0:
   without a server; as_client: with the server's hooks and access rules, as the
   client's own query; forward, new_name: what a query hook has said.  nil:
   nothing; nil, "denied": the rules do not let the client in.  Sleeps. */
static int
answer(lua_State *L)
{
    const int as_client = lua_toboolean(L, 5);
    const dns_server_conf_t *conf = conf_for(L, as_client);
    resolua_thread_t *thread = resolua_thread_checked(L);
    asking_t *asking = asking_new(L, conf, as_client);
    if (as_client && !is_allowed(conf, &asking->client.sockaddr)) {
        ngx_free(asking);
        lua_pushnil(L);
        lua_pushliteral(L, "denied");
        return 2;
    }
    read_route(L, 6, asking);
    asking->thread = thread;
    asking->event.handler = start;
    asking->event.data = asking;
    asking->event.log = ngx_cycle->log;
    ngx_post_event(&asking->event, &ngx_posted_events);
    return resolua_thread_sleep(thread, cancel, asking);
}


/* servers.allows(number, client): do the server's access rules let it in? */
static int
allows(lua_State *L)
{
    const server_t *server = check_server(L, 1);
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);
    ngx_sockaddr_t client;
    luaL_argcheck(L, set_client(&client, text, size) == NGX_OK, 2,
                  "not an address");
    lua_pushboolean(L, is_allowed(server->conf, &client.sockaddr) != 0);
    return 1;
}


static void
trial_free(trial_t *trial)
{
    resolua_request_end(&trial->request);
    luaL_unref(resolua_vm, LUA_REGISTRYINDEX, trial->function);
    ngx_free(trial);
}


static void
trial_ended(resolua_request_t *r, ngx_int_t rc)
{
    trial_t *trial = r->data;
    resolua_thread_t *thread = trial->thread;
    trial_free(trial);
    lua_pushinteger(resolua_thread_state(thread), rc);
    resolua_thread_wake(thread, 1);
}


/* From the event loop, where no other coroutine runs. */
static void
trial_start(ngx_event_t *ev)
{
    trial_t *trial = ev->data;
    resolua_request_t *r = &trial->request;
    lua_rawgeti(resolua_vm, LUA_REGISTRYINDEX, trial->function);
    const ngx_int_t rc = trial->phase == RESOLUA_DNS_QUERY
                             ? resolua_run_function(r, 0, trial->phase)
                             : resolua_run_function_sync(r, 0, trial->phase, 0);
    if (rc != NGX_AGAIN) {
        trial_ended(r, rc);
    }
}


static void
trial_cancel(void *data)
{
    trial_t *trial = data;
    if (trial->event.posted) {
        ngx_delete_posted_event(&trial->event);
    }
    trial_free(trial);
}


/* servers.run_hook(call, is_answer): calls call() as a query's hook is called,
   where the HTTP request that asks is out of reach.  0, what ngx.exit was
   given, or -1: it has failed.  Sleeps. */
static int
run_hook(lua_State *L)
{
    static const resolua_host_t host = {
        .subsystem = "stream",
        .resumed = trial_ended,
    };
    luaL_checktype(L, 1, LUA_TFUNCTION);
    resolua_thread_t *thread = resolua_thread_checked(L);
    trial_t *trial = ngx_calloc(sizeof(*trial), ngx_cycle->log);
    if (trial == NULL) {
        return luaL_error(L, "no memory");
    }
    resolua_request_init(&trial->request, &host, trial, NULL, ngx_cycle->log);
    trial->phase = lua_toboolean(L, 2) ? RESOLUA_DNS_ANSWER : RESOLUA_DNS_QUERY;
    trial->thread = thread;
    lua_pushvalue(L, 1);
    trial->function = luaL_ref(L, LUA_REGISTRYINDEX);
    trial->event.handler = trial_start;
    trial->event.data = trial;
    trial->event.log = ngx_cycle->log;
    ngx_post_event(&trial->event, &ngx_posted_events);
    return resolua_thread_sleep(thread, trial_cancel, trial);
}


static int
open_module(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"list", list},
        {"cached", cached},
        {"remote_zone", remote_zone},
        {"answer", answer},
        {"allows", allows},
        {"recurses", recurses},
        {"run_hook", run_hook},
        {NULL, NULL},
    };
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}


void
dns_explain_setup(lua_State *L)
{
    resolua_vm_preload(L, "dns.servers", open_module);
}
