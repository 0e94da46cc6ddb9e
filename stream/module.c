/* The stream module: directives and what they set up. */

#include "runtime/vm.h"
#include "server/explain.h"
#include "server/statistics.h"
#include "stream/access.h"
#include "stream/balancer.h"
#include "stream/lane.h"
#include "stream/phases.h"
#include "stream/request_socket.h"
#include "stream/serve.h"
#include "stream/socket_filter.h"
#include "stream/ssl.h"
#include "stream/stock.h"
#include "stream/tls.h"
#include "stream/variable.h"

static void *
create_main_conf(ngx_conf_t *cf)
{
    stream_main_conf_t *conf = ngx_pcalloc(cf->pool, sizeof(*conf));
    if (conf != NULL) {
        conf->preread_no_postpone = NGX_CONF_UNSET;
    }
    return conf;
}


static void *
create_srv_conf(ngx_conf_t *cf)
{
    stream_conf_t *conf = ngx_pcalloc(cf->pool, sizeof(*conf));
    if (conf == NULL) {
        return NULL;
    }
    conf->serve = NGX_CONF_UNSET;
    conf->express = NGX_CONF_UNSET;
    dns_server_conf_init(&conf->dns);
    resolua_socket_conf_init(&conf->sockets);
    conf->check_client_abort = NGX_CONF_UNSET;
    conf->code_cache = NGX_CONF_UNSET;
    conf->tcp_idle_timeout = NGX_CONF_UNSET_MSEC;
    conf->tcp_read_timeout = NGX_CONF_UNSET_MSEC;
    conf->tcp_send_timeout = NGX_CONF_UNSET_MSEC;
    conf->tls_handshake_timeout = NGX_CONF_UNSET_MSEC;
    conf->tcp_max_connections = NGX_CONF_UNSET;
    conf->tcp_max_per_client = NGX_CONF_UNSET;
    conf->preread = NGX_CONF_UNSET_PTR;
    conf->access = NGX_CONF_UNSET_PTR;
    conf->content = NGX_CONF_UNSET_PTR;
    conf->log = NGX_CONF_UNSET_PTR;
    resolua_ssl_codes_init(&conf->ssl);
    return conf;
}


static char *
merge_srv_conf(ngx_conf_t *cf, void *outer, void *inner)
{
    enum {
        IDLE_TIMEOUT = 10000, /* ms, RFC 7766 section 6.2.3: a few seconds */
        READ_TIMEOUT = 5000,
        SEND_TIMEOUT = 10000,
        HANDSHAKE_TIMEOUT = 5000,
        CONNECTIONS = 2000,
        PER_CLIENT = 200,
    };
    const stream_conf_t *prev = outer;
    stream_conf_t *conf = inner;
    const ngx_stream_core_srv_conf_t *core =
        ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_core_module);
    resolua_socket_conf_merge(&conf->sockets, &prev->sockets);
    if (resolua_socket_ssl_merge(cf, &conf->sockets, &prev->sockets) !=
        NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }
    conf->sockets.resolver = core->resolver;
    conf->sockets.resolver_timeout = core->resolver_timeout;
    ngx_conf_merge_value(conf->serve, prev->serve, 0);
    ngx_conf_merge_value(conf->express, prev->express, 1);
    dns_server_conf_merge(&conf->dns, &prev->dns);
    ngx_conf_merge_value(conf->check_client_abort, prev->check_client_abort, 0);
    ngx_conf_merge_value(conf->code_cache, prev->code_cache,
                         resolua_core_conf(cf->cycle)->code_cache);
    ngx_conf_merge_msec_value(conf->tcp_idle_timeout, prev->tcp_idle_timeout,
                              IDLE_TIMEOUT);
    ngx_conf_merge_msec_value(conf->tcp_read_timeout, prev->tcp_read_timeout,
                              READ_TIMEOUT);
    ngx_conf_merge_msec_value(conf->tcp_send_timeout, prev->tcp_send_timeout,
                              SEND_TIMEOUT);
    ngx_conf_merge_msec_value(conf->tls_handshake_timeout,
                              prev->tls_handshake_timeout, HANDSHAKE_TIMEOUT);
    ngx_conf_merge_value(conf->tcp_max_connections, prev->tcp_max_connections,
                         CONNECTIONS);
    ngx_conf_merge_value(conf->tcp_max_per_client, prev->tcp_max_per_client,
                         PER_CLIENT);
    ngx_conf_merge_ptr_value(conf->preread, prev->preread, NULL);
    ngx_conf_merge_ptr_value(conf->access, prev->access, NULL);
    ngx_conf_merge_ptr_value(conf->content, prev->content, NULL);
    ngx_conf_merge_ptr_value(conf->log, prev->log, NULL);
    resolua_ssl_codes_merge(&conf->ssl, &prev->ssl);
    if ((conf->preread != NULL || conf->access != NULL ||
         conf->content != NULL) &&
        tls_prepare(cf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }
    return stream_ssl_watch(cf, conf) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* dns_serve on | off */
static char *
set_serve(ngx_conf_t *cf, ngx_command_t *cmd, void *data)
{
    stream_conf_t *conf = data;
    ngx_stream_core_srv_conf_t *core =
        ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_core_module);
    char *rc = ngx_conf_set_flag_slot(cf, cmd, data);
    if (rc != NGX_CONF_OK || !conf->serve) {
        return rc;
    }
    core->handler = serve_content;
    return dns_statistics_conf(cf) == NGX_OK &&
                   dns_explain_add_server(cf, &conf->dns) == NGX_OK
               ? NGX_CONF_OK
               : NGX_CONF_ERROR;
}


/* content_by_lua* */
static char *
set_content(ngx_conf_t *cf, ngx_command_t *cmd, void *data)
{
    ngx_stream_core_srv_conf_t *core =
        ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_core_module);
    core->handler = phases_content;
    return stream_code_conf(cf, cmd, data);
}


void *
stream_stock_conf(const ngx_conf_t *cf, const ngx_stream_conf_ctx_t *ctx,
                  const char *name)
{
    for (ngx_uint_t i = 0; cf->cycle->modules[i] != NULL; i++) {
        const ngx_module_t *module = cf->cycle->modules[i];
        if (module->type == NGX_STREAM_MODULE &&
            ngx_strcmp(module->name, name) == 0) {
            return ctx->srv_conf[module->ctx_index];
        }
    }
    return NULL;
}


/* The stock modules that have to see a query as a session.  Their structures
   are their own; of each the first members are enough. */
static ngx_uint_t
needs_sessions(const ngx_conf_t *cf, const ngx_stream_conf_ctx_t *ctx)
{
    struct log_conf {
        ngx_array_t *logs;
        void *cache;
        time_t valid;
        ngx_uint_t min_uses;
        ngx_uint_t off;
    };
    const ngx_array_t *limits =
        stream_stock_conf(cf, ctx, "ngx_stream_limit_conn_module");
    const struct log_conf *log =
        stream_stock_conf(cf, ctx, "ngx_stream_log_module");
    return stream_access_rules(cf, ctx) != NULL ||
           (limits != NULL && limits->elts != NULL) ||
           (log != NULL && log->logs != NULL && !log->off);
}


static ngx_int_t
postconfiguration(ngx_conf_t *cf)
{
    const ngx_stream_core_main_conf_t *core =
        ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);
    const stream_main_conf_t *main_conf =
        ngx_stream_conf_get_module_main_conf(cf, ngx_stream_resolua_module);
    const stream_conf_t *outermost =
        ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_resolua_module);
    const ngx_stream_core_srv_conf_t *core_outermost =
        ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_core_module);
    ngx_stream_core_srv_conf_t **servers = core->servers.elts;
    if (resolua_socket_conf_outermost(
            cf, &outermost->sockets, core_outermost->resolver,
            core_outermost->resolver_timeout) != NGX_CONF_OK) {
        return NGX_ERROR;
    }
    for (ngx_uint_t i = 0; i < core->servers.nelts; i++) {
        const ngx_stream_conf_ctx_t *ctx = servers[i]->ctx;
        stream_conf_t *conf =
            ctx->srv_conf[ngx_stream_resolua_module.ctx_index];
        if (conf->serve) {
            tls_conf(ctx);
            conf->dns.rules = stream_access_rules(cf, ctx);
            conf->dns.allows =
                conf->dns.rules != NULL ? stream_access_allows : NULL;
        }
        conf->is_express = conf->serve && conf->express &&
                           conf->preread == NULL && conf->access == NULL &&
                           conf->log == NULL && !needs_sessions(cf, ctx);
    }
    return phases_postconfiguration(cf, main_conf->preread_no_postpone == 1);
}


static ngx_int_t
preconfiguration(ngx_conf_t *cf)
{
    (void) cf;
    stream_upstream_register();
    return resolua_vm_add_setup(request_socket_setup);
}


#define SRV (NGX_STREAM_MAIN_CONF | NGX_STREAM_SRV_CONF)

static ngx_command_t commands[] = {
    {ngx_string("dns_serve"), NGX_STREAM_SRV_CONF | NGX_CONF_FLAG, set_serve,
     NGX_STREAM_SRV_CONF_OFFSET, offsetof(stream_conf_t, serve), NULL},
    {ngx_string("dns_express"), SRV | NGX_CONF_FLAG, ngx_conf_set_flag_slot,
     NGX_STREAM_SRV_CONF_OFFSET, offsetof(stream_conf_t, express), NULL},
    {ngx_string("dns_tcp_idle_timeout"), SRV | NGX_CONF_TAKE1,
     ngx_conf_set_msec_slot, NGX_STREAM_SRV_CONF_OFFSET,
     offsetof(stream_conf_t, tcp_idle_timeout), NULL},
    {ngx_string("dns_tcp_read_timeout"), SRV | NGX_CONF_TAKE1,
     ngx_conf_set_msec_slot, NGX_STREAM_SRV_CONF_OFFSET,
     offsetof(stream_conf_t, tcp_read_timeout), NULL},
    {ngx_string("dns_tcp_send_timeout"), SRV | NGX_CONF_TAKE1,
     ngx_conf_set_msec_slot, NGX_STREAM_SRV_CONF_OFFSET,
     offsetof(stream_conf_t, tcp_send_timeout), NULL},
    {ngx_string("dns_tls_handshake_timeout"), SRV | NGX_CONF_TAKE1,
     ngx_conf_set_msec_slot, NGX_STREAM_SRV_CONF_OFFSET,
     offsetof(stream_conf_t, tls_handshake_timeout), NULL},
    {ngx_string("dns_tcp_max_connections"), SRV | NGX_CONF_TAKE1,
     ngx_conf_set_num_slot, NGX_STREAM_SRV_CONF_OFFSET,
     offsetof(stream_conf_t, tcp_max_connections), NULL},
    {ngx_string("dns_tcp_max_per_client"), SRV | NGX_CONF_TAKE1,
     ngx_conf_set_num_slot, NGX_STREAM_SRV_CONF_OFFSET,
     offsetof(stream_conf_t, tcp_max_per_client), NULL},
    DNS_SERVER_COMMANDS(SRV, NGX_STREAM_SRV_CONF_OFFSET,
                        offsetof(stream_conf_t, dns)),
    RESOLUA_SOCKET_COMMANDS(SRV, NGX_STREAM_SRV_CONF_OFFSET,
                            offsetof(stream_conf_t, sockets)),
    RESOLUA_CODE_COMMANDS("preread", SRV, stream_code_conf,
                          NGX_STREAM_SRV_CONF_OFFSET,
                          offsetof(stream_conf_t, preread)),
    RESOLUA_CODE_COMMANDS("access", SRV, stream_code_conf,
                          NGX_STREAM_SRV_CONF_OFFSET,
                          offsetof(stream_conf_t, access)),
    RESOLUA_CODE_COMMANDS("content", NGX_STREAM_SRV_CONF, set_content,
                          NGX_STREAM_SRV_CONF_OFFSET,
                          offsetof(stream_conf_t, content)),
    RESOLUA_CODE_COMMANDS("log", SRV, stream_code_conf,
                          NGX_STREAM_SRV_CONF_OFFSET,
                          offsetof(stream_conf_t, log)),
    RESOLUA_CODE_COMMANDS("balancer", NGX_STREAM_UPS_CONF, balancer_conf,
                          NGX_STREAM_SRV_CONF_OFFSET,
                          offsetof(stream_conf_t, balancer)),
    RESOLUA_SSL_SERVER_COMMANDS(SRV, NGX_STREAM_SRV_CONF_OFFSET,
                                offsetof(stream_conf_t, ssl)),
    RESOLUA_SSL_PROXY_COMMANDS(SRV, NGX_STREAM_SRV_CONF_OFFSET,
                               offsetof(stream_conf_t, ssl)),
    {ngx_string("preread_by_lua_no_postpone"),
     NGX_STREAM_MAIN_CONF | NGX_CONF_FLAG, ngx_conf_set_flag_slot,
     NGX_STREAM_MAIN_CONF_OFFSET,
     offsetof(stream_main_conf_t, preread_no_postpone), NULL},
    {ngx_string("lua_check_client_abort"), SRV | NGX_CONF_FLAG,
     ngx_conf_set_flag_slot, NGX_STREAM_SRV_CONF_OFFSET,
     offsetof(stream_conf_t, check_client_abort), NULL},
    {ngx_string("lua_code_cache"), NGX_STREAM_SRV_CONF | NGX_CONF_FLAG,
     ngx_conf_set_flag_slot, NGX_STREAM_SRV_CONF_OFFSET,
     offsetof(stream_conf_t, code_cache), &resolua_conf_code_cache_post},
    {ngx_string("lua_add_variable"), NGX_STREAM_MAIN_CONF | NGX_CONF_TAKE1,
     variable_add, 0, 0, NULL},
    RESOLUA_VM_COMMANDS(NGX_STREAM_MAIN_CONF),
    ngx_null_command,
};

static ngx_int_t
init_module(ngx_cycle_t *cycle)
{
    phases_init_module(cycle);
    return lane_init_module(cycle);
}


static void
exit_process(ngx_cycle_t *cycle)
{
    (void) cycle;
    socket_filter_close();
}


static ngx_stream_module_t module_ctx = {
    preconfiguration, postconfiguration, create_main_conf, NULL,
    create_srv_conf,  merge_srv_conf,
};

ngx_module_t ngx_stream_resolua_module = {
    NGX_MODULE_V1,     &module_ctx, commands,
    NGX_STREAM_MODULE, NULL,        init_module,
    lane_init_process, NULL,        NULL,
    exit_process,      NULL,        NGX_MODULE_V1_PADDING,
};
