#include <stdlib.h>

#include "store/private/lmdb.h"
#include "store/private/lmdb_hot.h"

dns_status_t
store_lmdb_reader_new(store_lmdb_t *store, store_lmdb_reader_t **out)
{
    store_lmdb_reader_t *reader = calloc(1, sizeof(*reader));

    if (reader == NULL) {
        return DNS_ENOMEM;
    }

    reader->hot = calloc(HOT_ENTRIES, sizeof(*reader->hot));

    if (reader->hot == NULL) {
        free(reader);
        return DNS_ENOMEM;
    }

    reader->store = store;
    *out = reader;
    return DNS_OK;
}

void
store_lmdb_reader_free(store_lmdb_reader_t *reader)
{
    if (reader == NULL) {
        return;
    }

    if (reader->is_open) {
        store_lmdb_read_end(reader);
    }

    if (reader->txn != NULL) {
        mdb_cursor_close(reader->zones);
        mdb_cursor_close(reader->nodes);
        if (reader->nsec3 != NULL) {
            mdb_cursor_close(reader->nsec3);
        }
        if (reader->walk != NULL) {
            mdb_cursor_close(reader->walk);
        }
        mdb_txn_abort(reader->txn);
    }

    free(reader->hot);
    free(reader);
}

static int
open_first(store_lmdb_reader_t *reader)
{
    store_lmdb_t *store = reader->store;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &reader->txn);

    if (rc == MDB_READERS_FULL) {
        int dead;

        mdb_reader_check(store->env, &dead);
        rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &reader->txn);
    }

    if (rc != 0) {
        reader->txn = NULL;
        return rc;
    }

    rc = mdb_cursor_open(reader->txn, store->zones, &reader->zones);

    if (rc == 0) {
        rc = mdb_cursor_open(reader->txn, store->nodes, &reader->nodes);
        if (rc != 0) {
            mdb_cursor_close(reader->zones);
        }
    }

    if (rc != 0) {
        mdb_txn_abort(reader->txn);
        reader->txn = NULL;
    }

    return rc;
}

static int
open_snapshot(store_lmdb_reader_t *reader)
{
    if (reader->txn == NULL) {
        return open_first(reader);
    }

    int rc = mdb_txn_renew(reader->txn);

    if (rc != 0) {
        return rc;
    }

    rc = mdb_cursor_renew(reader->txn, reader->zones);

    if (rc == 0) {
        rc = mdb_cursor_renew(reader->txn, reader->nodes);
    }

    if (rc != 0) {
        mdb_txn_reset(reader->txn);
    }

    return rc;
}

/* Another process made the map larger. */
static int
follow_resize(store_lmdb_t *store)
{
    pthread_mutex_lock(&store->write_lock);

    int rc = lmdb_resize(store, 0);

    pthread_mutex_unlock(&store->write_lock);
    return rc;
}

/* What was borrowed from the last snapshot stays good if this one is the same:
   no page of a commit that is still the last one is written to. */
static void
note_snapshot(store_lmdb_reader_t *reader)
{
    uint64_t snapshot = mdb_txn_id(reader->txn);
    uint64_t map_count = reader->store->map_count;

    if (reader->epoch != 0 && snapshot == reader->snapshot &&
        map_count == reader->map_count) {
        return;
    }

    reader->snapshot = snapshot;
    reader->map_count = map_count;
    reader->memory.is_set = false;

    if (++reader->epoch == 0) {
        memset(reader->hot, 0, HOT_ENTRIES * sizeof(*reader->hot));
        reader->epoch = 1;
    }
}

/* The operations that a snapshot gives to the engine. */
static const dns_source_ops_t lmdb_source_ops;

dns_status_t
store_lmdb_read_begin(store_lmdb_reader_t *reader, dns_source_t *source)
{
    store_lmdb_t *store = reader->store;

    pthread_rwlock_rdlock(&store->map_lock);

    int rc = open_snapshot(reader);

    if (rc == MDB_MAP_RESIZED) {
        pthread_rwlock_unlock(&store->map_lock);
        rc = follow_resize(store);
        pthread_rwlock_rdlock(&store->map_lock);
        rc = rc == 0 ? open_snapshot(reader) : rc;
    }

    if (rc != 0) {
        pthread_rwlock_unlock(&store->map_lock);
        return DNS_ESTORE;
    }

    reader->is_open = true;
    reader->walked = 0;
    note_snapshot(reader);
    source->ops = &lmdb_source_ops;
    source->data = reader;
    return DNS_OK;
}

void
store_lmdb_read_end(store_lmdb_reader_t *reader)
{
    if (reader->is_open) {
        mdb_txn_reset(reader->txn);
        reader->is_open = false;
        pthread_rwlock_unlock(&reader->store->map_lock);
    }
}

uint64_t
store_lmdb_snapshot(const store_lmdb_reader_t *reader)
{
    return reader->snapshot;
}

void
lmdb_set_zone(dns_zone_t *zone, const zone_record_t *record)
{
    zone->id = record->id;
    zone->generation = record->generation;
    zone->flags = (record->cut_count == 0 ? DNS_ZONE_NO_CUTS : 0u) |
                  (record->wildcard_count == 0 ? DNS_ZONE_NO_WILDCARDS : 0u);
}

dns_status_t
lmdb_read_record(const MDB_val *value, zone_record_t *record)
{
    if (value->mv_size != sizeof(*record)) {
        return DNS_ESTORE;
    }

    memcpy(record, value->mv_data, sizeof(*record));
    return DNS_OK;
}

/* Labels that two keys share from the root on, behind a prefix of skip
   bytes. */
static unsigned
common_labels(const MDB_val *stored, const uint8_t *key, size_t size,
              size_t skip)
{
    const uint8_t *other = stored->mv_data;
    size_t end = stored->mv_size < size ? stored->mv_size : size;
    unsigned labels = 0;

    if (end < skip || memcmp(other, key, skip) != 0) {
        return 0;
    }

    for (size_t i = skip; i < end && other[i] == key[i]; i++) {
        labels += key[i] == 0;
    }

    return labels;
}

/* The key nearest below or at the wanted one; *is_equal if it is that. */
static int
seek_at_or_below(MDB_cursor *cursor, MDB_val *key, MDB_val *value,
                 bool *is_equal)
{
    MDB_val wanted = *key;
    int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);

    *is_equal = rc == 0 && key->mv_size == wanted.mv_size &&
                memcmp(key->mv_data, wanted.mv_data, wanted.mv_size) == 0;

    if (*is_equal) {
        return 0;
    }

    if (rc != 0 && rc != MDB_NOTFOUND) {
        return rc;
    }

    return mdb_cursor_get(cursor, key, value, rc == 0 ? MDB_PREV : MDB_LAST);
}

/*
 * The deepest zone at or above name with fewer labels than above.  The nearest
 * key below either is an enclosing zone, or shares some labels with the name,
 * and no enclosing zone can have more of them: two seeks when zones do not
 * nest.
 */
static dns_status_t
seek_zone(store_lmdb_reader_t *reader, const dns_name_t *name, unsigned above,
          unsigned *labels, MDB_val *value)
{
    uint8_t octets[ZONE_KEY_SIZE];
    dns_name_t ancestor;
    unsigned depth = name->label_count;

    if (depth >= above) {
        if (above == 0) {
            return DNS_ENOTFOUND;
        }
        depth = above - 1;
    }

    for (;;) {
        dns_name_ancestor(&ancestor, name, depth);

        size_t size = lmdb_zone_key(octets, &ancestor);
        MDB_val key = {size, octets};
        bool is_equal;
        int rc = seek_at_or_below(reader->zones, &key, value, &is_equal);

        if (rc != 0) {
            return rc == MDB_NOTFOUND ? DNS_ENOTFOUND : DNS_ESTORE;
        }

        unsigned common = common_labels(&key, octets, size, 1);

        if (is_equal || lmdb_key_begins_with(&(MDB_val){size, octets},
                                             key.mv_data, key.mv_size)) {
            *labels = common;
            return DNS_OK;
        }

        if (common >= depth) {
            return DNS_ESTORE; /* keys out of order: a damaged table */
        }

        depth = common;
    }
}

bool
store_lmdb_has_zones_below(store_lmdb_reader_t *reader, const dns_name_t *name)
{
    uint8_t octets[ZONE_KEY_SIZE];
    const size_t size = lmdb_zone_key(octets, name);
    MDB_val key = {size, octets};
    MDB_val value;
    int rc = mdb_cursor_get(reader->zones, &key, &value, MDB_SET_RANGE);

    if (rc == 0 && key.mv_size == size &&
        memcmp(key.mv_data, octets, size) == 0) { /* the zone of that name */
        rc = mdb_cursor_get(reader->zones, &key, &value, MDB_NEXT);
    }

    return rc == 0 ? lmdb_key_begins_with(&key, octets, size)
                   : rc != MDB_NOTFOUND;
}

static dns_status_t
remember_zone(store_lmdb_reader_t *reader, const dns_name_t *name,
              unsigned labels, const zone_record_t *record)
{
    zone_memory_t *memory = &reader->memory;
    uint8_t id[ZONE_ID_SIZE];
    MDB_val key = {sizeof(id), id};
    MDB_val value;

    memory->is_set = false;
    put32(id, record->id);

    if (mdb_cursor_get(reader->nodes, &key, &value, MDB_SET) != 0) {
        return DNS_ESTORE; /* a zone without apex: a damaged table */
    }

    dns_name_ancestor(&memory->zone.apex, name, labels);
    lmdb_set_zone(&memory->zone, record);
    memory->apex = (dns_node_t){value.mv_data, (uint32_t) value.mv_size};
    memory->has_zones_below =
        store_lmdb_has_zones_below(reader, &memory->zone.apex);
    memory->is_set = true;
    return DNS_OK;
}

static void
copy_zone(dns_zone_t *out, const dns_zone_t *zone)
{
    dns_name_ancestor(&out->apex, &zone->apex, zone->apex.label_count);
    out->id = zone->id;
    out->flags = zone->flags;
    out->generation = zone->generation;
}

static dns_status_t
find_zone(void *source, const dns_name_t *name, unsigned above, dns_zone_t *out)
{
    store_lmdb_reader_t *reader = source;
    const zone_memory_t *memory = &reader->memory;

    if (memory->is_set && !memory->has_zones_below &&
        memory->zone.apex.label_count < above &&
        dns_name_has_suffix(name, &memory->zone.apex)) {
        copy_zone(out, &memory->zone);
        return DNS_OK;
    }

    unsigned labels;
    MDB_val value;
    zone_record_t record;
    dns_status_t status = seek_zone(reader, name, above, &labels, &value);

    if (status == DNS_OK) {
        status = lmdb_read_record(&value, &record);
    }

    if (status == DNS_OK) {
        status = remember_zone(reader, name, labels, &record);
    }

    if (status == DNS_OK) {
        copy_zone(out, &memory->zone);
    }

    return status;
}

static dns_status_t
found_node(dns_lookup_t *out, const dns_name_t *name, dns_node_t node)
{
    out->kind = DNS_LOOKUP_NODE;
    out->encloser_labels = name->label_count;
    out->node = node;
    return DNS_OK;
}

/* The cursor stands behind the place where the key would be (rc 0), or behind
   all keys: the neighbours of a missing key share the most labels with it. */
static dns_status_t
find_encloser(store_lmdb_reader_t *reader, const MDB_val *wanted, int rc,
              const MDB_val *next, unsigned max, unsigned *labels)
{
    MDB_val key;
    MDB_val value;

    *labels = rc == 0 ? common_labels(next, wanted->mv_data, wanted->mv_size,
                                      ZONE_ID_SIZE)
                      : 0;

    if (*labels >= max) {
        return DNS_OK;
    }

    rc = mdb_cursor_get(reader->nodes, &key, &value,
                        rc == 0 ? MDB_PREV : MDB_LAST);

    if (rc != 0) {
        return DNS_ESTORE; /* not even the apex: a damaged table */
    }

    unsigned before =
        common_labels(&key, wanted->mv_data, wanted->mv_size, ZONE_ID_SIZE);

    *labels = before > *labels ? before : *labels;
    return DNS_OK;
}

/* One search of the tree. */
static dns_status_t
search(store_lmdb_reader_t *reader, const dns_name_t *name,
       unsigned apex_labels, MDB_val *key, MDB_val *value, dns_lookup_t *out)
{
    MDB_val wanted = *key;
    int rc = mdb_cursor_get(reader->nodes, key, value, MDB_SET_RANGE);

    out->node = (dns_node_t){NULL, 0};
    out->encloser_labels = name->label_count;

    if (rc != 0 && rc != MDB_NOTFOUND) {
        return DNS_ESTORE;
    }

    if (rc == 0 && lmdb_key_begins_with(key, wanted.mv_data, wanted.mv_size)) {
        if (key->mv_size == wanted.mv_size) {
            return found_node(
                out, name,
                (dns_node_t){value->mv_data, (uint32_t) value->mv_size});
        }

        out->kind = DNS_LOOKUP_EMPTY;
        return DNS_OK;
    }

    unsigned below = name->label_count - apex_labels;
    unsigned common;
    dns_status_t status =
        find_encloser(reader, &wanted, rc, key, below - 1, &common);

    out->kind = DNS_LOOKUP_ABSENT;
    out->encloser_labels = (uint8_t) (apex_labels + common);
    return status;
}

static dns_status_t
lookup(void *source, const dns_zone_t *zone, const dns_name_t *name,
       dns_lookup_t *out)
{
    store_lmdb_reader_t *reader = source;
    unsigned apex_labels = zone->apex.label_count;
    uint8_t octets[NODE_KEY_SIZE];

    if (name->label_count == apex_labels && reader->memory.is_set &&
        reader->memory.zone.id == zone->id) {
        return found_node(out, name, reader->memory.apex);
    }

    MDB_val key = {lmdb_node_key(octets, zone->id, name, apex_labels), octets};
    MDB_val value;
    uint32_t hash = hot_hash(octets, key.mv_size);
    const hot_entry_t *hot = hot_find(reader->hot, reader->epoch, hash, &key);

    if (hot != NULL) {
        return found_node(out, name, (dns_node_t){hot->node, hot->node_size});
    }

    dns_status_t status = search(reader, name, apex_labels, &key, &value, out);

    if (status == DNS_OK && out->kind == DNS_LOOKUP_NODE) {
        hot_put(reader->hot, reader->epoch, hash, &key, &value);
    }

    return status;
}

static const dns_source_ops_t lmdb_source_ops = {
    .find_zone = find_zone,
    .lookup = lookup,
    .find_covering = lmdb_find_covering,
};
