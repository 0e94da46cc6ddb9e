#ifndef DNS_ORDER_H
#define DNS_ORDER_H

/*
 * The owner names of a zone in canonical order (RFC 4034 section 6.1): where a
 * proof of what does not exist is looked for, in a store that can tell names
 * but not their neighbours.
 *
 *     dns_order_new(&order, &apex);
 *     for each owner: dns_order_add(order, &owner);
 *     dns_order_sort(order);
 *     number = dns_order_before(order, DNS_ORDER_OWNERS, &name);
 *     if (number > 0) dns_order_get(order, DNS_ORDER_OWNERS, number - 1, &out);
 */

#include <stdbool.h>
#include <stddef.h>

#include "dns/name.h"
#include "dns/status.h"

typedef struct dns_order_s dns_order_t;

typedef enum {
    DNS_ORDER_OWNERS, /* all owner names */
    DNS_ORDER_HASHES, /* the owner names that may own NSEC3: they lie right
                         below the apex and have a first label of 32 base32hex
                         digits (RFC 5155 section 3) */
} dns_order_list_t;

/* apex: copied. */
DNS_MUST_USE dns_status_t dns_order_new(dns_order_t **out,
                                        const dns_name_t *apex);
void dns_order_free(dns_order_t *order);

/* Adds an owner at or below the apex, each one once.  DNS_ENOMEM. */
DNS_MUST_USE dns_status_t dns_order_add(dns_order_t *order,
                                        const dns_name_t *owner);

/* When all have been added.  DNS_ENOMEM. */
DNS_MUST_USE dns_status_t dns_order_sort(dns_order_t *order);

size_t dns_order_count(const dns_order_t *order, dns_order_list_t list);

/* How many names of the list are at or before name, which is at or below the
   apex. */
size_t dns_order_before(const dns_order_t *order, dns_order_list_t list,
                        const dns_name_t *name);

/* The name with that number, from 0. */
void dns_order_get(const dns_order_t *order, dns_order_list_t list,
                   size_t number, dns_name_t *out);

#endif
