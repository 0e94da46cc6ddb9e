/* The directives of http {}, their configuration and its merging. */

#include "http/private/api.h"
#include "http/private/balancer.h"
#include "http/private/doh.h"
#include "http/private/phases.h"
#include "http/private/set.h"
#include "http/private/ssl.h"

#define MAIN     NGX_HTTP_MAIN_CONF
#define MAIN_SRV (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF)
#define LOC      (NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF)
#define ALL      (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | LOC)

#define REWRITE (NGX_HTTP_SRV_CONF | NGX_HTTP_SIF_CONF | LOC)

#define PHASE(bit) ((void *) (uintptr_t) (bit))

#define BLOCK_AND_FILE(name, where, set, conf, offset, phase)                  \
    {ngx_string(name "_by_lua_block"),                                         \
     (where) | NGX_CONF_BLOCK | NGX_CONF_NOARGS,                               \
     set,                                                                      \
     conf,                                                                     \
     offset,                                                                   \
     PHASE(phase)},                                                            \
    {                                                                          \
        ngx_string(name "_by_lua_file"), (where) | NGX_CONF_TAKE1, set, conf,  \
            offset, PHASE(phase)                                               \
    }

#define ALL_FORMS(name, where, set, conf, offset, phase)                       \
    BLOCK_AND_FILE(name, where, set, conf, offset, phase),                     \
    {                                                                          \
        ngx_string(name "_by_lua"), (where) | NGX_CONF_TAKE1, set, conf,       \
            offset, PHASE(phase)                                               \
    }

#define LOC_CODE(name, member, phase)                                          \
    ALL_FORMS(name, ALL, http_conf_code, NGX_HTTP_LOC_CONF_OFFSET,             \
              offsetof(http_loc_conf_t, member), phase)

#define LOC_FLAG(name, member)                                                 \
    {                                                                          \
        ngx_string(name), ALL | NGX_CONF_FLAG, ngx_conf_set_flag_slot,         \
            NGX_HTTP_LOC_CONF_OFFSET, offsetof(http_loc_conf_t, member), NULL  \
    }

#define MAIN_FLAG(name, member)                                                \
    {                                                                          \
        ngx_string(name), MAIN | NGX_CONF_FLAG, ngx_conf_set_flag_slot,        \
            NGX_HTTP_MAIN_CONF_OFFSET, offsetof(http_main_conf_t, member),     \
            NULL                                                               \
    }

static ngx_command_t commands[] = {
    RESOLUA_CODE_COMMANDS("init", MAIN, resolua_conf_init, 0, 0),
    RESOLUA_CODE_COMMANDS("init_worker", MAIN, resolua_conf_init, 0, 0),
    RESOLUA_CODE_COMMANDS("exit_worker", MAIN, resolua_conf_init, 0, 0),
    {ngx_string("lua_package_path"), MAIN | NGX_CONF_TAKE1, resolua_conf_path,
     0, 0, NULL},
    {ngx_string("lua_shared_dict"), MAIN | NGX_CONF_TAKE2, resolua_conf_dict, 0,
     0, NULL},
    {ngx_string("lua_package_cpath"), MAIN | NGX_CONF_TAKE1, resolua_conf_path,
     0, 0, NULL},
    RESOLUA_NUMBER_COMMANDS(MAIN),
    BLOCK_AND_FILE(
        "server_rewrite", MAIN_SRV, http_conf_code, NGX_HTTP_SRV_CONF_OFFSET,
        offsetof(http_srv_conf_t, server_rewrite), RESOLUA_SERVER_REWRITE),
    {ngx_string("set_by_lua_block"), REWRITE | NGX_CONF_BLOCK | NGX_CONF_TAKE1,
     http_set, 0, 0, NULL},
    {ngx_string("set_by_lua_file"), REWRITE | NGX_CONF_2MORE, http_set, 0, 0,
     NULL},
    {ngx_string("set_by_lua"), REWRITE | NGX_CONF_2MORE, http_set, 0, 0, NULL},
    LOC_CODE("rewrite", rewrite, RESOLUA_REWRITE),
    LOC_CODE("access", access, RESOLUA_ACCESS),
    BLOCK_AND_FILE("precontent", ALL, http_conf_code, NGX_HTTP_LOC_CONF_OFFSET,
                   offsetof(http_loc_conf_t, precontent), RESOLUA_PRECONTENT),
    ALL_FORMS("content", LOC, http_conf_content, NGX_HTTP_LOC_CONF_OFFSET,
              offsetof(http_loc_conf_t, content), RESOLUA_CONTENT),
    LOC_CODE("header_filter", header_filter, RESOLUA_HEADER_FILTER),
    LOC_CODE("body_filter", body_filter, RESOLUA_BODY_FILTER),
    LOC_CODE("log", log, RESOLUA_LOG),
    RESOLUA_CODE_COMMANDS("balancer", NGX_HTTP_UPS_CONF, http_balancer_conf,
                          NGX_HTTP_SRV_CONF_OFFSET,
                          offsetof(http_srv_conf_t, balancer)),
    {ngx_string("balancer_keepalive"), NGX_HTTP_UPS_CONF | NGX_CONF_TAKE1,
     ngx_conf_set_num_slot, NGX_HTTP_SRV_CONF_OFFSET,
     offsetof(http_srv_conf_t, kept.max), NULL},
    RESOLUA_SSL_SERVER_COMMANDS(MAIN_SRV, NGX_HTTP_SRV_CONF_OFFSET,
                                offsetof(http_srv_conf_t, ssl)),
    RESOLUA_SSL_PROXY_COMMANDS(ALL, NGX_HTTP_LOC_CONF_OFFSET,
                               offsetof(http_loc_conf_t, ssl)),
    {ngx_string("lua_code_cache"), ALL | NGX_CONF_FLAG, ngx_conf_set_flag_slot,
     NGX_HTTP_LOC_CONF_OFFSET, offsetof(http_loc_conf_t, code_cache),
     &resolua_conf_code_cache_post},
    LOC_FLAG("lua_need_request_body", need_request_body),
    LOC_FLAG("lua_use_default_type", use_default_type),
    LOC_FLAG("lua_transform_underscores_in_response_headers",
             transform_underscores),
    LOC_FLAG("lua_http10_buffering", http10_buffering),
    LOC_FLAG("lua_check_client_abort", check_client_abort),
    {ngx_string("dns_over_https"), LOC | NGX_CONF_FLAG, doh_conf,
     NGX_HTTP_LOC_CONF_OFFSET, offsetof(http_loc_conf_t, dns_over_https), NULL},
    DNS_SERVER_COMMANDS(ALL, NGX_HTTP_LOC_CONF_OFFSET,
                        offsetof(http_loc_conf_t, dns)),
    RESOLUA_SOCKET_COMMANDS(ALL, NGX_HTTP_LOC_CONF_OFFSET,
                            offsetof(http_loc_conf_t, sockets)),
    MAIN_FLAG("rewrite_by_lua_no_postpone", rewrite_no_postpone),
    MAIN_FLAG("access_by_lua_no_postpone", access_no_postpone),
    MAIN_FLAG("precontent_by_lua_no_postpone", precontent_no_postpone),
    ngx_null_command,
};


/* Fills the ngx table, which stands on top of the stack. */
static void
setup(lua_State *L)
{
    http_guard_setup(L);
    http_control_setup(L);
    http_subrequest_setup(L);
    http_arg_setup(L);
    http_ndk_setup(L);
    http_resp_setup(L);
    http_response_setup(L);
    lua_getfield(L, -1, "req");
    http_req_setup(L);
    http_args_setup(L);
    http_headers_setup(L);
    http_body_setup(L);
    lua_pop(L, 1);
}


static ngx_int_t
preconfigure(ngx_conf_t *cf)
{
    (void) cf;
    http_upstream_register();
    return resolua_vm_add_setup(setup);
}


static void *
create_main_conf(ngx_conf_t *cf)
{
    http_main_conf_t *conf = ngx_pcalloc(cf->pool, sizeof(*conf));
    if (conf != NULL) {
        conf->rewrite_no_postpone = NGX_CONF_UNSET;
        conf->access_no_postpone = NGX_CONF_UNSET;
        conf->precontent_no_postpone = NGX_CONF_UNSET;
    }
    return conf;
}


static char *
init_main_conf(ngx_conf_t *cf, void *data)
{
    http_main_conf_t *conf = data;
    const http_loc_conf_t *outermost =
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_resolua_module);
    const ngx_http_core_loc_conf_t *clcf =
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    ngx_conf_init_value(conf->rewrite_no_postpone, 0);
    ngx_conf_init_value(conf->access_no_postpone, 0);
    ngx_conf_init_value(conf->precontent_no_postpone, 0);
    return resolua_socket_conf_outermost(
        cf, &outermost->sockets, clcf->resolver, clcf->resolver_timeout);
}


static void *
create_srv_conf(ngx_conf_t *cf)
{
    http_srv_conf_t *conf = ngx_pcalloc(cf->pool, sizeof(*conf));
    if (conf != NULL) {
        conf->kept.max = NGX_CONF_UNSET_UINT;
        resolua_ssl_codes_init(&conf->ssl);
    }
    return conf;
}


static void
inherit(http_code_t **code, http_code_t *from)
{
    if (*code == NULL) {
        *code = from;
    }
}


static char *
merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    const http_srv_conf_t *from = parent;
    http_srv_conf_t *conf = child;
    (void) cf;
    inherit(&conf->server_rewrite, from->server_rewrite);
    resolua_ssl_codes_merge(&conf->ssl, &from->ssl);
    return NGX_CONF_OK;
}


static void *
create_loc_conf(ngx_conf_t *cf)
{
    http_loc_conf_t *conf = ngx_pcalloc(cf->pool, sizeof(*conf));
    if (conf != NULL) {
        conf->code_cache = NGX_CONF_UNSET;
        conf->need_request_body = NGX_CONF_UNSET;
        conf->use_default_type = NGX_CONF_UNSET;
        conf->transform_underscores = NGX_CONF_UNSET;
        conf->http10_buffering = NGX_CONF_UNSET;
        conf->check_client_abort = NGX_CONF_UNSET;
        resolua_socket_conf_init(&conf->sockets);
        resolua_ssl_codes_init(&conf->ssl);
        conf->dns_over_https = NGX_CONF_UNSET;
        dns_server_conf_init(&conf->dns);
    }
    return conf;
}


/* The nameless location of an if goes on with the content handler of the
   location around it. */
static void
inherit_content(ngx_conf_t *cf, http_loc_conf_t *conf,
                const http_loc_conf_t *from)
{
    ngx_http_core_loc_conf_t *clcf =
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    if (clcf->noname && clcf->handler == NULL && from->content != NULL) {
        clcf->handler = http_content_handler;
        conf->content = from->content;
    }
}


static char *
merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    const http_loc_conf_t *from = parent;
    http_loc_conf_t *conf = child;
    inherit(&conf->rewrite, from->rewrite);
    inherit(&conf->access, from->access);
    inherit(&conf->precontent, from->precontent);
    inherit(&conf->header_filter, from->header_filter);
    inherit(&conf->body_filter, from->body_filter);
    inherit(&conf->log, from->log);
    inherit_content(cf, conf, from);
    resolua_ssl_codes_merge(&conf->ssl, &from->ssl);
    if (http_ssl_watch_proxy(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }
    ngx_conf_merge_value(conf->code_cache, from->code_cache,
                         resolua_core_conf(cf->cycle)->code_cache);
    ngx_conf_merge_value(conf->need_request_body, from->need_request_body, 0);
    ngx_conf_merge_value(conf->use_default_type, from->use_default_type, 1);
    ngx_conf_merge_value(conf->transform_underscores,
                         from->transform_underscores, 1);
    ngx_conf_merge_value(conf->http10_buffering, from->http10_buffering, 1);
    ngx_conf_merge_value(conf->check_client_abort, from->check_client_abort, 0);
    const ngx_http_core_loc_conf_t *clcf =
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    resolua_socket_conf_merge(&conf->sockets, &from->sockets);
    if (resolua_socket_ssl_merge(cf, &conf->sockets, &from->sockets) !=
        NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }
    dns_server_conf_merge(&conf->dns, &from->dns);
    ngx_conf_merge_value(conf->dns_over_https, from->dns_over_https, 0);
    conf->sockets.resolver = clcf->resolver;
    conf->sockets.resolver_timeout = clcf->resolver_timeout;
    return NGX_CONF_OK;
}

static ngx_http_module_t module_ctx = {
    preconfigure,    http_phases_init, create_main_conf, init_main_conf,
    create_srv_conf, merge_srv_conf,   create_loc_conf,  merge_loc_conf,
};

ngx_module_t ngx_http_resolua_module = {
    NGX_MODULE_V1, &module_ctx, commands, NGX_HTTP_MODULE,
    NULL,          NULL,        NULL,     NULL,
    NULL,          NULL,        NULL,     NGX_MODULE_V1_PADDING,
};
