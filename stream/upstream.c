/* stream's part of ngx.upstream. */

#include "runtime/upstream.h"

#include "runtime/vm.h"
#include "stream/balancer.h"
#include "stream/context.h"

#define OF(name) ngx_stream_upstream_##name
#define MAIN_CONF                                                              \
    ngx_stream_cycle_get_module_main_conf(resolua_vm_cycle,                    \
                                          ngx_stream_upstream_module)

#include "runtime/upstream_of.h"

static ngx_uint_t
current(const resolua_request_t *r, ngx_str_t *name)
{
    if (r->host->connection == NULL) { /* in a TLS handshake of the client's */
        return 0;
    }
    const stream_context_t *context = r->data;
    const ngx_stream_upstream_t *u = context->session->upstream;
    if (u == NULL || (u->upstream == NULL && u->resolved == NULL)) {
        return 0;
    }
    *name = u->upstream != NULL ? u->upstream->host : u->resolved->host;
    return 1;
}

static const resolua_upstreams_t upstreams = {
    .subsystem = "stream",
    .count = upstream_count,
    .name = upstream_name,
    .server = upstream_server,
    .peer = upstream_peer,
    .set_down = upstream_set_down,
    .current = current,
};


void
stream_upstream_register(void)
{
    resolua_upstreams_register(&upstreams);
}
