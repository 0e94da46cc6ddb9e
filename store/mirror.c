#include "store/mirror.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/deadline.h"
#include "dns/conflict.h"
#include "dns/type.h"
#include "store/file.h"
#include "store/private/database.h"

/*
 * The file: {"store":"...","tried_at":...,"current_at":...,"error":"...",
 * "zones":{"example.test":{"generation":...,"serial":...,"error":"..."}}}.
 * Times are seconds.  A zone whose generation is 0 may or may not be there yet.
 */
struct store_mirror_s {
    store_mirror_options_t options; /* texts owned */
    pthread_mutex_t lock;
    json_t *state;    /* owned; NULL: not read yet */
    struct stat file; /* as we wrote or read it */
    time_t saved_at;
    bool is_dirty; /* more has changed than the times */
};

enum {
    SAVE_SECONDS = 5, /* between writes of the times alone */
    ZONE_MS = 1000,   /* of a run's time, for each zone that is copied, besides
                         what its octets earn */
};

/* A run. */
typedef struct {
    store_mirror_t *mirror;
    const dns_name_t *only; /* NULL: all zones */
    store_mirror_report_t *report;
    char *error;   /* of the call that runs */
    char *refused; /* why a zone is not served; "": all are */
} run_t;

/* A zone that is not served: the last reason is told. */
static void
refuse(const run_t *run, const char *reason)
{
    run->report->refused++;
    snprintf(run->refused, STORE_ERROR_SIZE, "%s", reason);
}

dns_status_t
store_mirror_new(store_mirror_t **out, const store_mirror_options_t *options)
{
    store_mirror_t *mirror = calloc(1, sizeof(*mirror));

    if (mirror == NULL) {
        return DNS_ENOMEM;
    }

    mirror->options = *options;
    mirror->options.state_path = strdup(options->state_path);
    mirror->options.name = strdup(options->name);
    pthread_mutex_init(&mirror->lock, NULL);

    if (mirror->options.state_path == NULL || mirror->options.name == NULL) {
        store_mirror_free(mirror);
        return DNS_ENOMEM;
    }

    *out = mirror;
    return DNS_OK;
}

void
store_mirror_free(store_mirror_t *mirror)
{
    if (mirror != NULL) {
        free((void *) mirror->options.state_path);
        free((void *) mirror->options.name);
        json_decref(mirror->state);
        pthread_mutex_destroy(&mirror->lock);
        free(mirror);
    }
}

static json_t *
zones_of(const store_mirror_t *mirror)
{
    return json_object_get(mirror->state, "zones");
}

/* Another process may have written it since. */
static bool
is_current(const store_mirror_t *mirror)
{
    struct stat now;

    return mirror->state != NULL &&
           stat(mirror->options.state_path, &now) == 0 &&
           now.st_ino == mirror->file.st_ino &&
           now.st_mtim.tv_sec == mirror->file.st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == mirror->file.st_mtim.tv_nsec;
}

static dns_status_t
load_state(store_mirror_t *mirror)
{
    if (is_current(mirror)) {
        return DNS_OK;
    }

    json_t *state = json_load_file(mirror->options.state_path, 0, NULL);

    if (!json_is_object(state) ||
        !json_is_object(json_object_get(state, "zones"))) {
        json_decref(state);
        state =
            json_pack("{s:s, s:{}}", "store", mirror->options.name, "zones");
    }

    if (state == NULL) {
        return DNS_ENOMEM;
    }

    json_decref(mirror->state);
    mirror->state = state;
    mirror->is_dirty = false;
    (void) !stat(mirror->options.state_path, &mirror->file);
    return DNS_OK;
}

static dns_status_t
save_state(const run_t *run)
{
    const char *path = run->mirror->options.state_path;
    char *text = json_dumps(run->mirror->state, JSON_COMPACT | JSON_SORT_KEYS);

    if (text == NULL) {
        return DNS_ENOMEM;
    }

    dns_status_t status =
        store_file_replace(path, text, strlen(text), run->error);

    free(text);

    if (status == DNS_OK) {
        run->mirror->is_dirty = false;
        run->mirror->saved_at = time(NULL);
        (void) !stat(path, &run->mirror->file);
    }

    return status;
}

static void
zone_text(const dns_name_t *apex, char *text)
{
    size_t size = dns_name_to_text(text, apex->octets);

    if (size > 1) {
        text[size - 1] = '\0';
    }
}

static void
note_zone(const run_t *run, const store_listed_zone_t *zone, bool is_copied,
          const char *error)
{
    char text[DNS_NAME_TEXT_SIZE];
    json_t *entry = json_object();

    zone_text(&zone->apex, text);
    json_object_set_new(
        entry, "generation",
        json_integer(is_copied ? (json_int_t) zone->generation : 0));
    json_object_set_new(entry, "serial",
                        json_integer((json_int_t) zone->serial));

    if (error != NULL) {
        json_object_set_new(entry, "error", json_string(error));
    }

    json_object_set_new(zones_of(run->mirror), text, entry);
    run->mirror->is_dirty = true;
}

static dns_status_t
add_node(store_edit_t *edit, const store_named_node_t *named)
{
    const dns_node_t node = dns_node_builder_node(&named->builder);
    dns_status_t status = DNS_OK;
    dns_rrset_t set;
    dns_rdata_t rdata;

    for (size_t at = 0; dns_node_next(&node, &at, &set);) {
        for (size_t r = 0;
             status == DNS_OK && dns_rrset_next(&set, &r, &rdata);) {
            status = store_edit_add(edit, named->name.octets, set.type, set.ttl,
                                    rdata.octets, rdata.size);
        }
    }

    return status;
}

/* What an edit is refused for is left out, as live stores do. */
static void
resolve_conflicts(const run_t *run, const dns_name_t *apex,
                  store_named_node_t *named)
{
    const bool is_apex = named->name.label_count == apex->label_count;
    char what[DNS_CONFLICT_TEXT_SIZE];
    dns_conflict_t conflict;

    while (dns_conflict_remove(&named->builder, is_apex, &conflict)) {
        dns_conflict_text(what, &named->name, &conflict);
        run->report->left_out.count++;
        store_left_out_note(&run->report->left_out, apex, what,
                            conflict.reason);
    }
}

static dns_status_t
commit_nodes(const run_t *run, const dns_name_t *apex,
             const store_nodes_t *nodes)
{
    store_edit_t *edit;
    dns_status_t status = store_edit_new(apex->octets, &edit);

    if (status != DNS_OK) {
        return status;
    }

    store_edit_replace_zone(edit);
    store_edit_allow_no_ns(edit);

    for (size_t i = 0; status == DNS_OK && i < nodes->count; i++) {
        resolve_conflicts(run, apex, &nodes->nodes[i]);
        status = add_node(edit, &nodes->nodes[i]);
    }

    /* What adding refused, commit tells with the name. */
    if (status == DNS_OK || status == DNS_EMALFORMED) {
        status = store_lmdb_commit(run->mirror->options.lmdb, edit, run->error);
    }

    store_edit_free(edit);
    return status;
}

static dns_status_t remove_zone(const run_t *run, const dns_name_t *apex);

/* PowerDNS has no zone whose SOA is disabled or missing: neither have we, from
   then on. */
static dns_status_t
switch_off(const run_t *run, const dns_name_t *apex)
{
    dns_status_t status = remove_zone(run, apex);

    return status == DNS_OK
               ? store_fail_at(run->error, DNS_ECONFLICT, apex->octets,
                               "no SOA record at the top of the zone")
               : status;
}

/* Only the database's failure ends the run: a zone that cannot be served is
   noted, and what was copied of it before stays. */
static dns_status_t
copy_zone(const run_t *run, const store_listed_zone_t *zone)
{
    store_nodes_t nodes;
    dns_status_t status =
        store_database_read(run->mirror->options.database, &zone->apex, &nodes,
                            &run->report->left_out, run->error);

    if (status == DNS_ENOTFOUND) { /* gone since the listing */
        return DNS_OK;
    }

    if (status != DNS_OK) {
        return status;
    }

    const dns_node_t apex = store_nodes_find(&nodes, &zone->apex);
    dns_rrset_t soa;

    status = dns_node_find(&apex, DNS_TYPE_SOA, &soa)
                 ? commit_nodes(run, &zone->apex, &nodes)
                 : switch_off(run, &zone->apex);
    store_nodes_free(&nodes);

    if (status == DNS_ESTORE || status == DNS_ENOMEM) {
        return status;
    }

    if (status == DNS_OK) {
        run->report->copied++;
    } else {
        refuse(run, run->error);
    }

    note_zone(run, zone, true, status == DNS_OK ? NULL : run->error);
    return DNS_OK;
}

static bool
is_in_lmdb(const run_t *run, const dns_name_t *apex)
{
    store_lmdb_reader_t *reader;
    dns_source_t source;
    dns_zone_t zone;
    bool is_there = false;

    if (store_lmdb_reader_new(run->mirror->options.lmdb, &reader) != DNS_OK) {
        return true; /* not known: left alone */
    }

    if (store_lmdb_read_begin(reader, &source) == DNS_OK) {
        is_there =
            source.ops->find_zone(source.data, apex, 256, &zone) == DNS_OK &&
            zone.apex.label_count == apex->label_count;
        store_lmdb_read_end(reader);
    }

    store_lmdb_reader_free(reader);
    return is_there;
}

/* A zone of the listing: copied if it has changed.  One that is new is noted
   before it is copied: should this be the last that we do, the next run knows
   that it is a copy. */
static dns_status_t
follow_zone(const run_t *run, const store_listed_zone_t *zone)
{
    char text[DNS_NAME_TEXT_SIZE];

    zone_text(&zone->apex, text);

    json_t *entry = json_object_get(zones_of(run->mirror), text);

    if (json_integer_value(json_object_get(entry, "generation")) ==
        (json_int_t) zone->generation) {
        const char *error = json_string_value(json_object_get(entry, "error"));

        if (error != NULL) {
            refuse(run, error);
        }

        return DNS_OK;
    }

    if (entry == NULL) {
        if (is_in_lmdb(run, &zone->apex)) {
            snprintf(run->error, STORE_ERROR_SIZE,
                     "%.400s is a zone of the embedded store's own", text);
            refuse(run, run->error);
            return DNS_OK;
        }

        note_zone(run, zone, false, NULL);

        if (save_state(run) != DNS_OK) {
            return DNS_ESTORE;
        }
    }

    deadline_extend_run(ZONE_MS);
    return copy_zone(run, zone);
}

static dns_status_t
remove_zone(const run_t *run, const dns_name_t *apex)
{
    store_edit_t *edit;
    dns_status_t status = store_edit_new(apex->octets, &edit);

    if (status != DNS_OK) {
        return status;
    }

    store_edit_delete_zone(edit);
    status = store_lmdb_commit(run->mirror->options.lmdb, edit, run->error);
    store_edit_free(edit);

    if (status == DNS_ENOTFOUND) { /* it never came */
        run->error[0] = '\0';
        status = DNS_OK;
    }

    return status;
}

static int
compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *) left, *(char *const *) right);
}

/* The listing's names as the file has them, sorted; owned by the caller, as one
   block. */
static char **
listed_names(const store_listing_t *listing)
{
    char **names =
        malloc((listing->count + 1) * (sizeof(*names) + DNS_NAME_TEXT_SIZE));

    if (names == NULL) {
        return NULL;
    }

    char *texts = (char *) (names + listing->count + 1);

    for (size_t i = 0; i < listing->count; i++) {
        names[i] = texts + i * DNS_NAME_TEXT_SIZE;
        zone_text(&listing->zones[i].apex, names[i]);
    }

    qsort(names, listing->count, sizeof(*names), compare_names);
    return names;
}

static bool
is_meant(const run_t *run, const char *zone)
{
    char text[DNS_NAME_TEXT_SIZE];

    if (run->only == NULL) {
        return true;
    }

    zone_text(run->only, text);
    return strcmp(text, zone) == 0;
}

static dns_status_t
remove_gone(const run_t *run, const store_listing_t *listing)
{
    char **names = listed_names(listing);
    dns_status_t status = names == NULL ? DNS_ENOMEM : DNS_OK;
    const char *text;
    json_t *entry;
    void *next;

    json_object_foreach_safe(zones_of(run->mirror), next, text, entry)
    {
        uint8_t wire[DNS_NAME_MAX];
        dns_name_t apex;

        if (status != DNS_OK || !is_meant(run, text) ||
            bsearch(&text, names, listing->count, sizeof(*names),
                    compare_names) != NULL ||
            dns_name_from_text(wire, text, strlen(text), NULL, NULL) !=
                DNS_OK) {
            continue;
        }

        dns_name_set(&apex, wire);
        status = remove_zone(run, &apex);

        if (status == DNS_OK) {
            json_object_del(zones_of(run->mirror), text);
            run->mirror->is_dirty = true;
            run->report->removed++;
        }
    }

    free(names);
    return status;
}

static dns_status_t
follow(const run_t *run)
{
    store_listing_t listing;
    dns_status_t status = store_database_list(run->mirror->options.database,
                                              run->only, &listing, run->error);

    /* A zone comes before the one that it lies in, which would else answer for
       its names. */
    for (size_t i = listing.count; status == DNS_OK && i > 0; i--) {
        status = follow_zone(run, &listing.zones[i - 1]);
    }

    if (status == DNS_OK) {
        status = remove_gone(run, &listing);
    }

    free(listing.zones);
    run->report->zones = json_object_size(zones_of(run->mirror));
    return status;
}

/* A server that answers each call late would else hold the thread for as many
   calls as there are zones.  What was copied stays. */
static dns_status_t
follow_in_time(const run_t *run)
{
    deadline_begin_run(database_timeout_ms(run->mirror->options.database));

    dns_status_t status = follow(run);

    if (deadline_end_run() && status == DNS_ESTORE) {
        snprintf(run->error, STORE_ERROR_SIZE,
                 "the database is too slow: the run was ended, the next one "
                 "goes on");
    }

    return status;
}

static void
note_end(const run_t *run, dns_status_t status)
{
    json_t *state = run->mirror->state;
    const json_int_t now = (json_int_t) time(NULL);
    const bool had_error = json_object_get(state, "error") != NULL;

    run->mirror->is_dirty |= had_error != (status != DNS_OK);
    json_object_set_new(state, "tried_at", json_integer(now));

    if (status != DNS_OK) {
        json_object_set_new(state, "error", json_string(run->error));
        return;
    }

    json_object_del(state, "error");

    if (run->only == NULL) {
        json_object_set_new(state, "current_at", json_integer(now));
    }
}

static dns_status_t
run_locked(const run_t *run)
{
    store_mirror_t *mirror = run->mirror;
    dns_status_t status = load_state(mirror);

    if (status != DNS_OK) {
        return status;
    }

    status = follow_in_time(run);
    note_end(run, status);

    if ((mirror->is_dirty || time(NULL) - mirror->saved_at >= SAVE_SECONDS) &&
        save_state(run) != DNS_OK) {
        return DNS_ESTORE;
    }

    return status;
}

/* The lock of other processes; -1: it cannot be had. */
static int
lock_file(const store_mirror_t *mirror)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s.lock", mirror->options.state_path);

    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);

    if (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        close(fd);
        fd = -1;
    }

    return fd;
}

dns_status_t
store_mirror_run(store_mirror_t *mirror, const dns_name_t *only,
                 store_mirror_report_t *report, char *error)
{
    char refused[STORE_ERROR_SIZE] = "";
    const run_t run = {mirror, only, report, error, refused};
    dns_status_t status = DNS_ESTORE;

    memset(report, 0, sizeof(*report));
    error[0] = '\0';
    pthread_mutex_lock(&mirror->lock);

    int fd = lock_file(mirror);

    if (fd >= 0) {
        status = run_locked(&run);
        close(fd);
    } else {
        snprintf(error, STORE_ERROR_SIZE, "%.400s.lock cannot be locked",
                 mirror->options.state_path);
    }

    pthread_mutex_unlock(&mirror->lock);

    if (status == DNS_OK) {
        memcpy(error, refused, sizeof(refused));
    }

    return status;
}
