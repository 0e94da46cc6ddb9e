/* TLS to Redis, without blocking. */

#include "server/private/remote_wire.h"

enum {
    PROTOCOLS = NGX_SSL_TLSv1_2 | NGX_SSL_TLSv1_3,
    CHAIN_DEPTH = 9,
};


ngx_int_t
remote_tls_conf(ngx_conf_t *cf, remote_conf_t *conf)
{
    conf->ssl = ngx_pcalloc(cf->pool, sizeof(*conf->ssl));
    if (conf->ssl == NULL) {
        return NGX_ERROR;
    }
    conf->ssl->log = cf->log;
    if (ngx_ssl_create(conf->ssl, PROTOCOLS, NULL) != NGX_OK) {
        return NGX_ERROR;
    }
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(cf->pool, 0);
    if (cleanup == NULL) {
        ngx_ssl_cleanup_ctx(conf->ssl);
        return NGX_ERROR;
    }
    cleanup->handler = ngx_ssl_cleanup_ctx;
    cleanup->data = conf->ssl;
    ngx_str_t ca_file = {ngx_strlen(conf->options->ca_file),
                         (u_char *) conf->options->ca_file};
    return ngx_ssl_trusted_certificate(cf, conf->ssl, &ca_file, CHAIN_DEPTH);
}


ngx_int_t
remote_tls_begin(remote_wire_t *wire, void (*done)(ngx_connection_t *c))
{
    const remote_conf_t *conf = wire->store->conf;
    ngx_connection_t *c = wire->connection;
    c->log_error = NGX_ERROR_INFO; /* the store's trouble is told once */
    c->pool = ngx_create_pool(RESOLUA_SMALL_POOL, c->log);
    if (c->pool == NULL ||
        ngx_ssl_create_connection(conf->ssl, c, NGX_SSL_CLIENT) != NGX_OK) {
        return NGX_ERROR;
    }
    if (conf->options->tls_name != NULL &&
        SSL_set_tlsext_host_name(c->ssl->connection, conf->options->tls_name) !=
            1) {
        return NGX_ERROR;
    }
    c->ssl->handler = done;
    return ngx_ssl_handshake(c);
}


const char *
remote_tls_check(const remote_wire_t *wire)
{
    ngx_connection_t *c = wire->connection;
    const char *tls_name = wire->store->conf->options->tls_name;
    if (!c->ssl->handshaked) {
        return "the TLS handshake failed";
    }
    const long result = SSL_get_verify_result(c->ssl->connection);
    if (result != X509_V_OK) {
        return X509_verify_cert_error_string(result);
    }
    if (tls_name == NULL) {
        return NULL;
    }
    ngx_str_t name = {ngx_strlen(tls_name), (u_char *) tls_name};
    return ngx_ssl_check_host(c, &name) != NGX_OK
               ? "the certificate is not one of tls_name"
               : NULL;
}


void
remote_tls_close(ngx_connection_t *c)
{
    if (c->ssl != NULL) { /* at once, and without a farewell */
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;
        (void) ngx_ssl_shutdown(c);
    }
}
