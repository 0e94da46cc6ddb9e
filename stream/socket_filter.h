#ifndef STREAM_SOCKET_FILTER_H
#define STREAM_SOCKET_FILTER_H

/*
 * Filters on the UDP sockets of the lanes (server/flood_filter.h says which):
 * SO_ATTACH_FILTER, which needs no privilege.
 *
 * A socket has a filter only if no other worker reads from it, for it would be
 * theirs as well, and if all of its servers answer in the lane without hooks:
 * access rules, logs and hooks have to see what they are for.  A filter belongs
 * to the socket, which is inherited by the worker that comes after a reload, a
 * binary upgrade or a killed worker: each worker begins with taking off what it
 * finds.
 */

#include <ngx_config.h>
#include <ngx_core.h>

/* In each worker, of each UDP listener: takes off what there is. */
void socket_filter_clean(ngx_socket_t fd);

/* And of one that may have a filter. */
ngx_int_t socket_filter_add(ngx_cycle_t *cycle, ngx_socket_t fd);

/* When these are known; and at the worker's end. */
void socket_filter_open(void);
void socket_filter_close(void);

/* Now and then: takes a filter off that is not ours: the worker before was
   killed when it had put it there. */
void socket_filter_check(ngx_socket_t fd);

/* Does the socket's number of drops count what a filter has dropped as well?
   Then it is looked after here. */
ngx_uint_t socket_filter_counts(ngx_socket_t fd);

#endif
