#ifndef SERVER_STATISTICS_H
#define SERVER_STATISTICS_H

/*
 * What became of the queries, counted for all workers in shared memory.  A
 * worker counts in dns_counts, at no cost, and adds that to the shared numbers
 * by dns_statistics_flush() when a batch or a read is done.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include <lauxlib.h>
#include <lua.h>

#include "dns/query.h"

/* The first ones are the transports of dns/query.h: queries that came by each.
 */
typedef enum {
    DNS_COUNT_UDP = DNS_OVER_UDP,
    DNS_COUNT_TCP = DNS_OVER_TCP,
    DNS_COUNT_TLS = DNS_OVER_TLS,
    DNS_COUNT_HTTPS = DNS_OVER_HTTPS,
    DNS_COUNT_CACHE_HITS,  /* answered in place */
    DNS_COUNT_ZONE,        /* from the embedded store, in place */
    DNS_COUNT_ERRORS,      /* FORMERR, NOTIMP, REFUSED ... in place */
    DNS_COUNT_IGNORED,     /* no answer is due */
    DNS_COUNT_SESSIONS,    /* went to Lua: hooks, networked stores, forwarder */
    DNS_COUNT_SEND_ERRORS, /* answers that the system did not take */
    DNS_COUNT_DROPPED,     /* datagrams lost for want of memory */
    DNS_COUNT_SHED,        /* strange names that were not asked for
                              (fairness.h) */
    DNS_COUNT_KERNEL_DROPPED, /* datagrams that the receive buffers had no room
                                 for, and so no worker has seen */
    DNS_COUNT_FILTERED, /* strange names that a filter on a socket has dropped
                           (flood_filter.h) */
    DNS_COUNTERS,
} dns_counter_t;

/* The worker's own, by dns_counter_t. */
extern uint64_t dns_counts[DNS_COUNTERS];

/* While the configuration is read, when the server serves DNS. */
ngx_int_t dns_statistics_conf(ngx_conf_t *cf);

void dns_statistics_flush(void);

/* dropped: what the kernel has dropped at the socket since that was made. Gives
   how many of them are new: workers that share a socket count them once. */
uint32_t dns_statistics_drops(ngx_socket_t fd, uint32_t dropped);

/* The sum of all workers; zero where DNS is not served. */
uint64_t dns_statistics_get(dns_counter_t counter);

/* For each new VM: the Lua module dns.statistics. */
void dns_statistics_setup(lua_State *L);

#endif
