#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dns/query.h"
#include "dns/type.h"
#include "dns/writer.h"

#define HEADER(flags, qd, an, ns, ar) "\x12\x34" flags qd an ns ar
#define PLAIN                         HEADER("\1\0", "\0\1", "\0\0", "\0\0", "\0\0")
#define WITH_OPT                      HEADER("\1\0", "\0\1", "\0\0", "\0\0", "\0\1")
#define WITH_TWO                      HEADER("\1\0", "\0\1", "\0\0", "\0\0", "\0\2")
#define QUESTION                      "\3WwW\4test\0\0\1\0\1"
#define TSIG                                                                   \
    "\0\0\372\0\377\0\0\0\0\0\23"                                              \
    "\1a\0\0\0\0\0\0\0\1\x2c\0\0\0\0\0\0\0\0"
#define OPT "\0\0\51\4\xd0\0\0\x80\0\0\0"

/* A literal's octets, its last NUL not among them. */
#define PARSE(query, text, rcode) parse(query, text, sizeof(text) - 1, rcode)

static dns_status_t
parse(dns_query_t *query, const char *text, size_t size, int *rcode)
{
    /* Behind the packet nothing may be read. */
    static uint8_t *copy;

    free(copy);
    copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    return dns_query_parse(query, copy, size, DNS_OVER_UDP, rcode);
}

static void
parses_a_query(void **state)
{
    (void) state;
    dns_query_t q;
    int rcode;

    assert_int_equal(PARSE(&q, PLAIN QUESTION, &rcode), DNS_OK);
    assert_int_equal(q.id, 0x1234);
    assert_int_equal(q.flags, DNS_FLAG_RD);
    assert_int_equal(q.qtype, DNS_TYPE_A);
    assert_int_equal(q.qclass, DNS_CLASS_IN);
    assert_int_equal(q.question_size, 14);
    assert_int_equal(q.qname.label_count, 2);
    assert_memory_equal(q.qname.octets, "\3www\4test", 10);
    assert_false(q.edns.is_present);
    assert_int_equal(dns_query_response_limit(&q, 1232), 512);
}

static void
parses_edns_rfc6891(void **state)
{
    (void) state;
    dns_query_t q;
    int rcode;

    assert_int_equal(PARSE(&q, WITH_OPT QUESTION OPT, &rcode), DNS_OK);
    assert_true(q.edns.is_present);
    assert_true(q.edns.dnssec_ok);
    assert_int_equal(q.edns.udp_size, 1232);
    assert_int_equal(dns_query_response_limit(&q, 4096), 1232);
    assert_int_equal(dns_query_response_limit(&q, 1000), 1000);
    assert_int_equal(dns_query_response_limit(&q, 100), 512);

    q.edns.udp_size = 100;
    assert_int_equal(dns_query_response_limit(&q, 1232), 512);
    q.transport = DNS_OVER_TCP;
    assert_int_equal(dns_query_response_limit(&q, 1232), 65535);
}

static void
a_copy_borrows_from_its_own_packet(void **state)
{
    static const char packet[] =
        "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x01"
        "a\x00\x00\x01\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x05"
        "\x00\x03\x00\x01x";
    uint8_t octets[sizeof(packet) - 1];
    dns_query_t query, copy;
    int rcode;

    (void) state;
    memcpy(octets, packet, sizeof(octets));
    assert_int_equal(dns_query_parse(&query, (const uint8_t *) packet,
                                     sizeof(octets), DNS_OVER_UDP, &rcode),
                     DNS_OK);
    dns_query_copy(&copy, &query, octets);
    assert_ptr_equal(copy.packet, octets);
    assert_ptr_equal(copy.edns.options, octets + sizeof(octets) - 5);
    assert_int_equal(copy.edns.options_size, 5);
    assert_int_equal(copy.id, 0x1234);
    assert_true(dns_name_equal(copy.qname.octets, query.qname.octets));
    query.edns.options = NULL;
    dns_query_copy(&copy, &query, octets);
    assert_null(copy.edns.options);
}

static void
judges_as_the_other_servers_do(void **state)
{
    (void) state;
    static const struct {
        const char *packet;
        size_t size;
        int rcode; /* 0: a good query */
    } cases[] = {
#define CASE(packet, rcode) {packet, sizeof(packet) - 1, rcode}
        CASE("", -1),
        CASE("\x12\x34\1\0\0\1\0\0\0\0\0", -1),
        CASE(HEADER("\x81\0", "\0\1", "\0\0", "\0\0", "\0\0") QUESTION, -1),

        /* RFC 9619: one question. */
        CASE(HEADER("\1\0", "\0\0", "\0\0", "\0\0", "\0\0"), 1),
        CASE(HEADER("\1\0", "\0\2", "\0\0", "\0\0", "\0\0") QUESTION QUESTION,
             1),
        CASE(PLAIN, 1),
        CASE(PLAIN "\3www", 1),
        CASE(PLAIN "\3www\0\0\1\0", 1),
        CASE(PLAIN "\3www\300\4\0\1\0\1", 1),
        CASE(PLAIN "\300\14\0\1\0\1", 1),
        CASE(PLAIN "\100www\0\0\1\0\1", 1),

        /* Opcodes: IQUERY, STATUS, NOTIFY, UPDATE, 15. */
        CASE(HEADER("\x20\0", "\0\0", "\0\0", "\0\0", "\0\0"), 1),
        CASE(HEADER("\x08\0", "\0\1", "\0\0", "\0\0", "\0\0") QUESTION, 4),
        CASE(HEADER("\x10\0", "\0\0", "\0\0", "\0\0", "\0\0"), 4),
        CASE(HEADER("\x20\0", "\0\1", "\0\0", "\0\0", "\0\0") QUESTION, 5),
        CASE(HEADER("\x28\0", "\0\1", "\0\0", "\0\0", "\0\0") QUESTION, 5),
        CASE(HEADER("\x78\0", "\0\1", "\0\0", "\0\0", "\0\0") QUESTION, 4),

        /* RFC 6891 section 6.1.1 and 6.1.3. */
        CASE(WITH_TWO QUESTION OPT OPT, 1),
        CASE(WITH_OPT QUESTION "\1a" OPT, 1),
        CASE(WITH_OPT QUESTION "\300\14\0\51\4\xd0\0\0\0\0\0\0", 1),
        CASE(WITH_OPT QUESTION "\0\0\51\4\xd0\0\1\0\0\0\0", 16),
        CASE(WITH_OPT QUESTION "\0\0\51\4\xd0\0\0\0\0\0\4\0\3\0\1", 1),
        CASE(WITH_OPT QUESTION "\0\0\51\4\xd0\0\0\0\0\0\3\0\3\0", 1),
        CASE(WITH_OPT QUESTION "\0\0\51\4\xd0\0\0\0\0\0\4\0\3\0\0", 0),
        CASE(WITH_OPT QUESTION "\0\0\51\4\xd0\0\0\x7f\xff\0\6\xff\xfe\0\2xy",
             0),
        CASE(HEADER("\1\0", "\0\1", "\0\1", "\0\0", "\0\0") QUESTION OPT, 1),
        CASE(WITH_OPT QUESTION, 1),
        CASE(WITH_OPT QUESTION "\0\0\51\4\xd0\0\0\0\0\0", 1),

        /* RFC 7873 section 5.2.2: the size of a cookie. */
        CASE(WITH_OPT QUESTION "\0\0\51\4\xd0\0\0\0\0\0\14\0\12\0\10"
                               "12345678",
             0),
        CASE(WITH_OPT QUESTION "\0\0\51\4\xd0\0\0\0\0\0\13\0\12\0\7"
                               "1234567",
             1),

        /* RFC 8945 sections 4.2 and 5.1: TSIG is whole, and the last; 5.2.1:
           its key is not known. */
        CASE(WITH_OPT QUESTION TSIG, 9),
        CASE(WITH_TWO QUESTION TSIG OPT, 1),
        CASE(WITH_OPT QUESTION "\0\0\372\0\377\0\0\0\0\0\0", 1),

        /* Octets behind the message are ignored. */
        CASE(PLAIN QUESTION "garbage", 0),
#undef CASE
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        dns_query_t q;
        int rcode;
        dns_status_t status = parse(&q, cases[i].packet, cases[i].size, &rcode);

        if (rcode != cases[i].rcode) {
            fail_msg("case %zu: rcode %d", i, rcode);
        }

        assert_int_equal(status, rcode == 0 ? DNS_OK : DNS_EMALFORMED);

        if (rcode > 0) {
            uint8_t out[DNS_QUERY_ERROR_MAX];
            size_t size = dns_query_error(&q, rcode, out);

            assert_in_range(size, 12, sizeof(out));
            assert_memory_equal(out, "\x12\x34", 2);
            assert_int_equal(out[2] & 0x80, 0x80);
            assert_int_equal(out[3] & 15, rcode & 15);
        }
    }
}

static void
builds_errors_with_the_question_and_opt(void **state)
{
    (void) state;
    dns_query_t q;
    uint8_t out[DNS_QUERY_ERROR_MAX];
    int rcode;
    static const char expected[] =
        "\x12\x34\x81\0\0\1\0\0\0\0\0\1" QUESTION "\0\0\51\4\xd0\1\0\x80\0\0\0";

    assert_int_equal(PARSE(&q,
                           HEADER("\1\x30", "\0\1", "\0\0", "\0\0", "\0\1")
                               QUESTION "\0\0\51\4\xd0\0\1\x80\0\0\0",
                           &rcode),
                     DNS_EMALFORMED);
    assert_int_equal(rcode, DNS_RCODE_BADVERS);
    assert_int_equal(dns_query_error(&q, rcode, out), sizeof(expected) - 1);
    assert_memory_equal(out, expected, sizeof(expected) - 1);
}

static void
explains_errors_to_who_has_edns(void **state)
{
    (void) state;
    dns_query_t q;
    uint8_t out[DNS_QUERY_ERROR_MAX];
    int rcode;
    static const char with[] = "\0\0\51\4\xd0\0\0\0\0\0\6\0\17\0\2\0\24";

    assert_int_equal(PARSE(&q,
                           HEADER("\1\0", "\0\1", "\0\0", "\0\0", "\0\1")
                               QUESTION "\0\0\51\4\xd0\0\0\0\0\0\0",
                           &rcode),
                     DNS_OK);
    size_t size = dns_query_error_explained(&q, DNS_RCODE_REFUSED,
                                            DNS_EDE_NOT_AUTHORITATIVE, out);
    assert_memory_equal(out + size - (sizeof(with) - 1), with,
                        sizeof(with) - 1);

    assert_int_equal(
        PARSE(&q, HEADER("\1\0", "\0\1", "\0\0", "\0\0", "\0\0") QUESTION,
              &rcode),
        DNS_OK);
    assert_int_equal(dns_query_error_explained(&q, DNS_RCODE_REFUSED,
                                               DNS_EDE_NOT_AUTHORITATIVE, out),
                     dns_query_error(&q, DNS_RCODE_REFUSED, out));
}

static double
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

/* Not a limit that can fail on a busy machine: the figure is printed. */
static void
measures_a_query_and_its_answer(void **state)
{
    (void) state;
    enum { ROUNDS = 200000 };
    static const char packet[] = WITH_OPT "\3www\7example\4test\0\0\1\0\1" OPT;
    static const char a[] = "\4\0\xc0\0\2\1";
    static const char ns[] = "\22\0\2n1\7example\4test\0";
    dns_rrset_t answer = {.type = 1,
                          .count = 1,
                          .ttl = 60,
                          .size = 6,
                          .rdata = (const uint8_t *) a};
    dns_rrset_t authority = {.type = 2,
                             .count = 1,
                             .ttl = 60,
                             .size = sizeof(ns),
                             .rdata = (const uint8_t *) ns};
    static uint8_t out[1232];
    static dns_writer_t w;
    dns_query_t q;
    int rcode;
    double times[3] = {now_ns()};
    unsigned sum = 0;

    for (int i = 0; i < ROUNDS; i++) {
        sum += dns_query_parse(&q, (const uint8_t *) packet, sizeof(packet) - 1,
                               DNS_OVER_UDP, &rcode) == DNS_OK;
    }

    times[1] = now_ns();

    for (int i = 0; i < ROUNDS; i++) {
        dns_writer_init(&w, out, sizeof(out));
        dns_writer_put_header(&w, q.id, DNS_FLAG_QR);
        sum += dns_writer_put_question(&w, q.packet + DNS_HEADER_SIZE, 1, 1) ==
               DNS_OK;
        sum += dns_writer_put_rrset(&w, DNS_ANSWER, q.qname.octets,
                                    DNS_QUESTION_AT, &answer) == DNS_OK;
        sum += dns_writer_put_opt(&w, &(dns_writer_opt_t){.udp_size = 1232}) ==
               DNS_OK;
    }

    times[2] = now_ns();

    for (int i = 0; i < ROUNDS; i++) {
        dns_writer_init(&w, out, sizeof(out));
        sum += dns_writer_put_question(&w, q.packet + DNS_HEADER_SIZE, 1, 1) ==
               DNS_OK;
        sum += dns_writer_put_rrset(&w, DNS_AUTHORITY,
                                    dns_name_suffix(&q.qname, 2), 0,
                                    &authority) == DNS_OK;
    }

    assert_int_equal(sum, ROUNDS * 6);
    print_message("parse %.1f ns, answer with A and OPT %.1f ns, "
                  "with NS by hash %.1f ns\n",
                  (times[1] - times[0]) / ROUNDS,
                  (times[2] - times[1]) / ROUNDS,
                  (now_ns() - times[2]) / ROUNDS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_a_query),
        cmocka_unit_test(parses_edns_rfc6891),
        cmocka_unit_test(a_copy_borrows_from_its_own_packet),
        cmocka_unit_test(judges_as_the_other_servers_do),
        cmocka_unit_test(builds_errors_with_the_question_and_opt),
        cmocka_unit_test(explains_errors_to_who_has_edns),
        cmocka_unit_test(measures_a_query_and_its_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
