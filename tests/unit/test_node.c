#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dns/node.h"
#include "dns/type.h"

static const uint8_t first[4] = {192, 0, 2, 1};
static const uint8_t second[4] = {192, 0, 2, 2};
static const uint8_t text[3] = {2, 'h', 'i'};

static int
setup(void **state)
{
    *state = calloc(1, sizeof(dns_node_builder_t));
    return *state == NULL;
}

static int
teardown(void **state)
{
    dns_node_builder_free(*state);
    free(*state);
    return 0;
}

static void
assert_rrset(const dns_node_builder_t *b, uint16_t type, unsigned count,
             uint32_t ttl)
{
    dns_node_t node = dns_node_builder_node(b);
    dns_rrset_t rrset = {0};

    assert_int_equal(dns_node_check(&node), DNS_OK);
    assert_true(dns_node_find(&node, type, &rrset));
    assert_int_equal(rrset.count, count);
    assert_int_equal(rrset.ttl, ttl);
}

static void
an_empty_node_has_no_sets(void **state)
{
    dns_node_t node = dns_node_builder_node(*state);
    dns_rrset_t rrset = {0};
    size_t at = 0;

    assert_int_equal(dns_node_check(&node), DNS_OK);
    assert_false(dns_node_next(&node, &at, &rrset));
    assert_false(dns_node_find(&node, DNS_TYPE_A, &rrset));
}

static void
keeps_sets_by_type_and_records_in_canonical_order(void **state)
{
    dns_node_builder_t *b = *state;
    dns_rrset_t rrset = {0};
    dns_rdata_t rdata = {0};
    size_t at = 0;

    assert_int_equal(dns_node_builder_add(b, DNS_TYPE_TXT, 60, text, 3), 0);
    assert_int_equal(dns_node_builder_add(b, DNS_TYPE_A, 60, second, 4), 0);
    assert_int_equal(dns_node_builder_add(b, DNS_TYPE_A, 60, first, 4), 0);

    dns_node_t node = dns_node_builder_node(b);

    assert_true(dns_node_next(&node, &at, &rrset));
    assert_int_equal(rrset.type, DNS_TYPE_A);
    assert_true(dns_node_next(&node, &at, &rrset));
    assert_int_equal(rrset.type, DNS_TYPE_TXT);
    assert_false(dns_node_next(&node, &at, &rrset));

    assert_true(dns_node_find(&node, DNS_TYPE_A, &rrset));
    at = 0;
    assert_true(dns_rrset_next(&rrset, &at, &rdata));
    assert_memory_equal(rdata.octets, first, 4);
    assert_true(dns_rrset_next(&rrset, &at, &rdata));
    assert_memory_equal(rdata.octets, second, 4);
    assert_false(dns_rrset_next(&rrset, &at, &rdata));
}

static void
rfc2181_5_2_a_set_has_one_ttl(void **state)
{
    dns_node_builder_t *b = *state;

    assert_int_equal(dns_node_builder_add(b, DNS_TYPE_A, 60, first, 4), 0);
    assert_int_equal(dns_node_builder_add(b, DNS_TYPE_A, 90, second, 4), 0);
    assert_rrset(b, DNS_TYPE_A, 2, 90);
}

static void
rfc2181_5_has_no_duplicates(void **state)
{
    dns_node_builder_t *b = *state;

    assert_int_equal(dns_node_builder_add(b, DNS_TYPE_A, 60, first, 4), 0);
    assert_int_equal(dns_node_builder_add(b, DNS_TYPE_A, 90, first, 4),
                     DNS_EEXIST);
    assert_rrset(b, DNS_TYPE_A, 1, 90);
}

static void
takes_names_of_other_case_as_the_same_record(void **state)
{
    static const uint8_t lower_name[] = {1, 'a', 0};
    static const uint8_t upper_name[] = {1, 'A', 0};
    dns_node_builder_t *b = *state;

    assert_int_equal(dns_node_builder_add(b, DNS_TYPE_NS, 1, lower_name, 3), 0);
    assert_int_equal(dns_node_builder_add(b, DNS_TYPE_NS, 1, upper_name, 3),
                     DNS_EEXIST);
    assert_int_equal(dns_node_builder_remove(b, DNS_TYPE_NS, upper_name, 3), 0);
    assert_int_equal(dns_node_builder_node(b).size, 0);
}

static void
removes_a_record_and_the_set_with_its_last(void **state)
{
    dns_node_builder_t *b = *state;
    dns_rrset_t rrset = {0};

    assert_int_equal(dns_node_builder_add(b, DNS_TYPE_A, 60, first, 4), 0);
    assert_int_equal(dns_node_builder_add(b, DNS_TYPE_A, 60, second, 4), 0);
    assert_int_equal(dns_node_builder_add(b, DNS_TYPE_TXT, 5, text, 3), 0);

    assert_int_equal(dns_node_builder_remove(b, DNS_TYPE_A, first, 4), 0);
    assert_rrset(b, DNS_TYPE_A, 1, 60);
    assert_int_equal(dns_node_builder_remove(b, DNS_TYPE_A, first, 4),
                     DNS_ENOTFOUND);
    assert_int_equal(dns_node_builder_remove(b, DNS_TYPE_A, second, 4), 0);
    assert_int_equal(dns_node_builder_remove(b, DNS_TYPE_A, NULL, 0),
                     DNS_ENOTFOUND);

    dns_node_t node = dns_node_builder_node(b);

    assert_false(dns_node_find(&node, DNS_TYPE_A, &rrset));
    assert_int_equal(dns_node_builder_remove(b, DNS_TYPE_TXT, NULL, 0), 0);
    assert_int_equal(dns_node_builder_node(b).size, 0);
}

static void
bounds_the_records_of_a_set(void **state)
{
    dns_node_builder_t *b = *state;
    uint8_t address[4] = {10, 0, 0, 0};

    for (unsigned i = 0; i < DNS_RRSET_RECORDS_MAX; i++) {
        address[2] = (uint8_t) (i >> 8);
        address[3] = (uint8_t) i;
        assert_int_equal(dns_node_builder_add(b, DNS_TYPE_A, 1, address, 4), 0);
    }

    uint32_t size = b->size;

    assert_int_equal(dns_node_builder_add(b, DNS_TYPE_A, 1, first, 4),
                     DNS_ELIMIT);
    assert_int_equal(b->size, size);
    assert_rrset(b, DNS_TYPE_A, DNS_RRSET_RECORDS_MAX, 1);
}

static void
bounds_the_octets_of_a_set(void **state)
{
    dns_node_builder_t *b = *state;
    uint8_t *big = calloc(1, DNS_RRSET_SIZE_MAX);

    assert_int_equal(
        dns_node_builder_add(b, 65280, 1, big, DNS_RRSET_SIZE_MAX - 1),
        DNS_ELIMIT);
    assert_int_equal(
        dns_node_builder_add(b, 65280, 1, big, DNS_RRSET_SIZE_MAX - 2), 0);
    assert_int_equal(dns_node_builder_add(b, 65280, 1, big, 0), DNS_ELIMIT);
    assert_rrset(b, 65280, 1, 1);
    free(big);
}

static void
a_node_cut_short_or_out_of_order_is_refused(void **state)
{
    dns_node_builder_t *b = *state;

    assert_int_equal(dns_node_builder_add(b, DNS_TYPE_A, 60, first, 4), 0);
    assert_int_equal(dns_node_builder_add(b, DNS_TYPE_TXT, 60, text, 3), 0);

    dns_node_t node = dns_node_builder_node(b);
    uint32_t whole = node.size;
    uint32_t first_set = DNS_RRSET_HEADER_SIZE + 6;

    for (node.size = 1; node.size < whole; node.size++) {
        dns_rrset_t rrset = {0};
        dns_rdata_t rdata = {0};

        /* Whatever the bytes, iteration stays inside them. */
        for (size_t at = 0; dns_node_next(&node, &at, &rrset);) {
            for (size_t k = 0; dns_rrset_next(&rrset, &k, &rdata);) {
                assert_true(rdata.octets + rdata.size <=
                            node.octets + node.size);
            }
        }

        assert_int_equal(dns_node_check(&node),
                         node.size == first_set ? DNS_OK : DNS_EMALFORMED);
    }

    b->octets[0] = DNS_TYPE_TXT;
    node = dns_node_builder_node(b);
    assert_int_equal(dns_node_check(&node), DNS_EMALFORMED);
}

static void
starts_from_a_copy(void **state)
{
    dns_node_builder_t *b = *state;
    dns_node_builder_t copy = {0};

    assert_int_equal(dns_node_builder_add(b, DNS_TYPE_A, 60, first, 4), 0);

    dns_node_t node = dns_node_builder_node(b);

    assert_int_equal(dns_node_builder_reset(&copy, &node), DNS_OK);
    assert_int_equal(dns_node_builder_add(&copy, DNS_TYPE_A, 60, second, 4), 0);
    assert_rrset(b, DNS_TYPE_A, 1, 60);
    assert_rrset(&copy, DNS_TYPE_A, 2, 60);
    assert_int_equal(dns_node_builder_reset(&copy, NULL), DNS_OK);
    assert_int_equal(dns_node_builder_node(&copy).size, 0);
    dns_node_builder_free(&copy);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_node_has_no_sets),
        TEST(keeps_sets_by_type_and_records_in_canonical_order),
        TEST(rfc2181_5_2_a_set_has_one_ttl),
        TEST(rfc2181_5_has_no_duplicates),
        TEST(takes_names_of_other_case_as_the_same_record),
        TEST(removes_a_record_and_the_set_with_its_last),
        TEST(bounds_the_records_of_a_set),
        TEST(bounds_the_octets_of_a_set),
        TEST(a_node_cut_short_or_out_of_order_is_refused),
        TEST(starts_from_a_copy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
