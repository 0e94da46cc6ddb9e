#include "runtime/socket.h"

enum {
    TIMEOUT = 60000, /* ms */
    RESOLVER_TIMEOUT = 30000,
    POOL_SIZE = 30,
    BUFFER_SIZE = 4096 /* octets */
};

resolua_socket_conf_t resolua_socket_defaults = {
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
