#ifndef RESOLUA_RUNTIME_PRIVATE_MYSQL_H
#define RESOLUA_RUNTIME_PRIVATE_MYSQL_H

/* A connection to MySQL or MariaDB behind a cosocket: the socket's pool,
   timeouts and life, libmariadb's protocol.  mysql.c connects, sends and waits,
   mysql_rows.c makes Lua values of results. */

#include <mysql.h>

#include "runtime/private/tcp.h"

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
    unsigned has_more : 1; /* results follow the one that was read */
    size_t sent;           /* octets of the statement */
    ngx_str_t statement;   /* owned, while it is sent */
    /* libmariadb's results */
    MYSQL *connected;
    int result;
    my_bool head_result;
    MYSQL_RES *rows; /* owned */
} mysql_session_t;

/* The result that has been read, and "again" if others follow. */
int mysql_push_result(mysql_session_t *session, lua_State *L);

/* A new MYSQL with what the options at index of L say; NULL: no memory.  user,
   password and database are left to the caller. */
MYSQL *mysql_link_new(lua_State *L, int index,
                      const resolua_socket_conf_t *conf);

#endif
