#include "runtime/vm.h"

#include <lualib.h>

#include "runtime/private/api.h"

enum {
    SETUPS_MAX = 8,
    API_VERSION = 10026, /* of OpenResty's API that scripts may rely on */
};

lua_State *resolua_vm;
ngx_cycle_t *resolua_vm_cycle;
_Thread_local resolua_request_t *resolua_running;
_Thread_local ngx_uint_t resolua_vm_phase;

static resolua_vm_setup_pt setups[SETUPS_MAX];
static ngx_uint_t nsetups;


ngx_int_t
resolua_vm_add_setup(resolua_vm_setup_pt setup)
{
    for (ngx_uint_t i = 0; i < nsetups; i++) {
        if (setups[i] == setup) {
            return NGX_OK;
        }
    }
    if (nsetups == SETUPS_MAX) {
        return NGX_ERROR;
    }
    setups[nsetups++] = setup;
    return NGX_OK;
}


void
resolua_vm_preload(lua_State *L, const char *name, lua_CFunction open)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, open);
    lua_setfield(L, -2, name);
    lua_pop(L, 2);
}


/* Our own modules stand before what was there: require "resty.redis" gives
   ours though another is installed. */
static void
add_own_path(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_pushfstring(L, "%s;", resolua_vm_own_path());
    lua_getfield(L, -2, "path");
    lua_concat(L, 2);
    lua_setfield(L, -2, "path");
    lua_pop(L, 1);
}


/* A path of the configuration, in which "$prefix" stands for nginx's prefix. */
static void
push_path(lua_State *L, const ngx_str_t *text)
{
    const int base = lua_gettop(L);
    const ngx_str_t *prefix = (const ngx_str_t *) &resolua_vm_cycle->prefix;
    lua_pushlstring(L, (char *) prefix->data, prefix->len);
    lua_pushlstring(L, (char *) text->data, text->len);
    luaL_gsub(L, lua_tostring(L, -1), "$prefix", lua_tostring(L, base + 1));
    luaL_gsub(L, lua_tostring(L, -1), "${prefix}", lua_tostring(L, base + 1));
    lua_replace(L, base + 1);
    lua_settop(L, base + 1);
}


/* package.NAME = text, where ";;" stands for what was there; own, if not NULL,
   is also searched where text has none. */
static void
set_path(lua_State *L, const char *name, const ngx_str_t *text, const char *own)
{
    if (text->len == 0) {
        return;
    }
    lua_getglobal(L, "package");
    lua_getfield(L, -1, name);
    push_path(L, text);
    if (own != NULL && strstr(lua_tostring(L, -1), ";;") == NULL) {
        lua_pushfstring(L, ";%s", own);
        lua_concat(L, 2);
    }
    luaL_gsub(L, lua_tostring(L, -1), ";;", ";\1;");
    luaL_gsub(L, lua_tostring(L, -1), "\1", lua_tostring(L, -3));
    lua_setfield(L, -5, name);
    lua_settop(L, -5);
}


static int
config_prefix(lua_State *L)
{
    lua_pushlstring(L, (char *) ngx_cycle->prefix.data, ngx_cycle->prefix.len);
    return 1;
}


static int
config_configure(lua_State *L)
{
    lua_pushliteral(L, NGX_CONFIGURE);
    return 1;
}


/* ngx.config.subsystem is the running request's; "http" where there is none. */
static int
config_index(lua_State *L)
{
    if (ngx_strcmp(luaL_checkstring(L, 2), "subsystem") != 0) {
        return 0;
    }
    const char *name =
        resolua_running != NULL ? resolua_running->host->subsystem : NULL;
    lua_pushstring(L, name != NULL ? name : "http");
    return 1;
}


static void
set_config(lua_State *L)
{
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, nginx_version);
    lua_setfield(L, -2, "nginx_version");
    lua_pushboolean(L, NGX_DEBUG);
    lua_setfield(L, -2, "debug");
    lua_pushcfunction(L, config_prefix);
    lua_setfield(L, -2, "prefix");
    lua_pushcfunction(L, config_configure);
    lua_setfield(L, -2, "nginx_configure");
    lua_pushinteger(L, API_VERSION);
    lua_setfield(L, -2, "ngx_lua_version");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, config_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "config");
}


static void
set_constants(lua_State *L)
{
    static const struct {
        const char *name;
        int value;
    } constants[] = {
        {"OK", NGX_OK},     {"ERROR", NGX_ERROR},       {"AGAIN", NGX_AGAIN},
        {"DONE", NGX_DONE}, {"DECLINED", NGX_DECLINED},
    };
    for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
        lua_pushinteger(L, constants[i].value);
        lua_setfield(L, -2, constants[i].name);
    }
}


/* What needs neither a request nor nginx's events. */
static lua_State *
vm_base(ngx_cycle_t *cycle, const ngx_str_t *path, const ngx_str_t *cpath)
{
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "no memory for a Lua VM");
        return NULL;
    }
    luaL_openlibs(L);
    add_own_path(L);
    set_path(L, "path", path, resolua_vm_own_path());
    set_path(L, "cpath", cpath, NULL);
    lua_createtable(L, 0, 100);
    lua_pushvalue(L, -1);
    lua_setglobal(L, "ngx");
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "ngx"); /* require "ngx" */
    lua_pop(L, 1);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    set_config(L);
    resolua_log_setup(L);
    resolua_time_setup(L);
    resolua_args_setup(L);
    resolua_require_setup(L);
    resolua_digest_setup(L);
    resolua_regex_setup(L);
    resolua_dict_setup(L, cycle);
    set_constants(L);
    lua_settop(L, 0);
    return L;
}


/* lua/resolua/core.lua; without it all works, only slower. */
static lua_State *
load_core(lua_State *L, const ngx_cycle_t *cycle)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "resolua.core");
    if (lua_pcall(L, 1, 0, 0) != 0) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "our Lua modules cannot be loaded: %s",
                      resolua_error_text(L));
    }
    lua_settop(L, 0);
    return L;
}


lua_State *
resolua_vm_new_for_thread(ngx_cycle_t *cycle, const ngx_str_t *path,
                          const ngx_str_t *cpath)
{
    lua_State *L = vm_base(cycle, path, cpath);
    return L != NULL ? load_core(L, cycle) : NULL;
}


lua_State *
resolua_vm_new(ngx_cycle_t *cycle, const ngx_str_t *path,
               const ngx_str_t *cpath)
{
    resolua_vm_cycle = cycle;
    lua_State *L = vm_base(cycle, path, cpath);
    if (L == NULL) {
        return NULL;
    }
    lua_getglobal(L, "ngx");
    resolua_timer_setup(L);
    resolua_thread_setup(L);
    resolua_coroutine_setup(L);
    resolua_host_setup(L);
    resolua_tcp_setup(L);
    resolua_udp_setup(L);
    resolua_redis_setup(L);
    resolua_mysql_setup(L);
    resolua_light_setup(L);
    resolua_abort_setup(L);
    resolua_semaphore_setup(L);
    resolua_errlog_setup(L);
    resolua_process_setup(L);
    resolua_worker_thread_setup(L);
    resolua_program_setup(L);
    resolua_balancer_setup(L);
    resolua_upstream_setup(L);
    resolua_pipe_setup(L);
    resolua_ssl_setup(L);
    for (ngx_uint_t i = 0; i < nsetups; i++) {
        setups[i](L);
    }
    lua_settop(L, 0);
    return load_core(L, cycle);
}


resolua_request_t *
resolua_request(lua_State *L)
{
    if (resolua_running == NULL) {
        if (resolua_vm_phase != 0) {
            resolua_check_phase(L, 0);
        }
        luaL_error(L, "no request found");
    }
    return resolua_running;
}


ngx_uint_t
resolua_check_phase(lua_State *L, ngx_uint_t allowed)
{
    const ngx_uint_t phase =
        resolua_running != NULL ? resolua_running->phase : resolua_vm_phase;
    if ((phase & allowed) == 0) {
        luaL_error(L, "API disabled in the context of %s",
                   phase == RESOLUA_TIMER ? "ngx.timer"
                                          : resolua_phase_directive(phase));
    }
    return phase;
}
