/*
 * What is below names, of zones of networked stores: told by the database once
 * for all names of a zone rather than for each name that is asked, so that
 * names that do not exist cost no more than those that do.  And which names
 * above a long one have records and may be cuts: the others are not asked for.
 * Of signed zones also the order of the names, which says where the proofs are.
 */

#include "server/private/remote.h"

#include <openssl/rand.h>

/* Seconds that a listing of names is good for at most, where changes are told
   by the store; one that has failed; and one of a zone whose names cannot be
   listed, when an order is wanted. */
enum { AGE_MAX = 3600, FAILED_AGE = 1, NO_ORDER_AGE = 60 };

/* Seconds from one line of the log about a zone to the next. */
enum { LOG_PAUSE = 300 };

/* A chain of proofs that is broken does not make its zone's names be listed for
   more than this part of the time. */
enum { BROKEN_SHARE = 20, BROKEN_MIN = 1000 /* ms */ };

/* What there was when the names of a zone were asked for. */
typedef struct {
    uint64_t generation;
    uint64_t edits;
    uint32_t serial;
    ngx_msec_t asked_at;
} stamp_t;

/* The names of a zone as they were told once; shared with the queries that look
   for proofs. */
struct remote_names_s {
    const remote_store_t *store;
    dns_name_t apex;
    dns_ancestors_t *known; /* owned */
    uint64_t number;        /* of the listing, from 1 */
    stamp_t stamp;
    ngx_uint_t references;
};

struct remote_below_s {
    dns_name_t apex;       /* size 0: nothing yet */
    remote_names_t *names; /* NULL: not told */
    uint64_t number;       /* of the listing that was asked for last */
    stamp_t stamp;         /* then */
    ngx_msec_t took;
    ngx_msec_t broken_at; /* a new listing did not help; 0: never */
    time_t logged_at;
    remote_job_t job;
    dns_ancestors_t *growing; /* owned: by the job under way */
    ngx_queue_t waiters;      /* dns_remote_t.job */
    dns_status_t status;      /* of the last listing */
    unsigned is_asking : 1;
    unsigned is_large : 1; /* more names than are listed, or they could not be:
                              each name is asked for by itself */
    unsigned has_failed : 1;
};

static uint64_t listings; /* that have been asked for */


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
is_of_now(const stamp_t *stamp, const remote_store_t *store,
          const dns_zone_t *zone)
{
    return stamp->edits == remote_edits(&zone->apex) &&
           stamp->serial == store->serial &&
           stamp->generation == zone->generation;
}


/* Seconds that names are good for. */
static time_t
names_age_max(const remote_store_t *store)
{
    return remote_watch_is_on(store) ? AGE_MAX : store->conf->options->ttl_cap;
}


static ngx_uint_t
is_current(const remote_below_t *below, const remote_store_t *store,
           const dns_zone_t *zone)
{
    const time_t age = below->has_failed ? FAILED_AGE : names_age_max(store);
    return is_same_zone(below, &zone->apex) &&
           is_of_now(&below->stamp, store, zone) &&
           ngx_current_msec - below->stamp.asked_at < (ngx_msec_t) age * 1000;
}


/* While they are told anew those that were told before are known to be old. */
const dns_ancestors_t *
remote_below_find(remote_store_t *store, const dns_zone_t *zone)
{
    const remote_below_t *below = slot_of(store, &zone->apex);
    return below != NULL && below->names != NULL && !below->is_asking &&
                   is_current(below, store, zone)
               ? below->names->known
               : NULL;
}


static ngx_uint_t
are_of_zone(const remote_names_t *names, const remote_store_t *store,
            const dns_name_t *apex)
{
    return names != NULL && names->store == store &&
           dns_name_equal(names->apex.octets, apex->octets);
}


const dns_ancestors_t *
remote_below_last(const remote_store_t *store, const dns_name_t *apex)
{
    const remote_names_t *names =
        store->below != NULL ? store->below[slot_number(apex)].names : NULL;
    return are_of_zone(names, store, apex) ? names->known : NULL;
}


uint64_t
remote_below_listings(void)
{
    return listings;
}


void
remote_names_release(remote_names_t *names)
{
    if (names != NULL && --names->references == 0) {
        dns_ancestors_free(names->known);
        ngx_free(names);
    }
}


const dns_order_t *
remote_below_order(dns_remote_t *fetch, remote_store_t *store,
                   const dns_zone_t *zone)
{
    const remote_below_t *below = slot_of(store, &zone->apex);
    remote_names_t *told = below != NULL ? below->names : NULL;
    const ngx_uint_t has_own = are_of_zone(fetch->names, store, &zone->apex);
    if (are_of_zone(told, store, &zone->apex) &&
        dns_ancestors_order(told->known) != NULL &&
        (!has_own || told->number > fetch->names->number)) {
        remote_names_release(fetch->names);
        fetch->names = told;
        told->references++;
        return dns_ancestors_order(told->known);
    }
    return has_own ? dns_ancestors_order(fetch->names->known) : NULL;
}


ngx_uint_t
remote_below_may_be_old(dns_remote_t *fetch, remote_store_t *store,
                        const dns_zone_t *zone)
{
    remote_below_t *below = slot_of(store, &zone->apex);
    const ngx_msec_t now = ngx_current_msec;
    const ngx_uint_t is_new = fetch->names->number > fetch->listings;
    if (below == NULL || !is_same_zone(below, &zone->apex)) {
        return !is_new;
    }
    if (is_new) {
        below->broken_at = now;
    }
    return !is_new && (below->broken_at == 0 ||
                       now - below->broken_at >=
                           ngx_max(BROKEN_SHARE * below->took, BROKEN_MIN));
}


static void
log_lack(remote_below_t *below, const remote_store_t *store)
{
    char zone[DNS_NAME_TEXT_SIZE];
    if (below->logged_at != 0 && ngx_time() - below->logged_at < LOG_PAUSE) {
        return;
    }
    below->logged_at = ngx_time();
    (void) dns_name_to_text(zone, below->apex.octets);
    ngx_log_error(
        NGX_LOG_WARN, ngx_cycle->log, 0,
        "dns_store %s: the names of the signed zone %s cannot be listed, for "
        "%s; its answers say without proof what does not exist, and resolvers "
        "that validate take them for forged; serve the zone from a copy "
        "(mirror=DIR)",
        store->conf->name, zone,
        below->status == DNS_ELIMIT ? "there are more than 100000"
                                    : "the store has no query_owners");
}


void
remote_below_log_unproved(const remote_store_t *store, const dns_zone_t *zone)
{
    static time_t logged_at[REMOTE_BELOW_SLOTS];
    time_t *at = &logged_at[slot_number(&zone->apex)];
    char name[DNS_NAME_TEXT_SIZE];
    if (*at != 0 && ngx_time() - *at < LOG_PAUSE) {
        return;
    }
    *at = ngx_time();
    (void) dns_name_to_text(name, zone->apex.octets);
    ngx_log_error(
        NGX_LOG_WARN, ngx_cycle->log, 0,
        "dns_store %s: the signed zone %s keeps no NSEC or NSEC3, as a "
        "secondary server of PowerDNS leaves it; its answers say without proof "
        "what does not exist, and resolvers that validate take them for "
        "forged; serve the zone from a copy (mirror=DIR), which makes them",
        store->conf->name, name);
}


dns_status_t
remote_below_lack(const dns_remote_t *fetch, remote_store_t *store,
                  const dns_zone_t *zone)
{
    remote_below_t *below = slot_of(store, &zone->apex);
    if (below == NULL) {
        return DNS_ESTORE;
    }
    const ngx_msec_t age = below->has_failed ? FAILED_AGE : NO_ORDER_AGE;
    if (!is_same_zone(below, &zone->apex) || below->is_asking ||
        !below->is_large ||
        (below->number <= fetch->listings &&
         ngx_current_msec - below->stamp.asked_at >= age * 1000)) {
        return DNS_NEEDS;
    }
    if (below->has_failed) {
        return DNS_ESTORE;
    }
    log_lack(below, store);
    return DNS_ENOTFOUND;
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


static remote_names_t *
new_names(remote_below_t *below)
{
    remote_names_t *names = ngx_alloc(sizeof(*names), ngx_cycle->log);
    if (names != NULL) {
        names->store = below->job.store;
        names->apex = below->apex;
        names->known = below->growing;
        names->number = below->number;
        names->stamp = below->stamp;
        names->references = 1;
    }
    return names;
}


static void
on_told(remote_job_t *job, dns_status_t status)
{
    remote_below_t *below = job->data;
    below->is_asking = 0;
    below->took = ngx_current_msec - below->stamp.asked_at;
    remote_names_release(below->names);
    below->names = NULL;
    if (status == DNS_OK) {
        status = dns_ancestors_settle(below->growing);
    }
    if (status == DNS_OK) {
        below->names = new_names(below);
        status = below->names != NULL ? DNS_OK : DNS_ENOMEM;
    }
    if (status != DNS_OK) {
        dns_ancestors_free(below->growing);
    }
    below->growing = NULL;
    below->status = status;
    below->is_large = status != DNS_OK;
    below->has_failed =
        below->is_large && status != DNS_ELIMIT && status != DNS_ENOTFOUND;
    wake_waiters(below);
}


static ngx_int_t
ask(remote_below_t *below, remote_store_t *store, const dns_zone_t *zone,
    ngx_uint_t is_ordered)
{
    uint8_t key[DNS_SIPHASH_KEY_SIZE];
    if (RAND_bytes(key, sizeof(key)) != 1 ||
        dns_ancestors_new(&below->growing, &zone->apex, key) != DNS_OK) {
        return NGX_ERROR;
    }
    if (is_ordered && dns_ancestors_keep_order(below->growing) != DNS_OK) {
        dns_ancestors_free(below->growing);
        below->growing = NULL;
        return NGX_ERROR;
    }
    if (!is_same_zone(below, &zone->apex)) {
        below->broken_at = 0;
        below->logged_at = 0;
    }
    below->apex = zone->apex;
    below->number = ++listings;
    below->stamp = (stamp_t){.generation = zone->generation,
                             .edits = remote_edits(&zone->apex),
                             .serial = store->serial,
                             .asked_at = ngx_current_msec};
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
    below->job.timeout = store->conf->options->timeout_ms;
    remote_job_submit(&below->job);
    return NGX_OK;
}


/* Before they are too old they are asked for again. */
const dns_ancestors_t *
remote_below_current(remote_store_t *store, const dns_zone_t *zone,
                     uint64_t *number)
{
    remote_below_t *below = slot_of(store, &zone->apex);
    const remote_names_t *names = below != NULL ? below->names : NULL;
    if (!are_of_zone(names, store, &zone->apex) ||
        !is_of_now(&names->stamp, store, zone)) {
        return NULL;
    }
    const ngx_msec_t age = ngx_current_msec - names->stamp.asked_at;
    const ngx_msec_t age_max = (ngx_msec_t) names_age_max(store) * 1000;
    if (age > age_max / 2 && !below->is_asking) {
        (void) ask(below, store, zone,
                   dns_ancestors_order(names->known) != NULL);
    }
    *number = names->number;
    return age < age_max ? names->known : NULL;
}


static void
wait_for(remote_below_t *below, remote_job_t *job)
{
    job->link = NULL;
    job->is_queued = 0;
    ngx_queue_insert_tail(&below->waiters, &job->queue);
}


ngx_int_t
remote_below_wait(remote_job_t *job, const dns_zone_t *zone,
                  ngx_uint_t is_signed)
{
    const remote_store_t *store = job->store;
    remote_below_t *below = slot_of(job->store, &zone->apex);
    if ((store->conf->options->ttl_cap == 0 && !remote_watch_is_on(store)) ||
        below == NULL ||
        (below->is_asking && !is_same_zone(below, &zone->apex)) ||
        (!below->is_asking && below->is_large &&
         is_current(below, job->store, zone))) {
        return NGX_DECLINED;
    }
    if (!below->is_asking &&
        ask(below, job->store, zone, is_signed) != NGX_OK) {
        return NGX_DECLINED;
    }
    wait_for(below, job);
    return NGX_OK;
}


/* A listing of another zone in the same slot is waited for too. */
ngx_int_t
remote_below_wait_order(remote_job_t *job, const dns_zone_t *zone)
{
    remote_below_t *below = slot_of(job->store, &zone->apex);
    if (below == NULL ||
        (!below->is_asking && ask(below, job->store, zone, 1) != NGX_OK)) {
        return NGX_DECLINED;
    }
    wait_for(below, job);
    return NGX_OK;
}


void
remote_below_close(remote_store_t *store)
{
    for (ngx_uint_t i = 0; store->below != NULL && i < REMOTE_BELOW_SLOTS;
         i++) {
        remote_names_release(store->below[i].names);
        dns_ancestors_free(store->below[i].growing);
    }
    if (store->below != NULL) {
        ngx_free(store->below);
        store->below = NULL;
    }
}
