#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dns/type.h"

static void
gives_mnemonics_and_numbers(void **state)
{
    (void) state;
    char text[DNS_MNEMONIC_SIZE];
    uint16_t number;

    assert_int_equal(dns_type_to_text(text, 10), 4);
    assert_string_equal(text, "NULL");
    dns_type_to_text(text, 65280);
    assert_string_equal(text, "TYPE65280");
    dns_class_to_text(text, 65535);
    assert_string_equal(text, "CLASS65535");
    dns_rcode_to_text(text, 23);
    assert_string_equal(text, "BADCOOKIE");
    dns_opcode_to_text(text, 15);
    assert_string_equal(text, "OPCODE15");

    assert_int_equal(dns_type_from_text(&number, "https", 5), DNS_OK);
    assert_int_equal(number, 65);
    assert_int_equal(dns_type_from_text(&number, "type1", 5), DNS_OK);
    assert_int_equal(number, 1);
    assert_int_equal(dns_class_from_text(&number, "chaos", 5), DNS_OK);
    assert_int_equal(number, DNS_CLASS_CH);
}

static void
refuses_what_is_no_mnemonic(void **state)
{
    (void) state;
    static const char *const wrong[] = {
        "", "TYPE", "TYPE65536", "TYPE-1", "TYPE 1", "TYPE000001", "AA", "1",
    };
    uint16_t number = 7;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(
            dns_type_from_text(&number, wrong[i], strlen(wrong[i])),
            DNS_EUNKNOWN);
    }

    assert_int_equal(number, 7);
}

static void
reads_back_every_number(void **state)
{
    (void) state;

    for (unsigned i = 0; i < 65536; i++) {
        char text[DNS_MNEMONIC_SIZE];
        uint16_t number;
        size_t size = dns_type_to_text(text, (uint16_t) i);

        assert_int_equal(dns_type_from_text(&number, text, size), DNS_OK);
        assert_int_equal(number, i);
        size = dns_class_to_text(text, (uint16_t) i);
        assert_int_equal(dns_class_from_text(&number, text, size), DNS_OK);
        assert_int_equal(number, i);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_mnemonics_and_numbers),
        cmocka_unit_test(refuses_what_is_no_mnemonic),
        cmocka_unit_test(reads_back_every_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
