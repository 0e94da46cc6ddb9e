#ifndef STORE_MYSQL_H
#define STORE_MYSQL_H

/*
 * Zones in MySQL or MariaDB in PowerDNS's generic layout (sql/mysql/): one
 * connection, and jobs on it as a machine that never waits (client/wait.h). Its
 * deadlines are timeout after now_ms.
 *
 *     store_mysql_begin_fetch(db, &set, 1, now_ms);
 *     step = store_mysql_step(db, 0, now_ms, &wait)     (client/wait.h)
 *
 * One job at a time.  A job that fails, or that the caller ends before it is
 * done, leaves the connection unusable: free it and make a new one.
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
    STORE_MYSQL_ERROR_SIZE = 512,    /* bytes of an error text and its NUL */
    STORE_MYSQL_ROWS_MAX = 20000,    /* rows that one fetch may give */
    STORE_MYSQL_NAMES_MAX = 512,     /* names that one fetch may ask for */
    STORE_MYSQL_SETS_MAX = 32,       /* of one fetch */
    STORE_MYSQL_OWNERS_MAX = 100000, /* names of a zone that are listed */
};

/* A row that is not served: its id in the table records, and why.  name and
   reason: borrowed for the call. */
typedef void (*store_mysql_skip_t)(void *data, uint64_t id, const char *name,
                                   const char *reason);

typedef struct store_mysql_s store_mysql_t;

/*
 * A connection to one host of a store; options are acquired.  host: with an
 * address, since names would be resolved by a blocking call; NULL: the Unix
 * socket; borrowed as long as the connection, as records are.
 */
DNS_EXPORT DNS_MUST_USE dns_status_t store_mysql_new(store_mysql_t **out,
                                                     store_options_t *options,
                                                     const store_host_t *host,
                                                     store_records_t *records);
DNS_EXPORT void store_mysql_free(store_mysql_t *db);

/* Who is told of rows that are skipped; NULL: nobody. */
DNS_EXPORT void store_mysql_on_skip(store_mysql_t *db, store_mysql_skip_t skip,
                                    void *data);

/* The jobs.  zones, sets: borrowed until the job is done. */
DNS_EXPORT void store_mysql_begin_connect(store_mysql_t *db, uint64_t now_ms);

/* Connects at once and blocks, timeout at most, for a thread of its own: with
   ca_file libmariadb blocks anyway. */
DNS_EXPORT void store_mysql_connect(store_mysql_t *db);

/* The socket of a connection that stands. */
DNS_EXPORT int store_mysql_socket(const store_mysql_t *db);

/* Adds every zone; its generation changes with its SOA record. */
DNS_EXPORT void store_mysql_begin_zones(store_mysql_t *db,
                                        dns_zone_list_t *zones,
                                        uint64_t now_ms);

/*
 * Fetches what the sets want, in one statement for all records and one for what
 * is below names, and settles them.  After an error they may hold a part: free
 * them.  sets: count of at most STORE_MYSQL_SETS_MAX, copied.
 */
DNS_EXPORT void store_mysql_begin_fetch(store_mysql_t *db,
                                        dns_fetched_t *const *sets,
                                        unsigned count, uint64_t now_ms);

/* A zone by its number, or by its apex in a layout of its own. */
typedef struct {
    uint32_t id;
    const dns_name_t *apex;
} store_mysql_zone_t;

/* Adds the owner names of a zone.  DNS_ELIMIT: they are more than
   STORE_MYSQL_OWNERS_MAX.  DNS_ENOTFOUND: the layout does not tell them. */
DNS_EXPORT void store_mysql_begin_owners(store_mysql_t *db,
                                         const store_mysql_zone_t *zone,
                                         dns_ancestors_t *owners,
                                         uint64_t now_ms);

/* ready: 0 for the first step of a job.  CLIENT_DONE, CLIENT_ERROR: see
   store_mysql_status(). */
DNS_EXPORT client_step_t store_mysql_step(store_mysql_t *db, int ready,
                                          uint64_t now_ms, client_wait_t *wait);

/* How the job ended.  DNS_ESTORE: the server or the way to it failed.
   DNS_ELIMIT: more rows or names than the bounds above. */
DNS_EXPORT dns_status_t store_mysql_status(const store_mysql_t *db);

/* What failed; static or borrowed until the next job. */
DNS_EXPORT const char *store_mysql_error(const store_mysql_t *db);

/* True if the connection was lost, or is of no use after a timeout, rather than
   the statement refused: the job may be tried once more on a new one. */
DNS_EXPORT bool store_mysql_is_gone(const store_mysql_t *db);

#endif
