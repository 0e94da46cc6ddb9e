#ifndef SERVER_CACHE_H
#define SERVER_CACHE_H

/* The answer cache (dns/cache.h) in the server: dns_cache's shared memory, and
   the Lua module dns.cache. */

#include "dns/cache.h"
#include "server/handle.h"

/* While the configuration is read; conf->cache_size octets. */
ngx_int_t dns_server_cache_conf(ngx_conf_t *cf, dns_main_conf_t *conf);

/* In each worker. */
void dns_server_cache_open(ngx_cycle_t *cycle);

/* The workers' cache; NULL: none. */
extern dns_cache_t *dns_server_cache;

/* Puts the kept answer to call->out, OPT and all.  0: there is none. */
size_t dns_server_cache_get(uint32_t view, const dns_server_request_t *request);

/* Is dns_serve_stale on? */
ngx_uint_t dns_server_cache_has_stale(void);

/* Where the data cannot be had: what has expired, within dns_serve_stale. */
size_t dns_server_cache_get_stale(const dns_server_request_t *request);

void dns_server_cache_put(uint32_t view, const dns_query_t *query,
                          const dns_cache_ticket_t *ticket,
                          const dns_response_t *response, const uint8_t *wire);

/* For each new VM. */
void dns_server_cache_setup(lua_State *L);

#endif
