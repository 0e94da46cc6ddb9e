/* lua_code_cache off: a request's chunks are loaded anew, with globals and
   modules of its own (lua/resolua/fresh.lua). */

#include "runtime/conf.h"
#include "runtime/private/api.h"
#include "runtime/run.h"
#include "runtime/vm.h"


/* init_by_lua* makes globals too. */
static ngx_int_t
run_init(lua_State *L, resolua_request_t *r)
{
    const ngx_array_t *init =
        &resolua_core_conf((ngx_cycle_t *) ngx_cycle)->init;
    resolua_code_t **codes = init->elts;
    for (ngx_uint_t i = 0; i < init->nelts; i++) {
        if (resolua_code_push_fresh(L, r, codes[i], NULL) != NGX_OK) {
            return NGX_ERROR;
        }
        if (resolua_run_function_sync(r, 0, RESOLUA_INIT, 0) != NGX_OK) {
            lua_pushliteral(L, "init_by_lua* has failed");
            return NGX_ERROR;
        }
    }
    return NGX_OK;
}


/* NGX_ERROR: pushes why not. */
static ngx_int_t
make_globals(lua_State *L, resolua_request_t *r)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "resolua.fresh");
    if (lua_pcall(L, 1, 1, 0) != 0) {
        return NGX_ERROR;
    }
    lua_pushstring(L, resolua_vm_own_path());
    if (lua_pcall(L, 1, 1, 0) != 0) {
        return NGX_ERROR;
    }
    r->globals_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return run_init(L, r);
}


ngx_int_t
resolua_code_push_fresh(lua_State *L, resolua_request_t *r,
                        const resolua_code_t *code, const char *path)
{
    if (r->globals_ref == LUA_NOREF && make_globals(L, r) != NGX_OK) {
        return NGX_ERROR;
    }
    if (resolua_code_load(L, code, path) != NGX_OK) {
        return NGX_ERROR;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->globals_ref);
    lua_setfenv(L, -2);
    return NGX_OK;
}


/* What is loaded by a text then has them too. */
int
resolua_globals_enter(lua_State *L, const resolua_request_t *r)
{
    if (r == NULL || r->globals_ref == LUA_NOREF) {
        return LUA_NOREF;
    }
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    const int before = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->globals_ref);
    lua_replace(L, LUA_GLOBALSINDEX);
    return before;
}


void
resolua_globals_leave(lua_State *L, int before)
{
    if (before == LUA_NOREF) {
        return;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, before);
    lua_replace(L, LUA_GLOBALSINDEX);
    luaL_unref(L, LUA_REGISTRYINDEX, before);
}
