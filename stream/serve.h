#ifndef STREAM_SERVE_H
#define STREAM_SERVE_H

/* dns_serve as a content handler: one datagram's session, or a TCP or TLS
   connection with any number of queries. */

#include "server/ask.h"
#include "stream/conf.h"

/* What Lua has begun for the datagram whose session is made next, or NULL; the
   session takes it and leaves NULL. */
extern dns_server_ask_t *serve_pending;

void serve_content(ngx_stream_session_t *s);

#endif
