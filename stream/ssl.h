#ifndef STREAM_SSL_H
#define STREAM_SSL_H

/* ssl_*_by_lua* and proxy_ssl_*_by_lua*. */

#include "stream/conf.h"

/* While a server is merged: its handshakes with clients and upstreams. */
ngx_int_t stream_ssl_watch(ngx_conf_t *cf, const stream_conf_t *conf);

#endif
