/* MySQL and MariaDB, blocking: listings, whole zones, transactions. */

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <stdlib.h>
#include <string.h>

#include "dns/rdata_text.h"
#include "dns/type.h"
#include "store/private/buffer.h"
#include "store/private/database.h"
#include "store/private/mysql.h"

enum {
    BATCH_SIZE = 256 * 1024, /* bytes of a statement with rows */
    NAMES_MAX = 500,         /* in one statement */
    CONTENT_SIZE = 4 * DNS_RDATA_MAX + 1024, /* bytes of one rdata */
};

typedef struct {
    MYSQL *mysql;
    buffer_t inserts; /* rows that are not sent yet */
    char content[CONTENT_SIZE];
} link_t;

static MYSQL *
mysql_of(store_database_t *db)
{
    return ((link_t *) db->link)->mysql;
}

static dns_status_t
fail(store_database_t *db)
{
    db->is_overtaken = mysql_errno(mysql_of(db)) == ER_LOCK_DEADLOCK;
    return database_fail(db, DNS_ESTORE, mysql_error(mysql_of(db)));
}

static void
close_link(store_database_t *db)
{
    link_t *link = db->link;

    if (link->mysql != NULL) {
        mysql_close(link->mysql);
    }

    buffer_free(&link->inserts);
    free(link);
}

static void
set_options(MYSQL *mysql, const store_database_options_t *o)
{
    unsigned seconds = (o->timeout_ms + 999) / 1000;
    my_bool yes = 1;

    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &seconds);
    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
    mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");

    if (o->ca_file != NULL) {
        mysql_ssl_set(mysql, NULL, NULL, o->ca_file, NULL, NULL);
        mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
        mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &yes);
    }
}

static dns_status_t
connect_to(store_database_t *db, const char *host, uint16_t port)
{
    const store_database_options_t *o = &db->options;
    link_t *link = calloc(1, sizeof(*link));

    if (link == NULL || (link->mysql = mysql_init(NULL)) == NULL) {
        free(link);
        return database_fail(db, DNS_ENOMEM, "no memory for a connection");
    }

    db->link = link;
    set_options(link->mysql, o);

    if (mysql_real_connect(link->mysql, host, o->user, o->password, o->database,
                           port, host == NULL ? o->unix_socket : NULL,
                           0) == NULL) {
        dns_status_t status = fail(db);

        database_close(db);
        return status;
    }

    return DNS_OK;
}

static dns_status_t
run(store_database_t *db, const buffer_t *statement)
{
    if (statement->failed) {
        return database_fail(db, DNS_ENOMEM, "no memory for a statement");
    }

    return mysql_real_query(mysql_of(db), statement->octets,
                            (unsigned long) statement->size) == 0
               ? DNS_OK
               : fail(db);
}

static dns_status_t
run_text(store_database_t *db, const char *statement)
{
    return mysql_query(mysql_of(db), statement) == 0 ? DNS_OK : fail(db);
}

/* A statement with the transaction's zone. */
static dns_status_t
run_for_zone(store_database_t *db, const char *before)
{
    buffer_t statement = {0};

    buffer_put(&statement, "%s%u", before, db->zone_id);

    dns_status_t status = run(db, &statement);

    buffer_free(&statement);
    return status;
}

static void
put_quoted(buffer_t *out, MYSQL *mysql, const char *text, size_t size)
{
    char *to = buffer_reserve(out, 2 * size + 3);

    if (to != NULL) {
        to[0] = '\'';

        unsigned long escaped =
            mysql_real_escape_string(mysql, to + 1, text, (unsigned long) size);

        to[escaped + 1] = '\'';
        buffer_added(out, escaped + 2);
    }
}

/* A name as the layout has it: lower case, no final dot. */
static void
put_name(buffer_t *out, MYSQL *mysql, const uint8_t *name)
{
    char text[DNS_NAME_TEXT_SIZE];
    dns_name_t lower;

    dns_name_set(&lower, name);

    size_t size = dns_name_to_text(text, lower.octets);

    put_quoted(out, mysql, text, size > 1 ? size - 1 : size);
}

static uint32_t
serial_of(const char *soa)
{
    unsigned word = 0;

    for (; soa != NULL && *soa != '\0'; soa++) {
        word += *soa == ' ' && soa[1] != ' ';

        if (word == 2) {
            return (uint32_t) strtoul(soa, NULL, 10);
        }
    }

    return 0;
}

/* As store_mysql_zones_text, with a mark over all of a zone's rows behind the
   SOA. */
static const char marked_zones_text[] =
    "SELECT d.name, CONCAT(MAX(IF(r.type = 'SOA' AND r.name = d.name,"
    " r.content, '')), ' ', COUNT(r.id), ' ', BIT_XOR(CRC32(CONCAT_WS('|',"
    " r.id, r.name, r.type, r.content, r.ttl, r.prio)))), d.id"
    " FROM domains d LEFT JOIN records r"
    " ON r.domain_id = d.id AND r.disabled = 0";

/* The statement for all zones, or one, of PowerDNS's layout. */
static void
put_listing(store_database_t *db, buffer_t *statement, const dns_name_t *only)
{
    const bool marks_rows = db->options.marks_rows;

    buffer_put(statement, "%s",
               marks_rows ? marked_zones_text : store_mysql_zones_text);

    if (only != NULL) {
        buffer_put(statement, " WHERE d.name = ");
        put_name(statement, mysql_of(db), only->octets);
    }

    if (marks_rows) {
        buffer_put(statement, " GROUP BY d.id, d.name");
    }
}

static bool
is_meant(const uint8_t *name, const dns_name_t *only)
{
    return only == NULL || dns_name_equal(name, only->octets);
}

static dns_status_t
take_zones(store_database_t *db, const dns_name_t *only, store_listing_t *out)
{
    MYSQL_RES *rows = mysql_store_result(mysql_of(db));
    MYSQL_ROW row;
    dns_status_t status = DNS_OK;

    if (rows == NULL) {
        return fail(db);
    }

    const bool has_mark = mysql_num_fields(rows) > 1;

    while (status == DNS_OK && (row = mysql_fetch_row(rows)) != NULL) {
        const unsigned long *sizes = mysql_fetch_lengths(rows);
        const char *mark = has_mark ? row[1] : NULL;
        uint8_t name[DNS_NAME_MAX];

        if (row[0] != NULL &&
            dns_name_from_text(name, row[0], sizes[0], NULL, NULL) == DNS_OK &&
            is_meant(name, only)) {
            status = database_list_zone(
                out, name, serial_of(mark),
                database_generation(mark, has_mark ? sizes[1] : 0));
        }
    }

    mysql_free_result(rows);
    return status;
}

static dns_status_t
list(store_database_t *db, const dns_name_t *only, store_listing_t *out)
{
    buffer_t statement = {0};

    if (db->options.layout.zones != NULL) {
        buffer_put(&statement, "%s", db->options.layout.zones);
    } else {
        put_listing(db, &statement, only);
    }

    dns_status_t status = run(db, &statement);

    buffer_free(&statement);
    return status == DNS_OK ? take_zones(db, only, out) : status;
}

/* What a row of JSON gives goes to nodes. */
typedef struct {
    store_database_t *db;
    store_nodes_t *out;
    const uint8_t *name;
    dns_status_t status;
} taking_t;

static void
take_record(void *data, const store_record_t *record, const char *reason)
{
    taking_t *taking = data;

    (void) reason;

    if (record == NULL) {
        taking->db->skipped++;
        return;
    }

    dns_rrset_t set = {.type = record->type, .ttl = record->ttl};
    dns_status_t status =
        store_nodes_add(taking->out, taking->name, &set, &record->rdata);

    taking->db->skipped += status == DNS_ELIMIT;
    taking->status = status == DNS_ENOMEM ? status : taking->status;
}

static dns_status_t
add_json_row(taking_t *taking, const store_row_t *row)
{
    const store_json_t json = {.text = row->content,
                               .size = row->content_size,
                               .serial = 1,
                               .visit = take_record,
                               .data = taking};

    /* take_record() was told of what is wrong. */
    (void) !store_records_from_json_row(taking->db->records, row, &json);
    return taking->status;
}

/* name, type, ttl, content, prio: the first four at the least */
static dns_status_t
add_row(store_database_t *db, MYSQL_RES *rows, MYSQL_ROW row,
        store_nodes_t *out)
{
    const unsigned long *sizes = mysql_fetch_lengths(rows);
    const char *prio = mysql_num_fields(rows) > 4 ? row[4] : NULL;
    const store_row_t text = {
        .type = row[1],
        .type_size = sizes[1],
        .content = row[3],
        .content_size = sizes[3],
        .has_ttl = row[2] != NULL,
        .ttl = row[2] == NULL ? 0 : strtoll(row[2], NULL, 10),
        .has_prio = prio != NULL,
        .prio = prio == NULL ? 0 : strtoll(prio, NULL, 10),
    };
    uint8_t name[DNS_NAME_MAX];
    store_record_t record;
    const char *reason;

    if (row[0] == NULL ||
        dns_name_from_text(name, row[0], sizes[0], NULL, NULL) != DNS_OK ||
        !dns_name_is_within(name, db->apex.octets)) {
        db->skipped++;
        return DNS_OK;
    }

    taking_t taking = {db, out, name, DNS_OK};

    if (db->options.layout.content_is_json) {
        return add_json_row(&taking, &text);
    }

    dns_status_t status =
        store_records_from_row(db->records, &text, &record, &reason);

    if (status != DNS_OK) {
        db->skipped += status != DNS_ENOTFOUND;
        return DNS_OK;
    }

    take_record(&taking, &record, NULL);
    return taking.status;
}

static dns_status_t
take_rows(store_database_t *db, store_nodes_t *out)
{
    MYSQL_RES *rows = mysql_use_result(mysql_of(db));
    MYSQL_ROW row;
    dns_status_t status = DNS_OK;

    if (rows == NULL) {
        return fail(db);
    }

    if (mysql_num_fields(rows) < 4) {
        mysql_free_result(rows);
        return database_fail(db, DNS_ESTORE,
                             "the statement has fewer than four columns");
    }

    while (status == DNS_OK && (row = mysql_fetch_row(rows)) != NULL) {
        status = add_row(db, rows, row, out);
    }

    if (status == DNS_OK && mysql_errno(mysql_of(db)) != 0) {
        status = fail(db);
    }

    mysql_free_result(rows);
    return status;
}

/* The zone's number; DNS_ENOTFOUND: there is none. */
static dns_status_t
find_zone(store_database_t *db, const dns_name_t *apex, const char *lock)
{
    buffer_t statement = {0};

    db->apex = *apex;
    buffer_put(&statement, "SELECT id FROM domains WHERE name = ");
    put_name(&statement, mysql_of(db), apex->octets);
    buffer_put(&statement, "%s", lock);

    dns_status_t status = run(db, &statement);

    buffer_free(&statement);

    if (status != DNS_OK) {
        return status;
    }

    MYSQL_RES *rows = mysql_store_result(mysql_of(db));
    MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);

    status = rows == NULL ? fail(db) : DNS_ENOTFOUND;

    if (row != NULL && row[0] != NULL) {
        db->zone_id = (uint32_t) strtoul(row[0], NULL, 10);
        status = DNS_OK;
    }

    mysql_free_result(rows);
    return status;
}

static const char rows_text[] =
    "SELECT name, type, ttl, content, prio FROM records WHERE disabled = 0"
    " AND type IS NOT NULL AND domain_id = ";

/* The statement of a site's own layout, with the zone's name for its "?". */
static dns_status_t
ask_own(store_database_t *db, const dns_name_t *apex)
{
    const char *query = db->options.layout.records;
    const char *parameter = query == NULL ? NULL : strchr(query, '?');
    buffer_t statement = {0};

    if (parameter == NULL) {
        return database_fail(db, DNS_ESTORE,
                             "the store has no query_records, which lists a "
                             "zone");
    }

    buffer_put_octets(&statement, query, (size_t) (parameter - query));
    put_name(&statement, mysql_of(db), apex->octets);
    buffer_put(&statement, "%s", parameter + 1);

    dns_status_t status = run(db, &statement);

    buffer_free(&statement);
    return status;
}

static dns_status_t
ask_records(store_database_t *db, const dns_name_t *name)
{
    buffer_t statement = {0};

    buffer_put(&statement, "%s%u", rows_text, db->zone_id);

    if (name != NULL) {
        buffer_put(&statement, " AND name = ");
        put_name(&statement, mysql_of(db), name->octets);
    }

    dns_status_t status = run(db, &statement);

    buffer_free(&statement);
    return status;
}

/* In one statement: the zone is whole. */
static dns_status_t
read_zone(store_database_t *db, const dns_name_t *apex, const dns_name_t *name,
          store_nodes_t *out)
{
    dns_status_t status;

    if (db->options.layout.zones != NULL) {
        db->apex = *apex;
        status = ask_own(db, apex);
    } else {
        status = find_zone(db, apex, "");

        if (status == DNS_OK) {
            status = ask_records(db, name);
        }
    }

    if (status == DNS_OK) {
        status = take_rows(db, out);
    }

    return status == DNS_OK && db->options.layout.zones != NULL &&
                   out->count == 0
               ? DNS_ENOTFOUND
               : status;
}

/* The SOA as it stands in the table tells the zone's state. */
static dns_status_t
read_generation(store_database_t *db, uint64_t *generation)
{
    buffer_t statement = {0};

    buffer_put(&statement,
               "SELECT content FROM records WHERE type = 'SOA' AND disabled = 0"
               " AND domain_id = %u AND name = ",
               db->zone_id);
    put_name(&statement, mysql_of(db), db->apex.octets);

    dns_status_t status = run(db, &statement);

    buffer_free(&statement);

    if (status != DNS_OK) {
        return status;
    }

    MYSQL_RES *rows = mysql_store_result(mysql_of(db));

    if (rows == NULL) {
        return fail(db);
    }

    MYSQL_ROW row = mysql_fetch_row(rows);

    *generation =
        database_generation(row == NULL ? NULL : row[0],
                            row == NULL ? 0 : mysql_fetch_lengths(rows)[0]);
    mysql_free_result(rows);
    return DNS_OK;
}

/* Edits of a zone wait for each other at its row. */
static dns_status_t
begin(store_database_t *db, const dns_name_t *apex, uint64_t *generation)
{
    link_t *link = db->link;

    buffer_clear(&link->inserts);

    if (db->options.layout.zones != NULL) {
        return database_fail(db, DNS_ESTORE,
                             "a store with queries of its own is read only");
    }

    dns_status_t status = run_text(db, "START TRANSACTION");

    if (status == DNS_OK) {
        status = find_zone(db, apex, " FOR UPDATE");
    }

    return status == DNS_OK ? read_generation(db, generation) : status;
}

static dns_status_t
read_some(store_database_t *db, const uint8_t *const *names, size_t count,
          store_nodes_t *out)
{
    buffer_t statement = {0};

    buffer_put(&statement, "%s%u AND name IN (", rows_text, db->zone_id);

    for (size_t i = 0; i < count; i++) {
        buffer_put(&statement, "%s", i == 0 ? "" : ", ");
        put_name(&statement, mysql_of(db), names[i]);
    }

    buffer_put(&statement, ") FOR UPDATE");

    dns_status_t status = run(db, &statement);

    buffer_free(&statement);
    return status == DNS_OK ? take_rows(db, out) : status;
}

static dns_status_t
read_names(store_database_t *db, const uint8_t *const *names, size_t count,
           store_nodes_t *out)
{
    dns_status_t status = DNS_OK;

    for (size_t at = 0; status == DNS_OK && at < count; at += NAMES_MAX) {
        size_t some = count - at < NAMES_MAX ? count - at : NAMES_MAX;

        status = read_some(db, names + at, some, out);
    }

    return status;
}

static dns_status_t
send_inserts(store_database_t *db)
{
    link_t *link = db->link;
    dns_status_t status =
        link->inserts.size == 0 ? DNS_OK : run(db, &link->inserts);

    buffer_clear(&link->inserts);
    return status;
}

static dns_status_t
create(store_database_t *db)
{
    buffer_t statement = {0};

    buffer_put(&statement, "INSERT INTO domains (name, type) VALUES (");
    put_name(&statement, mysql_of(db), db->apex.octets);
    buffer_put(&statement, ", 'NATIVE')");

    dns_status_t status = run(db, &statement);

    buffer_free(&statement);
    db->is_overtaken |= mysql_errno(mysql_of(db)) == ER_DUP_ENTRY;
    db->zone_id = (uint32_t) mysql_insert_id(mysql_of(db));
    return status;
}

static dns_status_t
clear(store_database_t *db)
{
    return run_for_zone(db, "DELETE FROM records WHERE domain_id = ");
}

/* Tables that a small layout does without. */
static dns_status_t
clear_beside(store_database_t *db, const char *statement)
{
    dns_status_t status = run_for_zone(db, statement);

    return mysql_errno(mysql_of(db)) == ER_NO_SUCH_TABLE ? DNS_OK : status;
}

static dns_status_t
drop(store_database_t *db)
{
    static const char *const beside[] = {
        "DELETE FROM domainmetadata WHERE domain_id = ",
        "DELETE FROM comments WHERE domain_id = ",
        "DELETE FROM cryptokeys WHERE domain_id = ",
    };
    dns_status_t status = clear(db);

    for (size_t i = 0; status == DNS_OK && i < 3; i++) {
        status = clear_beside(db, beside[i]);
    }

    return status == DNS_OK
               ? run_for_zone(db, "DELETE FROM domains WHERE id = ")
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

static dns_status_t
put_record(store_database_t *db, const dns_name_t *name, const dns_rrset_t *set,
           const dns_rdata_t *rdata)
{
    link_t *link = db->link;
    buffer_t *out = &link->inserts;
    char type[DNS_MNEMONIC_SIZE];
    char *rest = link->content;
    unsigned long prio = 0;
    size_t size;
    dns_status_t status = dns_rdata_to_text(set->type, rdata, link->content,
                                            sizeof(link->content), &size);

    if (status != DNS_OK) {
        return database_fail(db, status, dns_status_text(status));
    }

    if (has_names(set->type)) {
        drop_dots(link->content);
    }

    if (set->type == DNS_TYPE_MX || set->type == DNS_TYPE_SRV) {
        prio = strtoul(link->content, &rest, 10);
        rest += *rest == ' ';
    }

    dns_type_to_text(type, set->type);
    buffer_put(out, "%s(%u, ",
               out->size > 0
                   ? ", "
                   : "INSERT INTO records (domain_id, name, type, ttl,"
                     " prio, disabled, auth, content) VALUES ",
               db->zone_id);
    put_name(out, link->mysql, name->octets);
    buffer_put(out, ", '%s', %u, %lu, 0, 1, ", type, set->ttl, prio);
    put_quoted(out, link->mysql, rest, strlen(rest));
    buffer_put(out, ")");
    return out->size > BATCH_SIZE ? send_inserts(db) : DNS_OK;
}

static dns_status_t
delete_set(store_database_t *db, const dns_name_t *name, uint16_t type)
{
    buffer_t statement = {0};
    char mnemonic[DNS_MNEMONIC_SIZE];
    dns_status_t status = send_inserts(db);

    if (status != DNS_OK) {
        return status;
    }

    dns_type_to_text(mnemonic, type);
    buffer_put(&statement,
               "DELETE FROM records WHERE domain_id = %u AND disabled = 0 AND"
               " type = '%s' AND name = ",
               db->zone_id, mnemonic);
    put_name(&statement, mysql_of(db), name->octets);
    status = run(db, &statement);
    buffer_free(&statement);
    return status;
}

static bool
has_same_set(const dns_node_t *node, const dns_rrset_t *set)
{
    dns_rrset_t other;

    return dns_node_find(node, set->type, &other) && other.ttl == set->ttl &&
           other.size == set->size &&
           memcmp(other.rdata, set->rdata, set->size) == 0;
}

static dns_status_t
write_node(store_database_t *db, const dns_name_t *name, const dns_node_t *old,
           const dns_node_t *node)
{
    dns_rrset_t set;
    dns_rdata_t rdata;
    dns_status_t status = DNS_OK;

    for (size_t at = 0; status == DNS_OK && dns_node_next(old, &at, &set);) {
        if (!has_same_set(node, &set)) {
            status = delete_set(db, name, set.type);
        }
    }

    for (size_t at = 0; status == DNS_OK && dns_node_next(node, &at, &set);) {
        if (has_same_set(old, &set)) {
            continue;
        }

        for (size_t r = 0;
             status == DNS_OK && dns_rrset_next(&set, &r, &rdata);) {
            status = put_record(db, name, &set, &rdata);
        }
    }

    return status;
}

static dns_status_t
commit(store_database_t *db)
{
    dns_status_t status = send_inserts(db);

    db->is_committing = status == DNS_OK;
    return status == DNS_OK ? run_text(db, "COMMIT") : status;
}

static void
abort_transaction(store_database_t *db)
{
    char error[STORE_ERROR_SIZE];

    memcpy(error, db->error, sizeof(error));

    if (run_text(db, "ROLLBACK") != DNS_OK) {
        database_close(db);
    }

    memcpy(db->error, error, sizeof(error));
}

const database_driver_t database_mysql = {
    .connect = connect_to,
    .close = close_link,
    .list = list,
    .read = read_zone,
    .begin = begin,
    .read_names = read_names,
    .create = create,
    .clear = clear,
    .drop = drop,
    .write = write_node,
    .commit = commit,
    .abort = abort_transaction,
};
