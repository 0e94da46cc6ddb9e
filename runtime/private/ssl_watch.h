#ifndef RESOLUA_RUNTIME_PRIVATE_SSL_WATCH_H
#define RESOLUA_RUNTIME_PRIVATE_SSL_WATCH_H

/* Between OpenSSL's callbacks (ssl_watch.c) and the handshake
   (ssl_handshake.c). */

#include "runtime/private/ssl.h"

/* The handshake of an SSL object, or NULL; kept in its ex_data, freed with
   it. */
resolua_handshake_t *resolua_handshake(const SSL *ssl);
ngx_int_t resolua_handshake_set(SSL *ssl, resolua_handshake_t *h);

/* Holds a handshake that starts and takes it over soon. */
ngx_int_t resolua_handshake_begin(SSL *ssl, ngx_connection_t *c,
                                  const resolua_ssl_host_t *host);
void resolua_handshake_free(resolua_handshake_t *h);

#endif
