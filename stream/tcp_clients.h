#ifndef STREAM_TCP_CLIENTS_H
#define STREAM_TCP_CLIENTS_H

/*
 * How many connections a client has to this worker.  IPv6 clients are counted
 * by their /64, which is what one subscriber has.
 */

#include <ngx_config.h>
#include <ngx_core.h>

typedef struct tcp_client_s tcp_client_t;

/* One connection more; NULL: over the limits (0: any number), or no memory. */
tcp_client_t *tcp_clients_add(const struct sockaddr *address,
                              ngx_int_t max_in_all, ngx_int_t max_per_client,
                              ngx_log_t *log);

void tcp_clients_remove(tcp_client_t *client);

#endif
