#ifndef RESOLUA_RUNTIME_BALANCER_H
#define RESOLUA_RUNTIME_BALANCER_H

/* balancer_by_lua*: what http and stream have in common, and ngx.balancer.

   An adapter lets nginx's round robin make the peers of upstream {}, then puts
   a resolua_balancer_t over each request's: its get() runs the chunk by
   resolua_balancer_run() and asks round robin where the chunk picked none.
   Nothing sleeps here; look-ups belong into an earlier phase. */

#include <ngx_event.h>
#include <ngx_event_connect.h>

#include "runtime/run.h"

typedef struct resolua_balancer_s resolua_balancer_t;

/* What the adapters differ in; NULL members: nothing to be done or had. */
typedef struct {
    ngx_uint_t (*max_tries)(const resolua_balancer_t *b); /* 0: any number */
    /* Of the attempt that has failed; 0: there is none. */
    ngx_uint_t (*last_status)(const resolua_balancer_t *b);
    /* Milliseconds; 0: as configured. */
    ngx_int_t (*set_timeouts)(resolua_balancer_t *b, ngx_msec_t connect,
                              ngx_msec_t send, ngx_msec_t read);
    /* Makes the request to be sent anew; NULL, or why not. */
    const char *(*recreate)(resolua_balancer_t *b);
    /* The peer's name in TLS, as picked. */
    void (*set_host)(resolua_balancer_t *b, const ngx_str_t *host);
    unsigned keeps_connections : 1; /* ngx.balancer.enable_keepalive */
} resolua_balancer_host_t;

struct resolua_balancer_s {
    const resolua_balancer_host_t *host; /* borrowed */
    void *data;                          /* the adapter's */
    ngx_peer_connection_t *pc;           /* the request's, borrowed */
    ngx_pool_t *pool;                    /* the request's, borrowed */

    /* nginx's own balancer, beneath. */
    void *inner;
    ngx_event_get_peer_pt inner_get;
    ngx_event_free_peer_pt inner_free;
    ngx_event_set_peer_session_pt inner_set_session;
    ngx_event_save_peer_session_pt inner_save_session;

    /* What the chunk has picked; in the request's pool. */
    struct sockaddr *sockaddr; /* NULL: nothing */
    socklen_t socklen;
    ngx_str_t name;      /* "127.0.0.1:80" */
    ngx_str_t peer_host; /* of TLS */
    ngx_uint_t more_tries;
    ngx_uint_t attempts;     /* this one included */
    ngx_uint_t last_state;   /* NGX_PEER_*, of the attempt before */
    ngx_msec_t idle_timeout; /* of a kept connection, ms */
    ngx_uint_t requests_max; /* on a kept connection */
    unsigned keeps : 1;      /* the connection, when it is done with */
};

/* Puts b over the peer of pc, which nginx's own balancer has filled. */
void resolua_balancer_init(resolua_balancer_t *b,
                           const resolua_balancer_host_t *host, void *data,
                           ngx_peer_connection_t *pc, ngx_pool_t *pool);

/* Runs the chunk and puts its pick into pc, or asks the balancer beneath:
   NGX_OK, NGX_BUSY, NGX_ERROR; or what ngx.exit was given, if that is a
   status. */
ngx_int_t resolua_balancer_run(resolua_balancer_t *b, resolua_request_t *r,
                               resolua_code_t *code);

/* The rest of ngx_peer_connection_t, with data = b. */
void resolua_balancer_free(ngx_peer_connection_t *pc, void *data,
                           ngx_uint_t state);

#endif
