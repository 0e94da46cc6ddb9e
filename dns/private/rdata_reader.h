#ifndef DNS_PRIVATE_RDATA_READER_H
#define DNS_PRIVATE_RDATA_READER_H

/* Rdata text, field by field: what rdata_parse.c, rdata_svcb.c and the master
   file share. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/base_n.h"
#include "dns/private/lexer.h"

/* Rdata under construction. */
typedef struct {
    lexer_t *lexer;        /* borrowed */
    const uint8_t *origin; /* borrowed; NULL: names are absolute */
    uint8_t *out;          /* room for DNS_RDATA_MAX octets */
    size_t size;
} rdata_reader_t;

/* Reads the rdata of a type up to the end of its line.  false: the lexer holds
   the error. */
bool rdata_read(rdata_reader_t *r, uint16_t type);

/* Appends octets; false if the rdata would be over DNS_RDATA_MAX. */
bool rdata_put(rdata_reader_t *r, const void *octets, size_t size);
bool rdata_put16(rdata_reader_t *r, unsigned value);
bool rdata_put_number(rdata_reader_t *r, uint64_t value, size_t size);

/* Notes what was expected in place of a token; false. */
bool rdata_fail(rdata_reader_t *r, const token_t *token, const char *expected);

/* The octet at *at, an escape or a byte as it is; *at moves on.  false: a
   wrong escape. */
bool rdata_unescape(const char *text, size_t size, size_t *at, uint8_t *octet);

/* Decimal digits and nothing else, at most max. */
bool rdata_number(const char *text, size_t size, uint64_t max, uint64_t *out);

/* Seconds, plain or with units: 1h30m. */
bool rdata_duration(const char *text, size_t size, uint32_t max, uint32_t *out);

/* Digits in one or more words, to the end of the line. */
bool rdata_read_digits(rdata_reader_t *r, base_t base, bool may_be_empty);

/* One word of digits behind an octet with its size; in hexadecimal "-" is none
   (RFC 5155 section 3.3). */
bool rdata_read_counted_digits(rdata_reader_t *r, base_t base);

/* An EUI of size octets, RFC 7043: 00-00-5e-00-53-2a. */
bool rdata_read_eui(rdata_reader_t *r, size_t size);

/* A node identifier, RFC 6742: 0014:4fff:ff20:ee64, zeros in front of a group
   may be left out. */
bool rdata_read_node_id(rdata_reader_t *r);

/* Service parameters to the end of the line, RFC 9460 section 2.1. */
bool rdata_read_parameters(rdata_reader_t *r);

/* RFC 4025 without the key, RFC 8777, RFC 3123, RFC 1876. */
bool rdata_read_ipseckey(rdata_reader_t *r);
bool rdata_read_amtrelay(rdata_reader_t *r);
bool rdata_read_apl(rdata_reader_t *r);
bool rdata_read_loc(rdata_reader_t *r);

/* Text of a type that only ldns knows to read, to the end of the line. */
bool rdata_read_by_ldns(rdata_reader_t *r, uint16_t type);

#endif
