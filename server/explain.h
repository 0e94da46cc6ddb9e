#ifndef SERVER_EXPLAIN_H
#define SERVER_EXPLAIN_H

/* What dns.explain (lua/) has to know of the server: which servers there are,
   their hooks, the cache, and what they answer without the hooks. */

#include <lua.h>

#include "server/conf.h"

/* While the configuration is read: conf, which may still be merged, belongs to
   a server that serves DNS. */
ngx_int_t dns_explain_add_server(ngx_conf_t *cf, dns_server_conf_t *conf);

/* The empty list of the main configuration. */
ngx_int_t dns_explain_init(ngx_pool_t *pool, ngx_array_t *servers);

/* For each new VM: the Lua module dns.servers. */
void dns_explain_setup(lua_State *L);

#endif
