#ifndef STREAM_PROXY_H
#define STREAM_PROXY_H

/* The configuration of nginx's stream proxy module, which keeps the structure
   to itself.  This is how nginx 1.22 has it; the build is for that one version,
   which nginx checks when it loads us. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_stream.h>

typedef struct {
    ngx_msec_t connect_timeout;
    ngx_msec_t timeout;
    ngx_msec_t next_upstream_timeout;
    size_t buffer_size;
    ngx_stream_complex_value_t *rates[2];
    ngx_uint_t requests;
    ngx_uint_t responses;
    ngx_uint_t next_upstream_tries;
    ngx_flag_t flags[3];
    void *local;
    ngx_flag_t socket_keepalive;
#if (NGX_STREAM_SSL)
    ngx_flag_t ssl_enable;
    ngx_flag_t ssl_session_reuse;
    ngx_uint_t ssl_protocols;
    ngx_str_t ssl_ciphers;
    ngx_stream_complex_value_t *ssl_name;
    ngx_flag_t ssl_server_name;
    ngx_flag_t ssl_verify;
    ngx_uint_t ssl_verify_depth;
    ngx_str_t ssl_files[2];
    ngx_stream_complex_value_t *ssl_certificate[2];
    ngx_array_t *ssl_lists[2];
    ngx_ssl_t *ssl;
#endif
    ngx_stream_upstream_srv_conf_t *upstream;
    ngx_stream_complex_value_t *upstream_value;
} stream_proxy_conf_t;

extern ngx_module_t ngx_stream_proxy_module;

#endif
