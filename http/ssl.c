#include "http/private/ssl.h"

#include "runtime/ssl.h"

extern ngx_module_t ngx_http_proxy_module;
extern ngx_module_t ngx_http_grpc_module;
extern ngx_module_t ngx_http_uwsgi_module;


static const ngx_http_conf_ctx_t *
server_of(const ngx_connection_t *c)
{
    const ngx_http_connection_t *hc = c->data;
    return hc->conf_ctx;
}


static const resolua_ssl_codes_t *
server_codes(const ngx_connection_t *c)
{
    const http_srv_conf_t *conf =
        server_of(c)->srv_conf[ngx_http_resolua_module.ctx_index];
    return &conf->ssl;
}


static ngx_int_t
server_begin(resolua_request_t *r, ngx_connection_t *c)
{
    const http_loc_conf_t *conf =
        server_of(c)->loc_conf[ngx_http_resolua_module.ctx_index];
    r->sockets = &conf->sockets;
    return NGX_OK;
}

static const resolua_host_t server_request = {
    .subsystem = "http",
    .resumed = resolua_ssl_resumed,
};

static const resolua_ssl_host_t server_host = {
    .host = &server_request,
    .codes = server_codes,
    .begin = server_begin,
};


/* Where ssl_certificate has variables, nginx needs the one callback that
   OpenSSL has for certificates. */
static ngx_int_t
watch_server(const ngx_http_conf_ctx_t *ctx, ngx_uint_t phases)
{
    const ngx_http_ssl_srv_conf_t *ssl =
        ctx->srv_conf[ngx_http_ssl_module.ctx_index];
    const http_srv_conf_t *conf =
        ctx->srv_conf[ngx_http_resolua_module.ctx_index];
    if (ssl->certificate_values != NULL && conf->ssl.certificate == NULL) {
        phases &= ~(ngx_uint_t) RESOLUA_SSL_CERTIFICATE;
    }
    return ssl->ssl.ctx == NULL || phases == 0
               ? NGX_OK
               : resolua_ssl_watch(ssl->ssl.ctx, &server_host, phases);
}


ngx_int_t
http_ssl_watch_servers(ngx_conf_t *cf)
{
    const ngx_http_core_main_conf_t *core =
        ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    ngx_http_core_srv_conf_t *const *servers = core->servers.elts;
    ngx_uint_t phases = 0;
    for (ngx_uint_t i = 0; i < core->servers.nelts; i++) {
        const http_srv_conf_t *conf =
            servers[i]->ctx->srv_conf[ngx_http_resolua_module.ctx_index];
        phases |= resolua_ssl_codes_phases(&conf->ssl);
    }
    for (ngx_uint_t i = 0; phases != 0 && i < core->servers.nelts; i++) {
        if (watch_server(servers[i]->ctx, phases) != NGX_OK) {
            return NGX_ERROR;
        }
    }
    return NGX_OK;
}


static const resolua_ssl_codes_t *
proxy_codes(const ngx_connection_t *c)
{
    return &http_loc_conf(c->data)->ssl;
}


/* The chunks see the request's ngx.ctx and variables. */
static ngx_int_t
proxy_begin(resolua_request_t *r, ngx_connection_t *c)
{
    http_ctx_t *ctx = http_ctx(c->data);
    if (ctx == NULL) {
        return NGX_ERROR;
    }
    r->data = ctx;
    r->sockets = ctx->base.sockets;
    resolua_request_move_ctx(r, &ctx->base);
    return NGX_OK;
}


static void
proxy_end(resolua_request_t *r, ngx_connection_t *c)
{
    http_ctx_t *ctx = r->data;
    (void) c;
    resolua_request_move_ctx(&ctx->base, r);
}

static const resolua_ssl_host_t proxy_host = {
    .host = &http_proxy_ssl_host,
    .codes = proxy_codes,
    .begin = proxy_begin,
    .end = proxy_end,
};


/* The proxies' configurations are their own; each begins with nginx's common
   part. */
ngx_int_t
http_ssl_watch_proxy(ngx_conf_t *cf, const http_loc_conf_t *conf)
{
    const ngx_http_upstream_conf_t *const proxies[] = {
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_proxy_module),
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_grpc_module),
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_uwsgi_module),
    };
    const ngx_uint_t phases = resolua_ssl_codes_phases(&conf->ssl);
    for (size_t i = 0; i < sizeof(proxies) / sizeof(proxies[0]); i++) {
        const ngx_ssl_t *ssl = proxies[i]->ssl;
        if (phases != 0 && ssl != NULL && ssl->ctx != NULL &&
            resolua_ssl_watch(ssl->ctx, &proxy_host, phases) != NGX_OK) {
            return NGX_ERROR;
        }
    }
    return NGX_OK;
}
