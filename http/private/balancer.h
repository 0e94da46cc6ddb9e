#ifndef RESOLUA_HTTP_PRIVATE_BALANCER_H
#define RESOLUA_HTTP_PRIVATE_BALANCER_H

/* balancer_by_lua* and balancer_keepalive in upstream {}. */

#include "http/private/ctx.h"
#include "runtime/balancer.h"

/* ngx_command_t set handler of balancer_by_lua*. */
char *http_balancer_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

typedef struct http_kept_connection_s http_kept_connection_t;

/* What a connection is for: a kept one is used for the same again only. */
typedef struct {
    ngx_int_t (*protocol)(ngx_http_request_t *r); /* u->create_request */
    const void *ssl;       /* whose TLS settings count; NULL: without TLS */
    ngx_flag_t sends_name; /* in TLS */
    ngx_flag_t is_transparent;
    ngx_str_t name; /* of TLS, and the client's certificate by variable */
    const struct sockaddr *sockaddr;
    socklen_t socklen;
    const struct sockaddr *local; /* NULL: any */
    socklen_t local_size;
} http_kept_key_t;

/* A kept connection for the key, put into b's pc; its record is *taken then,
   and else NULL.  NGX_DONE as nginx's get() says it, or NGX_OK. */
ngx_int_t http_kept_take(http_kept_t *kept, resolua_balancer_t *b,
                         const http_kept_key_t *key,
                         http_kept_connection_t **taken);

/* May the connection of b's pc be kept, as the exchange u has left it? */
int http_kept_is_in_order(const resolua_balancer_t *b,
                          const ngx_http_upstream_t *u, ngx_uint_t state);

/* Keeps the connection of b's pc.  taken: its record, if it was kept before. */
void http_kept_put(http_kept_t *kept, resolua_balancer_t *b,
                   const http_kept_key_t *key, http_kept_connection_t *taken);

#endif
