#ifndef SERVER_PRIVATE_REMOTE_WIRE_H
#define SERVER_PRIVATE_REMOTE_WIRE_H

/*
 * A connection to Redis: the machine of store/redis.h, whose steps nginx's
 * events cause.
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

    ngx_connection_t *connection; /* of the machine's descriptor */
    int events;                   /* what the machine waits for ... */
    ngx_event_t timer;            /* ... until this at the latest */
    ngx_event_t flush;            /* posted: commands are to be sent */
    unsigned is_ready : 1;
    unsigned is_heard : 1; /* something has come; its user clears it */
    char error[REMOTE_ERROR_SIZE];
};

/* Begins to connect (host NULL: to the Unix socket); store, data and the three
   calls are set, the rest is zeroed.  NGX_ERROR: why is in error; close it. */
ngx_int_t remote_wire_open(remote_wire_t *wire, const store_host_t *host);

/* Sends what was begun, at the end of this turn of the event loop. */
void remote_wire_flush(remote_wire_t *wire);

void remote_wire_close(remote_wire_t *wire);

#endif
