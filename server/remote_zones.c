/* Which zones a networked store has, and which have changed. */

#include "server/cache.h"
#include "server/private/remote.h"

#include <openssl/rand.h>

/* A listing that takes long is not done over and over: it may use this part of
   the time. */
enum { LISTING_SHARE = 20, LISTING_PAUSE_MIN = 20 /* ms */ };

/* So long at most do names of other stores wait for the first listing: it may
   have a deeper zone, which after a reload must not be lost for a moment. */
enum { START_MS = 500 };

enum { PURGED_ONE_BY_ONE = 1000 }; /* zones; more: all answers */

static uint64_t
changes_now(void)
{
    return __atomic_load_n(&remote_changes->zones, __ATOMIC_ACQUIRE);
}


void
remote_zones_changed(void)
{
    if (remote_changes != NULL) { /* else no zone is live: all are mirrored */
        (void) __atomic_add_fetch(&remote_changes->zones, 1, __ATOMIC_SEQ_CST);
    }
}


remote_list_t *
remote_zones_current(remote_store_t *store)
{
    if (store->seen == changes_now()) {
        return store->list;
    }
    remote_zones_refresh(store);
    return NULL;
}


void
remote_list_release(remote_list_t *list)
{
    if (list != NULL && --list->references == 0) {
        dns_zone_list_free(list->zones);
        ngx_free(list);
    }
}


void
remote_zones_wait(remote_job_t *job)
{
    remote_job_begin(job);
    ngx_add_timer(&job->event, job->timeout);
    ngx_queue_insert_tail(&job->store->list_waiters, &job->queue);
}


static void
end_waiters(remote_store_t *store, dns_status_t status)
{
    ngx_queue_t ended;
    if (ngx_queue_empty(&store->list_waiters)) {
        return;
    }
    ngx_queue_init(&ended);
    ngx_queue_add(&ended, &store->list_waiters);
    ngx_queue_init(&store->list_waiters);
    while (!ngx_queue_empty(&ended)) {
        remote_job_t *job =
            ngx_queue_data(ngx_queue_head(&ended), remote_job_t, queue);
        remote_job_end(job, status, "");
    }
}


static ngx_uint_t
has_same_zones(const dns_zone_list_t *old, const dns_zone_list_t *new)
{
    if (dns_zone_list_count(old) != dns_zone_list_count(new)) {
        return 0;
    }
    for (size_t i = 0; i < dns_zone_list_count(new); i++) {
        const dns_zone_t *zone = dns_zone_list_at(new, i);
        if (dns_zone_list_get(old, zone->apex.octets) == NULL) {
            return 0;
        }
    }
    return 1;
}


/* The serial of zones that have none rises, and what is wrong in them is told
   again. */
static void
note_change(remote_store_t *store)
{
    store->serial = (uint32_t) ngx_time();
    ngx_memzero(store->skip_marks, sizeof(store->skip_marks));
}


static void
purge_zone(const uint8_t *apex, size_t size)
{
    if (dns_server_cache != NULL) {
        dns_cache_purge_group(dns_server_cache, apex, size);
    }
}


void
remote_zones_purge(remote_store_t *store)
{
    const dns_zone_list_t *zones =
        store->list != NULL ? store->list->zones : NULL;
    const size_t count = zones != NULL ? dns_zone_list_count(zones) : 0;
    if (count > PURGED_ONE_BY_ONE && dns_server_cache != NULL) {
        dns_cache_purge_all(dns_server_cache);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const dns_zone_t *zone = dns_zone_list_at(zones, i);
        purge_zone(zone->apex.octets, zone->apex.size);
    }
}


/* At least from one listing to the next. */
static ngx_msec_t
pause_ms(const remote_store_t *store)
{
    return ngx_max(store->listing_took * LISTING_SHARE, LISTING_PAUSE_MIN);
}


/* Changes that keep coming do not put it off. */
void
remote_zones_soon(remote_store_t *store)
{
    const ngx_msec_t pause = pause_ms(store);
    const ngx_msec_t past = ngx_current_msec - store->listing.started;
    store->list_again = 1;
    if (!store->is_listing && !store->is_closing) {
        ngx_add_timer(&store->poll, past < pause ? pause - past : 0);
    }
}


/* Answers that were made from what has changed are not given any more. */
static void
purge_changed(remote_store_t *store, const dns_zone_list_t *new)
{
    const dns_zone_list_t *old = store->list->zones;
    if (!has_same_zones(old, new)) {
        note_change(store);
        if (dns_server_cache != NULL) {
            dns_cache_purge_all(dns_server_cache);
        }
        return;
    }
    for (size_t i = 0; i < dns_zone_list_count(new); i++) {
        const dns_zone_t *zone = dns_zone_list_at(new, i);
        if (dns_zone_list_get(old, zone->apex.octets)->generation ==
            zone->generation) {
            continue;
        }
        note_change(store);
        purge_zone(zone->apex.octets, zone->apex.size);
    }
}


void
remote_zones_told(remote_store_t *store, const dns_name_t *apex,
                  ngx_uint_t may_come_or_go)
{
    if (store->serial != (uint32_t) ngx_time()) {
        note_change(store);
    }
    if (apex == NULL) {
        remote_zones_purge(store);
    } else {
        purge_zone(apex->octets, apex->size);
    }
    if (apex == NULL || may_come_or_go || store->list == NULL ||
        dns_zone_list_get(store->list->zones, apex->octets) == NULL) {
        remote_zones_soon(store);
    }
}


static void
take_list(remote_store_t *store, dns_zone_list_t *zones)
{
    remote_list_t *list = ngx_alloc(sizeof(*list), ngx_cycle->log);
    if (list == NULL) {
        dns_zone_list_free(zones);
        return;
    }
    list->zones = zones;
    list->references = 1;
    if (store->list != NULL) {
        purge_changed(store, zones);
    } else if (dns_server_cache != NULL) {
        store->serial = (uint32_t) ngx_time();
        dns_cache_purge_all(dns_server_cache);
    }
    remote_list_release(store->list);
    store->list = list;
}


static void
on_start(ngx_event_t *ev)
{
    remote_store_t *store = ev->data;
    store->is_starting = 0;
    end_waiters(store, DNS_OK);
}


static void
on_listed(remote_job_t *job, dns_status_t status)
{
    remote_store_t *store = job->store;
    dns_zone_list_t *zones = job->zones;
    job->zones = NULL;
    store->is_listing = 0;
    store->listing_failed = status != DNS_OK;
    if (status == DNS_OK) {
        store->seen = store->listing_seen;
        store->listing_took = ngx_current_msec - job->started;
        take_list(store, zones);
    } else {
        dns_zone_list_free(zones);
    }
    if (status == DNS_OK && store->seen != changes_now()) {
        remote_zones_refresh(store); /* a zone came meanwhile */
        return;
    }
    store->is_starting = 0;
    if (store->start.timer_set) {
        ngx_del_timer(&store->start);
    }
    end_waiters(store, status);
    if (!ngx_exiting && !store->is_closing) {
        const ngx_msec_t pause = status == DNS_OK ? pause_ms(store) : 0;
        const ngx_msec_t poll = store->list_again && status == DNS_OK
                                    ? 0
                                    : store->conf->options->poll_ms;
        ngx_add_timer(&store->poll, ngx_max(poll, pause));
    }
}


void
remote_zones_refresh(remote_store_t *store)
{
    uint8_t key[DNS_SIPHASH_KEY_SIZE];
    remote_job_t *job = &store->listing;
    if (store->is_listing || store->is_closing) {
        return;
    }
    if (store->poll.timer_set) {
        ngx_del_timer(&store->poll);
    }
    if (RAND_bytes(key, sizeof(key)) != 1 ||
        dns_zone_list_new(&job->zones, key) != DNS_OK) {
        ngx_add_timer(&store->poll, store->conf->options->poll_ms);
        return;
    }
    store->is_listing = 1;
    store->list_again = 0;
    store->listing_seen = changes_now();
    job->store = store;
    job->set = NULL;
    job->timeout = store->conf->options->timeout_ms;
    job->done = on_listed;
    remote_job_submit(job);
}


static void
on_poll(ngx_event_t *ev)
{
    if (!ngx_exiting) {
        remote_zones_refresh(ev->data);
    }
}


void
remote_zones_open(remote_store_t *store)
{
    ngx_queue_init(&store->list_waiters);
    store->poll.handler = on_poll;
    store->poll.data = store;
    store->poll.log = ngx_cycle->log;
    store->poll.cancelable = 1;
    store->start.handler = on_start;
    store->start.data = store;
    store->start.log = ngx_cycle->log;
    store->start.cancelable = 1;
    store->is_starting = 1;
    ngx_add_timer(&store->start, START_MS);
    remote_zones_refresh(store);
}


void
remote_zones_close(remote_store_t *store)
{
    if (store->start.timer_set) {
        ngx_del_timer(&store->start);
    }
    if (store->poll.timer_set) {
        ngx_del_timer(&store->poll);
    }
    remote_list_release(store->list);
    store->list = NULL;
}
