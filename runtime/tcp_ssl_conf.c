/* lua_ssl_*: how cosockets speak TLS. */

#include "runtime/socket.h"

enum { PROTOCOLS = NGX_SSL_TLSv1_2 | NGX_SSL_TLSv1_3, VERIFY_DEPTH = 1 };


static ngx_int_t
use_certificate(ngx_conf_t *cf, const resolua_socket_conf_t *conf)
{
    ngx_str_t certificate = conf->ssl_certificate;
    ngx_str_t key = conf->ssl_certificate_key;
    if (certificate.len == 0) {
        return NGX_OK;
    }
    if (key.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"lua_ssl_certificate_key\" is defined for "
                           "certificate \"%V\"",
                           &certificate);
        return NGX_ERROR;
    }
    return ngx_ssl_certificate(cf, conf->ssl, &certificate, &key, NULL);
}


static int key_log_index = -1;


/* A line of the file: what a capture of the traffic is read with. */
static void
log_key(const SSL *ssl, const char *line)
{
    const ngx_open_file_t *file =
        SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), key_log_index);
    const struct iovec parts[] = {
        {(void *) (uintptr_t) line, ngx_strlen(line)},
        {(void *) (uintptr_t) "\n", 1},
    };
    (void) !writev(file->fd, parts, 2);
}


static ngx_int_t
log_keys(ngx_conf_t *cf, const resolua_socket_conf_t *conf)
{
    ngx_str_t name = conf->ssl_key_log;
    if (name.len == 0) {
        return NGX_OK;
    }
    if (key_log_index < 0) {
        key_log_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    }
    ngx_open_file_t *file = ngx_conf_open_file(cf->cycle, &name);
    if (file == NULL || key_log_index < 0 ||
        !SSL_CTX_set_ex_data(conf->ssl->ctx, key_log_index, file)) {
        return NGX_ERROR;
    }
    SSL_CTX_set_keylog_callback(conf->ssl->ctx, log_key);
    return NGX_OK;
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
    if (conf->ssl_crl.len > 0 &&
        ngx_ssl_crl(cf, conf->ssl, &conf->ssl_crl) != NGX_OK) {
        return NGX_ERROR;
    }
    if (ngx_ssl_conf_commands(cf, conf->ssl, conf->ssl_commands) != NGX_OK) {
        return NGX_ERROR;
    }
    return use_certificate(cf, conf) == NGX_OK ? log_keys(cf, conf) : NGX_ERROR;
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
        conf->ssl_verify_depth != NGX_CONF_UNSET ||
        conf->ssl_certificate.data != NULL ||
        conf->ssl_certificate_key.data != NULL ||
        conf->ssl_key_log.data != NULL ||
        conf->ssl_commands != NGX_CONF_UNSET_PTR;
    ngx_conf_merge_str_value(conf->ssl_trusted, outer->ssl_trusted, "");
    ngx_conf_merge_str_value(conf->ssl_ciphers, outer->ssl_ciphers, "");
    ngx_conf_merge_str_value(conf->ssl_crl, outer->ssl_crl, "");
    ngx_conf_merge_str_value(conf->ssl_certificate, outer->ssl_certificate, "");
    ngx_conf_merge_str_value(conf->ssl_certificate_key,
                             outer->ssl_certificate_key, "");
    ngx_conf_merge_str_value(conf->ssl_key_log, outer->ssl_key_log, "");
    ngx_conf_merge_ptr_value(conf->ssl_commands, outer->ssl_commands, NULL);
    ngx_conf_merge_value(conf->ssl_verify_depth, outer->ssl_verify_depth,
                         VERIFY_DEPTH);
    if (conf->ssl_protocols == 0) {
        conf->ssl_protocols =
            outer->ssl_protocols != 0 ? outer->ssl_protocols : PROTOCOLS;
    }
    const ngx_uint_t is_needed =
        conf->ssl_trusted.len > 0 || conf->ssl_ciphers.len > 0 ||
        conf->ssl_crl.len > 0 || conf->ssl_protocols != PROTOCOLS ||
        conf->ssl_certificate.len > 0 || conf->ssl_key_log.len > 0 ||
        conf->ssl_commands != NULL;
    conf->ssl = outer->ssl;
    if (!is_needed || (!is_own && conf->ssl != NULL)) {
        return NGX_CONF_OK;
    }
    return make_ssl(cf, conf) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}
