#include "runtime/balancer.h"

#include "runtime/private/api.h"
#include "runtime/vm.h"

enum {
    FIRST_STATUS = 300,   /* what ngx.exit may end the request with */
    IDLE_TIMEOUT = 60000, /* ms */
    REQUESTS_MAX = 100
};

/* Whose chunk runs. */
static resolua_balancer_t *current;


/* Sessions are kept with round robin's peers; those that a chunk picks are not
   among them. */
static ngx_int_t
set_session(ngx_peer_connection_t *pc, void *data)
{
    const resolua_balancer_t *b = data;
    return b->sockaddr == NULL && b->inner_set_session != NULL
               ? b->inner_set_session(pc, b->inner)
               : NGX_OK;
}


static void
save_session(ngx_peer_connection_t *pc, void *data)
{
    const resolua_balancer_t *b = data;
    if (b->sockaddr == NULL && b->inner_save_session != NULL) {
        b->inner_save_session(pc, b->inner);
    }
}


void
resolua_balancer_init(resolua_balancer_t *b,
                      const resolua_balancer_host_t *host, void *data,
                      ngx_peer_connection_t *pc, ngx_pool_t *pool)
{
    ngx_memzero(b, sizeof(*b));
    b->host = host;
    b->data = data;
    b->pc = pc;
    b->pool = pool;
    b->inner = pc->data;
    b->inner_get = pc->get;
    b->inner_free = pc->free;
    b->inner_set_session = pc->set_session;
    b->inner_save_session = pc->save_session;
    pc->data = b;
    pc->free = resolua_balancer_free;
    pc->set_session = set_session;
    pc->save_session = save_session;
}


/* The first pick is one try: a retry has to be asked for. */
static void
use_pick(resolua_balancer_t *b)
{
    ngx_peer_connection_t *pc = b->pc;
    pc->sockaddr = b->sockaddr;
    pc->socklen = b->socklen;
    pc->name = &b->name;
    pc->cached = 0;
    pc->connection = NULL;
    if (b->attempts == 1) {
        pc->tries = 1;
    }
    pc->tries += b->more_tries;
    if (b->peer_host.len > 0 && b->host->set_host != NULL) {
        b->host->set_host(b, &b->peer_host);
    }
}


ngx_int_t
resolua_balancer_run(resolua_balancer_t *b, resolua_request_t *r,
                     resolua_code_t *code)
{
    resolua_balancer_t *before = current;
    b->sockaddr = NULL;
    b->more_tries = 0;
    b->keeps = 0;
    b->peer_host.len = 0;
    b->attempts++;
    current = b;
    const ngx_int_t rc = resolua_run_sync(r, code, RESOLUA_BALANCER, 0);
    current = before;
    if (rc != NGX_OK) {
        return rc >= FIRST_STATUS ? rc : NGX_ERROR;
    }
    if (b->sockaddr == NULL) {
        return b->inner_get(b->pc, b->inner);
    }
    use_pick(b);
    return NGX_OK;
}


void
resolua_balancer_free(ngx_peer_connection_t *pc, void *data, ngx_uint_t state)
{
    resolua_balancer_t *b = data;
    b->last_state = state;
    if (b->sockaddr == NULL) {
        b->inner_free(pc, b->inner, state);
    } else if (pc->tries > 0) {
        pc->tries--;
    }
}


/* The running chunk's; raises in any other phase. */
static resolua_balancer_t *
check_current(lua_State *L)
{
    (void) resolua_request(L);
    (void) resolua_check_phase(L, RESOLUA_BALANCER);
    if (current == NULL) {
        luaL_error(L, "no upstream found");
    }
    return current;
}


static int
succeed(lua_State *L)
{
    lua_pushboolean(L, 1);
    return 1;
}


/* A copy in the request's pool. */
static ngx_str_t
copy_text(lua_State *L, int arg, ngx_pool_t *pool)
{
    ngx_str_t text;
    const char *from = luaL_checklstring(L, arg, &text.len);
    text.data = ngx_pnalloc(pool, text.len + 1);
    if (text.data == NULL) {
        luaL_error(L, "no memory");
    } else {
        *ngx_cpymem(text.data, from, text.len) = '\0';
    }
    return text;
}


static ngx_int_t
parse_unix(ngx_pool_t *pool, const ngx_str_t *text, ngx_addr_t *addr)
{
    ngx_url_t url;
    ngx_memzero(&url, sizeof(url));
    url.url = *text;
    url.no_resolve = 1;
    if (ngx_parse_url(pool, &url) != NGX_OK) {
        return NGX_ERROR;
    }
    *addr = url.addrs[0];
    return NGX_OK;
}


/* The address with the port behind it.  NULL, or why not. */
static const char *
parse_peer(lua_State *L, int arg, ngx_pool_t *pool, ngx_addr_t *addr)
{
    const ngx_str_t text = copy_text(L, arg, pool);
    const lua_Integer port = luaL_optinteger(L, arg + 1, 0);
    if (port < 0 || port > 65535) {
        return "bad port";
    }
    if (ngx_strncmp(text.data, "unix:", 5) == 0) {
        return parse_unix(pool, &text, addr) == NGX_OK ? NULL : "bad path";
    }
    if (ngx_parse_addr_port(pool, addr, text.data, text.len) != NGX_OK) {
        return "no host allowed";
    }
    if (port > 0) {
        ngx_inet_set_port(addr->sockaddr, (in_port_t) port);
    }
    addr->name.data = ngx_pnalloc(pool, NGX_SOCKADDR_STRLEN);
    if (addr->name.data == NULL) {
        return "no memory";
    }
    addr->name.len = ngx_sock_ntop(addr->sockaddr, addr->socklen,
                                   addr->name.data, NGX_SOCKADDR_STRLEN, 1);
    return NULL;
}


/* set_current_peer(address, port?, host?) */
static int
set_current_peer(lua_State *L)
{
    resolua_balancer_t *b = check_current(L);
    ngx_addr_t addr;
    const char *wrong = parse_peer(L, 1, b->pool, &addr);
    if (wrong != NULL) {
        return resolua_fail(L, wrong);
    }
    if (!lua_isnoneornil(L, 3)) {
        b->peer_host = copy_text(L, 3, b->pool);
    }
    b->sockaddr = addr.sockaddr;
    b->socklen = addr.socklen;
    b->name = addr.name;
    return succeed(L);
}


/* set_more_tries(count) */
static int
set_more_tries(lua_State *L)
{
    resolua_balancer_t *b = check_current(L);
    const lua_Integer count = luaL_checkinteger(L, 1);
    luaL_argcheck(L, count >= 0 && count < 65536, 1, "bad count");
    const ngx_uint_t max = b->host->max_tries(b);
    const ngx_uint_t left = b->attempts == 1 ? 1 : b->pc->tries;
    const ngx_uint_t tries = b->attempts - 1 + left; /* without the new ones */
    b->more_tries = (ngx_uint_t) count;
    lua_pushboolean(L, 1);
    if (max == 0 || tries + b->more_tries <= max) {
        return 1;
    }
    b->more_tries = max > tries ? max - tries : 0;
    lua_pushliteral(L, "reduced tries due to limit");
    return 2;
}


/* get_last_failure(): nil, or the state's name and the status */
static int
get_last_failure(lua_State *L)
{
    const resolua_balancer_t *b = check_current(L);
    if (b->attempts < 2) {
        return 0;
    }
    lua_pushstring(L, b->last_state & NGX_PEER_NEXT     ? "next"
                      : b->last_state & NGX_PEER_FAILED ? "failed"
                                                        : "unknown");
    lua_pushinteger(L, b->host->last_status == NULL
                           ? 0
                           : (lua_Integer) b->host->last_status(b));
    return 2;
}


/* The seconds at arg as milliseconds; 0: nil. */
static ngx_msec_t
check_timeout(lua_State *L, int arg, const char *bad)
{
    const lua_Number seconds = luaL_optnumber(L, arg, 1);
    if (!(seconds > 0 && seconds < 2e6)) {
        luaL_error(L, "%s", bad);
    }
    const ngx_msec_t ms = (ngx_msec_t) (seconds * 1000);
    return lua_isnoneornil(L, arg) ? 0 : ngx_max(ms, 1);
}


/* set_timeouts(connect, send, read), in seconds */
static int
set_timeouts(lua_State *L)
{
    resolua_balancer_t *b = check_current(L);
    const ngx_msec_t connect = check_timeout(L, 1, "bad connect timeout");
    const ngx_msec_t send = check_timeout(L, 2, "bad send timeout");
    const ngx_msec_t read = check_timeout(L, 3, "bad read timeout");
    return b->host->set_timeouts(b, connect, send, read) == NGX_OK
               ? succeed(L)
               : resolua_fail(L, "no memory");
}


static int
recreate_request(lua_State *L)
{
    resolua_balancer_t *b = check_current(L);
    const char *wrong = b->host->recreate != NULL
                            ? b->host->recreate(b)
                            : "not supported in this subsystem";
    return wrong == NULL ? succeed(L) : resolua_fail(L, wrong);
}


/* enable_keepalive(idle_timeout = 60, requests_max = 100) */
static int
enable_keepalive(lua_State *L)
{
    resolua_balancer_t *b = check_current(L);
    if (!b->host->keeps_connections) {
        return resolua_fail(L, "not supported in this subsystem");
    }
    const lua_Number idle = luaL_optnumber(L, 1, IDLE_TIMEOUT / 1000.0);
    const lua_Integer requests = luaL_optinteger(L, 2, REQUESTS_MAX);
    luaL_argcheck(L, idle >= 0 && idle < 2e6, 1, "bad idle_timeout");
    luaL_argcheck(L, requests >= 0, 2, "bad max_requests");
    if (b->sockaddr == NULL) {
        return resolua_fail(L, "no current peer set");
    }
    b->idle_timeout = (ngx_msec_t) (idle * 1000);
    b->requests_max = (ngx_uint_t) requests;
    b->keeps = 1;
    return succeed(L);
}


/* bind_to_local_addr(address) */
static int
bind_to_local_addr(lua_State *L)
{
    resolua_balancer_t *b = check_current(L);
    ngx_addr_t *addr = ngx_pcalloc(b->pool, sizeof(*addr));
    const ngx_str_t text = copy_text(L, 1, b->pool);
    if (addr == NULL ||
        ngx_parse_addr_port(b->pool, addr, text.data, text.len) != NGX_OK) {
        return resolua_fail(L, "invalid addr");
    }
    addr->name = text;
    b->pc->local = addr;
    return succeed(L);
}


static int
open_balancer(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"set_current_peer", set_current_peer},
        {"set_more_tries", set_more_tries},
        {"get_last_failure", get_last_failure},
        {"set_timeouts", set_timeouts},
        {"recreate_request", recreate_request},
        {"enable_keepalive", enable_keepalive},
        {"bind_to_local_addr", bind_to_local_addr},
        {NULL, NULL},
    };
    lua_createtable(L, 0, 7);
    luaL_register(L, NULL, functions);
    return 1;
}


void
resolua_balancer_setup(lua_State *L)
{
    resolua_vm_preload(L, "ngx.balancer", open_balancer);
}
