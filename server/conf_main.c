/* The directives of the main level, and the module that they belong to. */

#include "runtime/vm.h"
#include "server/cache.h"
#include "server/conf.h"
#include "server/descriptors.h"
#include "server/explain.h"
#include "server/fairness.h"
#include "server/private/answer.h"
#include "server/private/pending.h"
#include "server/private/remote.h"
#include "server/private/service.h"
#include "server/statistics.h"

extern ngx_module_t ngx_resolua_dns_module;


dns_main_conf_t *
dns_main_conf(const ngx_cycle_t *cycle)
{
    return (dns_main_conf_t *) ngx_get_conf(cycle->conf_ctx,
                                            ngx_resolua_dns_module);
}


static void *
create_conf(ngx_cycle_t *cycle)
{
    dns_main_conf_t *conf = ngx_pcalloc(cycle->pool, sizeof(*conf));
    if (conf == NULL ||
        ngx_array_init(&conf->remotes, cycle->pool, 1, sizeof(remote_conf_t)) !=
            NGX_OK ||
        dns_explain_init(cycle->pool, &conf->servers) != NGX_OK) {
        return NULL;
    }
    if (resolua_vm_add_setup(dns_explain_setup) != NGX_OK ||
        resolua_vm_add_setup(dns_server_cache_setup) != NGX_OK ||
        resolua_vm_add_setup(dns_statistics_setup) != NGX_OK) {
        return NULL;
    }
    conf->forward_max = NGX_CONF_UNSET;
    conf->cache_size = NGX_CONF_UNSET_SIZE;
    conf->cache_ttl_min = NGX_CONF_UNSET;
    conf->cache_ttl_max = NGX_CONF_UNSET;
    conf->serve_stale = NGX_CONF_UNSET;
    conf->flood_limit = NGX_CONF_UNSET;
    return conf;
}


static char *
init_conf(ngx_cycle_t *cycle, void *data)
{
    enum { TTL_MAX = 86400 }; /* seconds, RFC 8767 section 4 */
    dns_main_conf_t *conf = data;
    ngx_conf_init_size_value(conf->cache_size, 0);
    ngx_conf_init_value(conf->cache_ttl_min, 0);
    ngx_conf_init_value(conf->cache_ttl_max, TTL_MAX);
    ngx_conf_init_value(conf->serve_stale, 0);
    ngx_conf_init_value(conf->flood_limit, 1);
    if (conf->serve_stale > 0 && conf->cache_size == 0) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "dns_serve_stale needs dns_cache: it gives what is kept");
        return NGX_CONF_ERROR;
    }
    dns_descriptors_raise(cycle);
    return NGX_CONF_OK;
}


static char *
complain(ngx_conf_t *cf, const ngx_str_t *word, const char *what)
{
    const ngx_str_t *value = cf->args->elts;
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%V \"%V\": %s", &value[0], word,
                       what);
    return NGX_CONF_ERROR;
}


static ngx_int_t
has_prefix(const ngx_str_t *text, const char *prefix)
{
    const size_t size = ngx_strlen(prefix);
    return text->len > size && ngx_strncmp(text->data, prefix, size) == 0;
}


static char *
set_lmdb(ngx_conf_t *cf, dns_main_conf_t *conf)
{
    const ngx_str_t *value = cf->args->elts;
    const ngx_str_t mirror = conf->lmdb_folder;
    const size_t skip = sizeof("path=") - 1;
    if (conf->has_lmdb) {
        return "lmdb: there is one already";
    }
    conf->has_lmdb = 1;
    conf->lmdb_at = conf->remotes.nelts;
    if (cf->args->nelts != 3 || !has_prefix(&value[2], "path=")) {
        return "lmdb takes path=DIR and nothing else";
    }
    conf->lmdb_folder.data = value[2].data + skip;
    conf->lmdb_folder.len = value[2].len - skip;
    if (ngx_conf_full_name(cf->cycle, &conf->lmdb_folder, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }
    return conf->has_mirror &&
                   ngx_strcmp(conf->lmdb_folder.data, mirror.data) != 0
               ? "lmdb: not the folder of the mirror"
               : NGX_CONF_OK;
}


/* The copy of a mirrored store: the one embedded store. */
static char *
set_mirror(dns_main_conf_t *conf, const char *folder)
{
    if (conf->has_mirror) {
        return "mirror: there is one already";
    }
    conf->has_mirror = 1;
    if (conf->lmdb_folder.len > 0 &&
        ngx_strcmp(conf->lmdb_folder.data, folder) != 0) {
        return "mirror: not the folder of dns_store lmdb";
    }
    conf->lmdb_folder.data = (u_char *) folder;
    conf->lmdb_folder.len = ngx_strlen(folder);
    return NGX_CONF_OK;
}


static char *
add_remote(ngx_conf_t *cf, dns_main_conf_t *conf)
{
    remote_conf_t *remote = ngx_array_push(&conf->remotes);
    if (remote == NULL || dns_remote_conf(cf) != NGX_OK ||
        remote_conf_read(cf, remote) != NGX_OK) {
        return NGX_CONF_ERROR;
    }
    conf->remote_stores += remote_conf_stores(remote);
    if (conf->remote_stores > DNS_REMOTE_STORES_MAX) {
        return "networked stores: too many";
    }
    return remote->options->mirror != NULL
               ? set_mirror(conf, remote->options->mirror)
               : NGX_CONF_OK;
}


/* dns_store lmdb path=DIR | mysql://... [NAME=VALUE ...] | redis://... */
static char *
set_store(ngx_conf_t *cf, ngx_command_t *cmd, void *data)
{
    dns_main_conf_t *conf = data;
    const ngx_str_t *value = cf->args->elts;
    (void) cmd;
    conf->store_count++;
    if (ngx_strcmp(value[1].data, "lmdb") == 0) {
        return set_lmdb(cf, conf);
    }
    if (!has_prefix(&value[1], "mysql://") &&
        !has_prefix(&value[1], "redis://")) {
        return complain(cf, &value[1],
                        "not a store: lmdb, mysql://... or redis://...");
    }
    return add_remote(cf, conf);
}


static char *
set_cache(ngx_conf_t *cf, ngx_command_t *cmd, void *data)
{
    enum { SIZE_MIN = 1024 * 1024 };
    dns_main_conf_t *conf = data;
    ngx_str_t *value = cf->args->elts;
    (void) cmd;
    if (conf->cache_size != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }
    if (ngx_strcmp(value[1].data, "off") == 0) {
        conf->cache_size = 0;
        return NGX_CONF_OK;
    }
    const ssize_t size = ngx_parse_size(&value[1]);
    if (size < SIZE_MIN) {
        return complain(cf, &value[1], "not a size of at least 1m");
    }
    conf->cache_size = (size_t) size;
    return dns_server_cache_conf(cf, conf) == NGX_OK ? NGX_CONF_OK
                                                     : NGX_CONF_ERROR;
}


static char *
set_cache_ttl(ngx_conf_t *cf, ngx_command_t *cmd, void *data)
{
    dns_main_conf_t *conf = data;
    ngx_str_t *value = cf->args->elts;
    (void) cmd;
    if (conf->cache_ttl_min != NGX_CONF_UNSET) {
        return "is duplicate";
    }
    conf->cache_ttl_min = ngx_parse_time(&value[1], 1);
    conf->cache_ttl_max = ngx_parse_time(&value[2], 1);
    if (conf->cache_ttl_min == NGX_ERROR) {
        return complain(cf, &value[1], "not a time");
    }
    if (conf->cache_ttl_max == NGX_ERROR ||
        conf->cache_ttl_max < conf->cache_ttl_min) {
        return complain(cf, &value[2], "not a time of at least the first");
    }
    return NGX_CONF_OK;
}


/* dns_serve_stale TIME | off */
static char *
set_stale(ngx_conf_t *cf, ngx_command_t *cmd, void *data)
{
    dns_main_conf_t *conf = data;
    ngx_str_t *value = cf->args->elts;
    (void) cmd;
    if (conf->serve_stale != NGX_CONF_UNSET) {
        return "is duplicate";
    }
    conf->serve_stale = ngx_strcmp(value[1].data, "off") == 0
                            ? 0
                            : ngx_parse_time(&value[1], 1);
    return conf->serve_stale == NGX_ERROR
               ? complain(cf, &value[1], "neither a time nor off")
               : NGX_CONF_OK;
}


/* The folder is made here, as the user of the workers will want it. */
static ngx_int_t
prepare_folder(ngx_cycle_t *cycle, const ngx_str_t *folder)
{
    enum { FOLDER_MODE = 0750 };
    const ngx_core_conf_t *core =
        (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    if (ngx_create_dir(folder->data, FOLDER_MODE) == NGX_FILE_ERROR) {
        ngx_file_info_t info;
        if (ngx_errno == NGX_EEXIST &&
            ngx_file_info(folder->data, &info) != NGX_FILE_ERROR &&
            ngx_is_dir(&info)) {
            return NGX_OK;
        }
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "dns_store: no folder \"%V\" can be made", folder);
        return NGX_ERROR;
    }
    if (geteuid() == 0 &&
        chown((char *) folder->data, core->user, core->group) == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "dns_store: chown(\"%V\") failed", folder);
        return NGX_ERROR;
    }
    return NGX_OK;
}


static ngx_int_t
init_module(ngx_cycle_t *cycle)
{
    const dns_main_conf_t *conf = dns_main_conf(cycle);
    return conf->lmdb_folder.len > 0 ? prepare_folder(cycle, &conf->lmdb_folder)
                                     : NGX_OK;
}


static ngx_int_t
init_process(ngx_cycle_t *cycle)
{
    if (ngx_process == NGX_PROCESS_WORKER ||
        ngx_process == NGX_PROCESS_SINGLE) {
        dns_descriptors_bound(cycle);
        dns_fairness_open((ngx_uint_t) dns_main_conf(cycle)->flood_limit);
        dns_server_open(cycle);
        dns_server_cache_open(cycle);
        dns_remote_open(cycle);
        service_open(cycle);
    }
    return NGX_OK;
}


static void
exit_process(ngx_cycle_t *cycle)
{
    (void) cycle;
    pending_close();
    dns_remote_close();
    dns_server_close();
}


static ngx_conf_num_bounds_t questions_bounds = {ngx_conf_check_num_bounds, 1,
                                                 1000000};

static ngx_command_t commands[] = {
    {ngx_string("dns_store"), NGX_MAIN_CONF | NGX_DIRECT_CONF | NGX_CONF_1MORE,
     set_store, 0, 0, NULL},
    {ngx_string("dns_cache"), NGX_MAIN_CONF | NGX_DIRECT_CONF | NGX_CONF_TAKE1,
     set_cache, 0, 0, NULL},
    {ngx_string("dns_cache_ttl"),
     NGX_MAIN_CONF | NGX_DIRECT_CONF | NGX_CONF_TAKE2, set_cache_ttl, 0, 0,
     NULL},
    {ngx_string("dns_flood_limit"),
     NGX_MAIN_CONF | NGX_DIRECT_CONF | NGX_CONF_FLAG, ngx_conf_set_flag_slot, 0,
     offsetof(dns_main_conf_t, flood_limit), NULL},
    {ngx_string("dns_serve_stale"),
     NGX_MAIN_CONF | NGX_DIRECT_CONF | NGX_CONF_TAKE1, set_stale, 0, 0, NULL},
    {ngx_string("dns_forward_max_queries"),
     NGX_MAIN_CONF | NGX_DIRECT_CONF | NGX_CONF_TAKE1, ngx_conf_set_num_slot, 0,
     offsetof(dns_main_conf_t, forward_max), &questions_bounds},
    ngx_null_command,
};

static ngx_core_module_t module_ctx = {
    ngx_string("resolua_dns"),
    create_conf,
    init_conf,
};

ngx_module_t ngx_resolua_dns_module = {
    NGX_MODULE_V1, &module_ctx,  commands,     NGX_CORE_MODULE,
    NULL,          init_module,  init_process, NULL,
    NULL,          exit_process, NULL,         NGX_MODULE_V1_PADDING,
};
