#ifndef STREAM_SERVE_H
#define STREAM_SERVE_H

/* dns_serve as a content handler: one datagram's session, or a TCP or TLS
   connection with any number of queries. */

#include "server/handle.h"
#include "stream/conf.h"

void serve_content(ngx_stream_session_t *s);

#endif
