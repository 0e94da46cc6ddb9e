#include "runtime/job.h"

#include <ngx_thread_pool.h>

#include "runtime/vm.h"
#include "runtime/wait.h"

enum { LUA_TCDATA = 10 }; /* LuaJIT's, in no header of its own */

typedef int (*job_pt)(void *argument);

typedef struct {
    job_pt job;
    void *argument;
    int result;
    int ref;                  /* keeps the argument */
    resolua_thread_t *thread; /* NULL: its request has ended */
} work_t;

static ngx_str_t pool_name = ngx_string("default");


ngx_int_t
resolua_job_configure(ngx_cycle_t *cycle)
{
    ngx_conf_file_t file;
    ngx_conf_t cf;
    ngx_memzero(&file, sizeof(file));
    ngx_memzero(&cf, sizeof(cf));
    ngx_str_set(&file.file.name, "resolua");
    cf.cycle = cycle;
    cf.pool = cycle->pool;
    cf.log = cycle->log;
    cf.conf_file = &file;
    return ngx_thread_pool_add(&cf, &pool_name) != NULL ? NGX_OK : NGX_ERROR;
}


/* A cdata's pointer; a cdata of a function has its address in it. */
static void *
check_pointer(lua_State *L, int arg)
{
    if (lua_isnil(L, arg)) {
        return NULL;
    }
    luaL_argcheck(L, lua_type(L, arg) == LUA_TCDATA, arg, "cdata expected");
    return *(void *const *) lua_topointer(L, arg);
}


/* On the other thread. */
static void
do_work(void *data, ngx_log_t *log)
{
    work_t *work = data;
    (void) log;
    work->result = work->job(work->argument);
}


static void
on_done(ngx_event_t *ev)
{
    ngx_thread_task_t *task = ev->data;
    const work_t work = *(const work_t *) task->ctx;
    ngx_free(task);
    resolua_wait_end();
    luaL_unref(resolua_vm, LUA_REGISTRYINDEX, work.ref);
    if (work.thread != NULL) {
        lua_pushinteger(resolua_thread_state(work.thread), work.result);
        resolua_thread_wake(work.thread, 1);
    }
}


static void
forget_thread(void *data)
{
    work_t *work = data;
    work->thread = NULL;
}


static ngx_thread_task_t *
task_new(lua_State *L, job_pt job, void *argument, int arg)
{
    ngx_thread_task_t *task =
        ngx_calloc(sizeof(*task) + sizeof(work_t), ngx_cycle->log);
    if (task == NULL) {
        return NULL;
    }
    work_t *work = (work_t *) (task + 1);
    work->job = job;
    work->argument = argument;
    lua_pushvalue(L, arg);
    work->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    task->ctx = work;
    task->handler = do_work;
    task->event.handler = on_done;
    task->event.data = task;
    task->event.log = ngx_cycle->log;
    return task;
}


int
resolua_job_run(lua_State *L)
{
    job_pt job;
    lua_settop(L, 2);
    void *address = check_pointer(L, 1);
    void *argument = check_pointer(L, 2);
    luaL_argcheck(L, address != NULL, 1, "function expected");
    ngx_memcpy(&job, &address, sizeof(job));
    if (lua_getexdata(L) == NULL) {
        lua_pushinteger(L, job(argument));
        return 1;
    }
    resolua_thread_t *thread = resolua_thread_checked(L);
    ngx_thread_pool_t *pool =
        ngx_thread_pool_get((ngx_cycle_t *) ngx_cycle, &pool_name);
    ngx_thread_task_t *task =
        pool != NULL ? task_new(L, job, argument, 2) : NULL;
    if (task == NULL) {
        return luaL_error(L, "no memory");
    }
    work_t *work = task->ctx;
    if (ngx_thread_task_post(pool, task) != NGX_OK) {
        luaL_unref(L, LUA_REGISTRYINDEX, work->ref);
        ngx_free(task);
        return luaL_error(L, "the thread pool's queue is full");
    }
    resolua_wait_begin();
    work->thread = thread;
    return resolua_thread_sleep(work->thread, forget_thread, work);
}
