/* Certificates for the running handshake: ngx.ssl, ngx.ssl.proxysslcert. */

#include "runtime/private/ssl.h"
#include "runtime/private/ssl_pem.h"

enum { PHASES = RESOLUA_SSL_CERTIFICATE | RESOLUA_PROXY_SSL_CERTIFICATE };


static int
clear_certs(lua_State *L)
{
    SSL_certs_clear(resolua_handshake_of(L, PHASES)->ssl);
    return resolua_ssl_succeed(L);
}


const char *
resolua_ssl_use_chain(SSL *ssl, STACK_OF(X509) * chain)
{
    if (sk_X509_num(chain) < 1) {
        return "invalid certificate chain";
    }
    if (SSL_use_certificate(ssl, sk_X509_value(chain, 0)) != 1) {
        return "SSL_use_certificate() failed";
    }
    if (SSL_clear_chain_certs(ssl) != 1) {
        return "SSL_clear_chain_certs() failed";
    }
    for (int i = 1; i < sk_X509_num(chain); i++) {
        if (SSL_add1_chain_cert(ssl, sk_X509_value(chain, i)) != 1) {
            return "SSL_add1_chain_cert() failed";
        }
    }
    return NULL;
}


static int
push_result(lua_State *L, const char *wrong)
{
    return wrong == NULL ? resolua_ssl_succeed(L) : resolua_ssl_fail(L, wrong);
}


/* set_cert(chain) */
static int
set_cert(lua_State *L)
{
    const resolua_handshake_t *h = resolua_handshake_of(L, PHASES);
    return push_result(L,
                       resolua_ssl_use_chain(h->ssl, resolua_ssl_check(L, 1)));
}


/* set_der_cert(der) */
static int
set_der_cert(lua_State *L)
{
    const resolua_handshake_t *h = resolua_handshake_of(L, PHASES);
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    STACK_OF(X509) *chain = resolua_ssl_parse_der(text, size);
    if (chain == NULL) {
        return resolua_ssl_fail(L, "d2i_X509_bio() failed");
    }
    const char *wrong = resolua_ssl_use_chain(h->ssl, chain);
    sk_X509_pop_free(chain, X509_free);
    return push_result(L, wrong);
}


static int
use_key(lua_State *L, SSL *ssl, EVP_PKEY *key)
{
    return SSL_use_PrivateKey(ssl, key) == 1
               ? resolua_ssl_succeed(L)
               : resolua_ssl_fail(L, "SSL_use_PrivateKey() failed");
}


/* set_priv_key(key) */
static int
set_priv_key(lua_State *L)
{
    const resolua_handshake_t *h = resolua_handshake_of(L, PHASES);
    return use_key(L, h->ssl, resolua_ssl_check(L, 1));
}


/* set_der_priv_key(der) */
static int
set_der_priv_key(lua_State *L)
{
    const resolua_handshake_t *h = resolua_handshake_of(L, PHASES);
    EVP_PKEY *key = ssl_read_der_key(L, 1);
    if (key == NULL) {
        return resolua_ssl_fail(L, "d2i_PrivateKey_bio() failed");
    }
    const int count = use_key(L, h->ssl, key);
    EVP_PKEY_free(key);
    return count;
}

const luaL_Reg resolua_ssl_certificate_functions[] = {
    {"clear_certs", clear_certs},           {"set_cert", set_cert},
    {"set_der_cert", set_der_cert},         {"set_priv_key", set_priv_key},
    {"set_der_priv_key", set_der_priv_key}, {NULL, NULL},
};
