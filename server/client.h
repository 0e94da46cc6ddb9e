#ifndef SERVER_CLIENT_H
#define SERVER_CLIENT_H

/* Who asks. */

#include <ngx_config.h>
#include <ngx_core.h>

/* The address as the server knows it: a client without one (a Unix socket) is
   0.0.0.0.  Borrowed from the argument, or static. */
const struct sockaddr *dns_server_client(const struct sockaddr *address);

/* May the client have names looked up elsewhere?  Loopback, private and
   link-local networks, shared address space (RFC 6890), Unix sockets. */
ngx_uint_t dns_server_is_local(const struct sockaddr *client);

#endif
