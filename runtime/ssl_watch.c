/* OpenSSL's callbacks of a watched SSL_CTX.  No chunk runs within one: the
   callback says that the handshake has to wait, the handshake runs the chunk
   and then goes on, and the callback sees how it has ended.  Only
   ssl_session_store_by_lua* cannot wait. */

#include "runtime/private/ssl_watch.h"

typedef void (*info_pt)(const SSL *ssl, int where, int result);
typedef int (*new_session_pt)(SSL *ssl, SSL_SESSION *session);
typedef SSL_SESSION *(*get_session_pt)(SSL *ssl, const unsigned char *id,
                                       int size, int *copy);
typedef int (*status_pt)(SSL *ssl, void *arg);

/* What a watched SSL_CTX had before. */
typedef struct {
    const resolua_ssl_host_t *host;
    ngx_uint_t phases;
    info_pt info;
    new_session_pt new_session;
    get_session_pt get_session;
    status_pt status;
    void *status_arg;
} watch_t;

static int watch_index = -1;
static int handshake_index = -1;


static void
free_handshake(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index,
               long number, void *arg)
{
    (void) parent;
    (void) data;
    (void) index;
    (void) number;
    (void) arg;
    if (pointer != NULL) {
        resolua_handshake_free(pointer);
    }
}


static void
free_watch(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index,
           long number, void *arg)
{
    (void) parent;
    (void) data;
    (void) index;
    (void) number;
    (void) arg;
    free(pointer);
}


static ngx_int_t
make_indices(void)
{
    if (watch_index < 0) {
        watch_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_watch);
        handshake_index =
            SSL_get_ex_new_index(0, NULL, NULL, NULL, free_handshake);
    }
    return watch_index >= 0 && handshake_index >= 0 ? NGX_OK : NGX_ERROR;
}


resolua_handshake_t *
resolua_handshake(const SSL *ssl)
{
    return SSL_get_ex_data(ssl, handshake_index);
}


ngx_int_t
resolua_handshake_set(SSL *ssl, resolua_handshake_t *h)
{
    return SSL_set_ex_data(ssl, handshake_index, h) ? NGX_OK : NGX_ERROR;
}


static watch_t *
watch_of(const SSL *ssl)
{
    return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), watch_index);
}


/* Sessions stay with the SSL_CTX that the connection began with, whichever the
   client's server name leads to. */
static const watch_t *
session_watch_of(const ngx_connection_t *c)
{
    return SSL_CTX_get_ex_data(c->ssl->session_ctx, watch_index);
}


static void
on_info(const SSL *ssl, int where, int result)
{
    const watch_t *watch = watch_of(ssl);
    ngx_connection_t *c = ngx_ssl_get_connection((SSL *) ssl);
    if (watch->info != NULL) {
        watch->info(ssl, where, result);
    }
    if ((where & SSL_CB_HANDSHAKE_START) && c->ssl != NULL &&
        !c->ssl->handshaked && resolua_handshake(ssl) == NULL) {
        (void) resolua_handshake_begin((SSL *) ssl, c, watch->host);
    }
}


static resolua_code_t *
code_of(const resolua_ssl_host_t *host, const ngx_connection_t *c,
        ngx_uint_t phase)
{
    return resolua_ssl_codes_find(host->codes(c), phase);
}


/* Does the handshake have to wait for this phase's chunk? */
static int
must_wait(resolua_handshake_t *h, ngx_uint_t phase)
{
    if ((h->done & phase) || h->failed) {
        return 0;
    }
    if (code_of(h->host, h->connection, phase) == NULL) {
        h->done |= phase;
        return 0;
    }
    h->wanted = phase;
    return 1;
}


static int
takes_1_3(SSL *ssl)
{
    const long newest = SSL_get_max_proto_version(ssl); /* 0: any */
    return (SSL_get_options(ssl) & SSL_OP_NO_TLSv1_3) == 0 &&
           (newest == 0 || newest >= TLS1_3_VERSION);
}


/* Will this be TLS 1.2 or older?  The session id of a client that speaks
   TLS 1.3 means nothing (RFC 8446 section 4.1.2). */
static int
is_before_1_3(SSL *ssl)
{
    const unsigned char *data;
    size_t size;
    int has_1_3 = 0;
    int has_older = 0;
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &data,
                                   &size)) {
        return 1;
    }
    for (size_t i = 1; i + 1 < size; i += 2) { /* behind the list's size */
        const int version = (data[i] << 8) | data[i + 1];
        has_1_3 |= version == TLS1_3_VERSION;
        has_older |= version >= SSL3_VERSION && version <= TLS1_2_VERSION;
    }
    return has_older && !(has_1_3 && takes_1_3(ssl));
}


/* The session that the client wants to resume, unless a ticket comes with it.
 */
static void
find_session_id(SSL *ssl, ngx_str_t *id)
{
    const unsigned char *data;
    size_t size;
    id->len = 0;
    if (!is_before_1_3(ssl)) {
        return;
    }
    const int has_ticket = (SSL_get_options(ssl) & SSL_OP_NO_TICKET) == 0 &&
                           SSL_client_hello_get0_ext(
                               ssl, TLSEXT_TYPE_session_ticket, &data, &size) &&
                           size > 0;
    if (!has_ticket) {
        id->len = SSL_client_hello_get0_session_id(ssl, &data);
        id->data = (u_char *) data;
    }
}


/* Is there an id that a chunk may know? */
static int
may_resume(resolua_handshake_t *h)
{
    find_session_id(h->ssl, &h->session_id);
    return h->session_id.len > 0 &&
           h->session_id.len <= SSL_MAX_SSL_SESSION_ID_LENGTH;
}


static int
on_client_hello(SSL *ssl, int *alert, void *arg)
{
    resolua_handshake_t *h = resolua_handshake(ssl);
    (void) arg;
    if (h == NULL) { /* no memory */
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (must_wait(h, RESOLUA_SSL_CLIENT_HELLO) ||
        (may_resume(h) && must_wait(h, RESOLUA_SSL_SESSION_FETCH))) {
        return SSL_CLIENT_HELLO_RETRY;
    }
    if (h->failed) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}


/* An upstream may negotiate again, long after; no chunk can wait then, and the
   connection may be another request's. */
static int
negotiates_again(const resolua_handshake_t *h)
{
    return h->connection->ssl->handshaked;
}


static int
on_certificate(SSL *ssl, void *arg)
{
    resolua_handshake_t *h = resolua_handshake(ssl);
    (void) arg;
    if (h == NULL) { /* no memory */
        return 0;
    }
    if (negotiates_again(h)) {
        return 1;
    }
    return must_wait(h, h->is_server ? RESOLUA_SSL_CERTIFICATE
                                     : RESOLUA_PROXY_SSL_CERTIFICATE)
               ? -1
               : !h->failed;
}


static int
on_verify(X509_STORE_CTX *store, void *arg)
{
    SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    resolua_handshake_t *h = resolua_handshake(ssl);
    (void) arg;
    if (h == NULL) { /* no memory */
        X509_STORE_CTX_set_error(store, X509_V_ERR_OUT_OF_MEM);
        return 0;
    }
    if (negotiates_again(h) ||
        code_of(h->host, h->connection, RESOLUA_PROXY_SSL_VERIFY) == NULL) {
        return X509_verify_cert(store);
    }
    if (must_wait(h, RESOLUA_PROXY_SSL_VERIFY)) {
        if (h->host->codes(h->connection)->skips_verify != 1) {
            (void) X509_verify_cert(store);
            h->verify_result = X509_STORE_CTX_get_error(store);
        }
        X509 *peer = X509_STORE_CTX_get0_cert(store);
        if (h->peer == NULL && peer != NULL && X509_up_ref(peer)) {
            h->peer = peer;
        }
        return SSL_set_retry_verify(ssl);
    }
    X509_STORE_CTX_set_error(store, (int) h->verify_result);
    return h->verify_result == X509_V_OK;
}


static int
on_new_session(SSL *ssl, SSL_SESSION *session)
{
    ngx_connection_t *c = ngx_ssl_get_connection(ssl);
    const watch_t *watch = session_watch_of(c);
    resolua_code_t *code = code_of(watch->host, c, RESOLUA_SSL_SESSION_STORE);
    if (code != NULL) {
        resolua_handshake_t h = {.host = watch->host,
                                 .connection = c,
                                 .ssl = ssl,
                                 .session = session,
                                 .is_server = 1};
        resolua_request_init(&h.request, watch->host->host, c, c->pool, c->log);
        if (watch->host->begin(&h.request, c) == NGX_OK) {
            (void) resolua_run_sync(&h.request, code, RESOLUA_SSL_SESSION_STORE,
                                    0);
        }
        resolua_request_end(&h.request);
        ERR_clear_error();
    }
    return watch->new_session != NULL ? watch->new_session(ssl, session) : 0;
}


static SSL_SESSION *
on_get_session(SSL *ssl, const unsigned char *id, int size, int *copy)
{
    const watch_t *watch = session_watch_of(ngx_ssl_get_connection(ssl));
    const resolua_handshake_t *h = resolua_handshake(ssl);
    if (h != NULL && h->session != NULL) {
        *copy = 1;
        return h->session;
    }
    return watch->get_session != NULL ? watch->get_session(ssl, id, size, copy)
                                      : NULL;
}


/* Whether the client is sent an OCSP response. */
static int
on_status(SSL *ssl, void *arg)
{
    const watch_t *watch = watch_of(ssl);
    const resolua_handshake_t *h = resolua_handshake(ssl);
    (void) arg;
    if (h != NULL && h->has_staple) {
        return SSL_TLSEXT_ERR_OK;
    }
    return watch->status != NULL ? watch->status(ssl, watch->status_arg)
                                 : SSL_TLSEXT_ERR_NOACK;
}


static void
watch_sessions(SSL_CTX *ctx, watch_t *watch)
{
    watch->new_session = SSL_CTX_sess_get_new_cb(ctx);
    watch->get_session = SSL_CTX_sess_get_get_cb(ctx);
    SSL_CTX_sess_set_new_cb(ctx, on_new_session);
    SSL_CTX_sess_set_get_cb(ctx, on_get_session);
    const long mode = SSL_CTX_get_session_cache_mode(ctx);
    if ((mode & SSL_SESS_CACHE_SERVER) == 0) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER |
                                                SSL_SESS_CACHE_NO_INTERNAL);
    }
}


static void
watch_server(SSL_CTX *ctx, watch_t *watch)
{
    SSL_CTX_set_client_hello_cb(ctx, on_client_hello, NULL);
    SSL_CTX_get_tlsext_status_cb(ctx, &watch->status);
    SSL_CTX_get_tlsext_status_arg(ctx, &watch->status_arg);
    SSL_CTX_set_tlsext_status_cb(ctx, on_status);
    if (watch->phases &
        (RESOLUA_SSL_SESSION_FETCH | RESOLUA_SSL_SESSION_STORE)) {
        watch_sessions(ctx, watch);
    }
}


ngx_int_t
resolua_ssl_watch(SSL_CTX *ctx, const resolua_ssl_host_t *host,
                  ngx_uint_t phases)
{
    if (make_indices() != NGX_OK) {
        return NGX_ERROR;
    }
    if (SSL_CTX_get_ex_data(ctx, watch_index) != NULL) {
        return NGX_OK;
    }
    watch_t *watch = calloc(1, sizeof(*watch));
    if (watch == NULL || !SSL_CTX_set_ex_data(ctx, watch_index, watch)) {
        free(watch);
        return NGX_ERROR;
    }
    watch->host = host;
    watch->phases = phases;
    watch->info = SSL_CTX_get_info_callback(ctx);
    SSL_CTX_set_info_callback(ctx, on_info);
    const ngx_uint_t is_server = phases & RESOLUA_SSL_SERVER_PHASES;
    if (!is_server || (phases & RESOLUA_SSL_CERTIFICATE)) {
        SSL_CTX_set_cert_cb(ctx, on_certificate, NULL);
    }
    if (is_server) {
        watch_server(ctx, watch);
    } else {
        SSL_CTX_set_cert_verify_callback(ctx, on_verify, NULL);
    }
    return NGX_OK;
}
