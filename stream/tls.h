#ifndef STREAM_TLS_H
#define STREAM_TLS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_stream.h>

/* DNS over TLS: clients that name protocols are given "dot" (RFC 7858 section
   3.2's ALPN), unless ssl_alpn says else.  For a server with dns_serve on. */
void tls_conf(const ngx_stream_conf_ctx_t *ctx);

/* While a server with Lua is merged: what serversslhandshake() needs of its
   ssl_* directives, which nginx prepares for `listen ... ssl` alone. */
char *tls_prepare(ngx_conf_t *cf);

#endif
