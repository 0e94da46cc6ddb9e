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

/* As store_database_options_t; texts are copied. */
struct dns_ffi_database_options {
    const char *hosts[8];
    const char *unix_socket;
    const char *user;
    const char *password;
    const char *database;
    const char *ca_file;
    const char *server_public_key;
    const char *prefix;
    const char *suffix;
    const char *channel;
    const char *tls_name;
    const char *sentinel;
    const char *sentinel_password;
    const char *query_zones;
    const char *query_names;
    const char *query_below;
    const char *query_records;
    uint16_t ports[8];
    uint32_t host_count;
    uint32_t timeout_ms;
    uint32_t replica_count;
    uint8_t is_redis;
    uint8_t marks_rows;
    uint8_t content_is_json;
    uint8_t is_cluster;
    uint8_t is_tls;
};

/* Connects to nothing yet. */
DNS_EXPORT int
dns_ffi_database_new(const struct dns_ffi_database_options *options,
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

/* An edit as store_ffi.h has it. */
DNS_EXPORT int dns_ffi_edit_new_database(struct dns_ffi_database *database,
                                         const uint8_t *apex,
                                         struct dns_ffi_edit **out);

/* After the commit: 1: a zone has come or gone. */
DNS_EXPORT int dns_ffi_edit_zones_changed(const struct dns_ffi_edit *edit);

#endif
