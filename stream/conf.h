#ifndef STREAM_CONF_H
#define STREAM_CONF_H

/* What a server {} of stream {} says to this module. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_stream.h>

#include "runtime/socket.h"
#include "runtime/ssl.h"
#include "server/conf.h"
#include "stream/code.h"

typedef struct {
    ngx_flag_t serve;   /* dns_serve */
    ngx_flag_t express; /* dns_express */
    dns_server_conf_t dns;
    resolua_socket_conf_t sockets;
    ngx_flag_t check_client_abort;
    ngx_flag_t code_cache;
    ngx_msec_t tcp_idle_timeout;
    ngx_msec_t tcp_read_timeout; /* of a whole query */
    ngx_msec_t tcp_send_timeout; /* of 64 KiB, the most that an answer has */
    ngx_msec_t tls_handshake_timeout;
    ngx_int_t tcp_max_connections; /* in a worker; 0: any number */
    ngx_int_t tcp_max_per_client;
    stream_code_t *preread; /* NULL: none */
    stream_code_t *access;
    stream_code_t *content;
    stream_code_t *log;
    resolua_code_t *balancer; /* of upstream {} */
    resolua_ssl_codes_t ssl;
    ngx_uint_t is_express; /* the lane may answer: nothing in this server
                              has to see the queries as sessions */
} stream_conf_t;

typedef struct {
    ngx_flag_t preread_no_postpone;
} stream_main_conf_t;

extern ngx_module_t ngx_stream_resolua_module;

/* Does every datagram to this server make a session (or an answer) of its own?
   The other servers' sessions take several, as nginx has them. */
static inline ngx_uint_t
stream_conf_takes_datagrams(const stream_conf_t *conf)
{
    return conf->serve == 1 || conf->content != NULL;
}

#endif
