/* An edit as a transaction of a database. */

#include <stdlib.h>

#include "client/deadline.h"
#include "dns/type.h"
#include "store/private/database.h"
#include "store/private/parked.h"

enum { TRIES = 20 }; /* where another one's transaction came first */

typedef struct {
    store_database_t *db;
    store_edit_t *edit;
    store_nodes_t nodes; /* owned: of the names that are changed */
    dns_node_builder_t builder;
    bool is_new; /* the zone has only what this edit writes */
    bool is_changed;
    bool zones_changed;
} writing_t;

bool
database_resets(const store_database_t *db, uint16_t type)
{
    for (size_t i = db->first; i < db->end; i++) {
        const change_t *change = &db->edit->changes[i];

        if (change->type == type && (change->kind == CHANGE_REMOVE ||
                                     change->kind == CHANGE_REMOVE_IF_ANY)) {
            return true;
        }
    }

    return false;
}

static dns_status_t
fail_at_apex(writing_t *w, dns_status_t status, const char *reason)
{
    return store_fail_at(w->db->error, status, w->edit->apex.octets, reason);
}

/* The owners of all changes, and the apex for the serial. */
static dns_status_t
read_nodes(writing_t *w)
{
    const store_edit_t *edit = w->edit;
    uint8_t(*octets)[DNS_NAME_MAX] =
        malloc((edit->change_count + 1) * sizeof(*octets));
    const uint8_t **names = malloc((edit->change_count + 1) * sizeof(*names));
    dns_status_t status = DNS_ENOMEM;
    size_t count = 0;

    if (octets != NULL && names != NULL) {
        names[count++] = edit->apex.octets;

        for (size_t i = 0; i < edit->change_count;
             i = store_edit_group_end(edit, i)) {
            if (edit->changes[i].key_size > 0) {
                store_edit_owner(edit, &edit->changes[i], octets[count]);
                names[count] = octets[count];
                count++;
            }
        }

        status = w->db->driver->read_names(w->db, names, count, &w->nodes);
    }

    free(octets);
    free(names);
    return status == DNS_OK ? store_nodes_sort(&w->nodes) : status;
}

static dns_status_t
write_node(writing_t *w, const dns_name_t *name, const dns_node_t *old)
{
    dns_node_t node = dns_node_builder_node(&w->builder);

    if (name->label_count == w->edit->apex.label_count) {
        w->edit->result.serial = store_node_serial(&node);
    }

    if (store_is_same_node(old, &node)) {
        return DNS_OK;
    }

    w->is_changed = true;
    return w->db->driver->write(w->db, name, old, &node);
}

/* The changes [first, end) of one owner. */
static dns_status_t
write_group(writing_t *w, size_t first, size_t end)
{
    uint8_t octets[DNS_NAME_MAX];
    dns_name_t name;
    dns_node_t old = {NULL, 0};

    w->db->first = first;
    w->db->end = end;
    store_edit_owner(w->edit, &w->edit->changes[first], octets);
    dns_name_set(&name, octets);

    if (!w->is_new) {
        old = store_nodes_find(&w->nodes, &name);
    }

    dns_status_t status = dns_node_builder_reset(&w->builder, &old);

    if (status == DNS_OK) {
        status =
            store_edit_apply(w->edit, first, end, &w->builder, w->db->error);
    }

    return status == DNS_OK ? write_node(w, &name, &old) : status;
}

static dns_status_t
write_groups(writing_t *w, size_t first)
{
    size_t end;

    for (size_t i = first; i < w->edit->change_count; i = end) {
        end = store_edit_group_end(w->edit, i);

        dns_status_t status = write_group(w, i, end);

        if (status != DNS_OK) {
            return status;
        }
    }

    return DNS_OK;
}

/* The apex comes last, once: its changes [0, end) and the new serial. */
static dns_status_t
write_apex(writing_t *w, size_t end)
{
    const store_edit_t *edit = w->edit;
    dns_node_t old = store_nodes_find(&w->nodes, &edit->apex);
    dns_status_t status = dns_node_builder_reset(&w->builder, &old);

    w->db->first = 0;
    w->db->end = end;

    if (status == DNS_OK && end > 0) {
        status = store_edit_apply(w->edit, 0, end, &w->builder, w->db->error);
    }

    if (status != DNS_OK) {
        return status;
    }

    dns_node_t node = dns_node_builder_node(&w->builder);

    w->is_changed = w->is_changed || !store_is_same_node(&old, &node);

    if (w->is_changed && !edit->sets_soa) {
        store_raise_serial(edit, &w->builder);
    }

    return write_node(w, &edit->apex, &old);
}

static dns_status_t
change_zone(writing_t *w, bool is_there)
{
    const store_edit_t *edit = w->edit;

    if (!is_there) {
        return fail_at_apex(w, DNS_ENOTFOUND, "no such zone");
    }

    bool has_apex = edit->change_count > 0 && edit->changes[0].key_size == 0;
    size_t end = has_apex ? store_edit_group_end(edit, 0) : 0;
    dns_status_t status = read_nodes(w);

    if (status == DNS_OK) {
        const dns_node_t apex = store_nodes_find(&w->nodes, &edit->apex);

        status = store_edit_check_unsigned(edit, &apex, w->db->error);
    }

    if (status == DNS_OK) {
        status = write_groups(w, end);
    }

    return status == DNS_OK ? write_apex(w, end) : status;
}

static dns_status_t
replace_zone(writing_t *w, bool is_there)
{
    const store_edit_t *edit = w->edit;

    if (edit->change_count == 0 || edit->changes[0].key_size != 0) {
        return fail_at_apex(w, DNS_ECONFLICT,
                            "no SOA record at the top of the zone");
    }

    dns_status_t status =
        is_there ? w->db->driver->clear(w->db) : w->db->driver->create(w->db);

    w->is_new = true;
    w->is_changed = true;
    w->zones_changed = !is_there;
    return status == DNS_OK ? write_groups(w, 0) : status;
}

static dns_status_t
delete_zone(writing_t *w, bool is_there)
{
    if (!is_there) {
        return fail_at_apex(w, DNS_ENOTFOUND, "no such zone");
    }

    w->is_changed = true;
    w->zones_changed = true;
    return w->db->driver->drop(w->db);
}

/* What the zone parks, as the edit leaves it. */
static dns_status_t
write_parked(writing_t *w)
{
    const database_driver_t *driver = w->db->driver;
    store_nodes_t old = {0};
    store_nodes_t nodes = {0};
    bool is_changed = false;
    dns_status_t status = store_edit_sort(w->edit->parked, w->db->error);

    /* Twice: nodes are changed in their place. */
    for (int i = 0; status == DNS_OK && i < 2; i++) {
        store_nodes_t *out = i == 0 ? &old : &nodes;

        status = driver->read_parked(w->db, w->edit->parked, out);
        status = status == DNS_OK ? store_nodes_sort(out) : status;
    }

    if (status == DNS_OK) {
        status = store_parked_apply(w->edit, &nodes, &is_changed, w->db->error);
    }

    if (status == DNS_OK && is_changed) {
        status = driver->write_parked(w->db, &old, &nodes);
        w->is_changed = true;
    }

    store_nodes_free(&old);
    store_nodes_free(&nodes);
    return status;
}

static dns_status_t
apply(writing_t *w)
{
    store_edit_t *edit = w->edit;
    uint64_t generation = 0;
    dns_status_t status = w->db->driver->begin(w->db, &edit->apex, &generation);
    bool is_there = status == DNS_OK;

    if (status != DNS_OK && status != DNS_ENOTFOUND) {
        return status;
    }

    store_edit_begin(edit);
    edit->result.zone_was_there = is_there;
    edit->result.generation = generation;

    if (edit->expects && edit->generation != (is_there ? generation : 0)) {
        return fail_at_apex(w, DNS_EEXIST, "the zone has been changed");
    }

    status = edit->deletes    ? delete_zone(w, is_there)
             : edit->replaces ? replace_zone(w, is_there)
                              : change_zone(w, is_there);

    return status == DNS_OK && !edit->deletes && edit->parked != NULL
               ? write_parked(w)
               : status;
}

static dns_status_t
try_commit(writing_t *w)
{
    const database_driver_t *driver = w->db->driver;

    w->db->edit = w->edit;
    w->is_new = w->is_changed = w->zones_changed = false;
    w->db->is_committing = w->db->is_overtaken = false;

    dns_status_t status = apply(w);
    bool ends =
        status == DNS_OK && (w->is_changed || driver->reads_without_locks);

    if (ends) {
        status = driver->commit(w->db, &w->edit->result.generation);
    }

    if (w->db->is_overtaken || (!ends && status != DNS_ESTORE)) {
        driver->abort(w->db);
    }

    store_nodes_free(&w->nodes);
    dns_node_builder_free(&w->builder);
    w->builder = (dns_node_builder_t){0};
    return status;
}

static dns_status_t
commit(writing_t *w)
{
    store_database_t *db = w->db;
    bool is_again = true;
    bool was_kept = db->link != NULL;
    dns_status_t status = DNS_ESTORE;

    for (int i = 0; i < TRIES && is_again; i++) {
        status = database_connect(db);

        if (status != DNS_OK) {
            return status;
        }

        status = try_commit(w);
        is_again = status == DNS_ESTORE && db->is_overtaken;

        /* A connection that was kept may have gone away.  Before the commit
           nothing was written; a lost commit is not tried again. */
        if (status == DNS_ESTORE && was_kept && !is_again &&
            !db->is_committing) {
            database_close(db);
            was_kept = false;
            is_again = true;
        }
    }

    return status;
}

dns_status_t
store_database_commit(store_database_t *db, store_edit_t *edit,
                      bool *zones_changed, char *error)
{
    writing_t w = {.db = db, .edit = edit};
    dns_status_t status = store_edit_sort(edit, error);

    if (status != DNS_OK) {
        return status;
    }

    pthread_mutex_lock(&db->lock);
    deadline_begin(database_timeout_ms(db));
    db->error = error;
    status = commit(&w);

    if (status == DNS_ESTORE) {
        database_close(db);
    } else if (status == DNS_OK) {
        error[0] = '\0';
    }

    deadline_end();
    pthread_mutex_unlock(&db->lock);
    *zones_changed = w.zones_changed;
    return status;
}
