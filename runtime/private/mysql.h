#ifndef RESOLUA_RUNTIME_PRIVATE_MYSQL_H
#define RESOLUA_RUNTIME_PRIVATE_MYSQL_H

/* A connection to MySQL or MariaDB behind a cosocket: the socket's pool,
   timeouts and life, the protocol of client/mysql.h.  mysql_connect.c makes and
   ends connections, mysql_thread.c those with TLS, mysql.c sends and waits,
   mysql_rows.c makes Lua values of results. */

#include "client/mysql.h"
#include "runtime/connecting.h"
#include "runtime/private/tcp.h"

enum { MYSQL_TEXTS_MAX = 7 /* of the options */ };

typedef struct {
    tcp_session_t base;
    client_mysql_t *client; /* owned; NULL: the socket is not opened yet */
    client_mysql_options_t options;
    char *texts[MYSQL_TEXTS_MAX]; /* owned: what options point to */
    ngx_uint_t text_count;
    char target[NGX_SOCKADDR_STRLEN + 1]; /* an address, or a path */
    client_wait_t wait; /* what the call under way waits for */
    /* While a thread connects: what stands in the socket for the session. */
    tcp_session_t stand_in;
    tcp_t *tcp;
    resolua_connecting_t *connecting;
    unsigned timeout;        /* ms, of the whole connecting */
    client_step_t step;      /* what it has come to */
    size_t sent;             /* octets of the statement */
    unsigned is_compact : 1; /* rows are arrays */
    unsigned sends : 1;      /* the call sends a statement */
} mysql_session_t;

/* The session of a socket that has one; NULL: none. */
static inline mysql_session_t *
mysql_session(const tcp_t *tcp)
{
    return (mysql_session_t *) tcp->link.session;
}

/* An event of the connection while something is under way. */
void mysql_on_event(ngx_event_t *ev);
void mysql_go_on_connecting(tcp_t *tcp, mysql_session_t *s, int ready);

/* What a step of connecting has come to: NGX_AGAIN: it waits; NGX_ERROR with
   peer.error. */
ngx_int_t mysql_connect_state(tcp_t *tcp, mysql_session_t *s,
                              client_step_t step);

/* Connects with TLS, for which libmariadb blocks, on a thread; takes s.
   NGX_AGAIN: tcp_connect_again() will be called; or NGX_ERROR. */
ngx_int_t mysql_connect_on_thread(tcp_t *tcp, mysql_session_t *s);

/* The reason into peer.error; NGX_ERROR. */
ngx_int_t mysql_refuse(tcp_t *tcp, const char *reason);

/* The server or the way to it is gone. */
int mysql_is_lost(unsigned code);

/* The socket at 1, unless it is busy: NULL, why is pushed, *count values. */
tcp_t *mysql_check_free(lua_State *L, int *count);

/* connect(socket, host, port, options); a path: "unix:PATH", nil */
int mysql_lua_connect(lua_State *L);

/* The result that has been read, and "again" if others follow. */
int mysql_push_result(const mysql_session_t *session, lua_State *L);

#endif
