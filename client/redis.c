#include "client/redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/redis_login.h"
#include "client/redis_reader.h"

enum {
    READ_SIZE = 16 * 1024, /* octets: a record of TLS */
    READS_MAX = 64,        /* in one step: others have their turn */
};

void
redis_client_init(redis_client_t *r, const redis_client_settings_t *settings)
{
    memset(r, 0, sizeof(*r));
    r->settings = *settings;
    transport_init(&r->transport);
}

void
redis_client_deinit(redis_client_t *r)
{
    transport_close(&r->transport);
    redisReaderFree(r->reader);
    free(r->output);
}

void
redis_client_fail(redis_client_t *r, const char *error)
{
    r->state = REDIS_BROKEN;

    if (error != r->error) {
        snprintf(r->error, sizeof(r->error), "%s", error);
    }
}

/* Octets of another connection are no part of this one's replies. */
static bool
renew_reader(redis_client_t *r)
{
    redisReaderFree(r->reader);
    r->reader = redisReaderCreate();
    r->has_more = false;
    return redis_bound_reader(r->reader);
}

static void
connect_to(redis_client_t *r, const char *host, uint16_t port, uint64_t now_ms)
{
    const redis_client_settings_t *settings = &r->settings;
    const transport_target_t target = {
        .host = host,
        .port = port,
        .unix_socket = settings->unix_socket,
        .looks_up = settings->looks_up,
        .tls = settings->tls,
        .tls_name = settings->tls_name,
        .connect_ms = settings->connect_ms,
    };

    if (renew_reader(r)) {
        transport_open(&r->transport, &target, now_ms);
    } else {
        redis_client_fail(r, "no memory for a connection");
    }
}

void
redis_client_open(redis_client_t *r, const char *host, uint16_t port,
                  uint64_t now_ms, uint64_t deadline_ms)
{
    r->state = r->settings.sentinel != NULL ? REDIS_CONNECTING_SENTINEL
                                            : REDIS_CONNECTING;
    r->deadline_ms = deadline_ms;
    r->is_pushed = false;
    r->error[0] = '\0';
    connect_to(r, host, port, now_ms);
}

static bool
reserve(redis_client_t *r, size_t size)
{
    if (r->output_capacity - r->output_size >= size) {
        return true;
    }

    const size_t capacity = 2 * r->output_capacity + size;
    char *output = realloc(r->output, capacity);

    if (output == NULL) {
        return false;
    }

    r->output = output;
    r->output_capacity = capacity;
    return true;
}

bool
redis_client_put(redis_client_t *r, const char *octets, size_t size,
                 size_t commands)
{
    if (!reserve(r, size)) {
        return false;
    }

    memcpy(r->output + r->output_size, octets, size);
    r->output_size += size;
    r->awaited += commands;
    return true;
}

bool
redis_client_put_command(redis_client_t *r, char *command, long long size)
{
    if (size < 0) {
        return false;
    }

    const bool is_put = redis_client_put(r, command, (size_t) size, 1);

    redisFreeCommand(command);
    return is_put;
}

/* As much as the socket takes.  false: the connection is lost. */
static bool
send_output(redis_client_t *r, int ready)
{
    transport_t *t = &r->transport;
    size_t moved;

    if (r->output_size == 0 ||
        (t->send_events != 0 && (t->send_events & ready) == 0)) {
        return true;
    }

    while (r->output_sent < r->output_size) {
        const transport_result_t result =
            transport_send(t, r->output + r->output_sent,
                           r->output_size - r->output_sent, &moved);

        if (result != TRANSPORT_DONE) {
            return result == TRANSPORT_WAIT;
        }

        r->output_sent += moved;
        r->moved += moved;
    }

    r->output_sent = 0;
    r->output_size = 0;
    return true;
}

/* All that was asked before it is ready has been replied to. */
static void
finish_stage(redis_client_t *r, uint64_t now_ms)
{
    if (r->state == REDIS_LOGGING_IN) {
        r->state = REDIS_READY;
        return;
    }

    r->state = REDIS_CONNECTING;
    connect_to(r, r->master, r->master_port, now_ms);
}

static void
take_reply(redis_client_t *r, redisReply *reply, uint64_t now_ms)
{
    const bool is_asked = r->awaited > 0;

    r->received = 0;
    r->awaited -= is_asked;

    if (r->state == REDIS_READY && (is_asked || r->is_pushed)) {
        r->settings.take(r->settings.data, reply);
        return;
    }

    if (!is_asked) {
        redis_client_fail(r, "it sends what it was not asked for");
    } else if (!redis_login_take(r, reply)) {
        redis_client_fail(r, r->error);
    } else if (r->awaited == 0) {
        finish_stage(r, now_ms);
    }

    freeReplyObject(reply);
}

/* Is it connected to who replies, as the state has it? */
static bool
is_talking(const redis_client_t *r)
{
    return r->state == REDIS_READY || r->state == REDIS_LOGGING_IN ||
           r->state == REDIS_ASKING_SENTINEL;
}

static void
feed(redis_client_t *r, const char *octets, size_t size, uint64_t now_ms)
{
    const redisReader *reader = r->reader;
    void *reply;

    r->received += size;
    r->moved += size;

    if (r->received > r->settings.reply_max) {
        redis_client_fail(r, "it sends too large a reply");
        return;
    }

    redisReaderFeed(r->reader, octets, size);

    while (is_talking(r) && reader->pos < reader->len) {
        reply = NULL;

        if (redis_read_reply(r->reader, &reply) != REDIS_OK) {
            redis_client_fail(r, "what it sends is not Redis's protocol");
            return;
        }

        if (reply == NULL) {
            return;
        }

        take_reply(r, reply, now_ms);
    }
}

/* What has come, up to READS_MAX times.  A socket is empty when it gives less
   than was asked for. */
static void
receive_input(redis_client_t *r, uint64_t now_ms)
{
    transport_t *t = &r->transport;
    char octets[READ_SIZE];
    size_t moved;

    r->has_more = false;

    for (int i = 0; is_talking(r); i++) {
        if (i == READS_MAX) {
            r->has_more = true;
            return;
        }

        const transport_result_t result =
            transport_receive(t, octets, sizeof(octets), &moved);

        if (result == TRANSPORT_WAIT) {
            return;
        }

        if (result == TRANSPORT_FAILED) {
            redis_client_fail(r, t->error);
            return;
        }

        feed(r, octets, moved, now_ms);

        if (t->ssl == NULL && moved < sizeof(octets)) {
            return;
        }
    }
}

/* The connection is there, to a sentinel or to the server. */
static void
begin_stage(redis_client_t *r)
{
    r->state = r->state == REDIS_CONNECTING_SENTINEL ? REDIS_ASKING_SENTINEL
                                                     : REDIS_LOGGING_IN;
    r->awaited = 0;
    r->received = 0;
    r->output_sent = 0;
    r->output_size = 0;

    if (!redis_login_begin(r)) {
        redis_client_fail(r, "no memory for a command");
    }
}

/* true: the connection is there. */
static bool
connect_further(redis_client_t *r, int ready, uint64_t now_ms)
{
    switch (transport_connect(&r->transport, ready, now_ms)) {
    case TRANSPORT_DONE:
        begin_stage(r);
        return true;
    case TRANSPORT_WAIT:
        break;
    case TRANSPORT_FAILED:
    default:
        redis_client_fail(r, r->transport.error);
        break;
    }

    return false;
}

static void
exchange(redis_client_t *r, int ready, uint64_t now_ms)
{
    const transport_t *t = &r->transport;
    bool is_sent = send_output(r, ready);

    if (is_sent && (r->has_more || (t->receive_events & ready) != 0)) {
        receive_input(r, now_ms);
        is_sent = !is_talking(r) || send_output(r, ready);
    }

    if (!is_sent) {
        redis_client_fail(r, t->error);
    }
}

/* What the next step needs. */
static void
tell_wait(const redis_client_t *r, uint64_t now_ms, client_wait_t *wait)
{
    const transport_t *t = &r->transport;

    wait->fd = t->fd;
    wait->events = t->connect_events;
    wait->deadline_ms = t->deadline_ms;

    if (is_talking(r)) {
        wait->events =
            t->receive_events | (r->output_size > 0 ? t->send_events : 0);
        wait->deadline_ms = r->has_more ? now_ms : CLIENT_NO_DEADLINE;
    }

    if (r->state != REDIS_READY && r->deadline_ms < wait->deadline_ms) {
        wait->deadline_ms = r->deadline_ms;
    }
}

/* Goes on connecting, asking the sentinel or logging in, until the deadline. */
static void
step_towards_ready(redis_client_t *r, int ready, uint64_t now_ms)
{
    if (!is_talking(r) && connect_further(r, ready, now_ms)) {
        ready = CLIENT_READ | CLIENT_WRITE; /* as may be by now */
    }

    if (is_talking(r)) {
        exchange(r, ready, now_ms);
    }

    if (r->state == REDIS_CONNECTING) { /* perhaps to another server */
        (void) connect_further(r, 0, now_ms);
    }

    if (r->state != REDIS_READY && r->state != REDIS_BROKEN &&
        now_ms >= r->deadline_ms) {
        redis_client_fail(r, "connecting takes too long");
    }
}

client_step_t
redis_client_step(redis_client_t *r, int ready, uint64_t now_ms,
                  client_wait_t *wait)
{
    if (r->state == REDIS_READY) {
        exchange(r, ready, now_ms);
    } else if (r->state != REDIS_BROKEN) {
        step_towards_ready(r, ready, now_ms);
    }

    if (r->state == REDIS_BROKEN) {
        return CLIENT_ERROR;
    }

    tell_wait(r, now_ms, wait);
    return r->state == REDIS_READY && r->awaited == 0 && r->output_size == 0 &&
                   !r->is_pushed
               ? CLIENT_DONE
               : CLIENT_WAIT;
}
