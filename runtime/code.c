#include "runtime/code.h"

ngx_int_t
resolua_code_load(lua_State *L, const resolua_code_t *code, const char *path)
{
    if (path == NULL && code->path.len > 0) {
        path = (char *) code->path.data;
    }
    const int rc = path != NULL
                       ? luaL_loadfile(L, path)
                       : luaL_loadbuffer(L, (char *) code->source.data,
                                         code->source.len, code->chunk_name);
    return rc == 0 ? NGX_OK : NGX_ERROR;
}


ngx_int_t
resolua_code_push(lua_State *L, resolua_code_t *code)
{
    if (code->ref != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, code->ref);
        return NGX_OK;
    }
    if (resolua_code_load(L, code, NULL) != NGX_OK) {
        return NGX_ERROR;
    }
    if (code->path.len == 0 || code->cache) {
        lua_pushvalue(L, -1);
        code->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    return NGX_OK;
}


ngx_int_t
resolua_code_push_file(lua_State *L, const char *path, ngx_flag_t cache)
{
    lua_pushfstring(L, "resolua file %s", path);
    lua_rawget(L, LUA_REGISTRYINDEX);
    if (!lua_isnil(L, -1)) {
        return NGX_OK;
    }
    lua_pop(L, 1);
    if (luaL_loadfile(L, path) != 0) {
        return NGX_ERROR;
    }
    if (cache) {
        lua_pushfstring(L, "resolua file %s", path);
        lua_pushvalue(L, -2);
        lua_rawset(L, LUA_REGISTRYINDEX);
    }
    return NGX_OK;
}
