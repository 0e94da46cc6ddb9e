#ifndef DNS_ZONE_LIST_H
#define DNS_ZONE_LIST_H

/*
 * The zones that a networked store holds, found by name without asking it:
 * filled once from one listing and then only read.  The next listing makes a
 * new list.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/siphash.h"
#include "dns/source.h"
#include "dns/status.h"

enum { DNS_ZONE_LIST_MAX = 1 << 22 }; /* zones */

typedef struct dns_zone_list_s dns_zone_list_t;

/* key: DNS_SIPHASH_KEY_SIZE octets, secret and random (copied). */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_zone_list_new(dns_zone_list_t **out,
                                                       const uint8_t *key);
DNS_EXPORT void dns_zone_list_free(dns_zone_list_t *list);

/* Copies a zone; its apex is in lower case.  DNS_EEXIST: the apex is there.
   DNS_ELIMIT, DNS_ENOMEM. */
DNS_MUST_USE dns_status_t dns_zone_list_add(dns_zone_list_t *list,
                                            const dns_zone_t *zone);

DNS_EXPORT size_t dns_zone_list_count(const dns_zone_list_t *list);

/* The zone with a number below the count; borrowed until the next add. */
DNS_EXPORT const dns_zone_t *dns_zone_list_at(const dns_zone_list_t *list,
                                              size_t number);

/* The zone with this apex; borrowed until the next add; NULL: none. */
DNS_EXPORT const dns_zone_t *dns_zone_list_get(const dns_zone_list_t *list,
                                               const uint8_t *apex);

/* The deepest zone that holds name and has fewer than above labels; borrowed;
   NULL: none. */
DNS_EXPORT const dns_zone_t *dns_zone_list_find(const dns_zone_list_t *list,
                                                const dns_name_t *name,
                                                unsigned above);

/* Is any zone's apex below name?  Looks at all zones. */
DNS_EXPORT bool dns_zone_list_has_below(const dns_zone_list_t *list,
                                        const dns_name_t *name);

#endif
