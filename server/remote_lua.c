/* Networked stores for Lua: which there are, and that a zone has changed. */

#include "runtime/vm.h"
#include "server/cache.h"
#include "server/private/remote.h"

/* on_commit(apex in wire form, zones_changed) */
static int
on_commit(lua_State *L)
{
    uint8_t apex[DNS_NAME_MAX];
    size_t size;
    const char *wire = luaL_checklstring(L, 1, &size);
    luaL_argcheck(L, size <= sizeof(apex), 1, "a name in wire form");
    ngx_memcpy(apex, wire, size);
    dns_name_lower(apex);
    remote_edited();
    if (dns_server_cache != NULL) {
        dns_cache_purge_group(dns_server_cache, apex, size);
    }
    if (lua_toboolean(L, 2)) {
        remote_zones_changed();
        if (dns_server_cache != NULL) {
            dns_cache_purge_all(dns_server_cache);
        }
    }
    return 0;
}


void
dns_remote_push(lua_State *L, const dns_main_conf_t *main_conf)
{
    const remote_conf_t *remote = main_conf->remotes.elts;
    if (main_conf->remotes.nelts == 0) {
        return;
    }
    lua_createtable(L, (int) main_conf->remotes.nelts, 0);
    for (ngx_uint_t i = 0; i < main_conf->remotes.nelts; i++) {
        lua_pushlightuserdata(L, remote[i].options);
        lua_rawseti(L, -2, (int) i + 1);
    }
    lua_setfield(L, -2, "databases");
    lua_pushcfunction(L, on_commit);
    lua_setfield(L, -2, "on_commit");
}
