#ifndef RESOLUA_HTTP_PRIVATE_CONTROL_H
#define RESOLUA_HTTP_PRIVATE_CONTROL_H

/* How a chunk ends its request. */

#include "http/private/ctx.h"

/* What is left for the script whose chunk ended with rc: completes the response
   and gives the code for ngx_http_finalize_request. */
ngx_int_t http_control_end(http_ctx_t *ctx, ngx_int_t rc);

/* The status of a response that has none yet; the script of error_page = sees
   it and keeps it. */
void http_control_note_status(ngx_http_request_t *r, ngx_int_t rc);

/* Goes to where ngx.exec named; the request counts one more (NGX_DONE). */
void http_control_exec(http_ctx_t *ctx);

/* While Lua sleeps: looks for the client's end where that is wanted. */
void http_control_watch(http_ctx_t *ctx);
void http_control_unwatch(ngx_http_request_t *r);

/* While Lua waits for its output to go: the end of an HTTP/2 stream or
   connection is told by the read event, and no write would fail. */
void http_control_watch_flush(ngx_http_request_t *r);

/* resolua_host_t.watches_client */
ngx_uint_t http_control_watches(const resolua_request_t *base);

#endif
