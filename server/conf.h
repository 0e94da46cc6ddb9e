#ifndef SERVER_CONF_H
#define SERVER_CONF_H

/*
 * The dns_* directives.  Those of the main level are here once for the whole
 * server.  What an adapter's server {} or location {} says is a
 * dns_server_conf_t inside of the adapter's own configuration:
 *
 *     DNS_SERVER_COMMANDS(NGX_STREAM_SRV_CONF, NGX_STREAM_SRV_CONF_OFFSET,
 *                         offsetof(my_conf_t, dns))
 *
 * in its commands, dns_server_conf_init() where it creates the configuration,
 * and dns_server_conf_merge() where it merges.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "dns/edns.h"
#include "runtime/conf.h"

typedef struct {
    ngx_uint_t store_count;   /* dns_store directives */
    ngx_array_t remotes;      /* the networked ones (server/remote.h) */
    ngx_uint_t remote_stores; /* that these become */
    ngx_array_t servers;      /* that serve DNS; explain.c's */
    ngx_str_t lmdb_folder;    /* absolute, zero-terminated; empty: none */
    ngx_uint_t has_lmdb;      /* dns_store lmdb */
    ngx_uint_t lmdb_at;       /* behind so many of remotes */
    ngx_uint_t has_mirror;    /* a networked store's copy is in lmdb_folder */
    ngx_str_t forward;        /* the first dns_forward: what /dns asks */
    ngx_int_t forward_max;    /* questions under way in a worker; unset: by the
                                 connections that there are */
    size_t cache_size;        /* bytes; 0: no cache */
    time_t cache_ttl_min;     /* seconds */
    time_t cache_ttl_max;
    time_t serve_stale; /* seconds; 0: off */
    ngx_flag_t flood_limit;
    ngx_shm_zone_t *statistics;
    ngx_shm_zone_t *cache; /* NULL: none */
} dns_main_conf_t;

dns_main_conf_t *dns_main_conf(const ngx_cycle_t *cycle);

/* What one server says about answers. */
typedef struct {
    ngx_str_t forward;          /* upstreams with spaces between; empty: none */
    ngx_msec_t forward_timeout; /* of a question, with all tries */
    ngx_msec_t forward_retry;   /* after which the next upstream is asked too */
    ngx_msec_t forward_down;    /* that a silent upstream is asked last */
    uint32_t view;              /* tells servers with other upstreams apart */
    uint32_t hook_view;  /* of what hooks keep: this server's own, and of this
                            reading of the configuration */
    ngx_uint_t udp_size; /* octets, our limit over UDP */
    ngx_str_t nsid;      /* octets; empty: none */
    ngx_str_t cookie_secret; /* DNS_COOKIE_SECRET_SIZE octets, or empty */
    ngx_str_t version;       /* zero-terminated; empty: refused */
    ngx_str_t hostname;
    /* The adapter's access rules for look-ups that come by another way; NULL:
       there are none. */
    ngx_uint_t (*allows)(const void *rules, const struct sockaddr *client);
    const void *rules;        /* borrowed */
    ngx_uint_t hook_keeps;    /* a script has said q:cache() */
    resolua_code_t *on_query; /* NULL: none */
    resolua_code_t *on_answer;
    resolua_code_t *on_log;
} dns_server_conf_t;

enum {
    DNS_SERVER_UDP_SIZE_MIN = 512,  /* octets, RFC 6891 section 6.2.5 */
    DNS_SERVER_UDP_SIZE_MAX = 4096, /* octets: the lane's send buffers */
};

void dns_server_conf_init(dns_server_conf_t *conf);
void dns_server_conf_merge(dns_server_conf_t *conf,
                           const dns_server_conf_t *outer);

/* Is there a hook that wants to see every query? */
static inline ngx_uint_t
dns_server_has_hooks(const dns_server_conf_t *conf)
{
    return conf->on_query != NULL || conf->on_answer != NULL ||
           conf->on_log != NULL;
}

/* Set handlers; cmd->offset is that of the dns_server_conf_t, except for the
   hooks, where it is that of the code's pointer. */
char *dns_server_conf_forward(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *dns_server_conf_udp_size(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *dns_server_conf_nsid(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *dns_server_conf_cookie(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *dns_server_conf_chaos(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

extern ngx_conf_post_t dns_server_conf_above_zero;

#define DNS_SERVER_TIME(name, where, conf, offset, member)                     \
    {                                                                          \
        ngx_string(name), (where) | NGX_CONF_TAKE1, ngx_conf_set_msec_slot,    \
            conf, (offset) + offsetof(dns_server_conf_t, member),              \
            &dns_server_conf_above_zero                                        \
    }

#define DNS_SERVER_COMMANDS(where, conf, offset)                               \
    {ngx_string("dns_forward"),                                                \
     (where) | NGX_CONF_1MORE,                                                 \
     dns_server_conf_forward,                                                  \
     conf,                                                                     \
     offset,                                                                   \
     NULL},                                                                    \
        DNS_SERVER_TIME("dns_forward_timeout", where, conf, offset,            \
                        forward_timeout),                                      \
        DNS_SERVER_TIME("dns_forward_retry", where, conf, offset,              \
                        forward_retry),                                        \
        DNS_SERVER_TIME("dns_forward_down", where, conf, offset,               \
                        forward_down),                                         \
        {ngx_string("dns_udp_size"),                                           \
         (where) | NGX_CONF_TAKE1,                                             \
         dns_server_conf_udp_size,                                             \
         conf,                                                                 \
         offset,                                                               \
         NULL},                                                                \
        {ngx_string("dns_nsid"),                                               \
         (where) | NGX_CONF_TAKE1,                                             \
         dns_server_conf_nsid,                                                 \
         conf,                                                                 \
         offset,                                                               \
         NULL},                                                                \
        {ngx_string("dns_cookie_secret"),                                      \
         (where) | NGX_CONF_TAKE1,                                             \
         dns_server_conf_cookie,                                               \
         conf,                                                                 \
         offset,                                                               \
         NULL},                                                                \
        {ngx_string("dns_chaos"),                                              \
         (where) | NGX_CONF_TAKE12,                                            \
         dns_server_conf_chaos,                                                \
         conf,                                                                 \
         offset,                                                               \
         NULL},                                                                \
        RESOLUA_CODE_COMMANDS("dns_query", where, resolua_conf_code, conf,     \
                              (offset) +                                       \
                                  offsetof(dns_server_conf_t, on_query)),      \
        RESOLUA_CODE_COMMANDS("dns_answer", where, resolua_conf_code, conf,    \
                              (offset) +                                       \
                                  offsetof(dns_server_conf_t, on_answer)),     \
        RESOLUA_CODE_COMMANDS("dns_log", where, resolua_conf_code, conf,       \
                              (offset) + offsetof(dns_server_conf_t, on_log))

#endif
