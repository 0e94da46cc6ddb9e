/* What is not a fetch: the log-in, sentinels, listings, changes that Redis
   tells. */

#include "store/redis/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNEL_SIZE = STORE_REDIS_PATTERN_SIZE + 32 }; /* bytes */

void
store_redis_begin_login(store_redis_t *db, void *data)
{
    const store_options_t *o = db->options;
    redis_job_t *job = redis_job_begin(db, LOGIN, data);
    char *command = NULL;
    int size;

    if (o->password != NULL) {
        size = o->user == NULL
                   ? redisFormatCommand(&command, "AUTH %s", o->password)
                   : redisFormatCommand(&command, "AUTH %s %s", o->user,
                                        o->password);
        redis_job_put(db, job, command, size);
    }

    if (o->database_number != 0) {
        size = redisFormatCommand(&command, "SELECT %u", o->database_number);
        redis_job_put(db, job, command, size);
    }

    if (db->options->is_cluster) {
        size = redisFormatCommand(&command, "READONLY");
        redis_job_put(db, job, command, size);
    }

    size = redisFormatCommand(&command, o->sentinel != NULL ? "ROLE" : "PING");
    redis_job_put(db, job, command, size);
}

static bool
is_text(const redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, text) == 0;
}

/* Only ROLE has an array as its reply. */
static void
read_login(redis_job_t *job, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ARRAY &&
        (reply->elements == 0 || !is_text(reply->element[0], "master"))) {
        redis_job_fail(job, DNS_ESTORE, "it is not the master");
    }
}

void
store_redis_begin_master(store_redis_t *db, store_redis_master_t *out,
                         void *data)
{
    const store_options_t *o = db->options;
    redis_job_t *job = redis_job_begin(db, MASTER, data);
    char *command = NULL;
    int size;

    job->master = out;
    out->address[0] = '\0';

    if (o->sentinel_password != NULL) {
        size = redisFormatCommand(&command, "AUTH %s", o->sentinel_password);
        redis_job_put(db, job, command, size);
    }

    size = redisFormatCommand(&command, "SENTINEL get-master-addr-by-name %s",
                              o->sentinel);
    redis_job_put(db, job, command, size);
}

static void
read_master(redis_job_t *job, const redisReply *reply)
{
    store_redis_master_t *out = job->master;

    if (reply->type == REDIS_REPLY_STATUS) { /* to AUTH */
        return;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING) {
        redis_job_fail(job, DNS_ESTORE, "the sentinel knows no such master");
        return;
    }

    const long port = strtol(reply->element[1]->str, NULL, 10);

    if (port < 1 || port > UINT16_MAX || reply->element[0]->len == 0 ||
        reply->element[0]->len >= STORE_REDIS_ADDRESS_SIZE) {
        redis_job_fail(job, DNS_ESTORE, "the sentinel gives no address");
        return;
    }

    strcpy(out->address, reply->element[0]->str);
    out->port = (uint16_t) port;
}

static void
put_scan(store_redis_t *db, redis_job_t *job, const char *cursor)
{
    char pattern[STORE_REDIS_PATTERN_SIZE];
    char *command = NULL;

    store_redis_pattern(db->options->prefix, db->options->suffix, pattern);

    /* The types of keys are told apart by the server. */
    int size =
        redisFormatCommand(&command, "SCAN %s MATCH %s COUNT %d TYPE hash",
                           cursor, pattern, STORE_REDIS_SCAN_COUNT);

    redis_job_put(db, job, command, size);
}

void
store_redis_begin_zones(store_redis_t *db, dns_zone_list_t *zones, void *data)
{
    redis_job_t *job = redis_job_begin(db, ZONES, data);
    char *command = NULL;
    int size =
        redisFormatCommand(&command, "CONFIG GET notify-keyspace-events");

    job->zones = zones;
    redis_job_put(db, job, command, size);

    if (db->options->is_cluster) {
        size = redisFormatCommand(&command, "CLUSTER SLOTS");
        redis_job_put(db, job, command, size);
    }

    put_scan(db, job, "0");
}

/* K: by keys; A: all kinds, or h and g: of hashes, and DEL, RENAME.  Who may
   not ask gets an error. */
static void
read_flags(store_redis_t *db, const redisReply *reply)
{
    db->notifies = false;

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        reply->element[1]->type == REDIS_REPLY_STRING) {
        const char *flags = reply->element[1]->str;

        db->notifies =
            strchr(flags, 'K') != NULL &&
            (strchr(flags, 'A') != NULL ||
             (strchr(flags, 'h') != NULL && strchr(flags, 'g') != NULL));
    }
}

/* Without an address it is the node that is asked. */
static void
tell_node(const store_redis_t *db, const redisReply *node, bool is_master)
{
    if (node->type == REDIS_REPLY_ARRAY && node->elements >= 2 &&
        node->element[1]->type == REDIS_REPLY_INTEGER) {
        const redisReply *address = node->element[0];

        db->callbacks.node(db->callbacks.node_data,
                           address->type == REDIS_REPLY_STRING ? address->str
                                                               : "",
                           (uint16_t) node->element[1]->integer, is_master);
    }
}

/* first slot, last slot, the master, its replicas; each is address, port, ...
 */
static void
read_slots(store_redis_t *db, redis_job_t *job, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY) {
        redis_job_fail(job, DNS_ESTORE,
                       reply->type == REDIS_REPLY_ERROR
                           ? reply->str
                           : "not a reply to CLUSTER SLOTS");
        return;
    }

    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *range = reply->element[i];
        const size_t end =
            range->type == REDIS_REPLY_ARRAY ? range->elements : 0;

        for (size_t k = 2; k < end; k++) {
            tell_node(db, range->element[k], k == 2);
        }
    }
}

static void
add_zone(const store_redis_t *db, redis_job_t *job, const redisReply *key)
{
    /* A job that is done once more may find some zones there. */
    dns_zone_t zone = {
        .id = (uint32_t) dns_zone_list_count(job->zones) + 1,
    };

    if (key->type != REDIS_REPLY_STRING ||
        !store_redis_apex(db->options->prefix, db->options->suffix, key->str,
                          key->len, &zone.apex)) {
        return;
    }

    /* SCAN may give a key twice. */
    dns_status_t status = dns_zone_list_add(job->zones, &zone);

    if (status != DNS_OK && status != DNS_EEXIST) {
        redis_job_fail(job, status, dns_status_text(status));
    }
}

static void
read_keys(store_redis_t *db, redis_job_t *job, const redisReply *reply)
{
    const char *fault = store_redis_scan_fault(reply);

    if (fault != NULL) {
        redis_job_fail(job, DNS_ESTORE, fault);
        return;
    }

    const redisReply *keys = reply->element[1];

    for (size_t i = 0; job->status == DNS_OK && i < keys->elements; i++) {
        add_zone(db, job, keys->element[i]);
    }

    if (job->status == DNS_OK && strcmp(reply->element[0]->str, "0") != 0) {
        put_scan(db, job, reply->element[0]->str);
    }
}

static void
read_zones(store_redis_t *db, redis_job_t *job, const redisReply *reply)
{
    switch (job->replies_seen++) {
    case 0:
        read_flags(db, reply);
        return;
    case 1:
        if (db->options->is_cluster) {
            read_slots(db, job, reply);
            return;
        }
        break;
    default:
        break;
    }

    read_keys(db, job, reply);
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

static void
read_watch(store_redis_t *db, redis_job_t *job, const redisReply *reply)
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

void
store_redis_begin_owners(store_redis_t *db, const dns_name_t *apex,
                         dns_ancestors_t *owners, void *data)
{
    static const char script[] =
        "if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[1]) then return 0 end "
        "return redis.call('HKEYS', KEYS[1])";
    redis_job_t *job = redis_job_begin(db, OWNERS, data);
    char key[STORE_REDIS_KEY_SIZE];
    char *command = NULL;

    job->owners = owners;
    job->apex = apex;
    store_redis_key(db->options->prefix, db->options->suffix, apex, key);

    int size = redisFormatCommand(&command, "EVAL %s 1 %s %d", script, key,
                                  STORE_REDIS_OWNERS_MAX);

    redis_job_put(db, job, command, size);
}

static void
read_owner(redis_job_t *job, const redisReply *field)
{
    uint8_t wire[DNS_NAME_MAX];
    dns_name_t name;

    if (field->type != REDIS_REPLY_STRING ||
        !store_redis_name(field->str, field->len, job->apex, wire)) {
        return;
    }

    dns_name_set(&name, wire);

    if (dns_ancestors_add(job->owners, &name) != DNS_OK) {
        redis_job_fail(job, DNS_ENOMEM, "no memory for a zone's names");
    }
}

static void
read_owners(redis_job_t *job, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_INTEGER) {
        redis_job_fail(job, DNS_ELIMIT, "too many names");
    } else if (reply->type != REDIS_REPLY_ARRAY) {
        redis_job_fail(job, DNS_ESTORE, "not a reply to HKEYS");
    } else {
        for (size_t i = 0; i < reply->elements; i++) {
            read_owner(job, reply->element[i]);
        }
    }
}

void
redis_session_reply(store_redis_t *db, redis_job_t *job,
                    const redisReply *reply)
{
    if (job->kind == WATCH) {
        read_watch(db, job, reply);
    } else if (job->status != DNS_OK) {
        return;
    } else if (job->kind == ZONES) {
        read_zones(db, job, reply);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        redis_job_fail(job, DNS_ESTORE, reply->str);
    } else if (job->kind == OWNERS) {
        read_owners(job, reply);
    } else if (job->kind == MASTER) {
        read_master(job, reply);
    } else {
        read_login(job, reply);
    }
}
