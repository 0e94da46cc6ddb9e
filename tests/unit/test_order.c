#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dns/order.h"
#include "names.h"

static dns_order_t *
order_of(const char *apex, const char *const *owners, size_t count)
{
    const dns_name_t zone = name_of(apex);
    dns_order_t *order;

    assert_int_equal(dns_order_new(&order, &zone), DNS_OK);

    for (size_t i = 0; i < count; i++) {
        const dns_name_t owner = name_of(owners[i]);

        assert_int_equal(dns_order_add(order, &owner), DNS_OK);
    }

    assert_int_equal(dns_order_sort(order), DNS_OK);
    return order;
}

static void
assert_name(const dns_order_t *order, dns_order_list_t list, size_t number,
            const char *text)
{
    const dns_name_t expected = name_of(text);
    dns_name_t got;

    dns_order_get(order, list, number, &got);
    assert_int_equal(got.size, expected.size);
    assert_int_equal(got.label_count, expected.label_count);
    assert_memory_equal(got.octets, expected.octets, got.size);
}

static size_t
before(const dns_order_t *order, dns_order_list_t list, const char *text)
{
    const dns_name_t name = name_of(text);

    return dns_order_before(order, list, &name);
}

static void
rfc4034_6_1_canonical_order(void **state)
{
    static const char *const names[] = {
        "example.",         "a.example.",      "yljkjljk.a.example.",
        "Z.a.example.",     "zABC.a.EXAMPLE.", "z.example.",
        "\\001.z.example.", "*.z.example.",    "\\200.z.example."};
    static const char *const mixed[] = {
        "z.example.",       "\\200.z.example.",    "example.",
        "*.z.example.",     "yljkjljk.a.example.", "zABC.a.EXAMPLE.",
        "\\001.z.example.", "Z.a.example.",        "a.example."};
    dns_order_t *order = order_of("example.", mixed, 9);

    (void) state;
    assert_int_equal(dns_order_count(order, DNS_ORDER_OWNERS), 9);
    assert_int_equal(dns_order_count(order, DNS_ORDER_HASHES), 0);

    for (size_t i = 0; i < 9; i++) {
        assert_name(order, DNS_ORDER_OWNERS, i, names[i]);
        assert_int_equal(before(order, DNS_ORDER_OWNERS, names[i]), i + 1);
    }

    assert_int_equal(before(order, DNS_ORDER_OWNERS, "b.example."), 5);
    assert_int_equal(before(order, DNS_ORDER_OWNERS, "\\000.example."), 1);
    assert_int_equal(before(order, DNS_ORDER_OWNERS, "zz.example."), 9);
    dns_order_free(order);
}

static void
hashes_stand_right_below_the_apex(void **state)
{
    static const char *const names[] = {
        "T4UM86EGHHDS6NEA196SMVMLO4ORS995.test.",
        "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.test.",
        "b4um86eghhds6nea196smvmlo4ors995.a.test.",
        "w4um86eghhds6nea196smvmlo4ors995.test.",
        "4um86eghhds6nea196smvmlo4ors995.test.",
        "04um86eghhds6nea196smvmlo4ors9955.test.",
        "test."};
    dns_order_t *order = order_of("test.", names, 7);

    (void) state;
    assert_int_equal(dns_order_count(order, DNS_ORDER_OWNERS), 7);
    assert_int_equal(dns_order_count(order, DNS_ORDER_HASHES), 2);
    assert_name(order, DNS_ORDER_HASHES, 0, names[1]);
    assert_name(order, DNS_ORDER_HASHES, 1, names[0]);
    assert_int_equal(before(order, DNS_ORDER_HASHES,
                            "00000000000000000000000000000000.test."),
                     0);
    assert_int_equal(before(order, DNS_ORDER_HASHES,
                            "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk.test."),
                     1);
    dns_order_free(order);
}

static void
no_names_and_many(void **state)
{
    static char texts[3000][24];
    static const char *names[3000];
    dns_order_t *order = order_of(".", NULL, 0);

    (void) state;
    assert_int_equal(before(order, DNS_ORDER_OWNERS, "a."), 0);
    dns_order_free(order);

    for (unsigned i = 0; i < 3000; i++) {
        snprintf(texts[i], sizeof(texts[i]), "n%05u.", i * 7919u % 3000u);
        names[i] = texts[i];
    }

    order = order_of(".", names, 3000);

    for (unsigned i = 0; i < 3000; i++) {
        char text[24];

        snprintf(text, sizeof(text), "n%05u.", i);
        assert_name(order, DNS_ORDER_OWNERS, i, text);
        assert_int_equal(before(order, DNS_ORDER_OWNERS, text), i + 1);
    }

    dns_order_free(order);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc4034_6_1_canonical_order),
        cmocka_unit_test(hashes_stand_right_below_the_apex),
        cmocka_unit_test(no_names_and_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
