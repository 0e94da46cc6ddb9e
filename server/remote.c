#include "server/remote.h"

#include "dns/covering.h"
#include "dns/type.h"
#include "server/private/remote.h"

/* Which store a zone is of, in the upper bits of its flags: 0 is the local
   source, 1 the first networked one. */
enum { STORE_SHIFT = 24, FLAGS_MASK = (1 << STORE_SHIFT) - 1 };

/* Recycled. */
enum { FREE_SETS = 256 };
static dns_fetched_t *free_sets[FREE_SETS];
static ngx_uint_t free_set_count;


ngx_uint_t
dns_remote_is_starting(void)
{
    for (ngx_uint_t i = 0; i < dns_remote_count; i++) {
        if (remote_stores[i].is_starting) {
            return 1;
        }
    }
    return 0;
}


/* *store: that has the deepest zone which holds name. */
static dns_remote_where_t
find_store(const dns_name_t *name, const dns_name_t **apex,
           const remote_store_t **store)
{
    dns_remote_where_t where = DNS_REMOTE_NO;
    *apex = NULL;
    for (ngx_uint_t i = 0; i < dns_remote_count; i++) {
        const remote_list_t *list = remote_zones_current(&remote_stores[i]);
        if (list == NULL) {
            where =
                where == DNS_REMOTE_NO && remote_is_missed(&remote_stores[i])
                    ? DNS_REMOTE_UNKNOWN
                    : where;
            continue;
        }
        const dns_zone_t *zone =
            dns_zone_list_find(list->zones, name, DNS_NAME_LABELS_MAX + 1);
        if (zone != NULL && !remote_is_outdated(&remote_stores[i]) &&
            (*apex == NULL || zone->apex.label_count > (*apex)->label_count)) {
            *apex = &zone->apex;
            *store = &remote_stores[i];
            where = DNS_REMOTE_YES;
        }
    }
    return where;
}


ngx_int_t
dns_remote_knows(const dns_name_t *name, const dns_name_t *apex)
{
    for (ngx_uint_t i = 0; i < dns_remote_count; i++) {
        const dns_ancestors_t *names =
            remote_below_last(&remote_stores[i], apex);
        if (names != NULL) {
            return dns_ancestors_knows(names, name)   ? NGX_OK
                   : dns_ancestors_cover(names, name) ? NGX_AGAIN
                                                      : NGX_DECLINED;
        }
    }
    return NGX_AGAIN;
}


const dns_ancestors_t *
dns_remote_listed(const dns_name_t *apex, uint64_t *listing)
{
    for (ngx_uint_t i = 0; i < dns_remote_count; i++) {
        const remote_list_t *list = remote_zones_current(&remote_stores[i]);
        const dns_zone_t *zone =
            list != NULL ? dns_zone_list_get(list->zones, apex->octets) : NULL;
        const dns_ancestors_t *names =
            zone != NULL
                ? remote_below_current(&remote_stores[i], zone, listing)
                : NULL;
        if (names != NULL) {
            return names;
        }
    }
    return NULL;
}


void
dns_remote_encloser(const dns_name_t *name, const dns_name_t *apex,
                    dns_name_t *encloser, ngx_uint_t *is_empty)
{
    *encloser = *apex;
    *is_empty = 0;
    for (ngx_uint_t i = 0; i < dns_remote_count; i++) {
        const dns_ancestors_t *names =
            remote_below_last(&remote_stores[i], apex);
        if (names != NULL) {
            dns_name_ancestor(encloser, name,
                              dns_ancestors_encloser(names, name));
            *is_empty = dns_ancestors_is_empty(names, encloser);
            return;
        }
    }
}


ngx_uint_t
dns_remote_is_lowest(const dns_name_t *apex)
{
    for (ngx_uint_t i = 0; i < dns_remote_count; i++) {
        const remote_list_t *list = remote_zones_current(&remote_stores[i]);
        if (list == NULL ? remote_stores[i].list != NULL
                         : dns_zone_list_has_below(list->zones, apex)) {
            return 0;
        }
    }
    return 1;
}


dns_remote_where_t
dns_remote_find(const dns_name_t *name, const dns_name_t **apex)
{
    const remote_store_t *store;
    return find_store(name, apex, &store);
}


uint32_t
dns_remote_health(const dns_name_t *name)
{
    const dns_name_t *apex;
    const remote_store_t *store;
    if (dns_remote_count == 0 ||
        find_store(name, &apex, &store) != DNS_REMOTE_YES) {
        return 0;
    }
    const char *name_of_store = store->group->name;
    return ngx_crc32_long((u_char *) name_of_store, ngx_strlen(name_of_store)) |
           1;
}


/* The kept answer goes with the zone that holds the name; DS is its parent's,
   whose changes do not touch that. */
uint32_t
dns_remote_ttl_cap(const dns_remote_t *fetch, uint16_t type)
{
    const remote_store_t *store = &remote_stores[fetch->first_store - 1];
    return type != DNS_TYPE_DS && remote_watch_is_on(store)
               ? UINT32_MAX
               : (uint32_t) store->conf->options->ttl_cap;
}


void
dns_remote_begin(dns_remote_t *fetch)
{
    ngx_memzero(fetch, offsetof(dns_remote_t, job));
    fetch->job.data = fetch;
    fetch->job.share = NULL;
    fetch->began = ngx_current_msec;
    fetch->wanted = 0;
    fetch->is_held = 0;
    fetch->waited = 0;
    fetch->ordering = 0;
    fetch->listings = remote_below_listings();
    fetch->zones_seen = 0;
    fetch->is_again = 0;
}


static void
give_back(dns_fetched_t *set)
{
    if (set != NULL && free_set_count < FREE_SETS) {
        free_sets[free_set_count++] = set;
    } else {
        dns_fetched_free(set);
    }
}


static dns_status_t
take_set(dns_fetched_t **set, const dns_zone_list_t *zones)
{
    if (free_set_count == 0) {
        return dns_fetched_new(set, zones);
    }
    *set = free_sets[--free_set_count];
    dns_fetched_reset(*set, zones);
    return DNS_OK;
}


void
dns_remote_end(dns_remote_t *fetch)
{
    for (ngx_uint_t i = 0; i < DNS_REMOTE_STORES_MAX; i++) {
        if (fetch->lists[i] != NULL) {
            give_back(fetch->sets[i]);
            remote_list_release(fetch->lists[i]);
            fetch->sets[i] = NULL;
            fetch->lists[i] = NULL;
        }
    }
    remote_names_release(fetch->names);
    fetch->names = NULL;
}


/* A query sees one list of a store's zones, whatever is told meanwhile. */
static const remote_list_t *
list_of(dns_remote_t *fetch, ngx_uint_t i)
{
    if (fetch->lists[i] == NULL) {
        fetch->lists[i] = remote_zones_current(&remote_stores[i]);
        if (fetch->lists[i] != NULL) {
            fetch->lists[i]->references++;
        }
    }
    return fetch->lists[i];
}


static void
note_zone(dns_remote_t *fetch, const dns_zone_t *zone)
{
    const uint32_t store = zone->flags >> STORE_SHIFT;
    if (fetch->zones_seen == 0) {
        fetch->first_zone = zone->id;
        fetch->first_store = store;
        fetch->zones_seen = 1;
    } else if (fetch->first_zone != zone->id || fetch->first_store != store) {
        fetch->zones_seen = 2;
    }
}


/* Than what was found before: deeper, or the same at a store that is up or
   preferred. */
static ngx_uint_t
is_better(const dns_zone_t *zone, const remote_store_t *store,
          const dns_zone_t *found)
{
    const uint32_t number = found->flags >> STORE_SHIFT;
    if (zone->apex.label_count != found->apex.label_count) {
        return zone->apex.label_count > found->apex.label_count;
    }
    return number != 0 && remote_is_better(store, &remote_stores[number - 1]);
}


/* The deepest zone of all sources. */
static dns_status_t
find_zone(void *source, const dns_name_t *name, unsigned above, dns_zone_t *out)
{
    dns_remote_t *fetch = source;
    dns_status_t status = DNS_ENOTFOUND;
    dns_status_t absent = DNS_ENOTFOUND;
    ngx_uint_t is_held = 0;
    if (fetch->local != NULL) {
        status =
            fetch->local->ops->find_zone(fetch->local->data, name, above, out);
        if (status == DNS_OK) {
            out->flags &= FLAGS_MASK;
        }
    }
    for (ngx_uint_t i = 0; i < dns_remote_count; i++) {
        const remote_list_t *list = list_of(fetch, i);
        if (list == NULL) {
            if (remote_is_missed(&remote_stores[i])) {
                absent = DNS_NEEDS;
                is_held |= remote_stores[i].is_starting;
            }
            continue;
        }
        const dns_zone_t *zone = dns_zone_list_find(list->zones, name, above);
        if (zone != NULL && !remote_is_outdated(&remote_stores[i]) &&
            (status != DNS_OK || is_better(zone, &remote_stores[i], out))) {
            *out = *zone;
            out->flags |= (uint32_t) (i + 1) << STORE_SHIFT;
            status = DNS_OK;
        }
    }
    if (status == DNS_OK && is_held) {
        fetch->is_held = 1;
        return DNS_NEEDS;
    }
    if (status == DNS_OK) {
        note_zone(fetch, out);
    }
    return status == DNS_ENOTFOUND ? absent : status;
}


/* number: as in the zone's flags.  NULL: they are not known. */
static const dns_ancestors_t *
known_names(ngx_uint_t number, const dns_zone_t *zone)
{
    return number == 0 ? NULL
                       : remote_below_find(&remote_stores[number - 1], zone);
}


static dns_status_t
lookup(void *source, const dns_zone_t *zone, const dns_name_t *name,
       dns_lookup_t *out)
{
    dns_remote_t *fetch = source;
    const ngx_uint_t number = zone->flags >> STORE_SHIFT;
    if (number == 0) {
        return fetch->local->ops->lookup(fetch->local->data, zone, name, out);
    }
    dns_fetched_t *set = fetch->sets[number - 1];
    if (set == NULL) {
        return DNS_NEEDS;
    }
    const dns_source_t one = dns_fetched_source(set);
    const dns_status_t status = one.ops->lookup(one.data, zone, name, out);
    const dns_ancestors_t *below =
        status == DNS_NEEDS ? known_names(number, zone) : NULL;
    if (below == NULL) {
        return status;
    }
    dns_fetched_resolve_below(set, zone->id, below);
    return one.ops->lookup(one.data, zone, name, out);
}


static unsigned
guess_encloser(void *source, const dns_zone_t *zone, const dns_name_t *name)
{
    const ngx_uint_t number = zone->flags >> STORE_SHIFT;
    const dns_ancestors_t *below = known_names(number, zone);
    (void) source;
    return below == NULL ? 0 : dns_ancestors_encloser(below, name);
}


/* By the order of the zone's names, which may be older than its nodes: then it
   is asked for anew. */
static dns_status_t
find_fetched(dns_remote_t *fetch, dns_covering_t *where, const dns_name_t *name,
             dns_name_t *owner, dns_node_t *node)
{
    const dns_zone_t *zone = where->zone;
    const ngx_uint_t number = (zone->flags >> STORE_SHIFT) - 1;
    remote_store_t *store = &remote_stores[number];
    where->set = fetch->sets[number];
    where->order = remote_below_order(fetch, store, zone);
    if (where->set == NULL || where->order == NULL) {
        owner->size = 0;
        return remote_below_lack(fetch, store, zone);
    }
    const dns_status_t status = dns_covering_find(where, name, owner, node);
    if (status == DNS_NEEDS ||
        (status == DNS_OK && dns_covering_reaches(where, name, owner, node))) {
        return status;
    }
    if (status != DNS_OK && status != DNS_ENOTFOUND) {
        return DNS_ESTORE;
    }
    if (remote_below_may_be_old(fetch, store, zone)) {
        owner->size = 0;
        return DNS_NEEDS;
    }
    return status;
}


static dns_status_t
find_covering(void *source, const dns_zone_t *zone, const dns_name_t *name,
              uint16_t type, dns_name_t *owner, dns_node_t *node)
{
    dns_remote_t *fetch = source;
    if (zone->flags >> STORE_SHIFT != 0) {
        dns_covering_t where = {.zone = zone, .type = type};
        return find_fetched(fetch, &where, name, owner, node);
    }
    if (fetch->local->ops->find_covering == NULL) {
        return DNS_ENOTFOUND;
    }
    return fetch->local->ops->find_covering(fetch->local->data, zone, name,
                                            type, owner, node);
}


dns_source_t
dns_remote_source(dns_remote_t *fetch, const dns_source_t *local)
{
    static const dns_source_ops_t ops = {
        .find_zone = find_zone,
        .lookup = lookup,
        .find_covering = find_covering,
        .guess_encloser = guess_encloser,
    };
    fetch->local = local;
    return (dns_source_t){&ops, fetch};
}


/* What the engine needs, to the sets of the stores that have it. */
static dns_status_t
sort_needs(dns_remote_t *fetch, const dns_answer_t *answer)
{
    for (unsigned i = 0; i < answer->need_count; i++) {
        const dns_need_t *need = &answer->needs[i];
        const ngx_uint_t number = need->zone.flags >> STORE_SHIFT;
        if (number == 0) { /* its zone: a list is missing */
            continue;
        }
        if (need->is_order) {
            fetch->order_zone = dns_zone_list_get(
                fetch->lists[number - 1]->zones, need->zone.apex.octets);
            fetch->ordering = 1u << (number - 1);
            fetch->wanted |= fetch->ordering;
            continue;
        }
        dns_fetched_t **set = &fetch->sets[number - 1];
        dns_status_t status = DNS_OK;
        if (*set == NULL) {
            status = take_set(set, fetch->lists[number - 1]->zones);
        }
        if (status == DNS_OK) {
            status =
                dns_fetched_want(*set, need, known_names(number, &need->zone));
        }
        if (status != DNS_OK) {
            return status;
        }
        fetch->wanted |= 1u << (number - 1);
    }
    return DNS_OK;
}


static void
fail_later(ngx_event_t *ev)
{
    dns_remote_t *fetch = ev->data;
    fetch->done(fetch->data, DNS_ELIMIT);
}


static void next_store(dns_remote_t *fetch);


/* However many rounds a query takes, together they have the time of one. */
static void
set_store(dns_remote_t *fetch, ngx_uint_t number)
{
    const ngx_msec_t timeout = remote_stores[number].conf->options->timeout_ms;
    const ngx_msec_t used = ngx_current_msec - fetch->began;
    fetch->job.store = &remote_stores[number];
    fetch->job.timeout = used < timeout ? timeout - used : 1;
}


/* From the start, with what is known by now. */
static void
ask_again(dns_remote_t *fetch)
{
    dns_remote_end(fetch);
    fetch->zones_seen = 0;
    fetch->done(fetch->data, DNS_OK);
}


static void next_listing(dns_remote_t *fetch);


static void
on_listed(remote_job_t *job, dns_status_t status)
{
    dns_remote_t *fetch = job->data;
    fetch->wanted = status == DNS_OK ? fetch->wanted : 0;
    next_listing(fetch);
}


/* Waits until the wanted stores have been listed. */
static void
next_listing(dns_remote_t *fetch)
{
    for (ngx_uint_t i = 0; fetch->wanted != 0; i++) {
        if ((fetch->wanted >> i & 1) != 0 &&
            (remote_stores[i].list_again || remote_stores[i].is_listing)) {
            set_store(fetch, i);
            fetch->job.set = NULL;
            fetch->job.done = on_listed;
            remote_zones_wait(&fetch->job);
            return;
        }
        fetch->wanted &= ~(1u << i);
    }
    ask_again(fetch);
}


/* Once: where the zone has moved to, or who else has it. */
static ngx_uint_t
can_ask_again(dns_remote_t *fetch, dns_status_t status)
{
    if (fetch->is_again || fetch->job.set == NULL) {
        return 0;
    }
    fetch->is_again = 1;
    return status == DNS_NEEDS ||
           (status == DNS_ESTORE && remote_has_substitute(fetch->job.store));
}


static void
note_conflict(void *data, const dns_name_t *name,
              const dns_conflict_t *conflict)
{
    char what[DNS_CONFLICT_TEXT_SIZE];
    dns_conflict_text(what, name, conflict);
    remote_note_skipped(data, 0, what, conflict->reason);
}


static void
on_fetched(remote_job_t *job, dns_status_t status)
{
    dns_remote_t *fetch = job->data;
    if (status == DNS_OK && job->set != NULL) {
        dns_fetched_resolve_conflicts(job->set, note_conflict, job->store);
    }
    if (status == DNS_OK && fetch->wanted != 0) {
        next_store(fetch);
    } else if (status != DNS_OK && can_ask_again(fetch, status)) {
        fetch->wanted =
            status == DNS_NEEDS ? remote_group_relist(job->store) : 0;
        next_listing(fetch);
    } else {
        fetch->done(fetch->data, status == DNS_NEEDS ? DNS_ESTORE : status);
    }
}


/* So many names are wanted at once only by names of many labels. */
enum { MANY_NAMES = 16 };


/* The zone whose names are to be listed: of the first name that is wanted for
   what is below it, or of many names.  NULL: none. */
static const dns_zone_t *
zone_to_list(const dns_remote_t *fetch, ngx_uint_t i)
{
    dns_want_t want;
    ngx_uint_t count = 0;
    for (size_t at = 0; dns_fetched_next_wanted(fetch->sets[i], &at, &want);) {
        if (want.below || ++count > MANY_NAMES) {
            return dns_zone_list_get(fetch->lists[i]->zones, want.apex->octets);
        }
    }
    return NULL;
}


/* Once: where edits go on all the time, it is never true for long. */
static ngx_int_t
wait_for_below(dns_remote_t *fetch, ngx_uint_t i)
{
    const dns_zone_t *zone = zone_to_list(fetch, i);
    if (zone == NULL) {
        return NGX_DECLINED;
    }
    const dns_node_t apex =
        dns_fetched_node(fetch->sets[i], zone->id, zone->apex.octets);
    dns_rrset_t rrset;
    const ngx_uint_t is_signed =
        dns_node_find(&apex, DNS_TYPE_NSEC, &rrset) ||
        dns_node_find(&apex, DNS_TYPE_NSEC3PARAM, &rrset);
    uint32_t ttl;
    if (!is_signed &&
        (dns_node_has_signature(&apex, DNS_TYPE_NSEC, &ttl) ||
         dns_node_has_signature(&apex, DNS_TYPE_NSEC3PARAM, &ttl))) {
        remote_below_log_unproved(&remote_stores[i], zone);
    }
    fetch->waited |= 1u << i;
    return remote_below_wait(&fetch->job, zone, is_signed);
}


static ngx_int_t
wait_for_names(dns_remote_t *fetch, ngx_uint_t i)
{
    if ((fetch->ordering & 1u << i) != 0) {
        fetch->ordering = 0;
        return remote_below_wait_order(&fetch->job, fetch->order_zone);
    }
    return (fetch->waited & 1u << i) == 0 ? wait_for_below(fetch, i)
                                          : NGX_DECLINED;
}


/* The stores are asked one after another; as a rule there is one. */
static void
next_store(dns_remote_t *fetch)
{
    ngx_uint_t i = 0;
    while ((fetch->wanted & 1u << i) == 0) {
        i++;
    }
    fetch->wanted &= ~(1u << i);
    set_store(fetch, i);
    fetch->job.set = fetch->sets[i];
    fetch->job.zones = NULL;
    fetch->job.owners = NULL;
    fetch->job.done = on_fetched;
    if (wait_for_names(fetch, i) != NGX_OK) {
        remote_job_submit(&fetch->job);
    }
}


/* Who was held goes on without the zones, if need be. */
static void
on_zones(remote_job_t *job, dns_status_t status)
{
    dns_remote_t *fetch = job->data;
    const ngx_uint_t is_held = fetch->is_held;
    fetch->is_held = 0;
    fetch->done(fetch->data, is_held ? DNS_OK : status);
}


/* No store has told that it has a zone, and one has not told anything. */
static void
wait_for_list(dns_remote_t *fetch)
{
    ngx_uint_t i = 0;
    while (i + 1 < dns_remote_count &&
           (fetch->lists[i] != NULL || !remote_is_missed(&remote_stores[i]) ||
            (fetch->is_held && !remote_stores[i].is_starting))) {
        i++;
    }
    set_store(fetch, i);
    fetch->job.set = NULL;
    fetch->job.done = on_zones;
    remote_zones_wait(&fetch->job);
    remote_zones_refresh(&remote_stores[i]);
}


void
dns_remote_fetch(dns_remote_t *fetch, const dns_answer_t *answer,
                 dns_remote_done_pt done, void *data)
{
    fetch->done = done;
    fetch->data = data;
    if (sort_needs(fetch, answer) != DNS_OK) {
        ngx_memzero(&fetch->job.event, sizeof(fetch->job.event));
        fetch->job.event.handler = fail_later;
        fetch->job.event.data = fetch;
        fetch->job.event.log = ngx_cycle->log;
        ngx_post_event(&fetch->job.event, &ngx_posted_events);
    } else if (fetch->wanted != 0) {
        fetch->is_held = 0;
        next_store(fetch);
    } else {
        wait_for_list(fetch);
    }
}
