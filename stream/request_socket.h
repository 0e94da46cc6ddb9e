#ifndef STREAM_REQUEST_SOCKET_H
#define STREAM_REQUEST_SOCKET_H

/* ngx.req.socket(): the client's side of the session.  TCP: receive,
   receiveany, receiveuntil, peek (preread), send, shutdown, settimeout(s).
   UDP: one datagram to receive, any number to send. */

#include <lua.h>

int request_socket(lua_State *L);

/* Makes the metatable; the ngx table is on top of the stack. */
void request_socket_setup(lua_State *L);

#endif
