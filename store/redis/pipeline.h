#ifndef STORE_REDIS_PIPELINE_H
#define STORE_REDIS_PIPELINE_H

/* The jobs on a connection of live queries: pipeline.c begins and ends them,
   fetch.c fetches records, listing.c lists zones and names, subscription.c
   hears of changes. */

#include <stdbool.h>

#include "client/redis.h"
#include "store/redis/names.h"

typedef enum { ZONES, OWNERS, FETCH, WATCH } redis_kind_t;

typedef struct {
    redis_kind_t kind;
    void *job;           /* the caller's */
    size_t replies_left; /* of its commands */
    dns_status_t status; /* so far */
    char error[STORE_REDIS_ERROR_SIZE];
    unsigned replies_seen;            /* of what goes before the first SCAN, or
                                         of subscriptions */
    dns_zone_list_t *zones;           /* borrowed */
    dns_ancestors_t *owners;          /* borrowed */
    const dns_name_t *apex;           /* borrowed: of owners */
    const store_redis_watch_t *watch; /* borrowed */
    dns_fetched_t *set;               /* borrowed */
    /* Whose field is read next: replies come in the order of the wants. */
    dns_want_t want;
    size_t want_at;
    bool below;
} redis_job_t;

struct store_redis_s {
    store_options_t *options; /* acquired */
    store_redis_callbacks_t callbacks;
    store_records_t *records; /* borrowed */
    redis_client_t client;
    uint32_t serial;
    uint64_t skipped;
    bool notifies;
    redis_job_t *jobs; /* owned: a ring of STORE_REDIS_JOBS_MAX */
    unsigned first;
    unsigned count;
};

redis_job_t *redis_job_begin(store_redis_t *db, redis_kind_t kind, void *data);

/* Takes a command of the job that hiredis has formatted. */
void redis_job_put(store_redis_t *db, redis_job_t *job, char *command,
                   long long size);

/* What goes wrong first is told at the job's end. */
void redis_job_fail(redis_job_t *job, dns_status_t status, const char *error);

/* Replies to each kind of job; errors as well. */
void redis_take_fetched(store_redis_t *db, redis_job_t *job,
                        const redisReply *reply);
void redis_take_zones(store_redis_t *db, redis_job_t *job,
                      const redisReply *reply);
void redis_take_owners(redis_job_t *job, const redisReply *reply);
void redis_take_change(store_redis_t *db, redis_job_t *job,
                       const redisReply *reply);

/* All replies to a fetch have come. */
void redis_settle(const store_redis_t *db, redis_job_t *job);

#endif
