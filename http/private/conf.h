#ifndef RESOLUA_HTTP_PRIVATE_CONF_H
#define RESOLUA_HTTP_PRIVATE_CONF_H

/* The configuration of http {}, server {} and location {}. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "runtime/conf.h"
#include "runtime/socket.h"
#include "runtime/ssl.h"
#include "server/conf.h"

extern ngx_module_t ngx_http_resolua_module;

typedef struct {
    resolua_code_t *code;
    ngx_http_complex_value_t *file; /* a name with variables, or NULL */
} http_code_t;

typedef struct {
    ngx_uint_t used; /* phases that a directive names, RESOLUA_* bits */
    ngx_flag_t rewrite_no_postpone;
    ngx_flag_t access_no_postpone;
    ngx_flag_t precontent_no_postpone;
} http_main_conf_t;

/* Idle connections of an upstream {}, in each worker. */
typedef struct {
    ngx_queue_t idle; /* the last used one first */
    ngx_uint_t count;
    ngx_uint_t max; /* balancer_keepalive */
} http_kept_t;

typedef struct {
    http_code_t *server_rewrite;
    resolua_code_t *balancer; /* of upstream {}, and its connections */
    http_kept_t kept;
    resolua_ssl_codes_t ssl;
} http_srv_conf_t;

typedef struct {
    http_code_t *rewrite;
    http_code_t *access;
    http_code_t *precontent;
    http_code_t *content;
    http_code_t *header_filter;
    http_code_t *body_filter;
    http_code_t *log;
    resolua_ssl_codes_t ssl; /* of the proxy */
    ngx_flag_t code_cache;
    ngx_flag_t need_request_body;
    ngx_flag_t use_default_type;
    ngx_flag_t transform_underscores;
    ngx_flag_t http10_buffering;
    ngx_flag_t check_client_abort;
    resolua_socket_conf_t sockets;
    ngx_flag_t dns_over_https;
    dns_server_conf_t dns;
} http_loc_conf_t;

/* Makes what fills in the name that code's file has, if it has variables. */
char *http_conf_file(ngx_conf_t *cf, ngx_str_t *name, http_code_t *code);

/* An ngx_command_t set handler: reads an http_code_t to cmd->offset of conf and
   marks the phase in cmd->post as used. */
char *http_conf_code(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* The same for content_by_lua*: also makes it the location's handler. */
char *http_conf_content(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

static inline http_loc_conf_t *
http_loc_conf(ngx_http_request_t *r)
{
    return ngx_http_get_module_loc_conf(r, ngx_http_resolua_module);
}

#endif
