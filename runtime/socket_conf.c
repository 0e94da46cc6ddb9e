#include "runtime/socket.h"

#include "runtime/conf.h"

enum {
    TIMEOUT = 60000, /* ms */
    RESOLVER_TIMEOUT = 30000,
    POOL_SIZE = 30,
    BUFFER_SIZE = 4096 /* octets */
};

resolua_socket_conf_t resolua_socket_defaults;

static const resolua_socket_conf_t built_in = {
    .connect_timeout = TIMEOUT,
    .send_timeout = TIMEOUT,
    .read_timeout = TIMEOUT,
    .keepalive_timeout = TIMEOUT,
    .buffer_size = BUFFER_SIZE,
    .pool_size = POOL_SIZE,
    .log_errors = 1,
    .resolver_timeout = RESOLVER_TIMEOUT,
};


void
resolua_socket_conf_init(resolua_socket_conf_t *conf)
{
    ngx_memzero(conf, sizeof(*conf));
    conf->connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->send_timeout = NGX_CONF_UNSET_MSEC;
    conf->read_timeout = NGX_CONF_UNSET_MSEC;
    conf->keepalive_timeout = NGX_CONF_UNSET_MSEC;
    conf->buffer_size = NGX_CONF_UNSET_SIZE;
    conf->send_lowat = NGX_CONF_UNSET_SIZE;
    conf->pool_size = NGX_CONF_UNSET;
    conf->log_errors = NGX_CONF_UNSET;
    conf->ssl_verify_depth = NGX_CONF_UNSET;
    conf->ssl_commands = NGX_CONF_UNSET_PTR;
    conf->resolver_timeout = RESOLVER_TIMEOUT;
}


void
resolua_socket_conf_merge(resolua_socket_conf_t *conf,
                          const resolua_socket_conf_t *outer)
{
    ngx_conf_merge_msec_value(conf->connect_timeout, outer->connect_timeout,
                              TIMEOUT);
    ngx_conf_merge_msec_value(conf->send_timeout, outer->send_timeout, TIMEOUT);
    ngx_conf_merge_msec_value(conf->read_timeout, outer->read_timeout, TIMEOUT);
    ngx_conf_merge_msec_value(conf->keepalive_timeout, outer->keepalive_timeout,
                              TIMEOUT);
    ngx_conf_merge_size_value(conf->buffer_size, outer->buffer_size,
                              BUFFER_SIZE);
    ngx_conf_merge_size_value(conf->send_lowat, outer->send_lowat, 0);
    ngx_conf_merge_value(conf->pool_size, outer->pool_size, POOL_SIZE);
    ngx_conf_merge_value(conf->log_errors, outer->log_errors, 1);
}


char *
resolua_socket_conf_outermost(ngx_conf_t *cf, const resolua_socket_conf_t *conf,
                              ngx_resolver_t *resolver,
                              ngx_msec_t resolver_timeout)
{
    resolua_core_conf_t *core = resolua_core_conf(cf->cycle);
    if (core->sockets.pool_size != NGX_CONF_UNSET &&
        (core->sockets.resolver != NULL || resolver == NULL)) {
        return NGX_CONF_OK;
    }
    resolua_socket_conf_t unset;
    resolua_socket_conf_init(&unset);
    core->sockets = *conf;
    resolua_socket_conf_merge(&core->sockets, &unset);
    core->sockets.resolver = resolver;
    ngx_conf_init_msec_value(resolver_timeout, RESOLVER_TIMEOUT);
    core->sockets.resolver_timeout = resolver_timeout;
    return resolua_socket_ssl_merge(cf, &core->sockets, &unset);
}


void
resolua_socket_conf_use(const resolua_socket_conf_t *conf)
{
    resolua_socket_defaults =
        conf->pool_size != NGX_CONF_UNSET ? *conf : built_in;
}
