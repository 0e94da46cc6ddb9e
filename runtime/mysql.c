/* resolua.mysql, what lua/resty/mysql.lua is made of: statements to MySQL or
   MariaDB over a cosocket.

       connect(socket, host, port, options)   1
       send(socket, statement)                the octets
       read(socket, is_compact)               a result, "again": others follow
       version(socket)                        the server's, or nil

   Failures are nil, why, code, sqlstate; the network's have no code.
   options: user, password, database, charset, max_packet_size, ssl,
   ssl_verify; pool, pool_size, backlog as for the socket's own connect().
   The client's steps come back with what they wait for; the socket's connection
   has a duplicate of the descriptor, whose events wake them. */

#include "runtime/private/mysql.h"

#include <errmsg.h>

#include "runtime/private/api.h"
#include "runtime/vm.h"

enum { PACKET_HEADER_SIZE = 5 /* octets, with the command's */ };


int
mysql_is_lost(unsigned code)
{
    return code == CR_SERVER_GONE_ERROR || code == CR_SERVER_LOST;
}


/* nil, why, code, sqlstate.  A connection that is lost is closed. */
static int
push_error(tcp_t *tcp, lua_State *L)
{
    const client_mysql_t *client = mysql_session(tcp)->client;
    const unsigned code = client_mysql_code(client);
    int count = 2;
    if (code == 0 || mysql_is_lost(code)) {
        resolua_fail(L, code == 0 ? client_mysql_error(client) : "closed");
    } else {
        resolua_fail(L, client_mysql_error(client));
        lua_pushinteger(L, (lua_Integer) code);
        lua_pushstring(L, client_mysql_state(client));
        count = 4;
    }
    if (client_mysql_is_gone(client)) {
        tcp_close(tcp);
    }
    return count;
}


/* What the call has come to, for Lua; 0: it waits. */
static int
push_step(tcp_t *tcp, lua_State *L, client_step_t step)
{
    const mysql_session_t *s = mysql_session(tcp);
    switch (step) {
    case CLIENT_WAIT:
        return 0;
    case CLIENT_ERROR:
        return push_error(tcp, L);
    default:
        if (s->sends) {
            lua_pushnumber(L, (lua_Number) s->sent);
            return 1;
        }
        return mysql_push_result(s, L);
    }
}


static void
on_cancel(void *data)
{
    tcp_close(data); /* the connection is in the middle of a call */
}


/* Sleeps until the call that was begun is over. */
static int
run(lua_State *L, tcp_t *tcp)
{
    mysql_session_t *s = mysql_session(tcp);
    const int count = push_step(
        tcp, L, client_mysql_step(s->client, 0, ngx_current_msec, &s->wait));
    if (count > 0) {
        return count;
    }
    ngx_connection_t *c = tcp->link.connection;
    tcp->reading = resolua_thread(L);
    c->read->handler = c->write->handler = mysql_on_event;
    ngx_add_timer(c->read, s->sends ? tcp->send_timeout : tcp->read_timeout);
    return resolua_thread_sleep(tcp->reading, on_cancel, tcp);
}


static void
go_on_running(tcp_t *tcp, mysql_session_t *s, int ready)
{
    resolua_thread_t *t = tcp->reading;
    lua_State *L = resolua_thread_state(t);
    const int count = push_step(
        tcp, L,
        client_mysql_step(s->client, ready, ngx_current_msec, &s->wait));
    if (count == 0) {
        return;
    }
    tcp->reading = NULL;
    if (tcp->link.connection != NULL) {
        tcp_rest(tcp);
    }
    resolua_thread_wake(t, count);
}


/* What came; 0: nothing that the call waits for.  Octets may have put the
   deadline off since the timer was set. */
static int
ready_of(const ngx_event_t *ev, const mysql_session_t *s)
{
    const ngx_connection_t *c = ev->data;
    const ngx_msec_int_t left =
        (ngx_msec_int_t) (s->wait.deadline_ms - ngx_current_msec);
    if (!c->read->timedout) {
        return s->wait.events & (ev->write ? CLIENT_WRITE : CLIENT_READ);
    }
    c->read->timedout = 0;
    if (left <= 0) {
        return CLIENT_TIMEOUT;
    }
    ngx_add_timer(c->read, (ngx_msec_t) left);
    return 0;
}


void
mysql_on_event(ngx_event_t *ev)
{
    const ngx_connection_t *c = ev->data;
    tcp_t *tcp = c->data;
    mysql_session_t *s = mysql_session(tcp);
    const int ready = ready_of(ev, s);
    if (ready == 0) {
        return; /* the client tries before it waits: nothing is missed */
    }
    if (tcp->writing != NULL) {
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


/* send(socket, statement): the text stays on the stack meanwhile. */
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
    mysql_session_t *s = mysql_session(tcp);
    s->sent = size + PACKET_HEADER_SIZE;
    s->sends = 1;
    client_mysql_begin_send(s->client, text, size,
                            ngx_current_msec + tcp->send_timeout);
    return run(L, tcp);
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
    mysql_session_t *s = mysql_session(tcp);
    s->is_compact = is_compact ? 1 : 0;
    s->sends = 0;
    client_mysql_begin_read(s->client, ngx_current_msec + tcp->read_timeout);
    return run(L, tcp);
}


/* version(socket) */
static int
mysql_lua_version(lua_State *L)
{
    const tcp_t *tcp = tcp_check(L);
    const mysql_session_t *s = mysql_session(tcp);
    lua_pushstring(L, s != NULL
                          ? mysql_get_server_info(client_mysql_link(s->client))
                          : NULL);
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
