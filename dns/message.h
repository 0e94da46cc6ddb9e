#ifndef DNS_MESSAGE_H
#define DNS_MESSAGE_H

/*
 * Reads a whole message record by record, queries and responses both.  Nothing
 * is allocated; names and rdata come out uncompressed, in the caller's memory.
 *
 *     dns_message_t m;
 *     dns_message_record_t record;
 *     dns_status_t status = dns_message_open(&m, wire, size);
 *     while (status == DNS_OK
 *            && (status = dns_message_next(&m, &record)) == DNS_OK) {
 *         status = dns_message_rdata(&m, &record, rdata, &rdata_size);
 *     }
 *     whole = status == DNS_ENOTFOUND;
 */

#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"
#include "dns/status.h"

typedef struct {
    const uint8_t *wire; /* borrowed */
    uint32_t size;
    uint32_t at; /* offset of the next question or record */
    uint16_t id;
    uint16_t flags;     /* the header's second 16 bits, host order */
    uint16_t counts[4]; /* as the header says */
    uint16_t left;      /* of the section, not read yet */
    uint8_t section;    /* dns_section_t */
} dns_message_t;

typedef struct {
    uint8_t section; /* dns_section_t */
    uint8_t owner_size;
    uint16_t type;
    uint16_t class_;
    uint32_t ttl;        /* as on the wire; 0 in a question */
    uint32_t rdata_at;   /* offset in the message */
    uint16_t rdata_size; /* octets in the message, names perhaps compressed */
    uint8_t owner[DNS_NAME_MAX]; /* letters as they are */
} dns_message_record_t;

/* DNS_EMALFORMED: shorter than a header. */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_message_open(dns_message_t *m,
                                                      const uint8_t *wire,
                                                      size_t size);

/*
 * The next question or record.  DNS_ENOTFOUND: that was the last one.
 * DNS_EMALFORMED: it does not lie inside the message, or its name is not one.
 */
DNS_EXPORT DNS_MUST_USE dns_status_t
dns_message_next(dns_message_t *m, dns_message_record_t *record);

/* The rcode of a whole message, with the upper bits of its OPT (RFC 6891
   section 6.1.3); -1: shorter than a header. */
int dns_message_rcode(const uint8_t *wire, size_t size);

/*
 * A record's rdata with its names uncompressed.  out has room for
 * DNS_RDATA_MAX octets.  DNS_EMALFORMED: not an rdata of its type.
 */
DNS_EXPORT DNS_MUST_USE dns_status_t
dns_message_rdata(const dns_message_t *m, const dns_message_record_t *record,
                  uint8_t *out, uint16_t *out_size);

/*
 * The name at an offset, uncompressed; out has room for DNS_NAME_MAX octets.
 * *end is the offset behind it where it was met.  Each pointer must lead to an
 * offset before the labels that it ends (RFC 1035 section 4.1.4: a prior
 * occurrence), so that there are no loops and the work is bounded.
 * DNS_EMALFORMED.
 */
DNS_MUST_USE dns_status_t dns_message_name(const dns_message_t *m, size_t at,
                                           uint8_t *out, size_t *end);

#endif
