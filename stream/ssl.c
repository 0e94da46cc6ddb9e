#include "stream/ssl.h"

#include "runtime/ssl.h"
#include "stream/context.h"
#include "stream/proxy.h"


static const stream_conf_t *
conf_of(const ngx_connection_t *c)
{
    const ngx_stream_session_t *s = c->data;
    return ngx_stream_get_module_srv_conf(s, ngx_stream_resolua_module);
}


static const resolua_ssl_codes_t *
codes(const ngx_connection_t *c)
{
    return &conf_of(c)->ssl;
}


static ngx_int_t
server_begin(resolua_request_t *r, ngx_connection_t *c)
{
    r->sockets = &conf_of(c)->sockets;
    return NGX_OK;
}


/* The chunks see the session's ngx.ctx and variables. */
static ngx_int_t
proxy_begin(resolua_request_t *r, ngx_connection_t *c)
{
    stream_context_t *context = stream_context(c->data);
    if (context == NULL) {
        return NGX_ERROR;
    }
    r->data = context;
    r->sockets = context->request.sockets;
    resolua_request_move_ctx(r, &context->request);
    return NGX_OK;
}


static void
proxy_end(resolua_request_t *r, ngx_connection_t *c)
{
    stream_context_t *context = r->data;
    (void) c;
    resolua_request_move_ctx(&context->request, r);
}

static const resolua_host_t server_request = {
    .subsystem = "stream",
    .resumed = resolua_ssl_resumed,
};

static const resolua_ssl_host_t server_host = {
    .host = &server_request,
    .codes = codes,
    .begin = server_begin,
};

static const resolua_ssl_host_t proxy_host = {
    .host = &stream_proxy_ssl_host,
    .codes = codes,
    .begin = proxy_begin,
    .end = proxy_end,
};


ngx_int_t
stream_ssl_watch(ngx_conf_t *cf, const stream_conf_t *conf)
{
    const ngx_stream_ssl_conf_t *ssl =
        ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_ssl_module);
    const stream_proxy_conf_t *proxy =
        ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_proxy_module);
    const ngx_uint_t all = resolua_ssl_codes_phases(&conf->ssl);
    const ngx_uint_t server = all & RESOLUA_SSL_SERVER_PHASES;
    const ngx_uint_t upstream = all & RESOLUA_SSL_PROXY_PHASES;
    if (server != 0 && ssl->ssl.ctx != NULL &&
        resolua_ssl_watch(ssl->ssl.ctx, &server_host, server) != NGX_OK) {
        return NGX_ERROR;
    }
    if (upstream != 0 && proxy->ssl != NULL && proxy->ssl->ctx != NULL &&
        resolua_ssl_watch(proxy->ssl->ctx, &proxy_host, upstream) != NGX_OK) {
        return NGX_ERROR;
    }
    return NGX_OK;
}
