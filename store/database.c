#include "store/database.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/deadline.h"
#include "dns/siphash.h"
#include "dns/zone_list.h"
#include "store/private/database.h"
#include "store/private/presigned.h"
#include "store/private/records.h"

dns_status_t
store_database_new(store_database_t **out, store_options_t *options,
                   bool marks_rows)
{
    store_database_t *db = calloc(1, sizeof(*db));

    if (db == NULL) {
        return DNS_ENOMEM;
    }

    db->options = store_options_acquire(options);
    db->marks_rows = marks_rows;
    db->driver = options->is_redis ? &database_redis : &database_mysql;
    pthread_mutex_init(&db->lock, NULL);

    if (store_records_new(&db->records) != DNS_OK) {
        store_database_free(db);
        return DNS_ENOMEM;
    }

    *out = db;
    return DNS_OK;
}

void
store_database_free(store_database_t *db)
{
    if (db == NULL) {
        return;
    }

    database_close(db);
    store_options_release(db->options);
    store_records_free(db->records);
    pthread_mutex_destroy(&db->lock);
    free(db);
}

unsigned
database_timeout_ms(const store_database_t *db)
{
    const int64_t ms = DATABASE_TIMEOUTS * (int64_t) db->options->timeout_ms;

    return ms < DATABASE_TIMEOUT_MIN_MS ? DATABASE_TIMEOUT_MIN_MS
           : ms > UINT_MAX / 2          ? UINT_MAX / 2
                                        : (unsigned) ms;
}

dns_status_t
database_fail(store_database_t *db, dns_status_t status, const char *text)
{
    snprintf(db->error, STORE_ERROR_SIZE, "%s", text);
    return status;
}

void
store_left_out_note(store_left_out_t *left_out, const dns_name_t *apex,
                    const char *what, const char *reason)
{
    const size_t used = strlen(left_out->text);
    char zone[DNS_NAME_TEXT_SIZE];
    char line[STORE_LEFT_OUT_SIZE];

    (void) dns_name_to_text(zone, apex->octets);

    const int size =
        snprintf(line, sizeof(line), "zone %s: %s: %s\n", zone, what, reason);

    if (size > 0 && (size_t) size < sizeof(left_out->text) - used) {
        memcpy(left_out->text + used, line, (size_t) size + 1);
    }
}

void
database_leave_out(store_database_t *db, const char *what, const char *reason)
{
    db->skipped++;

    if (db->left_out != NULL) {
        store_left_out_note(db->left_out, &db->apex, what, reason);
    }
}

void
database_take_record(void *data, const store_record_t *record,
                     const char *reason)
{
    database_taking_t *taking = data;
    char name[DNS_NAME_TEXT_SIZE];

    if (record == NULL) {
        (void) dns_name_to_text(name, taking->name);
        database_leave_out(taking->db, name, reason);
        return;
    }

    dns_rrset_t set = {.type = record->type, .ttl = record->ttl};
    dns_status_t status =
        store_nodes_add(taking->out, taking->name, &set, &record->rdata);

    taking->db->skipped += status == DNS_ELIMIT;
    taking->status = status == DNS_ENOMEM ? status : taking->status;
}

void
database_close(store_database_t *db)
{
    if (db->link != NULL) {
        db->driver->close(db);
        db->link = NULL;
    }
}

dns_status_t
database_connect(store_database_t *db)
{
    const store_hosts_t *hosts = &db->options->hosts;
    dns_status_t status = DNS_ESTORE;

    if (db->link != NULL) {
        return DNS_OK;
    }

    if (hosts->count == 0) {
        return db->driver->connect(db, NULL, 0);
    }

    for (unsigned i = 0; i < hosts->count && status == DNS_ESTORE; i++) {
        deadline_narrow(database_timeout_ms(db) /
                        hosts->count); /* for the next */
        status = db->driver->connect(db, hosts->host[i].address,
                                     hosts->host[i].port);
    }

    deadline_narrow(0);
    return status;
}

uint64_t
database_generation(const char *soa, size_t size)
{
    static const uint8_t key[DNS_SIPHASH_KEY_SIZE] = {0};

    /* 53 bits, and never 0. */
    return soa == NULL
               ? 1
               : dns_siphash(key, (const uint8_t *) soa, size) >> 11 | 1;
}

dns_status_t
database_list_zone(store_listing_t *out, const uint8_t *apex, uint32_t serial,
                   uint64_t generation)
{
    if (out->count == DNS_ZONE_LIST_MAX) {
        return DNS_ELIMIT;
    }

    if (out->count == out->capacity) {
        size_t capacity = out->capacity == 0 ? 64 : 2 * out->capacity;
        store_listed_zone_t *more =
            realloc(out->zones, capacity * sizeof(*more));

        if (more == NULL) {
            return DNS_ENOMEM;
        }

        out->zones = more;
        out->capacity = capacity;
    }

    store_listed_zone_t *zone = &out->zones[out->count++];

    dns_name_set(&zone->apex, apex);
    zone->serial = serial;
    zone->generation = generation;
    return DNS_OK;
}

static int
compare_zones(const void *left, const void *right)
{
    const store_listed_zone_t *a = left;
    const store_listed_zone_t *b = right;

    return dns_name_compare(a->apex.octets, b->apex.octets);
}

/* Sorted ones; a zone may be listed at two nodes while it moves. */
static void
drop_duplicates(store_listing_t *list)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (kept == 0 ||
            compare_zones(&list->zones[kept - 1], &list->zones[i]) != 0) {
            list->zones[kept++] = list->zones[i];
        }
    }

    list->count = kept;
}

static void
begin_call(store_database_t *db, char *error)
{
    pthread_mutex_lock(&db->lock);
    deadline_begin(database_timeout_ms(db));
    db->error = error;
    error[0] = '\0';
}

static dns_status_t
end_call(store_database_t *db, dns_status_t status)
{
    if (status == DNS_ESTORE) {
        database_close(db);
    }

    deadline_end();
    pthread_mutex_unlock(&db->lock);
    return status;
}

/* A connection that was kept may have gone away: once more on a new one. */
static dns_status_t
list(store_database_t *db, const dns_name_t *only, store_listing_t *out)
{
    bool was_kept = db->link != NULL;
    dns_status_t status = database_connect(db);

    if (status == DNS_OK) {
        status = db->driver->list(db, only, out);
    }

    if (status == DNS_ESTORE && was_kept) {
        database_close(db);
        out->count = 0;
        status = database_connect(db);

        if (status == DNS_OK) {
            status = db->driver->list(db, only, out);
        }
    }

    return status;
}

dns_status_t
store_database_list(store_database_t *db, const dns_name_t *only,
                    store_listing_t *out, char *error)
{
    *out = (store_listing_t){0};
    begin_call(db, error);

    dns_status_t status = list(db, only, out);

    if (status != DNS_OK) {
        free(out->zones);
        *out = (store_listing_t){0};
    } else if (out->count > 1) {
        qsort(out->zones, out->count, sizeof(*out->zones), compare_zones);
        drop_duplicates(out);
    }

    return end_call(db, status);
}

/* In CoreDNS's layouts a zone needs no SOA. */
static bool
has_made_soa(const store_database_t *db)
{
    return db->options->is_redis || db->options->layout.content_is_json;
}

typedef struct {
    const dns_name_t *apex;
    const dns_name_t *name; /* NULL: all */
    bool is_parked;
} reading_t;

static bool
gives_apex(const reading_t *what)
{
    return !what->is_parked &&
           (what->name == NULL ||
            dns_name_equal(what->name->octets, what->apex->octets));
}

static dns_status_t
read_once(store_database_t *db, const reading_t *what, store_nodes_t *out)
{
    dns_status_t status = database_connect(db);

    if (status == DNS_OK && !what->is_parked) {
        return db->driver->read(db, what->apex, what->name, out);
    }

    if (status == DNS_OK) {
        status = db->driver->find(db, what->apex);
    }

    return status == DNS_OK ? db->driver->read_parked(db, NULL, out) : status;
}

static dns_status_t
read_nodes(store_database_t *db, const reading_t *what, store_nodes_t *out)
{
    bool was_kept = db->link != NULL;
    dns_status_t status = read_once(db, what, out);

    if (status == DNS_ESTORE && was_kept) {
        database_close(db);
        store_nodes_free(out);
        status = read_once(db, what, out);
    }

    if (status == DNS_OK && has_made_soa(db) && gives_apex(what)) {
        status = records_put_soa_node(out, what->apex, (uint32_t) time(NULL));
    }

    return status == DNS_OK ? store_nodes_sort(out) : status;
}

static bool
has_beside(const store_database_t *db)
{
    return db->driver->read_beside != NULL && db->options->layout.zones == NULL;
}

/* The metadata of PowerDNS that tell the parameters of a zone's NSEC3; the text
   is in *root, which the caller releases. */
static const char *
find_parameters(store_database_t *db, const dns_name_t *apex, json_t **root)
{
    char *text = NULL;
    json_t *row;
    size_t i;

    *root = db->driver->read_beside(db, apex, &text) == DNS_OK
                ? json_loads(text, 0, NULL)
                : NULL;
    free(text);

    json_array_foreach(json_object_get(*root, "metadata"), i, row)
    {
        const char *kind = json_string_value(json_object_get(row, "kind"));

        if (kind != NULL && strcmp(kind, "NSEC3PARAM") == 0) {
            return json_string_value(json_object_get(row, "content"));
        }
    }

    return NULL;
}

/* A zone that PowerDNS has transferred.  Without its proofs it is served as
   well, which is told. */
static dns_status_t
complete(store_database_t *db, const dns_name_t *apex, store_nodes_t *nodes)
{
    const presigned_t lacks = presigned_lacks(nodes, apex);
    json_t *root;

    if (lacks != PRESIGNED_NSEC3) {
        return lacks == PRESIGNED_NSEC ? presigned_add_nsec(nodes, apex)
                                       : DNS_OK;
    }

    const char *parameters = find_parameters(db, apex, &root);
    const dns_status_t status =
        parameters == NULL ? DNS_ECONFLICT
                           : presigned_add_nsec3(nodes, apex, parameters);

    json_decref(root);

    if (status == DNS_ECONFLICT) {
        store_left_out_note(db->left_out, apex, "NSEC3",
                            "there is no metadata NSEC3PARAM that leads to the "
                            "signed hashes: answers say without proof what "
                            "does not exist");
        return DNS_OK;
    }

    return status;
}

dns_status_t
store_database_read(store_database_t *db, const dns_name_t *apex,
                    store_nodes_t *out, store_left_out_t *left_out, char *error)
{
    *out = (store_nodes_t){0};
    begin_call(db, error);
    db->skipped = 0;
    db->left_out = left_out;

    const reading_t what = {.apex = apex};
    dns_status_t status = read_nodes(db, &what, out);

    if (status == DNS_OK && has_beside(db)) {
        status = complete(db, apex, out);
    }

    if (status != DNS_OK) {
        store_nodes_free(out);
    }

    left_out->count += db->skipped;
    db->left_out = NULL;
    return end_call(db, status);
}

static dns_status_t
read_part(store_database_t *db, const reading_t *what, store_nodes_t *out,
          char *error)
{
    *out = (store_nodes_t){0};
    begin_call(db, error);

    dns_status_t status = read_nodes(db, what, out);

    if (status != DNS_OK) {
        store_nodes_free(out);
    }

    return end_call(db, status);
}

dns_status_t
store_database_read_name(store_database_t *db, const dns_name_t *apex,
                         const dns_name_t *name, store_nodes_t *out,
                         char *error)
{
    const reading_t what = {.apex = apex, .name = name};

    return read_part(db, &what, out, error);
}

dns_status_t
store_database_read_parked(store_database_t *db, const dns_name_t *apex,
                           store_nodes_t *out, char *error)
{
    const reading_t what = {.apex = apex, .is_parked = true};

    return read_part(db, &what, out, error);
}

/* A connection that was kept may have gone away: once more on a new one. */
static dns_status_t
read_beside(store_database_t *db, const dns_name_t *apex, char **out)
{
    const bool was_kept = db->link != NULL;
    dns_status_t status = database_connect(db);

    if (status == DNS_OK) {
        status = db->driver->read_beside(db, apex, out);
    }

    if (status == DNS_ESTORE && was_kept) {
        database_close(db);
        status = database_connect(db);

        if (status == DNS_OK) {
            status = db->driver->read_beside(db, apex, out);
        }
    }

    return status;
}

dns_status_t
store_database_read_beside(store_database_t *db, const dns_name_t *apex,
                           char **out, char *error)
{
    if (!has_beside(db)) {
        return DNS_EUNKNOWN;
    }

    begin_call(db, error);
    return end_call(db, read_beside(db, apex, out));
}

dns_status_t
store_database_write_beside(store_database_t *db, const dns_name_t *apex,
                            const char *json, char *error)
{
    char *before = NULL;

    if (!has_beside(db)) {
        return DNS_EUNKNOWN;
    }

    begin_call(db, error);

    /* By reading first the connection is known to be there. */
    dns_status_t status = read_beside(db, apex, &before);

    free(before);

    if (status == DNS_OK) {
        status = db->driver->write_beside(db, apex, json);
    }

    return end_call(db, status);
}
