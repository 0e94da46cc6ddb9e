#ifndef STREAM_TCP_CLIENTS_H
#define STREAM_TCP_CLIENTS_H

/*
 * The places for DNS connections in this worker: how many there are in all and
 * of each client, and which has been idle longest.  IPv6 clients are counted by
 * their /64, which is what one subscriber has.
 *
 * A connection has its place from the moment that access rules let it in, so
 * that a TLS handshake takes one too.  When all places are taken, the
 * connection that has been idle longest gives its own to a new one (RFC 7766
 * section 6.2.3).  Idle means that no whole query has come and no answer has
 * been taken, whatever single octets come; a connection whose query is being
 * answered is not idle.
 */

#include <ngx_config.h>
#include <ngx_core.h>

typedef struct tcp_client_s tcp_client_t;

typedef struct tcp_place_s tcp_place_t;
struct tcp_place_s {
    ngx_queue_t queue;    /* by the time of the last use */
    tcp_client_t *client; /* NULL: it has no place */
    ngx_msec_t used_at;
    /* Closes the connection for another one, and so leaves; false: it is not
       idle. */
    ngx_uint_t (*close)(tcp_place_t *place);
};

typedef struct {
    ngx_int_t in_all; /* 0: any number; at most half of the worker's
                         connections in any case */
    ngx_int_t per_client;
} tcp_limits_t;

/* Takes a place, zeroed but for close.  NGX_DECLINED: over the limits, and no
   connection is idle; NGX_ERROR: no memory. */
ngx_int_t tcp_clients_enter(tcp_place_t *place, const struct sockaddr *address,
                            const tcp_limits_t *limits, ngx_log_t *log);

/* A whole query has come, or the client has taken its answers. */
void tcp_clients_use(tcp_place_t *place);

/* Again is nothing. */
void tcp_clients_leave(tcp_place_t *place);

/* Closes the connection that has been idle longest; false: none is idle. */
ngx_uint_t tcp_clients_close_idlest(void);

/* Places that are taken. */
ngx_uint_t tcp_clients_count(void);

#endif
