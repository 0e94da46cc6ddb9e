#ifndef STREAM_TCP_H
#define STREAM_TCP_H

/*
 * DNS over TCP and TLS (RFC 7766): queries behind a length each, any number on
 * one connection, answered as each is ready.  A connection holds memory only
 * for what is cut off in the middle: the rest of a query, or answers that the
 * client does not read; while such answers wait nothing more is read from it.
 */

#include "stream/conf.h"

typedef struct tcp_s tcp_t;

/* The content handler of a connection. */
void tcp_serve(ngx_stream_session_t *s, const stream_conf_t *conf);

#endif
