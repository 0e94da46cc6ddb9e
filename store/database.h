#ifndef STORE_DATABASE_H
#define STORE_DATABASE_H

/*
 * A networked store for who may block: the command line, and jobs on a thread
 * of their own.  One connection, made when it is needed and kept; calls from
 * several threads wait for each other.  Queries are answered by store/mysql.h
 * and store/redis.h instead.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/status.h"
#include "store/edit.h"
#include "store/nodes.h"
#include "store/options.h"

typedef struct store_database_s store_database_t;

/*
 * Connects to nothing yet.  options are acquired; their timeout is
 * that of queries and not used here.  marks_rows: a zone's generation in
 * listings changes with any of its rows, not with its SOA alone, which costs a
 * walk over all of them.
 */
DNS_MUST_USE dns_status_t store_database_new(store_database_t **out,
                                             store_options_t *options,
                                             bool marks_rows);
void store_database_free(store_database_t *db);

/* A zone in a listing. */
typedef struct {
    dns_name_t apex;
    uint32_t serial;     /* 0: none is known */
    uint64_t generation; /* another one after each change of the SOA; exact
                            as a double */
} store_listed_zone_t;

typedef struct {
    store_listed_zone_t *zones; /* owned: free() */
    size_t count;
    size_t capacity;
} store_listing_t;

/* All zones in canonical order, or one alone (NULL: all) if it is there.
   error: STORE_ERROR_SIZE bytes.  DNS_ESTORE, DNS_ENOMEM. */
DNS_MUST_USE dns_status_t store_database_list(store_database_t *database,
                                              const dns_name_t *only,
                                              store_listing_t *out,
                                              char *error);

enum { STORE_LEFT_OUT_SIZE = 4096 }; /* bytes */

/* What of zones is not served, as it cannot be read or stand there. */
typedef struct {
    uint64_t count;                 /* rows, or parts of a field */
    char text[STORE_LEFT_OUT_SIZE]; /* lines of the first ones: zone, name,
                                       type, reason */
} store_left_out_t;

/* Adds a line; the count is the caller's. */
void store_left_out_note(store_left_out_t *left_out, const dns_name_t *apex,
                         const char *what, const char *reason);

/* All nodes of a zone, sorted, with the NSEC and NSEC3 that a secondary server
   of PowerDNS does not keep; what does not parse is added to *left_out.
   DNS_ENOTFOUND: no such zone. */
DNS_MUST_USE dns_status_t store_database_read(store_database_t *database,
                                              const dns_name_t *apex,
                                              store_nodes_t *out,
                                              store_left_out_t *left_out,
                                              char *error);

/* The node of one name of a zone; none: it owns no records. */
DNS_MUST_USE dns_status_t store_database_read_name(store_database_t *database,
                                                   const dns_name_t *apex,
                                                   const dns_name_t *name,
                                                   store_nodes_t *out,
                                                   char *error);

/* The zone's parked records (store/parked.h), sorted. */
DNS_MUST_USE dns_status_t store_database_read_parked(store_database_t *database,
                                                     const dns_name_t *apex,
                                                     store_nodes_t *out,
                                                     char *error);

/*
 * What a database keeps of a zone beside its records (PowerDNS's layout of
 * MySQL alone): its columns in domains, metadata, comments.  apex NULL: the
 * columns of all zones.  *out: owned, free():
 *
 *     {"domains":[{"name","type","account",...}],
 *      "metadata":[{"kind","content"}],
 *      "comments":[{"name","type","modified_at","account","comment"}]}
 *
 * DNS_EUNKNOWN: this store keeps nothing of the kind.  DNS_ENOTFOUND: no such
 * zone.
 */
DNS_MUST_USE dns_status_t store_database_read_beside(store_database_t *database,
                                                     const dns_name_t *apex,
                                                     char **out, char *error);

/*
 * Sets some of that in one transaction; what is not named stays:
 *
 *     {"domain":{"type":"MASTER","account":"acme"},
 *      "metadata":{"SOA-EDIT-API":["INCREASE"]},
 *      "comments":[{"name","type","comments":[{"modified_at","account",
 *                                              "content"}]}]}
 *
 * A kind's list and a set's list replace what there was.
 */
DNS_MUST_USE dns_status_t
store_database_write_beside(store_database_t *database, const dns_name_t *apex,
                            const char *json, char *error);

/* Commits as store/edit.h says, in one transaction: other readers see all of it
   or nothing.  zones_changed: a zone has come or gone. */
DNS_MUST_USE dns_status_t store_database_commit(store_database_t *database,
                                                store_edit_t *edit,
                                                bool *zones_changed,
                                                char *error);

#endif
