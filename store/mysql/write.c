/* MySQL and MariaDB: edits as transactions. */

#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/rdata_text.h"
#include "dns/type.h"
#include "store/mysql/database.h"
#include "store/private/parked.h"

enum {
    BATCH_SIZE = 256 * 1024, /* bytes of a statement with rows */
    NAMES_MAX = 500,         /* in one statement */
};

/* As a listing tells it. */
static dns_status_t
read_generation(store_database_t *db, uint64_t *generation)
{
    store_listing_t listing = {0};
    dns_status_t status = my_list(db, &db->apex, &listing);

    *generation = listing.count == 1 ? listing.zones[0].generation : 0;
    free(listing.zones);
    return status;
}

/* Edits of a zone wait for each other at its row. */
dns_status_t
my_begin(store_database_t *db, const dns_name_t *apex, uint64_t *generation)
{
    my_link_t *link = db->link;

    buffer_clear(&link->inserts);
    buffer_clear(&link->unread);

    if (db->options->layout.zones != NULL) {
        return database_fail(db, DNS_ESTORE,
                             "a store with queries of its own is read only");
    }

    dns_status_t status = my_run_text(db, "START TRANSACTION");

    if (status == DNS_OK) {
        status = my_find_zone(db, apex, " FOR UPDATE");
    }

    return status == DNS_OK ? read_generation(db, generation) : status;
}

static dns_status_t
read_some(store_database_t *db, const uint8_t *const *names, size_t count,
          store_nodes_t *out)
{
    buffer_t statement = {0};

    buffer_put(&statement, "%s%u AND name IN (", my_rows_text, db->zone_id);

    for (size_t i = 0; i < count; i++) {
        buffer_put(&statement, "%s", i == 0 ? "" : ", ");
        my_put_name(&statement, my_of(db), names[i]);
    }

    buffer_put(&statement, ") FOR UPDATE");

    dns_status_t status = my_walk(db, &statement);

    buffer_free(&statement);
    return status == DNS_OK ? my_take_rows(db, out) : status;
}

dns_status_t
my_read_names(store_database_t *db, const uint8_t *const *names, size_t count,
              store_nodes_t *out)
{
    dns_status_t status = DNS_OK;

    for (size_t at = 0; status == DNS_OK && at < count; at += NAMES_MAX) {
        size_t some = count - at < NAMES_MAX ? count - at : NAMES_MAX;

        status = read_some(db, names + at, some, out);
    }

    return status;
}

/* A server that is not in strict mode cuts what is too long for its column,
   with no more than a warning. */
static bool
was_cut(store_database_t *db)
{
    MYSQL_RES *rows;
    MYSQL_ROW row;
    bool is_cut = false;

    if (mysql_warning_count(my_of(db)) == 0 ||
        my_run_text(db, "SHOW WARNINGS") != DNS_OK ||
        (rows = client_mysql_rows(my_client(db))) == NULL) {
        return false;
    }

    while ((row = mysql_fetch_row(rows)) != NULL) {
        const unsigned long code =
            row[1] == NULL ? 0 : strtoul(row[1], NULL, 10);

        is_cut =
            is_cut || code == WARN_DATA_TRUNCATED || code == ER_DATA_TOO_LONG;
    }

    return is_cut;
}

static dns_status_t
run_inserts(store_database_t *db)
{
    const my_link_t *link = db->link;
    const dns_status_t status = my_run(db, &link->inserts);

    if (status == DNS_OK
            ? !was_cut(db)
            : client_mysql_code(my_client(db)) != ER_DATA_TOO_LONG) {
        return status;
    }

    /* The edit is at fault, not the database. */
    snprintf(db->error, STORE_ERROR_SIZE,
             "%.300s: a text of %zu octets is longer than what the column "
             "content of the table records holds (64000 in PowerDNS's schema)",
             link->longest_at, link->longest);
    return DNS_ELIMIT;
}

static dns_status_t
send_inserts(store_database_t *db)
{
    my_link_t *link = db->link;
    dns_status_t status = link->inserts.size == 0 ? DNS_OK : run_inserts(db);

    buffer_clear(&link->inserts);
    link->longest = 0;
    return status;
}

/* Of the contents that are sent together, the one that may be too long. */
static void
note_longest(my_link_t *link, const dns_name_t *name, const char *type,
             size_t size)
{
    char text[DNS_NAME_TEXT_SIZE];

    if (size > link->longest) {
        link->longest = size;
        (void) dns_name_to_text(text, name->octets);
        snprintf(link->longest_at, sizeof(link->longest_at), "%s %s", text,
                 type);
    }
}

dns_status_t
my_create(store_database_t *db)
{
    buffer_t statement = {0};

    buffer_put(&statement, "INSERT INTO domains (name, type) VALUES (");
    my_put_name(&statement, my_of(db), db->apex.octets);
    buffer_put(&statement, ", 'NATIVE')");

    dns_status_t status = my_run(db, &statement);

    buffer_free(&statement);
    db->is_overtaken |= client_mysql_code(my_client(db)) == ER_DUP_ENTRY;
    db->zone_id = (uint32_t) mysql_insert_id(my_of(db));
    return status;
}

/* The condition that spares what could not be read. */
static void
put_spared(store_database_t *db, buffer_t *statement)
{
    const my_link_t *link = db->link;

    if (link->unread.failed) {
        statement->failed = true;
    } else if (link->unread.size > 0) {
        buffer_put(statement, " AND id NOT IN (%s)",
                   link->unread.octets + 2); /* behind the first comma */
    }
}

/* Who puts a zone back has seen neither parked rows (store/parked.h) nor those
   that cannot be read: they stay. */
dns_status_t
my_clear(store_database_t *db)
{
    store_nodes_t nodes = {0};
    dns_status_t status = my_walk_for_zone(db, my_rows_text);

    if (status == DNS_OK) {
        status = my_take_rows(db, &nodes);
        store_nodes_free(&nodes);
    }

    if (status != DNS_OK) {
        return status;
    }

    buffer_t statement = {0};

    buffer_put(&statement,
               "DELETE FROM records WHERE disabled = 0 AND (type IS NULL OR"
               " type <> 'ALIAS') AND domain_id = %u",
               db->zone_id);
    put_spared(db, &statement);
    status = my_run(db, &statement);
    buffer_free(&statement);
    return status;
}

/* Tables that a small layout does without. */
static dns_status_t
clear_beside(store_database_t *db, const char *statement)
{
    dns_status_t status = my_run_for_zone(db, statement);

    return client_mysql_code(my_client(db)) == ER_NO_SUCH_TABLE ? DNS_OK
                                                                : status;
}

dns_status_t
my_drop(store_database_t *db)
{
    static const char *const beside[] = {
        "DELETE FROM domainmetadata WHERE domain_id = ",
        "DELETE FROM comments WHERE domain_id = ",
        "DELETE FROM cryptokeys WHERE domain_id = ",
    };
    dns_status_t status =
        my_run_for_zone(db, "DELETE FROM records WHERE domain_id = ");

    for (size_t i = 0; status == DNS_OK && i < 3; i++) {
        status = clear_beside(db, beside[i]);
    }

    return status == DNS_OK
               ? my_run_for_zone(db, "DELETE FROM domains WHERE id = ")
               : status;
}

/* Such content has names without the final dot. */
static bool
has_names(uint16_t type)
{
    return type == DNS_TYPE_NS || type == DNS_TYPE_CNAME ||
           type == DNS_TYPE_PTR || type == DNS_TYPE_DNAME ||
           type == DNS_TYPE_MX || type == DNS_TYPE_SRV || type == DNS_TYPE_SOA;
}

/* Dots at the ends of words go, but for the root and an escaped dot. */
static void
drop_dots(char *text)
{
    char *out = text;

    for (const char *p = text; *p != '\0'; p++) {
        bool ends_word = p[1] == ' ' || p[1] == '\0';
        bool is_plain = p > text && p[-1] != ' ' && p[-1] != '\\';

        if (*p != '.' || !ends_word || !is_plain) {
            *out++ = *p;
        }
    }

    *out = '\0';
}

/* The type and the state of rows of a set. */
typedef struct {
    char type[DNS_MNEMONIC_SIZE];
    int disabled;
} row_kind_t;

static row_kind_t
kind_of_rows(const store_database_t *db, uint16_t type)
{
    row_kind_t kind = {.type = "ALIAS", .disabled = db->writes_parked};

    if (!db->writes_parked || store_parked_text_type(type) == type) {
        dns_type_to_text(kind.type, type);
    } else {
        kind.disabled = type == STORE_TYPE_DISABLED_ALIAS;
    }

    return kind;
}

static dns_status_t
put_record(store_database_t *db, const dns_name_t *name, const dns_rrset_t *set,
           const dns_rdata_t *rdata)
{
    my_link_t *link = db->link;
    buffer_t *out = &link->inserts;
    const row_kind_t kind = kind_of_rows(db, set->type);
    const uint16_t type =
        db->writes_parked ? store_parked_text_type(set->type) : set->type;
    char *rest = link->content;
    unsigned long prio = 0;
    size_t size;
    dns_status_t status = dns_rdata_to_text(type, rdata, link->content,
                                            sizeof(link->content), &size);

    if (status != DNS_OK) {
        return database_fail(db, status, dns_status_text(status));
    }

    if (has_names(type)) {
        drop_dots(link->content);
    }

    if (type == DNS_TYPE_MX || type == DNS_TYPE_SRV) {
        prio = strtoul(link->content, &rest, 10);
        rest += *rest == ' ';
    }

    buffer_put(out, "%s(%u, ",
               out->size > 0
                   ? ", "
                   : "INSERT INTO records (domain_id, name, type, ttl,"
                     " prio, disabled, auth, content) VALUES ",
               db->zone_id);
    my_put_name(out, my_of(db), name->octets);
    buffer_put(out, ", '%s', %u, %lu, %d, 1, ", kind.type, set->ttl, prio,
               kind.disabled);
    my_put_quoted(out, my_of(db), rest, strlen(rest));
    buffer_put(out, ")");
    note_longest(link, name, kind.type, strlen(rest));
    return out->size > BATCH_SIZE ? send_inserts(db) : DNS_OK;
}

static dns_status_t
delete_set(store_database_t *db, const dns_name_t *name, uint16_t type)
{
    buffer_t statement = {0};
    const row_kind_t kind = kind_of_rows(db, type);
    dns_status_t status = send_inserts(db);

    if (status != DNS_OK) {
        return status;
    }

    buffer_put(&statement,
               "DELETE FROM records WHERE domain_id = %u AND disabled = %d AND"
               " type = '%s' AND name = ",
               db->zone_id, kind.disabled, kind.type);
    my_put_name(&statement, my_of(db), name->octets);

    if (!db->writes_parked && !database_resets(db, type)) {
        put_spared(db, &statement);
    }

    status = my_run(db, &statement);
    buffer_free(&statement);
    return status;
}

dns_status_t
my_write_node(store_database_t *db, const dns_name_t *name,
              const dns_node_t *old, const dns_node_t *node)
{
    dns_rrset_t set;
    dns_rdata_t rdata;
    dns_status_t status = DNS_OK;

    for (size_t at = 0; status == DNS_OK && dns_node_next(old, &at, &set);) {
        if (!store_has_same_set(node, &set)) {
            status = delete_set(db, name, set.type);
        }
    }

    for (size_t at = 0; status == DNS_OK && dns_node_next(node, &at, &set);) {
        if (store_has_same_set(old, &set)) {
            continue;
        }

        for (size_t r = 0;
             status == DNS_OK && dns_rrset_next(&set, &r, &rdata);) {
            dns_rrset_t row = set;

            row.ttl = dns_node_ttl(node, &set, &rdata);
            status = put_record(db, name, &row, &rdata);
        }
    }

    return status;
}

dns_status_t
my_write_parked(store_database_t *db, const store_nodes_t *old,
                const store_nodes_t *nodes)
{
    dns_status_t status = DNS_OK;

    db->writes_parked = true;

    for (size_t i = 0; status == DNS_OK && i < nodes->count; i++) {
        const store_named_node_t *named = &nodes->nodes[i];
        const dns_node_t before = store_nodes_find(old, &named->name);
        const dns_node_t node = dns_node_builder_node(&named->builder);

        status = my_write_node(db, &named->name, &before, &node);
    }

    /* Rows that wait are of this kind. */
    status = status == DNS_OK ? send_inserts(db) : status;
    db->writes_parked = false;
    return status;
}

dns_status_t
my_commit(store_database_t *db, uint64_t *generation)
{
    dns_status_t status = send_inserts(db);

    if (status == DNS_OK) {
        status = my_rectify(db);
    }

    if (status == DNS_OK) {
        status = read_generation(db, generation);
    }

    db->is_committing = status == DNS_OK;
    return status == DNS_OK ? my_run_text(db, "COMMIT") : status;
}

void
my_abort(store_database_t *db)
{
    char error[STORE_ERROR_SIZE];

    memcpy(error, db->error, sizeof(error));

    if (my_run_text(db, "ROLLBACK") != DNS_OK) {
        database_close(db);
    }

    memcpy(db->error, error, sizeof(error));
}
