#include "redis_peer.h"

#include <time.h>

#include "dns/name.h"
#include "store/redis.h"

enum {
    LOG_SIZE = 1 << 16,
    NOW = 1000, /* ms, whatever the time is */
};

#define CLUSTER "redis://h?prefix=dns:&cluster=on"
#define SERVER  "redis://h?prefix=dns:"

/* What was told, in words. */
static char told[LOG_SIZE];
static store_records_t *records;

static peer_t peer;
static int fd; /* of the client */

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

static client_step_t
step(store_redis_t *db, int ready)
{
    client_wait_t wait = {.fd = -1};
    const client_step_t result = store_redis_step(db, ready, NOW, &wait);

    fd = wait.fd;
    return result;
}

/* What the server says.  false: the connection has failed. */
static bool
feed(store_redis_t *db, const char *text)
{
    const size_t size = strlen(text);
    client_step_t result = CLIENT_WAIT;

    for (size_t sent = 0; sent < size && result != CLIENT_ERROR;) {
        const ssize_t part = send(peer.fd, text + sent, size - sent,
                                  MSG_DONTWAIT | MSG_NOSIGNAL);

        sent += part > 0 ? (size_t) part : 0;
        wait_until(fd, POLLIN);
        result = step(db, CLIENT_READ);
    }

    return result != CLIENT_ERROR;
}

/* Is it among the commands that go out? */
static bool
sends(store_redis_t *db, const char *word)
{
    static char heard[1 << 16];

    assert_int_equal(step(db, 0), CLIENT_WAIT);
    wait_until(peer.fd, POLLIN);
    (void) recv(peer.fd, heard, sizeof(heard), MSG_PEEK);
    heard[sizeof(heard) - 1] = '\0';
    return strstr(heard, word) != NULL;
}

static store_redis_t *
make(const char *url)
{
    const store_redis_callbacks_t callbacks = {.done = on_done,
                                               .node = on_node};
    const store_host_t host = {"127.0.0.1", peer.port};
    char error[STORE_OPTIONS_ERROR_SIZE], heard[256];
    store_options_t *options;
    store_redis_t *db;

    told[0] = '\0';
    assert_int_equal(store_options_read(&options, url, NULL, 0, NULL, error),
                     DNS_OK);
    assert_int_equal(store_redis_new(&db, options, &callbacks, records),
                     DNS_OK);
    store_options_release(options);
    store_redis_open(db, &host, NOW);
    assert_int_equal(step(db, 0), CLIENT_WAIT);
    peer_accept(&peer);
    wait_until(fd, POLLOUT);
    assert_int_equal(step(db, CLIENT_WRITE), CLIENT_WAIT);
    assert_false(store_redis_is_ready(db));
    assert_true(
        feed(db, strcmp(url, CLUSTER) == 0 ? "+OK\r\n+PONG\r\n" : "+PONG\r\n"));
    assert_true(store_redis_is_ready(db));
    wait_until(peer.fd, POLLIN);
    (void) peer_hear(&peer, heard, sizeof(heard));
    return db;
}

static dns_zone_list_t *
zone_list(void)
{
    static const uint8_t key[DNS_SIPHASH_KEY_SIZE] = {1};
    dns_zone_list_t *zones;

    assert_int_equal(dns_zone_list_new(&zones, key), DNS_OK);
    return zones;
}

/* What a fetch of a name ends with where each of its commands gets the reply.
 */
static const char *
fetch_replied(const char *url, const char *reply)
{
    store_redis_t *db = make(url);
    dns_zone_list_t *zones = zone_list();
    dns_need_t need = {.zone.id = 1};
    uint8_t apex[DNS_NAME_MAX], name[DNS_NAME_MAX];
    char heard[1 << 14];
    dns_fetched_t *set;

    assert_int_equal(dns_name_from_text(apex, "a.test", 6, NULL, NULL), DNS_OK);
    assert_int_equal(dns_name_from_text(name, "w.a.test", 8, NULL, NULL),
                     DNS_OK);
    dns_name_set(&need.zone.apex, apex);
    dns_name_set(&need.name, name);
    assert_int_equal(dns_zone_list_add(zones, &need.zone), DNS_OK);
    assert_int_equal(dns_fetched_new(&set, zones), DNS_OK);
    assert_int_equal(dns_fetched_want(set, &need, NULL), DNS_OK);
    store_redis_begin_fetch(db, set, NULL);
    assert_int_equal(step(db, 0), CLIENT_WAIT);
    wait_until(peer.fd, POLLIN);
    (void) peer_hear(&peer, heard, sizeof(heard));

    for (const char *at = heard; (at = strstr(at, "*")) != NULL; at++) {
        if (at[1] < '0' || at[1] > '9') { /* a wildcard's field */
            continue;
        }

        assert_string_equal(told, "");
        assert_true(
            feed(db, strstr(at, "$6\r\nASKING") == at + 4 ? "+OK\r\n" : reply));
    }

    dns_fetched_free(set);
    dns_zone_list_free(zones);
    store_redis_free(db);
    return told;
}

static void
a_fetch_ends_as_it_is_replied_to(void **state)
{
    static const struct {
        const char *reply;
        dns_status_t status;
        const char *error;
    } cases[] = {
        {"-MOVED 1 192.0.2.1:6379\r\n", DNS_NEEDS, "MOVED 1 192.0.2.1:6379"},
        {"-ASK 1 192.0.2.1:6379\r\n", DNS_NEEDS, "ASK 1 192.0.2.1:6379"},
        {"-LOADING it\r\n", DNS_ESTORE, "LOADING it"},
        {":1\r\n", DNS_ESTORE, "not a reply to HMGET"},
        {"*0\r\n", DNS_ESTORE, "fewer fields than were asked for"},
        {"*8\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n",
         DNS_ESTORE, "more fields than were asked for"},
    };
    const char *urls[] = {SERVER, CLUSTER};

    (void) state;

    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        char expected[128];

        snprintf(expected, sizeof(expected), "end %d %s;", cases[i / 2].status,
                 cases[i / 2].error);
        assert_string_equal(fetch_replied(urls[i % 2], cases[i / 2].reply),
                            expected);
    }
}

static bool
notifies_with(const char *flags)
{
    store_redis_t *db = make(SERVER);
    dns_zone_list_t *zones = zone_list();
    char reply[256];

    store_redis_begin_zones(db, zones, NULL);
    snprintf(reply, sizeof(reply), "%s*2\r\n$1\r\n0\r\n*0\r\n", flags);
    assert_true(feed(db, reply));
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
    assert_true(feed(db, "*0\r\n"
                         "*3\r\n"
                         "*4\r\n:0\r\n:9\r\n"
                         "*3\r\n$9\r\n192.0.2.1\r\n:1\r\n$1\r\nx\r\n"
                         "*2\r\n$-1\r\n:2\r\n"
                         "*2\r\n:1\r\n:1\r\n"
                         ":7\r\n"));
    assert_string_equal(told, "master 192.0.2.1:1;replica :2;");
    assert_true(feed(db, "*2\r\n$1\r\n0\r\n*2\r\n$11\r\ndns:a.test.\r\n"
                         "$4\r\ndns:\r\n"));
    assert_int_equal(dns_zone_list_count(zones), 1);
    store_redis_free(db);
    dns_zone_list_free(zones);
}

static store_redis_t *
watching(const char *channel)
{
    static store_redis_watch_t watch;
    store_redis_t *db = make(SERVER);

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
    assert_true(feed(db, "*3\r\n$10\r\npsubscribe\r\n$1\r\nx\r\n:1\r\n"));
    assert_string_equal(told, "");
    assert_true(feed(db, "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:2\r\n"));
    assert_true(feed(db, "*4\r\n$8\r\npmessage\r\n$1\r\nx\r\n"
                         "$26\r\n__keyspace@3__:dns:A.test.\r\n$4\r\nhset\r\n"
                         "*4\r\n$8\r\npmessage\r\n$1\r\nx\r\n"
                         "$26\r\n__keyspace@3__:dns:a.test.\r\n$3\r\ndel\r\n"
                         "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$6\r\nb.test\r\n"
                         "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$0\r\n\r\n"
                         "*2\r\n$4\r\npong\r\n$0\r\n\r\n"));
    assert_string_equal(told, "subscribed;a.test.;a.test.?;b.test.?;*?;");
    assert_int_equal(store_redis_ping(db), DNS_OK);
    assert_true(sends(db, "PING"));
    assert_true(feed(db, "-ERR it ends\r\n"));
    assert_non_null(strstr(told, "end -7 ERR it ends;"));
    store_redis_free(db);
}

static void
what_else_is_pushed_changes_nothing(void **state)
{
    store_redis_t *db = watching(NULL);

    (void) state;
    assert_true(feed(db, "*4\r\n$8\r\npmessage\r\n$1\r\nx\r\n"
                         "$26\r\n__keyspace@4__:dns:a.test.\r\n$4\r\nhset\r\n"
                         "*4\r\n$8\r\npmessage\r\n$1\r\nx\r\n:1\r\n:2\r\n"
                         "*4\r\n$8\r\npmessage\r\n$1\r\nx\r\n"
                         "$19\r\n__keyspace@3__:dns:\r\n$0\r\n\r\n"
                         "*3\r\n$7\r\nmessage\r\n:1\r\n*0\r\n"
                         "*0\r\n*-1\r\n:1\r\n+OK\r\n$-1\r\n"));
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

    (void) state;
    print_message("seed %u\n", seed);
    srand(seed);

    for (int round = 0; round < 2000; round++) {
        dns_zone_list_t *zones = zone_list();
        store_redis_t *db = round % 2 == 0 ? watching("c") : make(SERVER);

        if (round % 2 == 1) {
            store_redis_begin_zones(db, zones, NULL);
        }

        for (int i = 0; i < 12; i++) {
            const char *part =
                parts[(size_t) rand() % (sizeof(parts) / sizeof(parts[0]))];

            if (!feed(db, part)) {
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
    assert_true(feed(db, text));

    while (told[0] == '\0') { /* the last octets may come later */
        wait_until(fd, POLLIN);
        assert_int_not_equal(step(db, CLIENT_READ), CLIENT_ERROR);
    }

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
    peer_listen_tcp(&peer);
    return store_records_new(&records) == DNS_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void) state;
    peer_close(&peer);
    store_records_free(records);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fetch_ends_as_it_is_replied_to),
        cmocka_unit_test(keyspace_notifications_are_of_hashes_and_keys),
        cmocka_unit_test(a_node_tells_the_cluster_and_its_zones),
        cmocka_unit_test(a_reply_to_scan_is_bounded),
        cmocka_unit_test(changes_of_zones_are_told),
        cmocka_unit_test(what_else_is_pushed_changes_nothing),
        cmocka_unit_test(noise_ends_jobs_or_is_ignored),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
