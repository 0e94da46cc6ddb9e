#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dns/message.h"
#include "dns/rdata.h"
#include "dns/writer.h"

#define HEADER(an) "\x12\x34\x81\x80\0\1\0" an "\0\0\0\0"
#define QUESTION   "\3www\7example\4test\0\0\1\0\1"

static uint8_t rdata[DNS_RDATA_MAX];

/* Reads a message to its end; gives the number of questions and records. */
static dns_status_t
read_all(const void *wire, size_t size, unsigned *count)
{
    dns_message_t m;
    dns_message_record_t record;
    dns_status_t status = dns_message_open(&m, wire, size);

    *count = 0;

    while (status == DNS_OK &&
           (status = dns_message_next(&m, &record)) == DNS_OK) {
        uint16_t rdata_size;

        *count += 1;

        if (record.section != DNS_QUESTION) {
            status = dns_message_rdata(&m, &record, rdata, &rdata_size);
        }
    }

    return status;
}

static void
reads_questions_and_records(void **state)
{
    (void) state;
    static const char wire[] = HEADER("\2") QUESTION
        "\300\20\0\17\0\1\0\0\1\x2c\0\11\0\12\4mail\300\20"
        "\300\14\0\41\0\1\0\0\1\x2c\0\11\0\0\0\0\0\0\0\300\20";
    dns_message_t m;
    dns_message_record_t record;
    uint16_t rdata_size;

    assert_int_equal(
        dns_message_open(&m, (const uint8_t *) wire, sizeof(wire) - 2), DNS_OK);
    assert_int_equal(dns_message_next(&m, &record), DNS_OK);
    assert_int_equal(record.section, DNS_QUESTION);
    assert_memory_equal(record.owner, "\3www\7example\4test", 18);

    assert_int_equal(dns_message_next(&m, &record), DNS_OK);
    assert_int_equal(record.section, DNS_ANSWER);
    assert_int_equal(record.ttl, 300);
    assert_memory_equal(record.owner, "\7example\4test", 14);
    assert_int_equal(dns_message_rdata(&m, &record, rdata, &rdata_size),
                     DNS_OK);
    assert_int_equal(rdata_size, 21);
    assert_memory_equal(rdata, "\0\12\4mail\7example\4test", 21);
    assert_int_equal(dns_message_next(&m, &record), DNS_EMALFORMED);
}

static void
refuses_names_that_do_not_end(void **state)
{
    (void) state;
    static const struct {
        const char *wire;
        size_t size;
    } cases[] = {
#define CASE(name) {HEADER("\0") name, sizeof(HEADER("\0") name) - 1}
        CASE("\300\14\0\1\0\1"),    /* at itself */
        CASE("\1a\300\14\0\1\0\1"), /* a loop */
        CASE("\300\16\0\1\0\1\0"),  /* forwards */
        CASE("\300\4\0\1\0\1"),     /* into the header */
        CASE("\100a\0\0\1\0\1"),    /* label type 01 */
        CASE("\200a\0\0\1\0\1"),    /* label type 10 */
        CASE("\5ab"),               /* cut short */
        CASE("\300"),               /* half a pointer */
        CASE("\1a"),                /* no root */
        CASE("\1a\0\0\1\0"),        /* no class */
#undef CASE
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned count;

        assert_int_equal(read_all(cases[i].wire, cases[i].size, &count),
                         DNS_EMALFORMED);
    }
}

static void
bounds_a_decompressed_name_to_255_octets(void **state)
{
    (void) state;
    uint8_t wire[600] = HEADER("\0");
    size_t at = 12;

    /* Three names in a chain, of 63 and 1, 64 and 1... octets. */
    wire[5] = 1;
    for (int i = 0; i < 3; i++) {
        wire[at++] = 63;
        memset(wire + at, 'x', 63);
        at += 63;
    }

    size_t tail = at;

    wire[at++] = 61;
    memset(wire + at, 'y', 61);
    at += 61;
    wire[at++] = 0;

    dns_message_t m = {.wire = wire, .size = 600};
    uint8_t name[DNS_NAME_MAX];
    size_t end;

    assert_int_equal(dns_message_name(&m, 12, name, &end), DNS_OK);
    assert_int_equal(dns_name_size(name), 255);
    assert_int_equal(end, at);
    wire[tail] = 62;
    wire[at] = 0;
    assert_int_equal(dns_message_name(&m, 12, name, &end), DNS_EMALFORMED);

    /* The same by a pointer. */
    wire[tail] = 61;
    wire[at] = 1;
    wire[at + 1] = 'z';
    wire[at + 2] = 0xc0;
    wire[at + 3] = 12;
    assert_int_equal(dns_message_name(&m, at, name, &end), DNS_EMALFORMED);
}

/* 8,000 pointers in a row, and as many names that begin at the last one: were
   each followed to its end, that would be 40 million steps. */
static void
does_no_quadratic_work_for_chains_of_pointers(void **state)
{
    (void) state;
    static uint8_t wire[65535] = "\0\0\x80\0\0\1\x20\0\0\0\0\0";
    size_t at = 13 + 4;

    for (size_t target = 12; at < 16000; target = at, at += 2) {
        wire[at] = (uint8_t) (0xc0 | target >> 8);
        wire[at + 1] = (uint8_t) target;
    }

    dns_message_t m = {.wire = wire, .size = sizeof(wire)};
    uint8_t name[DNS_NAME_MAX];
    size_t end;
    clock_t from = clock();

    for (int i = 0; i < 8000; i++) {
        assert_int_equal(dns_message_name(&m, at - 2, name, &end),
                         DNS_EMALFORMED);
    }

    assert_true((double) (clock() - from) / CLOCKS_PER_SEC < 0.5);
    assert_int_equal(dns_message_name(&m, 17, name, &end), DNS_OK);
    assert_int_equal(dns_message_name(&m, 17 + 2 * 126, name, &end), DNS_OK);
    assert_int_equal(dns_message_name(&m, 17 + 2 * 127, name, &end),
                     DNS_EMALFORMED);
}

static void
refuses_counts_that_are_too_high(void **state)
{
    (void) state;
    static const char wire[] =
        HEADER("\2") QUESTION "\300\14\0\1\0\1\0\0\1\x2c\0\4\xc0\0\2\1";
    unsigned count;

    assert_int_equal(read_all(wire, sizeof(wire) - 1, &count), DNS_EMALFORMED);
    assert_int_equal(count, 2);
    assert_int_equal(read_all(wire, 11, &count), DNS_EMALFORMED);

    /* Cut anywhere, it is never whole. */
    for (size_t size = 0; size < sizeof(wire) - 1; size++) {
        uint8_t *copy = malloc(size + 1);

        assert_non_null(copy);
        memcpy(copy, wire, size);
        assert_int_equal(read_all(copy, size, &count), DNS_EMALFORMED);
        free(copy);
    }
}

/* RFC 3597 section 4: names of these types may come compressed. */
static void
decompresses_rdata_of_known_types(void **state)
{
    (void) state;
    static const struct {
        uint16_t type;
        const char *rdata;
        size_t size;
        const char *expected;
        size_t expected_size;
    } cases[] = {
        {DNS_TYPE_NS, "\300\14", 2, "\1a\1b", 5},
        {DNS_TYPE_SRV, "\0\1\0\2\0\3\300\16", 8, "\0\1\0\2\0\3\1b", 9},
        {DNS_TYPE_RP, "\300\14\1x\300\16", 6, "\1a\1b\0\1x\1b", 10},
        {DNS_TYPE_NAPTR, "\0\1\0\2\1s\0\0\300\14", 10, "\0\1\0\2\1s\0\0\1a\1b",
         13},
        {DNS_TYPE_A, "\300\14\1\2", 4, "\300\14\1\2", 4},
        {65280, "\300\14", 2, "\300\14", 2},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t wire[128] = "\0\0\x80\0\0\1\0\1\0\0\0\0\1a\1b\0\0\1\0\1";
        dns_message_t m;
        dns_message_record_t record;
        uint16_t size;

        wire[21] = 0;
        wire[22] = (uint8_t) (cases[i].type >> 8);
        wire[23] = (uint8_t) cases[i].type;
        wire[25] = 1;
        wire[31] = (uint8_t) cases[i].size;
        memcpy(wire + 32, cases[i].rdata, cases[i].size);
        assert_int_equal(dns_message_open(&m, wire, 32 + cases[i].size),
                         DNS_OK);
        assert_int_equal(dns_message_next(&m, &record), DNS_OK);
        assert_int_equal(dns_message_next(&m, &record), DNS_OK);
        assert_int_equal(dns_message_rdata(&m, &record, rdata, &size), DNS_OK);
        assert_int_equal(size, cases[i].expected_size);
        assert_memory_equal(rdata, cases[i].expected, size);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_questions_and_records),
        cmocka_unit_test(refuses_names_that_do_not_end),
        cmocka_unit_test(bounds_a_decompressed_name_to_255_octets),
        cmocka_unit_test(does_no_quadratic_work_for_chains_of_pointers),
        cmocka_unit_test(refuses_counts_that_are_too_high),
        cmocka_unit_test(decompresses_rdata_of_known_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
