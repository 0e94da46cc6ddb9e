#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/siphash.h"
#include "store/private/mysql.h"

/*
 * The statements of a fetch: the rows of all names; and for each name one row
 * with id 0 if something lies below it.
 */
static const char rows_text[] =
    "SELECT domain_id, name, type, content, ttl, prio, id FROM records"
    " WHERE disabled = 0 AND type IS NOT NULL AND name IN (?";
static const char below_text[] =
    "(SELECT domain_id, ?, NULL, NULL, NULL, NULL, 0 FROM records"
    " WHERE disabled = 0 AND type IS NOT NULL AND domain_id = ?"
    " AND %s LIKE ? ESCAPE '|' LIMIT 1)";

unsigned
store_mysql_statement_names(unsigned statement)
{
    static const unsigned names[MYSQL_SIZES] = {4, 8, 24, 96,
                                                STORE_MYSQL_NAMES_MAX};

    return names[statement % MYSQL_SIZES];
}

static void
write_rows(char *text, size_t room, unsigned count)
{
    size_t used = (size_t) snprintf(text, room, "%s", rows_text);

    for (unsigned i = 1; i < count; i++) {
        used += (size_t) snprintf(text + used, room - used, ",?");
    }

    snprintf(text + used, room - used, ") LIMIT %d", STORE_MYSQL_ROWS_MAX + 1);
}

static void
write_below(char *text, size_t room, unsigned count, const char *column)
{
    size_t used = 0;

    for (unsigned i = 0; i < count; i++) {
        used += (size_t) snprintf(text + used, room - used, "%s",
                                  i == 0 ? "" : " UNION ALL ");
        used += (size_t) snprintf(text + used, room - used, below_text, column);
    }
}

char *
store_mysql_fetch_text(const store_mysql_t *db, unsigned statement)
{
    unsigned count = store_mysql_statement_names(statement);
    size_t room = sizeof(rows_text) + count * (sizeof(below_text) + 32u) + 64u;
    char *text = malloc(room);

    if (text == NULL) {
        return NULL;
    }

    if (store_mysql_is_below(statement)) {
        write_below(text, room, count,
                    db->options.has_reversed_names ? "reversed_name" : "name");
    } else {
        write_rows(text, room, count);
    }

    return text;
}

/* The table's names have no final dot; the root is ".". */
static unsigned long
put_name(char *out, const dns_name_t *name)
{
    size_t size = dns_name_to_text(out, name->octets);

    return (unsigned long) (size > 1 ? size - 1 : size);
}

static size_t
put_escaped(char *out, char byte)
{
    size_t size = 0;

    if (byte == '%' || byte == '_' || byte == '|') {
        out[size++] = '|';
    }

    out[size++] = byte;
    return size;
}

/* "%.name", or of a reversed column "eman.%". */
static unsigned long
put_pattern(char *out, const mysql_name_t *name, bool is_reversed)
{
    size_t used = 0;

    if (!is_reversed) {
        memcpy(out, "%.", 2);
        used = 2;
    }

    for (unsigned long i = 0; i < name->name_size; i++) {
        used += put_escaped(
            out + used, name->name[is_reversed ? name->name_size - 1 - i : i]);
    }

    if (is_reversed) {
        memcpy(out + used, ".%", 2);
        used += 2;
    }

    return (unsigned long) used;
}

static void
bind_text(MYSQL_BIND *bind, char *text, unsigned long *size)
{
    *bind = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_STRING,
                         .buffer = text,
                         .buffer_length = *size,
                         .length = size};
}

static void
bind_name(store_mysql_t *db, unsigned i, bool below, mysql_name_t *name)
{
    if (!below) {
        bind_text(&db->parameters[i], name->name, &name->name_size);
        return;
    }

    MYSQL_BIND *three = db->parameters + 3 * (size_t) i;

    bind_text(&three[0], name->name, &name->name_size);
    three[1] =
        (MYSQL_BIND){.buffer_type = MYSQL_TYPE_LONG, .buffer = &name->zone_id};
    bind_text(&three[2], name->pattern, &name->pattern_size);
}

static unsigned
choose_statement(unsigned count, bool below)
{
    unsigned statement = 0;

    while (store_mysql_statement_names(statement) < count) {
        statement++;
    }

    return below ? MYSQL_SIZES + statement : statement;
}

/* Parameters that are left over match nothing. */
static void
pad(store_mysql_t *db, unsigned used, unsigned count, bool below)
{
    for (unsigned i = used; i < count; i++) {
        mysql_name_t *name = &db->names[i];

        name->zone_id = -1;
        name->name_size = 0;
        name->pattern_size = 0;
        bind_name(db, i, below, name);
    }
}

static void
set_name(const store_mysql_t *db, const dns_want_t *want, mysql_name_t *name)
{
    name->name_size = put_name(name->name, want->name);
    name->zone_id = (int32_t) want->zone_id;

    if (want->below) {
        name->pattern_size =
            put_pattern(name->pattern, name, db->options.has_reversed_names);
    }
}

dns_status_t
store_mysql_fill(store_mysql_t *db, bool below)
{
    dns_want_t want;
    unsigned used = 0;

    for (size_t at = 0; dns_fetched_next_wanted(db->set, &at, &want);) {
        if (want.below != below) {
            continue;
        }

        if (used == STORE_MYSQL_NAMES_MAX) {
            return DNS_ELIMIT;
        }

        set_name(db, &want, &db->names[used]);
        bind_name(db, used, below, &db->names[used]);
        used++;
    }

    if (used == 0) {
        return DNS_ENOTFOUND;
    }

    db->statement = choose_statement(used, below);
    pad(db, used, store_mysql_statement_names(db->statement), below);
    return DNS_OK;
}

static void
bind_column(mysql_row_t *row, unsigned column, enum enum_field_types type,
            void *buffer, size_t size)
{
    row->binds[column] = (MYSQL_BIND){.buffer_type = type,
                                      .buffer = buffer,
                                      .buffer_length = (unsigned long) size,
                                      .length = &row->sizes[column],
                                      .is_null = &row->is_null[column]};
}

static void
bind_row(mysql_row_t *row)
{
    bind_column(row, 0, MYSQL_TYPE_LONG, &row->zone_id, sizeof(row->zone_id));
    bind_column(row, 1, MYSQL_TYPE_STRING, row->name, sizeof(row->name));
    bind_column(row, 2, MYSQL_TYPE_STRING, row->type, sizeof(row->type));
    bind_column(row, 3, MYSQL_TYPE_STRING, row->content, sizeof(row->content));
    bind_column(row, 4, MYSQL_TYPE_LONGLONG, &row->ttl, sizeof(row->ttl));
    bind_column(row, 5, MYSQL_TYPE_LONGLONG, &row->prio, sizeof(row->prio));
    bind_column(row, 6, MYSQL_TYPE_LONGLONG, &row->id, sizeof(row->id));
}

static void
skip(store_mysql_t *db, const char *reason)
{
    mysql_row_t *row = &db->row;
    unsigned long size = row->sizes[1];

    db->skipped++;

    if (db->skip != NULL) {
        row->name[size < sizeof(row->name) ? size : sizeof(row->name) - 1] = 0;
        db->skip(db->skip_data, row->id, row->name, reason);
    }
}

static dns_status_t
add_record(store_mysql_t *db, const uint8_t *name)
{
    const mysql_row_t *row = &db->row;
    store_row_t text = {
        .type = row->is_null[2] ? NULL : row->type,
        .type_size = row->sizes[2],
        .content = row->is_null[3] ? NULL : row->content,
        .content_size = row->sizes[3],
        .has_ttl = !row->is_null[4],
        .ttl = row->ttl,
        .has_prio = !row->is_null[5],
        .prio = row->prio,
    };
    store_record_t record;
    const char *reason = NULL;
    dns_status_t status =
        store_records_from_row(db->records, &text, &record, &reason);

    if (status == DNS_ENOTFOUND) {
        return DNS_OK;
    }

    if (status != DNS_OK) {
        skip(db, reason);
        return DNS_OK;
    }

    dns_rrset_t set = {.type = record.type, .ttl = record.ttl};

    status = dns_fetched_add(db->set, (uint32_t) row->zone_id, name, &set,
                             &record.rdata);

    if (status == DNS_ELIMIT) {
        skip(db, "too many records at one name");
        return DNS_OK;
    }

    return status == DNS_ENOMEM ? status : DNS_OK;
}

static dns_status_t
read_row(store_mysql_t *db)
{
    const mysql_row_t *row = &db->row;
    uint8_t name[DNS_NAME_MAX];

    if (row->is_null[0] || row->is_null[1]) {
        return DNS_OK;
    }

    if (row->sizes[1] > sizeof(row->name) ||
        row->sizes[2] > sizeof(row->type) ||
        row->sizes[3] > sizeof(row->content)) {
        skip(db, "too long");
        return DNS_OK;
    }

    if (dns_name_from_text(name, row->name, row->sizes[1], NULL, NULL) !=
        DNS_OK) {
        skip(db, "a name");
        return DNS_OK;
    }

    if (row->id == 0) {
        dns_fetched_mark(db->set, (uint32_t) row->zone_id, name);
        return DNS_OK;
    }

    return add_record(db, name);
}

dns_status_t
store_mysql_read_rows(store_mysql_t *db)
{
    MYSQL_STMT *statement = db->statements[db->statement];

    if (mysql_stmt_num_rows(statement) > STORE_MYSQL_ROWS_MAX) {
        return DNS_ELIMIT;
    }

    bind_row(&db->row);

    if (mysql_stmt_bind_result(statement, db->row.binds) != 0) {
        return DNS_ESTORE;
    }

    for (;;) {
        memset(db->row.sizes, 0, sizeof(db->row.sizes));

        int result = mysql_stmt_fetch(statement); /* stored: does not wait */

        if (result == MYSQL_NO_DATA) {
            return DNS_OK;
        }

        if (result != 0 && result != MYSQL_DATA_TRUNCATED) {
            return DNS_ESTORE;
        }

        dns_status_t status = read_row(db);

        if (status != DNS_OK) {
            return status;
        }
    }
}

/* The serial and the rest of the SOA tell one state of a zone from another. */
static uint64_t
generation_of(const char *soa, size_t size)
{
    static const uint8_t key[DNS_SIPHASH_KEY_SIZE] = {0};

    return soa == NULL ? 0 : dns_siphash(key, (const uint8_t *) soa, size);
}

dns_status_t
store_mysql_read_zones(store_mysql_t *db)
{
    MYSQL_ROW row;

    while ((row = mysql_fetch_row(db->rows)) != NULL) {
        const unsigned long *sizes = mysql_fetch_lengths(db->rows);
        uint8_t name[DNS_NAME_MAX];
        dns_zone_t zone = {0};

        if (row[0] == NULL || row[1] == NULL ||
            dns_name_from_text(name, row[1], sizes[1], NULL, NULL) != DNS_OK) {
            db->skipped++;
            continue;
        }

        dns_name_set(&zone.apex, name);
        zone.id = (uint32_t) strtoul(row[0], NULL, 10);
        zone.generation = generation_of(row[2], sizes[2]);

        dns_status_t status = dns_zone_list_add(db->zones, &zone);

        if (status != DNS_OK && status != DNS_EEXIST) {
            return status;
        }
    }

    return DNS_OK;
}
