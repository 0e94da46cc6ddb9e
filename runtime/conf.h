#ifndef RESOLUA_RUNTIME_CONF_H
#define RESOLUA_RUNTIME_CONF_H

/* The configuration side that both adapters share. */

#include "runtime/code.h"
#include "runtime/socket.h"

/* Makes *result from the directive being read: NAME_by_lua_block { ... },
   NAME_by_lua_file path or NAME_by_lua "text".  NULL or NGX_CONF_ERROR. */
char *resolua_conf_read_code(ngx_conf_t *cf, ngx_command_t *cmd,
                             resolua_code_t **result);

/* An ngx_command_t set handler: reads code into the resolua_code_t * at
   cmd->offset of conf; "is duplicate" when there is one. */
char *resolua_conf_code(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* Handlers of the directives that speak of the one VM. */
char *resolua_conf_init(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *resolua_conf_path(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *resolua_conf_dict(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *resolua_conf_number(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *resolua_conf_flag(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *resolua_conf_code_cache(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* For ngx_conf_set_flag_slot: warns of lua_code_cache off in a server {} or
   location {}. */
extern ngx_conf_post_t resolua_conf_code_cache_post;

/* *_by_lua_block, _file in one context, e.g.
   RESOLUA_CODE_COMMANDS("log", NGX_STREAM_SRV_CONF, resolua_conf_code,
                         NGX_STREAM_SRV_CONF_OFFSET, offsetof(conf_t, log)) */
#define RESOLUA_CODE_COMMANDS(name, where, set, conf, offset)                  \
    {ngx_string(name "_by_lua_block"),                                         \
     (where) | NGX_CONF_BLOCK | NGX_CONF_NOARGS,                               \
     set,                                                                      \
     conf,                                                                     \
     offset,                                                                   \
     NULL},                                                                    \
        {ngx_string(name "_by_lua_file"),                                      \
         (where) | NGX_CONF_TAKE1,                                             \
         set,                                                                  \
         conf,                                                                 \
         offset,                                                               \
         NULL},                                                                \
    {                                                                          \
        ngx_string(name "_by_lua"), (where) | NGX_CONF_TAKE1, set, conf,       \
            offset, NULL                                                       \
    }

/* The VM-wide directives; where is NGX_STREAM_MAIN_CONF or
   NGX_HTTP_MAIN_CONF.  They go into the core module's configuration, in order
   of appearance. */
#define RESOLUA_VM_COMMANDS(where)                                             \
    RESOLUA_CODE_COMMANDS("init", where, resolua_conf_init, 0, 0),             \
        RESOLUA_CODE_COMMANDS("init_worker", where, resolua_conf_init, 0, 0),  \
        RESOLUA_CODE_COMMANDS("exit_worker", where, resolua_conf_init, 0, 0),  \
        {ngx_string("lua_package_path"),                                       \
         (where) | NGX_CONF_TAKE1,                                             \
         resolua_conf_path,                                                    \
         0,                                                                    \
         0,                                                                    \
         NULL},                                                                \
        {ngx_string("lua_package_cpath"),                                      \
         (where) | NGX_CONF_TAKE1,                                             \
         resolua_conf_path,                                                    \
         0,                                                                    \
         0,                                                                    \
         NULL},                                                                \
        {ngx_string("lua_shared_dict"),                                        \
         (where) | NGX_CONF_TAKE2,                                             \
         resolua_conf_dict,                                                    \
         0,                                                                    \
         0,                                                                    \
         NULL},                                                                \
        {ngx_string("lua_code_cache"),                                         \
         (where) | NGX_CONF_FLAG,                                              \
         resolua_conf_code_cache,                                              \
         0,                                                                    \
         0,                                                                    \
         NULL},                                                                \
        RESOLUA_NUMBER_COMMANDS(where)

#define RESOLUA_NUMBER_COMMAND(name, where, kind, set, member)                 \
    {                                                                          \
        ngx_string(name), (where) | (kind), set, 0,                            \
            offsetof(resolua_core_conf_t, member), NULL                        \
    }

/* The VM's numbers, also for http {}; the same again is no error. */
#define RESOLUA_NUMBER_COMMANDS(where)                                         \
    RESOLUA_NUMBER_COMMAND("lua_sa_restart", where, NGX_CONF_FLAG,             \
                           resolua_conf_flag, sa_restart),                     \
        RESOLUA_NUMBER_COMMAND("lua_load_resty_core", where, NGX_CONF_FLAG,    \
                               resolua_conf_flag, load_resty_core),            \
        RESOLUA_NUMBER_COMMAND("lua_capture_error_log", where, NGX_CONF_TAKE1, \
                               resolua_conf_number, capture_size),             \
        RESOLUA_NUMBER_COMMAND("lua_malloc_trim", where, NGX_CONF_TAKE1,       \
                               resolua_conf_number, malloc_trim),              \
        RESOLUA_NUMBER_COMMAND("lua_thread_cache_max_entries", where,          \
                               NGX_CONF_TAKE1, resolua_conf_number,            \
                               thread_cache_max),                              \
        RESOLUA_NUMBER_COMMAND("lua_max_pending_timers", where,                \
                               NGX_CONF_TAKE1, resolua_conf_number,            \
                               max_pending_timers),                            \
        RESOLUA_NUMBER_COMMAND("lua_max_running_timers", where,                \
                               NGX_CONF_TAKE1, resolua_conf_number,            \
                               max_running_timers),                            \
        RESOLUA_NUMBER_COMMAND("lua_worker_thread_vm_pool_size", where,        \
                               NGX_CONF_TAKE1, resolua_conf_number,            \
                               thread_vms),                                    \
        RESOLUA_NUMBER_COMMAND("lua_regex_cache_max_entries", where,           \
                               NGX_CONF_TAKE1, resolua_conf_number,            \
                               regex_cache_max),                               \
        RESOLUA_NUMBER_COMMAND("lua_regex_match_limit", where, NGX_CONF_TAKE1, \
                               resolua_conf_number, regex_match_limit)

/* The core module's configuration. */
typedef struct {
    ngx_array_t init; /* resolua_code_t *, in order */
    ngx_array_t init_worker;
    ngx_array_t exit_worker;
    ngx_array_t dicts; /* ngx_shm_zone_t * */
    ngx_str_t path;
    ngx_str_t cpath;
    ssize_t capture_size;       /* octets; NGX_CONF_UNSET: not given */
    ssize_t max_pending_timers; /* the same */
    ssize_t max_running_timers;
    ssize_t regex_cache_max;
    ssize_t malloc_trim; /* requests; 0: never */
    ssize_t thread_cache_max;
    ssize_t load_resty_core; /* it always is */
    ssize_t thread_vms;      /* VMs for threads in a worker */
    ssize_t sa_restart;      /* 0 or 1 */
    ssize_t regex_match_limit;
    ngx_flag_t code_cache;
    void *vm; /* core_module.c's */
    /* What resolua_socket_defaults becomes; pool_size unset: as it is. */
    resolua_socket_conf_t sockets;
} resolua_core_conf_t;

resolua_core_conf_t *resolua_core_conf(ngx_cycle_t *cycle);

#endif
