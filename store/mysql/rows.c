#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dns/siphash.h"
#include "store/buffer.h"
#include "store/mysql/jobs.h"

/* The statements of a fetch in PowerDNS's layout. */
static const char names_text[] =
    "SELECT name, type, ttl, content, prio, id, domain_id FROM records"
    " WHERE disabled = 0 AND type IS NOT NULL AND name IN (?)";
static const char below_text[] =
    "(SELECT ? FROM records WHERE disabled = 0 AND type IS NOT NULL"
    " AND domain_id = ? AND %s LIKE ? LIMIT 1)";

unsigned
store_mysql_statement_names(unsigned statement)
{
    static const unsigned names[MYSQL_SIZES] = {
        4, 8, 16, 32, 64, 128, STORE_MYSQL_NAMES_MAX};

    return names[statement % MYSQL_SIZES];
}

/* "(?)" becomes a list of count parameters. */
static void
write_names(buffer_t *out, const char *query, unsigned count)
{
    const char *list = strstr(query, "(?)");

    if (list == NULL) { /* the configuration has checked it */
        return;
    }

    buffer_put_octets(out, query, (size_t) (list - query) + 2);

    for (unsigned i = 1; i < count; i++) {
        buffer_put_octets(out, ",?", 2);
    }

    buffer_put(out, "%s LIMIT %d", list + 2, STORE_MYSQL_ROWS_MAX + 1);
}

/* For each name one row with it if something lies below it. */
static void
write_below(const store_mysql_t *db, buffer_t *out, unsigned count)
{
    const store_mysql_layout_t *layout = &db->options->layout;

    for (unsigned i = 0; i < count; i++) {
        buffer_put(out, "%s", i == 0 ? "" : " UNION ALL ");

        if (layout->zones != NULL) {
            buffer_put(out, "(SELECT ? FROM (%s) AS q LIMIT 1)", layout->below);
        } else {
            buffer_put(out, below_text,
                       db->has_reversed_names ? "reversed_name" : "name");
        }
    }
}

char *
store_mysql_fetch_text(const store_mysql_t *db, unsigned statement)
{
    const store_mysql_layout_t *layout = &db->options->layout;
    const unsigned count = store_mysql_statement_names(statement);
    buffer_t out = {0};

    if (store_mysql_is_below(statement)) {
        write_below(db, &out, count);
    } else {
        write_names(&out, layout->zones != NULL ? layout->names : names_text,
                    count);
    }

    if (out.failed) {
        buffer_free(&out);
    }

    return out.octets;
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

    if (byte == '%' || byte == '_' || byte == '\\') {
        out[size++] = '\\';
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

/* A name's parameters: it; for what is below, also its zone where the layout
   has one, and the pattern. */
static void
bind_name(store_mysql_t *db, unsigned i, bool below, mysql_name_t *name)
{
    const bool has_zone = db->options->layout.zones == NULL;

    if (!below) {
        bind_text(&db->parameters[i], name->name, &name->name_size);
        return;
    }

    MYSQL_BIND *bind = db->parameters + (has_zone ? 3u : 2u) * (size_t) i;

    bind_text(bind++, name->name, &name->name_size);

    if (has_zone) {
        *bind++ = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_LONG,
                               .buffer = &name->zone_id};
    }

    bind_text(bind, name->pattern, &name->pattern_size);
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
        mysql_name_t *name = &db->names[below ? i : 0];

        if (!below) { /* the same once more */
            bind_name(db, i, below, name);
            continue;
        }

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
        name->pattern_size = put_pattern(name->pattern, name,
                                         db->has_reversed_names &&
                                             db->options->layout.zones == NULL);
    }
}

static bool
is_same_name(const mysql_name_t *a, const mysql_name_t *b)
{
    return a->zone_id == b->zone_id && a->name_size == b->name_size &&
           memcmp(a->name, b->name, a->name_size) == 0;
}

/* Several queries want the same ancestors: each name is asked for once.  True:
   the last one is new. */
static bool
take_name(store_mysql_t *db)
{
    static const uint8_t key[DNS_SIPHASH_KEY_SIZE] = {0};
    const mysql_name_t *name = &db->names[db->name_count];
    size_t at = dns_siphash(key, (const uint8_t *) name->name, name->name_size);

    for (;; at++) {
        uint16_t *slot = &db->name_slots[at % MYSQL_NAME_SLOTS];

        if (*slot == 0) {
            *slot = (uint16_t) ++db->name_count;
            return true;
        }

        if (is_same_name(&db->names[*slot - 1], name)) {
            return false;
        }
    }
}

static dns_status_t
fill_from(store_mysql_t *db, const dns_fetched_t *set, bool below)
{
    dns_want_t want;

    for (size_t at = 0; dns_fetched_next_wanted(set, &at, &want);) {
        if (want.below != below) {
            continue;
        }

        if (db->name_count == STORE_MYSQL_NAMES_MAX) {
            return DNS_ELIMIT;
        }

        mysql_name_t *name = &db->names[db->name_count];

        set_name(db, &want, name);

        if (take_name(db)) {
            bind_name(db, db->name_count - 1, below, name);
        }
    }

    return DNS_OK;
}

dns_status_t
store_mysql_fill(store_mysql_t *db, bool below)
{
    dns_status_t status = DNS_OK;

    if (below && db->options->layout.zones != NULL &&
        db->options->layout.below == NULL) {
        return DNS_ENOTFOUND;
    }

    memset(db->name_slots, 0, sizeof(db->name_slots));
    db->name_count = 0;

    for (unsigned i = 0; status == DNS_OK && i < db->set_count; i++) {
        status = fill_from(db, db->sets[i], below);
    }

    if (status != DNS_OK || db->name_count == 0) {
        return status == DNS_OK ? DNS_ENOTFOUND : status;
    }

    db->statement = choose_statement(db->name_count, below);
    pad(db, db->name_count, store_mysql_statement_names(db->statement), below);
    return DNS_OK;
}

static void
skip(store_mysql_t *db, const char *reason)
{
    mysql_row_t *row = &db->row;
    unsigned long size = row->sizes[COLUMN_NAME];

    db->skipped++;

    if (db->skip != NULL) {
        row->name[size < sizeof(row->name) ? size : sizeof(row->name) - 1] = 0;
        db->skip(db->skip_data, row->is_null[COLUMN_ID] ? 0 : row->id,
                 row->name, reason);
    }
}

/* A record of the row that is being read, for each set that wants it. */
static dns_status_t
add_record(store_mysql_t *db, const store_record_t *record)
{
    const dns_rrset_t set = {.type = record->type, .ttl = record->ttl};
    bool is_full = false;

    for (unsigned i = 0; i < db->set_count; i++) {
        dns_status_t status =
            dns_fetched_add(db->sets[i], (uint32_t) db->row.zone_id,
                            db->row_name, &set, &record->rdata);

        is_full = is_full || status == DNS_ELIMIT;

        if (status == DNS_ENOMEM) {
            return status;
        }
    }

    if (is_full) {
        skip(db, "too many records at one name");
    }

    return DNS_OK;
}

static void
mark(store_mysql_t *db, int32_t zone_id)
{
    for (unsigned i = 0; i < db->set_count; i++) {
        dns_fetched_mark(db->sets[i], (uint32_t) zone_id, db->row_name);
    }
}

static void
visit(void *data, const store_record_t *record, const char *reason)
{
    store_mysql_t *db = data;

    if (record == NULL) {
        skip(db, reason);
    } else if (add_record(db, record) != DNS_OK) {
        db->row_status = DNS_ENOMEM;
    }
}

static dns_status_t
read_record(store_mysql_t *db)
{
    const mysql_row_t *row = &db->row;
    const store_row_t text = {
        .type = row->is_null[COLUMN_TYPE] ? NULL : row->type,
        .type_size = row->sizes[COLUMN_TYPE],
        .content = row->is_null[COLUMN_CONTENT] ? NULL : row->content,
        .content_size = row->sizes[COLUMN_CONTENT],
        .has_ttl = !row->is_null[COLUMN_TTL],
        .ttl = row->ttl,
        .has_prio = !row->is_null[COLUMN_PRIO],
        .prio = row->prio,
    };
    store_record_t record;
    const char *reason = NULL;

    /* A name whose only row cannot be read is there all the same. */
    mark(db, row->zone_id);

    if (db->options->layout.content_is_json) {
        const store_json_t json = {.text = row->content,
                                   .size = row->sizes[COLUMN_CONTENT],
                                   .serial = 1,
                                   .visit = visit,
                                   .data = db};

        db->row_status = DNS_OK;
        (void) !store_records_from_json_row(db->records, &text, &json);
        return db->row_status;
    }

    dns_status_t status =
        store_records_from_row(db->records, &text, &record, &reason);

    if (status == DNS_ENOTFOUND) {
        return DNS_OK;
    }

    if (status != DNS_OK) {
        skip(db, reason);
        return DNS_OK;
    }

    return add_record(db, &record);
}

static bool
is_asked(const mysql_name_t *name, const mysql_row_t *row)
{
    return name->name_size == row->sizes[COLUMN_NAME] &&
           strncasecmp(name->name, row->name, name->name_size) == 0;
}

/* Where the row has no zone, it is of each zone whose name was asked for. */
static dns_status_t
read_row_of_zones(store_mysql_t *db)
{
    mysql_row_t *row = &db->row;
    dns_status_t status = DNS_OK;

    if (!row->is_null[COLUMN_ZONE]) {
        return read_record(db);
    }

    if (db->options->layout.zones == NULL) {
        return DNS_OK; /* PowerDNS does not serve it either */
    }

    for (unsigned i = 0; status == DNS_OK && i < db->name_count; i++) {
        if (is_asked(&db->names[i], row)) {
            row->zone_id = db->names[i].zone_id;
            status = read_record(db);
        }
    }

    return status;
}

/* Something is below the name. */
static dns_status_t
read_mark(store_mysql_t *db)
{
    for (unsigned i = 0; i < db->name_count; i++) {
        if (is_asked(&db->names[i], &db->row)) {
            mark(db, db->names[i].zone_id);
        }
    }

    return DNS_OK;
}

static dns_status_t
read_row(store_mysql_t *db)
{
    const mysql_row_t *row = &db->row;

    if (row->is_null[COLUMN_NAME]) {
        return DNS_OK;
    }

    if (row->sizes[COLUMN_NAME] > sizeof(row->name) ||
        row->sizes[COLUMN_TYPE] > sizeof(row->type) ||
        row->sizes[COLUMN_CONTENT] > sizeof(row->content)) {
        skip(db, "too long");
        return DNS_OK;
    }

    if (dns_name_from_text(db->row_name, row->name, row->sizes[COLUMN_NAME],
                           NULL, NULL) != DNS_OK) {
        skip(db, "a name");
        return DNS_OK;
    }

    return store_mysql_is_below(db->statement) ? read_mark(db)
                                               : read_row_of_zones(db);
}

/* Columns that the statement does not have are NULL. */
static dns_status_t
check_columns(store_mysql_t *db, const MYSQL_STMT *statement)
{
    const unsigned columns = statement->field_count;
    const unsigned needed =
        store_mysql_is_below(db->statement) ? 1 : COLUMNS_MIN;

    if (columns < needed || columns > MYSQL_COLUMNS) {
        snprintf(db->error, sizeof(db->error),
                 "the statement has %u columns instead of %u to %u", columns,
                 needed, (unsigned) MYSQL_COLUMNS);
        return DNS_ESTORE;
    }

    return DNS_OK;
}

dns_status_t
store_mysql_read_rows(store_mysql_t *db)
{
    const MYSQL_STMT *statement = db->statements[db->statement];

    if (statement->result.rows > STORE_MYSQL_ROWS_MAX) {
        return DNS_ELIMIT;
    }

    dns_status_t status = check_columns(db, statement);

    /* They are stored: nothing waits. */
    for (const MYSQL_ROWS *row = statement->result.data;
         row != NULL && status == DNS_OK; row = row->next) {
        if (!mysql_row_take(&db->row, statement, row)) {
            snprintf(db->error, sizeof(db->error),
                     "a row that is not as its columns were told");
            return DNS_ESTORE;
        }

        status = read_row(db);
    }

    return status;
}

/* The serial and the rest of the SOA tell one state of a zone from another. */
static uint64_t
generation_of(const char *soa, size_t size)
{
    static const uint8_t key[DNS_SIPHASH_KEY_SIZE] = {0};

    return soa == NULL ? 0 : dns_siphash(key, (const uint8_t *) soa, size);
}

static bool
has_column(MYSQL_RES *rows, MYSQL_ROW row, unsigned column)
{
    return mysql_num_fields(rows) > column && row[column] != NULL;
}

dns_status_t
store_mysql_read_zones(store_mysql_t *db, MYSQL_RES *rows)
{
    MYSQL_ROW row;
    uint32_t count = 0;

    while ((row = mysql_fetch_row(rows)) != NULL) {
        const unsigned long *sizes = mysql_fetch_lengths(rows);
        uint8_t name[DNS_NAME_MAX];
        dns_zone_t zone = {.id = ++count};

        if (row[0] == NULL ||
            dns_name_from_text(name, row[0], sizes[0], NULL, NULL) != DNS_OK) {
            db->skipped++;
            continue;
        }

        dns_name_set(&zone.apex, name);

        if (has_column(rows, row, 1)) {
            zone.generation = generation_of(row[1], sizes[1]);
        }

        if (has_column(rows, row, 2)) {
            zone.id = (uint32_t) strtoul(row[2], NULL, 10);
        }

        dns_status_t status = dns_zone_list_add(db->zones, &zone);

        if (status != DNS_OK && status != DNS_EEXIST) {
            return status;
        }
    }

    return DNS_OK;
}

dns_status_t
store_mysql_read_owners(store_mysql_t *db, MYSQL_RES *rows)
{
    MYSQL_ROW row;

    if (mysql_num_rows(rows) > STORE_MYSQL_OWNERS_MAX) {
        return DNS_ELIMIT;
    }

    while ((row = mysql_fetch_row(rows)) != NULL) {
        const unsigned long *sizes = mysql_fetch_lengths(rows);
        uint8_t wire[DNS_NAME_MAX];
        dns_name_t name;

        if (row[0] == NULL ||
            dns_name_from_text(wire, row[0], sizes[0], NULL, NULL) != DNS_OK) {
            continue;
        }

        dns_name_set(&name, wire);

        if (dns_ancestors_add(db->owners, &name) != DNS_OK) {
            return DNS_ENOMEM;
        }
    }

    return DNS_OK;
}
