#include "server/cache.h"

#include "dns/name.h"
#include "dns/type.h"
#include "runtime/clock.h"
#include "runtime/vm.h"
#include "server/health.h"
#include "server/options.h"
#include "server/private/answer.h"
#include "server/statistics.h"

/* Behind nginx's own header of a shared zone. */
enum { HEALTH_AT = 4096, BLOCK_AT = HEALTH_AT + DNS_HEALTH_SIZE };

dns_cache_t *dns_server_cache;

static dns_cache_rules_t rules;
static uint32_t stale_seconds; /* dns_serve_stale */

extern ngx_module_t ngx_resolua_dns_module;


/* A reload keeps what is there. */
static ngx_int_t
init_zone(ngx_shm_zone_t *zone, void *before)
{
    uint8_t *block = zone->shm.addr + BLOCK_AT;
    dns_cache_t *cache;
    if (before != NULL) {
        zone->data = before;
        return NGX_OK;
    }
    if (dns_cache_init(block, zone->shm.size - BLOCK_AT, &cache) != DNS_OK) {
        ngx_log_error(NGX_LOG_EMERG, ngx_cycle->log, 0,
                      "dns_cache: no cache can be made in %uz octets",
                      zone->shm.size);
        return NGX_ERROR;
    }
    zone->data = cache;
    return NGX_OK;
}


ngx_int_t
dns_server_cache_conf(ngx_conf_t *cf, dns_main_conf_t *conf)
{
    ngx_str_t name = ngx_string("resolua_dns_cache");
    conf->cache = ngx_shared_memory_add(cf, &name, conf->cache_size + BLOCK_AT,
                                        &ngx_resolua_dns_module);
    if (conf->cache == NULL) {
        return NGX_ERROR;
    }
    conf->cache->init = init_zone;
    return NGX_OK;
}


void
dns_server_cache_open(ngx_cycle_t *cycle)
{
    const dns_main_conf_t *conf = dns_main_conf(cycle);
    dns_server_cache = conf->cache != NULL ? conf->cache->data : NULL;
    rules.ttl_min = (uint32_t) conf->cache_ttl_min;
    rules.ttl_max = (uint32_t) conf->cache_ttl_max;
    stale_seconds = (uint32_t) conf->serve_stale;
    dns_health_open(conf->cache != NULL && stale_seconds > 0
                        ? conf->cache->shm.addr + HEALTH_AT
                        : NULL);
}


size_t
dns_server_cache_get(uint32_t view, const dns_server_request_t *request)
{
    uint16_t rcode;
    if (dns_server_cache == NULL) {
        return 0;
    }
    const size_t size =
        dns_cache_get(dns_server_cache, request->query, view,
                      resolua_clock_seconds(), request->out, &rcode);
    if (size == 0) {
        return 0;
    }
    dns_counts[DNS_COUNT_CACHE_HITS]++;
    return dns_server_put_opt(request, rcode, size);
}


/* Says that the answer is old (RFC 8914 sections 4.4 and 4.20). */
static void
put_stale_option(dns_answer_options_t *options, uint8_t *octets, uint16_t rcode)
{
    dns_options_t extra = {
        .octets = octets,
        .room = DNS_EDNS_OPTIONS_MAX,
        .size = options->edns_options_size,
    };
    const dns_ede_t why = rcode == DNS_RCODE_NXDOMAIN ? DNS_EDE_STALE_NXDOMAIN
                                                      : DNS_EDE_STALE_ANSWER;
    if (dns_options_put_extended_error(&extra, why, NULL) == DNS_OK) {
        options->edns_options_size = (uint16_t) extra.size;
    }
}


ngx_uint_t
dns_server_cache_has_stale(void)
{
    return stale_seconds > 0 && dns_server_cache != NULL;
}


size_t
dns_server_cache_get_stale(const dns_server_request_t *request)
{
    const dns_query_t *query = request->query;
    uint8_t octets[DNS_EDNS_OPTIONS_MAX];
    dns_answer_options_t options;
    uint16_t rcode;
    const dns_cache_clock_t clock = {
        .now = resolua_clock_seconds(),
        .grace = stale_seconds,
    };
    if (dns_server_cache == NULL || stale_seconds == 0) {
        return 0;
    }
    const size_t size =
        dns_cache_get_stale(dns_server_cache, query, dns_server_view(request),
                            &clock, request->out, &rcode);
    if (size == 0) {
        return 0;
    }
    dns_server_options(request, octets, &options);
    put_stale_option(&options, octets, rcode);
    return dns_response_put_opt(
        query, &options, rcode, request->out, size,
        dns_query_response_limit(query, request->conf->udp_size));
}


void
dns_server_cache_put(uint32_t view, const dns_query_t *query,
                     const dns_cache_ticket_t *ticket,
                     const dns_response_t *response, const uint8_t *wire)
{
    if (dns_server_cache != NULL) {
        rules.now = resolua_clock_seconds();
        dns_cache_put(dns_server_cache, query, view, ticket, response, wire,
                      &rules);
    }
}


/* dns.cache.purge(name?): nothing kept of this name, and of this zone or tag,
   is given any more; without a name, nothing at all. */
static int
purge(lua_State *L)
{
    uint8_t wire[DNS_NAME_MAX];
    size_t size;
    if (dns_server_cache == NULL) {
        return 0;
    }
    if (lua_isnoneornil(L, 1)) {
        dns_cache_purge_all(dns_server_cache);
        return 0;
    }
    const char *text = luaL_checklstring(L, 1, &size);
    if (dns_name_from_text(wire, text, size, NULL, NULL) == DNS_OK) {
        dns_name_lower(wire);
        dns_cache_purge_name(dns_server_cache, wire, dns_name_size(wire));
        dns_cache_purge_group(dns_server_cache, wire, dns_name_size(wire));
    }
    dns_cache_purge_group(dns_server_cache, (const uint8_t *) text, size);
    return 0;
}


static void
set_number(lua_State *L, const char *name, uint64_t value)
{
    lua_pushnumber(L, (lua_Number) value);
    lua_setfield(L, -2, name);
}


/* dns.cache.stats(): a table of numbers, or nil where there is no cache. */
static int
stats(lua_State *L)
{
    dns_cache_stats_t cache;
    if (dns_server_cache == NULL) {
        return 0;
    }
    dns_cache_stats(dns_server_cache, &cache);
    lua_createtable(L, 0, 5);
    set_number(L, "capacity", cache.capacity);
    set_number(L, "kept", cache.kept);
    set_number(L, "replaced", cache.replaced);
    set_number(L, "refused", cache.refused);
    set_number(L, "hits", dns_statistics_get(DNS_COUNT_CACHE_HITS));
    return 1;
}


static int
open_module(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"purge", purge},
        {"stats", stats},
        {NULL, NULL},
    };
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}


void
dns_server_cache_setup(lua_State *L)
{
    resolua_vm_preload(L, "dns.cache", open_module);
}
