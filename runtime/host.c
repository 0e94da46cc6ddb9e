/* The functions that go to the running request's host, ngx.ctx, ngx.worker. */

#include "runtime/private/api.h"
#include "runtime/ssl.h"
#include "runtime/vm.h"

#define HOST_CALL(name, member)                                                \
    static int name(lua_State *L)                                              \
    {                                                                          \
        const resolua_request_t *r = resolua_request(L);                       \
        if (r->host->member == NULL) {                                         \
            resolua_check_phase(L, 0);                                         \
        }                                                                      \
        return r->host->member(L);                                             \
    }

HOST_CALL(host_print, print)
HOST_CALL(host_say, say)
HOST_CALL(host_flush, flush)
HOST_CALL(host_eof, eof)
HOST_CALL(host_var_get, var_get)
HOST_CALL(host_var_set, var_set)
HOST_CALL(host_req_socket, req_socket)


static int
get_phase(lua_State *L)
{
    lua_pushstring(L, resolua_phase_name(resolua_running != NULL
                                             ? resolua_running->phase
                                             : resolua_vm_phase));
    return 1;
}


/* A field of HTTP's requests, which the runtime does not know otherwise. */
static void
check_field(lua_State *L)
{
    static const char *const fields[] = {"status", "headers_sent",
                                         "is_subrequest"};
    const char *name = lua_tostring(L, 2);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (ngx_strcmp(name, fields[i]) == 0) {
            luaL_error(L, "API disabled in the current context");
        }
    }
}


/* ngx's __index: ctx is the running request's table. */
static int
ngx_index(lua_State *L)
{
    if (ngx_strcmp(luaL_checkstring(L, 2), "ctx") != 0) {
        if (resolua_running != NULL && resolua_running->host->index != NULL) {
            return resolua_running->host->index(L);
        }
        check_field(L);
        return 0;
    }
    resolua_request_t *r = resolua_request(L);
    if (r->ctx_ref == LUA_NOREF) {
        resolua_ssl_push_ctx(L, r);
        r->ctx_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->ctx_ref);
    return 1;
}


static int
ngx_newindex(lua_State *L)
{
    if (ngx_strcmp(luaL_checkstring(L, 2), "ctx") != 0) {
        if (resolua_running != NULL &&
            resolua_running->host->newindex != NULL) {
            return resolua_running->host->newindex(L);
        }
        check_field(L);
        lua_rawset(L, 1);
        return 0;
    }
    resolua_request_t *r = resolua_request(L);
    luaL_checktype(L, 3, LUA_TTABLE);
    luaL_unref(L, LUA_REGISTRYINDEX, r->ctx_ref);
    r->ctx_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}


static int
worker_pid(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer) ngx_pid);
    return 1;
}


static int
worker_id(lua_State *L)
{
    if (ngx_process != NGX_PROCESS_WORKER &&
        ngx_process != NGX_PROCESS_SINGLE) {
        return 0;
    }
    lua_pushinteger(L, (lua_Integer) ngx_worker);
    return 1;
}


static int
worker_count(lua_State *L)
{
    const ngx_core_conf_t *conf = (ngx_core_conf_t *) ngx_get_conf(
        resolua_vm_cycle->conf_ctx, ngx_core_module);
    lua_pushinteger(L, (lua_Integer) conf->worker_processes);
    return 1;
}


static int
worker_exiting(lua_State *L)
{
    lua_pushboolean(L, ngx_exiting || ngx_quit || ngx_terminate);
    return 1;
}


void
resolua_host_setup(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"print", host_print}, {"say", host_say},        {"flush", host_flush},
        {"eof", host_eof},     {"get_phase", get_phase}, {NULL, NULL},
    };
    static const luaL_Reg worker[] = {
        {"pid", worker_pid},         {"id", worker_id}, {"count", worker_count},
        {"exiting", worker_exiting}, {NULL, NULL},
    };
    static const luaL_Reg var[] = {
        {"__index", host_var_get},
        {"__newindex", host_var_set},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {
        {"__index", ngx_index},
        {"__newindex", ngx_newindex},
        {NULL, NULL},
    };
    luaL_register(L, NULL, functions);
    lua_newtable(L);
    luaL_register(L, NULL, worker);
    lua_setfield(L, -2, "worker");
    lua_newtable(L);
    lua_newtable(L);
    luaL_register(L, NULL, var);
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "var");
    lua_newtable(L);
    lua_pushcfunction(L, host_req_socket);
    lua_setfield(L, -2, "socket");
    lua_setfield(L, -2, "req");
    lua_newtable(L);
    luaL_register(L, NULL, meta);
    lua_setmetatable(L, -2);
}
