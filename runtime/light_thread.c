/* ngx.thread: light threads of a request.  A request's run ends when its entry
   and all of its light threads have. */

#include "runtime/private/api.h"
#include "runtime/private/thread.h"
#include "runtime/vm.h"
#include "runtime/wait.h"


/* What the states of light threads that have ended point to; their results are
   on their own stacks until somebody waits for them. */
static resolua_thread_t ended_well = {.is_light = 1, .done = 1};
static resolua_thread_t ended_badly = {
    .is_light = 1, .done = 1, .has_failed = 1};
static resolua_thread_t collected = {
    .is_light = 1, .done = 1, .is_collected = 1};


/* ngx.thread.spawn(function, ...): runs it till it sleeps or ends; the caller's
   turn comes after those that are ready by then. */
static int
spawn(lua_State *L)
{
    resolua_thread_t *t = resolua_thread_checked(L);
    luaL_argcheck(L, lua_isfunction(L, 1), 1, "Lua function expected");
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


/* What a wait for a thread that has ended returns. */
static int
push_results(lua_State *L, lua_State *ended, int has_failed)
{
    const int count = has_failed ? 1 : lua_gettop(ended);
    lua_pushboolean(L, !has_failed);
    if (!lua_checkstack(L, count)) {
        return 1;
    }
    lua_xmove(ended, L, count);
    return count + 1;
}


resolua_thread_t *
light_ended(resolua_thread_t *t, int rc, int *nargs)
{
    resolua_thread_t *waiter = t->waiter;
    t->done = 1;
    t->request->live--;
    if (rc != 0) {
        thread_log_error(t, "user");
    }
    if (waiter != NULL) {
        forget_waiter(waiter);
        waiter->cancel = NULL;
        *nargs = push_results(waiter->L, t->L, rc != 0);
    }
    if (t != t->request->on_abort) {
        thread_free(t, waiter != NULL ? &collected
                       : rc != 0      ? &ended_badly
                                      : &ended_well);
    }
    return waiter;
}


/* The light thread at an argument. */
static resolua_thread_t *
check_light(lua_State *L, int arg, const char *what)
{
    lua_State *co = lua_tothread(L, arg);
    luaL_argcheck(L, co != NULL, arg, "lua thread expected");
    resolua_thread_t *t = lua_getexdata(co);
    if (t == NULL || !t->is_light ||
        (t->request != NULL && t->request != resolua_request(L))) {
        luaL_error(L, "attempt to %s a coroutine that is not a user thread",
                   what);
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
    if (count == 0) {
        return luaL_error(L, "at least one coroutine should be specified");
    }
    for (int i = 1; i <= count; i++) {
        resolua_thread_t *t = check_light(L, i, "wait on");
        if (t->is_collected) {
            lua_pushnil(L);
            lua_pushliteral(L, "already waited or killed");
            return 2;
        }
        if (t->done) {
            lua_State *ended = lua_tothread(L, i);
            lua_setexdata(ended, &collected);
            return push_results(L, ended, t->has_failed);
        }
    }
    for (int i = 1; i <= count; i++) {
        check_light(L, i, "wait on")->waiter = self;
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


/* A thread that has spawned one and waits for its turn to go on is that one's
   parent. */
static const char *
why_not_killed(const resolua_thread_t *self, const resolua_thread_t *victim)
{
    if (root_of(self) == victim) {
        return "killer not parent";
    }
    for (const resolua_thread_t *t = self->request->threads; t; t = t->next) {
        if (root_of(t) == victim && t->op == OP_SPAWN) {
            return "killer not parent";
        }
        if (root_of(t) == victim && t->is_pinned) {
            return "pending subrequests";
        }
    }
    return NULL;
}


/* The victim and the coroutines that it has resumed. */
static void
end_killed(resolua_request_t *r, resolua_thread_t *victim)
{
    for (resolua_thread_t *t = r->threads; t; t = t->next) {
        t->is_killed = root_of(t) == victim;
    }
    r->live--;
    for (resolua_thread_t *t = r->threads; t;) {
        resolua_thread_t *next = t->next;
        if (t->is_killed) {
            forget_waiter(t);
            if (t->cancel != NULL) {
                t->cancel(t->cancel_data);
            }
            thread_free(t, t == victim ? &collected : NULL);
        }
        t = next;
    }
}


/* ngx.thread.kill(thread) */
static int
kill_thread(lua_State *L)
{
    resolua_thread_t *self = resolua_thread(L);
    resolua_thread_t *victim = check_light(L, 1, "kill");
    if (victim->done || victim->is_collected) {
        lua_pushnil(L);
        lua_pushstring(L, victim->is_collected ? "already waited or killed"
                                               : "already terminated");
        return 2;
    }
    const char *wrong = why_not_killed(self, victim);
    if (wrong != NULL) {
        lua_pushnil(L);
        lua_pushstring(L, wrong);
        return 2;
    }
    end_killed(self->request, victim);
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
