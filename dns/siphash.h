#ifndef DNS_SIPHASH_H
#define DNS_SIPHASH_H

/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash for tables over
 * what a client picks, and for DNS cookies (RFC 9018).
 */

#include <stddef.h>
#include <stdint.h>

#include "dns/status.h"

enum { DNS_SIPHASH_KEY_SIZE = 16 }; /* octets */

/* The hash as a number; its octets on the wire are the lowest first. */
DNS_EXPORT uint64_t dns_siphash(const uint8_t *key, const uint8_t *octets,
                                size_t size);

#endif
