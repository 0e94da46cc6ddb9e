#include <stdio.h>
#include <stdlib.h>

#include "dns/rdata.h"
#include "dns/type.h"
#include "store/private/lmdb.h"
#include "store/private/parked.h"

/*
 * Writes an edit's changes: the changes of one owner name become one node,
 * nodes are checked as they are written, and the zone's record last.
 */

typedef struct {
    store_edit_t *edit;
    store_lmdb_t *store;
    MDB_txn *txn;
    MDB_cursor *nodes;
    dns_node_builder_t builder; /* owned */
    zone_record_t record;
    bool is_new; /* the record's id has no nodes but those of this edit */
    bool is_changed;
    int rc; /* LMDB's last failure */
    char *error;
} writing_t;

static dns_status_t
store_failed(writing_t *w, const char *what, int rc)
{
    w->rc = rc;
    return lmdb_fail(w->error, what, rc);
}

static MDB_val
zone_key(const writing_t *w, uint8_t *octets)
{
    return (MDB_val){lmdb_zone_key(octets, &w->edit->apex), octets};
}

/* DNS_ENOTFOUND: no such zone. */
static dns_status_t
read_zone(writing_t *w)
{
    uint8_t octets[ZONE_KEY_SIZE];
    MDB_val key = zone_key(w, octets);
    MDB_val value;
    int rc = mdb_get(w->txn, w->store->zones, &key, &value);

    if (rc == MDB_NOTFOUND) {
        return store_fail_at(w->error, DNS_ENOTFOUND, w->edit->apex.octets,
                             "no such zone");
    }

    if (rc != 0 || value.mv_size != sizeof(w->record)) {
        return store_failed(w, "zone", rc == 0 ? MDB_CORRUPTED : rc);
    }

    memcpy(&w->record, value.mv_data, sizeof(w->record));
    return DNS_OK;
}

static dns_status_t
write_zone(writing_t *w)
{
    uint8_t octets[ZONE_KEY_SIZE];
    MDB_val key = zone_key(w, octets);
    MDB_val value = {sizeof(w->record), &w->record};

    /* A transaction's number is used once: no generation comes twice. */
    w->record.generation = mdb_txn_id(w->txn);

    int rc = mdb_put(w->txn, w->store->zones, &key, &value, 0);

    return rc == 0 ? DNS_OK : store_failed(w, "zone", rc);
}

/* A zone's whole run of keys. */
static int
delete_run(MDB_cursor *cursor, uint32_t zone_id)
{
    uint8_t id[ZONE_ID_SIZE];
    MDB_val key = {sizeof(id), id};
    MDB_val value;

    put32(id, zone_id);

    int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);

    while (rc == 0 && lmdb_key_begins_with(&key, id, sizeof(id))) {
        rc = mdb_cursor_del(cursor, 0);

        if (rc == 0) {
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
    }

    return rc;
}

static dns_status_t
delete_nodes(writing_t *w, uint32_t zone_id)
{
    MDB_cursor *nsec3;
    int rc = mdb_cursor_open(w->txn, w->store->nsec3, &nsec3);

    if (rc == 0) {
        rc = delete_run(nsec3, zone_id);
        mdb_cursor_close(nsec3);
    }

    if (rc == 0 || rc == MDB_NOTFOUND) {
        rc = delete_run(w->nodes, zone_id);
    }

    return rc == 0 || rc == MDB_NOTFOUND ? DNS_OK
                                         : store_failed(w, "delete", rc);
}

/* An id above all others. */
static dns_status_t
next_zone_id(writing_t *w, uint32_t *id)
{
    MDB_val key;
    MDB_val value;
    int rc = mdb_cursor_get(w->nodes, &key, &value, MDB_LAST);

    *id = 1;

    if (rc == 0 && key.mv_size >= ZONE_ID_SIZE) {
        *id = get32(key.mv_data) + 1;
    }

    if (*id == 0) {
        snprintf(w->error, STORE_ERROR_SIZE,
                 "no zone numbers are left: load the zones into a new store");
        return DNS_ESTORE;
    }

    return rc == 0 || rc == MDB_NOTFOUND ? DNS_OK
                                         : store_failed(w, "number", rc);
}

/* Adds a node to the zone's counts, or takes it away. */
static void
count_node(zone_record_t *record, const dns_node_t *node,
           const change_t *change, const uint8_t *key, int by)
{
    bool is_apex = change->key_size == 0;

    if (node->size == 0) {
        return;
    }

    record->node_count += (uint64_t) by;

    if (lmdb_node_is_cut(node, is_apex)) {
        record->cut_count += (uint32_t) by;
    }

    if (lmdb_key_is_wildcard(key, change->key_size)) {
        record->wildcard_count += (uint32_t) by;
    }
}

/* Keeps the keys of nodes with NSEC3 in their own table. */
static int
index_nsec3(writing_t *w, MDB_val *key, bool had, bool has)
{
    MDB_val nothing = {0, NULL};

    if (had == has) {
        return 0;
    }

    return has ? mdb_put(w->txn, w->store->nsec3, key, &nothing, 0)
               : mdb_del(w->txn, w->store->nsec3, key, NULL);
}

static bool
has_nsec3(const dns_node_t *node)
{
    dns_rrset_t rrset;

    return dns_node_find(node, DNS_TYPE_NSEC3, &rrset);
}

/* Puts the builder's node in the place of old. */
static dns_status_t
write_node(writing_t *w, const change_t *change, const dns_node_t *old)
{
    uint8_t octets[NODE_KEY_SIZE];
    const uint8_t *below = w->edit->octets + change->key_at;
    dns_node_t node = dns_node_builder_node(&w->builder);
    count_node(&w->record, old, change, below, -1);
    count_node(&w->record, &node, change, below, 1);
    put32(octets, w->record.id);

    if (change->key_size > 0) {
        memcpy(octets + ZONE_ID_SIZE, below, change->key_size);
    }

    MDB_val key = {(size_t) ZONE_ID_SIZE + change->key_size, octets};
    MDB_val value = {node.size, (void *) node.octets};
    int rc = index_nsec3(w, &key, has_nsec3(old), has_nsec3(&node));

    if (rc == 0) {
        rc = node.size == 0 ? mdb_del(w->txn, w->store->nodes, &key, NULL)
                            : mdb_cursor_put(w->nodes, &key, &value,
                                             w->is_new ? MDB_APPEND : 0);
    }

    w->is_changed = true;
    return rc == 0 || rc == MDB_NOTFOUND ? DNS_OK : store_failed(w, "put", rc);
}

static dns_status_t
read_node(writing_t *w, const change_t *change, dns_node_t *node)
{
    uint8_t octets[NODE_KEY_SIZE];

    *node = (dns_node_t){NULL, 0};

    if (w->is_new) {
        return DNS_OK;
    }

    put32(octets, w->record.id);

    if (change->key_size > 0) {
        memcpy(octets + ZONE_ID_SIZE, w->edit->octets + change->key_at,
               change->key_size);
    }

    MDB_val key = {(size_t) ZONE_ID_SIZE + change->key_size, octets};
    MDB_val value;
    int rc = mdb_cursor_get(w->nodes, &key, &value, MDB_SET);

    if (rc == 0) {
        *node = (dns_node_t){value.mv_data, (uint32_t) value.mv_size};
    }

    return rc == 0 || rc == MDB_NOTFOUND ? DNS_OK : store_failed(w, "get", rc);
}

/* The changes [first, end) of one owner. */
static dns_status_t
write_group(writing_t *w, size_t first, size_t end)
{
    const change_t *change = &w->edit->changes[first];
    dns_node_t old;
    dns_status_t status = read_node(w, change, &old);

    if (status == DNS_OK) {
        status = dns_node_builder_reset(&w->builder, &old);
    }

    if (status == DNS_OK) {
        status = store_edit_apply(w->edit, first, end, &w->builder, w->error);
    }

    if (status != DNS_OK) {
        return status;
    }

    dns_node_t node = dns_node_builder_node(&w->builder);

    return store_is_same_node(&old, &node) ? DNS_OK
                                           : write_node(w, change, &old);
}

static dns_status_t
write_groups(writing_t *w)
{
    size_t end;

    for (size_t i = 0; i < w->edit->change_count; i = end) {
        end = store_edit_group_end(w->edit, i);

        dns_status_t status = write_group(w, i, end);

        if (status != DNS_OK) {
            return status;
        }
    }

    return DNS_OK;
}

/* Gives the apex of an edited zone its new serial. */
static dns_status_t
write_serial(writing_t *w)
{
    const change_t apex = {0};
    dns_node_t old;
    dns_status_t status = read_node(w, &apex, &old);

    if (status == DNS_OK) {
        status = dns_node_builder_reset(&w->builder, &old);
    }

    if (status != DNS_OK) {
        return status;
    }

    store_raise_serial(w->edit, &w->builder);
    return write_node(w, &apex, &old);
}

static dns_status_t
check_unsigned(writing_t *w)
{
    const change_t apex = {0};
    dns_node_t node;
    dns_status_t status = read_node(w, &apex, &node);

    return status == DNS_OK
               ? store_edit_check_unsigned(w->edit, &node, w->error)
               : status;
}

static dns_status_t
change_zone(writing_t *w)
{
    dns_status_t status = read_zone(w);

    if (status == DNS_OK) {
        w->edit->result.zone_was_there = true;
        status = check_unsigned(w);
    }

    if (status == DNS_OK) {
        status = write_groups(w);
    }

    if (status != DNS_OK || !w->is_changed) {
        return status;
    }

    if (!w->edit->sets_soa) {
        status = write_serial(w);
    }

    return status == DNS_OK ? write_zone(w) : status;
}

static dns_status_t
delete_zone(writing_t *w)
{
    uint8_t octets[ZONE_KEY_SIZE];
    MDB_val key = zone_key(w, octets);
    dns_status_t status = read_zone(w);

    if (status == DNS_OK) {
        status = delete_nodes(w, w->record.id);
    }

    if (status != DNS_OK) {
        return status;
    }

    int rc = mdb_del(w->txn, w->store->zones, &key, NULL);

    w->is_changed = true;
    w->edit->result.zone_was_there = true;
    return rc == 0 ? DNS_OK : store_failed(w, "delete", rc);
}

static dns_status_t
replace_zone(writing_t *w)
{
    store_edit_t *edit = w->edit;
    uint32_t id;
    dns_status_t status = read_zone(w);
    bool was_there = status == DNS_OK;
    uint32_t old_id = w->record.id;

    if (status != DNS_OK && status != DNS_ENOTFOUND) {
        return status;
    }

    if (edit->change_count == 0 || edit->changes[0].key_size != 0) {
        return store_fail_at(w->error, DNS_ECONFLICT, edit->apex.octets,
                             "no SOA record at the top of the zone");
    }

    status = next_zone_id(w, &id);

    if (status == DNS_OK) {
        w->record = (zone_record_t){.id = id};
        w->is_new = true;
        status = write_groups(w);
    }

    if (status == DNS_OK && was_there) {
        edit->result.zone_was_there = true;
        status = delete_nodes(w, old_id);
    }

    return status == DNS_OK ? write_zone(w) : status;
}

/* The zone as whoever wrote the edit saw it. */
static dns_status_t
check_expected(writing_t *w)
{
    const store_edit_t *edit = w->edit;

    if (!edit->expects) {
        return DNS_OK;
    }

    dns_status_t status = read_zone(w);
    uint64_t found = status == DNS_OK ? w->record.generation : 0;

    if (status != DNS_OK && status != DNS_ENOTFOUND) {
        return status;
    }

    return found == edit->generation
               ? DNS_OK
               : store_fail_at(w->error, DNS_EEXIST, edit->apex.octets,
                               "the zone has been changed");
}

/* The zone as it is now in the transaction. */
static dns_status_t
note_result(writing_t *w)
{
    const change_t apex = {0};
    dns_node_t node;

    w->is_new = false;

    dns_status_t status = read_node(w, &apex, &node);

    if (status == DNS_OK) {
        w->edit->result.generation = w->record.generation;
        w->edit->result.serial = store_node_serial(&node);
    }

    return status;
}

/* What the zone parks, as the edit leaves it. */
static dns_status_t
write_parked(writing_t *w)
{
    uint8_t octets[ZONE_KEY_SIZE];
    MDB_val key = {lmdb_parked_key(octets, &w->edit->apex), octets};
    store_nodes_t nodes = {0};
    char *text = NULL;
    bool is_changed = false;
    dns_status_t status = lmdb_read_parked(w->txn, w->store, &key, &nodes);

    if (status == DNS_OK) {
        status = store_parked_apply(w->edit, &nodes, &is_changed, w->error);
    }

    if (status == DNS_OK && is_changed) {
        status = store_parked_write(&nodes, &text);
    }

    store_nodes_free(&nodes);

    if (status != DNS_OK || !is_changed) {
        return status;
    }

    MDB_val value = {text == NULL ? 0 : strlen(text), text};
    int rc = text == NULL ? mdb_del(w->txn, w->store->meta, &key, NULL)
                          : mdb_put(w->txn, w->store->meta, &key, &value, 0);

    free(text);
    w->is_changed = true;
    return rc == 0 ? DNS_OK : store_failed(w, "parked records", rc);
}

static dns_status_t
delete_parked(writing_t *w)
{
    uint8_t octets[ZONE_KEY_SIZE];
    MDB_val key = {lmdb_parked_key(octets, &w->edit->apex), octets};
    int rc = mdb_del(w->txn, w->store->meta, &key, NULL);

    return rc == 0 || rc == MDB_NOTFOUND
               ? DNS_OK
               : store_failed(w, "parked records", rc);
}

dns_status_t
lmdb_apply(const lmdb_commit_t *commit, MDB_txn *txn, int *rc, bool *is_changed,
           char *error)
{
    store_edit_t *edit = commit->edit;
    writing_t w = {
        .edit = edit, .store = commit->store, .txn = txn, .error = error};
    dns_status_t status;

    store_edit_begin(edit);
    *rc = mdb_cursor_open(txn, w.store->nodes, &w.nodes);

    if (*rc != 0) {
        return lmdb_fail(error, "cursor", *rc);
    }

    status = check_expected(&w);

    if (status == DNS_OK) {
        status = edit->deletes    ? delete_zone(&w)
                 : edit->replaces ? replace_zone(&w)
                                  : change_zone(&w);
    }

    if (status == DNS_OK && !edit->deletes) {
        status = note_result(&w);
    }

    if (status == DNS_OK && edit->deletes) {
        status = delete_parked(&w);
    } else if (status == DNS_OK && edit->parked != NULL) {
        status = write_parked(&w);
    }

    mdb_cursor_close(w.nodes);
    dns_node_builder_free(&w.builder);
    *rc = w.rc;
    *is_changed = w.is_changed;
    return status;
}
