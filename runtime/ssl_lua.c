/* ngx.ssl: what is known of the client's connection. */

#include "runtime/private/api.h"
#include "runtime/private/ssl.h"
#include "runtime/private/ssl_pem.h"

enum {
    HANDSHAKE_PHASES = RESOLUA_SSL_SERVER_PHASES | RESOLUA_SSL_PROXY_PHASES
};


resolua_handshake_t *
resolua_handshake_of(lua_State *L, ngx_uint_t allowed)
{
    resolua_request_t *r = resolua_request(L);
    (void) resolua_check_phase(L, allowed & HANDSHAKE_PHASES);
    return (resolua_handshake_t *) r;
}


/* The client's connection of the running request, in any phase; raises. */
static ngx_connection_t *
client_of(lua_State *L)
{
    resolua_request_t *r = resolua_request(L);
    if (r->phase & RESOLUA_SSL_SERVER_PHASES) {
        return ((resolua_handshake_t *) r)->connection;
    }
    if (r->host->connection != NULL) {
        return r->host->connection(r);
    }
    (void) resolua_check_phase(L, 0); /* raises */
    return NULL;
}


/* The client's TLS, or NULL. */
static SSL *
client_ssl(lua_State *L)
{
    const ngx_connection_t *c = client_of(L);
    return c->ssl != NULL ? c->ssl->connection : NULL;
}


static int
fail_plain(lua_State *L)
{
    return resolua_ssl_fail(L, "not ssl connection");
}


/* server_name(): what the client asked for by SNI, or nil */
static int
server_name(lua_State *L)
{
    SSL *ssl = client_ssl(L);
    if (ssl == NULL) {
        return fail_plain(L);
    }
    ngx_str_t hello;
    if (resolua_running->phase == RESOLUA_SSL_CLIENT_HELLO) {
        if (resolua_ssl_hello_name(ssl, &hello) != NGX_OK) {
            lua_pushnil(L);
            return 1;
        }
        lua_pushlstring(L, (char *) hello.data, hello.len);
        return 1;
    }
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    lua_pushstring(L, name); /* or nil */
    return 1;
}


/* The address's octets and its type. */
static int
push_address(lua_State *L, const struct sockaddr *sockaddr, socklen_t socklen)
{
    const size_t path_at = offsetof(struct sockaddr_un, sun_path);
    if (sockaddr->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *) sockaddr;
        lua_pushlstring(L, (const char *) &in->sin_addr, sizeof(in->sin_addr));
        lua_pushliteral(L, "inet");
    } else if (sockaddr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *) sockaddr;
        lua_pushlstring(L, (const char *) &in6->sin6_addr,
                        sizeof(in6->sin6_addr));
        lua_pushliteral(L, "inet6");
    } else if (sockaddr->sa_family == AF_UNIX) {
        const struct sockaddr_un *un = (const void *) sockaddr;
        const size_t size =
            (size_t) socklen > path_at ? (size_t) socklen - path_at : 0;
        lua_pushlstring(L, un->sun_path, strnlen(un->sun_path, size));
        lua_pushliteral(L, "unix");
    } else {
        lua_pushnil(L);
        lua_pushnil(L);
        lua_pushliteral(L, "unknown address type");
        return 3;
    }
    return 2;
}


static int
raw_client_addr(lua_State *L)
{
    const ngx_connection_t *c = client_of(L);
    return push_address(L, c->sockaddr, c->socklen);
}


/* The address behind a wildcard is known after this. */
static int
raw_server_addr(lua_State *L)
{
    ngx_connection_t *c = client_of(L);
    if (ngx_connection_local_sockaddr(c, NULL, 0) != NGX_OK) {
        lua_pushnil(L);
        return 1 + resolua_ssl_fail(L, "no server address");
    }
    return push_address(L, c->local_sockaddr, c->local_socklen);
}


/* server_port(): nil for a Unix socket */
static int
server_port(lua_State *L)
{
    ngx_connection_t *c = client_of(L);
    if (ngx_connection_local_sockaddr(c, NULL, 0) != NGX_OK) {
        return resolua_ssl_fail(L, "no server address");
    }
    if (c->local_sockaddr->sa_family == AF_UNIX) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, ngx_inet_get_port(c->local_sockaddr));
    return 1;
}


static int
client_addr(lua_State *L)
{
    const ngx_connection_t *c = client_of(L);
    lua_pushlstring(L, (char *) c->addr_text.data, c->addr_text.len);
    return 1;
}


static int
get_tls1_version(lua_State *L)
{
    SSL *ssl = client_ssl(L);
    if (ssl == NULL) {
        return fail_plain(L);
    }
    lua_pushinteger(L, SSL_version(ssl));
    return 1;
}


/* "TLSv1.2" and so on */
static int
get_tls1_version_str(lua_State *L)
{
    SSL *ssl = client_ssl(L);
    if (ssl == NULL) {
        return fail_plain(L);
    }
    lua_pushstring(L, SSL_get_version(ssl));
    return 1;
}


static SSL *
upstream_ssl(lua_State *L)
{
    const resolua_request_t *r = resolua_request(L);
    const ngx_connection_t *c =
        r->host->upstream != NULL ? r->host->upstream(r) : NULL;
    return c != NULL && c->ssl != NULL ? c->ssl->connection : NULL;
}


/* Of the connection to the upstream. */
static int
get_upstream_version(lua_State *L)
{
    SSL *ssl = upstream_ssl(L);
    if (ssl == NULL) {
        return fail_plain(L);
    }
    lua_pushinteger(L, SSL_version(ssl));
    return 1;
}


static int
get_upstream_version_str(lua_State *L)
{
    SSL *ssl = upstream_ssl(L);
    if (ssl == NULL) {
        return fail_plain(L);
    }
    lua_pushstring(L, SSL_get_version(ssl));
    return 1;
}


/* get_client_random(size?): all 32 octets unless told */
static int
get_client_random(lua_State *L)
{
    unsigned char random[SSL3_RANDOM_SIZE];
    SSL *ssl = client_ssl(L);
    const lua_Integer size = luaL_optinteger(L, 1, SSL3_RANDOM_SIZE);
    if (ssl == NULL) {
        return fail_plain(L);
    }
    if (size == 0) {
        lua_pushinteger(L, (lua_Integer) SSL_get_client_random(ssl, NULL, 0));
        return 1;
    }
    luaL_argcheck(L, size > 0, 1, "bad size");
    const size_t count = SSL_get_client_random(
        ssl, random, ngx_min((size_t) size, sizeof(random)));
    lua_pushlstring(L, (char *) random, count);
    return 1;
}


/* export_keying_material(size, label, context?), RFC 5705 */
static int
export_keying_material(lua_State *L)
{
    enum { SIZE_MAX_OCTETS = 4096 };
    unsigned char out[SIZE_MAX_OCTETS];
    size_t label_size;
    size_t context_size = 0;
    SSL *ssl = client_ssl(L);
    const lua_Integer size = luaL_checkinteger(L, 1);
    const char *label = luaL_checklstring(L, 2, &label_size);
    const char *context = luaL_optlstring(L, 3, NULL, &context_size);
    luaL_argcheck(L, size > 0 && size <= SIZE_MAX_OCTETS, 1, "bad size");
    if (ssl == NULL) {
        return fail_plain(L);
    }
    if (SSL_export_keying_material(ssl, out, (size_t) size, label, label_size,
                                   (const unsigned char *) context,
                                   context_size, context != NULL) != 1) {
        return resolua_ssl_fail(L, "SSL_export_keying_material() failed");
    }
    lua_pushlstring(L, (char *) out, (size_t) size);
    return 1;
}


static int
get_req_ssl_pointer(lua_State *L)
{
    SSL *ssl = client_ssl(L);
    if (ssl == NULL) {
        return fail_plain(L);
    }
    resolua_ssl_push(L, ssl, NULL);
    return 1;
}


/* What is wrong with it is left to $ssl_client_verify. */
static int
accept_any(int ok, X509_STORE_CTX *store)
{
    (void) ok;
    (void) store;
    return 1;
}


static int
add_trusted(X509_STORE *store, STACK_OF(X509) * chain)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        if (X509_STORE_add_cert(store, sk_X509_value(chain, i)) != 1) {
            return 0;
        }
    }
    return 1;
}


/* The names of those whose certificates the client may choose. */
static int
send_names(SSL *ssl, STACK_OF(X509) * chain)
{
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509_NAME *name =
            X509_NAME_dup(X509_get_subject_name(sk_X509_value(chain, i)));
        if (name == NULL || sk_X509_NAME_push(names, name) <= 0) {
            X509_NAME_free(name);
            sk_X509_NAME_pop_free(names, X509_NAME_free);
            return 0;
        }
    }
    SSL_set_client_CA_list(ssl, names); /* owned by ssl now */
    return 1;
}


/* verify_client(certificates?, depth?, trusted?) */
static int
verify_client(lua_State *L)
{
    SSL *ssl = resolua_handshake_of(L, RESOLUA_SSL_CERTIFICATE |
                                           RESOLUA_SSL_CLIENT_HELLO)
                   ->ssl;
    STACK_OF(X509) *sent =
        lua_isnoneornil(L, 1) ? NULL : resolua_ssl_check(L, 1);
    const int depth = (int) luaL_optinteger(L, 2, -1);
    STACK_OF(X509) *trusted =
        lua_isnoneornil(L, 3) ? NULL : resolua_ssl_check(L, 3);
    SSL_set_verify(ssl, SSL_VERIFY_PEER, accept_any);
    if (depth >= 0) {
        SSL_set_verify_depth(ssl, depth);
    }
    if (sent == NULL && trusted == NULL) {
        return resolua_ssl_succeed(L);
    }
    X509_STORE *store = X509_STORE_new();
    if (store == NULL || (sent != NULL && !add_trusted(store, sent)) ||
        (trusted != NULL && !add_trusted(store, trusted)) ||
        SSL_set1_verify_cert_store(ssl, store) != 1 ||
        (sent != NULL && !send_names(ssl, sent))) {
        X509_STORE_free(store);
        return resolua_ssl_fail(L, "the certificates could not be set");
    }
    X509_STORE_free(store);
    return resolua_ssl_succeed(L);
}


static void
set_versions(lua_State *L)
{
    static const struct {
        const char *name;
        int value;
    } versions[] = {
        {"SSL3_VERSION", SSL3_VERSION},     {"TLS1_VERSION", TLS1_VERSION},
        {"TLS1_1_VERSION", TLS1_1_VERSION}, {"TLS1_2_VERSION", TLS1_2_VERSION},
        {"TLS1_3_VERSION", TLS1_3_VERSION},
    };
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        lua_pushinteger(L, versions[i].value);
        lua_setfield(L, -2, versions[i].name);
    }
}


static int
open_ssl(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"parse_pem_cert", ssl_parse_pem_cert},
        {"parse_der_cert", ssl_parse_der_cert},
        {"cert_pem_to_der", ssl_cert_pem_to_der},
        {"parse_pem_priv_key", ssl_parse_pem_priv_key},
        {"parse_der_priv_key", ssl_parse_der_priv_key},
        {"priv_key_pem_to_der", ssl_priv_key_pem_to_der},
        {"server_name", server_name},
        {"server_port", server_port},
        {"raw_server_addr", raw_server_addr},
        {"raw_client_addr", raw_client_addr},
        {"client_addr", client_addr},
        {"get_tls1_version", get_tls1_version},
        {"get_tls1_version_str", get_tls1_version_str},
        {"get_client_random", get_client_random},
        {"export_keying_material", export_keying_material},
        {"get_req_ssl_pointer", get_req_ssl_pointer},
        {"verify_client", verify_client},
        {NULL, NULL},
    };
    lua_createtable(L, 0, 32);
    luaL_register(L, NULL, functions);
    luaL_register(L, NULL, resolua_ssl_certificate_functions);
    set_versions(L);
    return 1;
}


static int
open_proxy_certificate(lua_State *L)
{
    lua_createtable(L, 0, 5);
    luaL_register(L, NULL, resolua_ssl_certificate_functions);
    return 1;
}


/* ngx.proxyssl */
static int
open_proxy(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"get_tls1_version", get_upstream_version},
        {"get_tls1_version_str", get_upstream_version_str},
        {NULL, NULL},
    };
    lua_createtable(L, 0, 8);
    luaL_register(L, NULL, functions);
    set_versions(L);
    return 1;
}


void
resolua_ssl_setup(lua_State *L)
{
    resolua_vm_preload(L, "ngx.proxyssl", open_proxy);
    resolua_vm_preload(L, "ngx.ssl", open_ssl);
    resolua_vm_preload(L, "ngx.ssl.clienthello", resolua_ssl_open_hello);
    resolua_vm_preload(L, "ngx.ssl.session", resolua_ssl_open_session);
    resolua_vm_preload(L, "ngx.ssl.proxysslcert", open_proxy_certificate);
    resolua_vm_preload(L, "ngx.ssl.proxysslverify",
                       resolua_ssl_open_proxy_verify);
    resolua_vm_preload(L, "ngx.ocsp", resolua_ssl_open_ocsp);
}
