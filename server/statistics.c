#include "server/statistics.h"

#include "runtime/vm.h"
#include "server/conf.h"

extern ngx_module_t ngx_resolua_dns_module;

enum { SOCKETS = 256 };

/* In shared memory. */
typedef struct {
    uint64_t counts[DNS_COUNTERS];
    struct {
        uint64_t inode; /* 0: free */
        uint64_t dropped;
    } sockets[SOCKETS];
} shared_t;

uint64_t dns_counts[DNS_COUNTERS];


static ngx_int_t
init_zone(ngx_shm_zone_t *zone, void *before)
{
    ngx_slab_pool_t *slab = (ngx_slab_pool_t *) zone->shm.addr;
    if (before != NULL) {
        zone->data = before;
        return NGX_OK;
    }
    if (zone->shm.exists) {
        zone->data = slab->data;
        return NGX_OK;
    }
    zone->data = slab->data = ngx_slab_calloc(slab, sizeof(shared_t));
    return zone->data != NULL ? NGX_OK : NGX_ERROR;
}


ngx_int_t
dns_statistics_conf(ngx_conf_t *cf)
{
    dns_main_conf_t *conf = dns_main_conf(cf->cycle);
    ngx_str_t name = ngx_string("resolua_dns_statistics");
    if (conf->statistics != NULL) {
        return NGX_OK;
    }
    conf->statistics = ngx_shared_memory_add(cf, &name, 8 * ngx_pagesize,
                                             &ngx_resolua_dns_module);
    if (conf->statistics == NULL) {
        return NGX_ERROR;
    }
    conf->statistics->init = init_zone;
    return NGX_OK;
}


static shared_t *
shared(void)
{
    const dns_main_conf_t *conf = dns_main_conf((ngx_cycle_t *) ngx_cycle);
    return conf->statistics != NULL ? conf->statistics->data : NULL;
}


void
dns_statistics_flush(void)
{
    shared_t *all = shared();
    for (ngx_uint_t i = 0; i < DNS_COUNTERS; i++) {
        if (dns_counts[i] != 0 && all != NULL) {
            __atomic_fetch_add(&all->counts[i], dns_counts[i],
                               __ATOMIC_RELAXED);
        }
        dns_counts[i] = 0;
    }
}


/* Its place: NULL: there is none left. */
static uint64_t *
dropped_of(shared_t *all, uint64_t inode)
{
    for (ngx_uint_t i = 0; i < SOCKETS; i++) {
        uint64_t *at = &all->sockets[(inode + i) % SOCKETS].inode;
        uint64_t before = 0;
        if (__atomic_compare_exchange_n(at, &before, inode, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED) ||
            before == inode) {
            return &all->sockets[(inode + i) % SOCKETS].dropped;
        }
    }
    return NULL;
}


uint32_t
dns_statistics_drops(ngx_socket_t fd, uint32_t dropped)
{
    struct stat info;
    shared_t *all = shared();
    uint64_t *known = all != NULL && fstat(fd, &info) == 0
                          ? dropped_of(all, info.st_ino)
                          : NULL;
    if (known == NULL) {
        return 0;
    }
    uint64_t before = __atomic_load_n(known, __ATOMIC_RELAXED);
    const int32_t more = (int32_t) (dropped - (uint32_t) before);
    return more > 0 && __atomic_compare_exchange_n(known, &before, dropped, 0,
                                                   __ATOMIC_RELAXED,
                                                   __ATOMIC_RELAXED)
               ? (uint32_t) more
               : 0;
}


uint64_t
dns_statistics_get(dns_counter_t counter)
{
    const shared_t *all = shared();
    return all != NULL
               ? __atomic_load_n(&all->counts[counter], __ATOMIC_RELAXED)
               : 0;
}


/* dns.statistics.get(): the numbers by name. */
static int
get(lua_State *L)
{
    static const char *const names[DNS_COUNTERS] = {
        [DNS_COUNT_UDP] = "udp",
        [DNS_COUNT_TCP] = "tcp",
        [DNS_COUNT_TLS] = "tls",
        [DNS_COUNT_HTTPS] = "https",
        [DNS_COUNT_CACHE_HITS] = "cache_hits",
        [DNS_COUNT_ZONE] = "zone",
        [DNS_COUNT_ERRORS] = "errors",
        [DNS_COUNT_IGNORED] = "ignored",
        [DNS_COUNT_SESSIONS] = "sessions",
        [DNS_COUNT_SEND_ERRORS] = "send_errors",
        [DNS_COUNT_DROPPED] = "dropped",
        [DNS_COUNT_SHED] = "shed",
        [DNS_COUNT_KERNEL_DROPPED] = "kernel_dropped",
        [DNS_COUNT_FILTERED] = "filtered",
    };
    lua_createtable(L, 0, DNS_COUNTERS);
    for (dns_counter_t i = 0; i < DNS_COUNTERS; i++) {
        lua_pushnumber(L, (lua_Number) dns_statistics_get(i));
        lua_setfield(L, -2, names[i]);
    }
    return 1;
}


static int
open_module(lua_State *L)
{
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, get);
    lua_setfield(L, -2, "get");
    return 1;
}


void
dns_statistics_setup(lua_State *L)
{
    resolua_vm_preload(L, "dns.statistics", open_module);
}
