#ifndef STORE_REDIS_H
#define STORE_REDIS_H

/*
 * Zones in Redis, one hash per zone as the CoreDNS redis plugin has them: key
 * PREFIX zone. SUFFIX, field = owner name below the zone ("@", "www", "*.x"),
 * value = JSON (store/records.h).
 *
 * This is a machine that never waits (client/wait.h), for live queries.  Up to
 * STORE_REDIS_JOBS_MAX jobs are under way at once; their replies come in order.
 *
 *     store_redis_open(db, host, now);
 *     store_redis_step() until store_redis_is_ready(db)
 *     store_redis_begin_fetch(db, set, job);
 *     store_redis_step() until its end is told to callbacks.done
 *
 * CLIENT_DONE: there are no jobs; a step when there is something to read then
 * sees whether the connection still is there.  CLIENT_ERROR: it and the jobs
 * under way have failed; free it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/wait.h"
#include "dns/fetched.h"
#include "dns/status.h"
#include "dns/zone_list.h"
#include "store/options.h"
#include "store/records.h"

enum {
    STORE_REDIS_REPLY_MAX = 64 << 20, /* octets that one job may receive */
    STORE_REDIS_ERROR_SIZE = 256,     /* bytes of an error text and its NUL */
    STORE_REDIS_JOBS_MAX = 256,
    STORE_REDIS_OWNERS_MAX = 100000, /* names of a zone that are listed */
};

/* The end of a job, which was given to begin.  DNS_ESTORE: an error reply;
   DNS_NEEDS: another node of the cluster has the zone; DNS_ELIMIT, DNS_ENOMEM.
   error: borrowed for the call.  May begin jobs. */
typedef void (*store_redis_done_t)(void *data, void *job, dns_status_t status,
                                   const char *error);

/* Part of a field that is not served, and why; borrowed for the call. */
typedef void (*store_redis_skip_t)(void *data, const char *name,
                                   const char *reason);

/* A node of the cluster, as a listing tells them; address: borrowed for the
   call, empty: the one that is asked. */
typedef void (*store_redis_node_t)(void *data, const char *address,
                                   uint16_t port, bool is_master);

typedef struct store_redis_s store_redis_t;

typedef struct {
    store_redis_skip_t skip; /* NULL: nobody is told */
    void *skip_data;
    store_redis_done_t done;
    void *done_data;
    store_redis_node_t node; /* for a cluster */
    void *node_data;
    struct ssl_ctx_st *tls; /* borrowed (client/tls.h); NULL: no TLS */
} store_redis_callbacks_t;

/* A connection to one server, or one node, of a store.  options are acquired;
   callbacks: copied; records: borrowed.  DNS_ELIMIT: the prefix or suffix is
   too long. */
DNS_EXPORT DNS_MUST_USE dns_status_t store_redis_new(
    store_redis_t **out, store_options_t *options,
    const store_redis_callbacks_t *callbacks, store_records_t *records);
DNS_EXPORT void store_redis_free(store_redis_t *db);

/* The serial of zones whose SOA has none: let it rise with each change. */
DNS_EXPORT void store_redis_set_serial(store_redis_t *db, uint32_t serial);

/* Begins to connect to the host, which is an address (NULL: to the Unix
   socket), asks a sentinel, logs in: within the store's timeout. */
DNS_EXPORT void store_redis_open(store_redis_t *db, const store_host_t *host,
                                 uint64_t now_ms);

/* Goes on.  May call done() of jobs, which begin others; not free db. */
DNS_EXPORT client_step_t store_redis_step(store_redis_t *db, int ready,
                                          uint64_t now_ms, client_wait_t *wait);

/* It is logged in: jobs may be begun, up to STORE_REDIS_JOBS_MAX. */
DNS_EXPORT bool store_redis_is_ready(const store_redis_t *db);

/* After CLIENT_ERROR. */
DNS_EXPORT const char *store_redis_error(const store_redis_t *db);

/* Adds every zone.  Walks over the keys by SCAN: several round trips, and
   Redis serves others between. */
DNS_EXPORT void store_redis_begin_zones(store_redis_t *db,
                                        dns_zone_list_t *zones, void *job);

/* Adds the owner names of a zone.  DNS_ELIMIT: they are more than
   STORE_REDIS_OWNERS_MAX.  Both borrowed until the job's end. */
DNS_EXPORT void store_redis_begin_owners(store_redis_t *db,
                                         const dns_name_t *apex,
                                         dns_ancestors_t *owners, void *job);

/* Fetches what the set wants in one round trip and settles it.  After an error
   the set may hold a part: free it.  zones, set: borrowed until the job's end.
 */
DNS_EXPORT void store_redis_begin_fetch(store_redis_t *db, dns_fetched_t *set,
                                        void *job);

/* Does Redis tell changes of hashes and keys?  As the last listing saw it. */
DNS_EXPORT bool store_redis_notifies(const store_redis_t *db);

/* What is told of changes.  channel: NULL: keyspace notifications alone.
   subscribed(): from now on.  changed(): of a zone, or of any (apex NULL); its
   key may have come or gone with it.  apex: borrowed for the call. */
typedef struct {
    unsigned database;
    const char *channel;
    void (*subscribed)(void *data);
    void (*changed)(void *data, const dns_name_t *apex, bool may_come_or_go);
    void *data;
} store_redis_watch_t;

/* Subscribes to changes; the job ends only by an error, and the connection is
   good for nothing else.  watch: borrowed until then. */
DNS_EXPORT void store_redis_begin_watch(store_redis_t *db,
                                        const store_redis_watch_t *watch,
                                        void *job);

/* On a connection that watches: something that is replied to. */
DNS_EXPORT DNS_MUST_USE dns_status_t store_redis_ping(store_redis_t *db);

#endif
