#ifndef RESOLUA_RUNTIME_PRIVATE_PEER_H
#define RESOLUA_RUNTIME_PRIVATE_PEER_H

/* Where a cosocket connects to: an address, a Unix socket's path, or a host
   name that nginx's resolver looks up. */

#include <ngx_event_connect.h>

#include "runtime/socket.h"

enum { RESOLUA_PEER_ERROR_SIZE = 320 };

typedef struct resolua_peer_s resolua_peer_t;
struct resolua_peer_s {
    ngx_sockaddr_t address;
    socklen_t address_size;
    /* Called with owner when a look-up that gave NGX_AGAIN has ended, with
       NGX_OK or NGX_ERROR. */
    void (*found)(void *owner, ngx_int_t rc);
    void *owner;
    ngx_resolver_ctx_t *lookup; /* NULL: none is under way */
    in_port_t port;
    unsigned starts : 1;
    ngx_int_t result;
    char error[RESOLUA_PEER_ERROR_SIZE]; /* after NGX_ERROR */
};

/* The address of host ("192.0.2.1", "[2001:db8::1]", "name", "unix:/path") into
   peer->address.  NGX_OK, NGX_AGAIN, or NGX_ERROR with peer->error. */
ngx_int_t resolua_peer_find(resolua_peer_t *peer,
                            const resolua_socket_conf_t *conf, ngx_str_t host,
                            in_port_t port);

/* found() is not called any more. */
void resolua_peer_cancel(resolua_peer_t *peer);

/* Makes the socket and connects it: as ngx_event_connect_peer(), but NGX_OK,
   NGX_AGAIN, or NGX_ERROR with peer->error, which says "no free connection"
   where worker_connections is used up: that is not the peer's fault. */
ngx_int_t resolua_peer_connect(resolua_peer_t *peer, ngx_peer_connection_t *pc);

/* Writes the text of an errno in lower case, as scripts know it. */
void resolua_peer_errno(resolua_peer_t *peer, ngx_err_t err);

#endif
