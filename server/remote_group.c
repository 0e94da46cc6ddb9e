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
    store->driver = conf->is_redis ? &remote_redis : &remote_mysql;
    store->number = dns_remote_count++;
    store->records = records;
    remote_pool_open(store);
    remote_zones_open(store);
    if (conf->is_redis) {
        remote_watch_open(store);
    }
}


/* What a member of a group is called in the log. */
static void
set_name(remote_conf_t *own, u_char *name, size_t size)
{
    const u_char *end = ngx_snprintf(name, size,
                                     ngx_strchr(own->hosts[0].data, ':') != NULL
                                         ? "redis://[%V]:%d"
                                         : "redis://%V:%d",
                                     &own->hosts[0], (int) own->ports[0]);
    own->name.data = name;
    own->name.len = (size_t) (end - name);
}


/* Once: each listing finds it anew. */
static void
note_no_room(const remote_conf_t *group, const ngx_str_t *host)
{
    static ngx_uint_t is_noted;
    if (!is_noted) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "dns_store %V: no room for %V: its zones are not served",
                      &group->name, host);
        is_noted = 1;
    }
}


/* A store of one host of a group; rank: 0 is preferred. */
static void
open_member(const remote_conf_t *group, const ngx_str_t *host, in_port_t port,
            ngx_uint_t rank)
{
    enum { NAME_SIZE = 80 };
    remote_conf_t *own = NULL;
    if (dns_remote_count < DNS_REMOTE_STORES_MAX) {
        own =
            ngx_alloc(sizeof(*own) + host->len + 1 + NAME_SIZE, ngx_cycle->log);
    }
    if (own == NULL) {
        note_no_room(group, host);
        return;
    }
    u_char *text = (u_char *) (own + 1);
    *own = *group;
    ngx_memcpy(text, host->data, host->len);
    text[host->len] = '\0';
    own->hosts[0] = (ngx_str_t){host->len, text};
    own->ports[0] = port;
    own->host_count = 1;
    set_name(own, text + host->len + 1, NAME_SIZE);
    open_store(own, own, group);
    remote_stores[dns_remote_count - 1].rank = rank;
}


static void
open_group(const remote_conf_t *conf)
{
    const ngx_uint_t first = dns_remote_count;
    if (conf->is_cluster) {
        for (ngx_uint_t i = 0; i < conf->host_count; i++) {
            open_member(conf, &conf->hosts[i], conf->ports[i], 0);
        }
        return;
    }
    /* The first that is up is asked: another one in each worker. */
    for (ngx_uint_t k = 0; k < conf->replica_count; k++) {
        const ngx_uint_t i = (ngx_worker + k) % conf->replica_count;
        open_member(conf, &conf->replicas[i], conf->replica_ports[i], 0);
    }
    open_store(conf, NULL, conf);
    remote_stores[dns_remote_count - 1].rank = first < dns_remote_count - 1;
}


ngx_uint_t
remote_conf_stores(const remote_conf_t *conf)
{
    return conf->is_cluster ? conf->host_count : conf->replica_count + 1;
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
        if (remote->mirror.len == 0) { /* else its copy is served */
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
    if (store->group->is_cluster) {
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
    ngx_str_t host = {ngx_strlen(address), (u_char *) address};
    ngx_sockaddr_t to;
    socklen_t size;
    if (host.len == 0) { /* itself */
        store->masters_told |= is_master ? 1u << store->number : 0;
        return;
    }
    for (ngx_uint_t i = 0; i < dns_remote_count; i++) {
        const remote_conf_t *conf = remote_stores[i].conf;
        if (remote_stores[i].group == store->group && conf->ports[0] == port &&
            conf->hosts[0].len == host.len &&
            ngx_strncmp(conf->hosts[0].data, host.data, host.len) == 0) {
            store->masters_told |= is_master ? 1u << i : 0;
            return;
        }
    }
    if (!ngx_exiting &&
        remote_address(store->conf, address, port, &to, &size) == NGX_OK) {
        open_member(store->group, &host, port, 0);
        store->masters_told |= is_master ? 1u << (dns_remote_count - 1) : 0;
    }
}


void
remote_group_listed(remote_store_t *store)
{
    for (ngx_uint_t i = 0; i < dns_remote_count; i++) {
        remote_store_t *other = &remote_stores[i];
        if (store->group->is_cluster && other->group == store->group) {
            other->is_replica = (store->masters_told >> i & 1) == 0;
            other->rank = other->is_replica;
        }
    }
}
