/* ngx.socket.tcp: send, and sending a command whose reply is read then. */

#include "runtime/private/tcp.h"
#include "runtime/ssl.h"
#include "runtime/text.h"
#include "runtime/vm.h"


/* Sends from octets.  Gives how many went, or NGX_ERROR with peer.error. */
static ssize_t
send_some(tcp_t *tcp, u_char *octets, size_t size)
{
    ngx_connection_t *c = tcp->link.connection;
    size_t done = 0;
    resolua_ssl_rest_may_move(c);
    while (done < size) {
        const ssize_t n = c->send(c, octets + done, size - done);
        if (n == NGX_AGAIN) {
            break;
        }
        if (n < 0) {
            resolua_peer_errno(&tcp->peer, ngx_socket_errno);
            return NGX_ERROR;
        }
        done += (size_t) n;
    }
    return (ssize_t) done;
}


static const char *
send_error(tcp_t *tcp)
{
    return ngx_strcmp(tcp->peer.error, "broken pipe") == 0 ? "closed"
                                                           : tcp->peer.error;
}


static void
on_write_cancel(void *data)
{
    tcp_t *tcp = data;
    tcp->writing = NULL;
    if (tcp->reads_next) {
        tcp_close(tcp);
    }
    if (tcp->output != NULL) {
        ngx_free(tcp->output);
        tcp->output = NULL;
    }
    if (tcp->link.connection != NULL) {
        tcp_rest(tcp);
    }
}


/* A send has ended: what it returns.  error NULL: all has gone. */
static int
push_sent(lua_State *L, tcp_t *tcp, const char *error)
{
    tcp->reads_next = 0;
    if (tcp->output != NULL) {
        ngx_free(tcp->output);
        tcp->output = NULL;
    }
    if (error == NULL) {
        lua_pushinteger(L, (lua_Integer) tcp->sent);
        return 1;
    }
    return resolua_fail(L, error);
}


/* What was sent late waits for its reply now. */
static void
read_next(tcp_t *tcp)
{
    resolua_thread_t *t = tcp->writing;
    lua_State *L = resolua_thread_state(t);
    lua_pop(L, push_sent(L, tcp, NULL));
    tcp->writing = NULL;
    tcp->reading = t;
    tcp_rest(tcp);
    tcp_wait_for_reply(tcp);
}


void
tcp_on_write_event(ngx_event_t *ev)
{
    const ngx_connection_t *c = ev->data;
    tcp_on_writable(c->data);
}


void
tcp_on_writable(tcp_t *tcp)
{
    ngx_connection_t *c = tcp->link.connection;
    resolua_thread_t *t = tcp->writing;
    const char *error = NULL;
    if (t == NULL || tcp->output == NULL) {
        return;
    }
    if (c->write->timedout) {
        c->write->timedout = 0;
        error = "timeout";
        if (tcp_conf(tcp)->log_errors) {
            ngx_log_error(NGX_LOG_ERR, tcp->request->log, 0,
                          "lua tcp socket write timed out");
        }
    } else {
        const ssize_t n = send_some(tcp, tcp->output + tcp->output_at,
                                    tcp->output_size - tcp->output_at);
        if (n >= 0) {
            tcp->output_at += (size_t) n;
            if (tcp->output_at < tcp->output_size) {
                (void) ngx_handle_write_event(c->write, 0);
                return;
            }
        } else {
            error = send_error(tcp);
        }
    }
    if (error == NULL && tcp->reads_next) {
        read_next(tcp);
        return;
    }
    lua_State *L = resolua_thread_state(t);
    const unsigned had_reply = tcp->reads_next;
    const int count = push_sent(L, tcp, error);
    tcp->writing = NULL;
    if (had_reply) {
        tcp_close(tcp); /* it stands in the middle of a command */
    } else {
        tcp_rest(tcp);
    }
    resolua_thread_wake(t, count);
}


/* The octets from `at` on go out as the peer takes them. */
static int
send_rest(lua_State *L, tcp_t *tcp, u_char *octets, size_t at, size_t size)
{
    ngx_connection_t *c = tcp->link.connection;
    tcp->output = octets;
    tcp->output_at = at;
    tcp->output_size = size;
    tcp->writing = resolua_thread(L);
    if (!tcp->link.is_borrowed) {
        c->write->handler = tcp_on_write_event;
    }
    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        tcp->writing = NULL;
        return push_sent(L, tcp, "the socket cannot be watched");
    }
    ngx_add_timer(c->write, tcp->send_timeout);
    return resolua_thread_sleep(tcp->writing, on_write_cancel, tcp);
}


int
tcp_write_borrowed(lua_State *L, tcp_t *tcp, const u_char *octets, size_t size)
{
    tcp->sent = size;
    const ssize_t n = send_some(tcp, (u_char *) octets, size);
    if (n < 0) {
        return resolua_fail(L, send_error(tcp));
    }
    const size_t rest = size - (size_t) n;
    if (rest == 0) {
        return push_sent(L, tcp, NULL);
    }
    u_char *copy = ngx_alloc(rest, ngx_cycle->log);
    if (copy == NULL) {
        return resolua_fail(L, "no memory");
    }
    ngx_memcpy(copy, octets + n, rest);
    return send_rest(L, tcp, copy, 0, rest);
}


int
tcp_write(lua_State *L, tcp_t *tcp, u_char *octets, size_t size)
{
    tcp->sent = size;
    const ssize_t n = send_some(tcp, octets, size);
    if (n < 0 || (size_t) n == size) {
        ngx_free(octets);
        return n < 0 ? resolua_fail(L, send_error(tcp))
                     : push_sent(L, tcp, NULL);
    }
    return send_rest(L, tcp, octets, (size_t) n, size);
}


int
tcp_exchange(lua_State *L, tcp_t *tcp, const u_char *octets, size_t size,
             tcp_parser_t *parser)
{
    tcp_parser_free(tcp);
    tcp->parser = parser;
    const ssize_t n = send_some(tcp, (u_char *) octets, size);
    if (n >= 0 && (size_t) n == size) {
        return tcp_read(L, tcp);
    }
    u_char *rest = n >= 0 ? ngx_alloc(size - (size_t) n, ngx_cycle->log) : NULL;
    if (rest == NULL) {
        const int count =
            resolua_fail(L, n < 0 ? send_error(tcp) : "no memory");
        tcp_close(tcp);
        return count;
    }
    ngx_memcpy(rest, octets + n, size - (size_t) n);
    tcp->reads_next = 1;
    return send_rest(L, tcp, rest, 0, size - (size_t) n);
}


/* send(text): a string, number, boolean or nested array of these. */
int
tcp_send(lua_State *L)
{
    int count = 0;
    tcp_check_count(L, 2, 2);
    tcp_t *tcp = tcp_check_writable(L, &count);
    if (tcp == NULL) {
        return count;
    }
    if (lua_type(L, 2) == LUA_TSTRING) {
        size_t length;
        const char *string = lua_tolstring(L, 2, &length);
        return tcp_write_borrowed(L, tcp, (const u_char *) string, length);
    }
    const size_t size = resolua_text_size(L, 2);
    u_char *text = ngx_alloc(size + 1, ngx_cycle->log);
    if (text == NULL) {
        return resolua_fail(L, "no memory");
    }
    (void) resolua_text_copy(L, 2, text);
    return tcp_write(L, tcp, text, size);
}
