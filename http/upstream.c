/* http's part of ngx.upstream. */

#include "runtime/upstream.h"

#include "http/private/api.h"

#define OF(name) ngx_http_upstream_##name
#define MAIN_CONF                                                              \
    ngx_http_cycle_get_module_main_conf(resolua_vm_cycle,                      \
                                        ngx_http_upstream_module)

#include "runtime/upstream_of.h"

static ngx_uint_t
current(const resolua_request_t *base, ngx_str_t *name)
{
    if (base->host != &http_host && base->host != &http_proxy_ssl_host) {
        return 0;
    }
    const http_ctx_t *ctx = base->data;
    const ngx_http_upstream_t *u = ctx->request->upstream;
    if (u == NULL || (u->upstream == NULL && u->resolved == NULL)) {
        return 0;
    }
    *name = u->upstream != NULL ? u->upstream->host : u->resolved->host;
    return 1;
}

static const resolua_upstreams_t upstreams = {
    .subsystem = "http",
    .count = upstream_count,
    .name = upstream_name,
    .server = upstream_server,
    .peer = upstream_peer,
    .set_down = upstream_set_down,
    .current = current,
};


void
http_upstream_register(void)
{
    resolua_upstreams_register(&upstreams);
}
