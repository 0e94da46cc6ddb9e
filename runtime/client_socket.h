#ifndef RESOLUA_RUNTIME_CLIENT_SOCKET_H
#define RESOLUA_RUNTIME_CLIENT_SOCKET_H

/* The connection of a request's client as a socket of Lua's: the methods of
   ngx.socket.tcp that read, and those that write where it is raw.  The adapter
   keeps the connection and its event handlers, and passes on events that
   somebody waits for. */

#include <ngx_event.h>

#include "runtime/request.h"

typedef struct tcp_s resolua_client_socket_t;

typedef struct {
    ngx_connection_t *connection;
    ngx_buf_t *preread; /* octets that have come already; what is taken is
                           taken out of it */
    off_t *rest;  /* octets of a body that may be read, counted down; NULL:
                     any number */
    off_t *taken; /* octets of it that have been read, counted up */
    unsigned is_raw : 1;
} resolua_client_t;

/* Pushes the socket, which lives as long as the request.  NULL: no memory, and
   nothing is pushed. */
resolua_client_socket_t *
resolua_client_socket_push(lua_State *L, resolua_request_t *r,
                           const resolua_client_t *client);

/* From now on *rest says how many octets may be read; it is the same as before.
 */
void resolua_client_socket_count(resolua_client_socket_t *socket, off_t *rest);

ngx_uint_t resolua_client_socket_reads(const resolua_client_socket_t *socket);
ngx_uint_t resolua_client_socket_writes(const resolua_client_socket_t *socket);

/* An event has come (or a timer of it) while it reads, or writes. */
void resolua_client_socket_on_read(resolua_client_socket_t *socket);
void resolua_client_socket_on_write(resolua_client_socket_t *socket);

#endif
