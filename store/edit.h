#ifndef STORE_EDIT_H
#define STORE_EDIT_H

/*
 * An edit of one zone: a list of changes that a store commits as one
 * transaction (store_lmdb_commit(), store_database_commit()).  The calls only
 * collect; commit checks and writes.  Each edit that changes something raises
 * the SOA serial (RFC 1982) unless it sets a SOA itself or has a rule for it.
 *
 * Commit gives DNS_ENOTFOUND: no such zone or set.  DNS_EEXIST: not the
 * generation that was expected.  DNS_ECONFLICT: CNAME beside other data, no
 * SOA, two SOAs, no NS at the apex, and the like; a zone that is signed, whose
 * signatures an edit would break: it can only be replaced.  DNS_EMALFORMED: a
 * name outside the zone, rdata that is not of its type.  DNS_ESTORE: the store.
 * On any error nothing was written.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"
#include "dns/node.h"
#include "dns/status.h"
#include "store/serial.h"

enum { STORE_ERROR_SIZE = 512 }; /* bytes for an error text and its NUL */

typedef struct store_edit_s store_edit_t;

/* apex: wire form. */
DNS_MUST_USE dns_status_t store_edit_new(const uint8_t *apex,
                                         store_edit_t **out);
void store_edit_free(store_edit_t *edit);

/* The zone's contents become only what the edit adds; a zone that is not
   there is made. */
void store_edit_replace_zone(store_edit_t *edit);
void store_edit_delete_zone(store_edit_t *edit);

/* The zone is a copy of one that a database serves without NS at its apex, as
   that of a CoreDNS plugin may. */
void store_edit_allow_no_ns(store_edit_t *edit);

/* Commit will be DNS_EEXIST unless the zone still has this generation; 0:
   unless it is not there. */
void store_edit_expect(store_edit_t *edit, uint64_t generation);

/* The serial that the edit gives to the zone, also where it sets a SOA itself;
   without a rule one more than before, or as that SOA says. */
void store_edit_set_serial_rule(store_edit_t *edit,
                                const store_serial_rule_t *rule);

enum {
    STORE_TTL_DEFAULT = 3600, /* seconds, of a set that is made without one */
};

/* In place of a TTL: that of the set when the change's turn comes, else
   STORE_TTL_DEFAULT. */
#define STORE_TTL_OF_SET UINT32_MAX

/* Adds one record; the set takes its TTL.  A name outside the zone and rdata
   that is not of its type are DNS_EMALFORMED at once, and make commit fail with
   the reason. */
DNS_MUST_USE dns_status_t store_edit_add(store_edit_t *edit,
                                         const uint8_t *name, uint16_t type,
                                         uint32_t ttl, const uint8_t *rdata,
                                         uint16_t rdata_size);

/* Adds a record of a master file: of a set's TTLs the lowest stays. */
DNS_MUST_USE dns_status_t store_edit_load(store_edit_t *edit,
                                          const uint8_t *name, uint16_t type,
                                          uint32_t ttl, const uint8_t *rdata,
                                          uint16_t rdata_size);

/* Drops a record set, or with rdata one record of it; at commit it is
   DNS_ENOTFOUND when there is none.  A "set" is remove_if_any and adds. */
DNS_MUST_USE dns_status_t store_edit_remove(store_edit_t *edit,
                                            const uint8_t *name, uint16_t type,
                                            const uint8_t *rdata,
                                            uint16_t rdata_size);
DNS_MUST_USE dns_status_t store_edit_remove_if_any(store_edit_t *edit,
                                                   const uint8_t *name,
                                                   uint16_t type,
                                                   const uint8_t *rdata,
                                                   uint16_t rdata_size);

/* What a commit has done: the zone as this edit left it, whatever others have
   done to it since. */
typedef struct {
    uint64_t generation; /* as listings of the store tell it; 0: it is gone */
    uint32_t serial;
    bool zone_was_there;
    bool set_was_there; /* of one at least of the sets that were to be removed
                           if there are any */
} store_edit_result_t;

/* Borrowed; after a commit that gave DNS_OK. */
const store_edit_result_t *store_edit_result(const store_edit_t *edit);

/* A set whose records came with several TTLs: the lowest was taken. */
typedef struct {
    uint8_t owner[DNS_NAME_MAX];
    uint16_t type;
    uint32_t ttls[2]; /* the lower one first */
    uint32_t order;   /* of the record whose TTL was another one: what
                         store_edit_size() was before it was loaded */
} store_edit_ttls_t;

/* *at starts as 0; false at the end.  After a commit that gave DNS_OK; some of
   many. */
bool store_edit_next_ttls(const store_edit_t *edit, size_t *at,
                          store_edit_ttls_t *out);

/* Changes so far. */
size_t store_edit_size(const store_edit_t *edit);

/* What the edit's changes amount to on an empty zone: for a replaced zone all
   of it, for a set that was set the set.  *at starts as 0; DNS_ENOTFOUND at the
   end.  After a commit that gave DNS_OK. */
DNS_MUST_USE dns_status_t store_edit_next_node(const store_edit_t *edit,
                                               size_t *at, uint8_t *owner,
                                               dns_node_builder_t *b);

/* The owners that the edit changes, in wire form one behind the other, as far
   as they fit into room octets; gives how many octets they have.  After a
   commit that gave DNS_OK. */
size_t store_edit_owners(const store_edit_t *edit, uint8_t *out, size_t room);

#endif
