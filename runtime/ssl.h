#ifndef RESOLUA_RUNTIME_SSL_H
#define RESOLUA_RUNTIME_SSL_H

/* Chunks that run within TLS handshakes: ssl_client_hello_by_lua*,
   ssl_session_fetch_by_lua*, ssl_certificate_by_lua*,
   ssl_session_store_by_lua*, and of connections to upstreams
   proxy_ssl_certificate_by_lua* and proxy_ssl_verify_by_lua*.

   nginx drives a handshake by itself and cannot wait for a chunk that sleeps.
   So with a watched SSL_CTX the first read of a handshake finds nothing to
   read; nginx lets go of the connection till something comes.  Then an event of
   ours takes the connection over, drives the handshake with the chunks in it,
   and gives it back when no chunk is to follow. */

#include <ngx_event.h>

#include "runtime/conf.h"
#include "runtime/run.h"
#include "runtime/socket.h"

enum {
    /* Phases of a connection that a client has made. */
    RESOLUA_SSL_SERVER_PHASES =
        RESOLUA_SSL_CLIENT_HELLO | RESOLUA_SSL_SESSION_FETCH |
        RESOLUA_SSL_CERTIFICATE | RESOLUA_SSL_SESSION_STORE,
    RESOLUA_SSL_PROXY_PHASES =
        RESOLUA_PROXY_SSL_CERTIFICATE | RESOLUA_PROXY_SSL_VERIFY
};

/* What the directives name. */
typedef struct {
    resolua_code_t *client_hello; /* NULL: none */
    resolua_code_t *certificate;
    resolua_code_t *session_fetch;
    resolua_code_t *session_store;
    resolua_code_t *proxy_certificate;
    resolua_code_t *proxy_verify;
    ngx_flag_t skips_verify; /* lua_upstream_skip_openssl_default_verify */
} resolua_ssl_codes_t;

void resolua_ssl_codes_init(resolua_ssl_codes_t *codes);
void resolua_ssl_codes_merge(resolua_ssl_codes_t *codes,
                             const resolua_ssl_codes_t *outer);
resolua_code_t *resolua_ssl_codes_find(const resolua_ssl_codes_t *codes,
                                       ngx_uint_t phase);

/* The phases that have a chunk. */
ngx_uint_t resolua_ssl_codes_phases(const resolua_ssl_codes_t *codes);

/* What an adapter knows of the connections. */
typedef struct {
    const resolua_host_t *host; /* of the chunks' request: its resumed is
                                   resolua_ssl_resumed */
    /* The chunks of the connection's configuration. */
    const resolua_ssl_codes_t *(*codes)(const ngx_connection_t *c);
    /* The request is new: its data, sockets and ngx.ctx may be set. */
    ngx_int_t (*begin)(resolua_request_t *r, ngx_connection_t *c);
    /* The last chunk has run; may be NULL. */
    void (*end)(resolua_request_t *r, ngx_connection_t *c);
} resolua_ssl_host_t;

/* Watches the handshakes of ctx.  Call when the configuration has been read;
   the same ctx again does nothing.  phases: those that any connection of this
   ctx may have. */
ngx_int_t resolua_ssl_watch(SSL_CTX *ctx, const resolua_ssl_host_t *host,
                            ngx_uint_t phases);

/* Pushes a new table for the request's ngx.ctx: a copy of what the chunks of
   its connection's handshake have left in theirs. */
void resolua_ssl_push_ctx(lua_State *L, const resolua_request_t *r);

void resolua_ssl_resumed(resolua_request_t *r, ngx_int_t rc);

#define RESOLUA_SSL_SERVER_COMMANDS(where, conf, offset)                       \
    RESOLUA_CODE_COMMANDS("ssl_client_hello", where, resolua_conf_code, conf,  \
                          (offset) +                                           \
                              offsetof(resolua_ssl_codes_t, client_hello)),    \
        RESOLUA_CODE_COMMANDS(                                                 \
            "ssl_certificate", where, resolua_conf_code, conf,                 \
            (offset) + offsetof(resolua_ssl_codes_t, certificate)),            \
        RESOLUA_CODE_COMMANDS(                                                 \
            "ssl_session_fetch", where, resolua_conf_code, conf,               \
            (offset) + offsetof(resolua_ssl_codes_t, session_fetch)),          \
        RESOLUA_CODE_COMMANDS(                                                 \
            "ssl_session_store", where, resolua_conf_code, conf,               \
            (offset) + offsetof(resolua_ssl_codes_t, session_store))

#define RESOLUA_SSL_PROXY_COMMANDS(where, conf, offset)                        \
    RESOLUA_CODE_COMMANDS(                                                     \
        "proxy_ssl_certificate", where, resolua_conf_code, conf,               \
        (offset) + offsetof(resolua_ssl_codes_t, proxy_certificate)),          \
        RESOLUA_CODE_COMMANDS(                                                 \
            "proxy_ssl_verify", where, resolua_conf_code, conf,                \
            (offset) + offsetof(resolua_ssl_codes_t, proxy_verify)),           \
    {                                                                          \
        ngx_string("lua_upstream_skip_openssl_default_verify"),                \
            (where) | NGX_CONF_FLAG, ngx_conf_set_flag_slot, conf,             \
            (offset) + offsetof(resolua_ssl_codes_t, skips_verify), NULL       \
    }

/* Before a send whose rest, if the client does not take all, is given again
   from other memory: a copy, or one to which more was appended. */
static inline void
resolua_ssl_rest_may_move(const ngx_connection_t *c)
{
    if (c->ssl != NULL) {
        (void) SSL_set_mode(c->ssl->connection,
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
}

#endif
