/* MySQL and MariaDB, blocking: listings, whole zones, transactions. */

#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/rdata_text.h"
#include "dns/type.h"
#include "store/mysql/database.h"
#include "store/mysql/jobs.h"
#include "store/private/parked.h"

/* The server's words as the error. */
static dns_status_t
fail(store_database_t *db)
{
    db->is_overtaken = client_mysql_code(my_client(db)) == ER_LOCK_DEADLOCK;
    return database_fail(db, DNS_ESTORE, client_mysql_error(my_client(db)));
}

static void
close_link(store_database_t *db)
{
    my_link_t *link = db->link;

    client_mysql_free(link->client);
    buffer_free(&link->inserts);
    buffer_free(&link->unread);
    free(link);
}

static dns_status_t
connect_to(store_database_t *db, const char *host, uint16_t port)
{
    my_link_t *link = calloc(1, sizeof(*link));

    if (link != NULL) {
        link->client = store_mysql_client(db->options, host, port,
                                          database_timeout_ms(db));
    }

    if (link == NULL || link->client == NULL) {
        free(link);
        return database_fail(db, DNS_ENOMEM, "no memory for a connection");
    }

    db->link = link;

    if (client_mysql_connect(link->client, 0) != CLIENT_DONE) {
        dns_status_t status = fail(db);

        database_close(db);
        return status;
    }

    return DNS_OK;
}

/* Waits for the call that was begun, until the thread's deadline. */
static dns_status_t
finish(store_database_t *db)
{
    return client_mysql_finish(my_client(db)) == CLIENT_DONE ? DNS_OK
                                                             : fail(db);
}

dns_status_t
my_run(store_database_t *db, const buffer_t *statement)
{
    if (statement->failed) {
        return database_fail(db, DNS_ENOMEM, "no memory for a statement");
    }

    client_mysql_begin_query(my_client(db), statement->octets, statement->size,
                             CLIENT_NO_DEADLINE);
    return finish(db);
}

dns_status_t
my_run_text(store_database_t *db, const char *statement)
{
    client_mysql_begin_query(my_client(db), statement, strlen(statement),
                             CLIENT_NO_DEADLINE);
    return finish(db);
}

dns_status_t
my_walk(store_database_t *db, const buffer_t *statement)
{
    if (statement->failed) {
        return database_fail(db, DNS_ENOMEM, "no memory for a statement");
    }

    client_mysql_begin_walk(my_client(db), statement->octets, statement->size,
                            CLIENT_NO_DEADLINE);

    dns_status_t status = finish(db);

    return status == DNS_OK && client_mysql_rows(my_client(db)) == NULL
               ? database_fail(db, DNS_ESTORE, "the statement gives no rows")
               : status;
}

dns_status_t
my_walk_next(store_database_t *db, MYSQL_ROW *row)
{
    client_mysql_begin_row(my_client(db), CLIENT_NO_DEADLINE);

    dns_status_t status = finish(db);

    *row = client_mysql_row(my_client(db));
    return status;
}

dns_status_t
my_walk_end(store_database_t *db, dns_status_t status)
{
    if (status == DNS_ESTORE || client_mysql_rows(my_client(db)) == NULL) {
        return status;
    }

    client_mysql_begin_skip(my_client(db), CLIENT_NO_DEADLINE);

    dns_status_t end = finish(db);

    return status == DNS_OK ? end : status;
}

/* A statement with the transaction's zone. */
static dns_status_t
run_for_zone(store_database_t *db, const char *before,
             dns_status_t (*run)(store_database_t *db,
                                 const buffer_t *statement))
{
    buffer_t statement = {0};

    buffer_put(&statement, "%s%u", before, db->zone_id);

    dns_status_t status = run(db, &statement);

    buffer_free(&statement);
    return status;
}

dns_status_t
my_run_for_zone(store_database_t *db, const char *before)
{
    return run_for_zone(db, before, my_run);
}

dns_status_t
my_walk_for_zone(store_database_t *db, const char *before)
{
    return run_for_zone(db, before, my_walk);
}

void
my_put_quoted(buffer_t *out, MYSQL *mysql, const char *text, size_t size)
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
void
my_put_name(buffer_t *out, MYSQL *mysql, const uint8_t *name)
{
    char text[DNS_NAME_TEXT_SIZE];
    dns_name_t lower;

    dns_name_set(&lower, name);

    size_t size = dns_name_to_text(text, lower.octets);

    my_put_quoted(out, mysql, text, size > 1 ? size - 1 : size);
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

/* Each zone's name, its SOA and its number; also of zones that are not served
   because their SOA is disabled or missing. */
static const char zones_text[] =
    "SELECT d.name, r.content, d.id FROM domains d LEFT JOIN records r"
    " ON r.domain_id = d.id AND r.type = 'SOA' AND r.name = d.name"
    " AND r.disabled = 0";

/* As zones_text, with a mark over all of a zone's rows behind the
   SOA. */
static const char marked_zones_text[] =
    "SELECT d.name, CONCAT(MAX(IF(r.type = 'SOA' AND r.name = d.name,"
    " r.content, '')), ' ', COUNT(r.id), ' ', BIT_XOR(CRC32(CONCAT_WS('|',"
    " r.id, r.name, r.type, r.content, r.ttl, r.prio)))), d.id"
    " FROM domains d LEFT JOIN records r"
    " ON r.domain_id = d.id AND r.disabled = 0";

/* One zone, with the newest of its rows behind the SOA: an edit that leaves the
   SOA as it was writes rows all the same. */
static const char one_zone_text[] =
    "SELECT d.name, CONCAT(IFNULL(r.content, ''), ' ', IFNULL((SELECT MAX(m.id)"
    " FROM records m WHERE m.domain_id = d.id), 0)), d.id"
    " FROM domains d LEFT JOIN records r"
    " ON r.domain_id = d.id AND r.type = 'SOA' AND r.name = d.name"
    " AND r.disabled = 0";

/* The statement for all zones, or one, of PowerDNS's layout. */
static void
put_listing(store_database_t *db, buffer_t *statement, const dns_name_t *only)
{
    const bool marks_rows = db->marks_rows;

    buffer_put(statement, "%s",
               marks_rows     ? marked_zones_text
               : only != NULL ? one_zone_text
                              : zones_text);

    if (only != NULL) {
        buffer_put(statement, " WHERE d.name = ");
        my_put_name(statement, my_of(db), only->octets);
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
    MYSQL_RES *rows = client_mysql_rows(my_client(db));
    MYSQL_ROW row;
    dns_status_t status = DNS_OK;

    if (rows == NULL) {
        return database_fail(db, DNS_ESTORE, "the statement gives no rows");
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

    return status;
}

dns_status_t
my_list(store_database_t *db, const dns_name_t *only, store_listing_t *out)
{
    buffer_t statement = {0};

    if (db->options->layout.zones != NULL) {
        buffer_put(&statement, "%s", db->options->layout.zones);
    } else {
        put_listing(db, &statement, only);
    }

    dns_status_t status = my_run(db, &statement);

    buffer_free(&statement);
    return status == DNS_OK ? take_zones(db, only, out) : status;
}

static dns_status_t
add_json_row(database_taking_t *taking, const store_row_t *row)
{
    const store_json_t json = {.text = row->content,
                               .size = row->content_size,
                               .serial = 1,
                               .visit = database_take_record,
                               .data = taking};

    /* database_take_record() was told of what is wrong. */
    (void) !store_records_from_json_row(taking->db->records, row, &json);
    return taking->status;
}

/* A row that is not served and is not to be lost: id is the sixth column. */
static void
skip_row(store_database_t *db, const MYSQL_RES *rows, MYSQL_ROW row,
         const char *reason)
{
    my_link_t *link = db->link;
    char what[DNS_NAME_TEXT_SIZE + DNS_MNEMONIC_SIZE];

    snprintf(what, sizeof(what), "%s %s", row[0] == NULL ? "NULL" : row[0],
             row[1] == NULL ? "NULL" : row[1]);
    database_leave_out(db, what, reason);

    if (!db->reads_parked && mysql_num_fields((MYSQL_RES *) rows) > 5 &&
        row[5] != NULL) {
        buffer_put(&link->unread, ", %s", row[5]);
    }
}

/* Nobody asks for such a row: look-ups ask for names without it, the root's
   alone is ".". */
static bool
has_final_dot(const char *name, size_t size)
{
    return size > 1 && name[size - 1] == '.';
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
    const char *reason = "cannot be read";

    if (row[0] == NULL || has_final_dot(row[0], sizes[0]) ||
        dns_name_from_text(name, row[0], sizes[0], NULL, NULL) != DNS_OK ||
        !dns_name_is_within(name, db->apex.octets)) {
        skip_row(db, rows, row, "not a name of the zone");
        return DNS_OK;
    }

    database_taking_t taking = {db, out, name, DNS_OK};

    if (db->options->layout.content_is_json) {
        return add_json_row(&taking, &text);
    }

    dns_status_t status =
        store_records_from_row(db->records, &text, &record, &reason);

    if (status != DNS_OK) {
        if (status != DNS_ENOTFOUND) {
            skip_row(db, rows, row, reason);
        }
        return DNS_OK;
    }

    if (db->reads_parked && strcmp(row[5], "0") != 0) {
        record.type = (uint16_t) strtoul(row[5], NULL, 10);
    }

    const uint64_t skipped = db->skipped;

    database_take_record(&taking, &record, NULL);

    if (db->skipped > skipped) {
        db->skipped = skipped;
        skip_row(db, rows, row, "too many records at one name");
    }

    return taking.status;
}

dns_status_t
my_take_rows(store_database_t *db, store_nodes_t *out)
{
    MYSQL_RES *rows = client_mysql_rows(my_client(db));
    MYSQL_ROW row = NULL;
    dns_status_t status = DNS_OK;

    if (mysql_num_fields(rows) < 4) {
        (void) my_walk_end(db, DNS_OK);
        return database_fail(db, DNS_ESTORE,
                             "the statement has fewer than four columns");
    }

    do {
        status = my_walk_next(db, &row);

        if (status == DNS_OK && row != NULL) {
            status = add_row(db, rows, row, out);
        }
    } while (status == DNS_OK && row != NULL);

    return my_walk_end(db, status);
}

/* The zone's number; DNS_ENOTFOUND: there is none. */
dns_status_t
my_find_zone(store_database_t *db, const dns_name_t *apex, const char *lock)
{
    buffer_t statement = {0};

    db->apex = *apex;
    buffer_put(&statement, "SELECT id FROM domains WHERE name = ");
    my_put_name(&statement, my_of(db), apex->octets);
    buffer_put(&statement, "%s", lock);

    dns_status_t status = my_run(db, &statement);

    buffer_free(&statement);

    if (status != DNS_OK) {
        return status;
    }

    MYSQL_RES *rows = client_mysql_rows(my_client(db));
    MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);

    if (rows == NULL) {
        return database_fail(db, DNS_ESTORE, "the statement gives no rows");
    }

    if (row == NULL || row[0] == NULL) {
        return DNS_ENOTFOUND;
    }

    db->zone_id = (uint32_t) strtoul(row[0], NULL, 10);
    return DNS_OK;
}

const char my_rows_text[] =
    "SELECT name, type, ttl, content, prio, id FROM records WHERE disabled = 0"
    " AND type IS NOT NULL AND domain_id = ";

static dns_status_t
find(store_database_t *db, const dns_name_t *apex)
{
    db->apex = *apex;
    return db->options->layout.zones != NULL ? DNS_OK
                                             : my_find_zone(db, apex, "");
}

enum { PARKED_NAMES_MAX = 500 }; /* in one statement */

/* The owners of an edit's changes, if there are not too many for a statement.
 */
static void
put_owners(store_database_t *db, buffer_t *out, const store_edit_t *only)
{
    size_t count = 0;
    size_t end;

    for (size_t i = 0; i < only->change_count; i = end) {
        end = store_edit_group_end(only, i);
        count++;
    }

    if (only->replaces || count == 0 || count > PARKED_NAMES_MAX) {
        return;
    }

    for (size_t i = 0; i < only->change_count; i = end) {
        uint8_t name[DNS_NAME_MAX];

        end = store_edit_group_end(only, i);
        store_edit_owner(only, &only->changes[i], name);
        buffer_put(out, i == 0 ? " AND name IN (" : ", ");
        my_put_name(out, my_of(db), name);
    }

    buffer_put(out, ")");
}

/* Rows that PowerDNS does not serve, or serves in its own way; an ALIAS is read
   as the CNAME that it is like. */
static dns_status_t
my_read_parked(store_database_t *db, const store_edit_t *only,
               store_nodes_t *out)
{
    buffer_t statement = {0};

    if (db->options->layout.zones != NULL) {
        return DNS_OK;
    }

    buffer_put(&statement,
               "SELECT name, IF(type = 'ALIAS', 'CNAME', type), ttl, content,"
               " prio, IF(type = 'ALIAS', IF(disabled, %d, %d), 0) FROM records"
               " WHERE (disabled <> 0 OR type = 'ALIAS') AND type IS NOT NULL"
               " AND domain_id = %u",
               STORE_TYPE_DISABLED_ALIAS, STORE_TYPE_ALIAS, db->zone_id);

    if (only != NULL) {
        put_owners(db, &statement, only);
    }

    dns_status_t status = my_walk(db, &statement);

    buffer_free(&statement);
    db->reads_parked = true;
    status = status == DNS_OK ? my_take_rows(db, out) : status;
    db->reads_parked = false;
    return status;
}

void
my_put_own(buffer_t *out, MYSQL *mysql, const char *query, const uint8_t *apex)
{
    const char *parameter = strchr(query, '?');

    buffer_put_octets(out, query, (size_t) (parameter - query));
    my_put_name(out, mysql, apex);
    buffer_put(out, "%s", parameter + 1);
}

static dns_status_t
ask_own(store_database_t *db, const dns_name_t *apex)
{
    const char *query = db->options->layout.records;
    buffer_t statement = {0};

    if (query == NULL || strchr(query, '?') == NULL) {
        return database_fail(db, DNS_ESTORE,
                             "the store has no query_records, which lists a "
                             "zone");
    }

    my_put_own(&statement, my_of(db), query, apex->octets);

    dns_status_t status = my_walk(db, &statement);

    buffer_free(&statement);
    return status;
}

static dns_status_t
ask_records(store_database_t *db, const dns_name_t *name)
{
    buffer_t statement = {0};

    buffer_put(&statement, "%s%u", my_rows_text, db->zone_id);

    if (name != NULL) {
        buffer_put(&statement, " AND name = ");
        my_put_name(&statement, my_of(db), name->octets);
    }

    dns_status_t status = my_walk(db, &statement);

    buffer_free(&statement);
    return status;
}

/* In one statement: the zone is whole. */
static dns_status_t
read_zone(store_database_t *db, const dns_name_t *apex, const dns_name_t *name,
          store_nodes_t *out)
{
    dns_status_t status;

    if (db->options->layout.zones != NULL) {
        db->apex = *apex;
        status = ask_own(db, apex);
    } else {
        status = my_find_zone(db, apex, "");

        if (status == DNS_OK) {
            status = ask_records(db, name);
        }
    }

    if (status == DNS_OK) {
        status = my_take_rows(db, out);
    }

    return status == DNS_OK && db->options->layout.zones != NULL &&
                   out->count == 0
               ? DNS_ENOTFOUND
               : status;
}

const database_driver_t database_mysql = {
    .connect = connect_to,
    .close = close_link,
    .list = my_list,
    .find = find,
    .read = read_zone,
    .begin = my_begin,
    .read_names = my_read_names,
    .create = my_create,
    .clear = my_clear,
    .drop = my_drop,
    .write = my_write_node,
    .read_parked = my_read_parked,
    .write_parked = my_write_parked,
    .read_beside = my_read_beside,
    .write_beside = my_write_beside,
    .commit = my_commit,
    .abort = my_abort,
};
