/* The VM's life: made in the master, inherited by the workers. */

#include "runtime/conf.h"
#include "runtime/errlog.h"
#include "runtime/job.h"
#include "runtime/private/api.h"
#include "runtime/run.h"
#include "runtime/sampler.h"
#include "runtime/vm.h"

extern ngx_module_t ngx_resolua_core_module;
extern ngx_module_t ngx_thread_pool_module;


resolua_core_conf_t *
resolua_core_conf(ngx_cycle_t *cycle)
{
    return (resolua_core_conf_t *) ngx_get_conf(cycle->conf_ctx,
                                                ngx_resolua_core_module);
}


static void *
create_conf(ngx_cycle_t *cycle)
{
    resolua_core_conf_t *conf = ngx_pcalloc(cycle->pool, sizeof(*conf));
    const size_t size = sizeof(resolua_code_t *);
    if (conf == NULL ||
        ngx_array_init(&conf->init, cycle->pool, 1, size) != NGX_OK ||
        ngx_array_init(&conf->init_worker, cycle->pool, 1, size) != NGX_OK ||
        ngx_array_init(&conf->exit_worker, cycle->pool, 1, size) != NGX_OK ||
        ngx_array_init(&conf->dicts, cycle->pool, 4,
                       sizeof(ngx_shm_zone_t *)) != NGX_OK) {
        return NULL;
    }
    if (resolua_job_configure(cycle) != NGX_OK) {
        return NULL;
    }
    conf->capture_size = NGX_CONF_UNSET;
    conf->max_pending_timers = NGX_CONF_UNSET;
    conf->max_running_timers = NGX_CONF_UNSET;
    conf->regex_cache_max = NGX_CONF_UNSET;
    conf->regex_match_limit = NGX_CONF_UNSET;
    conf->thread_vms = NGX_CONF_UNSET;
    conf->malloc_trim = NGX_CONF_UNSET;
    conf->thread_cache_max = NGX_CONF_UNSET;
    conf->load_resty_core = NGX_CONF_UNSET;
    conf->sa_restart = NGX_CONF_UNSET;
    resolua_socket_conf_init(&conf->sockets);
    conf->code_cache = 1;
    return conf;
}


static ngx_int_t
run_all(const ngx_array_t *list, ngx_uint_t phase)
{
    resolua_code_t **codes = list->elts;
    ngx_int_t result = NGX_OK;
    for (ngx_uint_t i = 0; i < list->nelts; i++) {
        if (resolua_run_sync(NULL, codes[i], phase, 0) != NGX_OK) {
            result = NGX_ERROR;
        }
    }
    return result;
}


/* A cycle's VM and what it has taken the place of, till nginx cannot turn back
   to that any more. */
typedef struct {
    lua_State *L; /* owned */
    lua_State *before;
    ngx_cycle_t *cycle_before;
    void *errlog_before;
} vm_t;


static void
use_conf(const resolua_core_conf_t *conf)
{
    resolua_socket_conf_use(&conf->sockets);
    resolua_regex_limits(conf->regex_cache_max, conf->regex_match_limit);
    resolua_thread_limit(conf->thread_cache_max);
    resolua_request_trim(conf->malloc_trim);
    resolua_timer_limits(conf->max_pending_timers, conf->max_running_timers);
}


/* With its cycle, which may be one that nginx has refused. */
static void
close_vm(void *data)
{
    const vm_t *vm = data;
    if (resolua_vm == vm->L) {
        resolua_vm = vm->before;
        if (vm->before != NULL) {
            resolua_vm_cycle = vm->cycle_before;
            resolua_errlog_restore(vm->errlog_before);
            use_conf(resolua_core_conf(vm->cycle_before));
        }
    }
    lua_close(vm->L);
}


static ngx_int_t
make_vm(ngx_cycle_t *cycle, resolua_core_conf_t *conf)
{
    ngx_pool_cleanup_t *cleanup =
        ngx_pool_cleanup_add(cycle->pool, sizeof(vm_t));
    if (cleanup == NULL) {
        return NGX_ERROR;
    }
    vm_t *vm = cleanup->data;
    vm->before = resolua_vm;
    vm->cycle_before = resolua_vm_cycle;
    vm->errlog_before = resolua_errlog_current();
    vm->L = resolua_vm_new(cycle, &conf->path, &conf->cpath);
    if (vm->L == NULL) {
        resolua_vm_cycle = vm->cycle_before;
        return NGX_ERROR;
    }
    cleanup->handler = close_vm;
    conf->vm = vm;
    resolua_vm = vm->L;
    use_conf(conf);
    return resolua_errlog_init(
        cycle, conf->capture_size > 0 ? (size_t) conf->capture_size : 0);
}


/* The init of a zone, see init_conf(). */
static ngx_int_t
run_init(ngx_shm_zone_t *zone, void *before)
{
    ngx_cycle_t *cycle = zone->data;
    resolua_core_conf_t *conf = resolua_core_conf(cycle);
    (void) before;
    if (make_vm(cycle, conf) != NGX_OK) {
        return NGX_ERROR;
    }
    if (run_all(&conf->init, RESOLUA_INIT) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "init_by_lua* has failed: this configuration is not "
                      "used; a server that runs goes on with the one before");
        return NGX_ERROR;
    }
    return NGX_OK;
}


/* init_by_lua* may fail, and then the configuration before must stay in force.
   When modules are told of a new cycle, nginx cannot turn back to the old one;
   while it makes the zones of shared memory, it can.  So the last of the zones,
   in which nothing is kept, runs init_by_lua*, when the dicts are there. */
static char *
init_conf(ngx_cycle_t *cycle, void *conf)
{
    static ngx_str_t name = ngx_string("resolua_init");
    ngx_conf_file_t file;
    ngx_conf_t cf;
    (void) conf;
    ngx_memzero(&file, sizeof(file));
    ngx_memzero(&cf, sizeof(cf));
    file.file.name = name;
    cf.cycle = cycle;
    cf.pool = cycle->pool;
    cf.log = cycle->log;
    cf.conf_file = &file;
    ngx_shm_zone_t *zone = ngx_shared_memory_add(&cf, &name, 8 * ngx_pagesize,
                                                 &ngx_resolua_core_module);
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }
    zone->init = run_init;
    zone->data = cycle;
    return NGX_CONF_OK;
}


/* A reload without a master: nginx starts no threads for the new cycle's pools,
   and waits for them when it ends.  A signal that comes meanwhile is for this
   thread, which it wakes. */
static ngx_int_t
start_threads(ngx_cycle_t *cycle)
{
    const ngx_cycle_t *old = cycle->old_cycle;
    sigset_t all;
    sigset_t before;
    if (ngx_process != NGX_PROCESS_SINGLE || old == NULL ||
        ngx_is_init_cycle(old)) {
        return NGX_OK;
    }
    (void) sigfillset(&all);
    (void) pthread_sigmask(SIG_BLOCK, &all, &before);
    const ngx_int_t rc = ngx_thread_pool_module.init_process(cycle);
    (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}


static ngx_int_t
init_module(ngx_cycle_t *cycle)
{
    vm_t *vm = resolua_core_conf(cycle)->vm;
    vm->before = NULL;
    return start_threads(cycle);
}


/* A worker's own chunks have a request too, for ngx.ctx and so that what needs
   another is told its phase. */
static void
run_for_worker(const ngx_array_t *list, ngx_uint_t phase)
{
    static const resolua_host_t host = {.subsystem = "http"};
    resolua_code_t **codes = list->elts;
    for (ngx_uint_t i = 0; i < list->nelts; i++) {
        resolua_request_t r;
        resolua_request_init(&r, &host, NULL, NULL, ngx_cycle->log);
        (void) resolua_run_sync(&r, codes[i], phase, 0);
        resolua_request_end(&r);
    }
}


static int
is_worker(void)
{
    return ngx_process == NGX_PROCESS_WORKER ||
           ngx_process == NGX_PROCESS_SINGLE;
}


/* A signal does not end a blocking call of a script (io.read) with EINTR; nginx
   itself only sleeps in calls that are never restarted. */
static void
restart_calls(void)
{
    static const int signals[] = {SIGHUP,  SIGUSR1, SIGUSR2, SIGWINCH, SIGTERM,
                                  SIGQUIT, SIGINT,  SIGALRM, SIGIO,    SIGCHLD};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction action;
        if (sigaction(signals[i], NULL, &action) == 0) {
            action.sa_flags |= SA_RESTART;
            (void) sigaction(signals[i], &action, NULL);
        }
    }
}


static ngx_int_t
init_process(ngx_cycle_t *cycle)
{
    if (is_worker()) {
        resolua_pipe_init_process();
        resolua_sampler_init(cycle);
        if (resolua_core_conf(cycle)->sa_restart != 0) {
            restart_calls();
        }
        run_for_worker(&resolua_core_conf(cycle)->init_worker,
                       RESOLUA_INIT_WORKER);
    }
    return NGX_OK;
}


static void
exit_process(ngx_cycle_t *cycle)
{
    if (is_worker()) {
        run_for_worker(&resolua_core_conf(cycle)->exit_worker,
                       RESOLUA_EXIT_WORKER);
        resolua_sampler_exit();
        resolua_pipe_exit_process();
        resolua_worker_thread_exit();
    }
}

/* The VM's directives also stand outside of stream {} and http {}. */
static ngx_command_t commands[] = {
    RESOLUA_VM_COMMANDS(NGX_MAIN_CONF | NGX_DIRECT_CONF),
    ngx_null_command,
};

static ngx_core_module_t core_module_ctx = {
    ngx_string("resolua"),
    create_conf,
    init_conf,
};

ngx_module_t ngx_resolua_core_module = {
    NGX_MODULE_V1, &core_module_ctx, commands,     NGX_CORE_MODULE,
    NULL,          init_module,      init_process, NULL,
    NULL,          exit_process,     NULL,         NGX_MODULE_V1_PADDING,
};
