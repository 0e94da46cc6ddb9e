/* ngx.socket.tcp: the receive functions. */

#include "runtime/private/tcp.h"
#include "runtime/text.h"
#include "runtime/vm.h"

enum { PATTERN_MAX = 4096 }; /* octets */

static void on_readable(ngx_event_t *ev);


tcp_t *
tcp_check_readable(lua_State *L, int *count)
{
    tcp_t *tcp = tcp_check(L);
    if (tcp->link.connection == NULL || tcp->failed != NULL) {
        *count = resolua_fail(L, tcp->failed != NULL ? tcp->failed : "closed");
        return NULL;
    }
    if (tcp->reading != NULL || tcp->reads_next) {
        *count = resolua_fail(L, "socket busy reading");
        return NULL;
    }
    if (tcp->writing != NULL && tcp->output == NULL) {
        *count = resolua_fail(L, "socket busy connecting");
        return NULL;
    }
    return tcp;
}


tcp_t *
tcp_check_writable(lua_State *L, int *count)
{
    tcp_t *tcp = tcp_check(L);
    if (tcp->link.connection == NULL) {
        *count = resolua_fail(L, "closed");
        return NULL;
    }
    if (tcp->writing != NULL) {
        *count =
            resolua_fail(L, tcp->output != NULL ? "socket busy writing"
                                                : "socket busy connecting");
        return NULL;
    }
    return tcp;
}


void
tcp_parser_free(tcp_t *tcp)
{
    tcp_parser_t *parser = tcp->parser;
    tcp->parser = NULL;
    if (parser != NULL) {
        parser->free(parser);
    }
}


/* Nothing can be made of the connection any more.  Who sleeps till it has sent
   is told so by the socket. */
static void
break_connection(tcp_t *tcp)
{
    if (tcp->writing == NULL) {
        tcp_close(tcp);
        return;
    }
    tcp_parser_free(tcp);
    tcp->failed = "closed";
    (void) shutdown(tcp->link.connection->fd, SHUT_RDWR);
}


/* More octets into the empty buffer.  NGX_OK, NGX_AGAIN, NGX_DONE: the end of
   the stream; NGX_ERROR. */
static ngx_int_t
fill(tcp_t *tcp)
{
    tcp_link_t *link = &tcp->link;
    ngx_connection_t *c = link->connection;
    if (link->buffer == NULL) {
        link->room = tcp_conf(tcp)->buffer_size;
        link->buffer = ngx_alloc(link->room, c->log);
        if (link->buffer == NULL) {
            return NGX_ERROR;
        }
    }
    link->at = link->end = 0;
    size_t room = link->room;
    if (tcp->rest != NULL && *tcp->rest < (off_t) room) {
        room = (size_t) *tcp->rest;
    }
    if (room == 0) {
        return NGX_DONE;
    }
    const ssize_t n = c->recv(c, link->buffer, room);
    if (n > 0) {
        link->end = (size_t) n;
        if (tcp->rest != NULL) {
            *tcp->rest -= n;
            *tcp->taken += n;
        }
        return NGX_OK;
    }
    return n == 0 ? NGX_DONE : n == NGX_AGAIN ? NGX_AGAIN : NGX_ERROR;
}


static ngx_int_t
feed(tcp_t *tcp)
{
    tcp_link_t *link = &tcp->link;
    tcp_parser_t *parser = tcp->parser;
    const u_char *octets = link->buffer + link->at;
    const size_t size = link->end - link->at;
    size_t used = 0;
    const ngx_int_t rc =
        parser != NULL ? parser->feed(parser, octets, size, &used)
                       : resolua_reader_feed(&tcp->reader, octets, size, &used);
    link->at += used;
    return rc;
}


static int
push_piece(lua_State *L, tcp_t *tcp)
{
    if (tcp->parser != NULL) {
        const int count = tcp->parser->push(tcp->parser, L);
        tcp_parser_free(tcp);
        return count;
    }
    lua_pushlstring(L, (char *) tcp->reader.octets, tcp->reader.count);
    tcp->reader.count = 0;
    return 1;
}


/* nil, reason, what came of the piece; a parser keeps that for itself. */
static int
push_failure(lua_State *L, tcp_t *tcp, const char *reason)
{
    resolua_fail(L, reason);
    if (tcp->parser != NULL) {
        if (tcp->parser->is_final) {
            break_connection(tcp);
        }
        return 2;
    }
    push_piece(L, tcp);
    return 3;
}


/* The stream has ended: what was wanted of it may be whole. */
static int
push_end(lua_State *L, tcp_t *tcp, ngx_int_t rc)
{
    const int has_rest = tcp->rest != NULL && *tcp->rest > 0;
    const char *reason = tcp->link.is_borrowed && (has_rest || !tcp->rest)
                             ? "client aborted"
                             : "closed";
    if (rc == NGX_ERROR) {
        resolua_peer_errno(&tcp->peer, ngx_socket_errno != 0 ? ngx_socket_errno
                                                             : NGX_ECONNRESET);
        reason = tcp->peer.error;
    }
    const int count = rc == NGX_DONE && tcp->parser == NULL && !has_rest &&
                              resolua_reader_is_whole_at_end(&tcp->reader)
                          ? push_piece(L, tcp)
                          : push_failure(L, tcp, reason);
    tcp->failed = rc == NGX_ERROR ? "closed" : reason;
    if (rc == NGX_ERROR && tcp->writing == NULL) {
        tcp_link_close(&tcp->link);
    }
    return count;
}


/* Reads until the piece is whole.  0: nothing more is there yet; else the
   count of the pushed values. */
static int
read_piece(lua_State *L, tcp_t *tcp)
{
    for (;;) {
        if (tcp->link.at < tcp->link.end) {
            const ngx_int_t fed = feed(tcp);
            if (fed == NGX_OK) {
                return push_piece(L, tcp);
            }
            if (fed == NGX_ERROR) {
                return push_failure(L, tcp,
                                    tcp->parser != NULL ? tcp->parser->error
                                                        : "no memory");
            }
        }
        const ngx_int_t rc = fill(tcp);
        if (rc == NGX_AGAIN) {
            return 0;
        }
        if (rc != NGX_OK) {
            return push_end(L, tcp, rc);
        }
    }
}


static void
on_read_cancel(void *data)
{
    tcp_t *tcp = data;
    tcp->reading = NULL;
    if (tcp->parser != NULL && tcp->parser->is_final) {
        break_connection(tcp);
    }
    if (tcp->link.connection != NULL) {
        tcp_rest(tcp);
    }
}


/* A timer that an earlier read has left is taken if it ends before: setting it
   anew for each read costs more than asking it again. */
static void
start_timer(tcp_t *tcp)
{
    ngx_event_t *read = tcp->link.connection->read;
    tcp->read_deadline = ngx_current_msec + tcp->read_timeout;
    if (read->timer_set) {
        if ((ngx_msec_int_t) (tcp->read_deadline - read->timer.key) >= 0) {
            return;
        }
        ngx_del_timer(read);
    }
    ngx_add_timer(read, tcp->read_timeout);
}


/* The timer has ended: has the time? */
static ngx_uint_t
is_late(tcp_t *tcp)
{
    ngx_event_t *read = tcp->link.connection->read;
    const ngx_msec_int_t left =
        (ngx_msec_int_t) (tcp->read_deadline - ngx_current_msec);
    read->timedout = 0;
    if (left > 0) {
        ngx_add_timer(read, (ngx_msec_t) left);
    }
    return left <= 0;
}


/* The reading is over; its timer stays for the next, unless others handle the
   connection's events. */
static void
rest_reading(tcp_t *tcp)
{
    ngx_connection_t *c = tcp->link.connection;
    if (tcp->link.is_borrowed) {
        tcp_rest(tcp);
        return;
    }
    c->read->handler = tcp_on_idle;
    if (tcp->writing == NULL) {
        c->write->handler = tcp_on_idle;
    }
}


int
tcp_read(lua_State *L, tcp_t *tcp)
{
    ngx_connection_t *c = tcp->link.connection;
    const int count = read_piece(L, tcp);
    if (count > 0) {
        return count;
    }
    tcp->reading = resolua_thread(L);
    if (!tcp->link.is_borrowed) {
        c->read->handler = on_readable;
    }
    if (tcp->writing == NULL && !tcp->link.is_borrowed) {
        c->write->handler =
            tcp_on_write_event; /* TLS may want to write to read */
    }
    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        tcp->reading = NULL;
        return resolua_fail(L, "the socket cannot be watched");
    }
    start_timer(tcp);
    return resolua_thread_sleep(tcp->reading, on_read_cancel, tcp);
}


void
tcp_wait_for_reply(tcp_t *tcp)
{
    ngx_event_t *read = tcp->link.connection->read;
    read->handler = on_readable;
    start_timer(tcp);
    if (read->ready) {
        on_readable(read);
    }
}


static void
on_readable(ngx_event_t *ev)
{
    const ngx_connection_t *c = ev->data;
    tcp_on_readable(c->data);
}


void
tcp_on_readable(tcp_t *tcp)
{
    ngx_connection_t *c = tcp->link.connection;
    resolua_thread_t *t = tcp->reading;
    if (t == NULL) {
        return;
    }
    lua_State *L = resolua_thread_state(t);
    int count;
    if (c->read->timedout) {
        if (!is_late(tcp)) {
            return;
        }
        count = push_failure(L, tcp, "timeout");
        if (tcp_conf(tcp)->log_errors) {
            ngx_log_error(NGX_LOG_ERR, tcp->request->log, 0,
                          "lua tcp socket read timed out");
        }
    } else {
        count = read_piece(L, tcp);
        if (count == 0) {
            (void) ngx_handle_read_event(c->read, 0);
            return;
        }
    }
    tcp->reading = NULL;
    if (tcp->link.connection != NULL) {
        rest_reading(tcp);
    }
    resolua_thread_wake(t, count);
}


/* receive(), receive("*l" | "*a" | size); without the star too. */
int
tcp_receive(lua_State *L)
{
    int count = 0;
    tcp_t *tcp = tcp_check_readable(L, &count);
    if (tcp == NULL) {
        return count;
    }
    if (lua_isnone(L, 2)) {
        resolua_reader_start(&tcp->reader, RESOLUA_READ_LINE, 0);
    } else if (lua_isnumber(L, 2)) {
        const lua_Integer size = lua_tointeger(L, 2);
        luaL_argcheck(L, size >= 0, 2, "bad pattern argument");
        if (size == 0) {
            lua_pushliteral(L, "");
            return 1;
        }
        resolua_reader_start(&tcp->reader, RESOLUA_READ_SIZE, (size_t) size);
    } else {
        const char *kind =
            lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
        kind += *kind == '*';
        luaL_argcheck(L, *kind == 'l' || *kind == 'a', 2,
                      "bad pattern argument");
        resolua_reader_start(
            &tcp->reader, *kind == 'l' ? RESOLUA_READ_LINE : RESOLUA_READ_ALL,
            0);
    }
    return tcp_read(L, tcp);
}


int
tcp_receiveany(lua_State *L)
{
    int count = 0;
    tcp_check_count(L, 2, 2);
    luaL_argcheck(L, lua_isnumber(L, 2), 2, "bad max argument");
    const lua_Integer max = lua_tointeger(L, 2);
    luaL_argcheck(L, max > 0, 2, "bad max argument");
    tcp_t *tcp = tcp_check_readable(L, &count);
    if (tcp == NULL) {
        return count;
    }
    resolua_reader_start(&tcp->reader, RESOLUA_READ_ANY, (size_t) max);
    return tcp_read(L, tcp);
}


/* The iterator of receiveuntil; upvalues: the socket, the pattern. */
static int
read_until(lua_State *L)
{
    int count = 0;
    const lua_Integer size = luaL_optinteger(L, 1, 0);
    resolua_pattern_t *pattern = lua_touserdata(L, lua_upvalueindex(2));
    luaL_argcheck(L, size >= 0, 1, "bad number of bytes");
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    tcp_t *tcp = tcp_check_readable(L, &count);
    if (tcp == NULL) {
        return count;
    }
    const int was_by_size = pattern->by_size;
    pattern->by_size = size > 0;
    if (pattern->is_found && was_by_size && size > 0) { /* its end */
        pattern->is_found = 0;
        lua_pushnil(L);
        lua_pushnil(L);
        lua_pushnil(L);
        return 3;
    }
    resolua_reader_start_until(&tcp->reader, pattern, (size_t) size);
    return tcp_read(L, tcp);
}


static int
option_is_set(lua_State *L, int arg, const char *name)
{
    if (lua_isnoneornil(L, arg)) {
        return 0;
    }
    luaL_checktype(L, arg, LUA_TTABLE);
    lua_getfield(L, arg, name);
    if (!lua_isnil(L, -1) && !lua_isboolean(L, -1)) {
        luaL_error(L, "bad \"%s\" option value type: %s", name,
                   luaL_typename(L, -1));
    }
    const int is_set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return is_set;
}


int
tcp_receiveuntil(lua_State *L)
{
    size_t size;
    tcp_check_count(L, 2, 3);
    (void) tcp_check(L);
    const char *text = luaL_checklstring(L, 2, &size);
    const int inclusive = option_is_set(L, 3, "inclusive");
    if (size == 0) {
        return resolua_fail(L, "pattern is empty");
    }
    luaL_argcheck(L, size <= PATTERN_MAX, 2, "pattern too long");
    lua_pushvalue(L, 1);
    (void) resolua_pattern_push(L, text, size, inclusive);
    lua_pushcclosure(L, read_until, 2);
    return 1;
}


/* peek(size): octets that the next receive will see again. */
int
tcp_peek(lua_State *L)
{
    int count = 0;
    const lua_Integer size = luaL_checkinteger(L, 2);
    tcp_t *tcp = tcp_check_readable(L, &count);
    if (tcp == NULL) {
        return count;
    }
    tcp_link_t *link = &tcp->link;
    luaL_argcheck(L, size > 0, 2, "bad number of bytes");
    if ((size_t) size > link->end - link->at) {
        return resolua_fail(L, "again");
    }
    lua_pushlstring(L, (char *) link->buffer + link->at, (size_t) size);
    return 1;
}
