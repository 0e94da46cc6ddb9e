/* resolua.mysql, what lua/resty/mysql.lua is made of: statements to MySQL or
   MariaDB over a cosocket.

       connect(socket, host, port, options)   1; or nil, why, code, sqlstate
       send(socket, statement)                the octets; or nil, why
       read(socket, is_compact)               a result and "again" if others
                                              follow; or nil, why, code,
   sqlstate version(socket)                        the server's, or nil

   options: user, password, database, charset, max_packet_size, ssl,
   ssl_verify; pool, pool_size, backlog as for the socket's own connect().
   libmariadb's calls come back with what they wait for; the socket's connection
   has a duplicate of the descriptor, whose events wake them. */

#include "runtime/private/mysql.h"

#include <errmsg.h>
#include <sys/socket.h>

#include "runtime/private/api.h"
#include "runtime/vm.h"

enum {
    FINISH_ROUNDS_MAX = 100, /* of a call that is told of a timeout */
    PACKET_HEADER_SIZE = 5,  /* and the command's octet */
};

/* Options of the connection to be made, kept until open(). */
typedef struct {
    mysql_session_t session; /* first: the socket knows it by its base */
    char host[NGX_SOCKADDR_STRLEN +
              1];   /* libmariadb reads it while it connects */
    ngx_str_t user; /* owned */
    ngx_str_t password;
    ngx_str_t database;
} mysql_wish_t;

static void on_event(ngx_event_t *ev);


static int
start(mysql_session_t *s)
{
    switch (s->op) {
    case MYSQL_OP_SEND:
        return mysql_send_query_start(&s->result, s->link,
                                      (char *) s->statement.data,
                                      (unsigned long) s->statement.len);
    case MYSQL_OP_READ:
        return mysql_read_query_result_start(&s->head_result, s->link);
    case MYSQL_OP_NEXT:
        return mysql_next_result_start(&s->result, s->link);
    case MYSQL_OP_STORE:
        return mysql_store_result_start(&s->rows, s->link);
    default:
        return 0;
    }
}


static int
resume(mysql_session_t *s, int ready)
{
    switch (s->op) {
    case MYSQL_OP_CONNECT:
        return mysql_real_connect_cont(&s->connected, s->link, ready);
    case MYSQL_OP_SEND:
        return mysql_send_query_cont(&s->result, s->link, ready);
    case MYSQL_OP_READ:
        return mysql_read_query_result_cont(&s->head_result, s->link, ready);
    case MYSQL_OP_NEXT:
        return mysql_next_result_cont(&s->result, s->link, ready);
    case MYSQL_OP_STORE:
        return mysql_store_result_cont(&s->rows, s->link, ready);
    default:
        return 0;
    }
}


static void
free_text(ngx_str_t *text)
{
    if (text->data != NULL) {
        ngx_free(text->data);
    }
    ngx_str_null(text);
}


static int
is_lost(unsigned code)
{
    return code == CR_SERVER_GONE_ERROR || code == CR_SERVER_LOST;
}


/* libmariadb's: the connection stands in the middle of a packet, or nowhere. */
static int
is_own_error(unsigned code)
{
    return code >= CR_MIN_ERROR && code <= CR_MAX_ERROR;
}


/* A call that waits is ended first, as by a timeout, so that libmariadb frees
   what it holds.  A broken connection is cut: the farewell could block. */
static void
session_free(tcp_session_t *base)
{
    mysql_session_t *s = (mysql_session_t *) base;
    mysql_wish_t *wish = (mysql_wish_t *) base;
    const my_socket fd = mysql_get_socket(s->link);
    const int is_broken =
        s->op != MYSQL_OP_NONE || is_own_error(mysql_errno(s->link));
    if (is_broken && fd >= 0) {
        shutdown(fd, SHUT_RDWR);
    }
    for (int i = 0; s->events != 0 && i < FINISH_ROUNDS_MAX; i++) {
        s->events = resume(s, MYSQL_WAIT_TIMEOUT);
    }
    mysql_free_result(s->rows);
    mysql_close(s->link);
    free_text(&s->statement);
    free_text(&wish->user);
    free_text(&wish->password);
    free_text(&wish->database);
    ngx_free(wish);
}


/* connect(): the server's code; none for what the network said. */
static int
push_code(tcp_session_t *base, lua_State *L)
{
    const mysql_session_t *s = (mysql_session_t *) base;
    const unsigned code = mysql_errno(s->link);
    if (code == 0 || is_lost(code) || code == CR_CONNECTION_ERROR ||
        code == CR_CONN_HOST_ERROR) {
        return 0;
    }
    lua_pushinteger(L, (lua_Integer) code);
    lua_pushstring(L, mysql_sqlstate(s->link));
    return 2;
}


/* The connection for the events of libmariadb's descriptor. */
static ngx_int_t
watch(tcp_t *tcp, mysql_session_t *s)
{
    const my_socket fd = mysql_get_socket(s->link);
    const int own = fd >= 0 ? dup(fd) : -1;
    ngx_connection_t *c =
        own >= 0 ? ngx_get_connection(own, (ngx_log_t *) ngx_cycle->log) : NULL;
    if (c == NULL) {
        if (own >= 0) {
            close(own);
        }
        return NGX_ERROR;
    }
    c->data = tcp;
    c->log = c->read->log = c->write->log = (ngx_log_t *) ngx_cycle->log;
    c->read->handler = c->write->handler = on_event;
    c->recv = ngx_recv;
    c->send = ngx_send;
    tcp->link.connection = c;
    return ngx_add_conn(c);
}


/* Host and port, as libmariadb wants them: an address, so that it looks
   nothing up; or the path. */
static void
get_target(tcp_t *tcp, char *host, size_t size, const char **path)
{
    const ngx_sockaddr_t *address = &tcp->peer.address;
    *path = NULL;
    if (address->sockaddr.sa_family == AF_UNIX) {
        *path = address->sockaddr_un.sun_path;
        return;
    }
    const size_t length =
        ngx_sock_ntop((struct sockaddr *) &address->sockaddr,
                      tcp->peer.address_size, (u_char *) host, size - 1, 0);
    host[length] = '\0';
    if (host[0] == '[') { /* IPv6 */
        ngx_memmove(host, host + 1, length);
        host[strcspn(host, "]")] = '\0';
    }
}


static ngx_int_t
refuse(tcp_t *tcp, const char *reason)
{
    ngx_cpystrn((u_char *) tcp->peer.error, (u_char *) reason,
                sizeof(tcp->peer.error));
    return NGX_ERROR;
}


/* What the server or the network said into peer.error. */
static ngx_int_t
fail_connect(tcp_t *tcp, mysql_session_t *s)
{
    const char *text = mysql_error(s->link);
    const unsigned code = mysql_errno(s->link);
    const char *number = strrchr(text, '(');
    if (is_lost(code)) {
        text = "closed";
    } else if ((code == CR_CONNECTION_ERROR || code == CR_CONN_HOST_ERROR) &&
               number != NULL && atoi(number + 1) > 0) {
        resolua_peer_errno(&tcp->peer, atoi(number + 1));
        return NGX_ERROR;
    }
    return refuse(tcp, text);
}


/* The call waits, or is over. */
static ngx_int_t
connect_state(tcp_t *tcp, mysql_session_t *s)
{
    if (tcp->link.connection == NULL && mysql_get_socket(s->link) >= 0 &&
        watch(tcp, s) != NGX_OK) {
        return refuse(tcp, "no free connection");
    }
    if (s->events != 0) {
        return NGX_AGAIN;
    }
    s->op = MYSQL_OP_NONE;
    if (s->connected == NULL) {
        return fail_connect(tcp, s);
    }
    /* libmariadb goes on in the clear where the server has no TLS, unless it
       verifies. */
    if (s->wants_tls && mysql_get_ssl_cipher(s->link) == NULL) {
        return refuse(tcp, "ssl disabled on server");
    }
    return NGX_OK;
}


/* tcp_t.open: a new connection to tcp->peer. */
static ngx_int_t
open_session(tcp_t *tcp)
{
    mysql_wish_t *wish = (mysql_wish_t *) tcp->session;
    mysql_session_t *s = &wish->session;
    const char *path;
    tcp->session = NULL;
    tcp->link.session = &s->base;
    get_target(tcp, wish->host, sizeof(wish->host), &path);
    s->op = MYSQL_OP_CONNECT;
    s->events = mysql_real_connect_start(
        &s->connected, s->link, path != NULL ? NULL : wish->host,
        (char *) wish->user.data, (char *) wish->password.data,
        (char *) wish->database.data, tcp->port, path,
        CLIENT_MULTI_STATEMENTS | CLIENT_MULTI_RESULTS);
    const ngx_int_t rc = connect_state(tcp, s);
    if (rc == NGX_AGAIN) {
        ngx_add_timer(tcp->link.connection->read, tcp->connect_timeout);
    }
    return rc;
}


/* nil, why, code, sqlstate.  A connection that is lost is closed. */
static int
push_error(tcp_t *tcp, lua_State *L)
{
    const mysql_session_t *s = (mysql_session_t *) tcp->link.session;
    const unsigned code = mysql_errno(s->link);
    if (is_lost(code) || code == 0) {
        tcp_close(tcp);
        return tcp_fail(L, "closed");
    }
    tcp_fail(L, mysql_error(s->link));
    lua_pushinteger(L, (lua_Integer) code);
    lua_pushstring(L, mysql_sqlstate(s->link));
    if (is_own_error(code)) {
        tcp_close(tcp);
    }
    return 4;
}


/* The call is over: the next of the operation, or what it gives to Lua.  0:
   the next waits. */
static int
next_call(tcp_t *tcp, mysql_session_t *s, lua_State *L)
{
    while (s->events == 0) {
        const mysql_op_t op = s->op;
        s->op = MYSQL_OP_NONE;
        if (op == MYSQL_OP_SEND) {
            free_text(&s->statement);
            if (s->result == 0) {
                lua_pushnumber(L, (lua_Number) s->sent);
                return 1;
            }
            return push_error(tcp, L);
        }
        const int failed = op == MYSQL_OP_READ   ? s->head_result != 0
                           : op == MYSQL_OP_NEXT ? s->result != 0
                                                 : s->rows == NULL;
        if (failed) {
            s->has_more = 0;
            return push_error(tcp, L);
        }
        if (op == MYSQL_OP_STORE || mysql_field_count(s->link) == 0) {
            s->has_more = mysql_more_results(s->link) ? 1 : 0;
            return mysql_push_result(s, L);
        }
        s->op = MYSQL_OP_STORE;
        s->events = start(s);
    }
    return 0;
}


static void
on_cancel(void *data)
{
    tcp_close(data); /* the connection is in the middle of an operation */
}


static ngx_msec_t
op_timeout(const tcp_t *tcp, const mysql_session_t *s)
{
    return s->op == MYSQL_OP_SEND ? tcp->send_timeout : tcp->read_timeout;
}


/* Begins an operation and sleeps until it is over. */
static int
run(lua_State *L, tcp_t *tcp, mysql_op_t op)
{
    mysql_session_t *s = (mysql_session_t *) tcp->link.session;
    s->op = op;
    s->events = start(s);
    const int count = next_call(tcp, s, L);
    if (count > 0) {
        return count;
    }
    ngx_connection_t *c = tcp->link.connection;
    tcp->reading = resolua_thread(L);
    c->read->handler = c->write->handler = on_event;
    ngx_add_timer(c->read, op_timeout(tcp, s));
    return resolua_thread_sleep(tcp->reading, on_cancel, tcp);
}


static void
go_on_connecting(tcp_t *tcp, mysql_session_t *s, int ready)
{
    if ((ready & MYSQL_WAIT_TIMEOUT) != 0) {
        tcp_connect_again(tcp, refuse(tcp, "timeout"));
        return;
    }
    s->events = resume(s, ready);
    tcp_connect_again(tcp, connect_state(tcp, s));
}


static void
go_on_running(tcp_t *tcp, mysql_session_t *s, int ready)
{
    resolua_thread_t *t = tcp->reading;
    lua_State *L = resolua_thread_state(t);
    int count;
    if ((ready & MYSQL_WAIT_TIMEOUT) != 0) {
        tcp_close(tcp);
        count = tcp_fail(L, "timeout");
    } else {
        s->events = resume(s, ready);
        count = next_call(tcp, s, L);
    }
    if (count == 0) {
        ngx_add_timer(tcp->link.connection->read, op_timeout(tcp, s));
        return;
    }
    tcp->reading = NULL;
    if (tcp->link.connection != NULL) {
        tcp_rest(tcp);
    }
    resolua_thread_wake(t, count);
}


static void
on_event(ngx_event_t *ev)
{
    ngx_connection_t *c = ev->data;
    tcp_t *tcp = c->data;
    mysql_session_t *s = (mysql_session_t *) tcp->link.session;
    int ready = ev->write ? MYSQL_WAIT_WRITE : MYSQL_WAIT_READ;
    if (c->read->timedout) {
        c->read->timedout = 0;
        ready = MYSQL_WAIT_TIMEOUT;
    } else if ((s->events & ready) == 0) {
        return; /* libmariadb tries before it waits: nothing is missed */
    }
    if (s->op == MYSQL_OP_CONNECT && tcp->writing != NULL) {
        go_on_connecting(tcp, s, ready);
    } else if (tcp->reading != NULL) {
        go_on_running(tcp, s, ready);
    }
}


/* A copy of the field, with a NUL; none: data NULL. */
static ngx_str_t
copy_field(lua_State *L, int options, const char *name)
{
    ngx_str_t copy = ngx_null_string;
    lua_getfield(L, options, name);
    if (lua_isstring(L, -1)) {
        const char *text = lua_tolstring(L, -1, &copy.len);
        copy.data = ngx_alloc(copy.len + 1, ngx_cycle->log);
        if (copy.data != NULL) {
            ngx_memcpy(copy.data, text, copy.len + 1);
        }
    }
    lua_pop(L, 1);
    return copy;
}


static mysql_wish_t *
wish_new(lua_State *L, int options, const resolua_socket_conf_t *conf)
{
    mysql_wish_t *wish = ngx_calloc(sizeof(*wish), ngx_cycle->log);
    if (wish == NULL) {
        return NULL;
    }
    wish->session.base.free = session_free;
    wish->session.base.push_error = push_code;
    wish->session.link = mysql_link_new(L, options, conf);
    if (wish->session.link == NULL) {
        ngx_free(wish);
        return NULL;
    }
    lua_getfield(L, options, "ssl");
    wish->session.wants_tls = lua_toboolean(L, -1) ? 1 : 0;
    lua_pop(L, 1);
    wish->user = copy_field(L, options, "user");
    wish->password = copy_field(L, options, "password");
    wish->database = copy_field(L, options, "database");
    return wish;
}


static tcp_t *
check_free(lua_State *L, int *count)
{
    tcp_t *tcp = tcp_check(L);
    const char *busy = tcp_busy(tcp);
    if (busy != NULL) {
        *count = tcp_fail(L, busy);
        return NULL;
    }
    return tcp;
}


/* connect(socket, host, port, options); a path: "unix:PATH", nil */
static int
mysql_lua_connect(lua_State *L)
{
    int count = 0;
    luaL_checkstring(L, 2);
    luaL_checktype(L, 4, LUA_TTABLE);
    tcp_t *tcp = check_free(L, &count);
    if (tcp == NULL) {
        return count;
    }
    mysql_wish_t *wish = wish_new(L, 4, tcp_conf(tcp));
    if (wish == NULL) {
        return tcp_fail(L, "no memory");
    }
    return tcp_connect_by(L, tcp, open_session, &wish->session.base);
}


/* The session of a socket that is connected and free; NULL: why is pushed. */
static tcp_t *
check_session(lua_State *L, int *count)
{
    tcp_t *tcp = check_free(L, count);
    if (tcp != NULL && tcp->link.session == NULL) {
        *count = tcp_fail(L, "closed");
        return NULL;
    }
    return tcp;
}


/* send(socket, statement) */
static int
mysql_lua_send(lua_State *L)
{
    int count = 0;
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);
    tcp_t *tcp = check_session(L, &count);
    if (tcp == NULL) {
        return count;
    }
    mysql_session_t *s = (mysql_session_t *) tcp->link.session;
    free_text(&s->statement);
    s->statement.data = ngx_alloc(size + 1, ngx_cycle->log);
    if (s->statement.data == NULL) {
        return tcp_fail(L, "no memory");
    }
    ngx_memcpy(s->statement.data, text, size);
    s->statement.len = size;
    s->sent = size + PACKET_HEADER_SIZE;
    s->has_more = 0;
    return run(L, tcp, MYSQL_OP_SEND);
}


/* read(socket, is_compact) */
static int
mysql_lua_read(lua_State *L)
{
    int count = 0;
    const int is_compact = lua_toboolean(L, 2);
    tcp_t *tcp = check_session(L, &count);
    if (tcp == NULL) {
        return count;
    }
    mysql_session_t *s = (mysql_session_t *) tcp->link.session;
    s->is_compact = is_compact ? 1 : 0;
    return run(L, tcp, s->has_more ? MYSQL_OP_NEXT : MYSQL_OP_READ);
}


/* version(socket) */
static int
mysql_lua_version(lua_State *L)
{
    const tcp_t *tcp = tcp_check(L);
    const mysql_session_t *s = (mysql_session_t *) tcp->link.session;
    lua_pushstring(L, s != NULL ? mysql_get_server_info(s->link) : NULL);
    return 1;
}


static int
open_module(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"connect", mysql_lua_connect},
        {"send", mysql_lua_send},
        {"read", mysql_lua_read},
        {"version", mysql_lua_version},
        {NULL, NULL},
    };
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}


void
resolua_mysql_setup(lua_State *L)
{
    resolua_vm_preload(L, "resolua.mysql", open_module);
}
