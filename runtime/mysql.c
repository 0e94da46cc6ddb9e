/* resolua.mysql, what lua/resty/mysql.lua is made of: statements to MySQL or
   MariaDB over a cosocket.

       connect(socket, host, port, options)   1
       send(socket, statement)                the octets
       read(socket, is_compact)               a result, "again": others follow
       version(socket)                        the server's, or nil

   Failures are nil, why, code, sqlstate; the network's have no code.
   options: user, password, database, charset, max_packet_size, ssl,
   ssl_verify; pool, pool_size, backlog as for the socket's own connect().
   libmariadb's calls come back with what they wait for; the socket's connection
   has a duplicate of the descriptor, whose events wake them. */

#include "runtime/private/mysql.h"

#include <errmsg.h>

#include "runtime/private/api.h"
#include "runtime/vm.h"

enum { PACKET_HEADER_SIZE = 5 /* octets, with the command's */ };


void
mysql_free_text(ngx_str_t *text)
{
    if (text->data != NULL) {
        ngx_free(text->data);
    }
    ngx_str_null(text);
}


int
mysql_is_lost(unsigned code)
{
    return code == CR_SERVER_GONE_ERROR || code == CR_SERVER_LOST;
}


/* libmariadb's: the connection stands in the middle of a packet, or nowhere. */
int
mysql_is_own_error(unsigned code)
{
    return code >= CR_MIN_ERROR && code <= CR_MAX_ERROR;
}


static int
mysql_start(mysql_session_t *s)
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


int
mysql_resume(mysql_session_t *s, int ready)
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


/* nil, why, code, sqlstate.  A connection that is lost is closed. */
static int
push_error(tcp_t *tcp, lua_State *L)
{
    const mysql_session_t *s = (mysql_session_t *) tcp->link.session;
    const unsigned code = mysql_errno(s->link);
    if (mysql_is_lost(code) || code == 0) {
        tcp_close(tcp);
        return resolua_fail(L, "closed");
    }
    resolua_fail(L, mysql_error(s->link));
    lua_pushinteger(L, (lua_Integer) code);
    lua_pushstring(L, mysql_sqlstate(s->link));
    if (mysql_is_own_error(code)) {
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
            mysql_free_text(&s->statement);
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
        s->events = mysql_start(s);
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
    s->events = mysql_start(s);
    const int count = next_call(tcp, s, L);
    if (count > 0) {
        return count;
    }
    ngx_connection_t *c = tcp->link.connection;
    tcp->reading = resolua_thread(L);
    c->read->handler = c->write->handler = mysql_on_event;
    ngx_add_timer(c->read, op_timeout(tcp, s));
    return resolua_thread_sleep(tcp->reading, on_cancel, tcp);
}


static void
go_on_running(tcp_t *tcp, mysql_session_t *s, int ready)
{
    resolua_thread_t *t = tcp->reading;
    lua_State *L = resolua_thread_state(t);
    int count;
    if ((ready & MYSQL_WAIT_TIMEOUT) != 0) {
        tcp_close(tcp);
        count = resolua_fail(L, "timeout");
    } else {
        s->events = mysql_resume(s, ready);
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


void
mysql_on_event(ngx_event_t *ev)
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
        mysql_go_on_connecting(tcp, s, ready);
    } else if (tcp->reading != NULL) {
        go_on_running(tcp, s, ready);
    }
}


tcp_t *
mysql_check_free(lua_State *L, int *count)
{
    tcp_t *tcp = tcp_check(L);
    const char *busy = tcp_busy(tcp);
    if (busy != NULL) {
        *count = resolua_fail(L, busy);
        return NULL;
    }
    return tcp;
}


/* The session of a socket that is connected and free; NULL: why is pushed. */
static tcp_t *
check_session(lua_State *L, int *count)
{
    tcp_t *tcp = mysql_check_free(L, count);
    if (tcp != NULL && tcp->link.session == NULL) {
        *count = resolua_fail(L, "closed");
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
    mysql_free_text(&s->statement);
    s->statement.data = ngx_alloc(size + 1, ngx_cycle->log);
    if (s->statement.data == NULL) {
        return resolua_fail(L, "no memory");
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
