#include "store/mysql.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "client/mysql_guard.h"
#include "store/private/mysql.h"
#include "store/private/mysql_database.h"
#include "store/private/records.h"

enum { JSON_SERIAL = 1 }; /* of zones whose SOA has none */

/* The place of a host where there is a Unix socket instead. */
static const store_host_t no_host = {NULL, 0};

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

static uint64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

void
mysql_set_options(MYSQL *mysql, const store_options_t *o, unsigned seconds)
{
    unsigned no = 0;
    my_bool yes = 1;

    /* A server could else ask for any file of ours. */
    mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &no);
    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &seconds);
    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
    mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");

    if (o->server_public_key != NULL) {
        mysql_options(mysql, MYSQL_SERVER_PUBLIC_KEY, o->server_public_key);
    }

    if (o->ca_file != NULL) {
        mysql_ssl_set(mysql, NULL, NULL, o->ca_file, NULL, NULL);
        mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
        mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &yes);
    }
}

static void
set_options(store_mysql_t *db)
{
    unsigned seconds = db->options->timeout_ms / 1000 + 1;
    char wait[64];

    /* A query that nobody waits for any more does not hold its connection in
       the database until a locked table is free again. */
    snprintf(wait, sizeof(wait), "SET SESSION lock_wait_timeout = %u", seconds);
    mysql_options(db->link, MYSQL_INIT_COMMAND, wait);
    mysql_options(db->link, MYSQL_OPT_NONBLOCK, NULL);
    mysql_set_options(db->link, db->options, seconds);
}

dns_status_t
store_mysql_new(store_mysql_t **out, store_options_t *options,
                const store_host_t *host, store_records_t *records)
{
    store_mysql_t *db = calloc(1, sizeof(*db));

    if (db == NULL) {
        return DNS_ENOMEM;
    }

    client_mysql_guard();
    db->options = store_options_acquire(options);
    db->host = host != NULL ? host : &no_host;
    db->has_reversed_names = true; /* until the database says no */
    db->records = records;
    db->names = calloc(STORE_MYSQL_NAMES_MAX, sizeof(*db->names));
    db->parameters =
        calloc(3 * (size_t) STORE_MYSQL_NAMES_MAX, sizeof(*db->parameters));
    db->link = mysql_init(NULL);

    if (db->names == NULL || db->parameters == NULL || db->link == NULL) {
        store_mysql_free(db);
        return DNS_ENOMEM;
    }

    set_options(db);
    *out = db;
    return DNS_OK;
}

/* A connection in the middle of a job is cut first: libmariadb would else send
   its farewell and could block. */
static void
cut(store_mysql_t *db)
{
    my_socket fd = db->link == NULL ? -1 : mysql_get_socket(db->link);

    if (fd >= 0 && (db->state != MYSQL_IDLE || db->status != DNS_OK)) {
        shutdown(fd, SHUT_RDWR);
    }
}

void
store_mysql_free(store_mysql_t *db)
{
    if (db == NULL) {
        return;
    }

    cut(db);

    mysql_free_result(db->rows);

    if (db->link != NULL) {
        mysql_close(db->link);
    }

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
    db->state = MYSQL_IDLE;
    db->status = status;
    snprintf(db->error, sizeof(db->error), "%s", error);
}

static bool
is_lost(unsigned code)
{
    /* Errors of libmariadb itself: what it read was cut off, or no reply. */
    return (code >= CR_MIN_ERROR && code <= CR_MAX_ERROR) ||
           code == ER_SERVER_SHUTDOWN || code == ER_CONNECTION_KILLED;
}

static void
fail(store_mysql_t *db)
{
    db->is_gone = is_lost(mysql_errno(db->link));
    store_mysql_end(db, DNS_ESTORE, client_mysql_reason(db->link));
}

static void
fail_statement(store_mysql_t *db)
{
    MYSQL_STMT *statement = db->statements[db->statement];

    db->is_gone = is_lost(mysql_stmt_errno(statement));
    store_mysql_end(db, DNS_ESTORE, mysql_stmt_error(statement));
}

static void
begin(store_mysql_t *db, mysql_state_t state)
{
    db->state = state;
    db->is_started = false;
    db->is_gone = false;
    db->status = DNS_OK;
    db->error[0] = '\0';
    db->deadline_ms = now_ms() + db->options->timeout_ms;
}

void
store_mysql_begin_connect(store_mysql_t *db)
{
    begin(db, MYSQL_CONNECTING);
}

void
store_mysql_begin_zones(store_mysql_t *db, dns_zone_list_t *zones)
{
    db->zones = zones;
    begin(db, MYSQL_ASKING_ZONES);
}

void
store_mysql_begin_owners(store_mysql_t *db, uint32_t zone_id,
                         const dns_name_t *apex, dns_ancestors_t *owners)
{
    begin(db, MYSQL_ASKING_OWNERS);
    db->owners = owners;
    db->owners_zone = zone_id;
    db->owners_apex = apex;

    if (db->options->layout.zones != NULL &&
        db->options->layout.owners == NULL) {
        store_mysql_end(db, DNS_ENOTFOUND, "");
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

    if (db->statements[db->statement] == NULL) {
        db->statements[db->statement] = mysql_stmt_init(db->link);
    }

    if (db->statements[db->statement] == NULL) {
        store_mysql_end(db, DNS_ENOMEM, "no memory for a statement");
    } else {
        db->state =
            db->is_prepared[db->statement] ? MYSQL_EXECUTING : MYSQL_PREPARING;
    }

    return true;
}

void
store_mysql_begin_fetch(store_mysql_t *db, dns_fetched_t *const *sets,
                        unsigned count)
{
    begin(db, MYSQL_EXECUTING);
    memcpy(db->sets, sets, count * sizeof(dns_fetched_t *));
    db->set_count = count;

    if (!begin_statement(db, false) && !begin_statement(db, true)) {
        store_mysql_end(db, DNS_OK, "");
    }
}

static int
start_prepare(store_mysql_t *db)
{
    free(db->text);
    db->text = store_mysql_fetch_text(db, db->statement);

    if (db->text == NULL) {
        db->result = 1;
        return 0;
    }

    return mysql_stmt_prepare_start(&db->result, db->statements[db->statement],
                                    db->text, (unsigned long) strlen(db->text));
}

static int
start_owners(store_mysql_t *db)
{
    buffer_t statement = {0};

    if (db->options->layout.owners != NULL) {
        my_put_own(&statement, db->link, db->options->layout.owners,
                   db->owners_apex->octets);
    } else {
        buffer_put(&statement,
                   "SELECT DISTINCT name FROM records WHERE domain_id = %u AND"
                   " disabled = 0 AND type IS NOT NULL LIMIT %d",
                   db->owners_zone, STORE_MYSQL_OWNERS_MAX + 1);
    }

    free(db->text);
    db->text = statement.octets;

    if (statement.failed) {
        db->result = 1;
        return 0;
    }

    return mysql_real_query_start(&db->result, db->link, db->text,
                                  (unsigned long) strlen(db->text));
}

static int
start_connect(store_mysql_t *db)
{
    const store_options_t *o = db->options;

    return mysql_real_connect_start(&db->connected, db->link, db->host->address,
                                    o->user, o->password, o->database,
                                    db->host->port, o->unix_socket, 0);
}

/* What libmariadb waits for; 0: the call is over. */
static int
start(store_mysql_t *db)
{
    MYSQL_STMT *statement = db->statements[db->statement];

    switch (db->state) {
    case MYSQL_CONNECTING:
        return start_connect(db);
    case MYSQL_ASKING_ZONES:
        return mysql_real_query_start(&db->result, db->link, zones_text(db),
                                      (unsigned long) strlen(zones_text(db)));
    case MYSQL_ASKING_OWNERS:
        return start_owners(db);
    case MYSQL_READING_ZONES:
    case MYSQL_READING_OWNERS:
        return mysql_store_result_start(&db->rows, db->link);
    case MYSQL_PREPARING:
        return start_prepare(db);
    case MYSQL_EXECUTING:
        if (mysql_stmt_bind_param(statement, db->parameters) != 0) {
            db->result = 1;
            return 0;
        }

        return mysql_stmt_execute_start(&db->result, statement);
    case MYSQL_STORING:
        return mysql_stmt_store_result_start(&db->result, statement);
    case MYSQL_IDLE:
        break;
    }

    return 0;
}

static int
resume(store_mysql_t *db, int ready)
{
    MYSQL_STMT *statement = db->statements[db->statement];

    switch (db->state) {
    case MYSQL_CONNECTING:
        return mysql_real_connect_cont(&db->connected, db->link, ready);
    case MYSQL_ASKING_ZONES:
    case MYSQL_ASKING_OWNERS:
        return mysql_real_query_cont(&db->result, db->link, ready);
    case MYSQL_READING_ZONES:
    case MYSQL_READING_OWNERS:
        return mysql_store_result_cont(&db->rows, db->link, ready);
    case MYSQL_PREPARING:
        return mysql_stmt_prepare_cont(&db->result, statement, ready);
    case MYSQL_EXECUTING:
        return mysql_stmt_execute_cont(&db->result, statement, ready);
    case MYSQL_STORING:
        return mysql_stmt_store_result_cont(&db->result, statement, ready);
    case MYSQL_IDLE:
        break;
    }

    return 0;
}

static void
finish_listing(store_mysql_t *db)
{
    if (db->rows == NULL) {
        fail(db);
        return;
    }

    dns_status_t status = db->state == MYSQL_READING_ZONES
                              ? store_mysql_read_zones(db)
                              : store_mysql_read_owners(db);

    mysql_free_result(db->rows);
    db->rows = NULL;
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
        db->state = MYSQL_IDLE;
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

/* A table without the column of reversed names is asked by its names. */
static void
finish_prepare(store_mysql_t *db)
{
    db->state = MYSQL_EXECUTING;
    db->is_prepared[db->statement] = db->result == 0;

    if (db->result == 0 && !has_our_parameters(db)) {
        db->is_gone = true; /* it does not speak MySQL */
        store_mysql_end(db, DNS_ESTORE,
                        "the server tells another number of parameters than "
                        "the statement has");
        return;
    }

    if (db->result == 0) {
        return;
    }

    if (db->has_reversed_names && store_mysql_is_below(db->statement) &&
        mysql_stmt_errno(db->statements[db->statement]) == ER_BAD_FIELD_ERROR) {
        db->has_reversed_names = false;

        if (begin_statement(db, true)) {
            return;
        }
    }

    fail_statement(db);
}

/* libmariadb reads TLS as the socket is: it would block. */
static void
unblock(const store_mysql_t *db)
{
    int yes = 1;

    if (db->options->ca_file != NULL) {
        ioctl(mysql_get_socket(db->link), FIONBIO, &yes);
    }
}

/* libmariadb's call is over: what follows. */
static void
advance(store_mysql_t *db)
{
    switch (db->state) {
    case MYSQL_CONNECTING:
        if (db->connected == NULL) {
            fail(db);
        } else {
            unblock(db);
            store_mysql_end(db, DNS_OK, "");
        }

        break;
    case MYSQL_ASKING_ZONES:
    case MYSQL_ASKING_OWNERS:
        db->state = db->state == MYSQL_ASKING_ZONES ? MYSQL_READING_ZONES
                                                    : MYSQL_READING_OWNERS;

        if (db->result != 0) {
            fail(db);
        }

        break;
    case MYSQL_READING_ZONES:
    case MYSQL_READING_OWNERS:
        finish_listing(db);
        break;
    case MYSQL_PREPARING:
        finish_prepare(db);
        break;
    case MYSQL_EXECUTING:
        db->state = MYSQL_STORING;

        if (db->result != 0) {
            fail_statement(db);
        }

        break;
    case MYSQL_STORING:
        if (db->result != 0) {
            fail_statement(db);
        } else {
            finish_fetch(db);
        }

        break;
    case MYSQL_IDLE:
        break;
    }
}

void
store_mysql_connect(store_mysql_t *db)
{
    const store_options_t *o = db->options;

    begin(db, MYSQL_CONNECTING);
    client_mysql_bound(o->timeout_ms);
    db->connected =
        mysql_real_connect(db->link, db->host->address, o->user, o->password,
                           o->database, db->host->port, o->unix_socket, 0);
    client_mysql_bound(0);
    advance(db);
}

int
store_mysql_socket(const store_mysql_t *db)
{
    return mysql_get_socket(db->link);
}

static bool
is_late(const store_mysql_t *db)
{
    return now_ms() >= db->deadline_ms;
}

static void
fill_wait(const store_mysql_t *db, int events, store_mysql_wait_t *wait)
{
    uint64_t now = now_ms();

    wait->fd = mysql_get_socket(db->link);
    wait->events = events & ~STORE_MYSQL_TIMEOUT;
    wait->timeout_ms =
        now >= db->deadline_ms ? 0 : (int) (db->deadline_ms - now);
}

store_mysql_step_t
store_mysql_step(store_mysql_t *db, int ready, store_mysql_wait_t *wait)
{
    while (db->state != MYSQL_IDLE) {
        if ((ready & STORE_MYSQL_TIMEOUT) != 0 || is_late(db)) {
            db->is_gone = true; /* its reply may come yet */
            store_mysql_end(db, DNS_ESTORE, "timeout");
            break;
        }

        int events = db->is_started ? resume(db, ready) : start(db);

        ready = 0;
        db->is_started = events != 0;

        if (db->is_started) {
            fill_wait(db, events, wait);
            return STORE_MYSQL_WAITS;
        }

        advance(db);
    }

    return STORE_MYSQL_DONE;
}
