#ifndef STREAM_OUTPUT_H
#define STREAM_OUTPUT_H

/* ngx.print, ngx.say, ngx.flush, ngx.eof, and a request socket's send: octets
   to the client.  Over UDP each call is one datagram. */

#include "stream/context.h"

int output_print(lua_State *L);
int output_say(lua_State *L);
int output_flush(lua_State *L);
int output_eof(lua_State *L);

/* socket:send(data): sleeps until it has gone; the number of bytes (1 for a
   datagram), or nil and why. */
int output_socket_send(lua_State *L, int arg);

/* Sends what waits as far as the client takes it. */
void output_send(stream_context_t *context);

/* What a call that gave octets to the output returns: result, or nil and
   why. */
int output_push_result(const stream_context_t *context, lua_State *L,
                       size_t result);

#endif
