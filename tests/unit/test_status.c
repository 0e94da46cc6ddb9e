#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns/status.h"

static void
each_status_has_a_text_of_its_own(void **state)
{
    (void) state;

    for (int a = DNS_EUNKNOWN; a <= DNS_NEEDS; a++) {
        assert_string_not_equal(dns_status_text(a), "unknown status");
        for (int b = a + 1; b <= DNS_NEEDS; b++) {
            assert_string_not_equal(dns_status_text(a), dns_status_text(b));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status_has_a_text_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
