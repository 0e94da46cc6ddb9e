/* Connections to a networked store, and the jobs that wait for them. */

#include "server/private/remote.h"

enum {
    BACK_OFF_MIN = 100, /* ms */
    BACK_OFF_MAX = 5000,
    BACK_OFF_DOUBLINGS = 6,
    SETTLED_ROUNDS = 2, /* of listing the zones */
    SKIP_PROBES = 16,
    RETRIES_MAX = 3, /* of a job, on connections that have done none */
    KNOWN_SHARE = 4, /* of the queue, this part is not for strange names */
};


static ngx_log_t *
worker_log(void)
{
    return ngx_cycle->log;
}


static void
unlink_job(remote_job_t *job)
{
    ngx_queue_remove(&job->queue);
    if (job->link != NULL) {
        job->link->job_count--;
        job->link = NULL;
    } else if (job->is_queued) {
        job->store->waiting_count--;
    }
    job->is_queued = 0;
}


void
remote_job_requeue(remote_job_t *job)
{
    unlink_job(job);
    if (job->set != NULL) {
        dns_fetched_restart(job->set);
    }
    job->is_queued = 1;
    ngx_queue_insert_head(&job->store->waiting, &job->queue);
    job->store->waiting_count++;
}


/* Says once that the store fails ... */
static void
note_trouble(remote_store_t *store, const char *verb, const char *error)
{
    store->failed_at = ngx_current_msec;
    if (!store->is_failing) {
        ngx_log_error(NGX_LOG_ERR, worker_log(), 0,
                      "dns_store %s %s: %s; its names get SERVFAIL, and it is "
                      "tried again",
                      store->conf->name, verb, error);
        store->is_failing = 1;
    }
}


/* ... and once that it does not any more: for a while nothing has failed. */
static void
note_success(remote_store_t *store)
{
    const ngx_msec_t quiet =
        SETTLED_ROUNDS *
        (store->conf->options->timeout_ms + store->conf->options->poll_ms);
    if (store->is_failing && ngx_current_msec - store->failed_at >= quiet) {
        ngx_log_error(NGX_LOG_NOTICE, worker_log(), 0,
                      "dns_store %s answers again", store->conf->name);
        store->is_failing = 0;
    }
}


void
remote_job_end(remote_job_t *job, dns_status_t status, const char *error)
{
    remote_store_t *store = job->store;
    if (job->link != NULL) {
        job->link->is_used = 1;
        job->link->has_worked |= status == DNS_OK;
    }
    unlink_job(job);
    if (job->event.timer_set) {
        ngx_del_timer(&job->event);
    }
    if (job->event.posted) {
        ngx_delete_posted_event(&job->event);
    }
    if (status == DNS_OK) {
        note_success(store);
    } else if (status == DNS_ESTORE) {
        note_trouble(store, "fails", error);
    }
    job->done(job, status);
}


static void
close_link(remote_link_t *link)
{
    remote_store_t *store = link->store;
    link->failed = 1;
    store->driver->close(link);
    if (link->timer.timer_set) {
        ngx_del_timer(&link->timer);
    }
    if (link->flush.posted) {
        ngx_delete_posted_event(&link->flush);
    }
    ngx_queue_remove(&link->queue);
    store->link_count--;
    store->ready_count -= link->is_ready;
    ngx_free(link);
}


static ngx_uint_t
back_off_ms(const remote_store_t *store)
{
    ngx_uint_t doublings =
        store->failures / ngx_max(store->conf->hosts.count, 1);
    doublings = ngx_min(doublings, BACK_OFF_DOUBLINGS);
    const ngx_uint_t ms =
        ngx_min((ngx_uint_t) BACK_OFF_MIN << doublings, BACK_OFF_MAX);
    return ms / 2 + (ngx_uint_t) ngx_random() % (ms / 2 + 1);
}


/* A job that waits cannot be done. */
static void
fail_waiting(remote_store_t *store, const char *error)
{
    ngx_queue_t failing;
    ngx_queue_init(&failing);
    if (!ngx_queue_empty(&store->waiting)) {
        ngx_queue_add(&failing, &store->waiting);
        ngx_queue_init(&store->waiting);
    }
    if (!ngx_queue_empty(&store->strange)) {
        ngx_queue_add(&failing, &store->strange);
        ngx_queue_init(&store->strange);
    }
    while (!ngx_queue_empty(&failing)) {
        remote_job_t *job =
            ngx_queue_data(ngx_queue_head(&failing), remote_job_t, queue);
        remote_job_end(job, DNS_ESTORE, error);
    }
}


/* No connection can be made: the next host, and after all of them, and the
   first once more, a pause. */
static void
connecting_failed(remote_store_t *store, const char *error)
{
    store->failures++;
    if (store->conf->hosts.count > 1) {
        store->host = (store->host + 1) % store->conf->hosts.count;
    }
    if (store->failures <= ngx_max(store->conf->hosts.count, 1)) {
        remote_pump(store);
        return;
    }
    if (!store->back_off.timer_set) {
        ngx_add_timer(&store->back_off, back_off_ms(store));
    }
    if (store->ready_count == 0) {
        note_trouble(store, "cannot be reached", error);
        fail_waiting(store, error);
    }
}


void
remote_link_failed(remote_link_t *link, const char *error)
{
    remote_store_t *store = link->store;
    const ngx_uint_t was_ready = link->is_ready;
    const ngx_uint_t has_worked = link->has_worked;
    char text[REMOTE_ERROR_SIZE];
    ngx_queue_t jobs;
    (void) ngx_cpystrn((u_char *) text, (u_char *) error, sizeof(text));
    ngx_queue_init(&jobs);
    while (!ngx_queue_empty(&link->jobs)) {
        remote_job_t *job =
            ngx_queue_data(ngx_queue_last(&link->jobs), remote_job_t, queue);
        unlink_job(job);
        ngx_queue_insert_head(&jobs, &job->queue);
    }
    close_link(link);
    /* A connection that has gone away is replaced, and the jobs are done once
       more; in their order.  What a query itself may have caused is tried a
       few times only. */
    while (!ngx_queue_empty(&jobs)) {
        remote_job_t *job =
            ngx_queue_data(ngx_queue_last(&jobs), remote_job_t, queue);
        if (!has_worked && ++job->retries > RETRIES_MAX) {
            remote_job_end(job, DNS_ESTORE, text);
            continue;
        }
        remote_job_requeue(job);
    }
    if (!was_ready) {
        connecting_failed(store, text);
    } else {
        remote_pump(store);
    }
}


static void
on_link_timer(ngx_event_t *ev)
{
    remote_link_t *link = ev->data;
    if (!link->is_ready) {
        remote_link_failed(link, link->error[0] != '\0'
                                     ? link->error
                                     : "connecting takes too long");
    } else if (link->job_count == 0 && !link->is_used) {
        close_link(link);
    } else {
        link->is_used = 0;
        ngx_add_timer(&link->timer, link->store->conf->options->idle_ms);
    }
}


/* Opens one more; what fails at once is told by the event loop. */
static void
open_link(remote_store_t *store)
{
    remote_link_t *link = ngx_calloc(sizeof(*link), worker_log());
    if (link == NULL) {
        return;
    }
    link->store = store;
    ngx_queue_init(&link->jobs);
    ngx_queue_insert_tail(&store->links, &link->queue);
    store->link_count++;
    link->timer.handler = on_link_timer;
    link->timer.data = link;
    link->timer.log = worker_log();
    link->timer.cancelable = 1;
    link->flush.log = worker_log();
    ngx_add_timer(&link->timer, store->conf->options->timeout_ms);
    if (store->driver->connect(link, remote_host(store)) != NGX_OK) {
        ngx_del_timer(&link->timer);
        ngx_add_timer(&link->timer, 0);
    }
}


static remote_link_t *
free_link(remote_store_t *store)
{
    remote_link_t *best = NULL;
    for (ngx_queue_t *q = ngx_queue_head(&store->links);
         q != ngx_queue_sentinel(&store->links); q = ngx_queue_next(q)) {
        remote_link_t *link = ngx_queue_data(q, remote_link_t, queue);
        const ngx_uint_t max =
            store->driver->batches ? 1 : store->driver->jobs_max;
        if (link->is_ready && !link->failed && link->job_count < max &&
            (best == NULL || link->job_count < best->job_count)) {
            best = link;
            if (best->job_count == 0) {
                break;
            }
        }
    }
    return best;
}


/* Gives waiting jobs to links, and opens links for what is left. */
static remote_job_t *
first_waiting(remote_store_t *store)
{
    ngx_queue_t *waiting =
        ngx_queue_empty(&store->waiting) ? &store->strange : &store->waiting;
    return ngx_queue_empty(waiting)
               ? NULL
               : ngx_queue_data(ngx_queue_head(waiting), remote_job_t, queue);
}


static void
give(remote_link_t *link, remote_job_t *job)
{
    unlink_job(job);
    ngx_queue_insert_tail(&link->jobs, &job->queue);
    job->link = link;
    job->started = ngx_current_msec;
    link->job_count++;
}


/* A link takes the fetches that wait, up to what it can do at once: the more
   wait, the less each costs the database. */
static void
give_batch(remote_link_t *link)
{
    remote_store_t *store = link->store;
    remote_job_t *job = first_waiting(store);
    const ngx_uint_t alone = job->set == NULL || job->is_alone;
    give(link, job);
    while (!alone && link->job_count < store->driver->jobs_max &&
           (job = first_waiting(store)) != NULL && job->set != NULL &&
           !job->is_alone) {
        give(link, job);
    }
}


/* A thread waits with each connection to MySQL that is made by TLS: one at a
   time, so that servers that are silent leave threads for others. */
static ngx_uint_t
may_open_link(const remote_store_t *store)
{
    const ngx_uint_t connecting = store->link_count - store->ready_count;
    const ngx_uint_t by_thread = !store->conf->options->is_redis &&
                                 store->conf->options->ca_file != NULL;
    return store->waiting_count > connecting &&
           store->link_count < store->conf->options->max_connections &&
           !(by_thread && connecting > 0) && !store->back_off.timer_set &&
           !store->is_closing;
}


void
remote_pump(remote_store_t *store)
{
    remote_link_t *link;
    remote_job_t *job;
    while ((job = first_waiting(store)) != NULL &&
           (link = free_link(store)) != NULL) {
        if (store->driver->batches) {
            give_batch(link);
        } else {
            give(link, job);
        }
        store->driver->start(link, job);
    }
    if (may_open_link(store)) {
        open_link(store);
    }
}


void
remote_link_ready(remote_link_t *link)
{
    remote_store_t *store = link->store;
    link->is_ready = 1;
    store->ready_count++;
    store->failures = 0;
    ngx_del_timer(&link->timer);
    ngx_add_timer(&link->timer, store->conf->options->idle_ms);
    remote_pump(store);
}


/* The deadline of a job, or it could not even be begun. */
static void
on_job_event(ngx_event_t *ev)
{
    remote_job_t *job = ev->data;
    remote_link_t *link = job->link;
    if (!ev->timedout) {
        remote_job_end(job, DNS_ESTORE, "too many queries wait for it");
        return;
    }
    if (link != NULL) {
        link->failed = 1; /* what follows does not take it */
    }
    remote_job_end(job, DNS_ESTORE, "timeout");
    if (link != NULL) { /* it may hang; its other jobs are done elsewhere */
        remote_link_failed(link, "timeout");
    }
}


void
remote_job_begin(remote_job_t *job)
{
    job->link = NULL;
    job->retries = 0;
    job->is_alone = 0;
    job->is_queued = 0;
    ngx_memzero(&job->event, sizeof(job->event));
    job->event.handler = on_job_event;
    job->event.data = job;
    job->event.log = worker_log();
}


/* Strange names leave a part of the queue to others. */
static ngx_uint_t
has_place(const remote_store_t *store, const remote_job_t *job)
{
    const ngx_uint_t queue = store->conf->options->queue;
    if (job->share == NULL) {
        return store->waiting_count < queue;
    }
    if (store->waiting_count < queue - queue / KNOWN_SHARE) {
        return 1;
    }
    dns_fairness_refused(job->share);
    return 0;
}


void
remote_job_submit(remote_job_t *job)
{
    remote_store_t *store = job->store;
    remote_job_begin(job);
    if ((store->back_off.timer_set && store->ready_count == 0) ||
        !has_place(store, job)) {
        ngx_queue_init(&job->queue); /* no connection may take it any more */
        ngx_post_event(&job->event, &ngx_posted_events);
        return;
    }
    job->is_queued = 1;
    ngx_queue_insert_tail(
        job->share != NULL ? &store->strange : &store->waiting, &job->queue);
    store->waiting_count++;
    ngx_add_timer(&job->event, job->timeout);
    if (!store->pump.posted) { /* with what else comes in this turn */
        ngx_post_event(&store->pump, &ngx_posted_events);
    }
}


static void
on_pump(ngx_event_t *ev)
{
    remote_pump(ev->data);
}


void
remote_pool_open(remote_store_t *store)
{
    ngx_queue_init(&store->links);
    ngx_queue_init(&store->waiting);
    ngx_queue_init(&store->strange);
    store->back_off.handler = on_pump;
    store->back_off.data = store;
    store->back_off.log = worker_log();
    store->back_off.cancelable = 1;
    store->pump.handler = on_pump;
    store->pump.data = store;
    store->pump.log = worker_log();
}


void
remote_pool_close(remote_store_t *store)
{
    store->is_closing = 1;
    if (store->pump.posted) {
        ngx_delete_posted_event(&store->pump);
    }
    while (!ngx_queue_empty(&store->links)) {
        close_link(ngx_queue_data(ngx_queue_head(&store->links), remote_link_t,
                                  queue));
    }
}


/* Few are looked at, and none gives way: what does not find a place is not
   told, rather than again with each query. */
static ngx_uint_t
is_new_skip(remote_store_t *store, uint32_t hash)
{
    for (uint32_t i = 0; i < SKIP_PROBES; i++) {
        uint32_t *mark = &store->skip_marks[(hash + i) % REMOTE_SKIP_MARKS];
        if (*mark == hash) {
            return 0;
        }
        if (*mark == 0) {
            *mark = hash;
            return 1;
        }
    }
    return 0;
}


void
remote_note_skipped(remote_store_t *store, uint64_t id, const char *name,
                    const char *reason)
{
    const uint32_t hash =
        ngx_crc32_short((u_char *) name, ngx_strlen(name)) ^
        ngx_crc32_short((u_char *) reason, ngx_strlen(reason)) ^ (uint32_t) id;
    store->skipped++;
    if (!is_new_skip(store, ngx_max(hash, 1))) {
        return;
    }
    if (store->conf->options->is_redis || id == 0) {
        ngx_log_error(NGX_LOG_WARN, worker_log(), 0,
                      "dns_store %s: %s: not served: %s", store->conf->name,
                      name, reason);
    } else {
        ngx_log_error(NGX_LOG_WARN, worker_log(), 0,
                      "dns_store %s: table records, id %uL, %s: not served: %s",
                      store->conf->name, id, name, reason);
    }
}
