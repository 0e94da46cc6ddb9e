/*
 * What is below names, of zones of networked stores: told by the database once
 * for all names of a zone rather than for each name that is asked, so that
 * names that do not exist cost no more than those that do.  And which names
 * above a long one have records and may be cuts: the others are not asked for.
 */

#include "server/private/remote.h"

#include <openssl/rand.h>

/* Seconds that a listing of names is good for at most, where changes are told
   by the store. */
enum { AGE_MAX = 3600, FAILED_AGE = 1 };

struct remote_below_s {
    dns_name_t apex; /* size 0: nothing yet */
    dns_ancestors_t *known;
    uint64_t generation;
    uint64_t edits;
    uint32_t serial;
    ngx_msec_t asked_at;
    remote_job_t job;
    dns_ancestors_t *growing; /* owned: by the job under way */
    ngx_queue_t waiters;      /* dns_remote_t.job */
    unsigned is_asking : 1;
    unsigned is_large : 1; /* more names than are listed, or they could not be:
                              each name is asked for by itself */
    unsigned has_failed : 1;
};


static ngx_uint_t
slot_number(const dns_name_t *apex)
{
    return ngx_crc32_short((u_char *) apex->octets, apex->size) %
           REMOTE_BELOW_SLOTS;
}


static remote_below_t *
slot_of(remote_store_t *store, const dns_name_t *apex)
{
    if (store->below == NULL) {
        store->below = ngx_calloc(REMOTE_BELOW_SLOTS * sizeof(*store->below),
                                  ngx_cycle->log);
    }
    return store->below == NULL ? NULL : &store->below[slot_number(apex)];
}


static ngx_uint_t
is_same_zone(const remote_below_t *below, const dns_name_t *apex)
{
    return below->apex.size == apex->size &&
           ngx_memcmp(below->apex.octets, apex->octets, apex->size) == 0;
}


static ngx_uint_t
is_current(const remote_below_t *below, const remote_store_t *store,
           const dns_zone_t *zone)
{
    time_t age = remote_watch_is_on(store) ? AGE_MAX : store->conf->ttl_cap;
    if (below->has_failed) {
        age = FAILED_AGE;
    }
    return is_same_zone(below, &zone->apex) && below->edits == remote_edits() &&
           below->serial == store->serial &&
           below->generation == zone->generation &&
           ngx_current_msec - below->asked_at < (ngx_msec_t) age * 1000;
}


const dns_ancestors_t *
remote_below_find(remote_store_t *store, const dns_zone_t *zone)
{
    const remote_below_t *below = slot_of(store, &zone->apex);
    return below != NULL && is_current(below, store, zone) ? below->known
                                                           : NULL;
}


const dns_ancestors_t *
remote_below_last(const remote_store_t *store, const dns_name_t *apex)
{
    const remote_below_t *below =
        store->below != NULL ? &store->below[slot_number(apex)] : NULL;
    return below != NULL && is_same_zone(below, apex) ? below->known : NULL;
}


static void
wake_waiters(remote_below_t *below)
{
    ngx_queue_t awake;
    if (ngx_queue_empty(&below->waiters)) {
        return;
    }
    ngx_queue_init(&awake);
    ngx_queue_add(&awake, &below->waiters);
    ngx_queue_init(&below->waiters);
    while (!ngx_queue_empty(&awake)) {
        ngx_queue_t *q = ngx_queue_head(&awake);
        remote_job_t *job = ngx_queue_data(q, remote_job_t, queue);
        ngx_queue_remove(q);
        job->done(job, DNS_OK);
    }
}


static void
on_told(remote_job_t *job, dns_status_t status)
{
    remote_below_t *below = job->data;
    below->is_asking = 0;
    dns_ancestors_free(below->known);
    below->known = NULL;
    if (status == DNS_OK) {
        below->known = below->growing;
    } else {
        dns_ancestors_free(below->growing);
    }
    below->growing = NULL;
    below->is_large = status != DNS_OK;
    below->has_failed =
        below->is_large && status != DNS_ELIMIT && status != DNS_ENOTFOUND;
    wake_waiters(below);
}


static ngx_int_t
ask(remote_below_t *below, remote_store_t *store, const dns_zone_t *zone)
{
    uint8_t key[DNS_SIPHASH_KEY_SIZE];
    if (RAND_bytes(key, sizeof(key)) != 1 ||
        dns_ancestors_new(&below->growing, &zone->apex, key) != DNS_OK) {
        return NGX_ERROR;
    }
    below->apex = zone->apex;
    below->generation = zone->generation;
    below->edits = remote_edits();
    below->serial = store->serial;
    below->asked_at = ngx_current_msec;
    below->is_asking = 1;
    ngx_queue_init(&below->waiters);
    below->job.store = store;
    below->job.set = NULL;
    below->job.zones = NULL;
    below->job.owners = below->growing;
    below->job.owners_apex = &below->apex;
    below->job.owners_zone = zone->id;
    below->job.data = below;
    below->job.done = on_told;
    below->job.timeout = store->conf->timeout;
    remote_job_submit(&below->job);
    return NGX_OK;
}


ngx_int_t
remote_below_wait(remote_job_t *job, const dns_zone_t *zone)
{
    const remote_store_t *store = job->store;
    remote_below_t *below = slot_of(job->store, &zone->apex);
    if ((store->conf->ttl_cap == 0 && !remote_watch_is_on(store)) ||
        below == NULL ||
        (below->is_asking && !is_same_zone(below, &zone->apex)) ||
        (!below->is_asking && below->is_large &&
         is_current(below, job->store, zone))) {
        return NGX_DECLINED;
    }
    if (!below->is_asking && ask(below, job->store, zone) != NGX_OK) {
        return NGX_DECLINED;
    }
    job->link = NULL;
    job->is_queued = 0;
    ngx_queue_insert_tail(&below->waiters, &job->queue);
    return NGX_OK;
}


void
remote_below_close(remote_store_t *store)
{
    for (ngx_uint_t i = 0; store->below != NULL && i < REMOTE_BELOW_SLOTS;
         i++) {
        dns_ancestors_free(store->below[i].known);
        dns_ancestors_free(store->below[i].growing);
    }
    if (store->below != NULL) {
        ngx_free(store->below);
        store->below = NULL;
    }
}
