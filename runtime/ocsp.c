/* ngx.ocsp */

#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "runtime/private/ssl.h"

enum {
    TEXT_MAX = 4096, /* octets, unless the script says */
    CLOCK_SKEW = 300 /* s, that a responder's clock may be off */
};


/* The DER chain at arg: the certificate and its issuer.  Freed by the caller;
   NULL and *wrong. */
static STACK_OF(X509) * check_chain(lua_State *L, int arg, const char **wrong)
{
    size_t size;
    const char *text = luaL_checklstring(L, arg, &size);
    STACK_OF(X509) *chain = resolua_ssl_parse_der(text, size);
    if (chain == NULL) {
        *wrong = "d2i_X509_bio() failed";
        return NULL;
    }
    if (sk_X509_num(chain) < 2) {
        *wrong = "no issuer certificate in chain";
    } else if (X509_check_issued(sk_X509_value(chain, 1),
                                 sk_X509_value(chain, 0)) != X509_V_OK) {
        *wrong = "issuer certificate not next to leaf";
    } else {
        return chain;
    }
    sk_X509_pop_free(chain, X509_free);
    return NULL;
}


/* get_ocsp_responder_from_der_chain(chain, max?): its URL; nil: there is
   none */
static int
get_responder(lua_State *L)
{
    const char *wrong;
    const lua_Integer max = luaL_optinteger(L, 2, TEXT_MAX);
    luaL_argcheck(L, max >= 0, 2, "bad size");
    STACK_OF(X509) *chain = check_chain(L, 1, &wrong);
    if (chain == NULL) {
        return resolua_ssl_fail(L, wrong);
    }
    STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(sk_X509_value(chain, 0));
    sk_X509_pop_free(chain, X509_free);
    if (urls == NULL || sk_OPENSSL_STRING_num(urls) < 1) {
        X509_email_free(urls);
        lua_pushnil(L);
        return 1;
    }
    const char *url = sk_OPENSSL_STRING_value(urls, 0);
    const size_t size = ngx_strlen(url);
    const int fits = size <= (size_t) max;
    lua_pushlstring(L, url, fits ? size : (size_t) max);
    lua_pushliteral(L, "truncated");
    X509_email_free(urls);
    lua_pop(L, fits);
    return fits ? 1 : 2;
}


static OCSP_CERTID *
make_id(STACK_OF(X509) * chain)
{
    return OCSP_cert_to_id(NULL, sk_X509_value(chain, 0),
                           sk_X509_value(chain, 1));
}


/* create_ocsp_request(chain, max?) */
static int
create_request(lua_State *L)
{
    const char *wrong;
    const lua_Integer max = luaL_optinteger(L, 2, TEXT_MAX);
    luaL_argcheck(L, max >= 0, 2, "bad size");
    STACK_OF(X509) *chain = check_chain(L, 1, &wrong);
    if (chain == NULL) {
        return resolua_ssl_fail(L, wrong);
    }
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    OCSP_CERTID *id = make_id(chain);
    sk_X509_pop_free(chain, X509_free);
    unsigned char *der = NULL;
    int size = -1;
    if (request != NULL && id != NULL &&
        OCSP_request_add0_id(request, id) != NULL) {
        id = NULL; /* the request's now */
        size = i2d_OCSP_REQUEST(request, &der);
    }
    OCSP_CERTID_free(id);
    OCSP_REQUEST_free(request);
    if (size <= 0) {
        return resolua_ssl_fail(L, "the OCSP request could not be made");
    }
    if (size <= max) {
        lua_pushlstring(L, (char *) der, (size_t) size);
    }
    OPENSSL_free(der);
    if (size <= max) {
        return 1;
    }
    lua_pushnil(L);
    lua_pushfstring(L, "output buffer too small: %d > %d", size, (int) max);
    return 2;
}


/* What a response does not pass is pushed as text; true: it does. */
static int
passes(lua_State *L, int ok, const char *wrong)
{
    if (!ok) {
        lua_pushstring(L, wrong);
    }
    return ok;
}


/* Does it say, validly and now, that the certificate is good? */
static int
check_status(lua_State *L, OCSP_BASICRESP *basic, STACK_OF(X509) * chain)
{
    int status;
    ASN1_GENERALIZEDTIME *from;
    ASN1_GENERALIZEDTIME *to;
    OCSP_CERTID *id = make_id(chain);
    const int is_found =
        id != NULL &&
        OCSP_resp_find_status(basic, id, &status, NULL, NULL, &from, &to) == 1;
    OCSP_CERTID_free(id);
    if (!passes(L, is_found,
                "certificate status not found in the OCSP response") ||
        !passes(L, OCSP_check_validity(from, to, CLOCK_SKEW, -1) == 1,
                "OCSP_check_validity() failed")) {
        return 0;
    }
    if (status != V_OCSP_CERTSTATUS_GOOD) {
        lua_pushfstring(L, "certificate status \"%s\" in the OCSP response",
                        OCSP_cert_status_str(status));
    }
    return status == V_OCSP_CERTSTATUS_GOOD;
}


/* Is it the issuer's, or of one whom the issuer lets answer?  Their
   certificates' own times are the client's to judge. */
static int
check_signature(OCSP_BASICRESP *basic, STACK_OF(X509) * chain)
{
    X509_STORE *store = X509_STORE_new();
    const int ok =
        store != NULL &&
        X509_STORE_add_cert(store, sk_X509_value(chain, 1)) == 1 &&
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN |
                                        X509_V_FLAG_NO_CHECK_TIME) == 1 &&
        OCSP_basic_verify(basic, chain, store, 0) == 1;
    X509_STORE_free(store);
    return ok;
}


static int
check_response(lua_State *L, OCSP_RESPONSE *response, STACK_OF(X509) * chain)
{
    if (!passes(L, response != NULL, "d2i_OCSP_RESPONSE() failed")) {
        return 0;
    }
    const int status = OCSP_response_status(response);
    if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        lua_pushfstring(L, "OCSP response not successful (%d: %s)", status,
                        OCSP_response_status_str(status));
        return 0;
    }
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
    const int ok =
        passes(L, basic != NULL, "OCSP_response_get1_basic() failed") &&
        passes(L, check_signature(basic, chain),
               "OCSP_basic_verify() failed") &&
        check_status(L, basic, chain);
    OCSP_BASICRESP_free(basic);
    return ok;
}


/* validate_ocsp_response(response, chain) */
static int
validate_response(lua_State *L)
{
    const char *wrong;
    size_t size;
    const unsigned char *text =
        (const unsigned char *) luaL_checklstring(L, 1, &size);
    STACK_OF(X509) *chain = check_chain(L, 2, &wrong);
    if (chain == NULL) {
        return resolua_ssl_fail(L, wrong);
    }
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &text, (long) size);
    const int ok = check_response(L, response, chain);
    OCSP_RESPONSE_free(response);
    sk_X509_pop_free(chain, X509_free);
    ERR_clear_error();
    return ok ? resolua_ssl_succeed(L)
              : resolua_ssl_fail(L, lua_tostring(L, -1));
}


/* set_ocsp_status_resp(response): stapled, where the client asks for it */
static int
set_status_response(lua_State *L)
{
    resolua_handshake_t *h = resolua_handshake_of(L, RESOLUA_SSL_CERTIFICATE);
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    if (SSL_get_tlsext_status_type(h->ssl) == -1) {
        lua_pushboolean(L, 1);
        lua_pushliteral(L, "no status req");
        return 2;
    }
    unsigned char *copy = OPENSSL_memdup(text, size);
    if (copy == NULL ||
        SSL_set_tlsext_status_ocsp_resp(h->ssl, copy, (long) size) != 1) {
        OPENSSL_free(copy);
        return resolua_ssl_fail(L, "SSL_set_tlsext_status_ocsp_resp() failed");
    }
    h->has_staple = 1;
    return resolua_ssl_succeed(L);
}


int
resolua_ssl_open_ocsp(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"get_ocsp_responder_from_der_chain", get_responder},
        {"create_ocsp_request", create_request},
        {"validate_ocsp_response", validate_response},
        {"set_ocsp_status_resp", set_status_response},
        {NULL, NULL},
    };
    lua_createtable(L, 0, 4);
    luaL_register(L, NULL, functions);
    return 1;
}
