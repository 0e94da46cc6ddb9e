/* ngx.thread: light threads of a request.  A request's run ends when its entry
   and all of its light threads have. */

#include "runtime/private/api.h"
#include "runtime/private/thread.h"
#include "runtime/vm.h"
#include "runtime/wait.h"


/* ngx.thread.spawn(function, ...): runs it till it sleeps or ends. */
static int
spawn(lua_State *L)
{
    resolua_thread_t *t = resolua_thread(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    const int nargs = lua_gettop(L) - 1;
    resolua_thread_t *child = thread_new(L, t->request);
    if (child == NULL) {
        return luaL_error(L, "no memory");
    }
    lua_pop(L, 1); /* the registry keeps it */
    lua_xmove(L, child->L, nargs + 1);
    child->is_light = 1;
    t->request->live++;
    t->op = OP_SPAWN;
    t->target = child;
    t->target_args = nargs;
    return lua_yield(L, 0);
}


static void
forget_waiter(resolua_thread_t *waiter)
{
    for (resolua_thread_t *t = waiter->request->threads; t; t = t->next) {
        if (t->waiter == waiter) {
            t->waiter = NULL;
        }
    }
}


/* What a wait for an ended thread returns. */
static int
push_results(lua_State *L, resolua_thread_t *t)
{
    const int count = t->has_failed ? 1 : lua_gettop(t->L);
    t->is_collected = 1;
    lua_pushboolean(L, !t->has_failed);
    if (!lua_checkstack(L, count)) {
        return 1;
    }
    lua_xmove(t->L, L, count);
    return count + 1;
}


resolua_thread_t *
light_ended(resolua_thread_t *t, int rc, int *nargs)
{
    resolua_thread_t *waiter = t->waiter;
    t->done = 1;
    t->has_failed = rc != 0;
    t->request->live--;
    if (t->has_failed) {
        thread_log_error(t, "user");
    }
    if (waiter == NULL) {
        return NULL;
    }
    forget_waiter(waiter);
    waiter->cancel = NULL;
    *nargs = push_results(waiter->L, t);
    return waiter;
}


/* The light thread at an argument. */
static resolua_thread_t *
check_light(lua_State *L, int arg)
{
    lua_State *co = lua_tothread(L, arg);
    luaL_argcheck(L, co != NULL, arg, "lua thread expected");
    resolua_thread_t *t = lua_getexdata(co);
    if (t == NULL || !t->is_light || t->request != resolua_request(L)) {
        luaL_error(L, "attempt to wait on or kill a coroutine that is not a "
                      "user thread");
    }
    return t;
}


static void
on_cancel(void *data)
{
    forget_waiter(data);
}


/* ngx.thread.wait(thread, ...): the first that ends. */
static int
wait_for(lua_State *L)
{
    resolua_thread_t *self = resolua_thread(L);
    const int count = lua_gettop(L);
    luaL_argcheck(L, count > 0, 1, "at least one coroutine expected");
    for (int i = 1; i <= count; i++) {
        resolua_thread_t *t = check_light(L, i);
        if (t->is_collected) {
            lua_pushnil(L);
            lua_pushliteral(L, "already waited or killed");
            return 2;
        }
        if (t->done) {
            return push_results(L, t);
        }
    }
    for (int i = 1; i <= count; i++) {
        check_light(L, i)->waiter = self;
    }
    return resolua_thread_sleep(self, on_cancel, self);
}


static const resolua_thread_t *
root_of(const resolua_thread_t *t)
{
    while (t->parent != NULL) {
        t = t->parent;
    }
    return t;
}


/* ngx.thread.kill(thread) */
static int
kill_thread(lua_State *L)
{
    resolua_thread_t *self = resolua_thread(L);
    resolua_thread_t *victim = check_light(L, 1);
    if (victim->done || victim->is_collected) {
        lua_pushnil(L);
        lua_pushstring(L, victim->is_collected ? "already waited or killed"
                                               : "already terminated");
        return 2;
    }
    if (root_of(self) == victim) {
        lua_pushnil(L);
        lua_pushliteral(L, "killer not parent");
        return 2;
    }
    for (resolua_thread_t *t = self->request->threads; t; t = t->next) {
        if (root_of(t) == victim && t->is_pinned) {
            lua_pushnil(L);
            lua_pushliteral(L, "pending subrequests");
            return 2;
        }
    }
    for (resolua_thread_t *t = self->request->threads; t; t = t->next) {
        if (root_of(t) == victim && t->cancel != NULL) {
            void (*cancel)(void *) = t->cancel;
            t->cancel = NULL;
            cancel(t->cancel_data);
        }
    }
    victim->done = 1;
    victim->is_collected = 1;
    victim->request->live--;
    lua_pushinteger(L, 1);
    return 1;
}


void
resolua_light_setup(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"spawn", spawn},
        {"wait", wait_for},
        {"kill", kill_thread},
        {NULL, NULL},
    };
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    lua_setfield(L, -2, "thread");
}
