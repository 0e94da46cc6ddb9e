/* The MySQL machine against a peer that plays packets: whole and octet by
   octet, refusals, silence, ends in every place.  The clock is the test's. */

#include <errmsg.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/mysql.h"

enum {
    ROOM = 4096,     /* octets of what a peer says */
    DEADLINE = 1000, /* by the test's clock, which begins at 0 */
    ERROR_CODE = 1045,
    HEAD_SIZE = 4,
};

/* What the peer says, as octets of packets. */
typedef struct {
    uint8_t octets[ROOM];
    size_t size;
} script_t;

static char path[64];
static int listener;
static int peer;
static client_mysql_t *client;
static client_wait_t wait_for;

static void
put(script_t *script, uint8_t number, const void *octets, size_t size)
{
    uint8_t *at = script->octets + script->size;

    assert_true(script->size + HEAD_SIZE + size <= ROOM);
    at[0] = (uint8_t) size;
    at[1] = (uint8_t) (size >> 8);
    at[2] = 0;
    at[3] = number;
    memcpy(at + HEAD_SIZE, octets, size);
    script->size += HEAD_SIZE + size;
}

#define PUT(script, number, text) put(script, number, text, sizeof(text) - 1)

/* Protocol 4.1 without TLS; packets end in EOF. */
#define GREETING                                                               \
    "\x0a"                                                                     \
    "10.11.6-MariaDB\0"                                                        \
    "\x07\0\0\0"                                                               \
    "AAAAAAAA\0"                                                               \
    "\xdf\xf7\x2d\x02\0\xbf\x80\x15"                                           \
    "\0\0\0\0\0\0\0\0\0\0"                                                     \
    "BBBBBBBBBBBB\0"                                                           \
    "mysql_native_password\0"
#define OK      "\0\0\0\x02\0\0\0"
#define OK_MORE "\0\0\0\x0a\0\0\0"
#define END     "\xfe\0\0\x02\0"
#define REFUSAL "\xff\x15\x04#28000no entry"
#define COLUMN                                                                 \
    "\x03"                                                                     \
    "def\x01"                                                                  \
    "d\x01t\x01t\x01n\x01n\x0c\x2d\0\xff\0\0\0\xfd\0\0\0\0\0"

static script_t
script_of_login(void)
{
    script_t script = {.size = 0};

    PUT(&script, 0, GREETING);
    PUT(&script, 2, OK);
    return script;
}

/* One column; two rows, the second NULL. */
static script_t
script_of_rows(void)
{
    script_t script = {.size = 0};

    PUT(&script, 1, "\x01");
    PUT(&script, 2, COLUMN);
    PUT(&script, 3, END);
    PUT(&script, 4,
        "\x03"
        "one");
    PUT(&script, 5, "\xfb");
    PUT(&script, 6, END);
    return script;
}

static int
listen_there(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/test_client_mysql.XXXXXX";

    (void) state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/socket", folder);
    memcpy(address.sun_path, path, sizeof(path));
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    return bind(listener, (struct sockaddr *) &address, sizeof(address)) != 0 ||
           listen(listener, 8) != 0;
}

static int
remove_there(void **state)
{
    (void) state;
    close(listener);
    unlink(path);
    *strrchr(path, '/') = '\0';
    return rmdir(path);
}

static void
let_go(void)
{
    client_mysql_free(client);
    client = NULL;

    if (peer >= 0) {
        close(peer);
        peer = -1;
    }
}

static int
let_go_after(void **state)
{
    (void) state;
    let_go();
    return 0;
}

static client_step_t
step(int ready, uint64_t now_ms)
{
    return client_mysql_step(client, ready, now_ms, &wait_for);
}

static int
unread(void)
{
    int octets = 0;

    assert_int_equal(ioctl(wait_for.fd, FIONREAD, &octets), 0);
    return octets;
}

static bool
is_ready(void)
{
    struct pollfd p = {.fd = wait_for.fd};

    p.events = wait_for.events == CLIENT_READ ? POLLIN : POLLOUT;
    return poll(&p, 1, 0) > 0;
}

/* Goes on with what is there by now.  A part of the greeting stays unread. */
static client_step_t
go_on(uint64_t now_ms)
{
    client_step_t result = CLIENT_WAIT;
    int before = -1;

    while (result == CLIENT_WAIT && is_ready() && unread() != before) {
        before = unread();
        result = step(wait_for.events, now_ms);
    }

    return result;
}

static void
say(const void *octets, size_t size)
{
    assert_int_equal(send(peer, octets, size, MSG_NOSIGNAL), size);
}

static void
begin_connecting(const client_mysql_options_t *options)
{
    client = client_mysql_new(options);
    assert_non_null(client);
    client_mysql_begin_connect(client, DEADLINE);
    assert_int_equal(step(0, 0), CLIENT_WAIT);
    peer = accept(listener, NULL, NULL);
    assert_true(peer >= 0);
}

static client_mysql_options_t
options(void)
{
    return (client_mysql_options_t){
        .unix_socket = path, .user = "u", .password = "p", .database = "d"};
}

static void
begin_to_connect(void)
{
    const client_mysql_options_t o = options();

    begin_connecting(&o);
}

static void
drain(void)
{
    char octets[ROOM];

    while (recv(peer, octets, sizeof(octets), MSG_DONTWAIT) > 0) {
    }
}

static void
connect_it(void)
{
    const script_t login = script_of_login();

    begin_to_connect();
    say(login.octets, login.size);
    assert_int_equal(go_on(0), CLIENT_DONE);
    drain();
}

static void
begin_query(void)
{
    client_mysql_begin_query(client, "SELECT n", 8, DEADLINE);
    assert_int_equal(step(0, 0), CLIENT_WAIT);
}

static void
expect_gone(const char *error)
{
    assert_true(client_mysql_is_gone(client));

    if (error != NULL) {
        assert_string_equal(client_mysql_error(client), error);
    }

    client_mysql_begin_query(client, "SELECT 1", 8, DEADLINE);
    assert_int_equal(step(0, 0), CLIENT_ERROR);
    assert_true(client_mysql_is_gone(client));
}

/* A call that is about to hear a script. */
typedef struct {
    void (*begin)(void);
    script_t (*script)(void);
    void (*check)(void);
} call_t;

static void
begin_query_anew(void)
{
    connect_it();
    begin_query();
}

static void
check_login(void)
{
    assert_int_equal(client_mysql_code(client), 0);
}

static void
check_rows(void)
{
    MYSQL_RES *rows = client_mysql_rows(client);

    assert_int_equal(mysql_num_rows(rows), 2);
    assert_string_equal(mysql_fetch_row(rows)[0], "one");
    assert_null(mysql_fetch_row(rows)[0]);
    assert_false(client_mysql_has_more(client));
}

static const call_t calls[] = {
    {begin_to_connect, script_of_login, check_login},
    {begin_query_anew, script_of_rows, check_rows},
};

enum { CALLS = 2 };

static void
a_script_may_come_in_two_parts(void **state)
{
    (void) state;

    for (int i = 0; i < CALLS; i++) {
        const script_t script = calls[i].script();

        for (size_t at = 0; at <= script.size; at++) {
            calls[i].begin();
            say(script.octets, at);

            if (at < script.size) {
                assert_int_equal(go_on(0), CLIENT_WAIT);
                assert_int_equal(wait_for.events, CLIENT_READ);
                say(script.octets + at, script.size - at);
            }

            assert_int_equal(go_on(0), CLIENT_DONE);
            calls[i].check();
            let_go();
        }
    }
}

static void
a_script_may_come_octet_by_octet(void **state)
{
    (void) state;

    for (int i = 0; i < CALLS; i++) {
        const script_t script = calls[i].script();

        calls[i].begin();

        for (size_t at = 0; at < script.size; at++) {
            say(script.octets + at, 1);
            assert_int_equal(go_on(0),
                             at + 1 < script.size ? CLIENT_WAIT : CLIENT_DONE);
        }

        calls[i].check();
        let_go();
    }
}

static void
the_peer_may_end_anywhere(void **state)
{
    (void) state;

    for (int i = 0; i < CALLS; i++) {
        const script_t script = calls[i].script();

        for (size_t at = 0; at < script.size; at++) {
            calls[i].begin();
            say(script.octets, at);
            shutdown(peer, SHUT_RDWR);
            assert_int_equal(go_on(0), CLIENT_ERROR);
            expect_gone(NULL);
            let_go();
        }
    }
}

static void
the_deadline_may_come_anywhere(void **state)
{
    (void) state;

    for (int i = 0; i < CALLS; i++) {
        const script_t script = calls[i].script();

        for (size_t at = 0; at < script.size; at++) {
            calls[i].begin();
            say(script.octets, at);
            assert_int_equal(go_on(0), CLIENT_WAIT);
            assert_true(wait_for.deadline_ms >= DEADLINE);
            assert_int_equal(step(CLIENT_TIMEOUT, 0), CLIENT_ERROR);
            expect_gone("timeout");
            let_go();
        }
    }
}

static void
what_comes_late_is_late(void **state)
{
    const script_t rows = script_of_rows();

    (void) state;
    connect_it();
    begin_query();
    say(rows.octets, rows.size);
    assert_int_equal(go_on(DEADLINE + ROOM), CLIENT_ERROR);
    expect_gone("timeout");
}

static void
it_may_be_freed_anywhere(void **state)
{
    (void) state;

    for (int i = 0; i < CALLS; i++) {
        const script_t script = calls[i].script();

        for (size_t at = 0; at < script.size; at++) {
            calls[i].begin();
            say(script.octets, at);
            assert_int_equal(go_on(0), CLIENT_WAIT);
            let_go();
        }
    }
}

/* 64 octets a millisecond. */
static void
octets_put_the_deadline_off(void **state)
{
    script_t script = {.size = 0};
    char text[3200];

    (void) state;
    memset(text, 'x', sizeof(text));
    text[0] = '\xfc';
    text[1] = (char) 0xf0;
    text[2] = 0x7f;
    PUT(&script, 1, "\x01");
    PUT(&script, 2, COLUMN);
    PUT(&script, 3, END);
    put(&script, 4, text, sizeof(text));
    connect_it();
    begin_query();

    const uint64_t before = wait_for.deadline_ms;

    assert_in_range(before, DEADLINE, DEADLINE + 1);
    say(script.octets, script.size - 100);
    assert_int_equal(go_on(0), CLIENT_WAIT);
    assert_in_range(wait_for.deadline_ms, DEADLINE + 48, DEADLINE + 52);
    say(script.octets + script.size - 100, 1);
    assert_int_equal(go_on(DEADLINE + 47), CLIENT_WAIT);
    say(script.octets + script.size - 99, 1);
    assert_int_equal(go_on(DEADLINE + 53), CLIENT_ERROR);
    expect_gone("timeout");
}

static void
a_refusal_has_a_number(void **state)
{
    script_t script = {.size = 0};

    (void) state;
    PUT(&script, 0, GREETING);
    PUT(&script, 2, REFUSAL);
    begin_to_connect();
    say(script.octets, script.size);
    assert_int_equal(go_on(0), CLIENT_ERROR);
    assert_int_equal(client_mysql_code(client), ERROR_CODE);
    assert_string_equal(client_mysql_state(client), "28000");
    assert_string_equal(client_mysql_error(client), "no entry");
    assert_false(client_mysql_is_gone(client));
}

static void
a_refused_statement_leaves_the_connection(void **state)
{
    script_t refusal = {.size = 0};
    const script_t rows = script_of_rows();

    (void) state;
    PUT(&refusal, 1, REFUSAL);
    connect_it();
    begin_query();
    say(refusal.octets, refusal.size);
    assert_int_equal(go_on(0), CLIENT_ERROR);
    assert_int_equal(client_mysql_code(client), ERROR_CODE);
    assert_false(client_mysql_is_gone(client));
    begin_query();
    say(rows.octets, rows.size);
    assert_int_equal(go_on(0), CLIENT_DONE);
    assert_int_equal(client_mysql_code(client), 0);
    check_rows();
}

static void
garbage_for_a_greeting_ends_it(void **state)
{
    (void) state;
    begin_to_connect();
    say("HTTP/1.1 400 Bad\r\n\r\n", 20);
    assert_int_equal(go_on(0), CLIENT_ERROR);
    expect_gone(NULL);
}

/* The password as it is: on a Unix socket alone. */
static void
the_server_may_ask_by_another_plugin(void **state)
{
    script_t script = {.size = 0};
    char octets[ROOM] = "";
    ssize_t size;

    (void) state;
    PUT(&script, 0, GREETING);
    PUT(&script, 2,
        "\xfe"
        "mysql_clear_password\0");
    begin_to_connect();
    say(script.octets, script.size);
    assert_int_equal(go_on(0), CLIENT_WAIT);
    size = recv(peer, octets, sizeof(octets), MSG_DONTWAIT);
    assert_true(size > 6);
    assert_memory_equal(octets + size - 6, "\2\0\0\3p", 6);
    script.size = 0;
    PUT(&script, 4, OK);
    say(script.octets, script.size);
    assert_int_equal(go_on(0), CLIENT_DONE);
}

static void
no_file_of_ours_is_sent(void **state)
{
    script_t script = {.size = 0};
    char octets[ROOM];

    (void) state;
    PUT(&script, 1, "\xfb/etc/hostname");
    connect_it();
    begin_query();
    drain();
    say(script.octets, script.size);

    const client_step_t result = go_on(0);

    /* An empty packet says that there is none. */
    assert_true(recv(peer, octets, sizeof(octets), MSG_DONTWAIT) <= HEAD_SIZE);
    script.size = 0;
    PUT(&script, 3, OK);

    if (result == CLIENT_WAIT) {
        say(script.octets, script.size);
        assert_int_equal(go_on(0), CLIENT_ERROR);
    } else {
        assert_int_equal(result, CLIENT_ERROR);
    }
}

static void
a_lock_is_not_waited_for_long(void **state)
{
    client_mysql_options_t o = options();
    const script_t login = script_of_login();
    script_t ok = {.size = 0};
    char octets[ROOM] = "";
    ssize_t size;

    (void) state;
    o.lock_wait_s = 7;
    begin_connecting(&o);
    say(login.octets, login.size);
    assert_int_equal(go_on(0), CLIENT_WAIT);
    size = recv(peer, octets, sizeof(octets), MSG_DONTWAIT);
    assert_non_null(memmem(octets, (size_t) size, "lock_wait_timeout = 7", 21));
    assert_non_null(
        memmem(octets, (size_t) size, "innodb_lock_wait_timeout = 7", 28));
    PUT(&ok, 1, OK);
    say(ok.octets, ok.size);
    assert_int_equal(go_on(0), CLIENT_DONE);
}

static void
results_follow_each_other(void **state)
{
    script_t first = {.size = 0};
    script_t second = {.size = 0};

    (void) state;
    connect_it();
    client_mysql_begin_send(client, "A; B", 4, DEADLINE);
    assert_int_equal(step(0, 0), CLIENT_DONE);
    client_mysql_begin_read(client, DEADLINE);
    assert_int_equal(step(0, 0), CLIENT_WAIT);
    PUT(&first, 1, OK_MORE);
    say(first.octets, first.size);
    assert_int_equal(go_on(0), CLIENT_DONE);
    assert_null(client_mysql_rows(client));
    assert_true(client_mysql_has_more(client));
    client_mysql_begin_read(client, DEADLINE);
    assert_int_equal(step(0, 0), CLIENT_WAIT);
    PUT(&second, 2, OK);
    say(second.octets, second.size);
    assert_int_equal(go_on(0), CLIENT_DONE);
    assert_false(client_mysql_has_more(client));
}

static client_step_t
next_row(void)
{
    client_mysql_begin_row(client, DEADLINE);
    return step(0, 0);
}

static void
begin_walk(size_t size)
{
    const script_t rows = script_of_rows();

    connect_it();
    client_mysql_begin_walk(client, "SELECT n", 8, DEADLINE);
    assert_int_equal(step(0, 0), CLIENT_WAIT);
    say(rows.octets, size == 0 ? rows.size : size);
    assert_int_equal(go_on(0), CLIENT_DONE);
}

static void
rows_may_be_read_one_by_one(void **state)
{
    (void) state;
    begin_walk(0);
    assert_int_equal(next_row(), CLIENT_DONE);
    assert_string_equal(client_mysql_row(client)[0], "one");
    assert_int_equal(next_row(), CLIENT_DONE);
    assert_null(client_mysql_row(client)[0]);
    assert_int_equal(next_row(), CLIENT_DONE);
    assert_null(client_mysql_row(client));
    assert_null(client_mysql_rows(client));
    drain();
    begin_query();
}

static void
rows_may_be_skipped(void **state)
{
    const script_t rows = script_of_rows();

    (void) state;
    begin_walk(rows.size - 1);
    assert_int_equal(next_row(), CLIENT_DONE);
    client_mysql_begin_skip(client, DEADLINE);
    assert_int_equal(step(0, 0), CLIENT_WAIT);
    say(rows.octets + rows.size - 1, 1);
    assert_int_equal(go_on(0), CLIENT_DONE);
    assert_null(client_mysql_rows(client));
    begin_query();
    say(rows.octets, rows.size);
    assert_int_equal(go_on(0), CLIENT_DONE);
    check_rows();
}

static void
a_walk_may_end_before_its_rows(void **state)
{
    const script_t rows = script_of_rows();
    script_t refusal = {.size = 0};

    (void) state;
    begin_walk(rows.size - 10);
    assert_int_equal(next_row(), CLIENT_DONE);
    assert_int_equal(next_row(), CLIENT_WAIT);
    assert_int_equal(step(CLIENT_TIMEOUT, 0), CLIENT_ERROR);
    expect_gone("timeout");
    let_go();

    begin_walk(rows.size - 9 - 5); /* before the second row */
    assert_int_equal(next_row(), CLIENT_DONE);
    PUT(&refusal, 5, REFUSAL);
    say(refusal.octets, refusal.size);
    assert_int_equal(next_row(), CLIENT_ERROR);
    assert_int_equal(client_mysql_code(client), ERROR_CODE);
    assert_false(client_mysql_is_gone(client));
    begin_query();
    let_go();

    begin_walk(rows.size - 10);
    let_go();
}

static void
a_statement_is_prepared_and_executed(void **state)
{
    const MYSQL_STMT *rows;
    MYSQL_STMT *statement;
    script_t prepared = {.size = 0};
    script_t result = {.size = 0};

    (void) state;
    connect_it();
    statement = mysql_stmt_init(client_mysql_link(client));
    client_mysql_begin_prepare(client, statement, "SELECT n", DEADLINE);
    assert_int_equal(step(0, 0), CLIENT_WAIT);
    PUT(&prepared, 1, "\0\1\0\0\0\1\0\0\0\0\0\0");
    PUT(&prepared, 2, COLUMN);
    PUT(&prepared, 3, END);
    say(prepared.octets, prepared.size);
    assert_int_equal(go_on(0), CLIENT_DONE);
    client_mysql_begin_execute(client, statement, DEADLINE);
    assert_int_equal(step(0, 0), CLIENT_WAIT);
    PUT(&result, 1, "\x01");
    PUT(&result, 2, COLUMN);
    PUT(&result, 3, END);
    PUT(&result, 4,
        "\0\0\x03"
        "one");
    PUT(&result, 5, END);

    for (size_t at = 0; at < result.size; at++) {
        say(result.octets + at, 1);
        assert_int_equal(go_on(0),
                         at + 1 < result.size ? CLIENT_WAIT : CLIENT_DONE);
    }

    rows = statement;
    assert_int_equal(rows->result.rows, 1);
    mysql_stmt_free_result(statement);
    client_mysql_begin_execute(client, statement, DEADLINE);
    assert_int_equal(step(0, 0), CLIENT_WAIT);
    result.size = 0;
    PUT(&result, 1, REFUSAL);
    say(result.octets, result.size);
    assert_int_equal(go_on(0), CLIENT_ERROR);
    assert_int_equal(client_mysql_code(client), ERROR_CODE);
    assert_false(client_mysql_is_gone(client));
    let_go();
    mysql_stmt_close(statement);
}

static void
who_is_not_there_is_told_at_once(void **state)
{
    client_mysql_options_t o = options();

    (void) state;
    o.unix_socket = "/nowhere/at/all";
    client = client_mysql_new(&o);
    client_mysql_begin_connect(client, DEADLINE);
    assert_int_equal(step(0, 0), CLIENT_ERROR);
    assert_int_equal(client_mysql_code(client), CR_CONNECTION_ERROR);
    expect_gone(NULL);
}

static void
without_a_connection_nothing_is_asked(void **state)
{
    const client_mysql_options_t o = options();

    (void) state;
    client = client_mysql_new(&o);
    client_mysql_begin_read(client, DEADLINE);
    assert_int_equal(step(0, 0), CLIENT_ERROR);
    expect_gone("the connection is lost");
}

static void
who_may_block_waits_by_poll(void **state)
{
    const script_t login = script_of_login();
    const script_t rows = script_of_rows();

    (void) state;
    begin_to_connect();
    say(login.octets, login.size);
    assert_int_equal(client_mysql_step(client, CLIENT_READ, 0, &wait_for),
                     CLIENT_DONE);
    client_mysql_begin_query(client, "SELECT n", 8, CLIENT_NO_DEADLINE);
    say(rows.octets, rows.size);
    assert_int_equal(client_mysql_finish(client), CLIENT_DONE);
    check_rows();
    client_mysql_begin_query(client, "SELECT n", 8, 0);
    assert_int_equal(client_mysql_finish(client), CLIENT_ERROR);
    expect_gone("timeout");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, let_go_after)
    const struct CMUnitTest tests[] = {
        TEST(a_script_may_come_in_two_parts),
        TEST(a_script_may_come_octet_by_octet),
        TEST(the_peer_may_end_anywhere),
        TEST(the_deadline_may_come_anywhere),
        TEST(what_comes_late_is_late),
        TEST(it_may_be_freed_anywhere),
        TEST(octets_put_the_deadline_off),
        TEST(a_refusal_has_a_number),
        TEST(a_refused_statement_leaves_the_connection),
        TEST(garbage_for_a_greeting_ends_it),
        TEST(the_server_may_ask_by_another_plugin),
        TEST(no_file_of_ours_is_sent),
        TEST(a_lock_is_not_waited_for_long),
        TEST(results_follow_each_other),
        TEST(rows_may_be_read_one_by_one),
        TEST(rows_may_be_skipped),
        TEST(a_walk_may_end_before_its_rows),
        TEST(a_statement_is_prepared_and_executed),
        TEST(who_is_not_there_is_told_at_once),
        TEST(without_a_connection_nothing_is_asked),
        TEST(who_may_block_waits_by_poll),
    };

    peer = -1;
    return cmocka_run_group_tests(tests, listen_there, remove_there);
}
