/* Networked stores for Lua: what the zones answer, and that one has changed. */

#include "dns/type.h"
#include "runtime/vm.h"
#include "runtime/wait.h"
#include "server/cache.h"
#include "server/private/answer.h"
#include "server/private/remote.h"

enum { UDP_SIZE = 1232, PACKET_MAX = 4096 };

/* An answer under way; owned by itself while it waits. */
typedef struct {
    resolua_thread_t *thread; /* NULL: nobody waits any more */
    dns_server_request_t request;
    dns_query_t query;
    dns_remote_t fetch;
    unsigned rounds; /* that stores were asked */
    ngx_uint_t is_final;
    ngx_uint_t leaves_zones;
    ngx_uint_t asks_parent;
    uint8_t packet[PACKET_MAX];
    uint8_t out[65535];
} lua_answer_t;

static dns_server_conf_t conf = {.udp_size = UDP_SIZE};


/* NGX_AGAIN: on_fetched() is called. */
static ngx_int_t go_on(lua_answer_t *a);


/* A store's failure is an answer too; the log was told by who saw it. */
static int
push_result(lua_State *L, lua_answer_t *a, ngx_int_t rc)
{
    if (rc != NGX_OK) {
        a->request.size = dns_server_failure(&a->request, &a->query,
                                             DNS_EDE_NO_REACHABLE_AUTHORITY);
        a->is_final = 1;
        a->leaves_zones = 0;
        a->asks_parent = 0;
    }
    lua_pushlstring(L, (const char *) a->out, a->request.size);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, (lua_Integer) a->is_final);
    lua_setfield(L, -2, "is_final");
    lua_pushinteger(L, (lua_Integer) a->leaves_zones);
    lua_setfield(L, -2, "leaves_zones");
    lua_pushinteger(L, (lua_Integer) a->asks_parent);
    lua_setfield(L, -2, "asks_parent");
    return 2;
}


static void
on_fetched(void *data, dns_status_t status)
{
    lua_answer_t *a = data;
    const ngx_int_t rc =
        status == DNS_OK && a->thread != NULL ? go_on(a) : NGX_ERROR;
    if (rc == NGX_AGAIN) {
        return;
    }
    resolua_thread_t *thread = a->thread;
    dns_remote_end(&a->fetch);
    if (thread == NULL) {
        ngx_free(a);
        return;
    }
    const int count = push_result(resolua_thread_state(thread), a, rc);
    ngx_free(a);
    resolua_thread_wake(thread, count);
}


static ngx_int_t
go_on(lua_answer_t *a)
{
    dns_answer_t answer;
    dns_server_begin();
    const dns_status_t status =
        dns_server_zones(&a->request, &a->fetch, &answer);
    dns_server_end();
    switch (status) {
    case DNS_OK:
        a->request.size = answer.size;
        a->leaves_zones = answer.leaves_zones;
        a->asks_parent = answer.asks_parent;
        a->is_final = 1;
        return NGX_OK;
    case DNS_NEEDS:
        if (++a->rounds > DNS_REMOTE_ROUNDS_MAX) {
            return NGX_ERROR;
        }
        dns_remote_fetch(&a->fetch, &answer, on_fetched, a);
        return NGX_AGAIN;
    case DNS_ENOTFOUND:
        return NGX_OK;
    default:
        return NGX_ERROR;
    }
}


/* The request ends first: a store may still fill the sets. */
static void
forget(void *data)
{
    lua_answer_t *a = data;
    a->thread = NULL;
}


static lua_answer_t *
answer_new(lua_State *L)
{
    size_t size;
    int rcode;
    const char *packet = luaL_checklstring(L, 1, &size);
    const int transport = luaL_optint(L, 2, DNS_OVER_UDP);
    luaL_argcheck(L, size <= PACKET_MAX, 1, "too large a query");
    lua_answer_t *a = ngx_alloc(sizeof(*a), ngx_cycle->log);
    if (a == NULL) {
        luaL_error(L, "no memory");
    }
    ngx_memcpy(a->packet, packet, size);
    a->thread = NULL;
    a->rounds = 0;
    a->is_final = 0;
    a->leaves_zones = 0;
    a->asks_parent = 0;
    ngx_memzero(&a->request, sizeof(a->request));
    a->request.conf = &conf;
    a->request.packet = a->packet;
    a->request.packet_size = size;
    a->request.out = a->out;
    a->request.query = &a->query;
    if (dns_query_parse(&a->query, a->packet, size, (dns_transport_t) transport,
                        &rcode) != DNS_OK) {
        a->request.size =
            rcode < 0 ? 0
                      : dns_query_error(&a->query, (uint16_t) rcode, a->out);
        a->is_final = 1;
    }
    return a;
}


/* answer_zones(packet, transport): as Store:answer() of dns.store.  Sleeps. */
static int
answer_zones(lua_State *L)
{
    lua_answer_t *a = answer_new(L);
    ngx_int_t rc = NGX_OK;
    dns_remote_begin(&a->fetch);
    if (!a->is_final) {
        rc = go_on(a);
    }
    if (rc == NGX_AGAIN) {
        a->thread = resolua_thread(L);
        return resolua_thread_sleep(a->thread, forget, a);
    }
    dns_remote_end(&a->fetch);
    const int count = push_result(L, a, rc);
    ngx_free(a);
    return count;
}


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
    lua_pushcfunction(L, answer_zones);
    lua_setfield(L, -2, "answer_zones");
}
