#ifndef STREAM_STOCK_H
#define STREAM_STOCK_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_stream.h>

/* A server's configuration of one of nginx's own modules; NULL: the module is
   not loaded. */
void *stream_stock_conf(const ngx_conf_t *cf, const ngx_stream_conf_ctx_t *ctx,
                        const char *name);

#endif
