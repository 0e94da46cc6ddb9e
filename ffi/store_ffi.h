#ifndef FFI_STORE_FFI_H
#define FFI_STORE_FFI_H

/*
 * What Lua sees of the embedded zone store: reading zones, answering from
 * them, and edits.  See dns_ffi.h for the conventions.
 */

#include <stddef.h>
#include <stdint.h>

#include "dns/status.h"
#include "ffi/dns_ffi.h"

struct dns_ffi_store;
struct dns_ffi_edit;

/*
 * The store in a folder; made if it is not there.  A process has one open
 * store for each folder: opening it again gives the same one, counted.
 * error: DNS_FFI_ERROR_SIZE bytes.
 */
DNS_EXPORT int dns_ffi_store_open(const char *folder, uint8_t read_only,
                                  struct dns_ffi_store **out, char *error);
DNS_EXPORT void dns_ffi_store_close(struct dns_ffi_store *store);

/* Between begin and end the store is read as it was at begin; not nested. */
DNS_EXPORT int dns_ffi_store_read_begin(struct dns_ffi_store *store);
DNS_EXPORT void dns_ffi_store_read_end(struct dns_ffi_store *store);

struct dns_ffi_zone {
    uint64_t generation;
    uint32_t serial;
    uint16_t name_size;
    uint8_t name[255];
};

/* Zones in order; *at starts as 0.  1, or 0 at the end. */
DNS_EXPORT int dns_ffi_store_next_zone(struct dns_ffi_store *store,
                                       uint64_t *at, struct dns_ffi_zone *out);

/* The zone with this apex, or the deepest that holds the name. */
DNS_EXPORT int dns_ffi_store_zone(struct dns_ffi_store *store,
                                  const uint8_t *apex,
                                  struct dns_ffi_zone *out);

/*
 * The records of the zone with this apex in canonical order, the apex's SOA
 * first: begin, then next until 0.  Between read_begin and read_end.
 */
DNS_EXPORT int dns_ffi_store_records_begin(struct dns_ffi_store *store,
                                           const uint8_t *apex);
DNS_EXPORT int dns_ffi_store_records_next(struct dns_ffi_store *store,
                                          struct dns_ffi_record *out);

/* As begin: only the records of one name; those behind a name, which need not
   be there. */
DNS_EXPORT int dns_ffi_store_records_of(struct dns_ffi_store *store,
                                        const uint8_t *apex,
                                        const uint8_t *name);
DNS_EXPORT int dns_ffi_store_records_behind(struct dns_ffi_store *store,
                                            const uint8_t *apex,
                                            const uint8_t *name);

/* 1: the zone with this apex has a record set of the type at name (0: of any
   type); 0: not. */
DNS_EXPORT int dns_ffi_store_has(struct dns_ffi_store *store,
                                 const uint8_t *apex, const uint8_t *name,
                                 uint16_t type);

/* What the answer engine says to a query. */
struct dns_ffi_answer {
    uint32_t size; /* octets written to out; 0: send nothing */
    uint32_t ttl;
    uint16_t rcode;
    uint8_t in_zone;      /* 0: no zone holds the name: forward it */
    uint8_t leaves_zones; /* the chain of CNAMEs ends outside the zones */
    uint8_t asks_parent;  /* DS of an apex whose parent no zone is */
    uint8_t is_truncated;
    uint8_t is_final; /* 1: out is what to send; 0: no zone holds the name and
                         the query is well formed */
};

/*
 * Answers a packet from the zones.  transport: 0 UDP, 1 TCP, 2 TLS, 3 HTTPS.
 * out: DNS_FFI_MESSAGE_MAX octets.  Malformed queries are answered as they
 * must be.  0, or DNS_FFI_ESTORE.
 */
DNS_EXPORT int dns_ffi_store_answer(struct dns_ffi_store *store,
                                    const uint8_t *packet, size_t size,
                                    int transport, uint8_t *out,
                                    struct dns_ffi_answer *answer);

/*
 * The owner of the first SOA in a master file, which is the apex of its zone;
 * origin completes relative names, include_folder is as for
 * dns_ffi_edit_load_file().  out has room for DNS_FFI_NAME_MAX octets;
 * gives the size.  DNS_FFI_ENOTFOUND: there is none; DNS_FFI_EMALFORMED.
 * error: DNS_FFI_ERROR_SIZE bytes.
 */
DNS_EXPORT int dns_ffi_zonefile_apex(const char *path,
                                     const char *include_folder,
                                     const uint8_t *origin, uint8_t *out,
                                     char *error);

/*
 * Edits of one zone; see store/lmdb.h.  Nothing is written before commit, and
 * after an error nothing has been.
 */
DNS_EXPORT int dns_ffi_edit_new(struct dns_ffi_store *store,
                                const uint8_t *apex, struct dns_ffi_edit **out);
DNS_EXPORT void dns_ffi_edit_free(struct dns_ffi_edit *edit);
DNS_EXPORT void dns_ffi_edit_replace_zone(struct dns_ffi_edit *edit);
DNS_EXPORT void dns_ffi_edit_delete_zone(struct dns_ffi_edit *edit);

/* commit is DNS_FFI_EEXIST unless the zone has this generation; 0: unless there
   is no such zone. */
DNS_EXPORT void dns_ffi_edit_expect(struct dns_ffi_edit *edit,
                                    uint64_t generation);

/* Which serial the edit gives to the zone (store/serial.h); now: seconds. */
DNS_EXPORT void dns_ffi_edit_serial_rule(struct dns_ffi_edit *edit, int kind,
                                         int soa_edit, double now);

/* ttl: DNS_FFI_TTL_OF_SET: that of the set when the change's turn comes, else
   3600. */
enum { DNS_FFI_TTL_OF_SET = -1 };
DNS_EXPORT int dns_ffi_edit_add(struct dns_ffi_edit *edit, const uint8_t *name,
                                uint16_t type, uint32_t ttl,
                                const uint8_t *rdata, uint16_t rdata_size);

/* rdata NULL: the whole set.  commit: DNS_FFI_ENOTFOUND if there is none. */
DNS_EXPORT int dns_ffi_edit_remove(struct dns_ffi_edit *edit,
                                   const uint8_t *name, uint16_t type,
                                   const uint8_t *rdata, uint16_t rdata_size);
DNS_EXPORT int dns_ffi_edit_remove_if_any(struct dns_ffi_edit *edit,
                                          const uint8_t *name, uint16_t type,
                                          const uint8_t *rdata,
                                          uint16_t rdata_size);

/*
 * Parked records (store/parked.h), which the zone keeps and does not serve;
 * rdata NULL: all of the type.  The edit changes them with the zone.
 */
enum {
    DNS_FFI_TYPE_ALIAS = 65401,
    DNS_FFI_TYPE_DISABLED_ALIAS = 65402,
};
DNS_EXPORT int dns_ffi_edit_park(struct dns_ffi_edit *edit, const uint8_t *name,
                                 uint16_t type, uint32_t ttl,
                                 const uint8_t *rdata, uint16_t rdata_size);
DNS_EXPORT int dns_ffi_edit_unpark(struct dns_ffi_edit *edit,
                                   const uint8_t *name, uint16_t type,
                                   const uint8_t *rdata, uint16_t rdata_size);
DNS_EXPORT int dns_ffi_edit_unpark_all(struct dns_ffi_edit *edit);

/*
 * A master file whose records the edit will add: read and parsed by commit, so
 * that the work is done on its thread.  text and path: borrowed until commit
 * is over.  The file may $INCLUDE others from its folder and below
 * include_folder (borrowed likewise; NULL: no other), a text nothing.  The
 * default origin is the apex.
 */
DNS_EXPORT void dns_ffi_edit_load_text(struct dns_ffi_edit *edit,
                                       const char *text, size_t size);
DNS_EXPORT void dns_ffi_edit_load_file(struct dns_ffi_edit *edit,
                                       const char *path,
                                       const char *include_folder);

/* Commits; blocks until the edit is on the disk.  Of the type of a job for
   another thread. */
DNS_EXPORT int dns_ffi_edit_commit(void *edit);

/* What a commit has done; zone is as the edit left it, and no later state. */
struct dns_ffi_edit_result {
    struct dns_ffi_zone zone;
    uint8_t zone_was_there;
    uint8_t set_was_there; /* of those that remove_if_any took away */
};
DNS_EXPORT void dns_ffi_edit_result(const struct dns_ffi_edit *edit,
                                    struct dns_ffi_edit_result *out);

/* After a commit: the records that the edit's changes amount to on an empty
   zone, names in canonical order: begin, then next until 0. */
DNS_EXPORT void dns_ffi_edit_records_begin(struct dns_ffi_edit *edit);
DNS_EXPORT int dns_ffi_edit_records_next(struct dns_ffi_edit *edit,
                                         struct dns_ffi_record *out);

/* What is probably a mistake in the master file that was loaded, a sentence a
   line as "FILE:LINE: warning: ..."; empty: nothing.  After a commit; borrowed
   until the edit is freed. */
DNS_EXPORT const char *dns_ffi_edit_warnings(const struct dns_ffi_edit *edit);

/* Why the last call failed; borrowed until the edit is freed. */
DNS_EXPORT const char *dns_ffi_edit_error(const struct dns_ffi_edit *edit);

/* Small files beside the zones, replaced as a whole (store/file.h).  0, or
   DNS_FFI_ESTORE; error: DNS_FFI_ERROR_SIZE bytes. */
DNS_EXPORT int dns_ffi_file_lock(const char *folder, int *lock, char *error);
DNS_EXPORT void dns_ffi_file_unlock(int lock);
DNS_EXPORT int dns_ffi_file_replace(const char *path, const char *text,
                                    size_t size, char *error);

#endif
