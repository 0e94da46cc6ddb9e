#include "runtime/request.h"

#include <malloc.h>

#include "runtime/private/api.h"
#include "runtime/run.h"
#include "runtime/socket.h"
#include "runtime/vm.h"

enum { TRIM_AFTER = 1000 }; /* unless lua_malloc_trim says otherwise */

static ngx_uint_t trim_after = TRIM_AFTER;
static ngx_uint_t ended_count;

static const char *const names[] = {
    "init",
    "init_worker",
    "exit_worker",
    "timer",
    "set",
    "server_rewrite",
    "rewrite",
    "access",
    "precontent",
    "content",
    "header_filter",
    "body_filter",
    "log",
    "balancer",
    "preread",
    "ssl_cert",
    "ssl_session_fetch",
    "ssl_session_store",
    "ssl_client_hello",
    "proxy_ssl_cert",
    "proxy_ssl_verify",
    "dns_query",
    "dns_answer",
    "dns_log",
    "worker_thread",
};


const char *
resolua_phase_name(ngx_uint_t phase)
{
    for (ngx_uint_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (phase == (ngx_uint_t) 1 << i) {
            return names[i];
        }
    }
    return "unknown";
}


const char *
resolua_phase_directive(ngx_uint_t phase)
{
    static _Thread_local char text[64];
    const char *name = phase == RESOLUA_SSL_CERTIFICATE ? "ssl_certificate"
                       : phase == RESOLUA_PROXY_SSL_CERTIFICATE
                           ? "proxy_ssl_certificate"
                           : resolua_phase_name(phase);
    *ngx_snprintf((u_char *) text, sizeof(text) - 1, "%s_by_lua*", name) = 0;
    return text;
}


void
resolua_request_init(resolua_request_t *r, const resolua_host_t *host,
                     void *data, ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_memzero(r, sizeof(*r));
    r->host = host;
    r->data = data;
    r->pool = pool;
    r->log = log;
    r->ctx_ref = LUA_NOREF;
    r->globals_ref = LUA_NOREF;
    r->sockets = &resolua_socket_defaults;
    ngx_queue_init(&r->ready);
}


void
resolua_request_move_ctx(resolua_request_t *to, resolua_request_t *from)
{
    to->ctx_ref = from->ctx_ref;
    from->ctx_ref = LUA_NOREF;
}


void
resolua_request_forget_ctx(resolua_request_t *r)
{
    if (r->ctx_ref != LUA_NOREF && resolua_vm != NULL) {
        luaL_unref(resolua_vm, LUA_REGISTRYINDEX, r->ctx_ref);
        r->ctx_ref = LUA_NOREF;
    }
}


void
resolua_request_cleanup_link(resolua_request_t *r, resolua_cleanup_t *c)
{
    c->next = r->cleanups;
    c->link = &r->cleanups;
    if (c->next != NULL) {
        c->next->link = &c->next;
    }
    r->cleanups = c;
}


void
resolua_request_cleanup_remove(resolua_cleanup_t *c)
{
    *c->link = c->next;
    if (c->next != NULL) {
        c->next->link = c->link;
    }
}


void
resolua_request_trim(ngx_int_t requests)
{
    trim_after = requests < 0 ? TRIM_AFTER : (ngx_uint_t) requests;
}


/* What the allocator keeps for later goes back to the system now and then. */
static void
trim(void)
{
    if (trim_after > 0 && ++ended_count >= trim_after) {
        ended_count = 0;
        (void) malloc_trim(1);
    }
}


void
resolua_request_end(resolua_request_t *r)
{
    if (r->ended) {
        return;
    }
    r->ended = 1;
    trim();
    resolua_run_abort(r);
    while (r->cleanups != NULL) {
        resolua_cleanup_t *c = r->cleanups;
        resolua_request_cleanup_remove(c);
        c->handler(c->data);
    }
    resolua_request_forget_ctx(r);
    if (r->globals_ref != LUA_NOREF && resolua_vm != NULL) {
        luaL_unref(resolua_vm, LUA_REGISTRYINDEX, r->globals_ref);
    }
}
