#ifndef CLIENT_PRIVATE_MYSQL_H
#define CLIENT_PRIVATE_MYSQL_H

/* The machine's state: mysql.c steps, mysql_connect.c has the options, connects
   at once and ends connections. */

#include "client/mysql.h"

typedef enum {
    MYSQL_NEW, /* not connected */
    MYSQL_READY,
    MYSQL_GONE, /* the connection is of no use any more */
    /* Calls that are under way. */
    MYSQL_CONNECTING,
    MYSQL_SENDING,
    MYSQL_READING,  /* the head of the first result */
    MYSQL_NEXT,     /* the head of a further one */
    MYSQL_STORING,  /* its rows */
    MYSQL_FETCHING, /* one of its rows */
    MYSQL_SKIPPING, /* the rest of its rows */
    MYSQL_PREPARING,
    MYSQL_EXECUTING,
    MYSQL_STORING_ROWS, /* of a statement */
} mysql_state_t;

struct client_mysql_s {
    client_mysql_options_t options;
    MYSQL *link; /* owned */
    mysql_state_t state;
    int events;    /* what libmariadb's call waits for; 0: it is over */
    bool reads_on; /* after sending */
    bool stores;   /* the rows of the result */
    bool walks;    /* rows of the result have not been read yet */
    bool has_more; /* results follow */
    uint64_t deadline_ms;
    uint64_t octets;  /* that have moved for the call */
    const char *text; /* borrowed */
    size_t size;
    MYSQL_STMT *statement; /* borrowed */

    /* How the last call failed; texts are borrowed. */
    bool has_failed;
    bool is_gone;
    const char *error;
    const char *sqlstate;
    unsigned code;

    /* libmariadb's results */
    MYSQL *connected;
    int result;
    my_bool head_result;
    MYSQL_RES *rows; /* owned */
    MYSQL_ROW row;
};

/* What mysql_real_connect() takes last. */
unsigned long client_mysql_flags(const client_mysql_t *c);

/* libmariadb's call to connect is over: c->connected. */
void client_mysql_end_connect(client_mysql_t *c);

/* A call has failed as libmariadb says; the connection may stand. */
void client_mysql_fail(client_mysql_t *c);

/* A call has failed for a reason of our own; the connection is of no use. */
void client_mysql_refuse(client_mysql_t *c, const char *error);

/* Shuts the socket down, and ends libmariadb's call so that it frees what it
   holds. */
void client_mysql_cut(client_mysql_t *c);

#endif
