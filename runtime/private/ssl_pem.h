#ifndef RESOLUA_RUNTIME_PRIVATE_SSL_PEM_H
#define RESOLUA_RUNTIME_PRIVATE_SSL_PEM_H

/* Functions of ngx.ssl that need no connection. */

#include "runtime/private/ssl.h"

int ssl_parse_pem_cert(lua_State *L);
int ssl_parse_der_cert(lua_State *L);
int ssl_cert_pem_to_der(lua_State *L);
int ssl_parse_pem_priv_key(lua_State *L);
int ssl_parse_der_priv_key(lua_State *L);
int ssl_priv_key_pem_to_der(lua_State *L);

/* The key in the DER text at arg, the caller's; NULL: broken. */
EVP_PKEY *ssl_read_der_key(lua_State *L, int arg);

#endif
