#ifndef RESOLUA_RUNTIME_UPSTREAM_H
#define RESOLUA_RUNTIME_UPSTREAM_H

/* ngx.upstream: the upstream {} blocks of http and stream, as neutral copies.
   An adapter gives its functions; runtime/upstream_of.h writes them. */

#include <ngx_config.h>
#include <ngx_core.h>

#include "runtime/request.h"

typedef struct {
    ngx_str_t name;
    const ngx_addr_t *addrs; /* borrowed */
    ngx_uint_t naddrs;
    ngx_uint_t weight;
    ngx_uint_t max_conns;
    ngx_uint_t max_fails;
    time_t fail_timeout; /* s */
    ngx_uint_t is_down;
    ngx_uint_t is_backup;
} resolua_upstream_server_t;

typedef struct {
    u_char name[NGX_SOCKADDR_STRLEN];
    size_t name_size;
    ngx_int_t weight;
    ngx_int_t current_weight;
    ngx_int_t effective_weight;
    ngx_uint_t conns;
    ngx_uint_t max_conns;
    ngx_uint_t fails;
    ngx_uint_t max_fails;
    time_t fail_timeout; /* s */
    time_t accessed;
    time_t checked;
    ngx_uint_t is_down;
} resolua_upstream_peer_t;

/* Upstreams, servers and peers count from 0; false: there is none. */
typedef struct {
    const char *subsystem;
    ngx_uint_t (*count)(void);
    void (*name)(ngx_uint_t upstream, ngx_str_t *host, in_port_t *port);
    ngx_uint_t (*server)(ngx_uint_t upstream, ngx_uint_t at,
                         resolua_upstream_server_t *server);
    ngx_uint_t (*peer)(ngx_uint_t upstream, ngx_uint_t is_backup, ngx_uint_t at,
                       resolua_upstream_peer_t *peer);
    ngx_uint_t (*set_down)(ngx_uint_t upstream, ngx_uint_t is_backup,
                           ngx_uint_t at, ngx_uint_t is_down);
    /* What the running request uses. */
    ngx_uint_t (*current)(const resolua_request_t *r, ngx_str_t *name);
} resolua_upstreams_t;

/* Call in the adapter's preconfiguration; the same again does nothing. */
void resolua_upstreams_register(const resolua_upstreams_t *upstreams);

#endif
