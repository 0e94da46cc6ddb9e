#include "stream/balancer.h"

#include "runtime/balancer.h"
#include "stream/context.h"
#include "stream/proxy.h"

typedef struct {
    resolua_balancer_t base;
    ngx_stream_session_t *session;
    resolua_code_t *code;
    unsigned has_own_conf : 1; /* of timeouts */
} stream_balancer_t;


static ngx_uint_t
max_tries(const resolua_balancer_t *b)
{
    const stream_balancer_t *balancer = b->data;
    const stream_proxy_conf_t *conf = ngx_stream_get_module_srv_conf(
        balancer->session, ngx_stream_proxy_module);
    return conf->next_upstream_tries;
}


/* A copy of the proxy's configuration for this session alone. */
static stream_proxy_conf_t *
own_conf(stream_balancer_t *balancer)
{
    ngx_stream_session_t *s = balancer->session;
    const size_t size = ngx_stream_max_module * sizeof(void *);
    stream_proxy_conf_t *conf =
        ngx_stream_get_module_srv_conf(s, ngx_stream_proxy_module);
    if (balancer->has_own_conf) {
        return conf;
    }
    stream_proxy_conf_t *copy = ngx_palloc(balancer->base.pool, sizeof(*copy));
    void **all = ngx_palloc(balancer->base.pool, size);
    if (copy == NULL || all == NULL) {
        return NULL;
    }
    *copy = *conf;
    ngx_memcpy(all, s->srv_conf, size);
    all[ngx_stream_proxy_module.ctx_index] = copy;
    s->srv_conf = all;
    balancer->has_own_conf = 1;
    return copy;
}


/* stream has one timeout for both directions: the longer of the two. */
static ngx_int_t
set_timeouts(resolua_balancer_t *b, ngx_msec_t connect, ngx_msec_t send,
             ngx_msec_t read)
{
    stream_proxy_conf_t *conf = own_conf(b->data);
    if (conf == NULL) {
        return NGX_ERROR;
    }
    if (connect > 0) {
        conf->connect_timeout = connect;
    }
    if (send > 0 || read > 0) {
        conf->timeout = ngx_max(send, read);
    }
    return NGX_OK;
}


static void
set_host(resolua_balancer_t *b, const ngx_str_t *name)
{
    const stream_balancer_t *balancer = b->data;
    balancer->session->upstream->ssl_name = *name;
}

static const resolua_balancer_host_t host = {
    .max_tries = max_tries,
    .set_timeouts = set_timeouts,
    .set_host = set_host,
};


static ngx_int_t
get_peer(ngx_peer_connection_t *pc, void *data)
{
    resolua_balancer_t *b = data;
    const stream_balancer_t *balancer = b->data;
    stream_context_t *context = stream_context(balancer->session);
    (void) pc;
    if (context == NULL) {
        return NGX_ERROR;
    }
    const ngx_int_t rc =
        resolua_balancer_run(b, &context->request, balancer->code);
    return rc > 0 ? NGX_ERROR : rc;
}


static ngx_int_t
init_peer(ngx_stream_session_t *s, ngx_stream_upstream_srv_conf_t *uscf)
{
    ngx_pool_t *pool = s->connection->pool;
    stream_balancer_t *balancer = ngx_pcalloc(pool, sizeof(*balancer));
    if (balancer == NULL ||
        ngx_stream_upstream_init_round_robin_peer(s, uscf) != NGX_OK) {
        return NGX_ERROR;
    }
    ngx_peer_connection_t *pc = &s->upstream->peer;
    const stream_conf_t *conf =
        ngx_stream_conf_upstream_srv_conf(uscf, ngx_stream_resolua_module);
    balancer->session = s;
    balancer->code = conf->balancer;
    resolua_balancer_init(&balancer->base, &host, balancer, pc, pool);
    pc->get = get_peer;
    return NGX_OK;
}


static ngx_int_t
init_upstream(ngx_conf_t *cf, ngx_stream_upstream_srv_conf_t *uscf)
{
    if (ngx_stream_upstream_init_round_robin(cf, uscf) != NGX_OK) {
        return NGX_ERROR;
    }
    uscf->peer.init = init_peer;
    return NGX_OK;
}


char *
balancer_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_stream_upstream_srv_conf_t *uscf =
        ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_upstream_module);
    if (uscf->peer.init_upstream != NULL) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "load balancing method redefined");
    }
    uscf->peer.init_upstream = init_upstream;
    uscf->flags = NGX_STREAM_UPSTREAM_CREATE | NGX_STREAM_UPSTREAM_WEIGHT |
                  NGX_STREAM_UPSTREAM_MAX_CONNS |
                  NGX_STREAM_UPSTREAM_MAX_FAILS |
                  NGX_STREAM_UPSTREAM_FAIL_TIMEOUT | NGX_STREAM_UPSTREAM_DOWN |
                  NGX_STREAM_UPSTREAM_BACKUP;
    return resolua_conf_code(cf, cmd, conf);
}
