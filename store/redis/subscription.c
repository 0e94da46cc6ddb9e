/* Changes that Redis tells: keyspace notifications, and a channel. */

#include "store/redis/pipeline.h"

#include <stdio.h>
#include <string.h>

enum { CHANNEL_SIZE = STORE_REDIS_PATTERN_SIZE + 32 }; /* bytes */

static bool
is_text(const redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, text) == 0;
}

/* Channels that tell changes of keys. */
static int
put_channel(const redis_job_t *job, char *out)
{
    return snprintf(out, CHANNEL_SIZE,
                    "__keyspace@%u__:", job->watch->database);
}

void
store_redis_begin_watch(store_redis_t *db, const store_redis_watch_t *watch,
                        void *data)
{
    redis_job_t *job = redis_job_begin(db, WATCH, data);
    char channel[CHANNEL_SIZE];
    char *command = NULL;

    job->watch = watch;
    db->client.is_pushed = true;
    store_redis_pattern(db->options->prefix, db->options->suffix,
                        channel + put_channel(job, channel));

    int size = redisFormatCommand(&command, "PSUBSCRIBE %s", channel);

    redis_job_put(db, job, command, size);

    if (watch->channel != NULL) {
        size = redisFormatCommand(&command, "SUBSCRIBE %s", watch->channel);
        redis_job_put(db, job, command, size);
    }
}

dns_status_t
store_redis_ping(store_redis_t *db)
{
    redis_job_t *job = &db->jobs[db->first];
    char *command = NULL;
    const int size = redisFormatCommand(&command, "PING");

    redis_job_put(db, job, command, size);
    return job->status;
}

static void
tell_key(const store_redis_t *db, const redis_job_t *job,
         const redisReply *channel, const redisReply *event)
{
    char before[CHANNEL_SIZE];
    const size_t size = (size_t) put_channel(job, before);
    dns_name_t apex;

    if (channel->len > size && memcmp(channel->str, before, size) == 0 &&
        store_redis_apex(db->options->prefix, db->options->suffix,
                         channel->str + size, channel->len - size, &apex)) {
        job->watch->changed(job->watch->data, &apex, event->str[0] != 'h');
    }
}

/* A zone's name; empty: any may have changed, and so may who sends anything
   else mean. */
static void
tell_message(const redis_job_t *job, const redisReply *message)
{
    uint8_t name[DNS_NAME_MAX];
    dns_name_t apex;
    const bool is_name =
        message->len > 0 && dns_name_from_text(name, message->str, message->len,
                                               NULL, NULL) == DNS_OK;

    if (is_name) {
        dns_name_set(&apex, name);
    }

    job->watch->changed(job->watch->data, is_name ? &apex : NULL, true);
}

void
redis_take_change(store_redis_t *db, redis_job_t *job, const redisReply *reply)
{
    const store_redis_watch_t *watch = job->watch;
    const unsigned wanted = watch->channel != NULL ? 2 : 1;

    if (reply->type == REDIS_REPLY_ERROR) {
        redis_job_fail(job, DNS_ESTORE, reply->str);
        job->replies_left = 0;
        return;
    }

    job->replies_left = 1; /* there is always more to come */

    if (reply->type != REDIS_REPLY_ARRAY) {
        return;
    }

    if (reply->elements == 4 && is_text(reply->element[0], "pmessage") &&
        reply->element[2]->type == REDIS_REPLY_STRING &&
        reply->element[3]->type == REDIS_REPLY_STRING) {
        tell_key(db, job, reply->element[2], reply->element[3]);
    } else if (reply->elements == 3 && is_text(reply->element[0], "message") &&
               reply->element[2]->type == REDIS_REPLY_STRING) {
        tell_message(job, reply->element[2]);
    } else if (reply->elements == 3 &&
               reply->element[2]->type == REDIS_REPLY_INTEGER &&
               ++job->replies_seen == wanted) {
        watch->subscribed(watch->data);
    }
}
