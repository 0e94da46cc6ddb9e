#ifndef STORE_LMDB_H
#define STORE_LMDB_H

/*
 * The embedded zone store: an LMDB environment in a folder of its own.  Any
 * number of processes and threads read it without locks while one writes.  A
 * commit is atomic and on the disk when the call returns: a killed process
 * loses nothing that was acknowledged.
 *
 * Reading: store_lmdb_read_begin() gives a source for the answer engine; what
 * the source lends lives until store_lmdb_read_end().  A reader belongs to one
 * thread and can be begun and ended any number of times (cheap: one system
 * call less than a lock).
 *
 * Writing: an edit is a list of changes to one zone, committed as one
 * transaction.  Everything is checked before anything is written.  Writers
 * wait for each other: inside a server, commit on a thread of its own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"
#include "dns/node.h"
#include "dns/source.h"
#include "dns/status.h"
#include "store/edit.h"
#include "store/nodes.h"

typedef struct store_lmdb_s store_lmdb_t;
typedef struct store_lmdb_reader_s store_lmdb_reader_t;

/*
 * Opens or makes the store in folder.  error: room for STORE_ERROR_SIZE bytes,
 * takes the reason and what to do.  read_only: nothing is to be committed.
 * Where the file system or the permissions allow no writing the store is opened
 * read-only all the same: see store_lmdb_refusal().  A file that was cut is not
 * opened: to read it would be a SIGBUS.  One open store per folder and process;
 * not across fork(): a child closes nothing and opens its own.
 */
DNS_MUST_USE dns_status_t store_lmdb_open(store_lmdb_t **out,
                                          const char *folder, bool read_only,
                                          char *error);
void store_lmdb_close(store_lmdb_t *store);

/* Why edits are refused, though the store was not opened read-only; static.
   NULL: they are not. */
DNS_EXPORT const char *store_lmdb_refusal(const store_lmdb_t *store);

/* Readers. */
DNS_EXPORT DNS_MUST_USE dns_status_t
store_lmdb_reader_new(store_lmdb_t *store, store_lmdb_reader_t **out);
DNS_EXPORT void store_lmdb_reader_free(store_lmdb_reader_t *reader);

/* Starts a snapshot; *source then answers from it. */
DNS_EXPORT DNS_MUST_USE dns_status_t
store_lmdb_read_begin(store_lmdb_reader_t *reader, dns_source_t *source);
DNS_EXPORT void store_lmdb_read_end(store_lmdb_reader_t *reader);

/* A number that changes with every commit of any process: what was computed
   from an older snapshot may be old.  Between begin and end. */
DNS_EXPORT uint64_t store_lmdb_snapshot(const store_lmdb_reader_t *reader);

/* Does the apex of any zone lie below name?  True also where the table cannot
   be read.  Between begin and end. */
DNS_EXPORT bool store_lmdb_has_zones_below(store_lmdb_reader_t *reader,
                                           const dns_name_t *name);

/* Zones in key order; between begin and end.  *at starts as 0.
   DNS_ENOTFOUND at the end.  soa: borrowed rdata of the apex SOA. */
DNS_MUST_USE dns_status_t store_lmdb_next_zone(store_lmdb_reader_t *reader,
                                               uint64_t *at, dns_zone_t *zone,
                                               dns_rdata_t *soa);

/* The nodes of a zone in canonical order; between begin and end.  Start with
   the apex: *is_first = true, or behind a name of the zone, which need not have
   a node.  DNS_ENOTFOUND at the end. */
DNS_MUST_USE dns_status_t store_lmdb_next_node(store_lmdb_reader_t *reader,
                                               const dns_zone_t *zone,
                                               bool *is_first, dns_name_t *name,
                                               dns_node_t *node);

/* Adds a zone's parked records (store/parked.h) to out; between begin and
   end. */
DNS_MUST_USE dns_status_t store_lmdb_read_parked(store_lmdb_reader_t *reader,
                                                 const dns_name_t *apex,
                                                 store_nodes_t *out);

/*
 * Commits an edit (store/edit.h): checks all and writes all or nothing.
 * DNS_OK: durable.  Otherwise as store/edit.h says; DNS_ESTORE: the disk or the
 * map.  error: STORE_ERROR_SIZE bytes, takes the reason with names.
 */
DNS_MUST_USE dns_status_t store_lmdb_commit(store_lmdb_t *store,
                                            store_edit_t *edit, char *error);

#endif
