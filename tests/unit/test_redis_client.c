#include "redis_peer.h"

#include <signal.h>
#include <time.h>

#include "client/redis.h"

enum {
    NOW = 1000,      /* ms, whatever the time is */
    DEADLINE = 1500, /* until which a connection is ready */
    HEARD_SIZE = 1 << 20,
    REPLY_MAX = 1 << 16,
};

static peer_t peer;
static redis_client_t client;
static client_wait_t wait;
static char heard[HEARD_SIZE];

/* What was replied, in words. */
static char told[1 << 16];

static void
tell_reply(const redisReply *reply)
{
    char *to = told + strlen(told);
    const size_t size = sizeof(told) - strlen(told);

    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        snprintf(to, size, ":%lld;", reply->integer);
        break;
    case REDIS_REPLY_ARRAY:
        snprintf(to, size, "*%zu:", reply->elements);
        for (size_t i = 0; i < reply->elements; i++) {
            tell_reply(reply->element[i]);
        }
        break;
    case REDIS_REPLY_NIL:
        snprintf(to, size, "nil;");
        break;
    default:
        snprintf(to, size, "%s%s;", reply->type == REDIS_REPLY_ERROR ? "-" : "",
                 reply->str);
        break;
    }
}

static void
take(void *data, redisReply *reply)
{
    assert_ptr_equal(data, &peer);
    tell_reply(reply);
    freeReplyObject(reply);
}

static redis_client_settings_t
settings(void)
{
    return (redis_client_settings_t){
        .reply_max = REPLY_MAX,
        .take = take,
        .data = &peer,
    };
}

static client_step_t
step_at(int ready, uint64_t now_ms)
{
    return redis_client_step(&client, ready, now_ms, &wait);
}

static client_step_t
step(int ready)
{
    return step_at(ready, NOW);
}

/* What has to come is there; then a step. */
static client_step_t
step_with_input(void)
{
    wait_until(client.transport.fd, POLLIN);
    return step(CLIENT_READ);
}

static void
open_with(const redis_client_settings_t *with)
{
    told[0] = '\0';
    redis_client_init(&client, with);

    if (peer.path[0] != '\0') {
        client.settings.unix_socket = peer.path;
        redis_client_open(&client, NULL, 0, NOW, DEADLINE);
    } else {
        redis_client_open(&client, "127.0.0.1", peer.port, NOW, DEADLINE);
    }

    assert_int_equal(step(0), CLIENT_WAIT);
    assert_int_equal(wait.events, CLIENT_WRITE);
    assert_int_equal(wait.deadline_ms, DEADLINE);
    wait_until(wait.fd, POLLOUT);
    peer_accept(&peer);
    assert_int_equal(step(CLIENT_WRITE), CLIENT_WAIT);
    assert_int_equal(wait.events, CLIENT_READ);
    assert_int_equal(wait.deadline_ms, DEADLINE);
    wait_until(peer.fd, POLLIN);
    (void) peer_hear(&peer, heard, sizeof(heard));
}

/* A connection that is logged in. */
static void
open_ready(void)
{
    const redis_client_settings_t plain = settings();

    open_with(&plain);
    peer_say(&peer, "+PONG\r\n");
    assert_int_equal(step_with_input(), CLIENT_DONE);
    assert_string_equal(told, "");
}

static void
put(const char *name)
{
    char *command = NULL;
    const int size = redisFormatCommand(&command, name);

    assert_true(redis_client_put_command(&client, command, size));
}

static void
shut(void)
{
    redis_client_deinit(&client);
    peer_hang_up(&peer);
}

static int
listen_tcp(void **state)
{
    (void) state;
    peer_listen_tcp(&peer);
    return 0;
}

static int
listen_unix(void **state)
{
    (void) state;
    peer_listen_unix(&peer);
    return 0;
}

static int
stop(void **state)
{
    (void) state;
    peer_close(&peer);
    return 0;
}

static void
a_login_says_who_and_where(void **state)
{
    redis_client_settings_t with = settings();

    (void) state;
    with.user = "me";
    with.password = "secret";
    with.database = 3;
    with.reads_replicas = true;
    open_with(&with);
    assert_string_equal(heard,
                        "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$6\r\nsecret\r\n"
                        "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
                        "*1\r\n$8\r\nREADONLY\r\n"
                        "*1\r\n$4\r\nPING\r\n");
    peer_say(&peer, "+OK\r\n+OK\r\n+OK\r\n");
    assert_int_equal(step_with_input(), CLIENT_WAIT);
    assert_int_equal(client.state, REDIS_LOGGING_IN);
    peer_say(&peer, "+PONG\r\n");
    assert_int_equal(step_with_input(), CLIENT_DONE);
    assert_int_equal(client.state, REDIS_READY);
    assert_int_equal(wait.deadline_ms, CLIENT_NO_DEADLINE);
    shut();
}

static void
a_login_that_is_refused_is_told(void **state)
{
    redis_client_settings_t with = settings();

    (void) state;
    with.password = "secret";
    open_with(&with);
    peer_say(&peer, "-WRONGPASS no\r\n-NOAUTH either\r\n");
    assert_int_equal(step_with_input(), CLIENT_ERROR);
    assert_string_equal(client.error, "WRONGPASS no");
    assert_int_equal(step(CLIENT_READ), CLIENT_ERROR); /* it stays so */
    shut();
}

/* Each command's reply comes in its turn, whatever the pieces. */
static void
replies_come_octet_by_octet(void **state)
{
    static const char replies[] = "$3\r\na\nb\r\n*3\r\n:1\r\n$-1\r\n*0\r\n"
                                  "-ERR no\r\n+OK\r\n";

    (void) state;
    open_ready();
    put("A");
    put("B");
    put("C");
    put("D");
    assert_int_equal(step(0), CLIENT_WAIT);
    assert_int_equal(wait.events, CLIENT_READ);
    assert_int_equal(wait.deadline_ms, CLIENT_NO_DEADLINE);

    for (size_t i = 0; i < sizeof(replies) - 1; i++) {
        peer_send(&peer, replies + i, 1);
        assert_int_equal(step_with_input(), i + 1 < sizeof(replies) - 1
                                                ? CLIENT_WAIT
                                                : CLIENT_DONE);
    }

    assert_string_equal(told, "a\nb;*3::1;nil;*0:-ERR no;OK;");
    wait_until(peer.fd, POLLIN);
    (void) peer_hear(&peer, heard, sizeof(heard));
    assert_string_equal(heard, "*1\r\n$1\r\nA\r\n*1\r\n$1\r\nB\r\n"
                               "*1\r\n$1\r\nC\r\n*1\r\n$1\r\nD\r\n");
    shut();
}

/* Nothing to read is no end, and nothing is read without need. */
static void
a_step_without_octets_changes_nothing(void **state)
{
    (void) state;
    open_ready();
    put("A");

    for (int i = 0; i < 3; i++) {
        assert_int_equal(step(0), CLIENT_WAIT);
        assert_int_equal(step(CLIENT_READ), CLIENT_WAIT);
        assert_int_equal(step(CLIENT_READ | CLIENT_WRITE), CLIENT_WAIT);
        assert_int_equal(step(CLIENT_TIMEOUT), CLIENT_WAIT);
    }

    peer_say(&peer, "+OK\r\n");
    wait_until(client.transport.fd, POLLIN);
    assert_int_equal(step(CLIENT_WRITE), CLIENT_WAIT);
    assert_string_equal(told, "");
    assert_int_equal(step(CLIENT_READ), CLIENT_DONE);
    assert_string_equal(told, "OK;");
    shut();
}

static void
a_silent_server_costs_the_deadline(void **state)
{
    const redis_client_settings_t plain = settings();

    (void) state;
    open_with(&plain);
    assert_int_equal(step_at(CLIENT_TIMEOUT, DEADLINE - 1), CLIENT_WAIT);
    assert_int_equal(wait.deadline_ms, DEADLINE);
    peer_say(&peer, "+PO"); /* some octets put nothing off */
    assert_int_equal(step_with_input(), CLIENT_WAIT);
    assert_int_equal(wait.deadline_ms, DEADLINE);
    assert_int_equal(step_at(CLIENT_TIMEOUT, DEADLINE), CLIENT_ERROR);
    assert_string_equal(client.error, "connecting takes too long");
    shut();
}

/* Its last octet comes with the deadline. */
static void
a_login_in_the_last_moment_is_one(void **state)
{
    const redis_client_settings_t plain = settings();

    (void) state;
    open_with(&plain);
    peer_say(&peer, "+PONG\r\n");
    wait_until(client.transport.fd, POLLIN);
    assert_int_equal(step_at(CLIENT_READ, DEADLINE), CLIENT_DONE);
    shut();
}

/* At each octet of the log-in, and of a reply. */
static void
an_end_in_the_middle_is_told(void **state)
{
    static const char octets[] = "+PONG\r\n$3\r\nabc\r\n";
    const redis_client_settings_t plain = settings();

    (void) state;

    for (size_t size = 0; size < sizeof(octets) - 1; size++) {
        open_with(&plain);
        peer_send(&peer, octets, size < 7 ? size : 7);

        if (size >= 7) {
            assert_int_equal(step_with_input(), CLIENT_DONE);
            put("A");
            assert_int_equal(step(0), CLIENT_WAIT);
            wait_until(peer.fd, POLLIN); /* unread octets would reset it */
            (void) peer_hear(&peer, heard, sizeof(heard));
            peer_send(&peer, octets + 7, size - 7);
        }

        peer_hang_up(&peer);
        wait_until(client.transport.fd, POLLIN);

        /* The octets, and then the end, which another event tells. */
        while (step(CLIENT_READ) == CLIENT_WAIT) {
            continue;
        }

        assert_string_equal(client.error, "the connection is lost");
        assert_string_equal(told, "");
        shut();
    }
}

static void
an_end_while_nothing_is_asked_is_seen(void **state)
{
    (void) state;
    open_ready();
    peer_hang_up(&peer);
    assert_int_equal(step_with_input(), CLIENT_ERROR);
    assert_string_equal(client.error, "the connection is lost");
    shut();
}

static void
what_was_not_asked_for_ends_it(void **state)
{
    (void) state;
    open_ready();
    put("A");
    peer_say(&peer, "+one\r\n+two\r\n");
    assert_int_equal(step_with_input(), CLIENT_ERROR);
    assert_string_equal(told, "one;");
    assert_string_equal(client.error, "it sends what it was not asked for");
    shut();
}

static void
messages_are_taken_where_they_are_expected(void **state)
{
    (void) state;
    open_ready();
    client.is_pushed = true;
    put("SUBSCRIBE x");
    assert_int_equal(step(0), CLIENT_WAIT);
    peer_say(&peer, "+one\r\n+two\r\n+three\r\n");
    assert_int_equal(step_with_input(), CLIENT_WAIT);
    assert_string_equal(told, "one;two;three;");
    shut();
}

static void
what_is_too_much_or_no_protocol_ends_it(void **state)
{
    static const char *const sizes[] = {
        "$100000\r\n",        /* more than reply_max, which comes */
        "*1000000000\r\n",    /* elements */
        "*2\r\n*4194305\r\n", /* the same within an array */
        "?\r\n",              /* no type */
        ":a\r\n",             /* no number */
        "$-2\r\n",            /* no size */
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        "+", /* a line that does not end */
    };
    static char filler[4096];

    (void) state;
    memset(filler, 'x', sizeof(filler));

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        client_step_t result;

        open_ready();
        put("A");
        peer_say(&peer, sizes[i]);
        result = step_with_input();

        for (int k = 0; k < 40 && result == CLIENT_WAIT; k++) {
            peer_send(&peer, filler, sizeof(filler));
            result = step_with_input();
        }

        assert_int_equal(result, CLIENT_ERROR);
        assert_string_equal(told, "");
        assert_true(client.error[0] != '\0');
        shut();
    }
}

/* A reply of reply_max octets is not too much, and a next one counts anew. */
static void
as_much_as_may_come_is_taken(void **state)
{
    static char reply[REPLY_MAX + 1];
    int size = snprintf(reply, sizeof(reply), "$%d\r\n", REPLY_MAX - 10);

    (void) state;
    memset(reply + size, 'x', REPLY_MAX - 10);
    memcpy(reply + size + REPLY_MAX - 10, "\r\n", 2);
    size += REPLY_MAX - 8;
    open_ready();

    for (int i = 0; i < 3; i++) {
        client_step_t result = CLIENT_WAIT;

        put("A");
        told[0] = '\0';

        for (int sent = 0; sent < size || result == CLIENT_WAIT;) {
            const int part = size - sent < 5000 ? size - sent : 5000;

            peer_send(&peer, reply + sent, (size_t) part);
            sent += part;
            result = step_with_input();
        }

        assert_int_equal(result, CLIENT_DONE);
        assert_int_equal(strlen(told), REPLY_MAX - 10 + 1);
    }

    shut();
}

/* The server does not read for a while, and may reply meanwhile. */
static void
commands_that_find_no_place_wait(void **state)
{
    static char word[1 << 20];
    const char *words[] = {"SET", word};
    const size_t sizes[] = {3, sizeof(word)};
    uint64_t count = 0;

    (void) state;
    memset(word, 'w', sizeof(word));
    open_ready();

    for (int i = 0; i < 8; i++) {
        char *command;
        const long long size =
            redisFormatCommandArgv(&command, 2, words, sizes);

        assert_true(redis_client_put_command(&client, command, size));
    }

    assert_int_equal(step(0), CLIENT_WAIT);
    assert_int_equal(wait.events, CLIENT_READ | CLIENT_WRITE);
    peer_say(&peer, "+0\r\n");
    assert_int_equal(step_with_input(), CLIENT_WAIT);
    assert_string_equal(told, "0;");
    assert_int_equal(wait.events, CLIENT_READ | CLIENT_WRITE);

    while ((wait.events & CLIENT_WRITE) != 0) {
        wait_until(peer.fd, POLLIN);
        count += peer_hear(&peer, heard, sizeof(heard));
        assert_int_equal(step(CLIENT_WRITE), CLIENT_WAIT);
    }

    while (count < 8 * sizeof(word)) {
        wait_until(peer.fd, POLLIN);
        count += peer_hear(&peer, heard, sizeof(heard));
    }

    peer_say(&peer, "+1\r\n+2\r\n+3\r\n+4\r\n+5\r\n+6\r\n+7\r\n");
    assert_int_equal(step_with_input(), CLIENT_DONE);
    assert_string_equal(told, "0;1;2;3;4;5;6;7;");
    shut();
}

/* It is put, replied to, and another one put, in one step. */
static void
put_another(void *data, redisReply *reply)
{
    take(data, reply);

    if (strlen(told) < 9) {
        put("NEXT");
    }
}

static void
a_reply_may_lead_to_a_command(void **state)
{
    (void) state;
    open_ready();
    client.settings.take = put_another;
    put("FIRST");
    assert_int_equal(step(0), CLIENT_WAIT);

    for (int i = 0; i < 3; i++) {
        peer_say(&peer, "+ok\r\n");
        assert_int_equal(step_with_input(), i < 2 ? CLIENT_WAIT : CLIENT_DONE);
        wait_until(peer.fd, POLLIN);
    }

    assert_string_equal(told, "ok;ok;ok;");
    (void) peer_hear(&peer, heard, sizeof(heard));
    assert_non_null(strstr(heard, "FIRST\r\n*1\r\n$4\r\nNEXT\r\n*1\r\n"));
    shut();
}

/* Others have their turn while a server sends on and on. */
static void
much_input_is_read_in_several_steps(void **state)
{
    static char octets[1 << 18];
    int steps = 0;

    (void) state;

    for (size_t i = 0; i < sizeof(octets); i += 4) {
        memcpy(octets + i, "+k\r\n", 4);
    }

    open_ready();
    client.is_pushed = true;

    /* Between two steps the kernel's buffers are filled again. */
    for (size_t sent = 0; sent < 16 * sizeof(octets);) {
        const ssize_t part =
            send(peer.fd, octets + sent % sizeof(octets),
                 sizeof(octets) - sent % sizeof(octets), MSG_DONTWAIT);

        if (part > 0) {
            sent += (size_t) part;
            continue;
        }

        told[0] = '\0';
        assert_int_equal(step(CLIENT_READ), CLIENT_WAIT);
        steps++;

        if (client.has_more) {
            assert_int_equal(wait.deadline_ms, NOW);
            assert_int_equal(step(CLIENT_TIMEOUT), CLIENT_WAIT);
        }
    }

    assert_true(steps > 1);
    shut();
}

static void
open_sentinel(redis_client_settings_t *with)
{
    with->sentinel = "one";
    with->sentinel_password = "guard";
    with->password = "secret";
    open_with(with);
    assert_int_equal(client.state, REDIS_ASKING_SENTINEL);
    assert_string_equal(heard,
                        "*2\r\n$4\r\nAUTH\r\n$5\r\nguard\r\n"
                        "*3\r\n$8\r\nSENTINEL\r\n$23\r\nget-master-addr-by-"
                        "name\r\n$3\r\none\r\n");
}

static void
say_master(const char *host, unsigned port)
{
    char text[128], number[16];

    snprintf(number, sizeof(number), "%u", port);
    snprintf(text, sizeof(text), "+OK\r\n*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n",
             strlen(host), host, strlen(number), number);
    peer_say(&peer, text);
}

static void
a_sentinel_leads_to_the_master(void **state)
{
    redis_client_settings_t with = settings();
    peer_t master;

    (void) state;
    peer_listen_tcp(&master);
    open_sentinel(&with);

    const int before = wait.fd;

    say_master("127.0.0.1", master.port);
    assert_int_equal(step_with_input(), CLIENT_WAIT);
    assert_int_not_equal(wait.fd, before); /* so that a driver notices */
    assert_int_equal(wait.deadline_ms, DEADLINE);
    peer_accept(&master);
    wait_until(wait.fd, POLLOUT);
    assert_int_equal(step(CLIENT_WRITE), CLIENT_WAIT);
    wait_until(master.fd, POLLIN);
    (void) peer_hear(&master, heard, sizeof(heard));
    assert_string_equal(heard, "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n"
                               "*1\r\n$4\r\nROLE\r\n");
    peer_say(&master, "+OK\r\n*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n");
    assert_int_equal(step_with_input(), CLIENT_DONE);
    shut();
    peer_close(&master);
}

static void
a_replica_is_no_master(void **state)
{
    static const char *const roles[] = {"*1\r\n$5\r\nslave\r\n", "*0\r\n",
                                        "*1\r\n:1\r\n"};

    (void) state;

    for (size_t i = 0; i < 3; i++) {
        redis_client_settings_t with = settings();
        peer_t master;

        peer_listen_tcp(&master);
        open_sentinel(&with);
        say_master("127.0.0.1", master.port);
        assert_int_equal(step_with_input(), CLIENT_WAIT);
        peer_accept(&master);
        wait_until(wait.fd, POLLOUT);
        assert_int_equal(step(CLIENT_WRITE), CLIENT_WAIT);
        peer_say(&master, "+OK\r\n");
        peer_say(&master, roles[i]);
        wait_until(client.transport.fd, POLLIN);

        while (step(CLIENT_READ) == CLIENT_WAIT) {
            wait_until(client.transport.fd, POLLIN);
        }

        assert_string_equal(client.error, "it is not the master");
        shut();
        peer_close(&master);
    }
}

static void
what_a_sentinel_may_say_else_is_an_error(void **state)
{
    static const char *const replies[] = {
        "+OK\r\n*-1\r\n",
        "+OK\r\n$-1\r\n",
        "+OK\r\n*0\r\n",
        "+OK\r\n:1\r\n",
        "+OK\r\n*2\r\n$1\r\na\r\n:1\r\n",
        "+OK\r\n*2\r\n$1\r\na\r\n$5\r\n65536\r\n",
        "+OK\r\n*2\r\n$1\r\na\r\n$1\r\n0\r\n",
        "+OK\r\n*2\r\n$1\r\na\r\n$2\r\n-1\r\n",
        "+OK\r\n*2\r\n$0\r\n\r\n$2\r\n53\r\n",
        "+OK\r\n*2\r\n$9\r\nlocalhost\r\n$2\r\n53\r\n", /* a name */
        "-NOAUTH who are you\r\n",
    };

    (void) state;

    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        redis_client_settings_t with = settings();

        open_sentinel(&with);
        peer_say(&peer, replies[i]);
        assert_int_equal(step_with_input(), CLIENT_ERROR);
        assert_true(client.error[0] != '\0');
        shut();
    }
}

/* Nobody listens there any more. */
static void
a_server_that_refuses_is_told(void **state)
{
    const redis_client_settings_t plain = settings();
    peer_t none;

    (void) state;
    peer_listen_tcp(&none);
    peer_close(&none);
    redis_client_init(&client, &plain);
    redis_client_open(&client, "127.0.0.1", none.port, NOW, DEADLINE);

    while (step(CLIENT_WRITE) == CLIENT_WAIT) {
        wait_until(wait.fd, POLLOUT);
    }

    assert_string_equal(client.error, "Connection refused");
    redis_client_deinit(&client);
}

/* Whose place for connections is taken. */
static void
an_address_that_is_silent_has_its_time(void **state)
{
    redis_client_settings_t with = settings();
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fillers[4];

    (void) state;
    with.connect_ms = 100;
    assert_int_equal(listen(peer.listener, 0), 0);
    to.sin_port = htons(peer.port);

    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void) !connect(fillers[i], (void *) &to, sizeof(to));
    }

    redis_client_init(&client, &with);
    redis_client_open(&client, "127.0.0.1", peer.port, NOW, DEADLINE);
    assert_int_equal(step(0), CLIENT_WAIT);
    assert_int_equal(wait.deadline_ms, NOW + 100);
    assert_int_equal(step_at(CLIENT_TIMEOUT, NOW + 99), CLIENT_WAIT);
    assert_int_equal(step_at(CLIENT_TIMEOUT, NOW + 100), CLIENT_ERROR);
    assert_string_equal(client.error, "Connection timed out");
    redis_client_deinit(&client);

    for (int i = 0; i < 4; i++) {
        close(fillers[i]);
    }
}

static void
a_connection_that_failed_is_opened_again(void **state)
{
    (void) state;
    open_ready();
    put("A");
    assert_int_equal(step(0), CLIENT_WAIT);
    peer_say(&peer, "$9\r\nhal"); /* is no part of what the next one says */
    assert_int_equal(step_with_input(), CLIENT_WAIT);
    redis_client_fail(&client, "timeout");
    assert_int_equal(step(CLIENT_READ), CLIENT_ERROR);
    assert_string_equal(client.error, "timeout");
    redis_client_open(&client, peer.path[0] != '\0' ? NULL : "127.0.0.1",
                      peer.port, NOW, DEADLINE);
    assert_int_equal(step(0), CLIENT_WAIT);
    peer_accept(&peer);
    wait_until(wait.fd, POLLOUT);
    assert_int_equal(step(CLIENT_WRITE), CLIENT_WAIT);
    peer_say(&peer, "+PONG\r\n");
    assert_int_equal(step_with_input(), CLIENT_DONE);
    shut();
}

/* Whatever comes, in whatever pieces, the sanitizers have nothing to say, and
   the replies are as many as the commands at most. */
static void
noise_ends_it_or_is_replies(void **state)
{
    static const char *const parts[] = {
        "*2\r\n",     "*3\r\n",      ":1\r\n",  ":-5\r\n", "+OK\r\n",
        "-E\r\n",     "$1\r\n0\r\n", "$-1\r\n", "*0\r\n",  "*-1\r\n",
        "$0\r\n\r\n", "\r\n$3\r",    "$9\r\n",  "*1\r\n",  "+",
    };
    const unsigned seed = (unsigned) time(NULL);

    (void) state;
    print_message("seed %u\n", seed);
    srand(seed);

    for (int round = 0; round < 2000; round++) {
        client_step_t result = CLIENT_WAIT;

        open_ready();

        for (int i = 0; i < 5; i++) {
            put("A");
        }

        for (int i = 0; i < 12 && result != CLIENT_ERROR; i++) {
            peer_say(
                &peer,
                parts[(size_t) rand() % (sizeof(parts) / sizeof(parts[0]))]);
            result = step_with_input();
        }

        shut();
    }
}

#define OVER_TCP(test)  cmocka_unit_test_setup_teardown(test, listen_tcp, stop)
#define OVER_UNIX(test) cmocka_unit_test_setup_teardown(test, listen_unix, stop)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        OVER_TCP(a_login_says_who_and_where),
        OVER_UNIX(a_login_says_who_and_where),
        OVER_TCP(a_login_that_is_refused_is_told),
        OVER_TCP(replies_come_octet_by_octet),
        OVER_UNIX(replies_come_octet_by_octet),
        OVER_TCP(a_step_without_octets_changes_nothing),
        OVER_TCP(a_silent_server_costs_the_deadline),
        OVER_TCP(a_login_in_the_last_moment_is_one),
        OVER_TCP(an_end_in_the_middle_is_told),
        OVER_TCP(an_end_while_nothing_is_asked_is_seen),
        OVER_UNIX(an_end_while_nothing_is_asked_is_seen),
        OVER_TCP(what_was_not_asked_for_ends_it),
        OVER_TCP(messages_are_taken_where_they_are_expected),
        OVER_TCP(what_is_too_much_or_no_protocol_ends_it),
        OVER_TCP(as_much_as_may_come_is_taken),
        OVER_TCP(commands_that_find_no_place_wait),
        OVER_UNIX(commands_that_find_no_place_wait),
        OVER_TCP(a_reply_may_lead_to_a_command),
        OVER_UNIX(much_input_is_read_in_several_steps),
        OVER_TCP(a_sentinel_leads_to_the_master),
        OVER_TCP(a_replica_is_no_master),
        OVER_TCP(what_a_sentinel_may_say_else_is_an_error),
        OVER_TCP(a_server_that_refuses_is_told),
        OVER_TCP(an_address_that_is_silent_has_its_time),
        OVER_TCP(a_connection_that_failed_is_opened_again),
        OVER_UNIX(a_connection_that_failed_is_opened_again),
        OVER_UNIX(noise_ends_it_or_is_replies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
