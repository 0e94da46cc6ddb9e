/* ngx.sleep and ngx.timer.at: a timer's callback runs as a request of its
   own. */

#include <fcntl.h>

#include <ngx_event.h>

#include "runtime/private/api.h"
#include "runtime/run.h"
#include "runtime/socket.h"
#include "runtime/vm.h"
#include "runtime/wait.h"

enum {
    PENDING_MAX = 1024, /* unless the configuration says otherwise */
    RUNNING_MAX = 256
};

/* One that has not expired: small, since there may be very many. */
typedef struct {
    ngx_event_t event;
    ngx_queue_t queue; /* among all that are pending */
    const resolua_socket_conf_t *sockets;
    ngx_msec_t every; /* 0: once */
    int ref;          /* the function, or {function, arguments...} */
    int nargs;
} lua_timer_t;

static ngx_queue_t timers;
static ngx_connection_t *quit_watch; /* NULL: not yet in this process */
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
    (void) rc;
    running--;
    resolua_request_end(r);
    ngx_free(r);
}

static const resolua_host_t timer_host = {.resumed = timer_ended};

static ngx_int_t timer_start(lua_State *L, int args, int nargs, ngx_msec_t ms,
                             ngx_msec_t every);


/* Pushes the function and its arguments; true when the worker exits first. */
static void
timer_push(lua_State *L, const lua_timer_t *timer, int premature)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, timer->ref);
    if (timer->nargs == 0) {
        lua_pushboolean(L, premature);
        return;
    }
    const int table = lua_gettop(L);
    lua_rawgeti(L, table, 1);
    lua_pushboolean(L, premature);
    for (int i = 0; i < timer->nargs; i++) {
        lua_rawgeti(L, table, i + 2);
    }
    lua_remove(L, table);
}


static void
timer_free(lua_timer_t *timer)
{
    luaL_unref(resolua_vm, LUA_REGISTRYINDEX, timer->ref);
    ngx_queue_remove(&timer->queue);
    ngx_free(timer);
    pending--;
}


static resolua_request_t *
request_new(const lua_timer_t *timer)
{
    resolua_request_t *r = ngx_alloc(sizeof(*r), ngx_cycle->log);
    if (r != NULL) {
        resolua_request_init(r, &timer_host, NULL, NULL, ngx_cycle->log);
        r->sockets = timer->sockets;
    }
    return r;
}


/* A callback that may not run is passed over; its timer goes. */
static void
timer_run(lua_timer_t *timer, int premature)
{
    lua_State *L = resolua_vm;
    const int nargs = timer->nargs + 1;
    resolua_request_t *r = running < running_max ? request_new(timer) : NULL;
    if (running >= running_max) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "%ui lua_max_running_timers are not enough", running_max);
    }
    if (r != NULL) {
        timer_push(L, timer, premature);
    }
    timer_free(timer);
    if (r == NULL) {
        return;
    }
    running++;
    const ngx_int_t rc = resolua_run_function(r, nargs, RESOLUA_TIMER);
    if (rc != NGX_AGAIN) {
        timer_ended(r, rc);
    }
}


static void
on_timer(ngx_event_t *ev)
{
    lua_timer_t *timer = ev->data;
    lua_State *L = resolua_vm;
    const int premature = ngx_exiting || ngx_quit || ngx_terminate;

    if (timer->every > 0 && !premature) {
        const int top = lua_gettop(L);
        timer_push(L, timer, 0);
        lua_remove(L, top + 2);
        (void) timer_start(L, top + 1, timer->nargs, timer->every,
                           timer->every);
        lua_settop(L, top);
    }
    timer_run(timer, premature);
}


/* The worker is to exit: nothing that is pending is waited for. */
static void
on_quit(ngx_event_t *ev)
{
    const ngx_connection_t *c = ev->data;
    ngx_queue_t all;
    if (!c->close) {
        return;
    }
    ngx_close_connection(quit_watch);
    quit_watch = NULL;
    ngx_queue_init(&all);
    if (ngx_queue_empty(&timers)) {
        return;
    }
    ngx_queue_add(&all, &timers); /* not those that the callbacks make */
    ngx_queue_init(&timers);
    while (!ngx_queue_empty(&all)) {
        ngx_queue_t *first = ngx_queue_head(&all);
        lua_timer_t *timer = ngx_queue_data(first, lua_timer_t, queue);
        resolua_wait_unset(&timer->event);
        timer_run(timer, 1);
    }
}


/* nginx tells idle connections when a worker exits: one that is nothing else
   hears of it. */
static ngx_int_t
watch_quit(void)
{
    if (quit_watch != NULL || ngx_exiting) {
        return NGX_OK;
    }
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    quit_watch = fd >= 0 ? ngx_get_connection(fd, ngx_cycle->log) : NULL;
    if (quit_watch == NULL) {
        if (fd >= 0) {
            (void) close(fd);
        }
        return NGX_ERROR;
    }
    quit_watch->idle = 1;
    quit_watch->read->handler = on_quit;
    quit_watch->read->log = quit_watch->write->log = ngx_cycle->log;
    quit_watch->read->channel = 1; /* no complaint that it is open at the end */
    return NGX_OK;
}


/* The function stands at index args of L, nargs arguments above it. */
static ngx_int_t
timer_start(lua_State *L, int args, int nargs, ngx_msec_t ms, ngx_msec_t every)
{
    if (timers.next == NULL) {
        ngx_queue_init(&timers);
    }
    lua_timer_t *timer = ngx_calloc(sizeof(*timer), ngx_cycle->log);
    if (timer == NULL || watch_quit() != NGX_OK) {
        ngx_free(timer);
        return NGX_ERROR;
    }
    timer->sockets = resolua_running != NULL ? resolua_running->sockets
                                             : &resolua_socket_defaults;
    if (nargs == 0) {
        lua_pushvalue(L, args);
    } else {
        lua_createtable(L, nargs + 1, 0);
        for (int i = 0; i <= nargs; i++) {
            lua_pushvalue(L, args + i);
            lua_rawseti(L, -2, i + 1);
        }
    }
    timer->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    timer->nargs = nargs;
    timer->every = every;
    timer->event.handler = on_timer;
    timer->event.data = timer;
    timer->event.log = ngx_cycle->log;
    timer->event.cancelable = 1;
    ngx_queue_insert_tail(&timers, &timer->queue);
    resolua_wait_set(&timer->event, ms);
    pending++;
    return NGX_OK;
}


static int
timer_make(lua_State *L, int again)
{
    if (lua_gettop(L) < 2) {
        return luaL_error(L, "expecting at least 2 arguments but got %d",
                          lua_gettop(L));
    }
    const lua_Number seconds = luaL_checknumber(L, 1);
    luaL_argcheck(L, lua_isfunction(L, 2), 2, "Lua function expected");
    luaL_argcheck(L, seconds < 2e9, 1, "delay out of range"); /* nor NaN */
    if (again && seconds <= 0) {
        return luaL_error(L, "delay cannot be zero");
    }
    /* A time that has passed already is now. */
    const ngx_msec_t ms = seconds > 0 ? (ngx_msec_t) (seconds * 1000) : 0;
    if (ngx_exiting && ms > 0) {
        lua_pushnil(L);
        lua_pushliteral(L, "process exiting");
        return 2;
    }
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
    if (lua_gettop(L) != 1) {
        return luaL_error(L, "attempt to pass %d arguments, but accepted 1",
                          lua_gettop(L));
    }
    const lua_Number seconds = luaL_checknumber(L, 1);
    if (!(seconds >= 0 && seconds < 2e9)) {
        lua_pushinteger(L, (lua_Integer) (seconds * 1000));
        return luaL_error(L, "invalid sleep duration \"%s\"",
                          lua_tostring(L, -1));
    }
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
