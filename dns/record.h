#ifndef DNS_RECORD_H
#define DNS_RECORD_H

/* One record, as master files and messages give it. */

#include <stddef.h>
#include <stdint.h>

#include "dns/node.h"
#include "dns/status.h"

typedef struct {
    const uint8_t *owner; /* borrowed; checked wire form, case as it was */
    uint16_t type;
    uint16_t class_;
    uint32_t ttl; /* seconds */
    uint16_t rdata_size;
    const uint8_t *rdata; /* borrowed; names uncompressed */
} dns_record_t;

/*
 * Writes one line of master-file text: owner, TTL, class, type and rdata,
 * tabs between them, names absolute, a line end and a NUL behind.  rdata is
 * checked.  *length is without the NUL.  DNS_ENOSPACE: over room bytes.
 */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_record_to_text(
    const dns_record_t *record, char *out, size_t room, size_t *length);

#endif
