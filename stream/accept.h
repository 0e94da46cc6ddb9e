#ifndef STREAM_ACCEPT_H
#define STREAM_ACCEPT_H

/*
 * UDP goes on whatever TCP and HTTP clients do.
 *
 * nginx takes all its listeners out of the event loop when accept() finds no
 * free descriptor, UDP too; with accept_mutex a worker that has many
 * connections does not look at any of them.  So where there is a UDP listener,
 * UDP listeners stay in the event loop, and every other listener of the worker,
 * of any module, asks here before it accepts.  A part of worker_connections is
 * never a client's: upstreams, databases and UDP sessions need it.  Another
 * part is for DNS over TCP, whatever the clients of other listeners hold.
 */

#include <ngx_config.h>
#include <ngx_core.h>

/* In each worker, when nginx has set up its listeners. */
ngx_int_t accept_init_process(ngx_cycle_t *cycle);

/* A UDP listener of the worker is in the event loop from here on. */
ngx_int_t accept_watch_datagrams(const ngx_listening_t *ls);

/* True at most once in a while: for what clients can cause over and over.
   last: 0 at first. */
ngx_uint_t accept_may_log(time_t *last);

#endif
