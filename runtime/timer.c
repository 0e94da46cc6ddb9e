/* ngx.sleep and ngx.timer.at: a timer's callback runs as a request of its own
   with nothing but a pool. */

#include <ngx_event.h>

#include "runtime/private/api.h"
#include "runtime/run.h"
#include "runtime/vm.h"
#include "runtime/wait.h"

enum {
    TIMER_POOL_SIZE = 512, /* octets */
    PENDING_MAX = 1024,    /* unless the configuration says otherwise */
    RUNNING_MAX = 256
};

typedef struct {
    ngx_event_t event;
    resolua_request_t request;
    int ref; /* {function, arguments...} */
    int nargs;
    ngx_msec_t every; /* 0: once */
} lua_timer_t;

static ngx_uint_t pending;
static ngx_uint_t running;
static ngx_uint_t pending_max = PENDING_MAX;
static ngx_uint_t running_max = RUNNING_MAX;


void
resolua_timer_limits(ngx_int_t for_pending, ngx_int_t for_running)
{
    pending_max = for_pending < 0 ? PENDING_MAX : (ngx_uint_t) for_pending;
    running_max = for_running < 0 ? RUNNING_MAX : (ngx_uint_t) for_running;
}


static void
timer_ended(resolua_request_t *r, ngx_int_t rc)
{
    lua_timer_t *timer = r->data;
    ngx_pool_t *pool = r->pool;
    (void) rc;
    running--;
    resolua_request_end(&timer->request);
    ngx_destroy_pool(pool);
}

static const resolua_host_t timer_host = {.resumed = timer_ended};

static ngx_int_t timer_start(lua_State *L, int args, int nargs, ngx_msec_t ms,
                             ngx_msec_t every);


/* Pushes the function and its arguments; true when the worker exits first. */
static void
timer_push(lua_State *L, const lua_timer_t *timer, int premature)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, timer->ref);
    const int table = lua_gettop(L);
    lua_rawgeti(L, table, 1);
    lua_pushboolean(L, premature);
    for (int i = 0; i < timer->nargs; i++) {
        lua_rawgeti(L, table, i + 2);
    }
    lua_remove(L, table);
}


/* A callback that may not run is passed over; its timer goes. */
static ngx_uint_t
runs_too_many(lua_timer_t *timer)
{
    if (running < running_max) {
        return 0;
    }
    ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                  "%ui lua_max_running_timers are not enough", running_max);
    luaL_unref(resolua_vm, LUA_REGISTRYINDEX, timer->ref);
    ngx_pool_t *pool = timer->request.pool;
    resolua_request_end(&timer->request);
    ngx_destroy_pool(pool);
    return 1;
}


static void
on_timer(ngx_event_t *ev)
{
    lua_timer_t *timer = ev->data;
    lua_State *L = resolua_vm;
    const int premature = ngx_exiting || ngx_quit || ngx_terminate;

    pending--;
    if (timer->every > 0 && !premature) {
        const int top = lua_gettop(L);
        timer_push(L, timer, 0);
        lua_remove(L, top + 2);
        (void) timer_start(L, top + 1, timer->nargs, timer->every,
                           timer->every);
        lua_settop(L, top);
    }
    if (runs_too_many(timer)) {
        return;
    }
    running++;
    timer_push(L, timer, premature);
    luaL_unref(L, LUA_REGISTRYINDEX, timer->ref);
    const ngx_int_t rc =
        resolua_run_function(&timer->request, timer->nargs + 1, RESOLUA_TIMER);
    if (rc != NGX_AGAIN) {
        timer_ended(&timer->request, rc);
    }
}


/* The function stands at index args of L, nargs arguments above it. */
static ngx_int_t
timer_start(lua_State *L, int args, int nargs, ngx_msec_t ms, ngx_msec_t every)
{
    ngx_pool_t *pool = ngx_create_pool(TIMER_POOL_SIZE, ngx_cycle->log);
    lua_timer_t *timer =
        pool != NULL ? ngx_pcalloc(pool, sizeof(*timer)) : NULL;
    if (timer == NULL) {
        if (pool != NULL) {
            ngx_destroy_pool(pool);
        }
        return NGX_ERROR;
    }
    resolua_request_init(&timer->request, &timer_host, timer, pool,
                         ngx_cycle->log);
    if (resolua_running != NULL) {
        timer->request.sockets = resolua_running->sockets;
    }
    lua_createtable(L, nargs + 1, 0);
    for (int i = 0; i <= nargs; i++) {
        lua_pushvalue(L, args + i);
        lua_rawseti(L, -2, i + 1);
    }
    timer->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    timer->nargs = nargs;
    timer->every = every;
    timer->event.handler = on_timer;
    timer->event.data = timer;
    timer->event.log = ngx_cycle->log;
    timer->event.cancelable = 1;
    ngx_add_timer(&timer->event, ms);
    pending++;
    return NGX_OK;
}


static int
timer_make(lua_State *L, int again)
{
    const lua_Number seconds = luaL_checknumber(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    luaL_argcheck(L, seconds >= 0 && seconds < 2e9 && (!again || seconds > 0),
                  1, "delay out of range");
    const ngx_msec_t ms = (ngx_msec_t) (seconds * 1000);
    if (pending >= pending_max) {
        lua_pushnil(L);
        lua_pushliteral(L, "too many pending timers");
        return 2;
    }
    if (timer_start(L, 2, lua_gettop(L) - 2, ms, again ? ngx_max(ms, 1) : 0) !=
        NGX_OK) {
        lua_pushnil(L);
        lua_pushliteral(L, "no memory");
        return 2;
    }
    lua_pushinteger(L, 1);
    return 1;
}


static int
timer_at(lua_State *L)
{
    resolua_check_phase(L, ~(ngx_uint_t) RESOLUA_INIT);
    return timer_make(L, 0);
}


static int
timer_every(lua_State *L)
{
    resolua_check_phase(L, ~(ngx_uint_t) RESOLUA_INIT);
    return timer_make(L, 1);
}


static int
timer_pending(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer) pending);
    return 1;
}


static int
timer_running(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer) running);
    return 1;
}


static int
timer_sleep(lua_State *L)
{
    const lua_Number seconds = luaL_checknumber(L, 1);
    luaL_argcheck(L, seconds >= 0 && seconds < 2e9, 1, "delay out of range");
    return resolua_wait_timer(L, (ngx_msec_t) (seconds * 1000));
}


void
resolua_timer_setup(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"at", timer_at},
        {"every", timer_every},
        {"pending_count", timer_pending},
        {"running_count", timer_running},
        {NULL, NULL},
    };
    lua_createtable(L, 0, 4);
    luaL_register(L, NULL, functions);
    lua_setfield(L, -2, "timer");
    lua_pushcfunction(L, timer_sleep);
    lua_setfield(L, -2, "sleep");
}
