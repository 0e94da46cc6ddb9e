#ifndef DNS_COVERING_H
#define DNS_COVERING_H

/*
 * The NSEC or NSEC3 that proves what does not exist, in a zone whose nodes are
 * fetched one by one: the order of its names says which nodes to look at.  The
 * order may be older than the nodes; what is found is judged by the record.
 */

#include <stdbool.h>
#include <stdint.h>

#include "dns/fetched.h"
#include "dns/order.h"
#include "dns/source.h"

/* Where one is looked for; all is borrowed. */
typedef struct {
    dns_fetched_t *set;
    const dns_order_t *order; /* of the zone's names */
    const dns_zone_t *zone;
    uint16_t type; /* NSEC or NSEC3 */
} dns_covering_t;

/*
 * As find_covering() of a source.  DNS_NEEDS: the set wants owner's node now,
 * and those of others that may come next.  DNS_ELIMIT, DNS_ENOMEM: of the set.
 */
DNS_EXPORT DNS_MUST_USE dns_status_t
dns_covering_find(const dns_covering_t *where, const dns_name_t *name,
                  dns_name_t *owner, dns_node_t *node);

/* Does a record of the owner's node reach as far as the name (RFC 4034 section
   4, RFC 5155 section 3.1.7)?  If not, there is a newer owner in between, or
   the chain is broken. */
DNS_EXPORT bool dns_covering_reaches(const dns_covering_t *where,
                                     const dns_name_t *name,
                                     const dns_name_t *owner,
                                     const dns_node_t *node);

#endif
