#include "http/private/ctx.h"

#include "http/private/api.h"
#include "http/private/control.h"
#include "http/private/output.h"
#include "http/private/phases.h"
#include "runtime/ssl.h"

static ngx_connection_t *
client_connection(const resolua_request_t *base)
{
    const http_ctx_t *ctx = base->data;
    return ctx->request->connection;
}

static void *
nginx_request(const resolua_request_t *base)
{
    const http_ctx_t *ctx = base->data;
    return ctx->request;
}


static ngx_connection_t *
upstream_connection(const resolua_request_t *base)
{
    const http_ctx_t *ctx = base->data;
    const ngx_http_upstream_t *u = ctx->request->upstream;
    return u != NULL ? u->peer.connection : NULL;
}

const resolua_host_t http_host = {
    .subsystem = "http",
    .print = http_print,
    .say = http_say,
    .flush = http_flush,
    .eof = http_eof,
    .var_get = http_var_get,
    .variable = http_var_find,
    .var_set = http_var_set,
    .connection = client_connection,
    .nginx = nginx_request,
    .upstream = upstream_connection,
    .index = http_field_get,
    .newindex = http_field_set,
    .req_socket = http_req_socket,
    .watches_client = http_control_watches,
    .resumed = http_phase_resumed,
    .settle = http_phase_settle,
};

const resolua_host_t http_proxy_ssl_host = {
    .subsystem = "http",
    .var_get = http_var_get,
    .variable = http_var_find,
    .var_set = http_var_set,
    .connection = client_connection,
    .nginx = nginx_request,
    .upstream = upstream_connection,
    .index = http_field_get,
    .newindex = http_field_set,
    .resumed = resolua_ssl_resumed,
};


/* The request is over: nothing of it runs on. */
static void
abort_run(void *data)
{
    http_ctx_t *ctx = data;
    ctx->asleep = 0;
    resolua_run_abort(&ctx->base);
}


static void
end_request(void *data)
{
    http_ctx_t *ctx = data;
    resolua_request_end(&ctx->base);
}


http_ctx_t *
http_ctx(ngx_http_request_t *r)
{
    http_ctx_t *ctx = http_ctx_find(r);
    if (ctx != NULL) {
        return ctx;
    }
    ctx = ngx_pcalloc(r->pool, sizeof(*ctx));
    ngx_http_cleanup_t *over = ngx_http_cleanup_add(r, 0);
    ngx_pool_cleanup_t *gone = ngx_pool_cleanup_add(r->pool, 0);
    if (ctx == NULL || over == NULL || gone == NULL) {
        return NULL;
    }
    resolua_request_init(&ctx->base, &http_host, ctx, r->pool,
                         r->connection->log);
    ctx->base.owner = r->connection;
    ctx->base.sockets = &http_loc_conf(r)->sockets;
    ctx->request = r;
    ctx->output.end = &ctx->output.first;
    ngx_queue_init(&ctx->captured);
    ngx_queue_init(&ctx->output.waiters);
    ngx_queue_init(&ctx->output.idle);
    over->handler = abort_run;
    over->data = ctx;
    gone->handler = end_request;
    gone->data = ctx;
    ngx_http_set_ctx(r, ctx, ngx_http_resolua_module);
    return ctx;
}


http_ctx_t *
http_lua_ctx(lua_State *L, ngx_uint_t allowed)
{
    resolua_request_t *base = resolua_request(L);
    const int is_http =
        base->host == &http_host || base->host == &http_proxy_ssl_host;
    if (!is_http || (base->phase & allowed) == 0) {
        resolua_check_phase(L, is_http ? allowed : 0);
    }
    return base->data;
}


u_char *
http_lua_copy(lua_State *L, ngx_http_request_t *r, const char *text,
              size_t size)
{
    u_char *copy = ngx_pnalloc(r->pool, size + 1);
    if (copy == NULL) {
        luaL_error(L, "no memory");
        return NULL;
    }
    ngx_memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}
