#ifndef STORE_MIRROR_H
#define STORE_MIRROR_H

/*
 * A copy of a networked store's zones in the embedded one.  Each run lists the
 * zones, copies those that have changed, one transaction each, and removes
 * those that are gone.  Zones that the embedded store had of its own are left
 * alone.  Which zones are copies, and of what, stands in a file, so that it is
 * known after a restart.
 *
 * A run blocks: do it on a thread of its own.
 */

#include <stddef.h>
#include <stdint.h>

#include "dns/status.h"
#include "store/database.h"
#include "store/lmdb.h"

typedef struct store_mirror_s store_mirror_t;

typedef struct {
    store_database_t *database; /* borrowed; with marks_rows */
    store_lmdb_t *lmdb;         /* borrowed */
    const char *state_path;     /* copied; the file */
    const char *name;           /* copied; of the store, for people */
} store_mirror_options_t;

DNS_MUST_USE dns_status_t
store_mirror_new(store_mirror_t **out, const store_mirror_options_t *options);
void store_mirror_free(store_mirror_t *mirror);

typedef struct {
    uint64_t zones;   /* that are copies now */
    uint64_t copied;  /* by this run */
    uint64_t removed; /* by this run */
    uint64_t refused; /* not served: no SOA, CNAME beside other data ... */
    store_left_out_t left_out;
} store_mirror_report_t;

/*
 * One run over all zones, or over one alone (only not NULL); others wait for
 * it, in this process and in others.  DNS_ESTORE: the database or the disk;
 * what was copied so far stays.  error: STORE_ERROR_SIZE bytes: why a run or,
 * with DNS_OK, the last refused zone failed.
 */
DNS_MUST_USE dns_status_t store_mirror_run(store_mirror_t *mirror,
                                           const dns_name_t *only,
                                           store_mirror_report_t *report,
                                           char *error);

#endif
