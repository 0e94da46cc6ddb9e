#ifndef STREAM_LANE_H
#define STREAM_LANE_H

/*
 * The express lane: our read handler in the place of nginx's own on UDP
 * listeners whose servers are all of ours.  It answers in batches what C can
 * answer in place, and makes a stream session of every other datagram.
 */

#include "stream/conf.h"

/* One UDP listener of this worker. */
typedef struct {
    ngx_listening_t *listening;
    ngx_socket_t held_fd; /* a descriptor of the sessions' own, or -1: nginx
                             closes the listener at a graceful end while they
                             still owe their answers */
    ngx_uint_t holders;   /* sessions that use it */
} lane_t;

/* In each worker, when nginx has set up its listeners. */
ngx_int_t lane_init_process(ngx_cycle_t *cycle);

/* The server that a local address belongs to. */
const ngx_stream_addr_conf_t *lane_server(const ngx_listening_t *ls,
                                          const struct sockaddr *local);

#endif
