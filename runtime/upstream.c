/* ngx.upstream */

#include "runtime/upstream.h"

#include "runtime/private/api.h"
#include "runtime/vm.h"

enum { SUBSYSTEMS_MAX = 2, MEMBERS = 12 };

static const resolua_upstreams_t *all[SUBSYSTEMS_MAX];

typedef struct {
    const resolua_upstreams_t *of;
    ngx_uint_t at;
} upstream_t;


void
resolua_upstreams_register(const resolua_upstreams_t *upstreams)
{
    for (ngx_uint_t i = 0; i < SUBSYSTEMS_MAX; i++) {
        if (all[i] == upstreams) {
            return;
        }
        if (all[i] == NULL) {
            all[i] = upstreams;
            return;
        }
    }
}


/* Those of the running request's subsystem; NULL: all may be meant, as by a
   worker's own chunks. */
static const resolua_upstreams_t *
own_upstreams(void)
{
    const resolua_request_t *r = resolua_running;
    const char *name =
        r != NULL &&
                (r->phase & (RESOLUA_INIT_WORKER | RESOLUA_EXIT_WORKER)) == 0
            ? r->host->subsystem
            : NULL;
    for (ngx_uint_t i = 0; name != NULL && i < SUBSYSTEMS_MAX; i++) {
        if (all[i] != NULL && ngx_strcmp(all[i]->subsystem, name) == 0) {
            return all[i];
        }
    }
    return NULL;
}


/* "host", or "host:port" of an upstream that no upstream {} names. */
static void
push_name(lua_State *L, const upstream_t *u)
{
    ngx_str_t host;
    in_port_t port;
    u->of->name(u->at, &host, &port);
    lua_pushlstring(L, (char *) host.data, host.len);
    if (port != 0) {
        lua_pushfstring(L, ":%d", (int) port);
        lua_concat(L, 2);
    }
}


static ngx_uint_t
find_in(lua_State *L, const resolua_upstreams_t *of, int name, upstream_t *u)
{
    u->of = of;
    for (u->at = 0; of != NULL && u->at < of->count(); u->at++) {
        push_name(L, u);
        const int is_same = lua_rawequal(L, -1, name);
        lua_pop(L, 1);
        if (is_same) {
            return 1;
        }
    }
    return 0;
}


/* The upstream whose name stands at 1: the running subsystem's first. */
static ngx_uint_t
find(lua_State *L, upstream_t *u)
{
    luaL_checkstring(L, 1);
    if (find_in(L, own_upstreams(), 1, u)) {
        return 1;
    }
    for (ngx_uint_t i = 0; i < SUBSYSTEMS_MAX; i++) {
        if (find_in(L, all[i], 1, u)) {
            return 1;
        }
    }
    return 0;
}


static void
set_integer(lua_State *L, const char *name, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}


static void
set_if(lua_State *L, const char *name, ngx_uint_t is_true)
{
    if (is_true) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, name);
    }
}


static void
add_names(lua_State *L, const resolua_upstreams_t *of, int *count)
{
    for (ngx_uint_t i = 0; i < of->count(); i++) {
        push_name(L, &(upstream_t){of, i});
        lua_rawseti(L, -2, ++*count);
    }
}


/* get_upstreams(): the running subsystem's names, elsewhere all */
static int
get_upstreams(lua_State *L)
{
    const resolua_upstreams_t *own = own_upstreams();
    int count = 0;
    lua_newtable(L);
    for (ngx_uint_t i = 0; i < SUBSYSTEMS_MAX && all[i] != NULL; i++) {
        if (own == NULL || own == all[i]) {
            add_names(L, all[i], &count);
        }
    }
    return 1;
}


/* One address as a string, several as an array. */
static void
push_addrs(lua_State *L, const resolua_upstream_server_t *server)
{
    const ngx_addr_t *addrs = server->addrs;
    if (server->naddrs == 1) {
        lua_pushlstring(L, (char *) addrs->name.data, addrs->name.len);
        return;
    }
    lua_createtable(L, (int) server->naddrs, 0);
    for (ngx_uint_t i = 0; i < server->naddrs; i++) {
        lua_pushlstring(L, (char *) addrs[i].name.data, addrs[i].name.len);
        lua_rawseti(L, -2, (int) i + 1);
    }
}


static void
push_server(lua_State *L, const resolua_upstream_server_t *server)
{
    lua_createtable(L, 0, MEMBERS);
    if (server->name.len > 0) {
        lua_pushlstring(L, (char *) server->name.data, server->name.len);
        lua_setfield(L, -2, "name");
    }
    push_addrs(L, server);
    lua_setfield(L, -2, "addr");
    set_integer(L, "weight", (lua_Integer) server->weight);
    set_integer(L, "max_conns", (lua_Integer) server->max_conns);
    set_integer(L, "max_fails", (lua_Integer) server->max_fails);
    set_integer(L, "fail_timeout", (lua_Integer) server->fail_timeout);
    set_if(L, "backup", server->is_backup);
    set_if(L, "down", server->is_down);
}


static int
get_servers(lua_State *L)
{
    upstream_t u;
    resolua_upstream_server_t server;
    if (!find(L, &u)) {
        return resolua_fail(L, "upstream not found");
    }
    lua_newtable(L);
    for (ngx_uint_t i = 0; u.of->server(u.at, i, &server); i++) {
        push_server(L, &server);
        lua_rawseti(L, -2, (int) i + 1);
    }
    return 1;
}


static void
push_peer(lua_State *L, const resolua_upstream_peer_t *peer, ngx_uint_t id)
{
    lua_createtable(L, 0, MEMBERS);
    set_integer(L, "id", (lua_Integer) id);
    lua_pushlstring(L, (const char *) peer->name, peer->name_size);
    lua_setfield(L, -2, "name");
    set_integer(L, "weight", (lua_Integer) peer->weight);
    set_integer(L, "current_weight", (lua_Integer) peer->current_weight);
    set_integer(L, "effective_weight", (lua_Integer) peer->effective_weight);
    set_integer(L, "conns", (lua_Integer) peer->conns);
    set_integer(L, "max_conns", (lua_Integer) peer->max_conns);
    set_integer(L, "fails", (lua_Integer) peer->fails);
    set_integer(L, "max_fails", (lua_Integer) peer->max_fails);
    set_integer(L, "fail_timeout", (lua_Integer) peer->fail_timeout);
    if (peer->accessed > 0) {
        set_integer(L, "accessed", (lua_Integer) peer->accessed);
    }
    if (peer->checked > 0) {
        set_integer(L, "checked", (lua_Integer) peer->checked);
    }
    set_if(L, "down", peer->is_down);
}


static int
push_peers(lua_State *L, ngx_uint_t is_backup)
{
    upstream_t u;
    resolua_upstream_peer_t peer;
    if (!find(L, &u)) {
        return resolua_fail(L, "upstream not found");
    }
    lua_newtable(L);
    for (ngx_uint_t i = 0; u.of->peer(u.at, is_backup, i, &peer); i++) {
        push_peer(L, &peer, i);
        lua_rawseti(L, -2, (int) i + 1);
    }
    return 1;
}


static int
get_primary_peers(lua_State *L)
{
    return push_peers(L, 0);
}


static int
get_backup_peers(lua_State *L)
{
    return push_peers(L, 1);
}


/* set_peer_down(upstream, is_backup, id, down) */
static int
set_peer_down(lua_State *L)
{
    upstream_t u;
    const lua_Integer id = luaL_checkinteger(L, 3);
    if (!find(L, &u)) {
        return resolua_fail(L, "upstream not found");
    }
    if (id < 0 ||
        !u.of->set_down(u.at, (ngx_uint_t) lua_toboolean(L, 2), (ngx_uint_t) id,
                        (ngx_uint_t) lua_toboolean(L, 4))) {
        return resolua_fail(L, "bad peer id");
    }
    lua_pushboolean(L, 1);
    return 1;
}


static int
current_upstream_name(lua_State *L)
{
    const resolua_request_t *r = resolua_request(L);
    const resolua_upstreams_t *own = own_upstreams();
    ngx_str_t name;
    if (own == NULL || !own->current(r, &name)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushlstring(L, (char *) name.data, name.len);
    return 1;
}


static int
open_upstream(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"get_upstreams", get_upstreams},
        {"get_servers", get_servers},
        {"get_primary_peers", get_primary_peers},
        {"get_backup_peers", get_backup_peers},
        {"set_peer_down", set_peer_down},
        {"current_upstream_name", current_upstream_name},
        {NULL, NULL},
    };
    lua_createtable(L, 0, 6);
    luaL_register(L, NULL, functions);
    return 1;
}


void
resolua_upstream_setup(lua_State *L)
{
    resolua_vm_preload(L, "ngx.upstream", open_upstream);
}
