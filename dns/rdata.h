#ifndef DNS_RDATA_H
#define DNS_RDATA_H

/*
 * The data of records, by type.  In memory, in nodes and here rdata is always
 * in wire form with its names uncompressed.  What a type's rdata is made of
 * stands in one table (rdata_layout.c); a type that is not in it is opaque
 * octets (RFC 3597).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/status.h"

enum {
    DNS_RDATA_MAX = 65535, /* octets */
};

/*
 * Checks that octets are an rdata of the type: fields complete, names valid
 * and uncompressed, nothing left over.  DNS_EMALFORMED.
 */
DNS_MUST_USE dns_status_t dns_rdata_check(uint16_t type, const uint8_t *octets,
                                          size_t size);

/*
 * The name in an rdata whose addresses belong in the additional section
 * (NS, MX, SRV, NAPTR, SVCB, HTTPS, AFSDB, RT, KX, MB, MD, MF); borrowed from
 * octets.  NULL: the type has none.  The root: there is no such host (or, in
 * SVCB and HTTPS, the owner itself is meant).  octets: checked.
 */
const uint8_t *dns_rdata_target(uint16_t type, const uint8_t *octets,
                                size_t size);

/* True if dns_rdata_target() can give a name for the type. */
bool dns_rdata_has_target(uint16_t type);

/*
 * Canonical order of two checked rdatas of a type (RFC 4034 sections 6.2 and
 * 6.3): octets, with names in lower case where that section says so.  0: the
 * same record.
 */
int dns_rdata_compare(uint16_t type, const uint8_t *a, size_t a_size,
                      const uint8_t *b, size_t b_size);

/* Lower-cases the names that section 6.2 names, in place.  octets: checked. */
DNS_EXPORT void dns_rdata_canonicalize(uint16_t type, uint8_t *octets,
                                       size_t size);

#endif
