#include "store/redis/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/redis/settings.h"

static void take_reply(void *data, redisReply *reply);

dns_status_t
store_redis_new(store_redis_t **out, store_options_t *options,
                const store_redis_callbacks_t *callbacks,
                store_records_t *records)
{
    store_redis_t *db = calloc(1, sizeof(*db));

    if (db == NULL) {
        return DNS_ENOMEM;
    }

    redis_client_settings_t settings = redis_settings_of(options);

    settings.reads_replicas = options->is_cluster;
    settings.tls = callbacks->tls;
    settings.reply_max = STORE_REDIS_REPLY_MAX;
    settings.take = take_reply;
    settings.data = db;

    db->options = store_options_acquire(options);
    db->callbacks = *callbacks;
    db->records = records;
    db->jobs = calloc(STORE_REDIS_JOBS_MAX, sizeof(*db->jobs));

    redis_client_init(&db->client, &settings);

    if (db->jobs == NULL) {
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
        redis_client_deinit(&db->client);
        store_options_release(db->options);
        free(db->jobs);
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

bool
store_redis_is_ready(const store_redis_t *db)
{
    return db->client.state == REDIS_READY;
}

const char *
store_redis_error(const store_redis_t *db)
{
    return db->client.error;
}

void
store_redis_open(store_redis_t *db, const store_host_t *host, uint64_t now_ms)
{
    redis_client_open(&db->client, host == NULL ? NULL : host->address,
                      host == NULL ? 0 : host->port, now_ms,
                      now_ms + db->options->timeout_ms);
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

    error[0] = '\0';

    if (status != DNS_OK) { /* done() may begin a job in the same place */
        memcpy(error, job->error, sizeof(error));
    }

    db->first = (db->first + 1) % STORE_REDIS_JOBS_MAX;
    db->count--;
    db->callbacks.done(db->callbacks.done_data, data, status, error);
}

void
redis_job_put(store_redis_t *db, redis_job_t *job, char *command,
              long long size)
{
    if (redis_client_put_command(&db->client, command, size)) {
        job->replies_left++;
    } else {
        redis_job_fail(job, DNS_ENOMEM, "no memory for a command");
    }
}

/* A job that asks for nothing, or for which there was no memory. */
static void
finish_empty(store_redis_t *db)
{
    while (db->count > 0 && db->jobs[db->first].replies_left == 0) {
        finish(db, &db->jobs[db->first]);
    }
}

static void
read_reply(store_redis_t *db, redis_job_t *job, const redisReply *reply)
{
    job->replies_left--;

    if (job->kind == WATCH) {
        redis_take_change(db, job, reply);
    } else if (job->status != DNS_OK) {
        /* What comes behind a failure is of no use. */
    } else if (job->kind == FETCH) {
        redis_take_fetched(db, job, reply);
    } else if (job->kind == ZONES) {
        redis_take_zones(db, job, reply);
    } else {
        redis_take_owners(job, reply);
    }
}

static void
take_reply(void *data, redisReply *reply)
{
    store_redis_t *db = data;

    if (db->count > 0) { /* else the subscription has ended */
        redis_job_t *job = &db->jobs[db->first];

        read_reply(db, job, reply);

        if (job->replies_left == 0 && job->status == DNS_OK &&
            job->kind == FETCH) {
            redis_settle(db, job);
        }
    }

    freeReplyObject(reply);
    finish_empty(db);
}

client_step_t
store_redis_step(store_redis_t *db, int ready, uint64_t now_ms,
                 client_wait_t *wait)
{
    finish_empty(db);
    return redis_client_step(&db->client, ready, now_ms, wait);
}
