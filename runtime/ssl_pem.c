/* ngx.ssl: certificates and keys as PEM, DER and cdata. */

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "runtime/private/ssl.h"
#include "runtime/private/ssl_pem.h"

static const char wrapper[] = "resolua.ssl_wrap";

enum { TYPE_CDATA = 10 }; /* lua_type() of LuaJIT's cdata */


int
resolua_ssl_succeed(lua_State *L)
{
    lua_pushboolean(L, 1);
    return 1;
}


int
resolua_ssl_fail(lua_State *L, const char *reason)
{
    ERR_clear_error();
    return resolua_fail(L, reason);
}


/* Pushes function(pointer, release). */
static void
push_wrapper(lua_State *L)
{
    static const char source[] =
        "local ffi = require 'ffi'\n"
        "local cast, gc, type = ffi.cast, ffi.gc, ffi.typeof('void *')\n"
        "return function(pointer, release)\n"
        "    return gc(cast(type, pointer), release)\n"
        "end\n";
    lua_getfield(L, LUA_REGISTRYINDEX, wrapper);
    if (!lua_isnil(L, -1)) {
        return;
    }
    lua_pop(L, 1);
    if (luaL_loadbuffer(L, source, sizeof(source) - 1, "=ngx.ssl") != 0) {
        lua_error(L);
    }
    lua_call(L, 0, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, wrapper);
}


/* Scripts hand these to FFI, so they are cdata.  A coroutine that sleeps cannot
   call the function. */
void
resolua_ssl_push(lua_State *L, void *pointer, lua_CFunction release)
{
    lua_State *caller = lua_status(L) == LUA_YIELD ? resolua_vm : L;
    push_wrapper(caller);
    lua_pushlightuserdata(caller, pointer);
    if (release != NULL) {
        lua_pushcfunction(caller, release);
    } else {
        lua_pushnil(caller);
    }
    lua_call(caller, 2, 1);
    if (caller != L) {
        lua_xmove(caller, L, 1);
    }
}


void *
resolua_ssl_check(lua_State *L, int arg)
{
    if (lua_islightuserdata(L, arg)) {
        return lua_touserdata(L, arg);
    }
    luaL_argcheck(L, lua_type(L, arg) == TYPE_CDATA, arg, "cdata expected");
    void *pointer;
    ngx_memcpy(&pointer, lua_topointer(L, arg), sizeof(pointer));
    luaL_argcheck(L, pointer != NULL, arg, "NULL pointer");
    return pointer;
}


static int
release_chain(lua_State *L)
{
    sk_X509_pop_free(resolua_ssl_check(L, 1), X509_free);
    return 0;
}


static int
release_key(lua_State *L)
{
    EVP_PKEY_free(resolua_ssl_check(L, 1));
    return 0;
}


static BIO *
open_text(lua_State *L, int arg)
{
    size_t size;
    const char *text = luaL_checklstring(L, arg, &size);
    luaL_argcheck(L, size <= INT_MAX, arg, "too long");
    return BIO_new_mem_buf(text, (int) size);
}


/* Puts a certificate, owned, into the chain. */
static int
add(STACK_OF(X509) * chain, X509 *certificate)
{
    if (chain != NULL && certificate != NULL &&
        sk_X509_push(chain, certificate) > 0) {
        return 1;
    }
    X509_free(certificate);
    return 0;
}


/* NULL, or what failed; the chain is the caller's. */
static const char *
read_pem_chain(BIO *bio, STACK_OF(X509) * chain)
{
    if (!add(chain, PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL))) {
        return "PEM_read_bio_X509_AUX() failed";
    }
    for (;;) {
        X509 *next = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (next == NULL) {
            const unsigned long error = ERR_peek_last_error();
            ERR_clear_error();
            return ERR_GET_LIB(error) == ERR_LIB_PEM &&
                           ERR_GET_REASON(error) == PEM_R_NO_START_LINE
                       ? NULL
                       : "PEM_read_bio_X509() failed";
        }
        if (!add(chain, next)) {
            return "no memory";
        }
    }
}


STACK_OF(X509) * resolua_ssl_parse_der(const char *text, size_t size)
{
    const unsigned char *at = (const unsigned char *) text;
    const unsigned char *end = at + size;
    STACK_OF(X509) *chain = sk_X509_new_null();
    do {
        if (!add(chain, d2i_X509(NULL, &at, end - at))) {
            sk_X509_pop_free(chain, X509_free);
            return NULL;
        }
    } while (at < end);
    return chain;
}


/* The chain in the PEM text at arg, the caller's; NULL and *wrong. */
static STACK_OF(X509) * parse_pem(lua_State *L, int arg, const char **wrong)
{
    BIO *bio = open_text(L, arg);
    STACK_OF(X509) *chain = sk_X509_new_null();
    *wrong = bio == NULL ? "no memory" : read_pem_chain(bio, chain);
    BIO_free(bio);
    if (*wrong != NULL) {
        sk_X509_pop_free(chain, X509_free);
        return NULL;
    }
    return chain;
}


/* parse_pem_cert(pem) */
int
ssl_parse_pem_cert(lua_State *L)
{
    const char *wrong;
    STACK_OF(X509) *chain = parse_pem(L, 1, &wrong);
    if (chain == NULL) {
        return resolua_ssl_fail(L, wrong);
    }
    resolua_ssl_push(L, chain, release_chain);
    return 1;
}


/* parse_der_cert(der) */
int
ssl_parse_der_cert(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    STACK_OF(X509) *chain = resolua_ssl_parse_der(text, size);
    if (chain == NULL) {
        return resolua_ssl_fail(L, "d2i_X509_bio() failed");
    }
    resolua_ssl_push(L, chain, release_chain);
    return 1;
}


/* cert_pem_to_der(pem): the certificates' DER forms in a row */
int
ssl_cert_pem_to_der(lua_State *L)
{
    const char *wrong;
    STACK_OF(X509) *chain = parse_pem(L, 1, &wrong);
    if (chain == NULL) {
        return resolua_ssl_fail(L, wrong);
    }
    BIO *out = BIO_new(BIO_s_mem());
    int ok = out != NULL;
    for (int i = 0; ok && i < sk_X509_num(chain); i++) {
        ok = i2d_X509_bio(out, sk_X509_value(chain, i));
    }
    sk_X509_pop_free(chain, X509_free);
    char *text = NULL;
    const long size = ok ? BIO_get_mem_data(out, &text) : 0;
    if (ok) {
        lua_pushlstring(L, text, (size_t) size);
    }
    BIO_free(out);
    return ok ? 1 : resolua_ssl_fail(L, "i2d_X509() failed");
}


/* Without a password nobody is asked for one at the terminal. */
static int
give_password(char *buffer, int size, int rwflag, void *data)
{
    const char *password = data;
    const size_t length = password != NULL ? ngx_strlen(password) : 0;
    (void) rwflag;
    if (password == NULL || length > (size_t) size) {
        return -1;
    }
    ngx_memcpy(buffer, password, length);
    return (int) length;
}


static EVP_PKEY *
read_pem_key(lua_State *L)
{
    const char *password = luaL_optstring(L, 2, NULL);
    BIO *bio = open_text(L, 1);
    EVP_PKEY *key = bio != NULL
                        ? PEM_read_bio_PrivateKey(bio, NULL, give_password,
                                                  (void *) (uintptr_t) password)
                        : NULL;
    BIO_free(bio);
    return key;
}


/* parse_pem_priv_key(pem, password?) */
int
ssl_parse_pem_priv_key(lua_State *L)
{
    EVP_PKEY *key = read_pem_key(L);
    if (key == NULL) {
        return resolua_ssl_fail(L, "PEM_read_bio_PrivateKey() failed");
    }
    ERR_clear_error();
    resolua_ssl_push(L, key, release_key);
    return 1;
}


/* parse_der_priv_key(der) */
int
ssl_parse_der_priv_key(lua_State *L)
{
    EVP_PKEY *key = ssl_read_der_key(L, 1);
    if (key == NULL) {
        return resolua_ssl_fail(L, "d2i_PrivateKey_bio() failed");
    }
    resolua_ssl_push(L, key, release_key);
    return 1;
}


EVP_PKEY *
ssl_read_der_key(lua_State *L, int arg)
{
    BIO *bio = open_text(L, arg);
    EVP_PKEY *key = bio != NULL ? d2i_PrivateKey_bio(bio, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return key;
}


/* priv_key_pem_to_der(pem, password?) */
int
ssl_priv_key_pem_to_der(lua_State *L)
{
    EVP_PKEY *key = read_pem_key(L);
    unsigned char *der = NULL;
    if (key == NULL) {
        return resolua_ssl_fail(L, "PEM_read_bio_PrivateKey() failed");
    }
    const int size = i2d_PrivateKey(key, &der);
    EVP_PKEY_free(key);
    ERR_clear_error();
    if (size < 0) {
        return resolua_ssl_fail(L, "i2d_PrivateKey() failed");
    }
    lua_pushlstring(L, (char *) der, (size_t) size);
    OPENSSL_clear_free(der, (size_t) size);
    return 1;
}
