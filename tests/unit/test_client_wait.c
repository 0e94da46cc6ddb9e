/* The driver by poll(): what it says came, and when it gives up. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/deadline.h"
#include "client/wait.h"

static int ends[2];

static int
make_pair(void **state)
{
    (void) state;
    return socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
}

static int
close_pair(void **state)
{
    (void) state;
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static int
wait_for(int events, uint64_t deadline_ms)
{
    const client_wait_t wait = {ends[0], events, deadline_ms};

    return client_wait_poll(&wait);
}

static void
what_came_is_told(void **state)
{
    const int both = CLIENT_READ | CLIENT_WRITE;

    (void) state;
    assert_int_equal(wait_for(both, CLIENT_NO_DEADLINE), CLIENT_WRITE);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(wait_for(both, CLIENT_NO_DEADLINE), both);
    assert_int_equal(wait_for(CLIENT_READ, CLIENT_NO_DEADLINE), CLIENT_READ);
}

static void
an_end_wakes_who_reads_and_who_writes(void **state)
{
    (void) state;
    assert_int_equal(shutdown(ends[1], SHUT_RDWR), 0);
    assert_int_equal(wait_for(CLIENT_READ, CLIENT_NO_DEADLINE), CLIENT_READ);
    assert_int_equal(wait_for(CLIENT_WRITE, CLIENT_NO_DEADLINE), CLIENT_WRITE);
}

static void
the_deadline_of_the_machine_holds(void **state)
{
    (void) state;
    assert_int_equal(wait_for(CLIENT_READ, 0), CLIENT_TIMEOUT);
    assert_int_equal(wait_for(CLIENT_READ, client_now_ms() + 1),
                     CLIENT_TIMEOUT);
    assert_int_equal(write(ends[1], "x", 1), 1); /* too late */
    assert_int_equal(wait_for(CLIENT_READ, 0), CLIENT_TIMEOUT);
}

static void
the_deadline_of_the_thread_holds_too(void **state)
{
    (void) state;
    deadline_begin(0);
    assert_int_equal(wait_for(CLIENT_READ, CLIENT_NO_DEADLINE), CLIENT_TIMEOUT);
    assert_int_equal(wait_for(CLIENT_READ, UINT64_MAX - 1), CLIENT_TIMEOUT);
    deadline_begin(10000000);
    assert_int_equal(wait_for(CLIENT_READ, client_now_ms()), CLIENT_TIMEOUT);
    deadline_end();
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_pair, close_pair)
    const struct CMUnitTest tests[] = {
        TEST(what_came_is_told),
        TEST(an_end_wakes_who_reads_and_who_writes),
        TEST(the_deadline_of_the_machine_holds),
        TEST(the_deadline_of_the_thread_holds_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
