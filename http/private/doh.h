#ifndef HTTP_PRIVATE_DOH_H
#define HTTP_PRIVATE_DOH_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <stdint.h>

/* Set handler of dns_over_https: makes the location answer DNS (RFC 8484). */
char *doh_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *data);

/* An argument of the URI without its escapes, in the request's pool.
   NGX_DECLINED: there is none, or it is empty. */
ngx_int_t doh_argument(ngx_http_request_t *r, const char *name, ngx_str_t *out);

/* The query that ?name=&type=&do=&cd= asks, in the request's pool.
   NGX_DECLINED: there is no name, or it or the type is malformed. */
ngx_int_t doh_json_query(ngx_http_request_t *r, ngx_str_t *packet);

/* A response as JSON, in the pool. */
ngx_int_t doh_json_write(ngx_pool_t *pool, const uint8_t *wire, size_t size,
                         ngx_str_t *out);

#endif
