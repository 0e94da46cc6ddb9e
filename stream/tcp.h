#ifndef STREAM_TCP_H
#define STREAM_TCP_H

/*
 * DNS over TCP and TLS (RFC 7766): queries behind a length each, any number on
 * one connection, answered as each is ready.  A connection holds memory only
 * for what is cut off in the middle: the rest of a query, or answers that the
 * client does not read; while such answers wait nothing more is read from it.
 * What a client begins has a deadline, which single octets do not put off: the
 * handshake, a query, taking its answers.
 */

#include "stream/conf.h"

typedef struct tcp_s tcp_t;

/* In the phase of TLS, before the handshake: gives the connection a place
   (tcp_clients.h).  NGX_DECLINED: it has one, and the phases go on. */
ngx_int_t tcp_admit(ngx_stream_session_t *s, const stream_conf_t *conf);

/* The content handler of a connection. */
void tcp_serve(ngx_stream_session_t *s);

#endif
