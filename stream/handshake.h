#ifndef STREAM_HANDSHAKE_H
#define STREAM_HANDSHAKE_H

/* TLS that a script begins on a client's connection, as STARTTLS of other
   protocols does. */

#include "stream/context.h"

/* serversslhandshake(): true, or nil and why not.  Use as `return
   handshake_start(...)`. */
int handshake_start(lua_State *L, stream_context_t *context);

#endif
