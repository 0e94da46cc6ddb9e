/* What queries fetch: the fields of names, and what is below a name. */

#include "store/redis/pipeline.h"

#include <string.h>

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
read_fields(store_redis_t *db, redis_job_t *job, const redisReply *reply)
{

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

void
redis_take_fetched(store_redis_t *db, redis_job_t *job, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        redis_job_fail(job, has_moved(reply) ? DNS_NEEDS : DNS_ESTORE,
                       reply->str);
    } else if (reply->type != REDIS_REPLY_STATUS ||
               !db->options->is_cluster) { /* else it is to ASKING */
        read_fields(db, job, reply);
    }
}

void
redis_settle(const store_redis_t *db, redis_job_t *job)
{
    if (next_want(job)) {
        redis_job_fail(job, DNS_ESTORE, "fewer fields than were asked for");
    } else if (records_put_soa(job->set, db->serial) != DNS_OK) {
        redis_job_fail(job, DNS_ENOMEM, dns_status_text(DNS_ENOMEM));
    } else {
        dns_fetched_settle(job->set);
    }
}
