#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/options.h"

enum { WORDS_MAX = 4 };

static store_options_t *options;
static char error[STORE_OPTIONS_ERROR_SIZE];

static dns_status_t
read_words(const char *url, const char *const words[WORDS_MAX])
{
    size_t count = 0;

    while (count < WORDS_MAX && words[count] != NULL) {
        count++;
    }

    store_options_release(options);
    options = NULL;
    return store_options_read(&options, url, words, count, NULL, error);
}

#define READ(url, ...)                                                         \
    read_words((url), (const char *const[WORDS_MAX]){__VA_ARGS__})

static int
free_options(void **state)
{
    (void) state;
    store_options_release(options);
    options = NULL;
    return 0;
}

static void
a_url_has_account_hosts_and_database(void **state)
{
    (void) state;
    assert_int_equal(
        READ("mysql://us%65r:a%40b@c@db1,[2001:db8::1]:3307/p%2fdns", NULL),
        DNS_OK);
    assert_string_equal(options->user, "user");
    assert_string_equal(options->password, "a@b@c");
    assert_string_equal(options->database, "p/dns");
    assert_string_equal(options->name,
                        "mysql://db1,[2001:db8::1]:3307/p%2fdns");
    assert_int_equal(options->hosts.count, 2);
    assert_string_equal(options->hosts.host[0].address, "db1");
    assert_int_equal(options->hosts.host[0].port, 3306);
    assert_string_equal(options->hosts.host[1].address, "2001:db8::1");
    assert_int_equal(options->hosts.host[1].port, 3307);
    assert_false(options->is_redis);
}

static void
a_url_of_redis_needs_little(void **state)
{
    (void) state;
    assert_int_equal(READ("redis://:secret@127.0.0.1/3", NULL), DNS_OK);
    assert_null(options->user);
    assert_string_equal(options->password, "secret");
    assert_int_equal(options->database_number, 3);
    assert_int_equal(options->hosts.host[0].port, 6379);
    assert_int_equal(READ("redis://[::1]", "sentinel=one", "replicas=a,b:1"),
                     DNS_OK);
    assert_null(options->database);
    assert_int_equal(options->hosts.host[0].port, 26379);
    assert_int_equal(options->replicas.count, 2);
    assert_int_equal(options->replicas.host[0].port, 6379);
    assert_int_equal(options->replicas.host[1].port, 1);
}

static void
options_have_defaults(void **state)
{
    (void) state;
    assert_int_equal(READ("redis://h", NULL), DNS_OK);
    assert_int_equal(options->timeout_ms, 2000);
    assert_int_equal(options->poll_ms, 1000);
    assert_int_equal(options->idle_ms, 60000);
    assert_int_equal(options->ttl_cap, 5);
    assert_int_equal(options->max_connections, 2);
    assert_int_equal(options->queue, 1024);
    assert_false(options->is_tls);
    assert_int_equal(READ("mysql://h/d", NULL), DNS_OK);
    assert_int_equal(options->max_connections, 8);
}

static void
options_stand_behind_the_url_or_in_it(void **state)
{
    (void) state;
    assert_int_equal(
        READ("mysql://h/d?timeout=500ms&poll=1m30s&", "ttl_cap=1h"), DNS_OK);
    assert_int_equal(options->timeout_ms, 500);
    assert_int_equal(options->poll_ms, 90000);
    assert_int_equal(options->ttl_cap, 3600);
    assert_string_equal(options->name, "mysql://h/d");
    assert_int_equal(READ("redis:///1?socket=%2frun%2fr.sock&prefix=a%26b"),
                     DNS_OK);
    assert_string_equal(options->unix_socket, "/run/r.sock");
    assert_string_equal(options->prefix, "a&b");
    assert_int_equal(options->hosts.count, 0);
    assert_int_equal(READ("redis://h", "cluster=on", "prefix="), DNS_OK);
    assert_true(options->is_cluster);
    assert_null(options->prefix);
}

static void
coredns_has_statements_of_its_own(void **state)
{
    (void) state;
    assert_int_equal(READ("mysql://h/d", "coredns=core_"), DNS_OK);
    assert_true(options->layout.content_is_json);
    assert_non_null(strstr(options->layout.zones, "FROM `core_records` GROUP"));
    assert_non_null(strstr(options->layout.names, "IN (?)"));
    assert_non_null(strstr(options->layout.below, "LIKE ?"));
    assert_non_null(strstr(options->layout.records, "= ?"));
}

static void
what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *url;
        const char *words[WORDS_MAX];
        const char *error;
    } cases[] = {
        {"http://h/d", {NULL}, "\"http\": neither mysql://"},
        {"mysql://h/d", {"speed"}, "\"speed\": not of the form NAME=VALUE"},
        {"mysql://h/d", {"=1"}, "\"=1\": not of the form NAME=VALUE"},
        {"mysql://h/d", {"speed=1"}, "\"speed\": no such option"},
        {"mysql://h/d", {"tls=on"}, "\"tls\": not an option of this store"},
        {"redis://h", {"coredns=x"}, "\"coredns\": not an option of this"},
        {"mysql://h/d", {"timeout="}, "\"timeout=\": not a time"},
        {"mysql://h/d", {"timeout=0"}, "\"timeout=0\": not a time"},
        {"mysql://h/d", {"timeout=-1"}, "\"timeout=-1\": not a time"},
        {"mysql://h/d", {"timeout=1s1m"}, "\"timeout=1s1m\": not a time"},
        {"mysql://h/d", {"timeout=1x"}, "\"timeout=1x\": not a time"},
        {"mysql://h/d", {"timeout=99999999"}, "not a time"},
        {"mysql://h/d", {"timeout=99999999999999999999"}, "not a time"},
        {"mysql://h/d", {"ttl_cap=500ms"}, "\"ttl_cap=500ms\": not a time"},
        {"mysql://h/d", {"queue=0"}, "\"queue=0\": not a number within"},
        {"mysql://h/d", {"queue=65537"}, "not a number within the bounds"},
        {"mysql://h/d", {"queue= 5"}, "not a number within the bounds"},
        {"redis://h", {"cluster=yes"}, "\"yes\": neither on nor off"},
        {"redis://h:0", {NULL}, "\"0\": not a port"},
        {"redis://h:65536", {NULL}, "\"65536\": not a port"},
        {"redis://h:", {NULL}, "\"\": not a port"},
        {"redis://[::1", {NULL}, "\"[::1\": not a host"},
        {"redis://[]:1", {NULL}, "not a host"},
        {"redis://[::1]x", {NULL}, "not a host"},
        {"redis://a,,b", {NULL}, "\"\": not a host"},
        {"redis://a,b,c,d,e,f,g,h,i", {NULL}, "\"i\": too many hosts"},
        {"redis://h/x", {NULL}, "\"x\": not a database's number"},
        {"redis://h/99999999999", {NULL}, "not a database's number"},
        {"mysql://h", {NULL}, "\"mysql://h\": a database is missing"},
        {"mysql://u:p@/d", {NULL}, "\"mysql:///d\": neither a host nor"},
        {"mysql://h/d", {"socket=/s"}, "both a host and socket=PATH"},
        {"mysql:///d",
         {"ca_file=/nowhere/x", "socket=s"},
         "ca_file \"/nowhere/x\" cannot be read: No such file"},
        {"mysql://h/d",
         {"password_file=/nowhere/x"},
         "password_file \"/nowhere/x\" cannot be read: No such file"},
        {"mysql://h/d", {"password_file=/"}, "\"/\" cannot be read: Is a dir"},
        {"redis://h", {"tls=on"}, "tls=on and ca_file= go together"},
        {"redis://h/1", {"cluster=on"}, "a cluster has database 0 alone"},
        {"redis://h", {"cluster=on", "sentinel=a"}, "neither with sentinel="},
        {"redis://", {"cluster=on", "socket=/s"}, "a cluster has hosts"},
        {"mysql://h/d", {"query_zones=SELECT 1"}, "go together"},
        {"mysql://h/d", {"query_zones=A", "query_names=B"}, "\"IN (?)\""},
        {"mysql://h/d", {"query_below=A"}, "\"LIKE ?\" is missing"},
        {"mysql://h/d", {"query_records=A"}, "\"= ?\" is missing"},
        {"mysql://h/d", {"query_owners=?"}, "query_names are missing"},
        {"mysql://h/d",
         {"query_zones=A", "query_names=(?)", "query_owners=A"},
         "\"= ?\" is missing"},
        {"mysql://h/d",
         {"query_zones=A", "query_names=(?)", "mirror=m"},
         "a mirror needs query_records"},
        {"mysql://h/d", {"coredns=a b"}, "not a prefix of a table's name"},
        {"mysql://h/d",
         {"coredns=a", "query_names=(?)", "query_zones=A"},
         "coredns= has queries of its own"},
    };

    (void) state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(read_words(cases[i].url, cases[i].words),
                         DNS_EMALFORMED);

        if (strstr(error, cases[i].error) == NULL) {
            fail_msg("%s instead of %s", error, cases[i].error);
        }
    }
}

static void
long_words_are_cut_in_messages(void **state)
{
    char url[2000] = "mysql://";

    (void) state;
    memset(url + 8, 'a', sizeof(url) - 9);
    assert_int_equal(READ(url, NULL), DNS_EMALFORMED);
    assert_true(strlen(error) < 400);
    memcpy(url, "redis://", 8);
    assert_int_equal(READ(url, "tls=on"), DNS_EMALFORMED);
    assert_non_null(strstr(error, "go together"));
}

static void
files_are_found_from_the_folders(void **state)
{
    char folder[] = "/tmp/test_store_options.XXXXXX";
    char path[sizeof(folder) + 16];
    const char *const words[] = {"password_file=secret", "mirror=copy"};

    (void) state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/secret", folder);

    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs("pass word\nmore\n", file);
    fclose(file);

    const store_folders_t folders = {.conf = folder, .data = "/data"};

    assert_int_equal(
        store_options_read(&options, "redis://h", words, 2, &folders, error),
        DNS_OK);
    assert_string_equal(options->password, "pass word");
    assert_string_equal(options->mirror, "/data/copy");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void
hosts_can_be_replaced(void **state)
{
    char address[] = "192.0.2.1";
    const store_hosts_t found = {.host = {{address, 7}}, .count = 1};

    (void) state;
    assert_int_equal(READ("redis://name", NULL), DNS_OK);
    assert_int_equal(store_options_set_hosts(options, &options->hosts, &found),
                     DNS_OK);
    address[0] = 'x';
    assert_int_equal(options->hosts.count, 1);
    assert_string_equal(options->hosts.host[0].address, "192.0.2.1");
    assert_int_equal(options->hosts.host[0].port, 7);
}

static void
each_option_has_help(void **state)
{
    store_option_help_t help;
    unsigned count = 0;

    (void) state;

    while (store_options_help(count, &help)) {
        assert_true(strlen(help.name) > 0 && strlen(help.help) > 0);
        assert_true(strlen(help.kind) > 0);
        count++;
    }

    assert_true(count > 20);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_has_account_hosts_and_database),
        cmocka_unit_test(a_url_of_redis_needs_little),
        cmocka_unit_test(options_have_defaults),
        cmocka_unit_test(options_stand_behind_the_url_or_in_it),
        cmocka_unit_test(coredns_has_statements_of_its_own),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(long_words_are_cut_in_messages),
        cmocka_unit_test(files_are_found_from_the_folders),
        cmocka_unit_test(hosts_can_be_replaced),
        cmocka_unit_test(each_option_has_help),
    };

    return cmocka_run_group_tests(tests, NULL, free_options);
}
