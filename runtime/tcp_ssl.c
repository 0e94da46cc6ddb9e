/* ngx.socket.tcp: TLS as the client. */

#include "runtime/private/api.h"
#include "runtime/private/ssl.h"
#include "runtime/private/tcp.h"
#include "runtime/vm.h"

enum { PROTOCOLS = NGX_SSL_TLSv1_2 | NGX_SSL_TLSv1_3 };


/* Where no lua_ssl_* directive says otherwise. */
static ngx_ssl_t *
usual_ssl(ngx_log_t *log)
{
    static ngx_ssl_t *ssl;
    if (ssl != NULL) {
        return ssl;
    }
    ngx_ssl_t *made = ngx_calloc(sizeof(*made), log);
    if (made == NULL) {
        return NULL;
    }
    made->log = (ngx_log_t *) ngx_cycle->log;
    if (ngx_ssl_create(made, PROTOCOLS, NULL) != NGX_OK) {
        ngx_free(made);
        return NULL;
    }
    ssl = made;
    return ssl;
}


static int
free_session(lua_State *L)
{
    SSL_SESSION_free(resolua_ssl_check(L, 1));
    return 0;
}


static void
push_session(lua_State *L, SSL *ssl)
{
    SSL_SESSION *session = SSL_get1_session(ssl);
    if (session == NULL) {
        lua_pushboolean(L, 1);
        return;
    }
    resolua_ssl_push(L, session, free_session);
}


/* Why the peer is not to be trusted; NULL: it is. */
static const char *
check_peer(tcp_t *tcp)
{
    ngx_connection_t *c = tcp->link.connection;
    const long result = SSL_get_verify_result(c->ssl->connection);
    if (result != X509_V_OK) {
        u_char *end = ngx_snprintf(
            (u_char *) tcp->peer.error, sizeof(tcp->peer.error) - 1, "%l: %s",
            result, X509_verify_cert_error_string(result));
        *end = '\0';
        return tcp->peer.error;
    }
    if (tcp->server_name.len > 0 &&
        ngx_ssl_check_host(c, &tcp->server_name) != NGX_OK) {
        return "certificate host mismatch";
    }
    return NULL;
}


/* What a handshake that has ended returns. */
static int
push_handshake(lua_State *L, tcp_t *tcp)
{
    ngx_connection_t *c = tcp->link.connection;
    const char *reason = NULL;
    if (c->read->timedout || c->write->timedout) {
        reason = "timeout";
    } else if (!c->ssl->handshaked) {
        reason = "handshake failed";
    } else if (tcp->verifies) {
        reason = check_peer(tcp);
    }
    if (reason != NULL) {
        if (tcp_conf(tcp)->log_errors) {
            ngx_log_error(NGX_LOG_ERR, tcp->request->log, 0,
                          "lua ssl handshake: %s", reason);
        }
        const int count = resolua_fail(L, reason);
        tcp_close(tcp);
        return count;
    }
    tcp_rest(tcp);
    if (tcp->wants_session) {
        push_session(L, c->ssl->connection);
    } else {
        lua_pushboolean(L, 1);
    }
    return 1;
}


static void
on_handshake(ngx_connection_t *c)
{
    tcp_t *tcp = c->data;
    resolua_thread_t *t = tcp->writing;
    if (t == NULL) {
        return;
    }
    tcp->writing = NULL;
    resolua_thread_wake(t, push_handshake(resolua_thread_state(t), tcp));
}


static void
on_cancel(void *data)
{
    tcp_close(data);
}


/* What setclientcert() and settrustedstore() were given.  NULL, or what
   failed. */
static const char *
use_own(const tcp_t *tcp, SSL *ssl)
{
    if (tcp->client_chain != NULL) {
        const char *wrong = resolua_ssl_use_chain(ssl, tcp->client_chain);
        if (wrong != NULL) {
            return wrong;
        }
        if (SSL_use_PrivateKey(ssl, tcp->client_key) != 1) {
            return "SSL_use_PrivateKey() failed";
        }
    }
    if (tcp->trusted != NULL &&
        SSL_set1_verify_cert_store(ssl, tcp->trusted) != 1) {
        return "SSL_set1_verify_cert_store() failed";
    }
    return NULL;
}


/* Makes the connection one of TLS.  NULL, or why not. */
static const char *
begin(lua_State *L, tcp_t *tcp)
{
    ngx_connection_t *c = tcp->link.connection;
    ngx_ssl_t *ssl = tcp_conf(tcp)->ssl;
    if (ssl == NULL) {
        ssl = usual_ssl(c->log);
    }
    if (c->pool == NULL) {
        c->pool = ngx_create_pool(RESOLUA_SMALL_POOL, c->log);
    }
    if (ssl == NULL || c->pool == NULL ||
        ngx_ssl_create_connection(ssl, c, NGX_SSL_BUFFER | NGX_SSL_CLIENT) !=
            NGX_OK) {
        return "failed to create ssl connection";
    }
    SSL_SESSION *session =
        lua_isnil(L, 2) || lua_isboolean(L, 2) ? NULL : resolua_ssl_check(L, 2);
    if (session != NULL && SSL_set_session(c->ssl->connection, session) != 1) {
        return "ssl session could not be set";
    }
    if (tcp->server_name.len > 0 &&
        SSL_set_tlsext_host_name(c->ssl->connection,
                                 (char *) tcp->server_name.data) != 1) {
        return "bad server name";
    }
    const char *wrong = use_own(tcp, c->ssl->connection);
    if (wrong != NULL) {
        return wrong;
    }
    if (lua_toboolean(L, 5)) {
        (void) SSL_set_tlsext_status_type(c->ssl->connection,
                                          TLSEXT_STATUSTYPE_ocsp);
    }
    return NULL;
}


static void
keep_server_name(lua_State *L, tcp_t *tcp)
{
    size_t size = 0;
    const char *name = luaL_optlstring(L, 3, "", &size);
    if (tcp->server_name.data != NULL) {
        ngx_free(tcp->server_name.data);
    }
    tcp->server_name.len = 0;
    tcp->server_name.data = ngx_alloc(size + 1, ngx_cycle->log);
    if (tcp->server_name.data == NULL) {
        luaL_error(L, "no memory");
    }
    ngx_memcpy(tcp->server_name.data, name, size);
    tcp->server_name.data[size] = '\0';
    tcp->server_name.len = size;
}


/* sslhandshake(session?, server_name?, verify?, send_status_req?) */
int
tcp_sslhandshake(lua_State *L)
{
    tcp_t *tcp = tcp_check(L);
    ngx_connection_t *c = tcp->link.connection;
    lua_settop(L, 5);
    if (c == NULL) {
        return resolua_fail(L, "closed");
    }
    if (tcp_busy(tcp) != NULL) {
        return resolua_fail(L, tcp_busy(tcp));
    }
    if (!lua_isnil(L, 2) && !lua_isboolean(L, 2)) {
        (void) resolua_ssl_check(L, 2);
    }
    tcp->wants_session = !(lua_isboolean(L, 2) && !lua_toboolean(L, 2));
    tcp->verifies = lua_toboolean(L, 4) ? 1 : 0;
    keep_server_name(L, tcp);
    if (c->ssl != NULL && c->ssl->handshaked) { /* a kept connection's */
        return push_handshake(L, tcp);
    }
    const char *wrong = begin(L, tcp);
    if (wrong != NULL) {
        const int count = resolua_fail(L, wrong);
        tcp_close(tcp);
        return count;
    }
    tcp_rest(tcp); /* without the timer that a read has left */
    const ngx_int_t rc = ngx_ssl_handshake(c);
    if (rc != NGX_AGAIN) {
        return push_handshake(L, tcp);
    }
    c->ssl->handler = on_handshake;
    ngx_add_timer(c->read, tcp->connect_timeout);
    tcp->writing = resolua_thread(L);
    return resolua_thread_sleep(tcp->writing, on_cancel, tcp);
}


void
tcp_ssl_free(tcp_t *tcp)
{
    sk_X509_pop_free(tcp->client_chain, X509_free);
    EVP_PKEY_free(tcp->client_key);
    X509_STORE_free(tcp->trusted);
}


/* setclientcert(chain, key) of ngx.ssl; nil, nil: none */
int
tcp_setclientcert(lua_State *L)
{
    tcp_t *tcp = tcp_check(L);
    lua_settop(L, 3);
    if (lua_isnil(L, 2) != lua_isnil(L, 3)) {
        return resolua_fail(L, lua_isnil(L, 2)
                                   ? "private key supplied without client "
                                     "certificate"
                                   : "client certificate supplied without "
                                     "corresponding private key");
    }
    STACK_OF(X509) *chain = NULL;
    EVP_PKEY *key = NULL;
    if (!lua_isnil(L, 2)) {
        chain = resolua_ssl_check(L, 2);
        key = resolua_ssl_check(L, 3);
        if (sk_X509_num(chain) < 1) {
            return resolua_fail(L, "invalid client certificate chain");
        }
        chain = X509_chain_up_ref(chain);
        EVP_PKEY_up_ref(key);
    }
    sk_X509_pop_free(tcp->client_chain, X509_free);
    EVP_PKEY_free(tcp->client_key);
    tcp->client_chain = chain;
    tcp->client_key = key;
    lua_pushboolean(L, 1);
    return 1;
}


/* settrustedstore(X509_STORE as cdata) */
int
tcp_settrustedstore(lua_State *L)
{
    tcp_t *tcp = tcp_check(L);
    X509_STORE *store = lua_isnoneornil(L, 2) ? NULL : resolua_ssl_check(L, 2);
    if (tcp->link.connection == NULL) {
        return resolua_fail(L, "closed");
    }
    if (store != NULL) {
        X509_STORE_up_ref(store);
    }
    X509_STORE_free(tcp->trusted);
    tcp->trusted = store;
    return tcp_succeed(L);
}


/* The socket's TLS; NULL: the reason is pushed. */
static SSL *
check_ssl(lua_State *L)
{
    const ngx_connection_t *c = tcp_check(L)->link.connection;
    if (c == NULL) {
        (void) resolua_fail(L, "closed");
        return NULL;
    }
    if (c->ssl == NULL) {
        (void) resolua_fail(L, "not an SSL connection");
        return NULL;
    }
    return c->ssl->connection;
}


int
tcp_getsslpointer(lua_State *L)
{
    SSL *ssl = check_ssl(L);
    if (ssl == NULL) {
        return 2;
    }
    resolua_ssl_push(L, ssl, NULL);
    return 1;
}


int
tcp_getsslctx(lua_State *L)
{
    const SSL *ssl = check_ssl(L);
    if (ssl == NULL) {
        return 2;
    }
    resolua_ssl_push(L, SSL_get_SSL_CTX(ssl), NULL);
    return 1;
}


/* getsslsession(): for a later sslhandshake */
int
tcp_getsslsession(lua_State *L)
{
    SSL *ssl = check_ssl(L);
    if (ssl == NULL) {
        return 2;
    }
    SSL_SESSION *session = SSL_get0_session(ssl);
    if (session == NULL) {
        return resolua_fail(L, "no session");
    }
    push_session(L, ssl);
    return 1;
}


int
tcp_getfd(lua_State *L)
{
    const ngx_connection_t *c = tcp_check(L)->link.connection;
    if (c == NULL) {
        return resolua_fail(L, "closed");
    }
    lua_pushinteger(L, c->fd);
    return 1;
}
