/* What PowerDNS's tables have of a zone beside its records: columns of domains,
   domainmetadata, comments; as JSON (store/database.h). */

#include <jansson.h>
#include <mysqld_error.h>
#include <stdlib.h>
#include <string.h>

#include "store/mysql/database.h"

/* Columns of domains that are told and may be set. */
static const char *const columns[] = {"type", "account", "master", "catalog"};

enum { COLUMN_COUNT = sizeof(columns) / sizeof(columns[0]) };

/* A row as an object by its columns' names; NULL is left out. */
static json_t *
object_of(MYSQL_RES *rows, MYSQL_ROW row)
{
    const MYSQL_FIELD *fields = mysql_fetch_fields(rows);
    const unsigned long *sizes = mysql_fetch_lengths(rows);
    const unsigned count = mysql_num_fields(rows);
    json_t *object = json_object();

    for (unsigned i = 0; i < count; i++) {
        if (row[i] != NULL) {
            json_object_set_new(object, fields[i].name,
                                json_stringn(row[i], sizes[i]));
        }
    }

    return object;
}

/* A table that a small layout does without has no rows. */
static dns_status_t
read_table(store_database_t *db, const buffer_t *statement, json_t *out)
{
    dns_status_t status = my_run(db, statement);

    if (status != DNS_OK) {
        return client_mysql_code(my_client(db)) == ER_NO_SUCH_TABLE ? DNS_OK
                                                                    : status;
    }

    MYSQL_RES *rows = client_mysql_rows(my_client(db));
    MYSQL_ROW row;

    if (rows == NULL) {
        return database_fail(db, DNS_ESTORE, "the statement gives no rows");
    }

    while ((row = mysql_fetch_row(rows)) != NULL) {
        json_array_append_new(out, object_of(rows, row));
    }

    return DNS_OK;
}

static dns_status_t
read_into(store_database_t *db, json_t *root, const char *key,
          const char *query, bool is_of_zone)
{
    json_t *rows = json_array();
    buffer_t statement = {0};

    json_object_set_new(root, key, rows);

    if (is_of_zone) {
        buffer_put(&statement, "%s%u ORDER BY id", query, db->zone_id);
    } else {
        buffer_put(&statement, "%s", query);
    }

    dns_status_t status = read_table(db, &statement, rows);

    buffer_free(&statement);
    return status;
}

static dns_status_t
read_zone(store_database_t *db, const dns_name_t *apex, json_t *root)
{
    dns_status_t status = my_find_zone(db, apex, "");

    /* By "*" a layout of an older version is read as well. */
    if (status == DNS_OK) {
        status = read_into(db, root, "domains",
                           "SELECT * FROM domains WHERE id = ", true);
    }

    if (status == DNS_OK) {
        status = read_into(db, root, "metadata",
                           "SELECT kind, content FROM domainmetadata WHERE"
                           " domain_id = ",
                           true);
    }

    return status == DNS_OK
               ? read_into(db, root, "comments",
                           "SELECT name, type, modified_at, account, comment"
                           " FROM comments WHERE domain_id = ",
                           true)
               : status;
}

dns_status_t
my_read_beside(store_database_t *db, const dns_name_t *apex, char **out)
{
    json_t *root = json_object();
    dns_status_t status =
        root == NULL ? DNS_ENOMEM
        : apex == NULL
            ? read_into(db, root, "domains", "SELECT * FROM domains", false)
            : read_zone(db, apex, root);

    if (status == DNS_OK) {
        *out = json_dumps(root, JSON_COMPACT);
        status = *out == NULL ? DNS_ENOMEM : DNS_OK;
    }

    json_decref(root);
    return status;
}

static void
put_text(store_database_t *db, buffer_t *out, const json_t *text)
{
    if (json_is_string(text)) {
        my_put_quoted(out, my_of(db), json_string_value(text),
                      json_string_length(text));
    } else if (json_is_integer(text)) {
        buffer_put(out, "%lld", (long long) json_integer_value(text));
    } else {
        buffer_put(out, "NULL");
    }
}

static dns_status_t
run_and_clear(store_database_t *db, buffer_t *statement)
{
    dns_status_t status = my_run(db, statement);

    buffer_clear(statement);
    return status;
}

static dns_status_t
write_columns(store_database_t *db, const json_t *domain, buffer_t *statement)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        const json_t *value = json_object_get(domain, columns[i]);

        if (value != NULL) {
            buffer_put(statement, "%s%s = ",
                       statement->size == 0 ? "UPDATE domains SET " : ", ",
                       columns[i]);
            put_text(db, statement, value);
        }
    }

    if (statement->size == 0) {
        return DNS_OK;
    }

    buffer_put(statement, " WHERE id = %u", db->zone_id);
    return run_and_clear(db, statement);
}

static dns_status_t
write_kind(store_database_t *db, const char *kind, const json_t *values,
           buffer_t *statement)
{
    buffer_put(statement,
               "DELETE FROM domainmetadata WHERE domain_id = %u AND kind = ",
               db->zone_id);
    my_put_quoted(statement, my_of(db), kind, strlen(kind));

    dns_status_t status = run_and_clear(db, statement);

    for (size_t i = 0; status == DNS_OK && i < json_array_size(values); i++) {
        buffer_put(statement,
                   "INSERT INTO domainmetadata (domain_id, kind, content)"
                   " VALUES (%u, ",
                   db->zone_id);
        my_put_quoted(statement, my_of(db), kind, strlen(kind));
        buffer_put(statement, ", ");
        put_text(db, statement, json_array_get(values, i));
        buffer_put(statement, ")");
        status = run_and_clear(db, statement);
    }

    return status;
}

static void
put_comment(store_database_t *db, const json_t *set, const json_t *comment,
            buffer_t *statement)
{
    static const char *const members[] = {"modified_at", "account", "content"};

    buffer_put(statement,
               "INSERT INTO comments (domain_id, name, type, modified_at,"
               " account, comment) VALUES (%u, ",
               db->zone_id);
    put_text(db, statement, json_object_get(set, "name"));
    buffer_put(statement, ", ");
    put_text(db, statement, json_object_get(set, "type"));

    for (size_t i = 0; i < 3; i++) {
        buffer_put(statement, ", ");
        put_text(db, statement, json_object_get(comment, members[i]));
    }

    buffer_put(statement, ")");
}

/* The comments of one record set. */
static dns_status_t
write_comments(store_database_t *db, const json_t *set, buffer_t *statement)
{
    const json_t *comments = json_object_get(set, "comments");

    buffer_put(
        statement,
        "DELETE FROM comments WHERE domain_id = %u AND name = ", db->zone_id);
    put_text(db, statement, json_object_get(set, "name"));
    buffer_put(statement, " AND type = ");
    put_text(db, statement, json_object_get(set, "type"));

    dns_status_t status = run_and_clear(db, statement);

    for (size_t i = 0; status == DNS_OK && i < json_array_size(comments); i++) {
        put_comment(db, set, json_array_get(comments, i), statement);
        status = run_and_clear(db, statement);
    }

    return status;
}

static dns_status_t
write_all(store_database_t *db, json_t *root, buffer_t *statement)
{
    const json_t *sets = json_object_get(root, "comments");
    dns_status_t status =
        write_columns(db, json_object_get(root, "domain"), statement);
    const char *kind;
    json_t *values;

    json_object_foreach(json_object_get(root, "metadata"), kind, values)
    {
        status =
            status == DNS_OK ? write_kind(db, kind, values, statement) : status;
    }

    for (size_t i = 0; status == DNS_OK && i < json_array_size(sets); i++) {
        status = write_comments(db, json_array_get(sets, i), statement);
    }

    return status;
}

dns_status_t
my_write_beside(store_database_t *db, const dns_name_t *apex, const char *json)
{
    json_t *root = json_loads(json, 0, NULL);
    buffer_t statement = {0};

    if (!json_is_object(root)) {
        json_decref(root);
        return database_fail(db, DNS_EMALFORMED, "not a JSON object");
    }

    dns_status_t status = my_run_text(db, "START TRANSACTION");

    if (status == DNS_OK) {
        status = my_find_zone(db, apex, " FOR UPDATE");
    }

    if (status == DNS_OK) {
        status = write_all(db, root, &statement);
    }

    if (status == DNS_OK) {
        status = my_run_text(db, "COMMIT");
    } else if (status != DNS_ESTORE) {
        my_abort(db);
    }

    buffer_free(&statement);
    json_decref(root);
    return status;
}
