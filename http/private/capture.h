#ifndef RESOLUA_HTTP_PRIVATE_CAPTURE_H
#define RESOLUA_HTTP_PRIVATE_CAPTURE_H

/* ngx.location.capture: subrequests whose responses Lua gets.  They run in
   nginx's background, so that none waits for its turn to write to the client;
   a header and a body filter of ours keep what they give. */

#include "http/private/ctx.h"

typedef struct http_captures_s http_captures_t;

/* The response of one subrequest.  Lives in the request's pool. */
typedef struct {
    http_captures_t *group;
    ngx_http_request_t *request;
    u_char *body; /* owned */
    size_t size;
    size_t room;
    ngx_uint_t status;
    unsigned has_header : 1;
    unsigned has_end : 1;
    unsigned is_truncated : 1;
    unsigned is_done : 1;
} http_capture_t;

/* Those that one call waits for. */
struct http_captures_s {
    http_ctx_t *ctx;          /* of the request that asks */
    resolua_thread_t *waiter; /* NULL: nobody wants them any more */
    ngx_uint_t pending;
    ngx_uint_t count;
    ngx_queue_t ready; /* in ctx->captured */
    ngx_http_posted_request_t posted;
    http_capture_t captures[];
};

/* For count subrequests; NULL: no memory. */
http_captures_t *http_captures_new(http_ctx_t *ctx, ngx_uint_t count);

/* Starts the subrequest of one, in the background. */
ngx_int_t http_capture_start(http_capture_t *capture, ngx_str_t *uri,
                             ngx_str_t *args);

/* Sleeps till all of the group are done.  Use as `return ...`: Lua gets a table
   for each. */
int http_captures_wait(lua_State *L, http_captures_t *group);

/* Wakes who waits for the first group that is done. */
void http_capture_wake(http_ctx_t *ctx);

/* Puts the filters in, below those of header_filter_by_lua*. */
void http_capture_init(void);

#endif
