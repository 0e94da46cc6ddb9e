#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dns/name.h"
#include "dns/rdata.h"
#include "dns/type.h"

#define OCTETS(text) (const uint8_t *) (text), sizeof(text) - 1

/* A copy of the exact size: a sanitizer sees what is read behind it. */
static dns_status_t
check(uint16_t type, const uint8_t *octets, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    assert_non_null(copy);
    memcpy(copy, octets, size);

    dns_status_t status = dns_rdata_check(type, copy, size);

    free(copy);
    return status;
}

static void
accepts_what_is_whole(void **state)
{
    (void) state;

    assert_int_equal(check(DNS_TYPE_A, OCTETS("\1\2\3\4")), DNS_OK);
    assert_int_equal(check(DNS_TYPE_NS, OCTETS("\0")), DNS_OK);
    assert_int_equal(check(DNS_TYPE_TXT, OCTETS("\0\1a")), DNS_OK);
    assert_int_equal(check(DNS_TYPE_HINFO, OCTETS("\0\0")), DNS_OK);
    assert_int_equal(check(DNS_TYPE_NULL, OCTETS("")), DNS_OK);
    assert_int_equal(check(DNS_TYPE_APL, OCTETS("")), DNS_OK);
    assert_int_equal(check(DNS_TYPE_NSEC, OCTETS("\0\0\1\100")), DNS_OK);
    assert_int_equal(check(DNS_TYPE_CAA, OCTETS("\0\5issue")), DNS_OK);
    assert_int_equal(check(65280, OCTETS("anything")), DNS_OK);
    assert_int_equal(check(65280, OCTETS("")), DNS_OK);
}

static void
refuses_what_is_not(void **state)
{
    (void) state;
    static const struct {
        uint16_t type;
        const char *octets;
        size_t size;
    } cases[] = {
#define CASE(type, text) {type, text, sizeof(text) - 1}
        CASE(DNS_TYPE_A, "\1\2\3"),
        CASE(DNS_TYPE_A, "\1\2\3\4\5"),
        CASE(DNS_TYPE_A, ""),
        CASE(DNS_TYPE_AAAA, "0123456789abcde"),
        CASE(DNS_TYPE_NS, ""),
        CASE(DNS_TYPE_NS, "\1a"),
        CASE(DNS_TYPE_NS, "\1a\0\0"),
        CASE(DNS_TYPE_NS, "\300\14"),
        CASE(DNS_TYPE_MX, "\0\1"),
        CASE(DNS_TYPE_MX, "\0"),
        CASE(DNS_TYPE_SOA, "\0\0"
                           "123456789012345678"),
        CASE(DNS_TYPE_SOA, "\0\0"
                           "1234567890123456789"),
        CASE(DNS_TYPE_SOA, "\0\0"
                           "123456789012345678901"),
        CASE(DNS_TYPE_TXT, ""),
        CASE(DNS_TYPE_TXT, "\2a"),
        CASE(DNS_TYPE_TXT, "\1a\1"),
        CASE(DNS_TYPE_HINFO, "\1a"),
        CASE(DNS_TYPE_DS, "\0\1\2\3"),
        CASE(DNS_TYPE_CAA, "\0\0x"),
        CASE(DNS_TYPE_CAA, "\0\2a-"),
        CASE(DNS_TYPE_LOC, "\1"
                           "123456789012345"),

        /* RFC 4034 section 4.1.2: empty, too long, out of order, a zero at
           the end, cut short. */
        CASE(DNS_TYPE_NSEC, "\0\0\0"),
        CASE(DNS_TYPE_NSEC, "\0\0\41"
                            "123456789012345678901234567890123"),
        CASE(DNS_TYPE_NSEC, "\0\1\1\1\0\1\1"),
        CASE(DNS_TYPE_NSEC, "\0\0\1\1\0\1\1"),
        CASE(DNS_TYPE_NSEC, "\0\0\2\1\0"),
        CASE(DNS_TYPE_NSEC, "\0\0\2\1"),
        CASE(DNS_TYPE_NSEC3, "\1\0\0\0\0\0"),

        /* RFC 9460 section 2.2: order, size, known values, mandatory. */
        CASE(DNS_TYPE_SVCB, "\0\1\0\0\3\0\2\0\65\0\1\0\3\2h2"),
        CASE(DNS_TYPE_SVCB, "\0\1\0\0\3\0\2\0\65\0\3\0\2\0\65"),
        CASE(DNS_TYPE_SVCB, "\0\1\0\0\3\0\3\0\65"),
        CASE(DNS_TYPE_SVCB, "\0\1\0\0\3\0\1\65"),
        CASE(DNS_TYPE_SVCB, "\0\1\0\0\4\0\0"),
        CASE(DNS_TYPE_SVCB, "\0\1\0\0\4\0\3\1\2\3"),
        CASE(DNS_TYPE_SVCB, "\0\1\0\0\0\0\2\0\3"),
        CASE(DNS_TYPE_SVCB, "\0\1\0\377\377\0\0"),

        /* RFC 3123: a prefix over 32 bits, a zero at the end. */
        CASE(DNS_TYPE_APL, "\0\1\41\1\1"),
        CASE(DNS_TYPE_APL, "\0\1\10\2\1\0"),
        CASE(DNS_TYPE_APL, "\0\1\10\2\1"),
        CASE(DNS_TYPE_IPSECKEY, "\1\4\1"),
        CASE(DNS_TYPE_IPSECKEY, "\1\1\1\1\2\3"),
        CASE(DNS_TYPE_AMTRELAY, "\1\1\1\2\3\4\5"),
        CASE(DNS_TYPE_HIP, "\1\2\0\1a"),
#undef CASE
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (check(cases[i].type, (const uint8_t *) cases[i].octets,
                  cases[i].size) != DNS_EMALFORMED) {
            fail_msg("case %zu", i);
        }
    }
}

static int
compare(uint16_t type, const char *a, size_t a_size, const char *b,
        size_t b_size)
{
    int order = dns_rdata_compare(type, (const uint8_t *) a, a_size,
                                  (const uint8_t *) b, b_size);
    int back = dns_rdata_compare(type, (const uint8_t *) b, b_size,
                                 (const uint8_t *) a, a_size);

    assert_int_equal((order > 0) - (order < 0), (back < 0) - (back > 0));
    return (order > 0) - (order < 0);
}

#define COMPARE(type, a, b) compare(type, a, sizeof(a) - 1, b, sizeof(b) - 1)

static void
orders_as_rfc4034_section_6_3(void **state)
{
    (void) state;

    assert_int_equal(COMPARE(DNS_TYPE_A, "\1\2\3\4", "\1\2\3\5"), -1);
    assert_int_equal(COMPARE(DNS_TYPE_A, "\200\2\3\4", "\1\2\3\5"), 1);
    assert_int_equal(COMPARE(DNS_TYPE_TXT, "\1a", "\1a\1b"), -1);
    assert_int_equal(COMPARE(DNS_TYPE_TXT, "\1a", "\1A"), 1);
    assert_int_equal(COMPARE(DNS_TYPE_NS, "\2Ab\0", "\2aB\0"), 0);
    assert_int_equal(COMPARE(DNS_TYPE_MX, "\0\1\1B\0", "\0\1\1a\0"), 1);
    assert_int_equal(COMPARE(DNS_TYPE_MX, "\0\2\1a\0", "\0\1\1b\0"), 1);
    assert_int_equal(COMPARE(DNS_TYPE_NS, "\1z\0", "\2aa\0"), -1);
    assert_int_equal(COMPARE(DNS_TYPE_RP, "\1A\0\1x\0", "\1a\0\1y\0"), -1);
    assert_int_equal(
        COMPARE(DNS_TYPE_NAPTR, "\0\1\0\1\1S\0\0\1a\0", "\0\1\0\1\1s\0\0\1a\0"),
        -1);

    /* Not of section 6.2's list: the case counts. */
    assert_int_equal(COMPARE(DNS_TYPE_SVCB, "\0\1\1A\0", "\0\1\1a\0"), -1);
    assert_int_equal(COMPARE(DNS_TYPE_NSEC, "\1A\0", "\1a\0"), -1);
}

static void
folds_the_names_of_rfc4034_section_6_2(void **state)
{
    (void) state;
    uint8_t soa[] = "\2NS\0\1H\0ABCDEFGHIJKLMNOPQRST";
    uint8_t svcb[] = "\0\1\1A\0";
    uint8_t txt[] = "\1A";

    dns_rdata_canonicalize(DNS_TYPE_SOA, soa, sizeof(soa) - 1);
    assert_memory_equal(soa, "\2ns\0\1h\0ABCDEFGHIJKLMNOPQRST", 27);
    dns_rdata_canonicalize(DNS_TYPE_SVCB, svcb, sizeof(svcb) - 1);
    assert_memory_equal(svcb, "\0\1\1A\0", 5);
    dns_rdata_canonicalize(DNS_TYPE_TXT, txt, sizeof(txt) - 1);
    assert_memory_equal(txt, "\1A", 2);
}

static void
finds_targets_for_the_additional_section(void **state)
{
    (void) state;
    static const uint8_t mx[] = "\0\1\1m\0";
    static const uint8_t srv[] = "\0\1\0\2\0\3\1s\0";
    static const uint8_t naptr[] = "\0\1\0\2\1s\0\0\1n\0";

    assert_ptr_equal(dns_rdata_target(DNS_TYPE_MX, mx, 5), mx + 2);
    assert_ptr_equal(dns_rdata_target(DNS_TYPE_SRV, srv, 9), srv + 6);
    assert_ptr_equal(dns_rdata_target(DNS_TYPE_NAPTR, naptr, 11), naptr + 8);
    assert_null(dns_rdata_target(DNS_TYPE_CNAME, mx + 2, 3));
    assert_null(dns_rdata_target(DNS_TYPE_A, srv, 4));
    assert_null(dns_rdata_target(65280, srv, 4));
    assert_true(dns_rdata_has_target(DNS_TYPE_NS));
    assert_false(dns_rdata_has_target(DNS_TYPE_PTR));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_is_whole),
        cmocka_unit_test(refuses_what_is_not),
        cmocka_unit_test(orders_as_rfc4034_section_6_3),
        cmocka_unit_test(folds_the_names_of_rfc4034_section_6_2),
        cmocka_unit_test(finds_targets_for_the_additional_section),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
