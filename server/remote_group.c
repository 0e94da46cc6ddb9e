/* The networked stores of a worker: one for each directive, or several that
   have the same zones: the nodes of a cluster, or replicas and their master. */

#include "server/private/remote.h"

ngx_uint_t dns_remote_count;
remote_store_t remote_stores[DNS_REMOTE_STORES_MAX];

static store_records_t *records;


static void
open_store(const remote_conf_t *conf, remote_conf_t *own,
           const remote_conf_t *group)
{
    remote_store_t *store = &remote_stores[dns_remote_count];
    ngx_memzero(store, sizeof(*store));
    store->conf = conf;
    store->own_conf = own;
    store->group = group;
    store->driver = conf->options->is_redis ? &remote_redis : &remote_mysql;
    store->number = dns_remote_count++;
    store->records = records;
    remote_pool_open(store);
    remote_zones_open(store);
    if (conf->options->is_redis) {
        remote_watch_open(store);
    }
}


/* Once: each listing finds it anew. */
static void
note_no_room(const remote_conf_t *group, const store_host_t *host)
{
    static ngx_uint_t is_noted;
    if (!is_noted) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "dns_store %s: no room for %s: its zones are not served",
                      group->name, host->address);
        is_noted = 1;
    }
}


/* A store of one host of a group; rank: 0 is preferred. */
static void
open_member(const remote_conf_t *group, const store_host_t *host,
            ngx_uint_t rank)
{
    const size_t address_size = ngx_strlen(host->address) + 1;
    const size_t name_size = sizeof("redis://[]:65535") + address_size;
    const char *format = ngx_strchr(host->address, ':') != NULL
                             ? "redis://[%s]:%d%Z"
                             : "redis://%s:%d%Z";
    remote_conf_t *own = NULL;
    if (dns_remote_count < DNS_REMOTE_STORES_MAX) {
        own =
            ngx_alloc(sizeof(*own) + address_size + name_size, ngx_cycle->log);
    }
    if (own == NULL) {
        note_no_room(group, host);
        return;
    }
    char *address = (char *) (own + 1);
    char *name = address + address_size;
    ngx_memcpy(address, host->address, address_size);
    (void) ngx_sprintf((u_char *) name, format, address, (int) host->port);
    *own = *group;
    own->name = name; /* in the log */
    own->hosts.count = 1;
    own->hosts.host[0] = (store_host_t){address, host->port};
    open_store(own, own, group);
    remote_stores[dns_remote_count - 1].rank = rank;
}


static void
open_group(const remote_conf_t *conf)
{
    const ngx_uint_t first = dns_remote_count;
    if (conf->options->is_cluster) {
        for (ngx_uint_t i = 0; i < conf->hosts.count; i++) {
            open_member(conf, &conf->hosts.host[i], 0);
        }
        return;
    }
    /* The first that is up is asked: another one in each worker. */
    const store_hosts_t *replicas = &conf->options->replicas;
    for (ngx_uint_t k = 0; k < replicas->count; k++) {
        open_member(conf, &replicas->host[(ngx_worker + k) % replicas->count],
                    0);
    }
    open_store(conf, NULL, conf);
    remote_stores[dns_remote_count - 1].rank = first < dns_remote_count - 1;
}


ngx_uint_t
remote_conf_stores(const remote_conf_t *conf)
{
    return conf->options->is_cluster ? conf->hosts.count
                                     : conf->options->replicas.count + 1;
}


void
dns_remote_open(ngx_cycle_t *cycle)
{
    const dns_main_conf_t *conf = dns_main_conf(cycle);
    const ngx_uint_t count = conf->remotes.nelts;
    if (count == 0) {
        return;
    }
    if (store_records_new(&records) != DNS_OK) {
        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                      "dns_store: no memory for networked stores");
        return;
    }
    for (ngx_uint_t i = 0; i < count; i++) {
        const remote_conf_t *remote =
            (const remote_conf_t *) conf->remotes.elts + i;
        if (remote->options->mirror == NULL) { /* else its copy is served */
            remote_edits_open();
            open_group(remote);
        }
    }
}


void
dns_remote_close(void)
{
    for (ngx_uint_t i = 0; i < dns_remote_count; i++) {
        remote_pool_close(&remote_stores[i]);
        remote_zones_close(&remote_stores[i]);
        remote_below_close(&remote_stores[i]);
        remote_watch_close(&remote_stores[i]);
        ngx_free(remote_stores[i].own_conf);
    }
    store_records_free(records);
    records = NULL;
    dns_remote_count = 0;
}


static ngx_uint_t
is_down(const remote_store_t *store)
{
    return store->listing_failed ||
           (store->ready_count == 0 &&
            (store->failures > 0 || store->is_failing));
}


ngx_uint_t
remote_is_better(const remote_store_t *store, const remote_store_t *other)
{
    if (store->group != other->group) {
        return 0;
    }
    return is_down(store) != is_down(other) ? !is_down(store)
                                            : store->rank < other->rank;
}


ngx_uint_t
remote_has_substitute(const remote_store_t *store)
{
    for (ngx_uint_t i = 0; i < dns_remote_count; i++) {
        const remote_store_t *other = &remote_stores[i];
        if (other != store && other->group == store->group && !is_down(other)) {
            return 1;
        }
    }
    return 0;
}


/* Of a cluster all masters have to tell; of replicas and their master one. */
ngx_uint_t
remote_is_missed(const remote_store_t *store)
{
    if (store->group->options->is_cluster) {
        return !store->is_replica;
    }
    for (ngx_uint_t i = 0; i < dns_remote_count; i++) {
        remote_store_t *other = &remote_stores[i];
        if (other != store && other->group == store->group && !is_down(other) &&
            remote_zones_current(other) != NULL) {
            return 0;
        }
    }
    return 1;
}


ngx_uint_t
remote_is_outdated(const remote_store_t *store)
{
    return is_down(store) && !remote_is_missed(store);
}


unsigned
remote_group_relist(const remote_store_t *store)
{
    unsigned numbers = 0;
    for (ngx_uint_t i = 0; i < dns_remote_count; i++) {
        remote_store_t *other = &remote_stores[i];
        if (other->group == store->group) {
            remote_zones_soon(other);
            numbers |= 1u << i;
        }
    }
    return numbers;
}


/* Nodes that the URL does not name are found by those that it does. */
void
remote_group_node(remote_store_t *store, const char *address, in_port_t port,
                  ngx_uint_t is_master)
{
    const store_host_t host = {address, port};
    if (address[0] == '\0') { /* itself */
        store->masters_told |= is_master ? 1u << store->number : 0;
        return;
    }
    for (ngx_uint_t i = 0; i < dns_remote_count; i++) {
        const store_host_t *own = &remote_stores[i].conf->hosts.host[0];
        if (remote_stores[i].group == store->group && own->port == port &&
            ngx_strcmp(own->address, address) == 0) {
            store->masters_told |= is_master ? 1u << i : 0;
            return;
        }
    }
    if (!ngx_exiting && remote_is_address(address)) {
        open_member(store->group, &host, 0);
        store->masters_told |= is_master ? 1u << (dns_remote_count - 1) : 0;
    }
}


void
remote_group_listed(remote_store_t *store)
{
    for (ngx_uint_t i = 0; i < dns_remote_count; i++) {
        remote_store_t *other = &remote_stores[i];
        if (store->group->options->is_cluster && other->group == store->group) {
            other->is_replica = (store->masters_told >> i & 1) == 0;
            other->rank = other->is_replica;
        }
    }
}
