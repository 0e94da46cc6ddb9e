#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "dns/message.h"
#include "dns/relay.h"
#include "dns/type.h"
#include "dns/writer.h"
#include "names.h"

enum { MESSAGE_SIZE = 4096, TTL = 60 };

static const uint8_t address[4] = {192, 0, 2, 1};

typedef struct {
    uint8_t wire[MESSAGE_SIZE];
    dns_writer_t w;
} made_t;

/* A response to a question for the name's A. */
static void
begin(made_t *made, const char *name, uint16_t flags)
{
    const dns_name_t question = name_of(name);

    dns_writer_init(&made->w, made->wire, sizeof(made->wire));
    dns_writer_put_header(&made->w, 7, DNS_FLAG_QR | flags);
    assert_int_equal(dns_writer_put_question(&made->w, question.octets,
                                             DNS_TYPE_A, DNS_CLASS_IN),
                     DNS_OK);
}

static void
put(made_t *made, dns_section_t section, const char *owner, uint16_t type,
    const void *rdata, size_t size)
{
    const dns_name_t name = name_of(owner);
    const dns_writer_record_t record = {.owner = name.octets,
                                        .type = type,
                                        .class_ = DNS_CLASS_IN,
                                        .ttl = TTL,
                                        .rdata = rdata,
                                        .rdata_size = (uint16_t) size};

    assert_int_equal(dns_writer_put_record(&made->w, section, &record), DNS_OK);
}

static void
put_address(made_t *made, dns_section_t section, const char *owner)
{
    put(made, section, owner, DNS_TYPE_A, address, sizeof(address));
}

static void
put_alias(made_t *made, const char *owner, const char *target)
{
    const dns_name_t name = name_of(target);

    put(made, DNS_ANSWER, owner, DNS_TYPE_CNAME, name.octets, name.size);
}

static void
put_soa(made_t *made, const char *owner)
{
    static const uint8_t rdata[22] = {0};

    put(made, DNS_AUTHORITY, owner, DNS_TYPE_SOA, rdata, sizeof(rdata));
}

static dns_relay_part_t
part_of(const made_t *made)
{
    return (dns_relay_part_t){.wire = made->wire, .size = made->w.used};
}

/* A client's question for A, in the letters as given; EDNS: with_opt. */
static dns_query_t
query_for(const char *name, bool with_opt)
{
    static uint8_t packet[512];
    static const dns_writer_opt_t opt = {.udp_size = 1232};
    uint8_t wire[DNS_NAME_MAX];
    dns_writer_t w;
    dns_query_t query;
    int rcode;

    assert_int_equal(dns_name_from_text(wire, name, strlen(name), NULL, NULL),
                     DNS_OK);
    dns_writer_init(&w, packet, sizeof(packet));
    dns_writer_put_header(&w, 9, DNS_FLAG_RD);
    assert_int_equal(
        dns_writer_put_question(&w, wire, DNS_TYPE_A, DNS_CLASS_IN), DNS_OK);
    if (with_opt) {
        assert_int_equal(dns_writer_put_opt(&w, &opt), DNS_OK);
    }
    assert_int_equal(
        dns_query_parse(&query, packet, w.used, DNS_OVER_UDP, &rcode), DNS_OK);
    return query;
}

/* Its records as "section owner type", one behind the other. */
static const char *
records_of(const uint8_t *wire, size_t size)
{
    static char text[2048];
    char owner[DNS_NAME_TEXT_SIZE];
    dns_message_t m;
    dns_message_record_t record;
    dns_status_t status;

    text[0] = '\0';
    assert_int_equal(dns_message_open(&m, wire, size), DNS_OK);
    while ((status = dns_message_next(&m, &record)) == DNS_OK) {
        owner[dns_name_to_text(owner, record.owner)] = '\0';
        const size_t used = strlen(text);

        (void) snprintf(text + used, sizeof(text) - used, "%u %s %u\n",
                        record.section, owner, record.type);
    }
    assert_int_equal(status, DNS_ENOTFOUND);
    return text;
}

static void
follows_aliases(void **state)
{
    (void) state;
    made_t made;
    dns_name_t target;
    const dns_name_t www = name_of("www.test.");
    const dns_name_t far = name_of("far.test.");
    const dns_name_t other = name_of("other.test.");

    begin(&made, "www.test.", 0);
    put_alias(&made, "WWW.test.", "Far.test.");
    put_address(&made, DNS_ANSWER, "far.test.");
    assert_int_equal(
        dns_relay_follow(made.wire, made.w.used, &www, DNS_TYPE_A, &target),
        DNS_FOLLOW_ALIAS);
    assert_int_equal(target.size, far.size);
    assert_memory_equal(target.octets, far.octets, far.size);
    assert_int_equal(
        dns_relay_follow(made.wire, made.w.used, &far, DNS_TYPE_A, &target),
        DNS_FOLLOW_RECORDS);
    assert_int_equal(
        dns_relay_follow(made.wire, made.w.used, &far, DNS_TYPE_AAAA, &target),
        DNS_FOLLOW_NOTHING);
    assert_int_equal(
        dns_relay_follow(made.wire, made.w.used, &www, DNS_TYPE_CNAME, &target),
        DNS_FOLLOW_RECORDS);
    assert_int_equal(
        dns_relay_follow(made.wire, made.w.used, &www, DNS_TYPE_ANY, &target),
        DNS_FOLLOW_RECORDS);
    assert_int_equal(
        dns_relay_follow(made.wire, made.w.used, &other, DNS_TYPE_A, &target),
        DNS_FOLLOW_NOTHING);
    assert_int_equal(dns_relay_follow(made.wire, 5, &www, DNS_TYPE_A, &target),
                     DNS_FOLLOW_NOTHING);
}

static void
an_alias_without_a_target_is_none(void **state)
{
    (void) state;
    made_t made;
    dns_name_t target;
    const dns_name_t www = name_of("www.test.");

    begin(&made, "www.test.", 0);
    put(&made, DNS_ANSWER, "www.test.", 10 /* NULL */, "", 0);
    made.wire[made.w.used - DNS_RECORD_HEADER_SIZE + 1] = DNS_TYPE_CNAME;
    assert_int_equal(
        dns_relay_follow(made.wire, made.w.used, &www, DNS_TYPE_A, &target),
        DNS_FOLLOW_NOTHING);
}

static void
knows_denials(void **state)
{
    (void) state;
    made_t made;

    begin(&made, "www.test.", DNS_RCODE_NXDOMAIN);
    assert_true(dns_relay_is_denial(made.wire, made.w.used));
    begin(&made, "www.test.", 0);
    assert_false(dns_relay_is_denial(made.wire, made.w.used));
    put_soa(&made, "test.");
    assert_true(dns_relay_is_denial(made.wire, made.w.used));
    assert_false(dns_relay_is_denial(made.wire, 3));
}

static void
a_response_gets_the_flags_of_its_client(void **state)
{
    (void) state;
    made_t made;
    const dns_query_t query = query_for("www.test.", true);
    const dns_writer_opt_t badvers = {.udp_size = 1232, .rcode = 16};

    begin(&made, "www.test.",
          DNS_FLAG_AA | DNS_FLAG_AD | DNS_FLAG_CD | DNS_RCODE_NXDOMAIN);
    assert_int_equal(dns_relay_flags(&query, made.wire, made.w.used),
                     DNS_FLAG_QR | DNS_FLAG_RD | DNS_FLAG_RA |
                         DNS_RCODE_NXDOMAIN);
    begin(&made, "www.test.", 0);
    assert_int_equal(dns_writer_put_opt(&made.w, &badvers), DNS_OK);
    assert_int_equal(dns_relay_flags(&query, made.wire, made.w.used),
                     DNS_FLAG_QR | DNS_FLAG_RD | DNS_FLAG_RA |
                         DNS_RCODE_SERVFAIL);
}

static void
joins_the_links_of_a_chain(void **state)
{
    (void) state;
    made_t first;
    made_t last;
    uint8_t out[MESSAGE_SIZE];
    size_t size;
    const dns_query_t query = query_for("Www.test.", false);
    const dns_name_t owners[] = {name_of("www.test.")};
    dns_relay_part_t parts[2];
    dns_relay_t relay = {.parts = parts, .part_count = 2, .flags = 0x8180};

    begin(&first, "www.test.", 0);
    put_alias(&first, "www.test.", "own.zone.");
    put_address(&first, DNS_ANSWER, "own.zone."); /* the zone knows better */
    put_soa(&first, "test.");
    begin(&last, "own.zone.", 0);
    put_address(&last, DNS_ANSWER, "own.zone.");
    put_soa(&last, "zone.");
    put_address(&last, DNS_ADDITIONAL, "ns.zone.");
    parts[0] = part_of(&first);
    parts[0].owners = owners;
    parts[0].owner_count = 1;
    parts[1] = part_of(&last);
    assert_int_equal(dns_relay_write(&query, &relay, out, sizeof(out), &size),
                     DNS_OK);
    assert_string_equal(records_of(out, size), "0 Www.test. 1\n"
                                               "1 Www.test. 5\n"
                                               "1 own.zone. 1\n"
                                               "2 zone. 6\n");
    assert_memory_equal(out, "\0\11\x81\x80", 4);
}

static void
gives_a_renamed_answer_its_name(void **state)
{
    (void) state;
    made_t made;
    uint8_t out[MESSAGE_SIZE];
    size_t size;
    const dns_query_t query = query_for("asked.test.", false);
    const dns_name_t renamed = name_of("looked-up.test.");
    dns_relay_part_t part;
    const dns_relay_t relay = {
        .parts = &part, .part_count = 1, .flags = 0x8180, .renamed = &renamed};

    begin(&made, "looked-up.test.", 0);
    put_address(&made, DNS_ANSWER, "looked-up.test.");
    put_address(&made, DNS_ADDITIONAL, "looked-up.test.");
    part = part_of(&made);
    assert_int_equal(dns_relay_write(&query, &relay, out, sizeof(out), &size),
                     DNS_OK);
    assert_string_equal(records_of(out, size), "0 asked.test. 1\n"
                                               "1 asked.test. 1\n"
                                               "3 looked-up.test. 1\n");
}

static void
leaves_out_what_does_not_fit(void **state)
{
    (void) state;
    made_t made;
    uint8_t out[MESSAGE_SIZE];
    size_t size;
    const dns_query_t plain = query_for("www.test.", false);
    dns_relay_part_t part;
    const dns_relay_t relay = {.parts = &part, .part_count = 1};

    begin(&made, "www.test.", 0);
    put_address(&made, DNS_ANSWER, "www.test.");
    const size_t whole = made.w.used;

    put_address(&made, DNS_ADDITIONAL, "other.test.");
    part = part_of(&made);
    assert_int_equal(dns_relay_write(&plain, &relay, out, whole, &size),
                     DNS_OK);
    assert_int_equal(size, whole);
    assert_int_equal(out[2] & (DNS_FLAG_TC >> 8), 0);
    assert_int_equal(dns_relay_write(&plain, &relay, out, whole - 1, &size),
                     DNS_OK);
    assert_int_equal(out[2] & (DNS_FLAG_TC >> 8), DNS_FLAG_TC >> 8);
    assert_string_equal(records_of(out, size), "0 www.test. 1\n");
}

static void
keeps_the_octets_of_an_opt_free(void **state)
{
    (void) state;
    made_t made;
    uint8_t out[MESSAGE_SIZE];
    size_t size;
    const dns_query_t query = query_for("www.test.", true);
    const dns_writer_opt_t opt = {.udp_size = 1232};
    dns_relay_part_t part;
    const dns_relay_t relay = {.parts = &part, .part_count = 1};

    begin(&made, "www.test.", 0);
    put_address(&made, DNS_ANSWER, "www.test.");
    const size_t whole = made.w.used;

    assert_int_equal(dns_writer_put_opt(&made.w, &opt), DNS_OK);
    part = part_of(&made);
    assert_int_equal(
        dns_relay_write(&query, &relay, out, whole + DNS_OPT_SIZE, &size),
        DNS_OK);
    assert_int_equal(size, whole); /* and the upstream's OPT is not relayed */
    assert_int_equal(
        dns_relay_write(&query, &relay, out, whole + DNS_OPT_SIZE - 1, &size),
        DNS_OK);
    assert_string_equal(records_of(out, size), "0 www.test. 1\n");
}

static void
refuses_what_is_no_message(void **state)
{
    (void) state;
    made_t made;
    uint8_t out[MESSAGE_SIZE];
    size_t size;
    const dns_query_t query = query_for("www.test.", false);
    dns_relay_part_t part = {.wire = (const uint8_t *) "abc", .size = 3};
    const dns_relay_t relay = {.parts = &part, .part_count = 1};

    assert_int_equal(dns_relay_write(&query, &relay, out, sizeof(out), &size),
                     DNS_EMALFORMED);
    begin(&made, "www.test.", 0);
    put_address(&made, DNS_ANSWER, "www.test.");
    part = part_of(&made);
    part.size--;
    assert_int_equal(dns_relay_write(&query, &relay, out, sizeof(out), &size),
                     DNS_EMALFORMED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_aliases),
        cmocka_unit_test(an_alias_without_a_target_is_none),
        cmocka_unit_test(knows_denials),
        cmocka_unit_test(a_response_gets_the_flags_of_its_client),
        cmocka_unit_test(joins_the_links_of_a_chain),
        cmocka_unit_test(gives_a_renamed_answer_its_name),
        cmocka_unit_test(leaves_out_what_does_not_fit),
        cmocka_unit_test(keeps_the_octets_of_an_opt_free),
        cmocka_unit_test(refuses_what_is_no_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
