#ifndef RESOLUA_HTTP_PRIVATE_SSL_H
#define RESOLUA_HTTP_PRIVATE_SSL_H

/* ssl_*_by_lua* and proxy_ssl_*_by_lua*. */

#include "http/private/ctx.h"

/* Postconfiguration: if any server has such a phase, all are watched, for the
   client says which one it wants within the handshake. */
ngx_int_t http_ssl_watch_servers(ngx_conf_t *cf);

/* While a location is merged: the handshakes of its proxy_pass. */
ngx_int_t http_ssl_watch_proxy(ngx_conf_t *cf, const http_loc_conf_t *conf);

#endif
