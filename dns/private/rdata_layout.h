#ifndef DNS_PRIVATE_RDATA_LAYOUT_H
#define DNS_PRIVATE_RDATA_LAYOUT_H

/*
 * What each type's rdata is made of: a string with one letter for each field.
 * The wire form follows from it (check, compression, canonical form), and the
 * text form of the types that have no letter marked "ldns".
 *
 *     1 2 4   unsigned integer of so many octets, decimal in text
 *     u       unsigned integer of 8 octets, decimal in text
 *     t       32-bit duration, with units in text (1h30m)
 *     e       32-bit time, YYYYMMDDHHMMSS in text
 *     T       16-bit type, mnemonic in text
 *     g       8-bit DNSSEC algorithm, mnemonic accepted in text
 *     k       16-bit certificate type, mnemonic accepted in text
 *     y       8-bit scheme of DSYNC, mnemonic accepted in text
 *     i I     IPv4, IPv6 address
 *     6 8     EUI-48, EUI-64
 *     x       64 bits as four groups of hexadecimal digits
 *     C       name, compressed (RFC 1035 types), decompressed, folded
 *     D       name, decompressed (RFC 3597 section 4), folded
 *     F       name, folded (RFC 4034 section 6.2)
 *     N       name as it is
 *     s       character string (RFC 1035 section 3.3)
 *     c       character string without quotes, not empty
 *     S       one or more character strings, to the end
 *     q       the rest as one quoted string
 *     h b     the rest in hexadecimal, base64; at least one octet
 *     B       the rest in base64; may be empty
 *     n       length and so many octets, hexadecimal or "-" in text
 *     H       length and so many octets, base32hex in text; not empty
 *     p       8-bit IP protocol, "tcp" and "udp" accepted in text
 *     W       bitmap of ports (RFC 1035 section 3.4.2), to the end
 *     M       type bitmap (RFC 4034 section 4.1.2), to the end
 *     P       service parameters (RFC 9460 section 2.2), to the end
 *     .       any octets, to the end; text by ldns or RFC 3597
 *     A       APL items (RFC 3123)
 *     K       IPSECKEY (RFC 4025)
 *     L       LOC (RFC 1876)
 *     U       HIP (RFC 8005); ldns
 *     Y       AMTRELAY (RFC 8777)
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dns/status.h"

typedef struct {
    const char *fields; /* NULL: opaque */
    bool is_compressed; /* has a C */
    bool has_names;     /* has one of C D F N */
    bool has_target;    /* its last name is one for the additional section */
} rdata_layout_t;

const rdata_layout_t *rdata_layout(uint16_t type);

/* Octets of the field at octets, at most size; false if it is malformed. */
bool rdata_field_size(char field, const uint8_t *octets, size_t size,
                      size_t *field_size);

/* RFC 9460 section 2.2: keys strictly ascend, known ones with values that are
   right for them. */
bool rdata_check_parameters(const uint8_t *octets, size_t size);

/* What no zone may hold although its wire form is right: no-default-alpn
   without alpn (RFC 9460 section 7.1.1), or a dohpath without its variable
   (RFC 9461 section 5).  octets: checked parameters.  Gives what was expected
   instead, static text; NULL: nothing is wrong. */
const char *rdata_parameters_problem(const uint8_t *octets, size_t size);

/* ldns reads and writes the text of these. */
static inline bool
rdata_is_by_ldns(const char *fields)
{
    return strpbrk(fields, ".U") != NULL;
}

static inline bool
rdata_field_is_name(char field)
{
    return field == 'C' || field == 'D' || field == 'F' || field == 'N';
}

#endif
