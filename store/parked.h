#ifndef STORE_PARKED_H
#define STORE_PARKED_H

/*
 * Parked records: what a zone keeps for the API of PowerDNS and does not serve.
 * Those are disabled records, and what was written as ALIAS: a served CNAME
 * that has a parked ALIAS of the same target beside it is shown as ALIAS.
 *
 * They are no part of the zone's nodes: a name that has nothing else does not
 * exist, the engine never sees them, mirrors and zone texts leave them out, and
 * replacing a zone by a text leaves them as they are.  They lie
 *
 *     embedded  in the table meta, one value for each zone (private/lmdb.h)
 *     MySQL     in rows with disabled = 1, and in rows of type ALIAS
 *     Redis     in a field of the zone's hash that is no name
 * (private/parked.h)
 *
 * and so in every copy of the store; stores that were written without them have
 * none.  An edit changes them in its own transaction.
 */

#include <stdbool.h>

#include "dns/status.h"
#include "store/edit.h"
#include "store/nodes.h"

/* Types of parked records beside those of disabled ones: private-use numbers
   (RFC 6895 section 3.1), the first as PowerDNS has it.  The rdata is that of a
   CNAME. */
enum {
    STORE_TYPE_ALIAS = 65401,
    STORE_TYPE_DISABLED_ALIAS = 65402,
};

/* The edit of what the zone of an edit parks: add, remove and remove_if_any
   change it, replace empties it first.  It is committed with the edit, and its
   owner is the edit. */
DNS_MUST_USE dns_status_t store_edit_parked(store_edit_t *edit,
                                            store_edit_t **out);

#endif
