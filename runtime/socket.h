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
    ngx_ssl_t *ssl;        /* borrowed; NULL: the process's own defaults */
    ngx_str_t ssl_trusted; /* files */
    ngx_str_t ssl_crl;
    ngx_str_t ssl_ciphers;
    ngx_str_t ssl_certificate; /* files: shown to peers that ask */
    ngx_str_t ssl_certificate_key;
    ngx_str_t ssl_key_log;     /* a file */
    ngx_array_t *ssl_commands; /* ngx_keyval_t, for OpenSSL */
    ngx_int_t ssl_verify_depth;
    ngx_uint_t ssl_protocols; /* NGX_SSL_*; 0: not set */
};

void resolua_socket_conf_init(resolua_socket_conf_t *conf);

/* The directives' values; resolver and ssl are the adapter's to fill in. */
void resolua_socket_conf_merge(resolua_socket_conf_t *conf,
                               const resolua_socket_conf_t *outer);

/* After the merge: conf->ssl from the lua_ssl_* values. */
char *resolua_socket_ssl_merge(ngx_conf_t *cf, resolua_socket_conf_t *conf,
                               const resolua_socket_conf_t *outer);
char *resolua_socket_ssl_protocols(ngx_conf_t *cf, ngx_command_t *cmd,
                                   void *conf);

/* At the end of http {} or stream {}, with what stands in it outside of any
   server: that is for what runs outside of any request (init_worker and its
   timers).  Of several the first with a resolver, or else the first. */
char *resolua_socket_conf_outermost(ngx_conf_t *cf,
                                    const resolua_socket_conf_t *conf,
                                    ngx_resolver_t *resolver,
                                    ngx_msec_t resolver_timeout);

/* Makes what outermost() has left in the core module's configuration the
   defaults. */
void resolua_socket_conf_use(const resolua_socket_conf_t *conf);

/* For requests that have no configuration of their own; of the running
   cycle. */
extern resolua_socket_conf_t resolua_socket_defaults;

#define RESOLUA_SOCKET_COMMAND(name, where, set, conf, offset, member)         \
    {                                                                          \
        ngx_string(name), (where) | NGX_CONF_TAKE1, set, conf,                 \
            (offset) + offsetof(resolua_socket_conf_t, member), NULL           \
    }

#define RESOLUA_SOCKET_COMMANDS(where, conf, offset)                           \
    RESOLUA_SOCKET_COMMAND("lua_socket_connect_timeout", where,                \
                           ngx_conf_set_msec_slot, conf, offset,               \
                           connect_timeout),                                   \
        RESOLUA_SOCKET_COMMAND("lua_socket_send_timeout", where,               \
                               ngx_conf_set_msec_slot, conf, offset,           \
                               send_timeout),                                  \
        RESOLUA_SOCKET_COMMAND("lua_socket_read_timeout", where,               \
                               ngx_conf_set_msec_slot, conf, offset,           \
                               read_timeout),                                  \
        RESOLUA_SOCKET_COMMAND("lua_socket_keepalive_timeout", where,          \
                               ngx_conf_set_msec_slot, conf, offset,           \
                               keepalive_timeout),                             \
        RESOLUA_SOCKET_COMMAND("lua_socket_buffer_size", where,                \
                               ngx_conf_set_size_slot, conf, offset,           \
                               buffer_size),                                   \
        RESOLUA_SOCKET_COMMAND("lua_socket_send_lowat", where,                 \
                               ngx_conf_set_size_slot, conf, offset,           \
                               send_lowat),                                    \
        RESOLUA_SOCKET_COMMAND("lua_socket_pool_size", where,                  \
                               ngx_conf_set_num_slot, conf, offset,            \
                               pool_size),                                     \
        RESOLUA_SOCKET_COMMAND("lua_ssl_trusted_certificate", where,           \
                               ngx_conf_set_str_slot, conf, offset,            \
                               ssl_trusted),                                   \
        RESOLUA_SOCKET_COMMAND("lua_ssl_crl", where, ngx_conf_set_str_slot,    \
                               conf, offset, ssl_crl),                         \
        RESOLUA_SOCKET_COMMAND("lua_ssl_ciphers", where,                       \
                               ngx_conf_set_str_slot, conf, offset,            \
                               ssl_ciphers),                                   \
        RESOLUA_SOCKET_COMMAND("lua_ssl_verify_depth", where,                  \
                               ngx_conf_set_num_slot, conf, offset,            \
                               ssl_verify_depth),                              \
        RESOLUA_SOCKET_COMMAND("lua_ssl_certificate", where,                   \
                               ngx_conf_set_str_slot, conf, offset,            \
                               ssl_certificate),                               \
        RESOLUA_SOCKET_COMMAND("lua_ssl_certificate_key", where,               \
                               ngx_conf_set_str_slot, conf, offset,            \
                               ssl_certificate_key),                           \
        RESOLUA_SOCKET_COMMAND("lua_ssl_key_log", where,                       \
                               ngx_conf_set_str_slot, conf, offset,            \
                               ssl_key_log),                                   \
        {ngx_string("lua_ssl_conf_command"),                                   \
         (where) | NGX_CONF_TAKE2,                                             \
         ngx_conf_set_keyval_slot,                                             \
         conf,                                                                 \
         (offset) + offsetof(resolua_socket_conf_t, ssl_commands),             \
         NULL},                                                                \
        {ngx_string("lua_ssl_protocols"),                                      \
         (where) | NGX_CONF_1MORE,                                             \
         resolua_socket_ssl_protocols,                                         \
         conf,                                                                 \
         (offset) + offsetof(resolua_socket_conf_t, ssl_protocols),            \
         NULL},                                                                \
    {                                                                          \
        ngx_string("lua_socket_log_errors"), (where) | NGX_CONF_FLAG,          \
            ngx_conf_set_flag_slot, conf,                                      \
            (offset) + offsetof(resolua_socket_conf_t, log_errors), NULL       \
    }

#endif
