#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dns/rdata_text.h"
#include "dns/type.h"
#include "store/records.h"

enum { TEXT_SIZE = 1 << 16 };

static int
setup(void **state)
{
    store_records_t *records;

    assert_int_equal(store_records_new(&records), DNS_OK);
    *state = records;
    return 0;
}

static int
teardown(void **state)
{
    store_records_free(*state);
    return 0;
}

/* "TTL TYPE rdata\n" behind what is in out. */
static void
print_record(char *out, const store_record_t *record)
{
    size_t used = strlen(out);
    char type[32];
    size_t length;

    dns_type_to_text(type, record->type);
    used += (size_t) snprintf(out + used, TEXT_SIZE - used, "%u %s ",
                              record->ttl, type);
    assert_int_equal(dns_rdata_to_text(record->type, &record->rdata, out + used,
                                       TEXT_SIZE - used, &length),
                     DNS_OK);
    strcat(out, "\n");
}

static const char *
row_text(store_records_t *records, const store_row_t *row)
{
    static char text[TEXT_SIZE];
    store_record_t record;
    const char *reason = "none";
    dns_status_t status =
        store_records_from_row(records, row, &record, &reason);

    text[0] = '\0';

    if (status == DNS_OK) {
        print_record(text, &record);
    } else {
        snprintf(text, sizeof(text), "%s: %s", dns_status_text(status), reason);
    }

    return text;
}

static dns_status_t
row_status(store_records_t *records, const store_row_t *row)
{
    store_record_t record;
    const char *reason = NULL;
    dns_status_t status =
        store_records_from_row(records, row, &record, &reason);

    assert_true(status == DNS_ENOTFOUND || reason != NULL);
    return status;
}

#define CHECK_STATUS(expected, ...)                                            \
    assert_int_equal(row_status(*state, &(store_row_t){__VA_ARGS__}), expected)

#define ROW_OF(t, c)                                                           \
    .type = (t), .type_size = strlen(t), .content = (c),                       \
    .content_size = strlen(c)
#define ROW(t, c) ROW_OF(t, c), .has_ttl = true, .ttl = 60

#define CHECK_ROW(expected, ...)                                               \
    assert_string_equal(row_text(*state, &(store_row_t){__VA_ARGS__}), expected)

static void
reads_rows_of_the_generic_schema(void **state)
{
    CHECK_ROW("60 A 192.0.2.1\n", ROW("A", "192.0.2.1"));
    CHECK_ROW("60 NS ns1.example.test.\n", ROW("NS", "ns1.example.test"));
    CHECK_ROW("60 MX 10 mail.example.test.\n", ROW("MX", "mail.example.test"),
              .has_prio = true, .prio = 10);
    CHECK_ROW("60 SRV 5 0 5060 sip.example.test.\n",
              ROW("SRV", "0 5060 sip.example.test"), .has_prio = true,
              .prio = 5);
    CHECK_ROW("60 SOA ns1.example.test. host.example.test. 1 2 3 4 5\n",
              ROW("SOA", "ns1.example.test host.example.test 1 2 3 4 5"),
              .has_prio = true, .prio = 0);
    CHECK_ROW("60 TXT \"v=spf1 -all\"\n", ROW("TXT", "\"v=spf1 -all\""));
    CHECK_ROW("3600 A 192.0.2.1\n", ROW_OF("a", "192.0.2.1"));
}

static void
takes_a_priority_that_stands_in_the_content(void **state)
{
    CHECK_ROW("60 MX 20 m.example.test.\n", ROW("MX", "20 m.example.test"),
              .has_prio = true, .prio = 0);
    CHECK_ROW("60 MX 20 m.example.test.\n", ROW("MX", "20 m.example.test"));
}

static void
takes_types_as_numbers(void **state)
{
    CHECK_ROW("60 A 192.0.2.1\n", ROW("1", "192.0.2.1"));
    CHECK_ROW("60 AAAA 2001:db8::1\n", ROW("28", "2001:db8::1"));
    CHECK_ROW("60 TYPE65280 \\# 1 00\n", ROW("65280", "\\# 1 00"));
    CHECK_STATUS(DNS_EMALFORMED, ROW("65536", "x"));
}

static void
keeps_a_text_without_quotes_together(void **state)
{
    char text[301];
    char expected[400];

    CHECK_ROW("60 TXT \"v=spf1 a -all\"\n", ROW("TXT", "v=spf1 a -all"));
    CHECK_ROW("60 TXT \"a;b \\\"c\\\" d\"\n", ROW("TXT", "a;b \"c\" \\d"));
    memset(text, 'x', 300);
    text[300] = '\0';
    snprintf(expected, sizeof(expected), "60 TXT \"%.255s\" \"%.45s\"\n", text,
             text);
    CHECK_ROW(expected, ROW("TXT", text));
}

static void
cuts_long_strings(void **state)
{
    char text[1100];
    char expected[1200];
    char a[600];

    memset(a, 'a', sizeof(a));
    snprintf(text, sizeof(text), "\"%.300s\" \"b\"", a);
    snprintf(expected, sizeof(expected), "60 TXT \"%.255s\" \"%.45s\" \"b\"\n",
             a, a);
    CHECK_ROW(expected, ROW("TXT", text));
    snprintf(text, sizeof(text), "\"%.255s\"", a);
    snprintf(expected, sizeof(expected), "60 TXT \"%.255s\"\n", a);
    CHECK_ROW(expected, ROW("TXT", text));
    snprintf(text, sizeof(text), "\"%.510s\\120\"", a);
    snprintf(expected, sizeof(expected), "60 SPF \"%.255s\" \"%.255s\" \"x\"\n",
             a, a);
    CHECK_ROW(expected, ROW("SPF", text));
}

static void
reads_contents_as_powerdns_does(void **state)
{
    CHECK_ROW("60 TXT \"a;b\"\n", ROW("TXT", "a\\;b"));
    CHECK_ROW("60 TXT \"a\\\\b\"\n", ROW("TXT", "a\\\\b"));
    CHECK_ROW("60 TXT \"A,\"\n", ROW("TXT", "\\065\\300"));
    CHECK_ROW("60 TXT \"x\\\\25\"\n", ROW("TXT", "x\\25"));
    CHECK_ROW("60 TXT \"end\\\\\"\n", ROW("TXT", "end\\"));
    CHECK_ROW("60 TXT \"a\" \"b\"\n", ROW("TXT", "\"a\"\"b\" "));
    CHECK_ROW("60 TXT \"new\\010line\"\n", ROW("TXT", "\"new\nline\""));
    CHECK_ROW("60 TXT \"# 1 00\"\n", ROW("TXT", "\\# 1 00"));
    CHECK_ROW("60 A 192.0.2.10\n", ROW("A", "192.00.02.010"));
    CHECK_ROW("60 CNAME \\@.\n", ROW("CNAME", "@"));
    CHECK_ROW("60 MX 10 \\@.\n", ROW("MX", "@"), .has_prio = true, .prio = 10);
    CHECK_ROW("60 HINFO \"i386\" \"\"\n", ROW("HINFO", "i386"));
    CHECK_ROW("60 HTTPS 1 x.test. alpn=\"h2\"\n",
              ROW("HTTPS", "1 x.test ipv4hint=auto alpn=h2 ipv6hint=auto"));
}

static void
says_why_a_row_is_not_served(void **state)
{
    char *longest = malloc(STORE_CONTENT_MAX + 2);

    CHECK_STATUS(DNS_ENOTFOUND, .content = "x", .content_size = 1);
    CHECK_STATUS(DNS_EUNKNOWN, ROW("LUA", "A \"pickrandom({'192.0.2.1'})\""));
    CHECK_STATUS(DNS_EUNKNOWN, ROW("ALIAS", "x.test"));
    CHECK_STATUS(DNS_EMALFORMED, ROW("A", "192.0.2.256"));
    CHECK_STATUS(DNS_EMALFORMED, ROW("A", "192.0.2.1\n192.0.2.2"));
    CHECK_STATUS(DNS_EMALFORMED, ROW("A", ""));
    CHECK_STATUS(DNS_EMALFORMED, ROW("NONSENSE", "x"));
    CHECK_STATUS(DNS_EMALFORMED, ROW("OPT", "\\# 0"));
    CHECK_STATUS(DNS_EMALFORMED, ROW("41", "\\# 0"));
    CHECK_STATUS(DNS_EMALFORMED, ROW("TYPE0", "\\# 0"));
    CHECK_STATUS(DNS_EMALFORMED, ROW("TYPE250", "\\# 0"));
    CHECK_STATUS(DNS_EMALFORMED, ROW("ANY", "\\# 0"));
    CHECK_STATUS(DNS_EMALFORMED, .type = "A", .type_size = 1);
    CHECK_STATUS(DNS_EMALFORMED, ROW("MX", "mail.test"), .has_prio = true,
                 .prio = 65536);
    memset(longest, 'x', STORE_CONTENT_MAX + 1);
    longest[STORE_CONTENT_MAX + 1] = '\0';
    CHECK_STATUS(DNS_ELIMIT, ROW("TXT", longest));
    free(longest);
}

static void
bounds_the_ttl(void **state)
{
    CHECK_ROW("0 A 192.0.2.1\n", ROW_OF("A", "192.0.2.1"), .has_ttl = true,
              .ttl = -1);
    CHECK_ROW("0 A 192.0.2.1\n", ROW_OF("A", "192.0.2.1"), .has_ttl = true,
              .ttl = 0x80000000);
    CHECK_ROW("2147483647 A 192.0.2.1\n", ROW_OF("A", "192.0.2.1"),
              .has_ttl = true, .ttl = 0x7fffffff);
}

static void
collect(void *data, const store_record_t *record, const char *reason)
{
    char *text = data;

    if (record == NULL) {
        strcat(strcat(strcat(text, "! "), reason), "\n");
        return;
    }

    print_record(text, record);
}

static const char *
json_text(store_records_t *records, const char *text)
{
    static char out[TEXT_SIZE];
    store_json_t json = {.text = text,
                         .size = strlen(text),
                         .serial = 7,
                         .visit = collect,
                         .data = out};

    out[0] = '\0';
    (void) !store_records_from_json(records, &json);
    return out;
}

static void
reads_the_fields_of_a_zone_in_redis(void **state)
{
    assert_string_equal(
        json_text(*state,
                  "{\"a\":[{\"ttl\":300,\"ip\":\"192.0.2.1\"},"
                  "{\"ip\":\"192.0.2.2\"}],"
                  "\"aaaa\":[{\"ttl\":5,\"ip\":\"2001:db8::1\"}],"
                  "\"txt\":[{\"ttl\":5,\"text\":\"say \\\"hi\\\" ; now\"}],"
                  "\"ns\":[{\"ttl\":5,\"host\":\"ns1.example.test.\"}],"
                  "\"mx\":[{\"ttl\":5,\"host\":\"m.test.\",\"preference\":1},"
                  "{\"ttl\":5,\"host\":\"n.test.\",\"priority\":2}],"
                  "\"srv\":[{\"ttl\":5,\"priority\":1,\"weight\":2,"
                  "\"port\":3,\"target\":\"s.test.\"}],"
                  "\"caa\":[{\"ttl\":5,\"flag\":0,\"tag\":\"issue\","
                  "\"value\":\"ca.test\"}]}"),
        "300 A 192.0.2.1\n360 A 192.0.2.2\n5 AAAA 2001:db8::1\n"
        "5 TXT \"say \\\"hi\\\" ; now\"\n5 NS ns1.example.test.\n"
        "5 MX 1 m.test.\n5 MX 2 n.test.\n5 SRV 1 2 3 s.test.\n"
        "5 CAA 0 issue \"ca.test\"\n");
}

static void
gives_a_soa_the_serial_of_the_store(void **state)
{
    assert_string_equal(json_text(*state,
                                  "{\"soa\":{\"ttl\":9,\"minttl\":5,"
                                  "\"MBox\":\"h.test.\",\"ns\":\"n.test.\","
                                  "\"refresh\":1,\"retry\":2,\"expire\":3}}"),
                        "9 SOA n.test. h.test. 7 1 2 3 5\n");
    assert_string_equal(json_text(*state,
                                  "{\"soa\":{\"ttl\":9,\"minttl\":5,"
                                  "\"mbox\":\"h.test.\",\"ns\":\"n.test.\","
                                  "\"refresh\":1,\"retry\":2,\"expire\":3,"
                                  "\"serial\":42}}"),
                        "9 SOA n.test. h.test. 42 1 2 3 5\n");
}

static void
reads_other_types_as_text(void **state)
{
    assert_string_equal(
        json_text(*state, "{\"rr\":[{\"type\":\"TLSA\",\"ttl\":8,"
                          "\"data\":\"3 1 1 00ff\"},"
                          "{\"type\":\"TYPE65280\",\"data\":\"\\\\# 1 00\"}]}"),
        "8 TLSA 3 1 1 00ff\n360 TYPE65280 \\# 1 00\n");
}

/* What people and other programs write, and the plugin's Go code takes. */
static void
reads_json_as_people_write_it(void **state)
{
    assert_string_equal(
        json_text(*state,
                  "{\"A\":{\"TTL\":\"300\",\"IP\":\"192.0.2.1\"},"
                  "\"aaaa\":[{\"ttl\":\" 7 \",\"ip\":\"::1\"}],"
                  "\"txt\":[{\"ttl\":0,\"text\":\"a\"},"
                  "{\"ttl\":5.0,\"text\":[\"b\",\"c\"]},"
                  "{\"ttl\":null,\"text\":12}],"
                  "\"Mx\":[{\"ttl\":5,\"host\":\"m.test.\","
                  "\"preference\":\"10\"},{\"ttl\":5,\"host\":\"n.test.\"}],"
                  "\"srv\":[{\"ttl\":5,\"target\":\"s.test.\",\"port\":\"53\","
                  "\"weight\":null}],"
                  "\"caa\":[{\"ttl\":5,\"tag\":\"issue\",\"value\":\"x\"}],"
                  "\"ns\":null,\"cname\":[null],\"ptr\":[],\"rr\":null}"),
        "300 A 192.0.2.1\n7 AAAA ::1\n0 TXT \"a\"\n5 TXT \"b\" \"c\"\n"
        "360 TXT \"12\"\n5 MX 10 m.test.\n5 MX 0 n.test.\n"
        "5 SRV 0 0 53 s.test.\n5 CAA 0 issue \"x\"\n");
    assert_string_equal(
        json_text(*state, "{\"soa\":{\"ns\":\"n.\",\"mbox\":\"h.\","
                          "\"refresh\":\"44\",\"minttl\":\"9\"},"
                          "\"a\":[{\"ttl\":\"5m\",\"ip\":\"192.0.2.1\"}]}"),
        "360 SOA n. h. 7 44 0 0 9\n! A: ttl\n360 A 192.0.2.1\n");
    /* The plugin makes one up. */
    assert_string_equal(json_text(*state, "{\"soa\":{\"ttl\":300}}"), "");
}

static void
leaves_out_only_what_is_wrong(void **state)
{
    assert_string_equal(
        json_text(*state, "{\"a\":[{\"ip\":\"nonsense\"},{\"ip\":1},{},"
                          "{\"ip\":\"192.0.2.1\"},3,null],"
                          "\"what\":[{}],\"rr\":[{\"type\":1}]}"),
        "! A: an IPv4 address such as 192.0.2.1\n! A: an IPv4 address such as "
        "192.0.2.1\n! A: ip\n"
        "360 A 192.0.2.1\n! A: not an object\n"
        "! what: no such type\n! rr: type and data are texts\n");
    assert_non_null(strstr(json_text(*state, "{\"a\":["), "! JSON: "));
    assert_string_equal(json_text(*state, "[]"), "! JSON: not an object\n");
    /* A word cannot become two fields. */
    assert_string_equal(
        json_text(*state, "{\"mx\":[{\"preference\":1,\"host\":\"a b\"}]}"),
        "! MX: host\n");
}

static void
reads_rows_with_an_object(void **state)
{
    char out[TEXT_SIZE] = "";
    store_row_t row = {.type = "MX", .type_size = 2, .has_ttl = true, .ttl = 0};
    const char *text = "{\"host\":\"m.test.\",\"preference\":10}";
    store_json_t json = {
        .text = text, .size = strlen(text), .visit = collect, .data = out};

    assert_int_equal(store_records_from_json_row(*state, &row, &json), DNS_OK);
    row.ttl = 33;
    assert_int_equal(store_records_from_json_row(*state, &row, &json), DNS_OK);
    row.type = "??";
    assert_int_equal(store_records_from_json_row(*state, &row, &json),
                     DNS_EUNKNOWN);
    assert_string_equal(out, "360 MX 10 m.test.\n33 MX 10 m.test.\n"
                             "! record_type: no such type\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_rows_of_the_generic_schema),
        TEST(takes_a_priority_that_stands_in_the_content),
        TEST(takes_types_as_numbers),
        TEST(keeps_a_text_without_quotes_together),
        TEST(cuts_long_strings),
        TEST(reads_contents_as_powerdns_does),
        TEST(says_why_a_row_is_not_served),
        TEST(bounds_the_ttl),
        TEST(reads_the_fields_of_a_zone_in_redis),
        TEST(gives_a_soa_the_serial_of_the_store),
        TEST(reads_other_types_as_text),
        TEST(reads_json_as_people_write_it),
        TEST(leaves_out_only_what_is_wrong),
        TEST(reads_rows_with_an_object),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
