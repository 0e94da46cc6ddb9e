#ifndef STREAM_TLS_H
#define STREAM_TLS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_stream.h>

/* DNS over TLS: clients that name protocols are given "dot" (RFC 7858 section
   3.2's ALPN), unless ssl_alpn says else.  For a server with dns_serve on. */
void tls_conf(const ngx_stream_conf_ctx_t *ctx);

#endif
