#ifndef STORE_NODES_H
#define STORE_NODES_H

/*
 * Nodes by owner name in memory: the contents of a zone, or what is known of a
 * few of its names.  Records may come in any order; after store_nodes_sort()
 * nodes are found by name and stand in canonical order.
 */

#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"
#include "dns/node.h"
#include "dns/status.h"

typedef struct {
    dns_name_t name; /* lower case */
    dns_node_builder_t builder;
} store_named_node_t;

/* Starts as {0}. */
typedef struct {
    store_named_node_t *nodes; /* owned, and their builders */
    size_t count;
    size_t capacity;
} store_nodes_t;

void store_nodes_free(store_nodes_t *nodes);

/* name: wire form.  A set of records with several TTLs has the lowest.
   DNS_EEXIST: a duplicate.  DNS_ELIMIT, DNS_ENOMEM. */
DNS_MUST_USE dns_status_t store_nodes_add(store_nodes_t *nodes,
                                          const uint8_t *name,
                                          const dns_rrset_t *type_and_ttl,
                                          const dns_rdata_t *rdata);

/* DNS_ENOMEM: records of one name that came apart. */
DNS_MUST_USE dns_status_t store_nodes_sort(store_nodes_t *nodes);

/* The entry of a name in lower case; NULL: there is none.  The nodes are
   sorted. */
store_named_node_t *store_nodes_find_named(const store_nodes_t *nodes,
                                           const dns_name_t *name);

/* The node of a name in lower case, empty if there is none; borrowed. */
dns_node_t store_nodes_find(const store_nodes_t *nodes, const dns_name_t *name);

#endif
