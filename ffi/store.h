#ifndef FFI_STORE_H
#define FFI_STORE_H

/*
 * For C that shares the store which Lua opened by its folder: a process may
 * have one open LMDB environment for each folder.  Open it by
 * dns_ffi_store_open() (ffi/store_ffi.h) and take the store out of it.
 */

#include "dns/node.h"
#include "dns/status.h"
#include "ffi/dns_ffi.h"
#include "store/lmdb.h"

struct dns_ffi_store;

/* Borrowed: lives until dns_ffi_store_close(). */
DNS_EXPORT store_lmdb_t *dns_ffi_store_lmdb(const struct dns_ffi_store *store);

/* The zones as they were at dns_ffi_store_read_begin(); borrowed until
   dns_ffi_store_read_end(). */
const dns_source_t *dns_ffi_store_source(const struct dns_ffi_store *store);

/* The records that a zone parks (store/parked.h), added to out. */
dns_status_t dns_ffi_store_read_parked(struct dns_ffi_store *store,
                                       const dns_name_t *apex,
                                       store_nodes_t *out);

/* A record of a node's set for Lua, with its own TTL (dns_node_ttl()). */
void dns_ffi_fill_record(struct dns_ffi_record *out, const uint8_t *owner,
                         const dns_node_t *node, const dns_rrset_t *rrset,
                         const dns_rdata_t *rdata);

#endif
