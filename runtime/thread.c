/* The scheduler.  resume and yield of user coroutines go through go_on(), so
   that a sleep in the innermost returns to nginx. */

#include "runtime/private/thread.h"
#include "runtime/private/api.h"
#include "runtime/run.h"
#include "runtime/vm.h"
#include "runtime/wait.h"

enum { FREE_MAX = 1024 }; /* unless the configuration says otherwise */

/* Coroutines for the next chunks; of one VM. */
static resolua_thread_t *free_entries;
static ngx_uint_t free_count;
static ngx_uint_t free_max = FREE_MAX;
static const lua_State *free_vm;

void
resolua_thread_limit(ngx_int_t cached)
{
    free_max = cached < 0 ? FREE_MAX : (ngx_uint_t) cached;
}


/* Phases that others of the same kind may follow. */
enum {
    DECLINABLE = RESOLUA_SERVER_REWRITE | RESOLUA_REWRITE | RESOLUA_ACCESS |
                 RESOLUA_PRECONTENT | RESOLUA_PREREAD
};


resolua_thread_t *
resolua_thread(lua_State *L)
{
    resolua_thread_t *t = lua_getexdata(L);
    if (t == NULL) {
        luaL_error(L, "API disabled in the context of %s",
                   resolua_phase_directive(resolua_running != NULL
                                               ? resolua_running->phase
                                               : resolua_vm_phase));
    }
    return t;
}


lua_State *
resolua_thread_state(resolua_thread_t *t)
{
    return t->L;
}


resolua_request_t *
resolua_thread_request(resolua_thread_t *t)
{
    return t->request;
}


int
resolua_thread_sleep(resolua_thread_t *t, void (*cancel)(void *), void *data)
{
    t->op = OP_SLEEP;
    t->cancel = cancel;
    t->cancel_data = data;
    return lua_yield(t->L, 0);
}


void
resolua_thread_pin(resolua_thread_t *t)
{
    t->is_pinned = 1;
}


static void
thread_link(resolua_thread_t *t, resolua_request_t *r)
{
    t->request = r;
    t->next = r->threads;
    t->link = &r->threads;
    if (t->next != NULL) {
        t->next->link = &t->next;
    }
    r->threads = t;
}


void
thread_free(resolua_thread_t *t, resolua_thread_t *as)
{
    *t->link = t->next;
    if (t->next != NULL) {
        t->next->link = t->link;
    }
    lua_setexdata(t->L, as);
    luaL_unref(resolua_vm, LUA_REGISTRYINDEX, t->ref);
    ngx_free(t);
}


resolua_thread_t *
thread_new(lua_State *L, resolua_request_t *r)
{
    resolua_thread_t *t = ngx_calloc(sizeof(*t), r->log);
    if (t == NULL) {
        return NULL;
    }
    t->L = lua_newthread(L);
    lua_setexdata(t->L, t);
    lua_pushvalue(L, -1);
    t->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    thread_link(t, r);
    return t;
}


/* A coroutine for a chunk, recycled where there is one. */
static resolua_thread_t *
entry_new(resolua_request_t *r)
{
    resolua_thread_t *t = free_entries;
    if (t != NULL && free_vm == resolua_vm) {
        free_entries = t->next;
        free_count--;
        thread_link(t, r);
        return t;
    }
    t = thread_new(resolua_vm, r);
    if (t != NULL) {
        lua_pop(resolua_vm, 1);
    }
    return t;
}


/* A chunk that has returned leaves its coroutine for the next. */
static ngx_uint_t
entry_keep(resolua_thread_t *t)
{
    const int ref = t->ref;
    lua_State *L = t->L;
    if (free_vm != resolua_vm) { /* those of an older VM went with it */
        free_vm = resolua_vm;
        free_entries = NULL;
        free_count = 0;
    }
    if (!t->has_returned || free_count >= free_max) {
        return 0;
    }
    lua_settop(L, 0);
    ngx_memzero(t, sizeof(*t));
    t->L = L;
    t->ref = ref;
    t->next = free_entries;
    free_entries = t;
    free_count++;
    return 1;
}


void
resolua_run_abort(resolua_request_t *r)
{
    if (r->resuming) {
        r->aborted = 1;
        return;
    }
    r->aborted = 0;
    while (r->threads != NULL) {
        resolua_thread_t *t = r->threads;
        if (t->cancel != NULL) {
            t->cancel(t->cancel_data);
        }
        resolua_thread_t *next = t->next;
        if (!entry_keep(t)) {
            thread_free(t, NULL);
            continue;
        }
        r->threads = next;
        if (next != NULL) {
            next->link = &r->threads;
        }
    }
    r->entry = NULL;
    r->on_abort = NULL;
    r->live = 0;
    r->entry_ended = 0;
}


void
thread_log_error(const resolua_thread_t *t, const char *what)
{
    lua_State *L = resolua_vm;
    const char *text = lua_tostring(t->L, -1);
    luaL_traceback(L, t->L, text != NULL ? text : "unknown reason", 0);
    ngx_log_error(NGX_LOG_ERR, t->request->log, 0,
                  "lua %s thread aborted: runtime error: %s", what,
                  lua_tostring(L, -1));
    lua_pop(L, 1);
}


/* A child has ended or yielded: its values go to the parent.  Returns how
   many the parent's resume gives, or -1 when it must raise (wrap). */
static int
give_back(resolua_thread_t *t, int rc)
{
    resolua_thread_t *parent = t->parent;
    const int failed = rc != 0 && rc != LUA_YIELD;
    const int n = failed ? 1 : lua_gettop(t->L);
    t->done = rc != LUA_YIELD;
    t->parent = NULL;
    lua_pushboolean(parent->L, !failed);
    if (!lua_checkstack(parent->L, n + 1)) {
        lua_settop(t->L, 0);
        return 1;
    }
    lua_xmove(t->L, parent->L, n);
    return n + 1;
}


/* Runs t and whatever it resumes, till the entry ends or all sleep. */
static ngx_int_t
go_on(resolua_thread_t *t, int nargs)
{
    resolua_request_t *r = t->request;
    resolua_request_t *before = resolua_running;
    ngx_int_t result = NGX_AGAIN;

    resolua_running = r;
    while (result == NGX_AGAIN) {
        t->op = OP_NONE;
        const unsigned resuming = r->resuming;
        r->resuming = 1;
        const int rc = lua_resume(t->L, nargs);
        r->resuming = resuming;
        if (r->aborted) {
            result = NGX_ERROR;
            break;
        }
        if (rc == LUA_YIELD && t->op == OP_SLEEP) {
            resolua_running = before;
            return NGX_AGAIN;
        }
        if (rc == LUA_YIELD && t->op == OP_EXIT) {
            result = r->exit_code;
        } else if (rc == LUA_YIELD && t->op == OP_RESUME) {
            nargs = lua_gettop(t->L);
            t->target->parent = t;
            lua_xmove(t->L, t->target->L, nargs);
            t = t->target;
        } else if (rc == LUA_YIELD && t->op == OP_SPAWN) {
            lua_rawgeti(t->L, LUA_REGISTRYINDEX, t->target->ref);
            result = go_on(t->target, t->target_args);
            if (result != NGX_AGAIN) { /* it has ended the request's run */
                resolua_running = before;
                return result;
            }
            nargs = 1; /* the light thread, which may have ended */
        } else if (t->parent != NULL) {
            resolua_thread_t *parent = t->parent;
            nargs = give_back(t, rc);
            if (t->done) {
                thread_free(t, NULL);
            }
            t = parent;
        } else if (t->is_light && rc != LUA_YIELD) {
            t = light_ended(t, rc, &nargs);
            if (t == NULL && (!r->entry_ended || r->live > 0)) {
                resolua_running = before;
                return NGX_AGAIN;
            }
            result = t == NULL ? r->entry_rc : NGX_AGAIN;
        } else if (rc == 0) {
            if (r->host->results != NULL) {
                r->host->results(r, t->L);
            }
            t->has_returned = 1;
            if (r->live > 0) { /* light threads go on */
                r->entry_ended = 1;
                r->entry_rc = NGX_OK;
                resolua_running = before;
                return NGX_AGAIN;
            }
            result = NGX_OK;
        } else if (rc == LUA_YIELD) {
            lua_settop(t->L, 0);
            thread_yield(t);
            resolua_running = before;
            return NGX_AGAIN;
        } else {
            thread_log_error(t, "entry");
            result = NGX_ERROR;
        }
    }
    resolua_running = before;
    resolua_run_abort(r);
    return result;
}


void
resolua_thread_wake(resolua_thread_t *t, int nresults)
{
    resolua_request_t *r = t->request;
    const resolua_host_t *host = r->host;
    void *owner = r->owner;
    t->cancel = NULL;
    t->is_pinned = 0;
    const ngx_int_t rc = go_on(t, nresults);
    if (rc != NGX_AGAIN && host->resumed != NULL) {
        host->resumed(r, rc);
    }
    if (host->settle != NULL) {
        host->settle(owner);
    }
}


ngx_int_t
resolua_run_function(resolua_request_t *r, int nargs, ngx_uint_t phase)
{
    resolua_thread_t *t = entry_new(r);
    if (t == NULL) {
        lua_pop(resolua_vm, nargs + 1);
        return NGX_ERROR;
    }
    lua_xmove(resolua_vm, t->L, nargs + 1);
    r->phase = phase;
    r->entry = t;
    r->exited = 0;
    return go_on(t, nargs);
}


ngx_int_t
resolua_run(resolua_request_t *r, resolua_code_t *code, ngx_uint_t phase)
{
    if (resolua_code_push(resolua_vm, code) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->log, 0, "failed to load Lua code: %s",
                      lua_tostring(resolua_vm, -1));
        lua_pop(resolua_vm, 1);
        return NGX_ERROR;
    }
    return resolua_run_function(r, 0, phase);
}


static int
traceback(lua_State *L)
{
    if (lua_isstring(L, 1)) {
        luaL_traceback(L, L, lua_tostring(L, 1), 1);
    }
    return 1;
}


/* Calls the function below nargs arguments; leaves its results or nothing. */
static ngx_int_t
call_sync(resolua_request_t *r, int nargs, ngx_uint_t phase, int nresults)
{
    lua_State *L = resolua_vm;
    const int base = lua_gettop(L) - nargs;
    lua_pushcfunction(L, traceback);
    lua_insert(L, base);
    if (lua_pcall(L, nargs, nresults, base) == 0) {
        lua_remove(L, base);
        return NGX_OK;
    }
    if (r == NULL || !r->exited) {
        ngx_log_error(NGX_LOG_ERR, r != NULL ? r->log : ngx_cycle->log, 0,
                      "failed to run %s: %s", resolua_phase_directive(phase),
                      lua_tostring(L, -1));
    }
    lua_settop(L, base - 1);
    return r != NULL && r->exited ? r->exit_code : NGX_ERROR;
}


ngx_int_t
resolua_run_function_sync(resolua_request_t *r, int nargs, ngx_uint_t phase,
                          int nresults)
{
    resolua_request_t *before = resolua_running;
    ngx_uint_t *running_phase = r != NULL ? &r->phase : &resolua_vm_phase;
    const ngx_uint_t phase_before = *running_phase;
    const unsigned exited = r != NULL && r->exited;
    const ngx_int_t exit_code = r != NULL ? r->exit_code : 0;

    resolua_running = r;
    *running_phase = phase;
    if (r != NULL) {
        r->exited = 0;
    }
    const ngx_int_t rc = call_sync(r, nargs, phase, nresults);
    if (r != NULL) {
        r->exited = exited;
        r->exit_code = exit_code;
    }
    resolua_running = before;
    *running_phase = phase_before;
    return rc;
}


ngx_int_t
resolua_run_sync(resolua_request_t *r, resolua_code_t *code, ngx_uint_t phase,
                 int nresults)
{
    lua_State *L = resolua_vm;
    if (resolua_code_push(L, code) == NGX_OK) {
        return resolua_run_function_sync(r, 0, phase, nresults);
    }
    ngx_log_error(NGX_LOG_ERR, r != NULL ? r->log : ngx_cycle->log, 0,
                  "failed to load Lua code: %s", lua_tostring(L, -1));
    lua_pop(L, 1);
    return NGX_ERROR;
}


/* The request may end with what runs for it: its connection is closed. */
static int
ends_everything(ngx_int_t code)
{
    enum { REQUEST_TIMEOUT = 408, CLOSE = 444, CLIENT_CLOSED = 499 };
    return code < NGX_OK || code == REQUEST_TIMEOUT || code == CLOSE ||
           code == CLIENT_CLOSED;
}


static int
has_pinned(const resolua_request_t *r)
{
    for (const resolua_thread_t *t = r->threads; t != NULL; t = t->next) {
        if (t->is_pinned) {
            return 1;
        }
    }
    return 0;
}


void
resolua_run_check_exit(lua_State *L, ngx_int_t code)
{
    if (lua_getexdata(L) != NULL && !ends_everything(code) &&
        has_pinned(resolua_request(L))) {
        luaL_error(L, "attempt to abort with pending subrequests");
    }
}


int
resolua_run_exit(lua_State *L, ngx_int_t code)
{
    resolua_request_t *r = resolua_request(L);
    resolua_thread_t *t = lua_getexdata(L);
    resolua_run_check_exit(L, code);
    const ngx_uint_t declines = code == NGX_DECLINED && (r->phase & DECLINABLE);
    r->exit_code =
        code < NGX_OK && !declines ? NGX_ERROR : code; /* never NGX_AGAIN */
    r->exited = 1;
    if (t == NULL) {
        lua_pushnil(L);
        return lua_error(L);
    }
    t->op = OP_EXIT;
    return lua_yield(L, 0);
}


/* ngx.exit(code) */
static int
thread_exit(lua_State *L)
{
    return resolua_run_exit(L, (ngx_int_t) luaL_checkinteger(L, 1));
}


/* coroutine.create(f): upvalue 1 is LuaJIT's own. */
static int
co_create(lua_State *L)
{
    resolua_thread_t *t = lua_getexdata(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (t == NULL) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_insert(L, 1);
        lua_call(L, 1, 1);
        return 1;
    }
    resolua_thread_t *child = thread_new(L, t->request);
    if (child == NULL) {
        return luaL_error(L, "no memory");
    }
    lua_pushvalue(L, 1);
    lua_xmove(L, child->L, 1);
    return 1;
}


static int
co_resume(lua_State *L)
{
    resolua_thread_t *t = lua_getexdata(L);
    lua_State *co = lua_tothread(L, 1);
    luaL_argcheck(L, co != NULL, 1, "coroutine expected");
    resolua_thread_t *child = lua_getexdata(co);
    if (t == NULL) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_insert(L, 1);
        lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
        return lua_gettop(L);
    }
    if (child == NULL || child->done || child->parent != NULL ||
        child->is_light || child->request->entry == child) {
        lua_pushboolean(L, 0);
        lua_pushfstring(L, "cannot resume %s coroutine",
                        child == NULL || child->done ? "dead" : "running");
        return 2;
    }
    lua_remove(L, 1);
    t->op = OP_RESUME;
    t->target = child;
    return lua_yield(L, lua_gettop(L));
}


static int
co_status(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argcheck(L, co != NULL, 1, "coroutine expected");
    const resolua_thread_t *t = lua_getexdata(co);
    if (lua_getexdata(L) == NULL || t == NULL) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_insert(L, 1);
        lua_call(L, 1, 1);
        return 1;
    }
    lua_pushstring(
        L, t->done   ? (t->is_light && !t->is_collected ? "zombie" : "dead")
           : co == L ? "running"
           : t->parent || t->request->entry == t ? "normal"
                                                 : "suspended");
    return 1;
}


static const char wrap_source[] =
    "local create, resume, error = coroutine.create, coroutine.resume, error\n"
    "local function check(ok, ...)\n"
    "    if not ok then error((...), 0) end\n"
    "    return ...\n"
    "end\n"
    "function coroutine.wrap(f)\n"
    "    local co = create(f)\n"
    "    return function(...) return check(resume(co, ...)) end\n"
    "end\n";


static void
replace(lua_State *L, const char *name, lua_CFunction function)
{
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, -2, name);
}


void
resolua_thread_setup(lua_State *L)
{
    lua_pushcfunction(L, thread_exit);
    lua_setfield(L, -2, "exit");
    lua_getglobal(L, "coroutine");
    replace(L, "create", co_create);
    replace(L, "resume", co_resume);
    replace(L, "status", co_status);
    lua_pop(L, 1);
    if (luaL_loadbuffer(L, wrap_source, sizeof(wrap_source) - 1,
                        "=coroutine") != 0 ||
        lua_pcall(L, 0, 0, 0) != 0) {
        lua_pop(L, 1);
    }
}
