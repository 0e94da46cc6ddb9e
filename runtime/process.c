/* ngx.process, ngx.worker.pids, os.getenv. */

#include <ngx_channel.h>
#include <ngx_event.h>

#include "runtime/private/api.h"
#include "runtime/vm.h"


/* Before the first fork nginx does not know itself to be the master. */
static ngx_uint_t
is_master(void)
{
    const ngx_core_conf_t *conf = (ngx_core_conf_t *) ngx_get_conf(
        resolua_vm_cycle->conf_ctx, ngx_core_module);
    return ngx_process == NGX_PROCESS_MASTER ||
           (ngx_process == NGX_PROCESS_SINGLE &&
            resolua_vm_phase == RESOLUA_INIT && conf->master != 0);
}


static int
process_type(lua_State *L)
{
    lua_pushstring(L, is_master()                            ? "master"
                      : ngx_process == NGX_PROCESS_SINGLE    ? "single"
                      : ngx_process == NGX_PROCESS_WORKER    ? "worker"
                      : ngx_process == NGX_PROCESS_SIGNALLER ? "signaller"
                                                             : "helper");
    return 1;
}


static int
get_master_pid(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer) (ngx_process == NGX_PROCESS_WORKER ||
                                              ngx_process == NGX_PROCESS_HELPER
                                          ? ngx_parent
                                          : ngx_pid));
    return 1;
}


static int
signal_graceful_exit(lua_State *L)
{
    (void) L;
    ngx_quit = 1;
    return 0;
}


/* The stock nginx has no such process. */
static int
enable_privileged_agent(lua_State *L)
{
    lua_pushnil(L);
    lua_pushliteral(L, "not supported by this nginx");
    return 2;
}


static int
open_process(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"type", process_type},
        {"get_master_pid", get_master_pid},
        {"signal_graceful_exit", signal_graceful_exit},
        {"enable_privileged_agent", enable_privileged_agent},
        {NULL, NULL},
    };
    lua_createtable(L, 0, 4);
    luaL_register(L, NULL, functions);
    return 1;
}


/* The processes to which there is a channel: the master tells each of those
   that were started after it, and closes the channel of one that has ended.  (A
   cache manager, where there is one, cannot be told apart.) */
static int
worker_pids(lua_State *L)
{
    int n = 0;
    lua_newtable(L);
    for (ngx_int_t i = 0; i < NGX_MAX_PROCESSES; i++) {
        const ngx_process_t *p = &ngx_processes[i];
        if (p->pid > 0 && p->pid != ngx_pid && p->channel[0] > 0) {
            lua_pushinteger(L, (lua_Integer) p->pid);
            lua_rawseti(L, -2, ++n);
        }
    }
    lua_pushinteger(L, (lua_Integer) ngx_pid);
    lua_rawseti(L, -2, n + 1);
    return 1;
}


/* The text behind "NAME=" of an env directive; NULL: there is none. */
static const char *
configured_env(const char *name, size_t size)
{
    const ngx_core_conf_t *conf = (ngx_core_conf_t *) ngx_get_conf(
        resolua_vm_cycle->conf_ctx, ngx_core_module);
    const ngx_str_t *entries = conf->env.elts; /* len is the name's */
    for (ngx_uint_t i = 0; i < conf->env.nelts; i++) {
        const char *text = (const char *) entries[i].data;
        if (entries[i].len == size && ngx_strncmp(text, name, size) == 0 &&
            text[size] == '=') {
            return text + size + 1;
        }
    }
    return NULL;
}


/* os.getenv(name): in init_by_lua* the values that env directives give, which
   nginx sets in its workers only. */
static int
os_getenv(lua_State *L)
{
    size_t size;
    const char *name = luaL_checklstring(L, 1, &size);
    const char *value =
        resolua_vm_phase == RESOLUA_INIT ? configured_env(name, size) : NULL;
    lua_pushstring(L, value != NULL ? value : getenv(name));
    return 1;
}


void
resolua_process_setup(lua_State *L)
{
    lua_getfield(L, -1, "worker");
    lua_pushcfunction(L, worker_pids);
    lua_setfield(L, -2, "pids");
    lua_pop(L, 1);
    resolua_vm_preload(L, "ngx.process", open_process);
    lua_getglobal(L, "os");
    lua_pushcfunction(L, os_getenv);
    lua_setfield(L, -2, "getenv");
    lua_pop(L, 1);
}
