#include "stream/request_socket.h"

#include <ngx_event.h>

#include "runtime/reader.h"
#include "runtime/socket.h"
#include "runtime/vm.h"
#include "runtime/wait.h"
#include "stream/context.h"
#include "stream/handshake.h"
#include "stream/output.h"

enum { PATTERN_MAX = 4096 };

typedef struct {
    ngx_atomic_uint_t number; /* of the connection that it belongs to */
    stream_context_t *context;
    ngx_msec_t timeout;
    resolua_reader_t reader;
    size_t peek_size;
} socket_t;

static const char metatable[] = "resolua.request_socket";


/* The socket at 1, which may be used by its own session alone. */
static socket_t *
check_socket(lua_State *L)
{
    socket_t *sock = luaL_checkudata(L, 1, metatable);
    const stream_context_t *context = stream_context_of(L);
    if (context != sock->context ||
        context->session->connection->number != sock->number) {
        luaL_error(L, "bad request");
    }
    return sock;
}


/* nil, reason, what came of the piece */
static int
fail_with_rest(lua_State *L, resolua_reader_t *r, const char *reason)
{
    resolua_fail(L, reason);
    lua_pushlstring(L, (char *) r->octets, r->count);
    r->count = 0;
    return 3;
}


static ngx_buf_t *
buffer_of(const ngx_stream_session_t *s)
{
    ngx_connection_t *c = s->connection;
    const ngx_stream_core_srv_conf_t *core =
        ngx_stream_get_module_srv_conf(s, ngx_stream_core_module);
    if (c->buffer == NULL) {
        c->buffer = ngx_create_temp_buf(c->pool, core->preread_buffer_size);
    }
    return c->buffer;
}


/* More into the session's buffer.  NGX_OK, NGX_AGAIN, NGX_DONE: the client has
   ended; NGX_ERROR. */
static ngx_int_t
fill(ngx_stream_session_t *s)
{
    ngx_connection_t *c = s->connection;
    ngx_buf_t *b = buffer_of(s);
    if (b == NULL) {
        return NGX_ERROR;
    }
    if (b->pos == b->last) {
        b->pos = b->last = b->start;
    }
    const ssize_t n = c->recv(c, b->last, (size_t) (b->end - b->last));
    if (n == NGX_AGAIN) {
        return NGX_AGAIN;
    }
    if (n <= 0) {
        return n == 0 ? NGX_DONE : NGX_ERROR;
    }
    b->last += n;
    s->received += n;
    return NGX_OK;
}


/* Feeds the reader from the buffer.  As resolua_reader_feed(). */
static ngx_int_t
feed(socket_t *sock)
{
    ngx_buf_t *b = buffer_of(sock->context->session);
    size_t used = 0;
    if (b == NULL) {
        return NGX_ERROR;
    }
    const ngx_int_t rc = resolua_reader_feed(
        &sock->reader, b->pos, (size_t) (b->last - b->pos), &used);
    b->pos += used;
    return rc;
}


static int
push_piece(lua_State *L, resolua_reader_t *r)
{
    lua_pushlstring(L, (char *) r->octets, r->count);
    r->count = 0;
    return 1;
}


static ngx_uint_t
has_timed_out(stream_context_t *context)
{
    const ngx_uint_t is_over = context->read_timer.timedout;
    context->read_timer.timedout = 0;
    return is_over;
}


/* Reads on; 0: nothing more is there yet. */
static int
read_step(void *data, lua_State *L)
{
    socket_t *sock = data;
    ngx_stream_session_t *s = sock->context->session;
    for (;;) {
        ngx_int_t rc = feed(sock);
        if (rc == NGX_OK) {
            return push_piece(L, &sock->reader);
        }
        if (rc == NGX_ERROR) {
            return fail_with_rest(L, &sock->reader, "no memory");
        }
        if (has_timed_out(sock->context)) {
            return fail_with_rest(L, &sock->reader, "timeout");
        }
        rc = fill(s);
        if (rc == NGX_AGAIN) {
            return 0;
        }
        if (rc == NGX_DONE && resolua_reader_is_whole_at_end(&sock->reader)) {
            return push_piece(L, &sock->reader);
        }
        if (rc != NGX_OK) {
            return fail_with_rest(L, &sock->reader, "closed");
        }
    }
}


/* What is in the buffer stays there. */
static int
peek_step(void *data, lua_State *L)
{
    socket_t *sock = data;
    ngx_stream_session_t *s = sock->context->session;
    const ngx_buf_t *b = buffer_of(s);
    while ((size_t) (b->last - b->pos) < sock->peek_size) {
        if (has_timed_out(sock->context)) {
            return resolua_fail(L, "timeout");
        }
        const ngx_int_t rc = fill(s);
        if (rc == NGX_AGAIN) {
            return 0;
        }
        if (rc != NGX_OK) {
            return resolua_fail(L, "closed");
        }
    }
    lua_pushlstring(L, (char *) b->pos, sock->peek_size);
    return 1;
}


static void
stop_reading(void *data)
{
    stream_context_t *context = data;
    context->reader = NULL;
    if (context->read_timer.timer_set) {
        ngx_del_timer(&context->read_timer);
    }
}


/* Goes through step now, or sleeps until it can. */
static int
run_step(lua_State *L, socket_t *sock, int (*step)(void *, lua_State *))
{
    stream_context_t *context = sock->context;
    ngx_connection_t *c = context->session->connection;
    if (context->reader != NULL) {
        return resolua_fail(L, "socket busy reading");
    }
    const int count = step(sock, L);
    if (count > 0) {
        return count;
    }
    resolua_thread_t *t = resolua_thread(L);
    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        return resolua_fail(L, "the connection cannot be watched");
    }
    context->reader = t;
    context->read_step = step;
    context->read_data = sock;
    c->read->handler = stream_on_event;
    stream_start_read_timer(context, sock->timeout);
    return resolua_thread_sleep(t, stop_reading, context);
}


/* The rest of the datagram, or size octets of it.  It stays whole in the
   session's buffer for whoever comes after Lua. */
static int
receive_datagram(lua_State *L)
{
    const socket_t *sock = lua_touserdata(L, 1);
    stream_context_t *context = sock->context;
    const ngx_buf_t *b = context->session->connection->buffer;
    if (b == NULL || context->datagram_is_read) {
        return resolua_fail(L, "no more data");
    }
    const u_char *at = b->pos + context->datagram_at;
    size_t size = (size_t) (b->last - at);
    if (lua_type(L, 2) == LUA_TNUMBER && lua_tointeger(L, 2) >= 0) {
        size = ngx_min(size, (size_t) lua_tointeger(L, 2));
    }
    context->datagram_at += size;
    context->datagram_is_read = at + size == b->last;
    lua_pushlstring(L, (const char *) at, size);
    return 1;
}


/* "*l", "*a" or a number of bytes. */
static void
start_pattern(lua_State *L, resolua_reader_t *r)
{
    if (lua_type(L, 2) == LUA_TNUMBER) {
        const lua_Integer size = lua_tointeger(L, 2);
        luaL_argcheck(L, size >= 0, 2, "bad number of bytes");
        resolua_reader_start(r, RESOLUA_READ_SIZE, (size_t) size);
        return;
    }
    const char *pattern = luaL_optstring(L, 2, "*l");
    luaL_argcheck(L,
                  pattern[0] == '*' && (pattern[1] == 'l' || pattern[1] == 'a'),
                  2, "bad pattern");
    resolua_reader_start(
        r, pattern[1] == 'l' ? RESOLUA_READ_LINE : RESOLUA_READ_ALL, 0);
}


static ngx_uint_t
is_datagram(const socket_t *sock)
{
    return sock->context->session->connection->type == SOCK_DGRAM;
}


static int
socket_receive(lua_State *L)
{
    socket_t *sock = check_socket(L);
    if (is_datagram(sock)) {
        return receive_datagram(L);
    }
    if (sock->context->reader != NULL) {
        return resolua_fail(L, "socket busy reading");
    }
    start_pattern(L, &sock->reader);
    if (sock->reader.kind == RESOLUA_READ_SIZE && sock->reader.size == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    return run_step(L, sock, read_step);
}


static int
socket_receiveany(lua_State *L)
{
    socket_t *sock = check_socket(L);
    const lua_Integer size = luaL_checkinteger(L, 2);
    luaL_argcheck(L, size > 0, 2, "bad max argument");
    if (is_datagram(sock)) {
        return receive_datagram(L);
    }
    if (sock->context->reader != NULL) {
        return resolua_fail(L, "socket busy reading");
    }
    resolua_reader_start(&sock->reader, RESOLUA_READ_ANY, (size_t) size);
    return run_step(L, sock, read_step);
}


static int
socket_peek(lua_State *L)
{
    socket_t *sock = check_socket(L);
    const lua_Integer size = luaL_checkinteger(L, 2);
    resolua_check_phase(L, RESOLUA_PREREAD);
    const ngx_buf_t *b = buffer_of(sock->context->session);
    if (b == NULL) {
        return resolua_fail(L, "no memory");
    }
    luaL_argcheck(L, size > 0, 2, "bad number of bytes");
    if ((size_t) size > (size_t) (b->end - b->pos)) {
        return resolua_fail(L, "preread buffer full");
    }
    sock->peek_size = (size_t) size;
    return run_step(L, sock, peek_step);
}


/* The iterator of receiveuntil; upvalues: the socket, the pattern. */
static int
read_until(lua_State *L)
{
    const lua_Integer size = luaL_optinteger(L, 1, 0);
    resolua_pattern_t *pattern = lua_touserdata(L, lua_upvalueindex(2));
    luaL_argcheck(L, size >= 0, 1, "bad number of bytes");
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    socket_t *sock = check_socket(L);
    if (sock->context->reader != NULL) {
        return resolua_fail(L, "socket busy reading");
    }
    const int was_by_size = pattern->by_size;
    pattern->by_size = size > 0;
    if (pattern->is_found && was_by_size && size > 0) { /* its end */
        pattern->is_found = 0;
        lua_pushnil(L);
        return 1;
    }
    resolua_reader_start_until(&sock->reader, pattern, (size_t) size);
    return run_step(L, sock, read_step);
}


static int
option_is_set(lua_State *L, int arg, const char *name)
{
    if (lua_isnoneornil(L, arg)) {
        return 0;
    }
    luaL_checktype(L, arg, LUA_TTABLE);
    lua_getfield(L, arg, name);
    const int is_set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return is_set;
}


static int
socket_receiveuntil(lua_State *L)
{
    size_t size;
    (void) check_socket(L);
    const char *text = luaL_checklstring(L, 2, &size);
    const int inclusive = option_is_set(L, 3, "inclusive");
    luaL_argcheck(L, size > 0, 2, "pattern is empty");
    luaL_argcheck(L, size <= PATTERN_MAX, 2, "pattern too long");
    lua_pushvalue(L, 1);
    (void) resolua_pattern_push(L, text, size, inclusive);
    lua_pushcclosure(L, read_until, 2);
    return 1;
}


static int
socket_send(lua_State *L)
{
    (void) check_socket(L);
    luaL_checkany(L, 2);
    return output_socket_send(L, 2);
}


static int
socket_settimeout(lua_State *L)
{
    socket_t *sock = check_socket(L);
    const lua_Integer ms = luaL_checkinteger(L, 2);
    const resolua_socket_conf_t *conf = sock->context->request.sockets;
    sock->timeout = ms > 0 ? (ngx_msec_t) ms : conf->read_timeout;
    sock->context->send_timeout = ms > 0 ? (ngx_msec_t) ms : conf->send_timeout;
    return 0;
}


/* settimeouts(connect, send, read) */
static int
socket_settimeouts(lua_State *L)
{
    socket_t *sock = check_socket(L);
    const lua_Integer send_ms = luaL_optinteger(L, 3, 0);
    const lua_Integer read_ms = luaL_optinteger(L, 4, 0);
    if (send_ms > 0) {
        sock->context->send_timeout = (ngx_msec_t) send_ms;
    }
    if (read_ms > 0) {
        sock->timeout = (ngx_msec_t) read_ms;
    }
    return 0;
}


static int
socket_shutdown(lua_State *L)
{
    const socket_t *sock = check_socket(L);
    const char *direction = luaL_checkstring(L, 2);
    luaL_argcheck(L, ngx_strcmp(direction, "send") == 0, 2,
                  "only \"send\" can be shut down");
    if (is_datagram(sock) ||
        ngx_shutdown_socket(sock->context->session->connection->fd,
                            NGX_WRITE_SHUTDOWN) == -1) {
        return resolua_fail(L, "closed");
    }
    sock->context->output_failed = 1;
    lua_pushinteger(L, 1);
    return 1;
}


/* serversslhandshake(): the client goes on in TLS, with what this server's
   ssl_* directives say. */
static int
socket_serversslhandshake(lua_State *L)
{
    return handshake_start(L, check_socket(L)->context);
}


static int
socket_collect(lua_State *L)
{
    socket_t *sock = lua_touserdata(L, 1);
    resolua_reader_free(&sock->reader);
    return 0;
}


int
request_socket(lua_State *L)
{
    stream_context_t *context = stream_context_of(L);
    resolua_check_phase(L, RESOLUA_PREREAD | RESOLUA_ACCESS | RESOLUA_CONTENT);
    socket_t *sock = lua_newuserdata(L, sizeof(*sock));
    ngx_memzero(sock, sizeof(*sock));
    sock->number = context->session->connection->number;
    sock->context = context;
    sock->timeout = context->request.sockets->read_timeout;
    stream_count_preread(context->session);
    luaL_getmetatable(L, metatable);
    lua_setmetatable(L, -2);
    return 1;
}


void
request_socket_setup(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"receive", socket_receive},
        {"receiveany", socket_receiveany},
        {"receiveuntil", socket_receiveuntil},
        {"peek", socket_peek},
        {"send", socket_send},
        {"settimeout", socket_settimeout},
        {"settimeouts", socket_settimeouts},
        {"shutdown", socket_shutdown},
        {"serversslhandshake", socket_serversslhandshake},
        {NULL, NULL},
    };
    luaL_newmetatable(L, metatable);
    lua_newtable(L);
    luaL_register(L, NULL, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, socket_collect);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}
