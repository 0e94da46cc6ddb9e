#ifndef FFI_DATABASE_FFI_H
#define FFI_DATABASE_FFI_H

/*
 * What Lua sees of networked stores: listings, zones, edits.  What asks the
 * database is a job: int job(void *), which may block and may be run on a
 * thread of its own.  See dns_ffi.h for the conventions.
 */

#include <stddef.h>
#include <stdint.h>

#include "dns/status.h"
#include "ffi/dns_ffi.h"
#include "ffi/store_ffi.h"

struct dns_ffi_database;
struct dns_ffi_listing;

/* What a URL or a dns_store directive says of a store (store/options.h); in
   nginx the configuration owns it. */
struct dns_ffi_store_options;

/* What Lua asks of it; borrowed from it. */
struct dns_ffi_store_info {
    const char *name;   /* for logs */
    const char *mirror; /* the folder of the store that has a copy, or NULL */
    uint32_t poll_ms;
    uint8_t has_own_layout; /* which cannot be edited */
};

/* error: DNS_FFI_STORE_ERROR_SIZE bytes; what is wrong with the URL. */
enum { DNS_FFI_STORE_ERROR_SIZE = 512 };
DNS_EXPORT int dns_ffi_store_options_read(const char *url,
                                          struct dns_ffi_store_options **out,
                                          char *error);
DNS_EXPORT void
dns_ffi_store_options_release(struct dns_ffi_store_options *options);
DNS_EXPORT void
dns_ffi_store_options_info(const struct dns_ffi_store_options *options,
                           struct dns_ffi_store_info *out);

/* An option of networked stores (store/options.h); all static. */
struct dns_ffi_store_option {
    const char *name;
    const char *kind;
    const char *stores;
    const char *standard;
    const char *help;
};

/* 0: there are fewer. */
DNS_EXPORT int dns_ffi_store_option_find(unsigned number,
                                         struct dns_ffi_store_option *out);

/* Connects to nothing yet.  marks_rows: for a mirror
   (store/database.h). */
DNS_EXPORT int dns_ffi_database_new(struct dns_ffi_store_options *options,
                                    int marks_rows,
                                    struct dns_ffi_database **out);
DNS_EXPORT void dns_ffi_database_free(struct dns_ffi_database *database);

/* A listing of zones (apex NULL), or of a zone's records; of all of them, or of
   those of one name (not NULL). */
DNS_EXPORT int dns_ffi_listing_new(struct dns_ffi_database *database,
                                   const uint8_t *apex, const uint8_t *name,
                                   struct dns_ffi_listing **out);

/* A listing of the records that a zone parks: of a database, or of the embedded
   store, which is read where it is called. */
DNS_EXPORT int dns_ffi_listing_new_parked(struct dns_ffi_store *store,
                                          struct dns_ffi_database *database,
                                          const uint8_t *apex,
                                          struct dns_ffi_listing **out);
DNS_EXPORT void dns_ffi_listing_free(struct dns_ffi_listing *listing);

/* The job.  DNS_FFI_ENOTFOUND: no such zone. */
DNS_EXPORT int dns_ffi_listing_run(void *listing);

/* What it has found, in canonical order; the apex's SOA first.  1, or 0 at the
   end. */
DNS_EXPORT int dns_ffi_listing_next_zone(struct dns_ffi_listing *listing,
                                         struct dns_ffi_zone *out);
DNS_EXPORT int dns_ffi_listing_next_record(struct dns_ffi_listing *listing,
                                           struct dns_ffi_record *out);

DNS_EXPORT const char *
dns_ffi_listing_error(const struct dns_ffi_listing *listing);

/* What a database keeps of a zone beside its records, as JSON
   (store/database.h); apex NULL: of all zones; json NULL: to be read, else it
   is set.  json: copied.  The job's result DNS_FFI_EUNKNOWN: nothing of the
   kind. */
struct dns_ffi_beside;

DNS_EXPORT int dns_ffi_beside_new(struct dns_ffi_database *database,
                                  const uint8_t *apex, const char *json,
                                  struct dns_ffi_beside **out);
DNS_EXPORT void dns_ffi_beside_free(struct dns_ffi_beside *beside);

/* The job. */
DNS_EXPORT int dns_ffi_beside_run(void *beside);

/* What was read, or ""; why it failed.  Borrowed until it is freed. */
DNS_EXPORT const char *dns_ffi_beside_text(const struct dns_ffi_beside *beside);
DNS_EXPORT const char *
dns_ffi_beside_error(const struct dns_ffi_beside *beside);

/* A copy of a database's zones in the embedded store (store/mirror.h). database
   with marks_rows; both stay the caller's. */
struct dns_ffi_mirror;

DNS_EXPORT int dns_ffi_mirror_new(struct dns_ffi_database *database,
                                  struct dns_ffi_store *store,
                                  const char *state_path, const char *name,
                                  struct dns_ffi_mirror **out);
DNS_EXPORT void dns_ffi_mirror_free(struct dns_ffi_mirror *mirror);

/* A run over all zones (apex NULL) or over one; owned by the caller. */
struct dns_ffi_mirror_run;

DNS_EXPORT int dns_ffi_mirror_run_new(struct dns_ffi_mirror *mirror,
                                      const uint8_t *apex,
                                      struct dns_ffi_mirror_run **out);
DNS_EXPORT void dns_ffi_mirror_run_free(struct dns_ffi_mirror_run *run);

/* The job. */
DNS_EXPORT int dns_ffi_mirror_run(void *run);

/* As store_mirror_report_t. */
struct dns_ffi_mirror_report {
    uint64_t zones;
    uint64_t copied;
    uint64_t removed;
    uint64_t refused;
    uint64_t skipped;
};

/* What it did; gives why it failed, or why a zone was refused, or "". */
DNS_EXPORT const char *
dns_ffi_mirror_report(const struct dns_ffi_mirror_run *run,
                      struct dns_ffi_mirror_report *out);

/* What of the zones that it has copied is not served: lines, or "". */
DNS_EXPORT const char *
dns_ffi_mirror_left_out(const struct dns_ffi_mirror_run *run);

/* An edit as store_ffi.h has it. */
DNS_EXPORT int dns_ffi_edit_new_database(struct dns_ffi_database *database,
                                         const uint8_t *apex,
                                         struct dns_ffi_edit **out);

/* After the commit: 1: a zone has come or gone. */
DNS_EXPORT int dns_ffi_edit_zones_changed(const struct dns_ffi_edit *edit);

/* After the commit: the owners that were changed, in wire form one behind the
   other, as far as they fit into room octets; gives their size. */
DNS_EXPORT size_t dns_ffi_edit_owners(const struct dns_ffi_edit *edit,
                                      uint8_t *out, size_t room);

#endif
