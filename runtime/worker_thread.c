/* ngx.run_worker_thread: a function of a module runs on a thread of one of
   nginx's pools, in a VM that only this thread uses then.  Values are copied
   from one VM into the other while the thread has not begun or has ended, so
   nothing here needs a lock. */

#include <ngx_thread_pool.h>

#include "runtime/conf.h"
#include "runtime/private/api.h"
#include "runtime/vm.h"
#include "runtime/wait.h"

enum {
    VM_POOL_SIZE = 10, /* unless lua_worker_thread_vm_pool_size is given */
    DEPTH_MAX = 100,   /* of tables in tables; an endless one is refused */
};

typedef struct idle_vm_s idle_vm_t;
struct idle_vm_s {
    lua_State *L; /* owned */
    idle_vm_t *next;
};

typedef struct {
    idle_vm_t *vm;
    int rc;                   /* of lua_pcall */
    resolua_thread_t *thread; /* NULL: its request has ended */
} work_t;

static idle_vm_t *idle;
static ngx_uint_t vms;

/* At index 1 of each VM. */
static const char trampoline[] =
    "local pcall, require, type, error = pcall, require, type, error\n"
    "return function(module, name, ...)\n"
    "    local ok, loaded = pcall(require, module)\n"
    "    if not ok then error(loaded, 0) end\n"
    "    local f = type(loaded) == 'table' and loaded[name]\n"
    "    if type(f) ~= 'function' then\n"
    "        error(('no function \"%s\" in module \"%s\"'):format(name,\n"
    "            module), 0)\n"
    "    end\n"
    "    return f(...)\n"
    "end\n";


/* For Lua's own use: it is gone with the next call. */
static const char *
unsupported(lua_State *from, int at)
{
    static char text[64];
    static const char *const names[] = {
        [LUA_TFUNCTION] = "LUA_TFUNCTION",
        [LUA_TUSERDATA] = "LUA_TUSERDATA",
        [LUA_TTHREAD] = "LUA_TTHREAD",
    };
    const int type = lua_type(from, at);
    const ngx_uint_t is_named =
        type > 0 && type <= LUA_TTHREAD && names[type] != NULL;
    *ngx_snprintf((u_char *) text, sizeof(text) - 1, "unsupported Lua type: %s",
                  is_named ? names[type] : "cdata") = 0;
    return text;
}


static const char *copy_value(lua_State *from, int at, lua_State *to,
                              int depth);

static const char *
copy_table(lua_State *from, int at, lua_State *to, int depth)
{
    if (depth == DEPTH_MAX || !lua_checkstack(from, 3) ||
        !lua_checkstack(to, 3)) {
        return "table is nested too deep";
    }
    lua_createtable(to, (int) lua_objlen(from, at), 0);
    lua_pushnil(from);
    while (lua_next(from, at) != 0) {
        const int key = lua_gettop(from) - 1;
        const char *wrong = copy_value(from, key, to, depth + 1);
        if (wrong == NULL) {
            wrong = copy_value(from, key + 1, to, depth + 1);
        }
        if (wrong != NULL) {
            return wrong;
        }
        lua_rawset(to, -3);
        lua_pop(from, 1);
    }
    return NULL;
}


/* The value at an absolute index, onto the other stack.  A reason why not
   leaves both stacks as they are then. */
static const char *
copy_value(lua_State *from, int at, lua_State *to, int depth)
{
    size_t size;
    const char *text;
    switch (lua_type(from, at)) {
    case LUA_TNIL:
        lua_pushnil(to);
        return NULL;
    case LUA_TBOOLEAN:
        lua_pushboolean(to, lua_toboolean(from, at));
        return NULL;
    case LUA_TNUMBER:
        lua_pushnumber(to, lua_tonumber(from, at));
        return NULL;
    case LUA_TSTRING:
        text = lua_tolstring(from, at, &size);
        lua_pushlstring(to, text, size);
        return NULL;
    case LUA_TLIGHTUSERDATA: /* ngx.null */
        lua_pushlightuserdata(to, lua_touserdata(from, at));
        return NULL;
    case LUA_TTABLE:
        return copy_table(from, at, to, depth);
    default:
        return unsupported(from, at);
    }
}


static const char *
copy_values(lua_State *from, int first, lua_State *to)
{
    const int last = lua_gettop(from);
    if (!lua_checkstack(to, last - first + 3)) {
        return "too many values";
    }
    for (int i = first; i <= last; i++) {
        const char *wrong = copy_value(from, i, to, 0);
        if (wrong != NULL) {
            lua_settop(from, last);
            return wrong;
        }
    }
    return NULL;
}


static idle_vm_t *
vm_new(void)
{
    const resolua_core_conf_t *conf =
        resolua_core_conf((ngx_cycle_t *) ngx_cycle);
    idle_vm_t *vm = ngx_calloc(sizeof(*vm), ngx_cycle->log);
    if (vm == NULL) {
        return NULL;
    }
    vm->L = resolua_vm_new_for_thread((ngx_cycle_t *) ngx_cycle, &conf->path,
                                      &conf->cpath);
    if (vm->L == NULL ||
        luaL_loadbuffer(vm->L, trampoline, sizeof(trampoline) - 1,
                        "=run_worker_thread") != 0 ||
        lua_pcall(vm->L, 0, 1, 0) != 0) {
        if (vm->L != NULL) {
            lua_close(vm->L);
        }
        ngx_free(vm);
        return NULL;
    }
    vms++;
    return vm;
}


static idle_vm_t *
vm_take(void)
{
    const ssize_t max =
        resolua_core_conf((ngx_cycle_t *) ngx_cycle)->thread_vms;
    idle_vm_t *vm = idle;
    if (vm != NULL) {
        idle = vm->next;
        return vm;
    }
    return vms < (ngx_uint_t) (max < 0 ? VM_POOL_SIZE : max) ? vm_new() : NULL;
}


static void
vm_return(idle_vm_t *vm)
{
    lua_settop(vm->L, 1);
    vm->next = idle;
    idle = vm;
}


void
resolua_worker_thread_exit(void)
{
    while (idle != NULL) {
        idle_vm_t *vm = idle;
        idle = vm->next;
        lua_close(vm->L);
        ngx_free(vm);
        vms--;
    }
}


/* On the other thread. */
static void
do_work(void *data, ngx_log_t *log)
{
    work_t *work = data;
    lua_State *L = work->vm->L;
    (void) log;
    resolua_vm_phase = RESOLUA_WORKER_THREAD;
    work->rc = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
}


/* true and the results, or false and the reason. */
static int
push_results(lua_State *L, const work_t *work)
{
    const int top = lua_gettop(L);
    lua_pushboolean(L, work->rc == 0);
    const char *wrong = copy_values(work->vm->L, 2, L);
    if (wrong != NULL) {
        lua_settop(L, top);
        lua_pushboolean(L, 0);
        lua_pushfstring(L, "%s in the return value", wrong);
    }
    return lua_gettop(L) - top;
}


static void
on_done(ngx_event_t *ev)
{
    ngx_thread_task_t *task = ev->data;
    const work_t work = *(const work_t *) task->ctx;
    int count = 0;
    ngx_free(task);
    resolua_wait_end();
    if (work.thread != NULL) {
        count = push_results(resolua_thread_state(work.thread), &work);
    }
    vm_return(work.vm);
    if (work.thread != NULL) {
        resolua_thread_wake(work.thread, count);
    }
}


static void
forget_thread(void *data)
{
    work_t *work = data;
    work->thread = NULL;
}


/* Its function, the names and arguments are on the VM's stack. */
static work_t *
post(ngx_thread_pool_t *pool, idle_vm_t *vm)
{
    ngx_thread_task_t *task =
        ngx_calloc(sizeof(*task) + sizeof(work_t), ngx_cycle->log);
    if (task == NULL) {
        return NULL;
    }
    work_t *work = (work_t *) (task + 1);
    work->vm = vm;
    task->ctx = work;
    task->handler = do_work;
    task->event.handler = on_done;
    task->event.data = task;
    task->event.log = ngx_cycle->log;
    if (ngx_thread_task_post(pool, task) != NGX_OK) {
        ngx_free(task);
        return NULL;
    }
    resolua_wait_begin();
    return work;
}


static int
fail(lua_State *L, const char *reason)
{
    lua_pushboolean(L, 0);
    lua_pushstring(L, reason);
    return 2;
}


/* ngx.run_worker_thread(pool, module, function, ...) */
static int
run(lua_State *L)
{
    ngx_str_t name;
    if (lua_gettop(L) < 3) {
        return fail(L, "expecting at least 3 arguments");
    }
    name.data = (u_char *) luaL_checklstring(L, 1, &name.len);
    luaL_checkstring(L, 2);
    luaL_checkstring(L, 3);
    resolua_thread_t *t = resolua_thread_checked(L);
    ngx_thread_pool_t *pool =
        ngx_thread_pool_get((ngx_cycle_t *) ngx_cycle, &name);
    if (pool == NULL) {
        lua_pushboolean(L, 0);
        lua_pushfstring(L, "thread pool %s not found", (char *) name.data);
        return 2;
    }
    idle_vm_t *vm = vm_take();
    if (vm == NULL) {
        return fail(L, "no available Lua vm");
    }
    lua_pushvalue(vm->L, 1);
    const char *wrong = copy_values(L, 2, vm->L);
    work_t *work = wrong == NULL ? post(pool, vm) : NULL;
    if (work == NULL) {
        vm_return(vm);
        lua_pushboolean(L, 0);
        if (wrong != NULL) {
            lua_pushfstring(L, "%s in the argument", wrong);
        } else {
            lua_pushliteral(L, "ngx_thread_task_post failed");
        }
        return 2;
    }
    work->thread = t;
    return resolua_thread_sleep(t, forget_thread, work);
}


void
resolua_worker_thread_setup(lua_State *L)
{
    lua_pushcfunction(L, run);
    lua_setfield(L, -2, "run_worker_thread");
}
