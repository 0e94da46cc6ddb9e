#ifndef RESOLUA_HTTP_PRIVATE_PHASES_H
#define RESOLUA_HTTP_PRIVATE_PHASES_H

#include "http/private/ctx.h"

/* Postconfiguration: puts the handlers of the used phases into nginx's. */
ngx_int_t http_phases_init(ngx_conf_t *cf);

/* The same for the header and the body filter. */
ngx_int_t http_filters_init(const http_main_conf_t *conf);

/* The handler of locations with content_by_lua*. */
ngx_int_t http_content_handler(ngx_http_request_t *r);

/* resolua_host_t.resumed and .settle */
void http_phase_resumed(resolua_request_t *base, ngx_int_t rc);
void http_phase_settle(void *connection);

/* resolua_thread_wake() from a handler after which nginx runs the posted
   requests: were they run here, a loop of subrequests would pile up calls. */
void http_wake_quietly(const http_ctx_t *ctx, resolua_thread_t *t,
                       int nresults);

/* Goes on with nginx's phases after a sleep. */
void http_phase_again(http_ctx_t *ctx);

/* Pushes the chunk of a directive.  NGX_HTTP_NOT_FOUND: no such file;
   NGX_HTTP_INTERNAL_SERVER_ERROR: it does not load, logged. */
ngx_int_t http_code_push(http_ctx_t *ctx, http_code_t *code);

#endif
