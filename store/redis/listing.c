/* Listings: the zones of a server or of a node, the names of a zone. */

#include "store/redis/pipeline.h"

#include <string.h>

#include "store/redis/cluster.h"

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

static bool
tell_node(void *data, const redis_slots_t *slots)
{
    const store_redis_t *db = data;

    db->callbacks.node(db->callbacks.node_data, slots->address, slots->port,
                       slots->is_master);
    return true;
}

static void
read_slots(store_redis_t *db, redis_job_t *job, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY) {
        redis_job_fail(job, DNS_ESTORE,
                       reply->type == REDIS_REPLY_ERROR
                           ? reply->str
                           : "not a reply to CLUSTER SLOTS");
    } else {
        redis_each_slots(reply, tell_node, db);
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

void
redis_take_zones(store_redis_t *db, redis_job_t *job, const redisReply *reply)
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

void
redis_take_owners(redis_job_t *job, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        redis_job_fail(job, DNS_ESTORE, reply->str);
    } else if (reply->type == REDIS_REPLY_INTEGER) {
        redis_job_fail(job, DNS_ELIMIT, "too many names");
    } else if (reply->type != REDIS_REPLY_ARRAY) {
        redis_job_fail(job, DNS_ESTORE, "not a reply to HKEYS");
    } else {
        for (size_t i = 0; i < reply->elements; i++) {
            read_owner(job, reply->element[i]);
        }
    }
}
