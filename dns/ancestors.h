#ifndef DNS_ANCESTORS_H
#define DNS_ANCESTORS_H

/*
 * Which names of a zone have something below them, made of its owner names:
 * what tells an empty non-terminal from a name that is absent.  And which names
 * are owners; in which order, if that is wanted.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/label_hash.h"
#include "dns/name.h"
#include "dns/order.h"
#include "dns/siphash.h"
#include "dns/status.h"

typedef struct dns_ancestors_s dns_ancestors_t;

/* apex: copied.  key: DNS_SIPHASH_KEY_SIZE octets, secret and random (copied):
   names are kept as their hashes. */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_ancestors_new(dns_ancestors_t **out,
                                                       const dns_name_t *apex,
                                                       const uint8_t *key);
DNS_EXPORT void dns_ancestors_free(dns_ancestors_t *ancestors);

/* Keeps the order of the owners too, for proofs; before the first is added.
   DNS_ENOMEM. */
DNS_EXPORT DNS_MUST_USE dns_status_t
dns_ancestors_keep_order(dns_ancestors_t *ancestors);

/* When all owners have been added: DNS_ENOMEM. */
DNS_EXPORT DNS_MUST_USE dns_status_t
dns_ancestors_settle(dns_ancestors_t *ancestors);

/* Borrowed; NULL: it is not kept. */
DNS_EXPORT const dns_order_t *
dns_ancestors_order(const dns_ancestors_t *ancestors);

/* Adds an owner, and all names above it up to the apex.  One outside the zone
   is left out.  DNS_ENOMEM. */
DNS_MUST_USE dns_status_t dns_ancestors_add(dns_ancestors_t *ancestors,
                                            const dns_name_t *owner);

/* Is name an owner that was added, or above one?  name: lower case. */
DNS_EXPORT bool dns_ancestors_knows(const dns_ancestors_t *ancestors,
                                    const dns_name_t *name);

/* May a wildcard make the name, which is not known (RFC 4592)?  name: lower
   case, below the apex. */
DNS_EXPORT bool dns_ancestors_cover(const dns_ancestors_t *ancestors,
                                    const dns_name_t *name);

/* May a wildcard directly below name make names (RFC 4592)?  name: lower case.
 */
DNS_EXPORT bool dns_ancestors_has_wildcard(const dns_ancestors_t *ancestors,
                                           const dns_name_t *name);

/* Lets the hashes of the labels directly below name, an owner or above one,
   pass a filter's bitmap (dns/name_filter.h).  name: lower case. */
DNS_EXPORT void dns_ancestors_let_pass(const dns_ancestors_t *ancestors,
                                       const dns_name_t *name, uint32_t *bitmap,
                                       unsigned bits);

/* How those are hashed; borrowed. */
DNS_EXPORT const dns_label_key_t *
dns_ancestors_label_key(const dns_ancestors_t *ancestors);

/* Has name something below it?  name: lower case. */
bool dns_ancestors_has(const dns_ancestors_t *ancestors,
                       const dns_name_t *name);

/* Has name something below it, and no records of its own?  name: lower case. */
DNS_EXPORT bool dns_ancestors_is_empty(const dns_ancestors_t *ancestors,
                                       const dns_name_t *name);

/* Labels of name's closest encloser, of name itself if it exists.  name: lower
   case, in the zone. */
DNS_EXPORT unsigned dns_ancestors_encloser(const dns_ancestors_t *ancestors,
                                           const dns_name_t *name);

#endif
