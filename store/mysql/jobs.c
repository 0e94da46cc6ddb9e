#include "store/mysql.h"

#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/mysql/database.h"
#include "store/mysql/jobs.h"
#include "store/private/records.h"

enum { JSON_SERIAL = 1 }; /* of zones whose SOA has none */

static const char no_memory[] = "no memory for a statement";

/* PowerDNS has no zone whose SOA is missing or disabled: that is how its users
   switch one off. */
static const char served_zones_text[] =
    "SELECT d.name, r.content, d.id FROM domains d JOIN records r"
    " ON r.domain_id = d.id AND r.type = 'SOA' AND r.name = d.name"
    " AND r.disabled = 0";

static const char *
zones_text(const store_mysql_t *db)
{
    const store_mysql_layout_t *layout = &db->options->layout;

    return layout->zones != NULL ? layout->zones : served_zones_text;
}

client_mysql_t *
store_mysql_client(const store_options_t *o, const char *host, uint16_t port,
                   unsigned timeout_ms)
{
    const client_mysql_options_t options = {
        .address = host,
        .unix_socket = o->unix_socket,
        .user = o->user,
        .password = o->password,
        .database = o->database,
        .ca_file = o->ca_file,
        .server_public_key = o->server_public_key,
        .tls = o->ca_file != NULL ? CLIENT_MYSQL_VERIFIED : CLIENT_MYSQL_PLAIN,
        .lock_wait_s = timeout_ms / 1000 + 1,
        .port = port,
    };

    return client_mysql_new(&options);
}

dns_status_t
store_mysql_new(store_mysql_t **out, store_options_t *options,
                const store_host_t *host, store_records_t *records)
{
    store_mysql_t *db = calloc(1, sizeof(*db));

    if (db == NULL) {
        return DNS_ENOMEM;
    }

    db->options = store_options_acquire(options);
    db->has_reversed_names = true; /* until the database says no */
    db->records = records;
    db->names = calloc(STORE_MYSQL_NAMES_MAX, sizeof(*db->names));
    db->parameters =
        calloc(3 * (size_t) STORE_MYSQL_NAMES_MAX, sizeof(*db->parameters));
    db->client =
        store_mysql_client(options, host != NULL ? host->address : NULL,
                           host != NULL ? host->port : 0, options->timeout_ms);

    if (db->names == NULL || db->parameters == NULL || db->client == NULL) {
        store_mysql_free(db);
        return DNS_ENOMEM;
    }

    *out = db;
    return DNS_OK;
}

void
store_mysql_free(store_mysql_t *db)
{
    if (db == NULL) {
        return;
    }

    client_mysql_free(db->client);

    /* Without a connection they send nothing. */
    for (unsigned i = 0; i < MYSQL_STATEMENTS; i++) {
        if (db->statements[i] != NULL) {
            mysql_stmt_close(db->statements[i]);
        }
    }

    store_options_release(db->options);
    free(db->text);
    free(db->names);
    free(db->parameters);
    free(db);
}

void
store_mysql_on_skip(store_mysql_t *db, store_mysql_skip_t skip, void *data)
{
    db->skip = skip;
    db->skip_data = data;
}

dns_status_t
store_mysql_status(const store_mysql_t *db)
{
    return db->status;
}

const char *
store_mysql_error(const store_mysql_t *db)
{
    return db->error;
}

bool
store_mysql_is_gone(const store_mysql_t *db)
{
    return db->is_gone;
}

/* Ends the job. */
static void
store_mysql_end(store_mysql_t *db, dns_status_t status, const char *error)
{
    db->job = MYSQL_IDLE;
    db->status = status;
    snprintf(db->error, sizeof(db->error), "%s", error);
}

static void
fail(store_mysql_t *db)
{
    db->is_gone = client_mysql_is_gone(db->client);
    store_mysql_end(db, DNS_ESTORE, client_mysql_error(db->client));
}

static void
begin(store_mysql_t *db, mysql_job_t job, uint64_t now_ms)
{
    db->job = job;
    db->is_gone = false;
    db->status = DNS_OK;
    db->error[0] = '\0';
    db->deadline_ms = now_ms + db->options->timeout_ms;
}

void
store_mysql_begin_connect(store_mysql_t *db, uint64_t now_ms)
{
    begin(db, MYSQL_CONNECTING, now_ms);
    client_mysql_begin_connect(db->client, db->deadline_ms);
}

void
store_mysql_begin_zones(store_mysql_t *db, dns_zone_list_t *zones,
                        uint64_t now_ms)
{
    const char *text = zones_text(db);

    begin(db, MYSQL_LISTING_ZONES, now_ms);
    db->zones = zones;
    client_mysql_begin_query(db->client, text, strlen(text), db->deadline_ms);
}

static void
put_owners_text(const store_mysql_t *db, uint32_t zone_id,
                const dns_name_t *apex, buffer_t *out)
{
    if (db->options->layout.owners != NULL) {
        my_put_own(out, client_mysql_link(db->client),
                   db->options->layout.owners, apex->octets);
    } else {
        buffer_put(out,
                   "SELECT DISTINCT name FROM records WHERE domain_id = %u AND"
                   " disabled = 0 AND type IS NOT NULL LIMIT %d",
                   zone_id, STORE_MYSQL_OWNERS_MAX + 1);
    }
}

void
store_mysql_begin_owners(store_mysql_t *db, const store_mysql_zone_t *zone,
                         dns_ancestors_t *owners, uint64_t now_ms)
{
    buffer_t statement = {0};

    begin(db, MYSQL_LISTING_OWNERS, now_ms);
    db->owners = owners;

    if (db->options->layout.zones != NULL &&
        db->options->layout.owners == NULL) {
        store_mysql_end(db, DNS_ENOTFOUND, "");
        return;
    }

    put_owners_text(db, zone->id, zone->apex, &statement);
    free(db->text);
    db->text = statement.octets;

    if (statement.failed) {
        store_mysql_end(db, DNS_ENOMEM, no_memory);
    } else {
        client_mysql_begin_query(db->client, db->text, strlen(db->text),
                                 db->deadline_ms);
    }
}

static void
begin_execute(store_mysql_t *db)
{
    MYSQL_STMT *statement = db->statements[db->statement];

    db->job = MYSQL_EXECUTING;

    if (mysql_stmt_bind_param(statement, db->parameters) != 0) {
        store_mysql_end(db, DNS_ESTORE, mysql_stmt_error(statement));
    } else {
        client_mysql_begin_execute(db->client, statement, db->deadline_ms);
    }
}

static void
begin_prepare(store_mysql_t *db)
{
    MYSQL_STMT **statement = &db->statements[db->statement];

    if (*statement == NULL) {
        *statement = mysql_stmt_init(client_mysql_link(db->client));
    }

    free(db->text);
    db->text = store_mysql_fetch_text(db, db->statement);
    db->job = MYSQL_PREPARING;

    if (*statement == NULL || db->text == NULL) {
        store_mysql_end(db, DNS_ENOMEM, no_memory);
    } else {
        client_mysql_begin_prepare(db->client, *statement, db->text,
                                   db->deadline_ms);
    }
}

/* The next statement of the fetch; false: there is none. */
static bool
begin_statement(store_mysql_t *db, bool below)
{
    dns_status_t status = store_mysql_fill(db, below);

    if (status == DNS_ENOTFOUND) {
        return false;
    }

    if (status != DNS_OK) {
        store_mysql_end(db, status, "too many names");
        return true;
    }

    if (db->is_prepared[db->statement]) {
        begin_execute(db);
    } else {
        begin_prepare(db);
    }

    return true;
}

void
store_mysql_begin_fetch(store_mysql_t *db, dns_fetched_t *const *sets,
                        unsigned count, uint64_t now_ms)
{
    begin(db, MYSQL_EXECUTING, now_ms);
    memcpy(db->sets, sets, count * sizeof(dns_fetched_t *));
    db->set_count = count;

    if (!begin_statement(db, false) && !begin_statement(db, true)) {
        store_mysql_end(db, DNS_OK, "");
    }
}

static void
finish_listing(store_mysql_t *db)
{
    MYSQL_RES *rows = client_mysql_rows(db->client);

    if (rows == NULL) {
        store_mysql_end(db, DNS_ESTORE, "the statement lists nothing");
        return;
    }

    dns_status_t status = db->job == MYSQL_LISTING_ZONES
                              ? store_mysql_read_zones(db, rows)
                              : store_mysql_read_owners(db, rows);

    client_mysql_drop_rows(db->client);
    store_mysql_end(db, status, dns_status_text(status));
}

/* All rows of the fetch are there. */
static dns_status_t
settle(store_mysql_t *db)
{
    dns_status_t status = DNS_OK;

    for (unsigned i = 0; i < db->set_count && status == DNS_OK; i++) {
        if (db->options->layout.content_is_json) {
            status = records_put_soa(db->sets[i], JSON_SERIAL);
        }

        dns_fetched_settle(db->sets[i]);
    }

    return status;
}

static void
finish_fetch(store_mysql_t *db)
{
    dns_status_t status = store_mysql_read_rows(db);

    mysql_stmt_free_result(db->statements[db->statement]);

    if (status == DNS_OK && !store_mysql_is_below(db->statement) &&
        begin_statement(db, true)) {
        return;
    }

    if (status == DNS_OK) {
        status = settle(db);
    }

    if (db->error[0] != '\0') { /* it is told already */
        db->job = MYSQL_IDLE;
        db->status = status;
    } else {
        store_mysql_end(db, status, dns_status_text(status));
    }
}

/* libmariadb takes as many parameters as the server says. */
static bool
has_our_parameters(const store_mysql_t *db)
{
    const unsigned names = store_mysql_statement_names(db->statement);
    const unsigned each = !store_mysql_is_below(db->statement) ? 1
                          : db->options->layout.zones == NULL  ? 3
                                                               : 2;

    return mysql_stmt_param_count(db->statements[db->statement]) ==
           names * each;
}

static void
finish_prepare(store_mysql_t *db)
{
    if (!has_our_parameters(db)) {
        db->is_gone = true; /* it does not speak MySQL */
        store_mysql_end(db, DNS_ESTORE,
                        "the server tells another number of parameters than "
                        "the statement has");
        return;
    }

    db->is_prepared[db->statement] = true;
    begin_execute(db);
}

/* A table without the column of reversed names is asked by its names. */
static void
fail_prepare(store_mysql_t *db)
{
    const bool lacks_column =
        client_mysql_code(db->client) == ER_BAD_FIELD_ERROR;

    if (lacks_column && db->has_reversed_names &&
        store_mysql_is_below(db->statement)) {
        db->has_reversed_names = false;

        if (begin_statement(db, true)) {
            return;
        }
    }

    fail(db);
}

/* The client's call is over: what follows. */
static void
advance(store_mysql_t *db, client_step_t step)
{
    if (step == CLIENT_ERROR && db->job == MYSQL_PREPARING) {
        fail_prepare(db);
        return;
    }

    if (step == CLIENT_ERROR) {
        fail(db);
        return;
    }

    switch (db->job) {
    case MYSQL_CONNECTING:
        store_mysql_end(db, DNS_OK, "");
        break;
    case MYSQL_LISTING_ZONES:
    case MYSQL_LISTING_OWNERS:
        finish_listing(db);
        break;
    case MYSQL_PREPARING:
        finish_prepare(db);
        break;
    case MYSQL_EXECUTING:
        finish_fetch(db);
        break;
    case MYSQL_IDLE:
        break;
    }
}

void
store_mysql_connect(store_mysql_t *db)
{
    begin(db, MYSQL_CONNECTING, 0);
    advance(db, client_mysql_connect(db->client, db->options->timeout_ms));
}

int
store_mysql_socket(const store_mysql_t *db)
{
    return client_mysql_socket(db->client);
}

client_step_t
store_mysql_step(store_mysql_t *db, int ready, uint64_t now_ms,
                 client_wait_t *wait)
{
    while (db->job != MYSQL_IDLE) {
        const client_step_t step =
            client_mysql_step(db->client, ready, now_ms, wait);

        if (step == CLIENT_WAIT) {
            return step;
        }

        ready = 0;
        advance(db, step);
    }

    return db->status == DNS_OK ? CLIENT_DONE : CLIENT_ERROR;
}
