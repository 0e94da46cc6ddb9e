/* ngx.log, print and the levels. */

#include "runtime/private/api.h"
#include "runtime/vm.h"

static const struct {
    const char *name;
    int level;
} levels[] = {
    {"STDERR", NGX_LOG_STDERR}, {"EMERG", NGX_LOG_EMERG},
    {"ALERT", NGX_LOG_ALERT},   {"CRIT", NGX_LOG_CRIT},
    {"ERR", NGX_LOG_ERR},       {"WARN", NGX_LOG_WARN},
    {"NOTICE", NGX_LOG_NOTICE}, {"INFO", NGX_LOG_INFO},
    {"DEBUG", NGX_LOG_DEBUG},
};


static void
add_text(lua_State *L, luaL_Buffer *b, int arg)
{
    switch (lua_type(L, arg)) {
    case LUA_TNIL:
        luaL_addstring(b, "nil");
        break;
    case LUA_TBOOLEAN:
        luaL_addstring(b, lua_toboolean(L, arg) ? "true" : "false");
        break;
    case LUA_TLIGHTUSERDATA:
        luaL_addstring(b, lua_touserdata(L, arg) == NULL ? "null" : "userdata");
        break;
    case LUA_TNUMBER:
    case LUA_TSTRING:
        lua_pushvalue(L, arg);
        luaL_addvalue(b);
        break;
    default:
        if (!luaL_callmeta(L, arg, "__tostring")) {
            luaL_argerror(L, arg,
                          "expected table to have __tostring metamethod");
        }
        luaL_addvalue(b);
    }
}


static int
log_from(lua_State *L, ngx_uint_t level, int first)
{
    ngx_log_t *log =
        resolua_running != NULL ? resolua_running->log : ngx_cycle->log;
    if (log->log_level < level) {
        return 0;
    }
    const int last = lua_gettop(L);
    lua_Debug ar;
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (int i = first; i <= last; i++) {
        add_text(L, &b, i);
    }
    luaL_pushresult(&b);
    if (lua_getstack(L, 1, &ar)) {
        lua_getinfo(L, "Snl", &ar);
    } else {
        ar.short_src[0] = '\0';
        ar.currentline = 0;
        ar.name = NULL;
    }
    ngx_log_error(level, log, 0, "[lua] %s:%d: %s%s%s", ar.short_src,
                  ar.currentline, ar.name ? ar.name : "", ar.name ? "(): " : "",
                  lua_tostring(L, -1));
    return 0;
}


static int
log_level(lua_State *L)
{
    const int level = (int) luaL_checkinteger(L, 1);
    if (level < NGX_LOG_STDERR || level > NGX_LOG_DEBUG) {
        return luaL_error(L, "bad log level: %d", level);
    }
    return log_from(L, (ngx_uint_t) level, 2);
}


static int
log_print(lua_State *L)
{
    return log_from(L, NGX_LOG_NOTICE, 1);
}


void
resolua_log_setup(lua_State *L)
{
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        lua_pushinteger(L, levels[i].level);
        lua_setfield(L, -2, levels[i].name);
    }
    lua_pushcfunction(L, log_level);
    lua_setfield(L, -2, "log");
    lua_pushcfunction(L, log_print);
    lua_setglobal(L, "print");
}
