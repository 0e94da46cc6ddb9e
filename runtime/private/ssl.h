#ifndef RESOLUA_RUNTIME_PRIVATE_SSL_H
#define RESOLUA_RUNTIME_PRIVATE_SSL_H

/* A handshake with chunks in it, as ngx.ssl and its like see it. */

#include <openssl/ssl.h>

#include "runtime/ssl.h"
#include "runtime/vm.h"

typedef struct {
    resolua_request_t request; /* first: it is found by it */
    const resolua_ssl_host_t *host;
    ngx_connection_t *connection; /* borrowed */
    SSL *ssl;                     /* borrowed, outlives this */
    ngx_event_t event;            /* takes the connection over */
    ngx_event_handler_pt handler; /* nginx's, while the connection is ours */
    ngx_uint_t done;              /* phases that are over */
    ngx_uint_t wanted;            /* the phase that OpenSSL waits for, or 0 */
    ngx_str_t session_id;         /* asked for; of the ClientHello, borrowed */
    SSL_SESSION *session;         /* owned: fetched; or borrowed: to store */
    X509 *peer;                   /* owned: the upstream's certificate */
    long verify_result;           /* X509_V_* */
    int ctx_ref; /* ngx.ctx of the chunks when they are over, or LUA_NOREF */
    const lua_State *vm; /* of ctx_ref */
    unsigned is_server : 1;
    unsigned failed : 1;
    unsigned asleep : 1;
    unsigned is_ours : 1;       /* the connection */
    unsigned result_is_set : 1; /* by the chunk */
    unsigned has_staple : 1;    /* an OCSP response was given */
} resolua_handshake_t;

/* The handshake whose chunk runs, in one of the allowed phases; raises "API
   disabled ..." otherwise. */
resolua_handshake_t *resolua_handshake_of(lua_State *L, ngx_uint_t allowed);

/* true */
int resolua_ssl_succeed(lua_State *L);
/* nil, reason; forgets what OpenSSL has noted. */
int resolua_ssl_fail(lua_State *L, const char *reason);

/* Pushes a pointer as cdata that release is called with in the end, if it is
   not NULL. */
void resolua_ssl_push(lua_State *L, void *pointer, lua_CFunction release);

/* The pointer in the cdata at arg; raises when it is none. */
void *resolua_ssl_check(lua_State *L, int arg);

/* The DER chain at arg, owned by the caller; NULL: it is broken. */
STACK_OF(X509) * resolua_ssl_parse_der(const char *text, size_t size);

/* The first is the certificate, the others lead to its root.  NULL, or what
   failed. */
const char *resolua_ssl_use_chain(SSL *ssl, STACK_OF(X509) * chain);

/* The functions that set a certificate, for ngx.ssl (phases: of a server) and
   ngx.ssl.proxysslcert. */
extern const luaL_Reg resolua_ssl_certificate_functions[];

int resolua_ssl_open_hello(lua_State *L);
int resolua_ssl_open_session(lua_State *L);
int resolua_ssl_open_ocsp(lua_State *L);
int resolua_ssl_open_proxy_verify(lua_State *L);

/* The name that the ClientHello asks for; only in ssl_client_hello_by_lua*.
   NGX_DECLINED: none; NGX_ERROR: broken. */
ngx_int_t resolua_ssl_hello_name(SSL *ssl, ngx_str_t *name);

#endif
