/* coroutine.*: those that a script of a request makes are under the scheduler,
   so that they may sleep. */

#include "runtime/private/api.h"
#include "runtime/private/thread.h"
#include "runtime/vm.h"
#include "runtime/wait.h"


/* LuaJIT's own function, upvalue 1, with the arguments of this one. */
static int
call_original(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}


static int
co_create(lua_State *L)
{
    resolua_thread_t *t = lua_getexdata(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (t == NULL) {
        return call_original(L);
    }
    resolua_thread_t *child = thread_new(L, t->request);
    if (child == NULL) {
        return luaL_error(L, "no memory");
    }
    lua_pushvalue(L, 1);
    lua_xmove(L, child->L, 1);
    return 1;
}


/* Below a C function (require, a metamethod that string.format calls) the
   scheduler cannot be reached.  LuaJIT itself runs the child there, which may
   yield to t and must not sleep. */
static int
resume_nested(lua_State *L, resolua_thread_t *t, resolua_thread_t *child)
{
    t->op = OP_RESUME;
    child->op = OP_NONE;
    child->parent = t;
    child->is_nested = 1;
    const int count = call_original(L);
    child->is_nested = 0;
    child->parent = NULL;
    t->op = OP_NONE;
    if (lua_status(child->L) != LUA_YIELD) {
        thread_free(child, NULL);
    }
    return count;
}


static int
may_be_resumed(const resolua_thread_t *t)
{
    return t != NULL && !t->done && t->parent == NULL && !t->is_light &&
           t->request->entry != t;
}


static int
co_resume(lua_State *L)
{
    resolua_thread_t *t = lua_getexdata(L);
    lua_State *co = lua_tothread(L, 1);
    luaL_argcheck(L, co != NULL, 1, "coroutine expected");
    resolua_thread_t *child = lua_getexdata(co);
    if (t == NULL) {
        return call_original(L);
    }
    if (!may_be_resumed(child)) {
        lua_pushboolean(L, 0);
        lua_pushfstring(L, "cannot resume %s coroutine",
                        child == NULL || child->done ? "dead" : "running");
        return 2;
    }
    if (!thread_may_yield(t)) {
        return resume_nested(L, t, child);
    }
    lua_remove(L, 1);
    t->op = OP_RESUME;
    t->target = child;
    return lua_yield(L, lua_gettop(L));
}


/* An entry and a light thread are "running" while they wait for an event or
   their turn: nobody may resume them. */
static const char *
status_of(const lua_State *L, const resolua_thread_t *t)
{
    if (t->done) {
        return t->is_light && !t->is_collected ? "zombie" : "dead";
    }
    if (t->op == OP_RESUME && t->L != L) {
        return "normal";
    }
    return t->L == L || t->parent != NULL || t->is_light ||
                   t->request->entry == t
               ? "running"
               : "suspended";
}


static int
co_status(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argcheck(L, co != NULL, 1, "coroutine expected");
    const resolua_thread_t *t = lua_getexdata(co);
    if (lua_getexdata(L) == NULL || t == NULL) {
        return call_original(L);
    }
    lua_pushstring(L, status_of(L, t));
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
resolua_coroutine_setup(lua_State *L)
{
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
