/* Changes that Redis tells: one more connection of each worker, which does
   nothing but listen. */

#include "server/private/remote_wire.h"

enum {
    BACK_OFF_MIN = 100, /* ms */
    BACK_OFF_MAX = 5000,
    BACK_OFF_DOUBLINGS = 6,
};

struct remote_watch_s {
    remote_store_t *store;
    remote_wire_t wire;
    store_redis_watch_t what;
    ngx_event_t timer; /* until it is ready; then pings; then the next try */
    ngx_uint_t host;
    ngx_uint_t failures; /* in a row */
    unsigned is_open : 1;
    unsigned is_subscribed : 1;
    unsigned is_listed : 1;  /* so that it is known whether ... */
    unsigned notifies : 1;   /* ... keyspace notifications are on */
    unsigned was_on : 1;     /* as the log has it */
    unsigned owes_purge : 1; /* as soon as there are other answers */
    unsigned is_told : 1;    /* the log has anything */
};


static const char not_notified[] =
    "notify-keyspace-events has neither Khg nor KA, or CONFIG GET is refused";

static void open_watch(remote_watch_t *watch);


/* Queries may be answered by another host since. */
static ngx_uint_t
is_where_it_was(const remote_watch_t *watch)
{
    const remote_store_t *store = watch->store;
    return store->conf->options->sentinel != NULL || watch->host == store->host;
}


/* Is every change told? */
ngx_uint_t
remote_watch_is_on(const remote_store_t *store)
{
    const remote_watch_t *watch = store->watch;
    return watch != NULL && watch->is_subscribed && is_where_it_was(watch) &&
           (watch->notifies || store->conf->options->channel != NULL);
}


static void
log_on(const remote_watch_t *watch)
{
    const remote_conf_t *conf = watch->store->conf;
    if (conf->options->channel != NULL) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "dns_store %s: changes are told by channel \"%s\"%s",
                      conf->name, conf->options->channel,
                      watch->notifies ? " and keyspace notifications" : "");
    } else {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "dns_store %s: changes are told by keyspace "
                      "notifications",
                      conf->name);
    }
}


static void
log_off(const remote_watch_t *watch, const char *reason)
{
    const remote_conf_t *conf = watch->store->conf;
    const ngx_uint_t level = watch->is_told ? NGX_LOG_WARN : NGX_LOG_NOTICE;
    ngx_log_error(level, ngx_cycle->log, 0,
                  "dns_store %s: changes are not told: %s; answers are kept "
                  "for %ui s at most",
                  conf->name, reason, (ngx_uint_t) conf->options->ttl_cap);
}


static void
purge(remote_watch_t *watch)
{
    watch->owes_purge = 0;
    remote_zones_purge(watch->store);
}


/* Answers that were kept for long are not given any more when nobody tells
   their changes; those from before somebody did may have missed one. */
static void
note_state(remote_watch_t *watch, const char *reason)
{
    const ngx_uint_t is_on = remote_watch_is_on(watch->store);
    if (watch->is_told && watch->was_on == is_on) {
        return;
    }
    if (is_on) {
        log_on(watch);
    } else {
        log_off(watch, reason);
    }
    if (!watch->is_told) {
        /* What was kept so far, was for ttl_cap at most. */
    } else if (is_on ||
               dns_main_conf((ngx_cycle_t *) ngx_cycle)->serve_stale == 0) {
        purge(watch);
    } else { /* if it is down altogether they are all that there is */
        watch->owes_purge = 1;
        remote_zones_soon(watch->store);
    }
    watch->is_told = 1;
    watch->was_on = is_on & 1;
}


void
remote_watch_listed(remote_store_t *store, ngx_uint_t notifies)
{
    remote_watch_t *watch = store->watch;
    if (watch != NULL) {
        if (watch->owes_purge) {
            purge(watch);
        }
        watch->notifies = notifies & 1;
        watch->is_listed = 1;
        if (watch->is_subscribed) {
            note_state(watch, not_notified);
        }
    }
}


static void
close_wire(remote_watch_t *watch)
{
    if (watch->is_open) {
        remote_wire_close(&watch->wire);
        watch->is_open = 0;
    }
    watch->is_subscribed = 0;
    if (watch->timer.timer_set) {
        ngx_del_timer(&watch->timer);
    }
}


static void
lost(remote_watch_t *watch, const char *error)
{
    const ngx_uint_t doublings = ngx_min(watch->failures, BACK_OFF_DOUBLINGS);
    const ngx_uint_t ms =
        ngx_min((ngx_uint_t) BACK_OFF_MIN << doublings, BACK_OFF_MAX);
    char text[REMOTE_ERROR_SIZE];
    (void) ngx_cpystrn((u_char *) text, (u_char *) error, sizeof(text));
    close_wire(watch);
    note_state(watch, text);
    watch->failures++;
    ngx_add_timer(&watch->timer,
                  ms / 2 + (ngx_uint_t) ngx_random() % (ms / 2 + 1));
}


static void
on_failed(remote_wire_t *wire, const char *error)
{
    lost(wire->data, error);
}


/* The subscription ends by an error alone: within what feeds it, so that it is
   closed later. */
static void
on_done(remote_wire_t *wire, void *job, dns_status_t status, const char *error)
{
    remote_watch_t *watch = wire->data;
    (void) job;
    (void) status;
    (void) ngx_cpystrn((u_char *) wire->error, (u_char *) error,
                       sizeof(wire->error));
    watch->is_subscribed = 0;
    ngx_del_timer(&watch->timer);
    ngx_add_timer(&watch->timer, 0);
}


static void
on_subscribed(void *data)
{
    remote_watch_t *watch = data;
    watch->is_subscribed = 1;
    watch->failures = 0;
    ngx_add_timer(&watch->timer, watch->store->conf->options->timeout_ms);
    if (watch->is_listed || watch->store->conf->options->channel != NULL) {
        note_state(watch, not_notified);
    }
}


static void
on_changed(void *data, const dns_name_t *apex, bool may_come_or_go)
{
    remote_watch_t *watch = data;
    remote_zones_told(watch->store, apex, may_come_or_go);
}


static void
on_ready(remote_wire_t *wire)
{
    remote_watch_t *watch = wire->data;
    store_redis_begin_watch(wire->db, &watch->what, watch);
    remote_wire_flush(wire);
}


static void
ping(remote_watch_t *watch)
{
    if (!is_where_it_was(watch)) {
        lost(watch, "another host is used");
    } else if (!watch->wire.is_heard) {
        lost(watch, "timeout");
    } else if (store_redis_ping(watch->wire.db) != DNS_OK) {
        lost(watch, "no memory");
    } else {
        watch->wire.is_heard = 0;
        remote_wire_flush(&watch->wire);
        ngx_add_timer(&watch->timer, watch->store->conf->options->timeout_ms);
    }
}


static void
on_timer(ngx_event_t *ev)
{
    remote_watch_t *watch = ev->data;
    if (ngx_exiting) {
        close_wire(watch);
    } else if (watch->is_subscribed) {
        ping(watch);
    } else if (watch->is_open) {
        lost(watch, watch->wire.error[0] != '\0' ? watch->wire.error
                                                 : "connecting takes too long");
    } else {
        open_watch(watch);
    }
}


static void
open_watch(remote_watch_t *watch)
{
    remote_store_t *store = watch->store;
    const remote_conf_t *conf = store->conf;
    remote_wire_t *wire = &watch->wire;
    watch->host = store->host;
    watch->is_open = 1;
    ngx_memzero(wire, sizeof(*wire));
    wire->store = store;
    wire->data = watch;
    wire->ready = on_ready;
    wire->done = on_done;
    wire->failed = on_failed;
    ngx_add_timer(&watch->timer, conf->options->timeout_ms);
    if (remote_wire_open(wire, remote_host(store)) != NGX_OK) {
        lost(watch, wire->error);
    }
}


void
remote_watch_open(remote_store_t *store)
{
    const store_options_t *options = store->conf->options;
    remote_watch_t *watch = ngx_calloc(sizeof(*watch), ngx_cycle->log);
    if (watch == NULL) {
        return; /* answers are kept for a short time */
    }
    store->watch = watch;
    watch->store = store;
    watch->what.database = options->database_number;
    watch->what.channel = options->channel;
    watch->what.subscribed = on_subscribed;
    watch->what.changed = on_changed;
    watch->what.data = watch;
    watch->timer.handler = on_timer;
    watch->timer.data = watch;
    watch->timer.log = ngx_cycle->log;
    watch->timer.cancelable = 1;
    open_watch(watch);
}


void
remote_watch_close(remote_store_t *store)
{
    if (store->watch != NULL) {
        close_wire(store->watch);
        ngx_free(store->watch);
        store->watch = NULL;
    }
}
