#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/deadline.h"

/* Long enough that no test is over by then. */
enum { LONG = 10000000, SHORT = 1000000 };

static void
a_call_has_no_more_than_is_left_of_its_run(void **state)
{
    (void) state;
    deadline_begin_run(SHORT);
    deadline_begin(LONG);
    assert_true(deadline_left() <= SHORT);
    deadline_extend_run(SHORT);
    assert_true(deadline_left() > SHORT);
    assert_true(deadline_left() <= 2 * SHORT);
    deadline_moved(64 * (size_t) SHORT);
    assert_true(deadline_left() > 2 * SHORT);
    assert_true(deadline_left() <= 3 * SHORT);
    deadline_end();
    assert_int_equal(deadline_left(), -1);
    deadline_begin(LONG); /* what the run has used up stays used up */
    assert_true(deadline_left() <= 3 * SHORT);
    assert_false(deadline_end_run());
    assert_true(deadline_left() > 3 * SHORT);
    deadline_end();
}

static void
a_run_that_is_over_leaves_no_time_for_a_call(void **state)
{
    (void) state;
    deadline_begin_run(0);
    deadline_begin(LONG);
    assert_int_equal(deadline_left(), 0);
    deadline_end();
    assert_true(deadline_end_run());
    deadline_begin(LONG);
    assert_true(deadline_left() > SHORT);
    deadline_end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_has_no_more_than_is_left_of_its_run),
        cmocka_unit_test(a_run_that_is_over_leaves_no_time_for_a_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
