/* ngx.socket.tcp: TLS as the client. */

#include "runtime/private/api.h"
#include "runtime/private/tcp.h"
#include "runtime/vm.h"

static const char session_metatable[] = "resolua.ssl_session";

enum { PROTOCOLS = NGX_SSL_TLSv1_2 | NGX_SSL_TLSv1_3, VERIFY_DEPTH = 1 };


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
    SSL_SESSION **session = lua_touserdata(L, 1);
    SSL_SESSION_free(*session);
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
    SSL_SESSION **place = lua_newuserdata(L, sizeof(*place));
    *place = session;
    luaL_getmetatable(L, session_metatable);
    lua_setmetatable(L, -2);
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
        const int count = tcp_fail(L, reason);
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
        c->pool = ngx_create_pool(NGX_MIN_POOL_SIZE * 2, c->log);
    }
    if (ssl == NULL || c->pool == NULL ||
        ngx_ssl_create_connection(ssl, c, NGX_SSL_BUFFER | NGX_SSL_CLIENT) !=
            NGX_OK) {
        return "failed to create ssl connection";
    }
    SSL_SESSION **session = lua_touserdata(L, 2);
    if (session != NULL && SSL_set_session(c->ssl->connection, *session) != 1) {
        return "ssl session could not be set";
    }
    if (tcp->server_name.len > 0 &&
        SSL_set_tlsext_host_name(c->ssl->connection,
                                 (char *) tcp->server_name.data) != 1) {
        return "bad server name";
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
        return tcp_fail(L, "closed");
    }
    if (tcp->reading != NULL || tcp->writing != NULL) {
        return tcp_fail(L, "socket busy");
    }
    if (!lua_isnil(L, 2) && !lua_isboolean(L, 2)) {
        luaL_checkudata(L, 2, session_metatable);
    }
    tcp->wants_session = !(lua_isboolean(L, 2) && !lua_toboolean(L, 2));
    tcp->verifies = lua_toboolean(L, 4) ? 1 : 0;
    keep_server_name(L, tcp);
    if (c->ssl != NULL && c->ssl->handshaked) { /* a kept connection's */
        return push_handshake(L, tcp);
    }
    const char *wrong = begin(L, tcp);
    if (wrong != NULL) {
        const int count = tcp_fail(L, wrong);
        tcp_close(tcp);
        return count;
    }
    const ngx_int_t rc = ngx_ssl_handshake(c);
    if (rc != NGX_AGAIN) {
        return push_handshake(L, tcp);
    }
    c->ssl->handler = on_handshake;
    ngx_add_timer(c->read, tcp->connect_timeout);
    tcp->writing = resolua_thread(L);
    return resolua_thread_sleep(tcp->writing, on_cancel, tcp);
}


static ngx_int_t
make_ssl(ngx_conf_t *cf, resolua_socket_conf_t *conf)
{
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(cf->pool, 0);
    conf->ssl = ngx_pcalloc(cf->pool, sizeof(*conf->ssl));
    if (conf->ssl == NULL || cleanup == NULL) {
        return NGX_ERROR;
    }
    conf->ssl->log = cf->log;
    if (ngx_ssl_create(conf->ssl, conf->ssl_protocols, NULL) != NGX_OK) {
        return NGX_ERROR;
    }
    cleanup->handler = ngx_ssl_cleanup_ctx;
    cleanup->data = conf->ssl;
    if (conf->ssl_ciphers.len > 0 &&
        ngx_ssl_ciphers(cf, conf->ssl, &conf->ssl_ciphers, 0) != NGX_OK) {
        return NGX_ERROR;
    }
    if (conf->ssl_trusted.len > 0 &&
        ngx_ssl_trusted_certificate(cf, conf->ssl, &conf->ssl_trusted,
                                    conf->ssl_verify_depth) != NGX_OK) {
        return NGX_ERROR;
    }
    return conf->ssl_crl.len > 0 ? ngx_ssl_crl(cf, conf->ssl, &conf->ssl_crl)
                                 : NGX_OK;
}


static ngx_conf_bitmask_t protocols[] = {
    {ngx_string("TLSv1"), NGX_SSL_TLSv1},
    {ngx_string("TLSv1.1"), NGX_SSL_TLSv1_1},
    {ngx_string("TLSv1.2"), NGX_SSL_TLSv1_2},
    {ngx_string("TLSv1.3"), NGX_SSL_TLSv1_3},
    {ngx_null_string, 0},
};


char *
resolua_socket_ssl_protocols(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_command_t with_mask = *cmd;
    with_mask.post = protocols;
    return ngx_conf_set_bitmask_slot(cf, &with_mask, conf);
}


char *
resolua_socket_ssl_merge(ngx_conf_t *cf, resolua_socket_conf_t *conf,
                         const resolua_socket_conf_t *outer)
{
    const ngx_uint_t is_own =
        conf->ssl_trusted.data != NULL || conf->ssl_ciphers.data != NULL ||
        conf->ssl_crl.data != NULL || conf->ssl_protocols != 0 ||
        conf->ssl_verify_depth != NGX_CONF_UNSET;
    ngx_conf_merge_str_value(conf->ssl_trusted, outer->ssl_trusted, "");
    ngx_conf_merge_str_value(conf->ssl_ciphers, outer->ssl_ciphers, "");
    ngx_conf_merge_str_value(conf->ssl_crl, outer->ssl_crl, "");
    ngx_conf_merge_value(conf->ssl_verify_depth, outer->ssl_verify_depth,
                         VERIFY_DEPTH);
    if (conf->ssl_protocols == 0) {
        conf->ssl_protocols =
            outer->ssl_protocols != 0 ? outer->ssl_protocols : PROTOCOLS;
    }
    const ngx_uint_t is_needed =
        conf->ssl_trusted.len > 0 || conf->ssl_ciphers.len > 0 ||
        conf->ssl_crl.len > 0 || conf->ssl_protocols != PROTOCOLS;
    conf->ssl = outer->ssl;
    if (!is_needed || (!is_own && conf->ssl != NULL)) {
        return NGX_CONF_OK;
    }
    return make_ssl(cf, conf) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


void
resolua_tcp_ssl_setup(lua_State *L)
{
    luaL_newmetatable(L, session_metatable);
    lua_pushcfunction(L, free_session);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}
