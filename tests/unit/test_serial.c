/* The values are those that PowerDNS 4.7 gave on 2026-11-30. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/serial.h"

enum {
    NOW = 1796002771,       /* 2026-11-30 01:39:31 UTC */
    INCEPTION = 1795651200, /* the Thursday before */
};

static uint32_t
next(int kind, int soa_edit, uint32_t serial)
{
    const store_serial_rule_t rule = {
        .kind = (uint8_t) kind, .soa_edit = (uint8_t) soa_edit, .now = NOW};

    return store_next_serial(&rule, serial);
}

static void
increases_by_one(void **state)
{
    (void) state;
    assert_int_equal(next(STORE_SERIAL_INCREASE, 0, 5), 6);
    assert_int_equal(next(STORE_SERIAL_INCREASE, 0, UINT32_MAX), 0);
}

static void
default_is_the_day_or_one_more(void **state)
{
    (void) state;
    assert_int_equal(next(STORE_SERIAL_DEFAULT, 0, 0), 2026113001);
    assert_int_equal(next(STORE_SERIAL_DEFAULT, 0, 5), 2026113001);
    assert_int_equal(next(STORE_SERIAL_DEFAULT, 0, 2026113001), 2026113002);
    assert_int_equal(next(STORE_SERIAL_DEFAULT, 0, 2026123101), 2026123102);
    assert_int_equal(next(STORE_SERIAL_DEFAULT, 0, 4000000000), 4000000001);
}

static void
epoch_and_keep(void **state)
{
    (void) state;
    assert_int_equal(next(STORE_SERIAL_EPOCH, 0, 4000000000), NOW);
    assert_int_equal(next(STORE_SERIAL_KEEP, 0, 77), 77);
    assert_int_equal(next(STORE_SERIAL_SOA_EDIT, STORE_SOA_EDIT_NONE, 77), 77);
    assert_int_equal(next(STORE_SERIAL_EDIT_INCREASE, 0, 77), 78);
}

static void
inception_increment(void **state)
{
    static const uint32_t pairs[][2] = {
        {5, 2026112601},          {2026112500, 2026112601},
        {2026112599, 2026112601}, {2026112600, 2026112602},
        {2026112601, 2026112602}, {2026112650, 2026112651},
        {2026112899, 2026112900}, {2026112900, 2026112900},
        {2026113001, 2026113001}, {4000000000, 4000000000},
    };

    (void) state;

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        const uint32_t is =
            next(STORE_SERIAL_SOA_EDIT, STORE_SOA_EDIT_INCEPTION_INCREMENT,
                 pairs[i][0]);
        assert_int_equal(is, pairs[i][1]);
    }

    assert_int_equal(next(STORE_SERIAL_EDIT_INCREASE,
                          STORE_SOA_EDIT_INCEPTION_INCREMENT, 2026113001),
                     2026113002);
}

static void
other_soa_edits(void **state)
{
    enum { EDIT = STORE_SERIAL_SOA_EDIT, MORE = STORE_SERIAL_EDIT_INCREASE };
    enum { WEEKS = STORE_SOA_EDIT_INCREMENT_WEEKS };

    (void) state;
    assert_int_equal(next(EDIT, STORE_SOA_EDIT_INCEPTION_EPOCH, 5), INCEPTION);
    assert_int_equal(next(EDIT, STORE_SOA_EDIT_INCEPTION_EPOCH, 2026113001),
                     2026113001);
    assert_int_equal(next(MORE, STORE_SOA_EDIT_INCEPTION_EPOCH, 5), NOW);
    assert_int_equal(next(MORE, STORE_SOA_EDIT_INCEPTION_EPOCH, NOW), NOW + 1);
    assert_int_equal(next(EDIT, WEEKS, 5), 2974);
    assert_int_equal(next(MORE, WEEKS, 2026113001), 2026115970);
    assert_int_equal(next(EDIT, STORE_SOA_EDIT_EPOCH, 2026113001), NOW);
    assert_int_equal(next(MORE, STORE_SOA_EDIT_EPOCH, 4000000000), 4000000001);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(increases_by_one),
        cmocka_unit_test(default_is_the_day_or_one_more),
        cmocka_unit_test(epoch_and_keep),
        cmocka_unit_test(inception_increment),
        cmocka_unit_test(other_soa_edits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
