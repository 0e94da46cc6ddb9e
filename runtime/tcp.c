/* ngx.socket.tcp: the object, connecting. */

#include "runtime/private/tcp.h"

#include "runtime/private/api.h"
#include "runtime/vm.h"

static const char metatable[] = "resolua.tcp";
static const void *metatable_address; /* in the one VM that has sockets */


void
tcp_check_count(lua_State *L, int least, int most)
{
    const int count = lua_gettop(L);
    if (count >= least && count <= most) {
        return;
    }
    if (least == most) {
        luaL_error(L,
                   "expecting %d arguments (including the object), but got %d",
                   least, count);
    }
    luaL_error(L,
               "expecting %d or %d arguments (including the object), but got "
               "%d",
               least, most, count);
}


int
tcp_succeed(lua_State *L)
{
    lua_pushinteger(L, 1);
    return 1;
}


tcp_t *
tcp_check(lua_State *L)
{
    tcp_t *tcp = lua_touserdata(L, 1);
    const void *found = NULL;
    if (tcp != NULL && lua_getmetatable(L, 1)) {
        found = lua_topointer(L, -1);
        lua_pop(L, 1);
    }
    if (found != metatable_address) {
        tcp = client_socket_at(L, 1);
    }
    if (tcp == NULL) {
        tcp = luaL_checkudata(L, 1, metatable); /* says what is wrong */
    }
    if (tcp->request != resolua_request(L)) {
        luaL_error(L, "bad request");
    }
    return tcp;
}


const resolua_socket_conf_t *
tcp_conf(const tcp_t *tcp)
{
    return tcp->request->sockets;
}


/* Nobody waits: what comes is seen by the next call. */
void
tcp_on_idle(ngx_event_t *ev)
{
    ev->timedout = 0;
}


void
tcp_rest(tcp_t *tcp)
{
    ngx_connection_t *c = tcp->link.connection;
    if (tcp->reading == NULL) {
        if (!tcp->link.is_borrowed) {
            c->read->handler = tcp_on_idle;
        }
        if (c->read->timer_set) {
            ngx_del_timer(c->read);
        }
    }
    if (tcp->writing == NULL) {
        if (!tcp->link.is_borrowed) {
            c->write->handler = tcp_on_idle;
        }
        if (c->write->timer_set) {
            ngx_del_timer(c->write);
        }
    }
}


void
tcp_link_close(tcp_link_t *link)
{
    ngx_connection_t *c = link->connection;
    tcp_pool_t *pool = link->pool;
    if (link->buffer != NULL) {
        ngx_free(link->buffer);
    }
    if (link->session != NULL) {
        link->session->free(link->session);
    }
    if (c != NULL && !link->is_borrowed) {
        ngx_pool_t *memory = c->pool;
        if (c->ssl != NULL) {
            c->ssl->no_wait_shutdown = 1;
            (void) ngx_ssl_shutdown(c);
        }
        ngx_close_connection(c);
        if (memory != NULL) {
            ngx_destroy_pool(memory);
        }
    }
    ngx_memzero(link, sizeof(*link));
    if (pool != NULL) {
        tcp_pool_release(pool);
    }
}


static void
drop_session(tcp_t *tcp)
{
    tcp_session_t *session = tcp->session;
    tcp->session = NULL;
    if (session != NULL) {
        session->free(session);
    }
}


void
tcp_close(tcp_t *tcp)
{
    resolua_peer_cancel(&tcp->peer);
    tcp_pool_leave(tcp);
    if (tcp->queue_timer.posted) {
        ngx_delete_posted_event(&tcp->queue_timer);
    }
    tcp->has_link = 0;
    tcp->reads_next = 0;
    tcp_parser_free(tcp);
    drop_session(tcp);
    tcp_link_close(&tcp->link);
    if (tcp->output != NULL) {
        ngx_free(tcp->output);
        tcp->output = NULL;
    }
    tcp->reading = NULL;
    tcp->writing = NULL;
    tcp->failed = NULL;
}


/* The request is over. */
static void
on_request_end(void *data)
{
    tcp_t *tcp = data;
    tcp_close(tcp);
    tcp->request = NULL;
    if (resolua_vm != NULL) {
        luaL_unref(resolua_vm, LUA_REGISTRYINDEX, tcp->self_ref);
    }
}


static int
collect(lua_State *L)
{
    tcp_t *tcp = lua_touserdata(L, 1);
    if (tcp->request != NULL) {
        resolua_request_cleanup_remove(&tcp->cleanup);
    }
    tcp_close(tcp);
    resolua_reader_free(&tcp->reader);
    if (tcp->pool_name.data != NULL) {
        ngx_free(tcp->pool_name.data);
    }
    if (tcp->host.data != NULL) {
        ngx_free(tcp->host.data);
    }
    tcp_ssl_free(tcp);
    if (tcp->server_name.data != NULL) {
        ngx_free(tcp->server_name.data);
    }
    if (tcp->local != NULL) {
        ngx_free(tcp->local);
    }
    return 0;
}


tcp_t *
tcp_push(lua_State *L, resolua_request_t *r, const char *name)
{
    const resolua_socket_conf_t *conf = r->sockets;
    tcp_t *tcp = lua_newuserdata(L, sizeof(*tcp));
    ngx_memzero(tcp, sizeof(*tcp));
    tcp->request = r;
    tcp->connect_timeout = conf->connect_timeout;
    tcp->send_timeout = conf->send_timeout;
    tcp->read_timeout = conf->read_timeout;
    tcp->cleanup.handler = on_request_end;
    tcp->cleanup.data = tcp;
    tcp->self_ref = LUA_NOREF;
    resolua_request_cleanup_link(r, &tcp->cleanup);
    luaL_getmetatable(L, name);
    lua_setmetatable(L, -2);
    return tcp;
}


/* ngx.socket.tcp() */
static int
tcp_new(lua_State *L)
{
    resolua_check_phase(L, RESOLUA_SOCKET_PHASES);
    (void) tcp_push(L, resolua_request(L), metatable);
    return 1;
}


/* Ends a connect: what it returns to Lua. */
static int
push_connected(lua_State *L, tcp_t *tcp, ngx_int_t rc)
{
    tcp_session_t *session = tcp->link.session;
    if (rc == NGX_OK) {
        drop_session(tcp); /* a kept connection has its own */
        tcp_rest(tcp);
        return tcp_succeed(L);
    }
    int count = resolua_fail(L, tcp->peer.error);
    if (session != NULL) {
        count += session->push_error(session, L);
    }
    tcp_close(tcp);
    return count;
}


void
tcp_connect_again(tcp_t *tcp, ngx_int_t rc)
{
    resolua_thread_t *t = tcp->writing;
    if (rc == NGX_AGAIN) {
        return;
    }
    tcp->writing = NULL;
    resolua_thread_wake(t, push_connected(resolua_thread_state(t), tcp, rc));
}


/* The kernel has an outcome. */
static void
on_connected(ngx_event_t *ev)
{
    ngx_connection_t *c = ev->data;
    tcp_t *tcp = c->data;
    int err = 0;
    socklen_t size = sizeof(err);
    if (c->write->timedout) {
        c->write->timedout = 0;
        ngx_memcpy(tcp->peer.error, "timeout", sizeof("timeout"));
        tcp_connect_again(tcp, NGX_ERROR);
        return;
    }
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &size) == -1) {
        err = ngx_socket_errno;
    }
    if (err != 0) {
        resolua_peer_errno(&tcp->peer, err);
        if (tcp_conf(tcp)->log_errors) {
            ngx_log_error(NGX_LOG_ERR, tcp->request->log, err,
                          "connect() of a cosocket failed");
        }
    }
    tcp_connect_again(tcp, err == 0 ? NGX_OK : NGX_ERROR);
}


/* Connects to tcp->peer.  NGX_OK, NGX_AGAIN, or NGX_ERROR with peer.error. */
static ngx_int_t
tcp_open(tcp_t *tcp)
{
    static ngx_log_t silent;
    static ngx_str_t name = ngx_string("cosocket");
    ngx_peer_connection_t pc;
    const ngx_flag_t logs = tcp_conf(tcp)->log_errors;
    ngx_memzero(&pc, sizeof(pc));
    pc.sockaddr = &tcp->peer.address.sockaddr;
    pc.socklen = tcp->peer.address_size;
    pc.name = &name;
    pc.get = ngx_event_get_peer;
    pc.log = logs ? tcp->request->log : &silent;
    pc.log_error = NGX_ERROR_ERR;
    pc.local = tcp->local;
    const ngx_int_t rc = resolua_peer_connect(&tcp->peer, &pc);
    ngx_connection_t *c = pc.connection;
    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }
    tcp->link.connection = c;
    c->data = tcp;
    c->log = c->read->log = c->write->log = (ngx_log_t *) ngx_cycle->log;
    c->sendfile = 0;
    if (rc == NGX_AGAIN) {
        c->read->handler = c->write->handler = on_connected;
        ngx_add_timer(c->write, tcp->connect_timeout);
    }
    return rc;
}


static void
on_found(void *owner, ngx_int_t rc)
{
    tcp_t *tcp = owner;
    tcp_connect_again(tcp, rc == NGX_OK ? tcp->open(tcp) : rc);
}


/* Looks the name up and connects. */
static ngx_int_t
connect_new(tcp_t *tcp)
{
    tcp->peer.found = on_found;
    tcp->peer.owner = tcp;
    const ngx_int_t rc =
        resolua_peer_find(&tcp->peer, tcp_conf(tcp), tcp->host, tcp->port);
    return rc == NGX_OK ? tcp->open(tcp) : rc;
}


void
tcp_connect_turn(tcp_t *tcp)
{
    const unsigned has_link = tcp->has_link;
    tcp->has_link = 0;
    tcp_connect_again(tcp, has_link ? NGX_OK : connect_new(tcp));
}


enum { POOL_HOST_MAX = 256 }; /* octets of a pool's name without Lua's help */


static void
on_cancel(void *data)
{
    tcp_close(data);
}


static void
keep_text(lua_State *L, const ngx_str_t *from, ngx_str_t *text)
{
    if (text->data != NULL) {
        ngx_free(text->data);
    }
    text->len = 0;
    text->data = ngx_alloc(from->len + 1, ngx_cycle->log);
    if (text->data == NULL) {
        luaL_error(L, "no memory");
    }
    ngx_memcpy(text->data, from->data, from->len);
    text->len = from->len;
}


static ngx_str_t
text_at(lua_State *L, int index)
{
    ngx_str_t text;
    text.data = (u_char *) lua_tolstring(L, index, &text.len);
    return text;
}


/* The name of the connection's pool: options.pool, or the peer's.  It lies in
   room, or on the stack of Lua. */
static ngx_str_t
find_pool_name(lua_State *L, const tcp_t *tcp, int options, u_char *room)
{
    if (options > 0) {
        lua_getfield(L, options, "pool");
        if (lua_isstring(L, -1)) {
            return text_at(L, -1);
        }
        if (!lua_isnil(L, -1)) {
            lua_pushfstring(L, "bad \"pool\" option type: %s",
                            luaL_typename(L, -1));
            luaL_argerror(L, options, lua_tostring(L, -1));
        }
    }
    ngx_str_t name = text_at(L, 2);
    if (lua_isnil(L, 3)) {
        return name;
    }
    if (name.len > POOL_HOST_MAX) {
        lua_pushvalue(L, 2);
        lua_pushfstring(L, ":%d", (int) tcp->port);
        lua_concat(L, 2);
        return text_at(L, -1);
    }
    u_char *end = ngx_cpymem(room, name.data, name.len);
    end = ngx_sprintf(end, ":%ui", (ngx_uint_t) tcp->port);
    return (ngx_str_t){(size_t) (end - room), room};
}


static lua_Integer
get_count(lua_State *L, int options, const char *name)
{
    lua_Integer value = -1;
    if (options > 0) {
        lua_getfield(L, options, name);
        if (!lua_isnil(L, -1)) {
            value = lua_tointeger(L, -1);
            if (!lua_isnumber(L, -1)) {
                lua_pushfstring(L, "bad \"%s\" option type: %s", name,
                                luaL_typename(L, -1));
                luaL_argerror(L, options, lua_tostring(L, -1));
            }
            if (value < (name[0] == 'p')) {
                lua_pushfstring(L, "bad \"%s\" option value: %s", name,
                                lua_tostring(L, -1));
                luaL_argerror(L, options, lua_tostring(L, -1));
            }
        }
        lua_pop(L, 1);
    }
    return value;
}


/* connect(host, port, options?) or connect("unix:PATH", options?): puts them to
   2 to 4.  Otherwise nil and the reason are pushed, and 0 given. */
static int
check_target(lua_State *L)
{
    const int count = lua_gettop(L);
    if (count < 2 || count > 4) {
        luaL_error(L,
                   "ngx.socket connect: expecting 2, 3, or 4 arguments "
                   "(including the object), but seen %d",
                   count);
    }
    const char *host = luaL_checkstring(L, 2);
    if (ngx_strncmp(host, "unix:", 5) == 0) {
        lua_settop(L, 3);
        lua_pushnil(L);
        lua_insert(L, 3);
        return 1;
    }
    lua_settop(L, 4);
    if (!lua_isnumber(L, 3)) {
        resolua_fail(L, "missing the port number");
        return 0;
    }
    const lua_Integer port = lua_tointeger(L, 3);
    if (port < 0 || port > 65535) {
        lua_pushnil(L);
        lua_pushfstring(L, "bad port number: %d", (int) port);
        return 0;
    }
    return 1;
}


int
tcp_connect_by(lua_State *L, tcp_t *tcp, ngx_int_t (*open)(tcp_t *tcp),
               tcp_session_t *session)
{
    const int options = lua_istable(L, 4) ? 4 : 0;
    const int top = lua_gettop(L);
    u_char room[POOL_HOST_MAX + sizeof(":65535")];
    tcp_close(tcp);
    tcp->session = session;
    tcp->open = open;
    tcp->port = (in_port_t) lua_tointeger(L, 3);
    const ngx_str_t pool = find_pool_name(L, tcp, options, room);
    const lua_Integer size = get_count(L, options, "pool_size");
    const lua_Integer backlog = get_count(L, options, "backlog");
    ngx_int_t rc = tcp_pool_take(tcp, &pool, size, backlog);
    if (rc == NGX_OK) {
        return push_connected(L, tcp, rc);
    }
    if (rc == NGX_BUSY) {
        return resolua_fail(L, "too many waiting connect operations");
    }
    const ngx_str_t host = text_at(L, 2);
    keep_text(L, &host, &tcp->host);
    keep_text(L, &pool, &tcp->pool_name);
    lua_settop(L, top);
    if (rc == NGX_DECLINED) {
        rc = connect_new(tcp);
    }
    if (rc != NGX_AGAIN) {
        return push_connected(L, tcp, rc);
    }
    tcp->writing = resolua_thread(L);
    return resolua_thread_sleep(tcp->writing, on_cancel, tcp);
}


const char *
tcp_busy(const tcp_t *tcp)
{
    return tcp->reading != NULL   ? "socket busy reading"
           : tcp->writing == NULL ? NULL
           : tcp->output != NULL  ? "socket busy writing"
                                  : "socket busy connecting";
}


static int
tcp_connect(lua_State *L)
{
    tcp_t *tcp = tcp_check(L);
    if (tcp_busy(tcp) != NULL) {
        return resolua_fail(L, tcp_busy(tcp));
    }
    if (!check_target(L)) {
        return 2;
    }
    return tcp_connect_by(L, tcp, tcp_open, NULL);
}


/* ngx.socket.connect(...): a connected socket, or nil and why not. */
static const char connect_source[] = "local tcp = ngx.socket.tcp\n"
                                     "function ngx.socket.connect(...)\n"
                                     "    local socket = tcp()\n"
                                     "    local ok, err = socket:connect(...)\n"
                                     "    if not ok then return nil, err end\n"
                                     "    return socket\n"
                                     "end\n";


static int
tcp_close_method(lua_State *L)
{
    tcp_t *tcp = tcp_check(L);
    if (tcp->link.connection == NULL) {
        return resolua_fail(L, "closed");
    }
    if (tcp_busy(tcp) != NULL) {
        return resolua_fail(L, tcp_busy(tcp));
    }
    tcp_close(tcp);
    return tcp_succeed(L);
}


void
tcp_register(lua_State *L, const char *name, const luaL_Reg *methods)
{
    luaL_newmetatable(L, name);
    lua_newtable(L);
    luaL_register(L, NULL, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}


void
resolua_tcp_setup(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"connect", tcp_connect},
        {"settimeout", tcp_settimeout},
        {"settimeouts", tcp_settimeouts},
        {"close", tcp_close_method},
        {"shutdown", tcp_shutdown},
        {"bind", tcp_bind},
        {"setoption", tcp_setoption},
        {"getoption", tcp_getoption},
        {"send", tcp_send},
        {"receive", tcp_receive},
        {"receiveany", tcp_receiveany},
        {"receiveuntil", tcp_receiveuntil},
        {"peek", tcp_peek},
        {"setkeepalive", tcp_setkeepalive},
        {"getreusedtimes", tcp_getreusedtimes},
        {"sslhandshake", tcp_sslhandshake},
        {"setclientcert", tcp_setclientcert},
        {"settrustedstore", tcp_settrustedstore},
        {"getsslpointer", tcp_getsslpointer},
        {"getsslctx", tcp_getsslctx},
        {"getsslsession", tcp_getsslsession},
        {"getfd", tcp_getfd},
        {NULL, NULL},
    };
    tcp_register(L, metatable, methods);
    luaL_getmetatable(L, metatable);
    metatable_address = lua_topointer(L, -1);
    lua_pop(L, 1);
    resolua_client_socket_setup(L);
    lua_newtable(L);
    lua_pushcfunction(L, tcp_new);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "stream");
    lua_setfield(L, -2, "tcp");
    lua_setfield(L, -2, "socket");
    if (luaL_loadbuffer(L, connect_source, sizeof(connect_source) - 1,
                        "=ngx.socket") != 0 ||
        lua_pcall(L, 0, 0, 0) != 0) {
        lua_pop(L, 1);
    }
}
