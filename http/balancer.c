/* balancer_by_lua*: the chunk picks the peers of upstream {}, for nginx's
   proxy, fastcgi, grpc and so on. */

#include "http/private/balancer.h"

#include "http/private/api.h"

enum { KEPT_MAX = 30 }; /* idle connections, unless balancer_keepalive says */

typedef struct {
    resolua_balancer_t base;
    ngx_http_request_t *request;
    http_srv_conf_t *conf; /* of upstream {} */
    ngx_event_t end;       /* ends the request with status */
    ngx_int_t status;
    ngx_str_t ssl_name;            /* where the chunk gives none */
    http_kept_key_t key;           /* of the attempt's connection */
    http_kept_connection_t *taken; /* NULL: it is a new one */
    unsigned has_own_conf : 1;     /* of timeouts */
} http_balancer_t;


static ngx_uint_t
max_tries(const resolua_balancer_t *b)
{
    const http_balancer_t *balancer = b->data;
    return balancer->request->upstream->conf->next_upstream_tries;
}


/* The last state is the current attempt's. */
static ngx_uint_t
last_status(const resolua_balancer_t *b)
{
    const http_balancer_t *balancer = b->data;
    const ngx_array_t *states = balancer->request->upstream_states;
    const ngx_http_upstream_state_t *state = states->elts;
    return states->nelts < 2 ? 0 : state[states->nelts - 2].status;
}


/* The configuration is the location's; this request gets its own copy. */
static ngx_int_t
set_timeouts(resolua_balancer_t *b, ngx_msec_t connect, ngx_msec_t send,
             ngx_msec_t read)
{
    http_balancer_t *balancer = b->data;
    ngx_http_upstream_t *u = balancer->request->upstream;
    if (!balancer->has_own_conf) {
        ngx_http_upstream_conf_t *copy = ngx_palloc(b->pool, sizeof(*copy));
        if (copy == NULL) {
            return NGX_ERROR;
        }
        *copy = *u->conf;
        u->conf = copy;
        balancer->has_own_conf = 1;
    }
    if (connect > 0) {
        u->conf->connect_timeout = connect;
    }
    if (send > 0) {
        u->conf->send_timeout = send;
    }
    if (read > 0) {
        u->conf->read_timeout = read;
    }
    return NGX_OK;
}


static const char *
recreate(resolua_balancer_t *b)
{
    const http_balancer_t *balancer = b->data;
    ngx_http_request_t *r = balancer->request;
    ngx_http_upstream_t *u = r->upstream;
    if (r->request_body_no_buffering) {
        return "the request's body is not buffered";
    }
    u->request_bufs = r->request_body != NULL ? r->request_body->bufs : NULL;
    return u->create_request(r) == NGX_OK ? NULL
                                          : "the request cannot be made again";
}


static void
set_host(resolua_balancer_t *b, const ngx_str_t *host)
{
    const http_balancer_t *balancer = b->data;
    balancer->request->upstream->ssl_name = *host;
}

static const resolua_balancer_host_t host = {
    .max_tries = max_tries,
    .last_status = last_status,
    .set_timeouts = set_timeouts,
    .recreate = recreate,
    .set_host = set_host,
    .keeps_connections = 1,
};


/* Lets go of the upstream by its own clean-up handler, which takes one of the
   request's counts, then ends the request. */
static void
on_end(ngx_event_t *ev)
{
    http_balancer_t *balancer = ev->data;
    ngx_http_request_t *r = balancer->request;
    ngx_connection_t *c = r->connection;
    ngx_http_upstream_t *u = r->upstream;
    if (u->cleanup != NULL) {
        r->main->count++;
        (*u->cleanup)(r);
    }
    ngx_http_finalize_request(r, balancer->status);
    ngx_http_run_posted_requests(c);
}


static void
drop_end(void *data)
{
    http_balancer_t *balancer = data;
    if (balancer->end.posted) {
        ngx_delete_posted_event(&balancer->end);
    }
}


/* nginx knows only 500 and 502 for a peer that was not found.  For another
   status the request seems to connect, till an event ends it. */
static ngx_int_t
end_with(http_balancer_t *balancer, ngx_peer_connection_t *pc, ngx_int_t status)
{
    const ngx_socket_t fd = ngx_socket(AF_INET, SOCK_STREAM, 0);
    if (fd == (ngx_socket_t) -1) {
        return NGX_ERROR;
    }
    ngx_pool_cleanup_t *cleanup =
        ngx_pool_cleanup_add(balancer->request->pool, 0);
    ngx_connection_t *c =
        cleanup != NULL ? ngx_get_connection(fd, pc->log) : NULL;
    if (c == NULL) {
        (void) ngx_close_socket(fd);
        return NGX_ERROR;
    }
    cleanup->handler = drop_end;
    cleanup->data = balancer;
    pc->connection = c;
    balancer->status = status;
    balancer->end.handler = on_end;
    balancer->end.data = balancer;
    balancer->end.log = pc->log;
    ngx_post_event(&balancer->end, &ngx_posted_events);
    return NGX_AGAIN;
}


/* The name that nginx will use in TLS, and the client's certificate if that
   goes by variables too. */
static ngx_int_t
find_tls_name(ngx_http_request_t *r, ngx_str_t *name)
{
    const ngx_http_upstream_t *u = r->upstream;
    ngx_http_complex_value_t *certificate = u->conf->ssl_certificate;
    ngx_str_t shown;
    *name = u->ssl_name;
    if (u->conf->ssl_name != NULL &&
        ngx_http_complex_value(r, u->conf->ssl_name, name) != NGX_OK) {
        return NGX_ERROR;
    }
    if (certificate == NULL || certificate->lengths == NULL) {
        return NGX_OK;
    }
    if (ngx_http_complex_value(r, certificate, &shown) != NGX_OK) {
        return NGX_ERROR;
    }
    u_char *both = ngx_pnalloc(r->pool, name->len + 1 + shown.len);
    if (both == NULL) {
        return NGX_ERROR;
    }
    u_char *end = ngx_cpymem(both, name->data, name->len);
    *end++ = '\0';
    name->len = (size_t) (ngx_cpymem(end, shown.data, shown.len) - both);
    name->data = both;
    return NGX_OK;
}


/* A connection that was verified, or for which a certificate was shown, is for
   the locations with the same settings alone. */
static const void *
tls_of(ngx_http_request_t *r)
{
    static const char any;
    const ngx_http_upstream_conf_t *conf = r->upstream->conf;
    const resolua_ssl_codes_t *codes = &http_loc_conf(r)->ssl;
    return conf->ssl_verify || conf->ssl_certificate != NULL ||
                   codes->proxy_certificate != NULL ||
                   codes->proxy_verify != NULL
               ? (const void *) conf->ssl
               : &any;
}


static ngx_int_t
make_key(http_balancer_t *balancer)
{
    const resolua_balancer_t *b = &balancer->base;
    const ngx_http_upstream_t *u = balancer->request->upstream;
    const ngx_addr_t *local = b->pc->local;
    balancer->key = (http_kept_key_t){
        .protocol = u->create_request,
        .name = b->peer_host,
        .sockaddr = b->sockaddr,
        .socklen = b->socklen,
        .local = local != NULL ? local->sockaddr : NULL,
        .local_size = local != NULL ? local->socklen : 0,
        .is_transparent = b->pc->transparent,
    };
    if (!u->ssl) {
        return NGX_OK;
    }
    balancer->key.ssl = tls_of(balancer->request);
    balancer->key.sends_name = u->conf->ssl_server_name;
    return find_tls_name(balancer->request, &balancer->key.name);
}


static ngx_int_t
get_peer(ngx_peer_connection_t *pc, void *data)
{
    resolua_balancer_t *b = data;
    http_balancer_t *balancer = b->data;
    http_ctx_t *ctx = http_ctx(balancer->request);
    if (ctx == NULL) {
        return NGX_ERROR;
    }
    balancer->taken = NULL;
    balancer->request->upstream->ssl_name = balancer->ssl_name;
    const ngx_int_t rc =
        resolua_balancer_run(b, &ctx->base, balancer->conf->balancer);
    if (rc > 0) {
        return end_with(balancer, pc, rc);
    }
    if (rc != NGX_OK || !b->keeps) {
        return rc;
    }
    return make_key(balancer) == NGX_OK
               ? http_kept_take(&balancer->conf->kept, b, &balancer->key,
                                &balancer->taken)
               : NGX_ERROR;
}


static void
free_peer(ngx_peer_connection_t *pc, void *data, ngx_uint_t state)
{
    resolua_balancer_t *b = data;
    const http_balancer_t *balancer = b->data;
    if (b->keeps && b->sockaddr != NULL && balancer->conf->kept.max > 0 &&
        http_kept_is_in_order(b, balancer->request->upstream, state)) {
        http_kept_put(&balancer->conf->kept, b, &balancer->key,
                      balancer->taken);
    }
    resolua_balancer_free(pc, data, state);
}


static ngx_int_t
init_peer(ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *uscf)
{
    http_balancer_t *balancer = ngx_pcalloc(r->pool, sizeof(*balancer));
    if (balancer == NULL ||
        ngx_http_upstream_init_round_robin_peer(r, uscf) != NGX_OK) {
        return NGX_ERROR;
    }
    ngx_peer_connection_t *pc = &r->upstream->peer;
    balancer->request = r;
    balancer->ssl_name = r->upstream->ssl_name;
    balancer->conf =
        ngx_http_conf_upstream_srv_conf(uscf, ngx_http_resolua_module);
    resolua_balancer_init(&balancer->base, &host, balancer, pc, r->pool);
    pc->get = get_peer;
    pc->free = free_peer;
    return NGX_OK;
}


static ngx_int_t
init_upstream(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *uscf)
{
    http_srv_conf_t *conf =
        ngx_http_conf_upstream_srv_conf(uscf, ngx_http_resolua_module);
    ngx_queue_init(&conf->kept.idle);
    ngx_conf_init_uint_value(conf->kept.max, KEPT_MAX);
    if (ngx_http_upstream_init_round_robin(cf, uscf) != NGX_OK) {
        return NGX_ERROR;
    }
    uscf->peer.init = init_peer;
    return NGX_OK;
}


char *
http_balancer_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_upstream_srv_conf_t *uscf =
        ngx_http_conf_get_module_srv_conf(cf, ngx_http_upstream_module);
    if (uscf->peer.init_upstream != NULL) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "load balancing method redefined");
    }
    uscf->peer.init_upstream = init_upstream;
    uscf->flags = NGX_HTTP_UPSTREAM_CREATE | NGX_HTTP_UPSTREAM_WEIGHT |
                  NGX_HTTP_UPSTREAM_MAX_FAILS | NGX_HTTP_UPSTREAM_FAIL_TIMEOUT |
                  NGX_HTTP_UPSTREAM_DOWN | NGX_HTTP_UPSTREAM_BACKUP |
                  NGX_HTTP_UPSTREAM_MAX_CONNS;
    return resolua_conf_code(cf, cmd, conf);
}
