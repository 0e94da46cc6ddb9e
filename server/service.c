#include "server/private/service.h"

#include <sys/resource.h>

#include "runtime/job.h"
#include "runtime/vm.h"
#include "server/remote.h"

static int forward_ref = LUA_NOREF; /* dns.service.forward */


ngx_uint_t
service_push(lua_State *L)
{
    if (forward_ref == LUA_NOREF) {
        return 0;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, forward_ref);
    return 1;
}


static void
set_string(lua_State *L, const char *name, const ngx_str_t *text)
{
    if (text->len > 0) {
        lua_pushlstring(L, (const char *) text->data, text->len);
        lua_setfield(L, -2, name);
    }
}


/* dns.service.configure{...}; gives its forward(), or raises. */
static int
load_service(lua_State *L)
{
    const dns_main_conf_t *conf = lua_touserdata(L, 1);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "dns.store");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "set_runner");
    lua_pushcfunction(L, resolua_job_run);
    lua_call(L, 1, 0);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "dns.service");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "configure");
    lua_createtable(L, 0, 2);
    set_string(L, "store", &conf->lmdb_folder);
    if (conf->has_lmdb) {
        lua_pushinteger(L, (lua_Integer) conf->lmdb_at);
        lua_setfield(L, -2, "store_at");
    }
    dns_remote_push(L, conf);
    lua_call(L, 1, 0);
    if (conf->has_mirror) {
        lua_getfield(L, -1, "start");
        lua_call(L, 0, 0);
    }
    lua_getfield(L, -1, "forward");
    return 1;
}


/* What upstreams may take of the worker's connections and descriptors: others
   need theirs. */
static ngx_uint_t
forward_bound(const ngx_cycle_t *cycle, const dns_main_conf_t *conf)
{
    enum { SHARE = 4 }; /* a question has two sockets at most: a half */
    struct rlimit limit;
    ngx_uint_t count = cycle->connection_n;
    if (conf->forward_max != NGX_CONF_UNSET) {
        return (ngx_uint_t) conf->forward_max;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < count) {
        count = limit.rlim_cur;
    }
    return ngx_max(count / SHARE, 1);
}


void
service_open(ngx_cycle_t *cycle)
{
    const dns_main_conf_t *conf = dns_main_conf(cycle);
    lua_State *L = resolua_vm;
    forward_ref = LUA_NOREF;
    upstreams_open(forward_bound(cycle, conf));
    if (L == NULL || (conf->store_count == 0 && conf->servers.nelts == 0)) {
        return;
    }
    lua_pushcfunction(L, load_service);
    lua_pushlightuserdata(L, (void *) conf);
    resolua_vm_phase = RESOLUA_INIT_WORKER;
    const int rc = lua_pcall(L, 1, 1, 0);
    resolua_vm_phase = 0;
    if (rc != 0) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "the Lua module dns.service cannot be used, which "
                      "forwards queries and edits zones: %s",
                      resolua_error_text(L));
        lua_pop(L, 1);
        return;
    }
    forward_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}
