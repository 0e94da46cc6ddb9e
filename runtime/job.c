#include "runtime/job.h"

#include <ngx_thread_pool.h>

#include "runtime/vm.h"
#include "runtime/wait.h"

enum {
    LUA_TCDATA = 10,  /* LuaJIT's, in no header of its own */
    OWNERS_MAX = 64,  /* whose work is under way at once */
    WAIT_MAX = 10000, /* ms that work waits for others of its owner */
};

typedef int (*job_pt)(void *argument);

typedef struct {
    job_pt job;
    void *argument;
    int result;
    int ref;                  /* keeps the argument */
    int owner_ref;            /* keeps what owns it */
    resolua_thread_t *thread; /* NULL: its request has ended */
    struct owner_s *owner;    /* NULL: none */
    ngx_queue_t queue;        /* while it waits */
    ngx_event_t timer;
} work_t;

/* Who has one thread at most: a server that does not answer costs its own store
   a thread, and nobody else. */
typedef struct owner_s {
    const void *key; /* NULL: free */
    ngx_queue_t waiting;
} owner_t;

static owner_t owners[OWNERS_MAX];

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


static ngx_thread_task_t *
task_of(work_t *work)
{
    return (ngx_thread_task_t *) work - 1;
}


static ngx_int_t
post(work_t *work)
{
    ngx_thread_pool_t *pool =
        ngx_thread_pool_get((ngx_cycle_t *) ngx_cycle, &pool_name);
    return pool != NULL ? ngx_thread_task_post(pool, task_of(work)) : NGX_ERROR;
}


static void
work_free(work_t *work)
{
    luaL_unref(resolua_vm, LUA_REGISTRYINDEX, work->ref);
    luaL_unref(resolua_vm, LUA_REGISTRYINDEX, work->owner_ref);
    if (work->timer.timer_set) {
        ngx_del_timer(&work->timer);
    }
    ngx_free(task_of(work));
}


/* The work is over; is_done: there is a result, else nil is told. */
static void
end_work(work_t *work, ngx_uint_t is_done)
{
    resolua_thread_t *thread = work->thread;
    const int result = work->result;
    work_free(work);
    resolua_wait_end();
    if (thread == NULL) {
        return;
    }
    lua_State *L = resolua_thread_state(thread);
    if (is_done) {
        lua_pushinteger(L, result);
    } else {
        lua_pushnil(L);
    }
    resolua_thread_wake(thread, 1);
}


/* Its owner's next work. */
static void
go_on(owner_t *owner)
{
    while (!ngx_queue_empty(&owner->waiting)) {
        work_t *work =
            ngx_queue_data(ngx_queue_head(&owner->waiting), work_t, queue);
        ngx_queue_remove(&work->queue);
        if (work->timer.timer_set) {
            ngx_del_timer(&work->timer);
        }
        if (post(work) == NGX_OK) {
            return;
        }
        end_work(work, 0);
    }
    owner->key = NULL;
}


static void
on_done(ngx_event_t *ev)
{
    ngx_thread_task_t *task = ev->data;
    work_t *work = task->ctx;
    owner_t *owner = work->owner;
    if (owner != NULL) {
        go_on(owner);
    }
    end_work(work, 1);
}


static void
on_waited_long(ngx_event_t *ev)
{
    work_t *work = ev->data;
    ngx_queue_remove(&work->queue);
    end_work(work, 0);
}


/* Nobody waits any more: what has not begun does not begin. */
static void
drop_waiting(void *data)
{
    work_t *work = data;
    if (work->timer.timer_set) {
        ngx_queue_remove(&work->queue);
        work->thread = NULL;
        end_work(work, 0);
    } else {
        work->thread = NULL;
    }
}


/* The owner with the key, or a free place for it; NULL: there is none. */
static owner_t *
find_owner(const void *key)
{
    owner_t *found = NULL;
    for (ngx_uint_t i = 0; i < OWNERS_MAX; i++) {
        if (owners[i].key == key) {
            return &owners[i];
        }
        if (owners[i].key == NULL && found == NULL) {
            found = &owners[i];
        }
    }
    return found;
}


/* Begins the work, or lets it wait for others of its owner. */
static ngx_int_t
begin_work(work_t *work, const void *key)
{
    work->owner = key != NULL ? find_owner(key) : NULL;
    if (work->owner == NULL) {
        return post(work);
    }
    if (work->owner->key == NULL) {
        ngx_queue_init(&work->owner->waiting);
        if (post(work) != NGX_OK) {
            return NGX_ERROR;
        }
        work->owner->key = key;
        return NGX_OK;
    }
    ngx_queue_insert_tail(&work->owner->waiting, &work->queue);
    ngx_add_timer(&work->timer, WAIT_MAX);
    return NGX_OK;
}


static int
keep(lua_State *L, int arg)
{
    lua_pushvalue(L, arg);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}


/* (job, argument, owner) */
static work_t *
work_new(lua_State *L, job_pt job)
{
    ngx_thread_task_t *task =
        ngx_calloc(sizeof(*task) + sizeof(work_t), ngx_cycle->log);
    if (task == NULL) {
        return NULL;
    }
    work_t *work = (work_t *) (task + 1);
    work->job = job;
    work->argument = check_pointer(L, 2);
    work->ref = keep(L, 2);
    work->owner_ref = keep(L, 3);
    work->timer.handler = on_waited_long;
    work->timer.data = work;
    work->timer.log = ngx_cycle->log;
    task->ctx = work;
    task->handler = do_work;
    task->event.handler = on_done;
    task->event.data = task;
    task->event.log = ngx_cycle->log;
    return work;
}


int
resolua_job_run(lua_State *L)
{
    job_pt job;
    lua_settop(L, 3);
    void *address = check_pointer(L, 1);
    void *argument = check_pointer(L, 2);
    const void *owner = check_pointer(L, 3);
    luaL_argcheck(L, address != NULL, 1, "function expected");
    ngx_memcpy(&job, &address, sizeof(job));
    if (lua_getexdata(L) == NULL) {
        lua_pushinteger(L, job(argument));
        return 1;
    }
    work_t *work = work_new(L, job);
    if (work == NULL) {
        return luaL_error(L, "no memory");
    }
    if (begin_work(work, owner) != NGX_OK) {
        work_free(work);
        return luaL_error(L, "the thread pool's queue is full");
    }
    resolua_wait_begin();
    work->thread = resolua_thread(L);
    return resolua_thread_sleep(work->thread, drop_waiting, work);
}
