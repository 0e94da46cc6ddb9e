#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "dns/name.h"
#include "store/redis.h"

enum { LOG_SIZE = 1 << 16 };

#define CLUSTER  "redis://h?prefix=dns:&cluster=on"
#define NODE     "redis://h?prefix=dns:&sentinel=m"
#define SENTINEL "redis://h?prefix=dns:&sentinel=one&sentinel_password=guard"

/* What was told, in words. */
static char told[LOG_SIZE];
static store_records_t *records;

__attribute__((format(printf, 1, 2))) static void
tell(const char *format, ...)
{
    const size_t used = strlen(told);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(told + used, sizeof(told) - used, format, arguments);
    va_end(arguments);
}

static void
on_done(void *data, void *job, dns_status_t status, const char *error)
{
    (void) data;
    (void) job;
    tell("end %d %s;", status, error);
}

static void
on_node(void *data, const char *address, uint16_t port, bool is_master)
{
    (void) data;
    tell("%s %s:%u;", is_master ? "master" : "replica", address, port);
}

static void
on_subscribed(void *data)
{
    (void) data;
    tell("subscribed;");
}

static void
on_changed(void *data, const dns_name_t *apex, bool may_come_or_go)
{
    char name[DNS_NAME_TEXT_SIZE] = "*";

    (void) data;

    if (apex != NULL) {
        dns_name_to_text(name, apex->octets);
    }

    tell("%s%s;", name, may_come_or_go ? "?" : "");
}

static store_redis_t *
make(const char *url)
{
    const store_redis_callbacks_t callbacks = {.done = on_done,
                                               .node = on_node};
    char error[STORE_OPTIONS_ERROR_SIZE];
    store_options_t *options;
    store_redis_t *db;

    told[0] = '\0';
    assert_int_equal(store_options_read(&options, url, NULL, 0, NULL, error),
                     DNS_OK);
    assert_int_equal(store_redis_new(&db, options, &callbacks, records),
                     DNS_OK);
    store_options_release(options);
    return db;
}

static dns_status_t
feed(store_redis_t *db, const char *text)
{
    return store_redis_feed(db, text, strlen(text));
}

/* The commands that go out, each line behind its length left out. */
static bool
sends(store_redis_t *db, const char *word)
{
    size_t size;
    const char *output = store_redis_output(db, &size);
    char *text = strndup(output == NULL ? "" : output, size);
    const bool has = strstr(text, word) != NULL;

    free(text);
    return has;
}

static void
a_login_says_who_and_where(void **state)
{
    store_redis_t *db = make("redis://me:secret@h/3?sentinel=one");

    (void) state;
    store_redis_begin_login(db, NULL);
    assert_true(sends(db, "AUTH") && sends(db, "SELECT") && sends(db, "ROLE"));
    assert_false(sends(db, "READONLY"));
    assert_int_equal(feed(db, "+OK\r\n+OK\r\n*1\r\n$6\r\nmaster\r\n"), DNS_OK);
    assert_string_equal(told, "end 0 ;");
    store_redis_free(db);
}

static void
a_node_of_a_cluster_may_be_a_replica(void **state)
{
    store_redis_t *db = make(CLUSTER);

    (void) state;
    store_redis_begin_login(db, NULL);
    assert_true(sends(db, "READONLY") && sends(db, "PING"));
    assert_false(sends(db, "AUTH") || sends(db, "SELECT"));
    assert_int_equal(feed(db, "+OK\r\n+PONG\r\n"), DNS_OK);
    assert_string_equal(told, "end 0 ;");
    store_redis_free(db);
}

static void
a_replica_is_no_master(void **state)
{
    const char *replies[] = {"*1\r\n$5\r\nslave\r\n", "*0\r\n", "*1\r\n:1\r\n"};

    (void) state;

    for (size_t i = 0; i < 3; i++) {
        store_redis_t *db = make(SENTINEL);

        store_redis_begin_login(db, NULL);
        assert_int_equal(feed(db, replies[i]), DNS_OK);
        assert_string_equal(told, "end -7 it is not the master;");
        store_redis_free(db);
    }
}

static void
a_sentinel_tells_the_master(void **state)
{
    store_redis_t *db = make(SENTINEL);
    store_redis_master_t master;

    (void) state;
    store_redis_begin_master(db, &master, NULL);
    assert_int_equal(feed(db, "+OK\r\n*2\r\n$9\r\n192.0.2.1\r\n$4\r\n6380\r\n"),
                     DNS_OK);
    assert_string_equal(told, "end 0 ;");
    assert_string_equal(master.address, "192.0.2.1");
    assert_int_equal(master.port, 6380);
    store_redis_free(db);
}

static void
what_a_sentinel_may_say_else_is_an_error(void **state)
{
    const char *replies[] = {
        "*-1\r\n",
        "$-1\r\n",
        "*0\r\n",
        ":1\r\n",
        "*2\r\n$1\r\na\r\n:1\r\n",
        "*2\r\n$1\r\na\r\n$5\r\n65536\r\n",
        "*2\r\n$1\r\na\r\n$1\r\n0\r\n",
        "*2\r\n$1\r\na\r\n$2\r\n-1\r\n",
        "*2\r\n$0\r\n\r\n$2\r\n53\r\n",
        "-NOAUTH who are you\r\n",
    };

    (void) state;

    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        store_redis_t *db = make("redis://h?sentinel=one");
        store_redis_master_t master;

        store_redis_begin_master(db, &master, NULL);
        assert_int_equal(feed(db, replies[i]), DNS_OK);
        assert_memory_equal(told, "end -7 ", 7);
        assert_string_equal(master.address, "");
        store_redis_free(db);
    }
}

static dns_zone_list_t *
zone_list(void)
{
    static const uint8_t key[DNS_SIPHASH_KEY_SIZE] = {1};
    dns_zone_list_t *zones;

    assert_int_equal(dns_zone_list_new(&zones, key), DNS_OK);
    return zones;
}

static bool
notifies_with(const char *flags)
{
    store_redis_t *db = make(SENTINEL);
    dns_zone_list_t *zones = zone_list();
    char reply[256];

    store_redis_begin_zones(db, zones, NULL);
    snprintf(reply, sizeof(reply), "%s*2\r\n$1\r\n0\r\n*0\r\n", flags);
    assert_int_equal(feed(db, reply), DNS_OK);
    assert_string_equal(told, "end 0 ;");

    const bool notifies = store_redis_notifies(db);

    store_redis_free(db);
    dns_zone_list_free(zones);
    return notifies;
}

static void
keyspace_notifications_are_of_hashes_and_keys(void **state)
{
    (void) state;
    assert_true(notifies_with("*2\r\n$1\r\nn\r\n$3\r\nKgh\r\n"));
    assert_true(notifies_with("*2\r\n$1\r\nn\r\n$3\r\nAKE\r\n"));
    assert_false(notifies_with("*2\r\n$1\r\nn\r\n$2\r\nKh\r\n"));
    assert_false(notifies_with("*2\r\n$1\r\nn\r\n$2\r\nAE\r\n"));
    assert_false(notifies_with("*2\r\n$1\r\nn\r\n$0\r\n\r\n"));
    assert_false(notifies_with("*2\r\n$1\r\nn\r\n:1\r\n"));
    assert_false(notifies_with("*0\r\n"));
    assert_false(notifies_with("-NOPERM no\r\n"));
}

static void
a_node_tells_the_cluster_and_its_zones(void **state)
{
    store_redis_t *db = make(CLUSTER);
    dns_zone_list_t *zones = zone_list();

    (void) state;
    store_redis_begin_zones(db, zones, NULL);
    assert_int_equal(feed(db, "*0\r\n"
                              "*3\r\n"
                              "*4\r\n:0\r\n:9\r\n"
                              "*3\r\n$9\r\n192.0.2.1\r\n:1\r\n$1\r\nx\r\n"
                              "*2\r\n$-1\r\n:2\r\n"
                              "*2\r\n:1\r\n:1\r\n"
                              ":7\r\n"),
                     DNS_OK);
    assert_string_equal(told, "master 192.0.2.1:1;replica :2;");
    assert_int_equal(feed(db, "*2\r\n$1\r\n0\r\n*2\r\n$11\r\ndns:a.test.\r\n"
                              "$4\r\ndns:\r\n"),
                     DNS_OK);
    assert_int_equal(dns_zone_list_count(zones), 1);
    store_redis_free(db);
    dns_zone_list_free(zones);
}

static store_redis_t *
watching(const char *channel)
{
    static store_redis_watch_t watch;
    store_redis_t *db = make(SENTINEL);

    watch = (store_redis_watch_t){.database = 3,
                                  .channel = channel,
                                  .subscribed = on_subscribed,
                                  .changed = on_changed};
    store_redis_begin_watch(db, &watch, &watch);
    assert_true(sends(db, "__keyspace@3__:dns:*."));
    return db;
}

static void
changes_of_zones_are_told(void **state)
{
    store_redis_t *db = watching("news");

    (void) state;
    assert_true(sends(db, "\r\nSUBSCRIBE\r\n$4\r\nnews"));
    assert_int_equal(feed(db, "*3\r\n$10\r\npsubscribe\r\n$1\r\nx\r\n:1\r\n"),
                     DNS_OK);
    assert_string_equal(told, "");
    assert_int_equal(feed(db, "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:2\r\n"),
                     DNS_OK);
    assert_int_equal(
        feed(db, "*4\r\n$8\r\npmessage\r\n$1\r\nx\r\n"
                 "$26\r\n__keyspace@3__:dns:A.test.\r\n$4\r\nhset\r\n"
                 "*4\r\n$8\r\npmessage\r\n$1\r\nx\r\n"
                 "$26\r\n__keyspace@3__:dns:a.test.\r\n$3\r\ndel\r\n"
                 "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$6\r\nb.test\r\n"
                 "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$0\r\n\r\n"
                 "*2\r\n$4\r\npong\r\n$0\r\n\r\n"),
        DNS_OK);
    assert_string_equal(told, "subscribed;a.test.;a.test.?;b.test.?;*?;");
    assert_int_equal(store_redis_ping(db), DNS_OK);
    assert_true(sends(db, "PING"));
    assert_int_equal(feed(db, "-ERR it ends\r\n"), DNS_OK);
    assert_non_null(strstr(told, "end -7 ERR it ends;"));
    store_redis_free(db);
}

static void
what_else_is_pushed_changes_nothing(void **state)
{
    store_redis_t *db = watching(NULL);

    (void) state;
    assert_int_equal(feed(db,
                          "*4\r\n$8\r\npmessage\r\n$1\r\nx\r\n"
                          "$26\r\n__keyspace@4__:dns:a.test.\r\n$4\r\nhset\r\n"
                          "*4\r\n$8\r\npmessage\r\n$1\r\nx\r\n:1\r\n:2\r\n"
                          "*4\r\n$8\r\npmessage\r\n$1\r\nx\r\n"
                          "$19\r\n__keyspace@3__:dns:\r\n$0\r\n\r\n"
                          "*3\r\n$7\r\nmessage\r\n:1\r\n*0\r\n"
                          "*0\r\n*-1\r\n:1\r\n+OK\r\n$-1\r\n"),
                     DNS_OK);
    assert_string_equal(told, "");
    store_redis_free(db);
}

/* Whatever comes, in whatever pieces, the sanitizers have nothing to say. */
static void
noise_ends_jobs_or_is_ignored(void **state)
{
    static const char *const parts[] = {
        "*2\r\n",   "*3\r\n",      "*4\r\n",   ":1\r\n",
        ":-5\r\n",  "+OK\r\n",     "-ERR\r\n", "$8\r\npmessage\r\n",
        "$-1\r\n",  "$0\r\n\r\n",  "*0\r\n",   "$7\r\nmessage\r\n",
        "*-1\r\n",  "$1\r\n0\r\n", "$9\r\n",   "$6\r\nmaster\r\n",
        "\r\n$3\r", "*1\r\n",      "$4\r\n",   "$26\r\n__keyspace@3__:dns:A.",
    };
    const unsigned seed = (unsigned) time(NULL);
    store_redis_master_t master;

    (void) state;
    print_message("seed %u\n", seed);
    srand(seed);

    for (int round = 0; round < 20000; round++) {
        dns_zone_list_t *zones = zone_list();
        store_redis_t *db = round % 3 == 0 ? watching("c") : make(NODE);

        if (round % 3 == 1) {
            store_redis_begin_zones(db, zones, NULL);
        } else if (round % 3 == 2) {
            store_redis_begin_master(db, &master, NULL);
        }

        for (int i = 0; i < 12; i++) {
            const char *part =
                parts[(size_t) rand() % (sizeof(parts) / sizeof(parts[0]))];

            if (store_redis_feed(db, part, strlen(part)) != DNS_OK) {
                break;
            }
        }

        told[0] = '\0';
        store_redis_free(db);
        dns_zone_list_free(zones);
    }
}

/* A zone list without a cluster: two settings, then SCAN. */
static const char *
listing_of(unsigned keys)
{
    store_redis_t *db = make("redis://h");
    dns_zone_list_t *zones = zone_list();
    char *text = malloc(64 + (size_t) keys * 32);
    int size = sprintf(text, "*0\r\n*2\r\n$1\r\n0\r\n*%u\r\n", keys);

    for (unsigned i = 0; i < keys; i++) {
        size += sprintf(text + size, "$12\r\nz%05u.test.\r\n", i);
    }

    store_redis_begin_zones(db, zones, NULL);
    assert_int_equal(feed(db, text), DNS_OK);
    free(text);
    dns_zone_list_free(zones);
    store_redis_free(db);
    return told;
}

static void
a_reply_to_scan_is_bounded(void **state)
{
    (void) state;
    assert_string_equal(listing_of(10000), "end 0 ;");
    assert_string_equal(listing_of(10001),
                        "end -7 a reply to SCAN with over 10000 keys, where "
                        "1000 were asked for;");
}

static int
setup(void **state)
{
    (void) state;
    return store_records_new(&records) == DNS_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void) state;
    store_records_free(records);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_login_says_who_and_where),
        cmocka_unit_test(a_node_of_a_cluster_may_be_a_replica),
        cmocka_unit_test(a_replica_is_no_master),
        cmocka_unit_test(a_sentinel_tells_the_master),
        cmocka_unit_test(what_a_sentinel_may_say_else_is_an_error),
        cmocka_unit_test(keyspace_notifications_are_of_hashes_and_keys),
        cmocka_unit_test(a_node_tells_the_cluster_and_its_zones),
        cmocka_unit_test(a_reply_to_scan_is_bounded),
        cmocka_unit_test(changes_of_zones_are_told),
        cmocka_unit_test(what_else_is_pushed_changes_nothing),
        cmocka_unit_test(noise_ends_jobs_or_is_ignored),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
