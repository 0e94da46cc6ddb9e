#include "stream/tls.h"

#include <ngx_stream_ssl_module.h>


static int
select_dot(SSL *ssl, const unsigned char **out, unsigned char *size,
           const unsigned char *in, unsigned in_size, void *data)
{
    static const unsigned char ours[] = "\3dot";
    (void) ssl;
    (void) data;
    if (SSL_select_next_proto((unsigned char **) out, size, ours,
                              sizeof(ours) - 1, in,
                              in_size) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK; /* older clients name something else */
    }
    return SSL_TLSEXT_ERR_OK;
}


void
tls_conf(const ngx_stream_conf_ctx_t *ctx)
{
    const ngx_stream_ssl_conf_t *conf =
        ctx->srv_conf[ngx_stream_ssl_module.ctx_index];
    if (conf->ssl.ctx != NULL && conf->alpn.len == 0) {
        SSL_CTX_set_alpn_select_cb(conf->ssl.ctx, select_dot, NULL);
    }
}


char *
tls_prepare(ngx_conf_t *cf)
{
    const ngx_stream_core_srv_conf_t *core =
        ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_core_module);
    ngx_stream_ssl_conf_t *conf =
        ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_ssl_module);
    const ngx_stream_module_t *module = ngx_stream_ssl_module.ctx;
    if (conf->listen || conf->certificates == NULL || conf->ssl.ctx != NULL) {
        return NGX_CONF_OK;
    }
    conf->listen = 1;
    conf->file = core->file_name;
    conf->line = core->line;
    char *rc = module->merge_srv_conf(cf, conf, conf);
    conf->listen = 0;
    return rc;
}
