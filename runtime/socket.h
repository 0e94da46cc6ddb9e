#ifndef RESOLUA_RUNTIME_SOCKET_H
#define RESOLUA_RUNTIME_SOCKET_H

/* The cosockets' configuration: ngx.socket.tcp and ngx.socket.udp.  An adapter
   embeds a resolua_socket_conf_t where it has lua_socket_*, and gives each
   request a pointer to it (resolua_request_t.sockets). */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "runtime/request.h"

struct resolua_socket_conf_s {
    ngx_msec_t connect_timeout; /* ms */
    ngx_msec_t send_timeout;
    ngx_msec_t read_timeout;
    ngx_msec_t keepalive_timeout;
    size_t buffer_size; /* octets */
    size_t send_lowat;
    ngx_int_t pool_size; /* idle connections of a pool */
    ngx_flag_t log_errors;
    ngx_resolver_t *resolver; /* borrowed; NULL: host names are errors */
    ngx_msec_t resolver_timeout;
    ngx_ssl_t *ssl; /* borrowed; NULL: the process's own defaults */
};

void resolua_socket_conf_init(resolua_socket_conf_t *conf);

/* The directives' values; resolver and ssl are the adapter's to fill in. */
void resolua_socket_conf_merge(resolua_socket_conf_t *conf,
                               const resolua_socket_conf_t *outer);

/* For requests that have no configuration of their own. */
extern resolua_socket_conf_t resolua_socket_defaults;

#define RESOLUA_SOCKET_COMMAND(name, where, set, conf, offset, member)         \
    {ngx_string(name), (where) | NGX_CONF_TAKE1, set, conf,                    \
     (offset) + offsetof(resolua_socket_conf_t, member), NULL}

#define RESOLUA_SOCKET_COMMANDS(where, conf, offset)                           \
    RESOLUA_SOCKET_COMMAND("lua_socket_connect_timeout", where,                \
                           ngx_conf_set_msec_slot, conf, offset,               \
                           connect_timeout),                                   \
    RESOLUA_SOCKET_COMMAND("lua_socket_send_timeout", where,                   \
                           ngx_conf_set_msec_slot, conf, offset,               \
                           send_timeout),                                      \
    RESOLUA_SOCKET_COMMAND("lua_socket_read_timeout", where,                   \
                           ngx_conf_set_msec_slot, conf, offset,               \
                           read_timeout),                                      \
    RESOLUA_SOCKET_COMMAND("lua_socket_keepalive_timeout", where,              \
                           ngx_conf_set_msec_slot, conf, offset,               \
                           keepalive_timeout),                                 \
    RESOLUA_SOCKET_COMMAND("lua_socket_buffer_size", where,                    \
                           ngx_conf_set_size_slot, conf, offset, buffer_size), \
    RESOLUA_SOCKET_COMMAND("lua_socket_send_lowat", where,                     \
                           ngx_conf_set_size_slot, conf, offset, send_lowat),  \
    RESOLUA_SOCKET_COMMAND("lua_socket_pool_size", where,                      \
                           ngx_conf_set_num_slot, conf, offset, pool_size),    \
    {ngx_string("lua_socket_log_errors"), (where) | NGX_CONF_FLAG,             \
     ngx_conf_set_flag_slot, conf,                                             \
     (offset) + offsetof(resolua_socket_conf_t, log_errors), NULL}

#endif
