#ifndef RESOLUA_RUNTIME_PRIVATE_MYSQL_H
#define RESOLUA_RUNTIME_PRIVATE_MYSQL_H

/* A connection to MySQL or MariaDB behind a cosocket: the socket's pool,
   timeouts and life, libmariadb's protocol.  mysql_connect.c makes and ends
   connections, mysql.c sends and waits, mysql_rows.c makes Lua values of
   results. */

#include <mysql.h>

#include "runtime/private/tcp.h"

/* Where the server's store/ puts why it has refused a log-in (as its
   mysql_guard.h says). */
#define MYSQL_REFUSAL "resolua.refusal"

enum { MYSQL_CLIENT_FLAGS = CLIENT_MULTI_STATEMENTS | CLIENT_MULTI_RESULTS };

typedef enum {
    MYSQL_OP_NONE,
    MYSQL_OP_CONNECT,
    MYSQL_OP_SEND,
    MYSQL_OP_READ,  /* the head of the first result */
    MYSQL_OP_NEXT,  /* the head of a further one */
    MYSQL_OP_STORE, /* its rows */
} mysql_op_t;

typedef struct {
    tcp_session_t base;
    MYSQL *link; /* owned */
    mysql_op_t op;
    int events; /* MYSQL_WAIT_*: what op waits for; 0: it is over */
    unsigned is_compact : 1; /* rows are arrays */
    unsigned wants_tls : 1;
    unsigned verifies : 1;
    unsigned has_more : 1; /* results follow the one that was read */
    size_t sent;           /* octets of the statement */
    ngx_str_t statement;   /* owned, while it is sent */
    /* For connecting; libmariadb reads them while it does. */
    char host[NGX_SOCKADDR_STRLEN + 1]; /* an address */
    ngx_str_t name; /* owned: that the certificate must have, looked up by
                       libmariadb; data NULL: host */
    ngx_str_t user; /* owned, with a NUL */
    ngx_str_t password;
    ngx_str_t database;
    /* libmariadb's results */
    MYSQL *connected;
    int result;
    my_bool head_result;
    MYSQL_RES *rows; /* owned */
} mysql_session_t;

/* An event of the connection while something is under way. */
void mysql_on_event(ngx_event_t *ev);
void mysql_go_on_connecting(tcp_t *tcp, mysql_session_t *s, int ready);

/* Whether the connection is made: NGX_AGAIN: not yet; NGX_ERROR with
   peer.error. */
ngx_int_t mysql_connect_state(tcp_t *tcp, mysql_session_t *s);

/* Connects with TLS, for which libmariadb blocks, on a thread; takes s.
   NGX_AGAIN: tcp_connect_again() will be called; or NGX_ERROR. */
ngx_int_t mysql_connect_on_thread(tcp_t *tcp, mysql_session_t *s,
                                  const char *path);

/* The reason into peer.error; NGX_ERROR. */
ngx_int_t mysql_refuse(tcp_t *tcp, const char *reason);

/* Goes on with the call; what it waits for then, or 0. */
int mysql_resume(mysql_session_t *s, int ready);

/* The server or the way to it is gone. */
int mysql_is_lost(unsigned code);

/* libmariadb's: the connection stands in the middle of a packet, or nowhere. */
int mysql_is_own_error(unsigned code);

void mysql_free_text(ngx_str_t *text);

/* The socket at 1, unless it is busy: NULL, why is pushed, *count values. */
tcp_t *mysql_check_free(lua_State *L, int *count);

/* connect(socket, host, port, options); a path: "unix:PATH", nil */
int mysql_lua_connect(lua_State *L);

/* The result that has been read, and "again" if others follow. */
int mysql_push_result(mysql_session_t *session, lua_State *L);

/* A new MYSQL with what the options at index of L say; NULL: no memory.  user,
   password and database are left to the caller. */
MYSQL *mysql_link_new(lua_State *L, int index,
                      const resolua_socket_conf_t *conf);

#endif
