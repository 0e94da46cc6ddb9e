/* require "ngx.semaphore": counts that coroutines of any request wait for. */

#include <ngx_event.h>

#include "runtime/private/api.h"
#include "runtime/private/tcp.h"
#include "runtime/vm.h"
#include "runtime/wait.h"

typedef struct {
    lua_Integer count;
    ngx_queue_t waiting; /* wait_t */
    ngx_event_t event;   /* somebody may go on */
    int ref;             /* keeps it while the event is posted */
} semaphore_t;

/* One that waits; freed when it does no more. */
typedef struct {
    ngx_queue_t queue;
    ngx_event_t timer;
    resolua_thread_t *thread;
} wait_t;

static const char metatable[] = "resolua.semaphore";


static void
end_wait(wait_t *w)
{
    if (w->timer.timer_set) {
        ngx_del_timer(&w->timer);
    }
    ngx_queue_remove(&w->queue);
    ngx_free(w);
}


static void
on_cancel(void *data)
{
    end_wait(data);
}


/* Both results are there: scripts put what follows behind them. */
static int
push_success(lua_State *L)
{
    lua_pushboolean(L, 1);
    lua_pushnil(L);
    return 2;
}


/* After a wait it is false; where nobody waited, nil: scripts know both. */
static int
push_timeout(lua_State *L)
{
    lua_pushboolean(L, 0);
    lua_pushliteral(L, "timeout");
    return 2;
}


static void
on_timeout(ngx_event_t *ev)
{
    wait_t *w = ev->data;
    resolua_thread_t *t = w->thread;
    end_wait(w);
    resolua_thread_wake(t, push_timeout(resolua_thread_state(t)));
}


/* Those for whom there is something go on. */
static void
on_post(ngx_event_t *ev)
{
    semaphore_t *s = ev->data;
    while (s->count > 0 && !ngx_queue_empty(&s->waiting)) {
        ngx_queue_t *first = ngx_queue_head(&s->waiting);
        wait_t *w = ngx_queue_data(first, wait_t, queue);
        resolua_thread_t *t = w->thread;
        s->count--;
        end_wait(w);
        resolua_thread_wake(t, push_success(resolua_thread_state(t)));
    }
    luaL_unref(resolua_vm, LUA_REGISTRYINDEX, s->ref);
    s->ref = LUA_NOREF;
}


static semaphore_t *
check(lua_State *L)
{
    return luaL_checkudata(L, 1, metatable);
}


/* semaphore.new(n?) */
static int
semaphore_new(lua_State *L)
{
    const lua_Integer count = luaL_optinteger(L, 1, 0);
    if (count < 0) {
        return luaL_error(L, "no negative number");
    }
    semaphore_t *s = lua_newuserdata(L, sizeof(*s));
    ngx_memzero(s, sizeof(*s));
    s->count = count;
    s->ref = LUA_NOREF;
    ngx_queue_init(&s->waiting);
    s->event.handler = on_post;
    s->event.data = s;
    s->event.log = ngx_cycle->log;
    luaL_getmetatable(L, metatable);
    lua_setmetatable(L, -2);
    return 1;
}


/* s:post(n?) */
static int
semaphore_post(lua_State *L)
{
    semaphore_t *s = check(L);
    const lua_Integer count = luaL_optinteger(L, 2, 1);
    if (count < 1) {
        return luaL_error(L, "positive number required");
    }
    s->count += count;
    if (!ngx_queue_empty(&s->waiting) && !s->event.posted) {
        lua_pushvalue(L, 1);
        s->ref = luaL_ref(L, LUA_REGISTRYINDEX);
        ngx_post_event(&s->event, &ngx_posted_events);
    }
    lua_pushboolean(L, 1);
    return 1;
}


/* s:wait(seconds) */
static int
semaphore_wait(lua_State *L)
{
    semaphore_t *s = check(L);
    const lua_Number seconds = luaL_checknumber(L, 2);
    if (seconds < 0) {
        return luaL_error(L, "no negative number");
    }
    luaL_argcheck(L, seconds < 2e9, 2, "bad timeout");
    if (s->count > 0 && ngx_queue_empty(&s->waiting)) {
        s->count--;
        return push_success(L);
    }
    resolua_check_phase(L, RESOLUA_SOCKET_PHASES);
    if (seconds == 0) {
        return resolua_fail(L, "timeout");
    }
    wait_t *w = ngx_calloc(sizeof(*w), ngx_cycle->log);
    if (w == NULL) {
        return luaL_error(L, "no memory");
    }
    w->thread = resolua_thread(L);
    w->timer.handler = on_timeout;
    w->timer.data = w;
    w->timer.log = ngx_cycle->log;
    ngx_add_timer(&w->timer, (ngx_msec_t) (seconds * 1000));
    ngx_queue_insert_tail(&s->waiting, &w->queue);
    return resolua_thread_sleep(w->thread, on_cancel, w);
}


/* s:count(): what is there, less those that wait. */
static int
semaphore_count(lua_State *L)
{
    const semaphore_t *s = check(L);
    lua_Integer count = s->count;
    for (ngx_queue_t *q = ngx_queue_head(&s->waiting);
         q != ngx_queue_sentinel(&s->waiting); q = ngx_queue_next(q)) {
        count--;
    }
    lua_pushinteger(L, count);
    return 1;
}


static int
open_module(lua_State *L)
{
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, semaphore_new);
    lua_setfield(L, -2, "new");
    lua_pushliteral(L, "1");
    lua_setfield(L, -2, "version");
    return 1;
}


void
resolua_semaphore_setup(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"post", semaphore_post},
        {"wait", semaphore_wait},
        {"count", semaphore_count},
        {NULL, NULL},
    };
    luaL_newmetatable(L, metatable);
    lua_newtable(L);
    luaL_register(L, NULL, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    resolua_vm_preload(L, "ngx.semaphore", open_module);
}
