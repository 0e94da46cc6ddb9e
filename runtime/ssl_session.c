/* ngx.ssl.session and ngx.ssl.proxysslverify. */

#include "runtime/private/ssl.h"

enum { BOTH = RESOLUA_SSL_SESSION_FETCH | RESOLUA_SSL_SESSION_STORE };


/* The id that the client asks for, or that of the session to store. */
static const unsigned char *
find_id(const resolua_handshake_t *h, size_t *size)
{
    if (h->request.phase == RESOLUA_SSL_SESSION_FETCH) {
        *size = h->session_id.len;
        return h->session_id.data;
    }
    unsigned int length;
    const unsigned char *id = SSL_SESSION_get_id(h->session, &length);
    *size = length;
    return id;
}


/* get_session_id(): in hexadecimal digits */
static int
get_session_id(lua_State *L)
{
    size_t size;
    u_char text[2 * SSL_MAX_SSL_SESSION_ID_LENGTH];
    const unsigned char *id = find_id(resolua_handshake_of(L, BOTH), &size);
    if (size == 0 || size > SSL_MAX_SSL_SESSION_ID_LENGTH) {
        return resolua_ssl_fail(L, "no session id");
    }
    const u_char *end = ngx_hex_dump(text, (u_char *) id, size);
    lua_pushlstring(L, (char *) text, (size_t) (end - text));
    return 1;
}


static int
get_serialized_session(lua_State *L)
{
    const resolua_handshake_t *h =
        resolua_handshake_of(L, RESOLUA_SSL_SESSION_STORE);
    unsigned char *text = NULL;
    const int size = i2d_SSL_SESSION(h->session, &text);
    if (size <= 0) {
        return resolua_ssl_fail(L, "i2d_SSL_SESSION() failed");
    }
    lua_pushlstring(L, (char *) text, (size_t) size);
    OPENSSL_clear_free(text, (size_t) size);
    return 1;
}


static int
set_serialized_session(lua_State *L)
{
    resolua_handshake_t *h = resolua_handshake_of(L, RESOLUA_SSL_SESSION_FETCH);
    size_t size;
    const unsigned char *text =
        (const unsigned char *) luaL_checklstring(L, 1, &size);
    SSL_SESSION *session = d2i_SSL_SESSION(NULL, &text, (long) size);
    if (session == NULL) {
        return resolua_ssl_fail(L, "d2i_SSL_SESSION() failed");
    }
    SSL_SESSION_free(h->session);
    h->session = session;
    return resolua_ssl_succeed(L);
}


int
resolua_ssl_open_session(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"get_session_id", get_session_id},
        {"get_serialized_session", get_serialized_session},
        {"set_serialized_session", set_serialized_session},
        {NULL, NULL},
    };
    lua_createtable(L, 0, 3);
    luaL_register(L, NULL, functions);
    return 1;
}


/* set_verify_result(X509_V_*): other than 0 ends the handshake */
static int
set_verify_result(lua_State *L)
{
    resolua_handshake_t *h = resolua_handshake_of(L, RESOLUA_PROXY_SSL_VERIFY);
    const lua_Integer result = luaL_checkinteger(L, 1);
    luaL_argcheck(L, result >= 0 && result <= INT_MAX, 1, "bad result");
    h->verify_result = result;
    h->result_is_set = 1;
    return resolua_ssl_succeed(L);
}


static int
get_verify_result(lua_State *L)
{
    const resolua_handshake_t *h =
        resolua_handshake_of(L, RESOLUA_PROXY_SSL_VERIFY);
    lua_pushinteger(L, h->verify_result);
    return 1;
}


static int
release_certificate(lua_State *L)
{
    X509_free(resolua_ssl_check(L, 1));
    return 0;
}


/* get_verify_cert(): an X509 as cdata */
static int
get_verify_cert(lua_State *L)
{
    const resolua_handshake_t *h =
        resolua_handshake_of(L, RESOLUA_PROXY_SSL_VERIFY);
    if (h->peer == NULL || !X509_up_ref(h->peer)) {
        return resolua_ssl_fail(L, "no certificate");
    }
    resolua_ssl_push(L, h->peer, release_certificate);
    return 1;
}


int
resolua_ssl_open_proxy_verify(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"set_verify_result", set_verify_result},
        {"get_verify_result", get_verify_result},
        {"get_verify_cert", get_verify_cert},
        {NULL, NULL},
    };
    lua_createtable(L, 0, 3);
    luaL_register(L, NULL, functions);
    return 1;
}
