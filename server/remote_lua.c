/* Networked stores for Lua: which there are, and that a zone has changed. */

#include "runtime/vm.h"
#include "server/cache.h"
#include "server/flood_filter.h"
#include "server/private/remote.h"

/* on_commit(apex in wire form, zones_changed, owners that were set in wire
   form, one behind the other) */
static int
on_commit(lua_State *L)
{
    dns_name_t apex;
    size_t size;
    const char *wire = luaL_checklstring(L, 1, &size);
    luaL_argcheck(L, size > 0 && size <= DNS_NAME_MAX, 1,
                  "a name in wire form");
    const ngx_uint_t zones_changed = (ngx_uint_t) lua_toboolean(L, 2);
    const char *owners = luaL_checklstring(L, 3, &size);
    dns_name_set(&apex, (const uint8_t *) wire);
    ngx_uint_t may_be_filtered =
        remote_edited(&apex, (const uint8_t *) owners, size);
    if (dns_server_cache != NULL) {
        dns_cache_purge_group(dns_server_cache, apex.octets, apex.size);
    }
    if (zones_changed) {
        may_be_filtered = 1; /* the name of a zone above */
        remote_zones_changed();
        if (dns_server_cache != NULL) {
            dns_cache_purge_all(dns_server_cache);
        }
    }
    if (may_be_filtered) {
        dns_flood_filter_edited();
    }
    return 0;
}


/* on_zone_made(): a zone has come in the embedded store. */
static int
on_zone_made(lua_State *L)
{
    (void) L;
    if (remote_zone_made()) {
        dns_flood_filter_edited();
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
    lua_pushcfunction(L, on_zone_made);
    lua_setfield(L, -2, "on_zone_made");
}
