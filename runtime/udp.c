/* ngx.socket.udp: one peer, datagrams out and in. */

#include "runtime/private/api.h"
#include "runtime/private/tcp.h"
#include "runtime/text.h"
#include "runtime/vm.h"

enum {
    DATAGRAM_MAX = 65536 /* octets */
};

typedef struct {
    ngx_connection_t *connection; /* NULL: no peer yet */
    resolua_request_t *request;   /* NULL: ended */
    resolua_cleanup_t cleanup;
    resolua_peer_t peer;
    ngx_str_t host;           /* owned */
    ngx_sockaddr_t local;     /* of bind() */
    socklen_t local_size;     /* 0: none */
    ngx_msec_t timeout;       /* ms */
    size_t max;               /* octets that receive() wants */
    resolua_thread_t *thread; /* sleeps in setpeername or receive */
} udp_t;

static const char metatable[] = "resolua.udp";


static udp_t *
check(lua_State *L)
{
    udp_t *udp = luaL_checkudata(L, 1, metatable);
    if (udp->request != resolua_request(L)) {
        luaL_error(L, "bad request");
    }
    return udp;
}


static void
udp_close(udp_t *udp)
{
    resolua_peer_cancel(&udp->peer);
    if (udp->connection != NULL) {
        ngx_close_connection(udp->connection);
        udp->connection = NULL;
    }
    udp->thread = NULL;
}


static void
on_request_end(void *data)
{
    udp_t *udp = data;
    udp_close(udp);
    udp->request = NULL;
}


static int
collect(lua_State *L)
{
    udp_t *udp = lua_touserdata(L, 1);
    if (udp->request != NULL) {
        resolua_request_cleanup_remove(&udp->cleanup);
    }
    udp_close(udp);
    if (udp->host.data != NULL) {
        ngx_free(udp->host.data);
    }
    return 0;
}


/* ngx.socket.udp() */
static int
udp_new(lua_State *L)
{
    resolua_check_phase(L, RESOLUA_SOCKET_PHASES);
    resolua_request_t *r = resolua_request(L);
    udp_t *udp = lua_newuserdata(L, sizeof(*udp));
    ngx_memzero(udp, sizeof(*udp));
    udp->request = r;
    udp->timeout = r->sockets->read_timeout;
    udp->cleanup.handler = on_request_end;
    udp->cleanup.data = udp;
    resolua_request_cleanup_link(r, &udp->cleanup);
    luaL_getmetatable(L, metatable);
    lua_setmetatable(L, -2);
    return 1;
}


static void
ignore(ngx_event_t *ev)
{
    (void) ev;
}


/* A Unix peer answers to a name: the kernel gives the socket one. */
static int
bind_unix(int fd)
{
    const struct sockaddr_un none = {.sun_family = AF_UNIX};
    return bind(fd, (const struct sockaddr *) &none, sizeof(sa_family_t));
}


static ngx_int_t
udp_open(udp_t *udp)
{
    static ngx_log_t silent;
    static ngx_str_t name = ngx_string("cosocket");
    ngx_addr_t local = {.sockaddr = &udp->local.sockaddr,
                        .socklen = udp->local_size};
    ngx_peer_connection_t pc;
    ngx_memzero(&pc, sizeof(pc));
    pc.sockaddr = &udp->peer.address.sockaddr;
    pc.socklen = udp->peer.address_size;
    pc.name = &name;
    pc.get = ngx_event_get_peer;
    pc.type = SOCK_DGRAM;
    pc.log = udp->request->sockets->log_errors ? udp->request->log : &silent;
    pc.log_error = NGX_ERROR_ERR;
    pc.local = udp->local_size > 0 ? &local : NULL;
    if (resolua_peer_connect(&udp->peer, &pc) != NGX_OK) {
        return NGX_ERROR;
    }
    ngx_connection_t *c = pc.connection;
    c->data = udp;
    c->log = c->read->log = c->write->log = (ngx_log_t *) ngx_cycle->log;
    c->read->handler = c->write->handler = ignore;
    udp->connection = c;
    if (pc.sockaddr->sa_family == AF_UNIX && bind_unix(c->fd) == -1) {
        resolua_peer_errno(&udp->peer, ngx_socket_errno);
        udp_close(udp);
        return NGX_ERROR;
    }
    return NGX_OK;
}


static int
push_peer(lua_State *L, udp_t *udp, ngx_int_t rc)
{
    return rc == NGX_OK ? tcp_succeed(L) : resolua_fail(L, udp->peer.error);
}


static void
on_found(void *owner, ngx_int_t rc)
{
    udp_t *udp = owner;
    resolua_thread_t *t = udp->thread;
    udp->thread = NULL;
    if (rc == NGX_OK) {
        rc = udp_open(udp);
    }
    resolua_thread_wake(t, push_peer(resolua_thread_state(t), udp, rc));
}


static void
on_cancel(void *data)
{
    udp_close(data);
}


static void
keep_host(lua_State *L, udp_t *udp)
{
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);
    if (udp->host.data != NULL) {
        ngx_free(udp->host.data);
    }
    udp->host.len = 0;
    udp->host.data = ngx_alloc(size + 1, ngx_cycle->log);
    if (udp->host.data == NULL) {
        luaL_error(L, "no memory");
    }
    ngx_memcpy(udp->host.data, text, size);
    udp->host.len = size;
}


/* setpeername(host, port) or setpeername("unix:PATH") */
static int
udp_setpeername(lua_State *L)
{
    udp_t *udp = check(L);
    if (lua_gettop(L) < 2 || lua_gettop(L) > 3) {
        return luaL_error(L,
                          "ngx.socket.udp setpeername: expecting 2 or 3 "
                          "arguments (including the object), but seen %d",
                          lua_gettop(L));
    }
    if (udp->thread != NULL) { /* a look-up may be reading the old name */
        return resolua_fail(L, "socket busy");
    }
    keep_host(L, udp);
    const int is_unix =
        udp->host.len >= 5 && ngx_strncmp(udp->host.data, "unix:", 5) == 0;
    const lua_Integer port = is_unix ? 0 : luaL_checkinteger(L, 3);
    if (port < 0 || port > 65535) {
        lua_pushnil(L);
        lua_pushfstring(L, "bad port number: %d", (int) port);
        return 2;
    }
    udp_close(udp);
    udp->peer.found = on_found;
    udp->peer.owner = udp;
    ngx_int_t rc = resolua_peer_find(&udp->peer, udp->request->sockets,
                                     udp->host, (in_port_t) port);
    if (rc == NGX_AGAIN) {
        udp->thread = resolua_thread(L);
        return resolua_thread_sleep(udp->thread, on_cancel, udp);
    }
    return push_peer(L, udp, rc == NGX_OK ? udp_open(udp) : rc);
}


/* bind(address, port?): what datagrams come from. */
static int
udp_bind(lua_State *L)
{
    udp_t *udp = check(L);
    size_t size;
    ngx_addr_t address;
    const char *text = luaL_checklstring(L, 2, &size);
    const lua_Integer port = luaL_optinteger(L, 3, 0);
    luaL_argcheck(L, port >= 0 && port <= 65535, 3, "bad port number");
    ngx_pool_t *pool = ngx_create_pool(RESOLUA_SMALL_POOL, ngx_cycle->log);
    if (pool == NULL) {
        return resolua_fail(L, "no memory");
    }
    const ngx_int_t rc = ngx_parse_addr(pool, &address, (u_char *) text, size);
    if (rc == NGX_OK) {
        ngx_memcpy(&udp->local, address.sockaddr, address.socklen);
        udp->local_size = address.socklen;
        ngx_inet_set_port(&udp->local.sockaddr, (in_port_t) port);
    }
    ngx_destroy_pool(pool);
    return rc == NGX_OK ? tcp_succeed(L) : resolua_fail(L, "bad address");
}


/* send(datagram): a string, number, boolean or nested array of these. */
static int
udp_send(lua_State *L)
{
    static u_char joined[DATAGRAM_MAX];
    udp_t *udp = check(L);
    size_t size;
    tcp_check_count(L, 2, 2);
    if (udp->connection == NULL) {
        return resolua_fail(L, "closed");
    }
    const u_char *octets = joined;
    if (lua_type(L, 2) == LUA_TSTRING) {
        octets = (const u_char *) lua_tolstring(L, 2, &size);
    } else {
        size = resolua_text_size(L, 2);
        if (size > DATAGRAM_MAX) {
            return resolua_fail(L, "message too long");
        }
        (void) resolua_text_copy(L, 2, joined);
    }
    if (send(udp->connection->fd, octets, size, 0) == -1) {
        resolua_peer_errno(&udp->peer, ngx_socket_errno);
        return resolua_fail(L, udp->peer.error);
    }
    return tcp_succeed(L);
}


/* One datagram.  0: there is none; else the count of the pushed values. */
static int
receive_step(lua_State *L, udp_t *udp)
{
    static u_char octets[DATAGRAM_MAX];
    ngx_connection_t *c = udp->connection;
    const ssize_t n = recv(c->fd, octets, udp->max, 0);
    if (n >= 0) {
        lua_pushlstring(L, (char *) octets, (size_t) n);
        return 1;
    }
    if (ngx_socket_errno == NGX_EAGAIN) {
        c->read->ready = 0;
        return 0;
    }
    resolua_peer_errno(&udp->peer, ngx_socket_errno);
    return resolua_fail(L, udp->peer.error);
}


static void
stop_waiting(void *data)
{
    udp_t *udp = data;
    ngx_connection_t *c = udp->connection;
    udp->thread = NULL;
    if (c != NULL) {
        c->read->handler = ignore;
        if (c->read->timer_set) {
            ngx_del_timer(c->read);
        }
    }
}


static void
on_readable(ngx_event_t *ev)
{
    ngx_connection_t *c = ev->data;
    udp_t *udp = c->data;
    resolua_thread_t *t = udp->thread;
    lua_State *L = resolua_thread_state(t);
    int count;
    if (ev->timedout) {
        ev->timedout = 0;
        count = resolua_fail(L, "timeout");
    } else {
        count = receive_step(L, udp);
        if (count == 0) {
            (void) ngx_handle_read_event(c->read, 0);
            return;
        }
    }
    stop_waiting(udp);
    resolua_thread_wake(t, count);
}


/* receive(max?) */
static int
udp_receive(lua_State *L)
{
    udp_t *udp = check(L);
    const lua_Integer max = luaL_optinteger(L, 2, DATAGRAM_MAX);
    luaL_argcheck(L, max > 0, 2, "bad number of bytes");
    if (udp->connection == NULL) {
        return resolua_fail(L, "closed");
    }
    if (udp->thread != NULL) {
        return resolua_fail(L, "socket busy");
    }
    udp->max = ngx_min((size_t) max, (size_t) DATAGRAM_MAX);
    const int count = receive_step(L, udp);
    if (count > 0) {
        return count;
    }
    ngx_connection_t *c = udp->connection;
    udp->thread = resolua_thread(L);
    c->read->handler = on_readable;
    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        stop_waiting(udp);
        return resolua_fail(L, "the socket cannot be watched");
    }
    ngx_add_timer(c->read, udp->timeout);
    return resolua_thread_sleep(udp->thread, stop_waiting, udp);
}


static int
udp_settimeout(lua_State *L)
{
    udp_t *udp = check(L);
    const lua_Number ms = luaL_checknumber(L, 2);
    luaL_argcheck(L, ms >= 0 && ms <= 0x7fffffff, 2, "bad timeout value");
    udp->timeout =
        ms > 0 ? (ngx_msec_t) ms : udp->request->sockets->read_timeout;
    return 0;
}


static int
udp_close_method(lua_State *L)
{
    udp_t *udp = check(L);
    if (udp->connection == NULL) {
        return resolua_fail(L, "closed");
    }
    if (udp->thread != NULL) {
        return resolua_fail(L, "socket busy");
    }
    udp_close(udp);
    return tcp_succeed(L);
}


void
resolua_udp_setup(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"setpeername", udp_setpeername},
        {"bind", udp_bind},
        {"send", udp_send},
        {"receive", udp_receive},
        {"settimeout", udp_settimeout},
        {"close", udp_close_method},
        {NULL, NULL},
    };
    luaL_newmetatable(L, metatable);
    lua_newtable(L);
    luaL_register(L, NULL, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);

    lua_getfield(L, -1, "socket");
    lua_pushcfunction(L, udp_new);
    lua_setfield(L, -2, "udp");
    lua_pop(L, 1);
}
