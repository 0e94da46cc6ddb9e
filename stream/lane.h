#ifndef STREAM_LANE_H
#define STREAM_LANE_H

/*
 * The express lane: our read handler in the place of nginx's own on UDP
 * listeners whose servers are all of ours.  It answers in batches what C can
 * answer in place; the others are answered late (late.h), or, where nginx's
 * phases have something to do, are stream sessions.
 */

#include "stream/conf.h"

/* One UDP listener of this worker. */
typedef struct {
    ngx_listening_t *listening;
    ngx_socket_t held_fd;     /* a descriptor of the sessions' own, or -1: nginx
                                 closes the listener at a graceful end while they
                                 still owe their answers */
    ngx_uint_t holders;       /* sessions and late answers that use it */
    ngx_event_t pause;        /* until this nothing is read */
    time_t looked_at;         /* when the kernel was asked for the queue */
    unsigned is_borrowed : 1; /* it is the listener's own */
    unsigned is_pressed : 1;  /* the receive buffer was half full */
} lane_t;

/* In the master, which may enlarge the listeners' receive buffers. */
ngx_int_t lane_init_module(ngx_cycle_t *cycle);

/* In each worker, when nginx has set up its listeners. */
ngx_int_t lane_init_process(ngx_cycle_t *cycle);

/* For who owes an answer: keeps a descriptor that a graceful end does not
   close, held_fd; without it (logged) that of the listener is used. */
void lane_hold(lane_t *lane);
void lane_release(lane_t *lane);

/* Does a listener of nginx's stream, of datagrams or connections, have a server
   with dns_serve? */
ngx_uint_t lane_serves_dns(const ngx_listening_t *ls);

#endif
