#ifndef DNS_RDATA_TEXT_H
#define DNS_RDATA_TEXT_H

/*
 * Rdata in presentation form (RFC 1035 section 5, RFC 3597 section 5 and the
 * RFC of each type).  Every type is read and written in RFC 3597's form
 * (\# 4 c0000201) too; types that have no other form are written so.
 */

#include <stddef.h>
#include <stdint.h>

#include "dns/node.h"
#include "dns/rdata.h"
#include "dns/status.h"

/* Bytes that hold the text of any rdata, its NUL too: a bitmap of all types is
   the longest. */
enum { DNS_RDATA_TEXT_MAX = 1 << 20 };

/* What is wrong with a text. */
typedef struct {
    size_t at;            /* offset in bytes */
    const char *expected; /* "an IPv4 address"; static */
} dns_text_error_t;

/*
 * Reads size bytes of text.  out has room for DNS_RDATA_MAX octets.  Names
 * without a final dot are completed with origin (checked wire form), or taken
 * as absolute with origin NULL.  The whole text is one record, of which nothing
 * is left out: parentheses are as in a master file, a comment and a second line
 * are errors.  A TXT or SPF without any quote is one string, blanks and ";" and
 * all, cut where it is longer than 255 octets.
 *
 * DNS_EMALFORMED: *error (may be NULL) says what was expected and where.
 */
typedef struct {
    uint16_t type;
    const char *text;
    size_t size;
    const uint8_t *origin;
} dns_rdata_input_t;

DNS_MUST_USE dns_status_t dns_rdata_from_text(const dns_rdata_input_t *input,
                                              uint8_t *out, uint16_t *out_size,
                                              dns_text_error_t *error);

/*
 * Writes checked rdata, names absolute, with a NUL; *length is without it.
 * The text holds no line end.  DNS_ENOSPACE: over room bytes.
 */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_rdata_to_text(uint16_t type,
                                                       const dns_rdata_t *rdata,
                                                       char *out, size_t room,
                                                       size_t *length);

#endif
