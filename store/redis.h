#ifndef STORE_REDIS_H
#define STORE_REDIS_H

/*
 * Zones in Redis, one hash per zone as the CoreDNS redis plugin has them: key
 * PREFIX zone. SUFFIX, field = owner name below the zone ("@", "www", "*.x"),
 * value = JSON (store/records.h).
 *
 * This is the protocol without any I/O: the caller moves the bytes, over a
 * cosocket or a plain socket.  One job at a time:
 *
 *     store_redis_begin_fetch(db, set);
 *     do {
 *         send store_redis_output() and tell store_redis_sent()
 *         receive some octets
 *     } while (store_redis_feed(db, octets, size) == STORE_REDIS_WAITS);
 *     dns_status_t status = store_redis_status(db);
 *
 * After an error close the connection and make a new one of both.
 */

#include <stddef.h>
#include <stdint.h>

#include "dns/fetched.h"
#include "dns/status.h"
#include "dns/zone_list.h"
#include "store/records.h"

enum {
    STORE_REDIS_AFFIX_MAX = 255,      /* bytes of the prefix, of the suffix */
    STORE_REDIS_REPLY_MAX = 64 << 20, /* octets that one job may receive */
    STORE_REDIS_ERROR_SIZE = 256,     /* bytes of an error text and its NUL */
};

typedef enum {
    STORE_REDIS_WAITS, /* send what is to be sent, then receive more */
    STORE_REDIS_DONE,  /* see store_redis_status() */
} store_redis_step_t;

/* Part of a field that is not served, and why; borrowed for the call. */
typedef void (*store_redis_skip_t)(void *data, const char *name,
                                   const char *reason);

typedef struct store_redis_s store_redis_t;

typedef struct {
    const char *prefix; /* borrowed for the call; NULL: none */
    const char *suffix;
    store_redis_skip_t skip; /* NULL: nobody is told */
    void *skip_data;
} store_redis_options_t;

/* records: borrowed.  DNS_ELIMIT: a prefix or suffix is too long. */
DNS_EXPORT DNS_MUST_USE dns_status_t
store_redis_new(store_redis_t **out, const store_redis_options_t *options,
                store_records_t *records);
DNS_EXPORT void store_redis_free(store_redis_t *db);

/* The serial of zones whose SOA has none: let it rise with each change. */
DNS_EXPORT void store_redis_set_serial(store_redis_t *db, uint32_t serial);

/* Parts of fields skipped so far. */
DNS_EXPORT uint64_t store_redis_skipped(const store_redis_t *db);

/* AUTH (password NULL: not; user NULL: the default one) and SELECT (0: not). */
DNS_EXPORT void store_redis_begin_login(store_redis_t *db, const char *user,
                                        const char *password,
                                        unsigned database);

/* Adds every zone.  Walks over the keys by SCAN: several round trips, and
   Redis serves others between. */
DNS_EXPORT void store_redis_begin_zones(store_redis_t *db,
                                        dns_zone_list_t *zones);

/* Fetches what the set wants in one round trip and settles it.  After an error
   the set may hold a part: free it. */
DNS_EXPORT void store_redis_begin_fetch(store_redis_t *db, dns_fetched_t *set);

/* What is to be sent; borrowed until the next call. */
DNS_EXPORT const char *store_redis_output(const store_redis_t *db,
                                          size_t *size);
DNS_EXPORT void store_redis_sent(store_redis_t *db, size_t size);

/* Takes what was received; with size 0 it only says how the job stands. */
DNS_EXPORT store_redis_step_t store_redis_feed(store_redis_t *db,
                                               const char *octets, size_t size);

/* DNS_ESTORE: an error reply or what is no reply; DNS_ELIMIT. */
DNS_EXPORT dns_status_t store_redis_status(const store_redis_t *db);
DNS_EXPORT const char *store_redis_error(const store_redis_t *db);

#endif
