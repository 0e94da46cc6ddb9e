#ifndef RESOLUA_HTTP_PRIVATE_BALANCER_H
#define RESOLUA_HTTP_PRIVATE_BALANCER_H

/* balancer_by_lua* and balancer_keepalive in upstream {}. */

#include "http/private/ctx.h"
#include "runtime/balancer.h"

/* ngx_command_t set handler of balancer_by_lua*. */
char *http_balancer_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* A kept connection to what b has picked, put into its pc: NGX_DONE as nginx's
   get() says it; else NGX_OK. */
ngx_int_t http_kept_take(http_kept_t *kept, resolua_balancer_t *b);

/* Keeps the connection of b's pc if the exchange u left it in order. */
void http_kept_put(http_kept_t *kept, resolua_balancer_t *b,
                   const ngx_http_upstream_t *u, ngx_uint_t state);

#endif
