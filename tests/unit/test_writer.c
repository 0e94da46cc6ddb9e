#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dns/name.h"
#include "dns/writer.h"

static uint8_t message[DNS_MESSAGE_MAX];

static void
put(dns_writer_t *w, const char *name)
{
    assert_int_equal(
        dns_writer_put_name(w, (const uint8_t *) name, DNS_COMPRESS), DNS_OK);
}

/* The four names of the example in RFC 1035 section 4.1.4. */
static void
writes_the_example_of_rfc1035_section_4_1_4(void **state)
{
    (void) state;
    dns_writer_t w;

    dns_writer_init(&w, message, 128);
    w.used = 20;
    put(&w, "\1F\3ISI\4ARPA");
    w.used = 40;
    put(&w, "\3FOO\1F\3ISI\4ARPA");
    w.used = 64;
    put(&w, "\4ARPA");
    w.used = 92;
    put(&w, "");
    assert_memory_equal(message + 20, "\1F\3ISI\4ARPA", 12);
    assert_memory_equal(message + 40, "\3FOO\300\24", 6);
    assert_memory_equal(message + 64, "\300\32", 2);
    assert_int_equal(message[92], 0);
    assert_int_equal(w.used, 93);
}

/* Neither uses a pointer nor serves as the target of one. */
static void
keeps_a_literal_name_apart_rfc3597_section_4(void **state)
{
    (void) state;
    dns_writer_t w;

    dns_writer_init(&w, message, 128);
    put(&w, "\2ab\1c");
    assert_int_equal(
        dns_writer_put_name(&w, (const uint8_t *) "\1d\1c", DNS_LITERAL),
        DNS_OK);
    assert_memory_equal(message + 18, "\1d\1c", 5);
    put(&w, "\1d\1c");
    assert_memory_equal(message + 23, "\1d\300\17", 4);
}

static void
ignores_letter_case_and_keeps_it_rfc4343(void **state)
{
    (void) state;
    dns_writer_t w;

    dns_writer_init(&w, message, 128);
    put(&w, "\3WwW\2cZ");
    put(&w, "\1X\2Cz");
    put(&w, "\3wWw\2Cz");
    assert_memory_equal(message + 12, "\3WwW\2cZ", 8);
    assert_memory_equal(message + 20, "\1X\300\20\300\14", 6);
    assert_int_equal(w.used, 26);
}

/* RFC 1035 section 4.1.4: an offset has 14 bits. */
static void
points_at_offset_3fff_and_no_further(void **state)
{
    (void) state;
    static dns_writer_t w;

    dns_writer_init(&w, message, sizeof(message));
    w.used = 0x3fff;
    put(&w, "\1a\1b");
    put(&w, "\1a\1b");
    assert_memory_equal(message + 0x3fff + 5, "\377\377", 2);
    put(&w, "\1b");
    assert_memory_equal(message + 0x3fff + 7, "\1b", 3);
}

static const uint8_t owner[] = "\3www\7example\4test";

static dns_rrset_t
rrset(uint16_t type, const char *rdata, uint32_t size, uint16_t count)
{
    return (dns_rrset_t){.type = type,
                         .count = count,
                         .ttl = 300,
                         .size = size,
                         .rdata = (const uint8_t *) rdata};
}

static void
answers_a_question(void **state)
{
    (void) state;
    dns_writer_t w;
    dns_rrset_t a = rrset(DNS_TYPE_A, "\4\0\xc0\0\2\1\4\0\xc0\0\2\2", 12, 2);
    dns_rrset_t mx =
        rrset(DNS_TYPE_MX, "\25\0\0\12\4mail\7Example\4test", 23, 1);
    static const uint8_t expected[] =
        "\x12\x34\x85\0\0\1\0\2\0\1\0\1"
        "\3www\7example\4test\0\0\1\0\1"
        "\300\14\0\1\0\1\0\0\1\x2c\0\4\xc0\0\2\1"
        "\300\14\0\1\0\1\0\0\1\x2c\0\4\xc0\0\2\2"
        "\300\20\0\17\0\1\0\0\1\x2c\0\11\0\12\4mail\300\20"
        "\0\0\51\4\xd0\1\0\x80\0\0\0";

    dns_writer_init(&w, message, 512);
    dns_writer_put_header(&w, 0x1234, DNS_FLAG_QR | DNS_FLAG_RD);
    dns_writer_add_flags(&w, DNS_FLAG_AA);
    assert_int_equal(dns_writer_put_question(&w, owner, 1, 1), DNS_OK);
    assert_int_equal(dns_writer_reserve(&w, DNS_OPT_SIZE), DNS_OK);
    assert_int_equal(
        dns_writer_put_rrset(&w, DNS_ANSWER, owner, DNS_QUESTION_AT, &a),
        DNS_OK);
    assert_int_equal(dns_writer_put_rrset(&w, DNS_AUTHORITY, owner + 4, 0, &mx),
                     DNS_OK);
    dns_writer_release(&w, DNS_OPT_SIZE);
    assert_int_equal(
        dns_writer_put_opt(&w, &(dns_writer_opt_t){.udp_size = 1232,
                                                   .rcode = 16,
                                                   .dnssec_ok = true}),
        DNS_OK);
    assert_int_equal(w.used, sizeof(expected) - 1);
    assert_memory_equal(message, expected, sizeof(expected) - 1);
    assert_int_equal(dns_writer_count(&w, DNS_ANSWER), 2);
}

/* SRV is not of RFC 1035: its name stays whole. */
static void
compresses_rdata_of_rfc1035_types_only(void **state)
{
    (void) state;
    dns_writer_t w;
    dns_rrset_t srv =
        rrset(DNS_TYPE_SRV, "\30\0\0\0\0\0\0\0\3www\7example\4test", 26, 1);
    dns_rrset_t soa = rrset(DNS_TYPE_SOA,
                            "\70\0\3www\7example\4test\0\3www\7example\4test\0"
                            "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5",
                            58, 1);

    dns_writer_init(&w, message, 512);
    assert_int_equal(dns_writer_put_question(&w, owner, 1, 1), DNS_OK);

    uint32_t start = w.used;

    assert_int_equal(dns_writer_put_rrset(&w, DNS_ANSWER, owner, 0, &srv),
                     DNS_OK);
    assert_int_equal(w.used - start, 2 + 10 + 24);
    start = w.used;
    assert_int_equal(dns_writer_put_rrset(&w, DNS_ANSWER, owner, 0, &soa),
                     DNS_OK);
    assert_int_equal(w.used - start, 2 + 10 + 4 + 20);
}

static void
writes_a_set_whole_or_not_at_all(void **state)
{
    (void) state;
    uint8_t before[300];

    for (size_t limit = 12 + 22; limit < 120; limit++) {
        dns_writer_t w;
        dns_rrset_t ns = rrset(DNS_TYPE_NS,
                               "\21\0\2n1\7example\4test\0"
                               "\20\0\2n2\7example\3com",
                               37, 2);

        memset(message, 0xee, sizeof(before));
        dns_writer_init(&w, message, limit);
        assert_int_equal(dns_writer_put_question(&w, owner, 1, 1), DNS_OK);
        memcpy(before, message, sizeof(before));

        uint32_t used = w.used;
        dns_status_t status =
            dns_writer_put_rrset(&w, DNS_ANSWER, owner, 0, &ns);

        if (status == DNS_OK) {
            assert_int_equal(w.used, used + 2 + 10 + 5 + 2 + 10 + 16);
            assert_int_equal(dns_writer_count(&w, DNS_ANSWER), 2);
            assert_in_range(w.used, 0, limit);
        } else {
            assert_int_equal(w.used, used);
            assert_int_equal(dns_writer_count(&w, DNS_ANSWER), 0);
            assert_memory_equal(before, message, used);
            assert_int_equal(message[limit], 0xee);
        }
    }
}

static size_t
read_name(const uint8_t *m, size_t at, uint8_t *out)
{
    size_t size = 0;
    size_t jumps = 0;

    for (;;) {
        if (m[at] >= 0xc0) {
            size_t to = (m[at] & 0x3fu) << 8 | m[at + 1];

            assert_true(to < at && to >= 12 && ++jumps < 128);
            at = to;
            continue;
        }

        memcpy(out + size, m + at, 1u + m[at]);
        size += 1u + m[at];

        if (m[at] == 0) {
            return size;
        }

        at += 1u + m[at];
    }
}

static size_t
random_name(uint8_t *out)
{
    size_t size = 0;

    for (int labels = rand() % 6; labels > 0; labels--) {
        unsigned length = 1u + (unsigned) rand() % (rand() % 9 == 0 ? 40 : 2);

        out[size++] = (uint8_t) length;

        while (length-- > 0) {
            out[size++] = (uint8_t) ((rand() % 2 ? 'a' : 'A') + rand() % 2);
        }
    }

    out[size++] = 0;
    return size;
}

typedef struct {
    size_t at;
    uint8_t name[DNS_NAME_MAX];
    dns_writer_mark_t mark;
} written_t;

static void
check_names(const written_t *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t out[512];

        read_name(message, names[i].at, out);
        assert_true(dns_name_equal(out, names[i].name));
    }
}

static void
reads_back_what_it_wrote_after_rewinds(void **state)
{
    (void) state;
    static dns_writer_t w;
    static written_t names[400];
    unsigned seed = (unsigned) time(NULL);

    printf("seed %u\n", seed);
    srand(seed);

    for (int round = 0; round < 1000; round++) {
        unsigned count = 0;
        size_t limit =
            12 + (unsigned) rand() % (round % 50 == 0 ? 60000 : 1500);

        dns_writer_init(&w, message, limit);

        for (int full = 0; count < 400 && full < 5;) {
            written_t *next = &names[count];

            random_name(next->name);
            next->mark = dns_writer_mark(&w);
            next->at = w.used;

            if (dns_writer_put_name(&w, next->name,
                                    rand() % 4 ? DNS_COMPRESS : DNS_LITERAL) !=
                DNS_OK) {
                assert_int_equal(w.used, next->at);
                full++;
                continue;
            }

            assert_in_range(w.used, next->at + 1, limit);
            count++;

            if (rand() % 20 == 0) {
                count -= 1u + (unsigned) rand() % (count < 9 ? count : 9);
                dns_writer_rewind(&w, &names[count].mark);
                memset(message + w.used, 0xff, limit - w.used);
            }
        }

        check_names(names, count);
    }
}

static double
seconds_for_names(unsigned count)
{
    static dns_writer_t w;
    struct timespec from;
    struct timespec to;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);

    for (int round = 0; round < 20; round++) {
        dns_writer_init(&w, message, sizeof(message));

        for (unsigned i = 0; i < count; i++) {
            char name[64];

            snprintf(name, sizeof(name), "\10%08x\7example\4test", i);
            put(&w, name);
        }
    }

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    return (double) (to.tv_sec - from.tv_sec) +
           (double) (to.tv_nsec - from.tv_nsec) * 1e-9;
}

static void
stays_linear_with_a_thousand_names(void **state)
{
    (void) state;
    double few = seconds_for_names(100);
    double many = seconds_for_names(4000);

    printf("100 names %.1f us, 4000 names %.1f us\n", few * 1e6 / 20,
           many * 1e6 / 20);
    assert_true(many < few * 40 * 10);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_the_example_of_rfc1035_section_4_1_4),
        cmocka_unit_test(keeps_a_literal_name_apart_rfc3597_section_4),
        cmocka_unit_test(ignores_letter_case_and_keeps_it_rfc4343),
        cmocka_unit_test(points_at_offset_3fff_and_no_further),
        cmocka_unit_test(answers_a_question),
        cmocka_unit_test(compresses_rdata_of_rfc1035_types_only),
        cmocka_unit_test(writes_a_set_whole_or_not_at_all),
        cmocka_unit_test(reads_back_what_it_wrote_after_rewinds),
        cmocka_unit_test(stays_linear_with_a_thousand_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
