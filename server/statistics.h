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

typedef struct {
    uint64_t udp; /* queries by dns_transport_t, in its order */
    uint64_t tcp;
    uint64_t tls;
    uint64_t https;
    uint64_t cache_hits;  /* answered in place */
    uint64_t zone;        /* from the embedded store, in place */
    uint64_t errors;      /* FORMERR, NOTIMP, REFUSED ... in place */
    uint64_t ignored;     /* no answer is due */
    uint64_t sessions;    /* went to Lua: hooks, networked stores, forwarder */
    uint64_t send_errors; /* answers that the system did not take */
    uint64_t dropped;     /* datagrams lost for want of memory */
    uint64_t shed; /* strange names that were not asked for (fairness.h) */
    uint64_t kernel_dropped; /* datagrams that the receive buffers had no room
                                for, and so no worker has seen */
} dns_statistics_t;

extern dns_statistics_t dns_counts;

/* While the configuration is read, when the server serves DNS. */
ngx_int_t dns_statistics_conf(ngx_conf_t *cf);

void dns_statistics_flush(void);

/* What the kernel has dropped at the socket since that was made: workers that
   share a socket count it once. */
void dns_statistics_kernel(ngx_socket_t fd, uint32_t dropped);

/* The sum of all workers; all zero where DNS is not served. */
void dns_statistics_get(dns_statistics_t *out);

/* For each new VM: the Lua module dns.statistics. */
void dns_statistics_setup(lua_State *L);

#endif
