#ifndef SERVER_PRIVATE_REMOTE_WIRE_H
#define SERVER_PRIVATE_REMOTE_WIRE_H

/*
 * A connection to Redis: asks a sentinel where the master is, if there are
 * sentinels, connects, logs in, and moves octets between the socket and
 * store/redis.h.
 */

#include "server/private/remote.h"
#include "store/redis.h"

typedef struct remote_wire_s remote_wire_t;

struct remote_wire_s {
    remote_store_t *store;
    store_redis_t *db; /* owned */
    void *data;        /* its user's */

    /* It is logged in. */
    void (*ready)(remote_wire_t *wire);
    /* The end of a job that its user has begun. */
    void (*done)(remote_wire_t *wire, void *job, dns_status_t status,
                 const char *error);
    /* It is of no use any more: close it. */
    void (*failed)(remote_wire_t *wire, const char *error);

    ngx_connection_t *connection;
    store_redis_master_t master; /* what the sentinel said */
    ngx_event_t flush;
    enum { WIRE_NONE, WIRE_SENTINEL, WIRE_LOGIN, WIRE_READY } stage;
    unsigned is_sent : 1;  /* what the stage has to say */
    unsigned is_over : 1;  /* the stage, with status and error */
    unsigned is_heard : 1; /* something has come; its user clears it */
    dns_status_t status;
    char error[REMOTE_ERROR_SIZE];
};

/* Begins to connect (host NULL: to the Unix socket); store, data and the three
   calls are set, the rest is zeroed.  NGX_ERROR: why is in error; close it. */
ngx_int_t remote_wire_open(remote_wire_t *wire, const store_host_t *host);

/* Sends what was begun, at the end of this turn of the event loop. */
void remote_wire_flush(remote_wire_t *wire);

/* TLS.  Begins the handshake: NGX_AGAIN: done() is called, which asks whether
   the server is to be trusted (NULL: it is). */
ngx_int_t remote_tls_begin(remote_wire_t *wire,
                           void (*done)(ngx_connection_t *c));
const char *remote_tls_check(const remote_wire_t *wire);
void remote_tls_close(ngx_connection_t *c);

void remote_wire_close(remote_wire_t *wire);

#endif
