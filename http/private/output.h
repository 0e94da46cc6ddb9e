#ifndef RESOLUA_HTTP_PRIVATE_OUTPUT_H
#define RESOLUA_HTTP_PRIVATE_OUTPUT_H

#include "http/private/ctx.h"

/* What ngx.print and its like write is gathered in the context and given to
   nginx's filters in larger pieces: when enough is there, at ngx.flush and at
   the end. */

/* The same, header and end of response included; once. */
ngx_int_t http_output_end(http_ctx_t *ctx);

/* r->write_event_handler while Lua sleeps. */
void http_output_on_write(ngx_http_request_t *r);

/* Wakes the coroutines that wait in ngx.flush(true): the client has closed its
   connection or stream. */
void http_output_gone(http_ctx_t *ctx);

int http_print(lua_State *L);
int http_say(lua_State *L);
int http_flush(lua_State *L);
int http_eof(lua_State *L);
int http_send_headers(lua_State *L);

#endif
