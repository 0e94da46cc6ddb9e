/*
 * usage: mysql_ask URL
 *
 * Answers questions from a database as a server would, without one: connects,
 * lists the zones, and for each line "NAME TYPE" prints the answer as text and
 * an empty line.  "!" stands before errors.  Rows that are skipped are printed
 * as "skip ID NAME: reason".  "NAME = TYPE TTL TEXT|TEXT..." sets a record set;
 * without text it is deleted.
 */

#include "store_ask.h"

#include "dns/rdata_text.h"
#include "store/database.h"
#include "store/mysql.h"

static store_records_t *records;
static store_options_t *options;
static store_mysql_t *db;

static dns_status_t
run(void)
{
    client_wait_t wait;
    int ready = 0;

    while (store_mysql_step(db, ready, client_now_ms(), &wait) == CLIENT_WAIT) {
        ready = client_wait_poll(&wait);
    }

    if (store_mysql_status(db) != DNS_OK) {
        printf("! %s: %s%s\n", dns_status_text(store_mysql_status(db)),
               store_mysql_error(db), store_mysql_is_gone(db) ? " (gone)" : "");
    }

    return store_mysql_status(db);
}

static void
print_skipped(void *data, uint64_t id, const char *name, const char *reason)
{
    (void) data;
    printf("skip %llu %s: %s\n", (unsigned long long) id, name, reason);
}

static dns_status_t
make_connection(void)
{
    store_mysql_free(db);
    db = NULL;
    assert_int_equal(
        store_mysql_new(
            &db, options,
            options->hosts.count > 0 ? &options->hosts.host[0] : NULL, records),
        DNS_OK);
    store_mysql_on_skip(db, print_skipped, NULL);
    store_mysql_begin_connect(db, client_now_ms());
    return run();
}

static dns_status_t
list_zones(dns_zone_list_t *zones)
{
    store_mysql_begin_zones(db, zones, client_now_ms());
    return run();
}

static dns_status_t
fetch_set(dns_fetched_t *set)
{
    store_mysql_begin_fetch(db, &set, 1, client_now_ms());
    return run();
}

static void
commit(store_edit_t *edit)
{
    char error[STORE_ERROR_SIZE];
    store_database_t *database;
    bool zones_changed;

    assert_int_equal(store_database_new(&database, options, false), DNS_OK);

    dns_status_t status =
        store_database_commit(database, edit, &zones_changed, error);

    if (status == DNS_OK) {
        printf("done\n");
    } else {
        printf("! %s: %s\n", dns_status_text(status), error);
    }

    store_database_free(database);
}

/* "NAME = TYPE TTL TEXT|TEXT...": no text deletes. */
static void
edit_line(const char *name)
{
    static const uint8_t key[DNS_SIPHASH_KEY_SIZE] = "a key for a test";
    char type_text[32], ttl[16], texts[4096];
    uint8_t wire[DNS_NAME_MAX], rdata[DNS_RDATA_MAX];
    uint16_t type, size;
    store_edit_t *edit;
    dns_zone_list_t *zones;
    dns_name_t owner;

    assert_int_equal(scanf("%31s %15s%4095[^\n]", type_text, ttl, texts), 3);
    assert_int_equal(dns_name_from_text(wire, name, strlen(name), NULL, NULL),
                     DNS_OK);
    assert_int_equal(dns_type_from_text(&type, type_text, strlen(type_text)),
                     DNS_OK);
    assert_int_equal(dns_zone_list_new(&zones, key), DNS_OK);
    dns_name_set(&owner, wire);
    assert_int_equal(list_zones(zones), DNS_OK);

    const dns_zone_t *zone = dns_zone_list_find(zones, &owner, 256);

    assert_int_equal(
        store_edit_new(zone == NULL ? owner.octets : zone->apex.octets, &edit),
        DNS_OK);
    (void) !(texts[1] == '\0'
                 ? store_edit_remove(edit, wire, type, NULL, 0)
                 : store_edit_remove_if_any(edit, wire, type, NULL, 0));

    for (char *text = strtok(texts + 1, "|"); text != NULL;
         text = strtok(NULL, "|")) {
        dns_rdata_input_t input = {
            .type = type, .text = text, .size = strlen(text)};

        assert_int_equal(dns_rdata_from_text(&input, rdata, &size, NULL),
                         DNS_OK);
        (void) !store_edit_add(edit, wire, type, (uint32_t) atoi(ttl), rdata,
                               size);
    }

    commit(edit);
    store_edit_free(edit);
    dns_zone_list_free(zones);
}

int
main(int count, char **values)
{
    char name[1100], type[32];

    char error[STORE_OPTIONS_ERROR_SIZE];

    if (count != 2 || store_options_read(&options, values[1], NULL, 0, NULL,
                                         error) != DNS_OK) {
        return 2;
    }

    setvbuf(stdout, NULL, _IOLBF, 0);
    assert_int_equal(store_records_new(&records), DNS_OK);
    (void) make_connection();
    printf("\n");

    while (scanf("%1099s %31s", name, type) == 2) {
        if (store_mysql_status(db) == DNS_OK || make_connection() == DNS_OK) {
            if (strcmp(type, "=") == 0) {
                edit_line(name);
            } else {
                answer_line(name, type, list_zones, fetch_set);
            }
        }

        printf("\n");
    }

    store_mysql_free(db);
    store_records_free(records);
    store_options_release(options);
    return 0;
}
