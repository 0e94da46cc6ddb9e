#ifndef STORE_PRIVATE_PRESIGNED_H
#define STORE_PRIVATE_PRESIGNED_H

/*
 * A signed zone as a secondary server of PowerDNS has transferred it: its table
 * has the signatures of NSEC and NSEC3, but not these, and NSEC3PARAM among the
 * zone's metadata.  All that they say follows from the zone's names and types
 * (RFC 4034 section 4, RFC 5155 section 7.1).
 */

#include "store/nodes.h"

typedef enum {
    PRESIGNED_WHOLE, /* not signed, or nothing is missing */
    PRESIGNED_NSEC,
    PRESIGNED_NSEC3,
} presigned_t;

/* What a zone's nodes lack, which are sorted. */
presigned_t presigned_lacks(const store_nodes_t *nodes, const dns_name_t *apex);

/* Adds the zone's NSEC.  DNS_ENOMEM, DNS_ELIMIT; some may be there then. */
DNS_MUST_USE dns_status_t presigned_add_nsec(store_nodes_t *nodes,
                                             const dns_name_t *apex);

/*
 * Adds the zone's NSEC3 and NSEC3PARAM.  parameters: "1 0 2 abcd", as the
 * metadata have them: with the flags of the zone's NSEC3.
 * DNS_ECONFLICT: they do not lead to the hashes whose signatures there are;
 * nothing was added.  DNS_ENOMEM, DNS_ELIMIT; some may be there then.
 */
DNS_MUST_USE dns_status_t presigned_add_nsec3(store_nodes_t *nodes,
                                              const dns_name_t *apex,
                                              const char *parameters);

#endif
