/* The directives of the phases within TLS handshakes. */

#include "runtime/ssl.h"

typedef struct {
    ngx_uint_t phase;
    size_t at;
} member_t;

static const member_t members[] = {
    {RESOLUA_SSL_CLIENT_HELLO, offsetof(resolua_ssl_codes_t, client_hello)},
    {RESOLUA_SSL_CERTIFICATE, offsetof(resolua_ssl_codes_t, certificate)},
    {RESOLUA_SSL_SESSION_FETCH, offsetof(resolua_ssl_codes_t, session_fetch)},
    {RESOLUA_SSL_SESSION_STORE, offsetof(resolua_ssl_codes_t, session_store)},
    {RESOLUA_PROXY_SSL_CERTIFICATE,
     offsetof(resolua_ssl_codes_t, proxy_certificate)},
    {RESOLUA_PROXY_SSL_VERIFY, offsetof(resolua_ssl_codes_t, proxy_verify)},
};

enum { MEMBERS = sizeof(members) / sizeof(members[0]) };


static resolua_code_t **
place_of(const resolua_ssl_codes_t *codes, size_t at)
{
    return (resolua_code_t **) ((char *) (uintptr_t) codes + at);
}


void
resolua_ssl_codes_init(resolua_ssl_codes_t *codes)
{
    ngx_memzero(codes, sizeof(*codes));
    codes->skips_verify = NGX_CONF_UNSET;
}


void
resolua_ssl_codes_merge(resolua_ssl_codes_t *codes,
                        const resolua_ssl_codes_t *outer)
{
    for (int i = 0; i < MEMBERS; i++) {
        resolua_code_t **code = place_of(codes, members[i].at);
        if (*code == NULL) {
            *code = *place_of(outer, members[i].at);
        }
    }
    ngx_conf_merge_value(codes->skips_verify, outer->skips_verify, 0);
}


resolua_code_t *
resolua_ssl_codes_find(const resolua_ssl_codes_t *codes, ngx_uint_t phase)
{
    for (int i = 0; i < MEMBERS; i++) {
        if (members[i].phase == phase) {
            return *place_of(codes, members[i].at);
        }
    }
    return NULL;
}


ngx_uint_t
resolua_ssl_codes_phases(const resolua_ssl_codes_t *codes)
{
    ngx_uint_t phases = 0;
    for (int i = 0; i < MEMBERS; i++) {
        if (*place_of(codes, members[i].at) != NULL) {
            phases |= members[i].phase;
        }
    }
    return phases;
}
