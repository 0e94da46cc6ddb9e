/* ngx.ssl.clienthello: the ClientHello that OpenSSL holds while
   ssl_client_hello_by_lua* runs. */

#include "runtime/private/ssl.h"

enum {
    LIST_SIZE_AT = 0, /* of the server_name extension, RFC 6066 section 3 */
    NAME_TYPE_AT = 2,
    NAME_SIZE_AT = 3,
    NAME_AT = 5
};

typedef struct {
    const char *name;
    int version;
    uint64_t no; /* SSL_OP_NO_* */
} protocol_t;

static const protocol_t protocols[] = {
    {"SSLv3", SSL3_VERSION, SSL_OP_NO_SSLv3},
    {"TLSv1", TLS1_VERSION, SSL_OP_NO_TLSv1},
    {"TLSv1.1", TLS1_1_VERSION, SSL_OP_NO_TLSv1_1},
    {"TLSv1.2", TLS1_2_VERSION, SSL_OP_NO_TLSv1_2},
    {"TLSv1.3", TLS1_3_VERSION, SSL_OP_NO_TLSv1_3},
};

enum { PROTOCOLS = sizeof(protocols) / sizeof(protocols[0]) };


static size_t
read_16(const unsigned char *at)
{
    return (size_t) at[0] << 8 | at[1];
}


ngx_int_t
resolua_ssl_hello_name(SSL *ssl, ngx_str_t *name)
{
    const unsigned char *data;
    size_t size;
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data,
                                   &size)) {
        return NGX_DECLINED;
    }
    if (size <= NAME_AT || read_16(data + LIST_SIZE_AT) + 2 != size ||
        data[NAME_TYPE_AT] != TLSEXT_NAMETYPE_host_name ||
        read_16(data + NAME_SIZE_AT) + NAME_AT > size) {
        return NGX_ERROR;
    }
    name->data = (u_char *) data + NAME_AT;
    name->len = read_16(data + NAME_SIZE_AT);
    return NGX_OK;
}


static SSL *
hello_of(lua_State *L)
{
    return resolua_handshake_of(L, RESOLUA_SSL_CLIENT_HELLO)->ssl;
}


static int
get_server_name(lua_State *L)
{
    ngx_str_t name;
    const ngx_int_t rc = resolua_ssl_hello_name(hello_of(L), &name);
    if (rc == NGX_DECLINED) {
        lua_pushnil(L);
        return 1;
    }
    if (rc != NGX_OK) {
        return resolua_ssl_fail(L, "bad SSL Client Hello Extension");
    }
    lua_pushlstring(L, (char *) name.data, name.len);
    return 1;
}


/* get_client_hello_ext(type): its octets, or nil */
static int
get_extension(lua_State *L)
{
    SSL *ssl = hello_of(L);
    const unsigned char *data;
    size_t size;
    const lua_Integer type = luaL_checkinteger(L, 1);
    luaL_argcheck(L, type >= 0 && type <= 65535, 1, "bad type");
    if (!SSL_client_hello_get0_ext(ssl, (unsigned) type, &data, &size)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushlstring(L, (const char *) data, size);
    return 1;
}


/* get_client_hello_ext_present(): the types, in the client's order */
static int
get_extensions(lua_State *L)
{
    int *types;
    size_t count;
    if (!SSL_client_hello_get1_extensions_present(hello_of(L), &types,
                                                  &count)) {
        return resolua_ssl_fail(L, "failed to get extensions");
    }
    lua_createtable(L, (int) count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushinteger(L, types[i]);
        lua_rawseti(L, -2, (int) i + 1);
    }
    OPENSSL_free(types);
    return 1;
}


/* get_client_hello_ciphers(): the suites' numbers, in the client's order */
static int
get_ciphers(lua_State *L)
{
    const unsigned char *data;
    const size_t size = SSL_client_hello_get0_ciphers(hello_of(L), &data);
    if (size == 0) {
        return resolua_ssl_fail(L, "failed to get ciphers");
    }
    lua_createtable(L, (int) size / 2, 0);
    for (size_t i = 0; i + 1 < size; i += 2) {
        lua_pushinteger(L, (lua_Integer) read_16(data + i));
        lua_rawseti(L, -2, (int) (i / 2) + 1);
    }
    return 1;
}


/* get_supported_versions(): of the extension (RFC 8446 section 4.2.1), less
   what has no name here; nil: the client did not send it */
static int
get_supported_versions(lua_State *L)
{
    const unsigned char *data;
    size_t size;
    int count = 0;
    if (!SSL_client_hello_get0_ext(hello_of(L), TLSEXT_TYPE_supported_versions,
                                   &data, &size)) {
        lua_pushnil(L);
        return 1;
    }
    if (size < 1 || (size_t) data[0] + 1 != size || data[0] % 2 != 0) {
        return resolua_ssl_fail(L, "bad SSL Client Hello Extension");
    }
    lua_newtable(L);
    for (size_t i = 1; i + 1 < size; i += 2) {
        for (int p = 0; p < PROTOCOLS; p++) {
            if (read_16(data + i) == (size_t) protocols[p].version) {
                lua_pushstring(L, protocols[p].name);
                lua_rawseti(L, -2, ++count);
            }
        }
    }
    return 1;
}


static const protocol_t *
find_protocol(const char *name)
{
    for (int i = 0; i < PROTOCOLS; i++) {
        if (name != NULL && ngx_strcmp(name, protocols[i].name) == 0) {
            return &protocols[i];
        }
    }
    return NULL;
}


/* set_protocols{"TLSv1.2", "TLSv1.3"} */
static int
set_protocols(lua_State *L)
{
    SSL *ssl = hello_of(L);
    uint64_t no = 0;
    uint64_t wanted = 0;
    luaL_checktype(L, 1, LUA_TTABLE);
    for (int i = 1; i <= (int) lua_objlen(L, 1); i++) {
        lua_rawgeti(L, 1, i);
        const protocol_t *protocol = find_protocol(lua_tostring(L, -1));
        lua_pop(L, 1);
        if (protocol == NULL) {
            return resolua_ssl_fail(L, "invalid protocol");
        }
        wanted |= protocol->no;
    }
    for (int i = 0; i < PROTOCOLS; i++) {
        no |= protocols[i].no;
    }
    (void) SSL_set_options(ssl, no & ~wanted);
    (void) SSL_clear_options(ssl, wanted);
    return resolua_ssl_succeed(L);
}


int
resolua_ssl_open_hello(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"get_client_hello_server_name", get_server_name},
        {"get_client_hello_ext", get_extension},
        {"get_client_hello_ext_present", get_extensions},
        {"get_client_hello_ciphers", get_ciphers},
        {"get_supported_versions", get_supported_versions},
        {"set_protocols", set_protocols},
        {NULL, NULL},
    };
    lua_createtable(L, 0, 6);
    luaL_register(L, NULL, functions);
    return 1;
}
