#include "store/redis/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/redis_reader.h"
#include "store/private/records.h"

enum { GROUP_MAX = 32 }; /* fields in a command */

/* The fields of a command. */
typedef struct {
    char key[STORE_REDIS_KEY_SIZE];
    char fields[GROUP_MAX][DNS_NAME_TEXT_SIZE];
    size_t count;
} group_t;

/*
 * For names without a field, in Redis itself so that it is one round trip: 1 if
 * there is something below the name, else nil.  It walks over all names of the
 * zone.
 */
static const char below_script[] =
    "local below = {} "
    "for _, f in ipairs(redis.call('HKEYS', KEYS[1])) do "
    "local at = f:find('.', 1, true) "
    "while at do "
    "f = f:sub(at + 1) below[f] = true at = f:find('.', 1, true) "
    "end end "
    "local v = {} "
    "for i = 1, #ARGV do v[i] = below[ARGV[i]] and 1 or false end "
    "return v";

dns_status_t
store_redis_new(store_redis_t **out, store_options_t *options,
                const store_redis_callbacks_t *callbacks,
                store_records_t *records)
{
    store_redis_t *db = calloc(1, sizeof(*db));

    if (db == NULL) {
        return DNS_ENOMEM;
    }

    db->options = store_options_acquire(options);
    db->callbacks = *callbacks;
    db->records = records;
    db->reader = redisReaderCreate();
    db->jobs = calloc(STORE_REDIS_JOBS_MAX, sizeof(*db->jobs));

    if (!redis_bound_reader(db->reader) || db->jobs == NULL) {
        store_redis_free(db);
        return DNS_ENOMEM;
    }

    *out = db;
    return DNS_OK;
}

void
store_redis_free(store_redis_t *db)
{
    if (db != NULL) {
        redisReaderFree(db->reader);
        store_options_release(db->options);
        free(db->jobs);
        free(db->output);
        free(db);
    }
}

void
store_redis_set_serial(store_redis_t *db, uint32_t serial)
{
    db->serial = serial;
}

bool
store_redis_notifies(const store_redis_t *db)
{
    return db->notifies;
}

unsigned
store_redis_jobs(const store_redis_t *db)
{
    return db->count;
}

const char *
store_redis_output(const store_redis_t *db, size_t *size)
{
    *size = db->output_size - db->output_sent;
    return db->output + db->output_sent;
}

void
store_redis_sent(store_redis_t *db, size_t size)
{
    db->output_sent += size;

    if (db->output_sent == db->output_size) {
        db->output_sent = 0;
        db->output_size = 0;
    }
}

void
redis_job_fail(redis_job_t *job, dns_status_t status, const char *error)
{
    if (job->status == DNS_OK) {
        job->status = status;
        snprintf(job->error, sizeof(job->error), "%s", error);
    }
}

redis_job_t *
redis_job_begin(store_redis_t *db, redis_kind_t kind, void *data)
{
    redis_job_t *job =
        &db->jobs[(db->first + db->count++) % STORE_REDIS_JOBS_MAX];

    memset(job, 0, offsetof(redis_job_t, error));
    job->error[0] = '\0';
    job->kind = kind;
    job->job = data;
    job->zones = NULL;
    job->master = NULL;
    job->watch = NULL;
    job->set = NULL;
    job->replies_seen = 0;
    job->want_at = 0;
    job->below = false;
    return job;
}

/* The front job is over. */
static void
finish(store_redis_t *db, redis_job_t *job)
{
    void *data = job->job;
    const dns_status_t status = job->status;
    char error[STORE_REDIS_ERROR_SIZE];

    memcpy(error, job->error, sizeof(error));
    db->first = (db->first + 1) % STORE_REDIS_JOBS_MAX;
    db->count--;
    db->callbacks.done(db->callbacks.done_data, data, status, error);
}

static bool
reserve(store_redis_t *db, size_t size)
{
    if (db->output_room - db->output_size >= size) {
        return true;
    }

    size_t room = 2 * db->output_room + size;
    char *output = realloc(db->output, room);

    if (output == NULL) {
        return false;
    }

    db->output = output;
    db->output_room = room;
    return true;
}

/* Takes what hiredis formatted. */
void
redis_job_put(store_redis_t *db, redis_job_t *job, char *command,
              long long size)
{
    if (size < 0 || !reserve(db, (size_t) size)) {
        redis_job_fail(job, DNS_ENOMEM, "no memory for a command");
    } else {
        memcpy(db->output + db->output_size, command, (size_t) size);
        db->output_size += (size_t) size;
        job->replies_left++;
    }

    if (size >= 0) {
        redisFreeCommand(command);
    }
}

static void
put_group(store_redis_t *db, redis_job_t *job, const group_t *group, bool below)
{
    const char *words[GROUP_MAX + 4];
    int count = 0;
    char *command = NULL;

    /* A zone whose slot is being moved to this node is read here as soon as it
       is here. */
    if (db->options->is_cluster) {
        const int asking = redisFormatCommand(&command, "ASKING");

        redis_job_put(db, job, command, asking);
    }

    if (below) {
        words[count++] = "EVAL";
        words[count++] = below_script;
        words[count++] = "1";
    } else {
        words[count++] = "HMGET";
    }

    words[count++] = group->key;

    for (size_t i = 0; i < group->count; i++) {
        words[count++] = group->fields[i];
    }

    const long long size = redisFormatCommandArgv(&command, count, words, NULL);

    redis_job_put(db, job, command, size);
}

/* Commands for all names that are wanted for their records, or for what is
   below them: one for each zone as a rule. */
static void
put_wanted(store_redis_t *db, redis_job_t *job, bool below)
{
    group_t group; /* large: only what is used of it is written */
    uint32_t zone_id = 0;
    dns_want_t want;

    group.count = 0;

    for (size_t at = 0; dns_fetched_next_wanted(job->set, &at, &want);) {
        if (want.below != below) {
            continue;
        }

        if (group.count == GROUP_MAX ||
            (group.count > 0 && zone_id != want.zone_id)) {
            put_group(db, job, &group, below);
            group.count = 0;
        }

        if (group.count == 0) {
            store_redis_key(db->options->prefix, db->options->suffix, want.apex,
                            group.key);
            zone_id = want.zone_id;
        }

        store_redis_field(want.name, want.apex, group.fields[group.count++]);
    }

    if (group.count > 0) {
        put_group(db, job, &group, below);
    }
}

void
store_redis_begin_fetch(store_redis_t *db, dns_fetched_t *set, void *data)
{
    redis_job_t *job = redis_job_begin(db, FETCH, data);

    job->set = set;
    put_wanted(db, job, false);
    put_wanted(db, job, true);
}

/* What visit() of a field needs. */
typedef struct {
    store_redis_t *db;
    redis_job_t *job;
} field_t;

static void
skip(const field_t *field, const char *reason)
{
    store_redis_t *db = field->db;
    char name[DNS_NAME_TEXT_SIZE];

    db->skipped++;

    if (db->callbacks.skip != NULL) {
        dns_name_to_text(name, field->job->want.name->octets);
        db->callbacks.skip(db->callbacks.skip_data, name, reason);
    }
}

static void
visit(void *data, const store_record_t *record, const char *reason)
{
    const field_t *field = data;
    redis_job_t *job = field->job;

    if (record == NULL) {
        skip(field, reason);
        return;
    }

    dns_rrset_t set = {.type = record->type, .ttl = record->ttl};
    dns_status_t status =
        dns_fetched_add(job->set, job->want.zone_id, job->want.name->octets,
                        &set, &record->rdata);

    if (status == DNS_ELIMIT) {
        skip(field, "too many records at one name");
    } else if (status == DNS_ENOMEM) {
        redis_job_fail(job, status, dns_status_text(status));
    }
}

/* What the text was found to mean before; else it is parsed, and remembered
   unless something of it is not served. */
static void
read_json(store_redis_t *db, redis_job_t *job, const redisReply *reply)
{
    const json_memo_key_t key = {reply->str, reply->len, db->serial};
    const uint8_t *name = job->want.name->octets;
    const uint64_t skipped = db->skipped;
    field_t field = {db, job};
    dns_node_t node;

    if (json_memo_find(&db->records->memo, &key, &node)) {
        dns_status_t status =
            dns_fetched_put_node(job->set, job->want.zone_id, name, &node);

        if (status == DNS_ENOMEM) {
            redis_job_fail(job, status, dns_status_text(status));
        }

        return;
    }

    const store_json_t json = {.text = reply->str,
                               .size = reply->len,
                               .serial = db->serial,
                               .visit = visit,
                               .data = &field};

    /* visit() was told of what is wrong. */
    (void) !store_records_from_json(db->records, &json);
    node = dns_fetched_node(job->set, job->want.zone_id, name);

    if (db->skipped == skipped && job->status == DNS_OK) {
        json_memo_put(&db->records->memo, &key, &node);
    }
}

static void
read_field(store_redis_t *db, redis_job_t *job, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_INTEGER &&
        reply->type != REDIS_REPLY_STRING) {
        return;
    }

    dns_fetched_mark(job->set, job->want.zone_id, job->want.name->octets);

    if (reply->type == REDIS_REPLY_STRING) {
        read_json(db, job, reply);
    }
}

/* Records are asked for first, then what is below. */
static bool
next_want(redis_job_t *job)
{
    for (;;) {
        while (dns_fetched_next_wanted(job->set, &job->want_at, &job->want)) {
            if (job->want.below == job->below) {
                return true;
            }
        }

        if (job->below) {
            return false;
        }

        job->below = true;
        job->want_at = 0;
    }
}

/* Redis Cluster: another node has the zone. */
static bool
has_moved(const redisReply *error)
{
    return strncmp(error->str, "MOVED ", 6) == 0 ||
           strncmp(error->str, "ASK ", 4) == 0;
}

static void
read_fetch(store_redis_t *db, redis_job_t *job, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_STATUS && db->options->is_cluster) {
        return; /* to ASKING */
    }

    if (reply->type != REDIS_REPLY_ARRAY) {
        redis_job_fail(job, DNS_ESTORE, "not a reply to HMGET");
        return;
    }

    for (size_t i = 0; i < reply->elements; i++) {
        if (!next_want(job)) {
            redis_job_fail(job, DNS_ESTORE, "more fields than were asked for");
            return;
        }

        read_field(db, job, reply->element[i]);
    }
}

static void
settle(const store_redis_t *db, redis_job_t *job)
{
    if (next_want(job)) {
        redis_job_fail(job, DNS_ESTORE, "fewer fields than were asked for");
    } else if (records_put_soa(job->set, db->serial) != DNS_OK) {
        redis_job_fail(job, DNS_ENOMEM, dns_status_text(DNS_ENOMEM));
    } else {
        dns_fetched_settle(job->set);
    }
}

static void
read_reply(store_redis_t *db, const redisReply *reply)
{
    redis_job_t *job = &db->jobs[db->first];

    job->replies_left--;

    if (job->kind != FETCH) {
        redis_session_reply(db, job, reply);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        redis_job_fail(job, has_moved(reply) ? DNS_NEEDS : DNS_ESTORE,
                       reply->str);
    } else if (job->status == DNS_OK) {
        read_fetch(db, job, reply);
    }

    if (job->replies_left > 0) {
        return;
    }

    if (job->status == DNS_OK && job->kind == FETCH) {
        settle(db, job);
    }

    finish(db, job);
}

/* A job that asks for nothing, or for which there was no memory. */
static void
finish_empty(store_redis_t *db)
{
    while (db->count > 0 && db->jobs[db->first].replies_left == 0) {
        finish(db, &db->jobs[db->first]);
    }
}

dns_status_t
store_redis_feed(store_redis_t *db, const char *octets, size_t size)
{
    db->received += size;

    if (db->received > STORE_REDIS_REPLY_MAX) {
        return DNS_ELIMIT;
    }

    if (size > 0) {
        redisReaderFeed(db->reader, octets, size);
    }

    finish_empty(db);

    while (db->count > 0) {
        void *reply = NULL;

        if (redis_read_reply(db->reader, &reply) != REDIS_OK) {
            return DNS_ESTORE;
        }

        if (reply == NULL) {
            return DNS_OK;
        }

        db->received = 0;
        read_reply(db, reply);
        freeReplyObject(reply);
        finish_empty(db);
    }

    return DNS_OK;
}
