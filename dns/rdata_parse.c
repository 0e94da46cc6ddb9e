/* Rdata from text, by the letters of private/rdata_layout.h. */

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "dns/base_n.h"
#include "dns/name.h"
#include "dns/octets.h"
#include "dns/private/rdata_layout.h"
#include "dns/private/rdata_reader.h"
#include "dns/rdata_text.h"
#include "dns/type.h"

typedef struct {
    const char *text;
    uint16_t number;
} mnemonic_t;

/* IANA "DNS Security Algorithm Numbers". */
static const mnemonic_t algorithms[] = {
    {"DELETE", 0},
    {"RSAMD5", 1},
    {"DH", 2},
    {"DSA", 3},
    {"RSASHA1", 5},
    {"DSA-NSEC3-SHA1", 6},
    {"RSASHA1-NSEC3-SHA1", 7},
    {"NSEC3RSASHA1", 7},
    {"RSASHA256", 8},
    {"RSASHA512", 10},
    {"ECC-GOST", 12},
    {"ECDSAP256SHA256", 13},
    {"ECDSAP384SHA384", 14},
    {"ED25519", 15},
    {"ED448", 16},
    {"INDIRECT", 252},
    {"PRIVATEDNS", 253},
    {"PRIVATEOID", 254},
    {NULL, 0},
};

/* RFC 4398 section 2.1. */
static const mnemonic_t certificate_types[] = {
    {"PKIX", 1},  {"SPKI", 2},  {"PGP", 3},    {"IPKIX", 4},
    {"ISPKI", 5}, {"IPGP", 6},  {"ACPKIX", 7}, {"IACPKIX", 8},
    {"URI", 253}, {"OID", 254}, {NULL, 0},
};

enum { SVCB_TARGET_AT = 2 }; /* octets: RFC 9460 section 2.2 */

static bool
read_number(rdata_reader_t *r, size_t size, const char *expected)
{
    token_t token;
    uint64_t value;

    if (!lexer_next_value(r->lexer, &token, expected)) {
        return false;
    }

    if (!rdata_number(token.text, token.size, UINT64_MAX >> (64 - size * 8),
                      &value)) {
        return rdata_fail(r, &token, expected);
    }

    return rdata_put_number(r, value, size);
}

static bool
read_duration(rdata_reader_t *r)
{
    static const char expected[] = "a number of seconds";
    token_t token;
    uint32_t value;

    if (!lexer_next_value(r->lexer, &token, expected)) {
        return false;
    }

    if (!rdata_duration(token.text, token.size, UINT32_MAX, &value)) {
        return rdata_fail(r, &token, expected);
    }

    return rdata_put_number(r, value, 4);
}

/* YYYYMMDDHHMMSS, RFC 4034 section 3.2.  Times are compared by serial number
   arithmetic, and those after 2106 are taken modulo 2^32 (section 3.1.5). */
static bool
parse_time(const token_t *token, uint64_t *out)
{
    static const struct {
        int size;
        unsigned min;
        unsigned max;
    } parts[] = {{4, 1970, 9999}, {2, 1, 12}, {2, 1, 31},
                 {2, 0, 23},      {2, 0, 59}, {2, 0, 59}};
    uint64_t values[6];
    const char *at = token->text;

    for (int i = 0; i < 6; at += parts[i++].size) {
        if (!rdata_number(at, (size_t) parts[i].size, parts[i].max,
                          &values[i]) ||
            values[i] < parts[i].min) {
            return false;
        }
    }

    struct tm tm = {.tm_year = (int) values[0] - 1900,
                    .tm_mon = (int) values[1] - 1,
                    .tm_mday = (int) values[2],
                    .tm_hour = (int) values[3],
                    .tm_min = (int) values[4],
                    .tm_sec = (int) values[5]};

    *out = (uint64_t) timegm(&tm) & UINT32_MAX;
    return tm.tm_mday == (int) values[2]; /* or the month is shorter */
}

static bool
read_time(rdata_reader_t *r)
{
    static const char expected[] = "a time as YYYYMMDDHHMMSS or in seconds";
    token_t token;
    uint64_t value;

    if (!lexer_next_value(r->lexer, &token, expected)) {
        return false;
    }

    bool is_time = token.size == 14 ? parse_time(&token, &value)
                                    : rdata_number(token.text, token.size,
                                                   UINT32_MAX, &value);

    return is_time ? rdata_put_number(r, value, 4)
                   : rdata_fail(r, &token, expected);
}

static bool
read_mnemonic(rdata_reader_t *r, const mnemonic_t *list, size_t size,
              const char *expected)
{
    token_t token;
    uint64_t value;

    if (!lexer_next_value(r->lexer, &token, expected)) {
        return false;
    }

    if (rdata_number(token.text, token.size, (1u << size * 8) - 1, &value)) {
        return rdata_put_number(r, value, size);
    }

    for (; list->text != NULL; list++) {
        if (strlen(list->text) == token.size &&
            strncasecmp(list->text, token.text, token.size) == 0) {
            return rdata_put_number(r, list->number, size);
        }
    }

    return rdata_fail(r, &token, expected);
}

static bool
read_type(rdata_reader_t *r)
{
    token_t token;
    uint16_t type;

    if (!lexer_next_value(r->lexer, &token, "a record type")) {
        return false;
    }

    if (dns_type_from_text(&type, token.text, token.size) != DNS_OK) {
        return rdata_fail(r, &token, "a record type");
    }

    return rdata_put16(r, type);
}

static bool
read_address(rdata_reader_t *r, int family)
{
    const char *expected = family == AF_INET
                               ? "an IPv4 address such as 192.0.2.1"
                               : "an IPv6 address such as 2001:db8::1";
    char text[INET6_ADDRSTRLEN + 1];
    uint8_t octets[16];
    token_t token;

    if (!lexer_next_value(r->lexer, &token, expected)) {
        return false;
    }

    if (token.size >= sizeof(text)) {
        return rdata_fail(r, &token, expected);
    }

    memcpy(text, token.text, token.size);
    text[token.size] = '\0';

    if (memchr(text, '\0', token.size) != NULL ||
        inet_pton(family, text, octets) != 1) {
        return rdata_fail(r, &token, expected);
    }

    return rdata_put(r, octets, family == AF_INET ? 4 : 16);
}

static bool
read_name(rdata_reader_t *r)
{
    uint8_t name[DNS_NAME_MAX];
    token_t token;
    size_t at;

    if (!lexer_next_value(r->lexer, &token, "a domain name")) {
        return false;
    }

    if (dns_name_from_text(name, token.text, token.size, r->origin, &at) !=
        DNS_OK) {
        return lexer_fail(r->lexer, token.text + at,
                          "a valid domain name (labels of 1 to 63 octets, "
                          "255 in all)");
    }

    return rdata_put(r, name, dns_name_size(name));
}

/* Appends a token's octets without their escapes. */
static bool
put_unescaped(rdata_reader_t *r, const token_t *token, size_t max)
{
    size_t start = r->size;

    for (size_t at = 0; at < token->size;) {
        uint8_t octet;

        if (!rdata_unescape(token->text, token->size, &at, &octet)) {
            return lexer_fail(r->lexer, token->text + at,
                              "an escape \\X or \\DDD up to \\255");
        }

        if (r->size - start == max) {
            return rdata_fail(r, token, "a string of at most 255 octets");
        }

        if (!rdata_put(r, &octet, 1)) {
            return false;
        }
    }

    return true;
}

static bool
put_string(rdata_reader_t *r, const token_t *token)
{
    size_t length_at = r->size;

    if (!rdata_put(r, "", 1) || !put_unescaped(r, token, 255)) {
        return false;
    }

    r->out[length_at] = (uint8_t) (r->size - length_at - 1);
    return true;
}

static bool
read_string(rdata_reader_t *r, const char *expected)
{
    token_t token;

    return lexer_next_value(r->lexer, &token, expected) &&
           put_string(r, &token);
}

static bool
read_strings(rdata_reader_t *r)
{
    token_t token;
    bool is_end = false;

    if (!read_string(r, "a string")) {
        return false;
    }

    while (lexer_next_optional(r->lexer, &token, &is_end) && !is_end) {
        if (!put_string(r, &token)) {
            return false;
        }
    }

    return is_end;
}

/* RFC 8659 section 4.1: letters and digits. */
static bool
read_tag(rdata_reader_t *r)
{
    static const char expected[] = "a tag of letters and digits";
    token_t token;

    if (!lexer_next_value(r->lexer, &token, expected)) {
        return false;
    }

    for (size_t i = 0; i < token.size; i++) {
        int letter = (token.text[i] | 0x20) - 'a';

        if ((letter < 0 || letter > 25) &&
            (token.text[i] < '0' || token.text[i] > '9')) {
            return rdata_fail(r, &token, expected);
        }
    }

    return token.size > 0 ? put_string(r, &token)
                          : rdata_fail(r, &token, expected);
}

static bool
read_quoted_rest(rdata_reader_t *r)
{
    token_t token;

    return lexer_next_value(r->lexer, &token, "a quoted string") &&
           put_unescaped(r, &token, DNS_RDATA_MAX);
}

/* The windows of a bitmap, RFC 4034 section 4.1.2. */
static bool
put_bitmap(rdata_reader_t *r, const uint8_t *bits)
{
    for (unsigned window = 0; window < 256; window++) {
        const uint8_t *octets = bits + window * 32;
        uint8_t size = 32;

        while (size > 0 && octets[size - 1] == 0) {
            size--;
        }

        uint8_t header[] = {(uint8_t) window, size};

        if (size > 0 &&
            (!rdata_put(r, header, 2) || !rdata_put(r, octets, size))) {
            return false;
        }
    }

    return true;
}

static bool
read_bitmap(rdata_reader_t *r)
{
    uint8_t bits[65536 / 8] = {0};
    token_t token;
    bool is_end = false;

    while (lexer_next_optional(r->lexer, &token, &is_end) && !is_end) {
        uint16_t type;

        if (dns_type_from_text(&type, token.text, token.size) != DNS_OK) {
            return rdata_fail(r, &token, "a record type");
        }

        bits[type / 8] |= (uint8_t) (0x80 >> type % 8);
    }

    return is_end && put_bitmap(r, bits);
}

static bool
parse_port(const token_t *token, uint64_t *port)
{
    char name[32];
    char buffer[1024];
    struct servent entry;
    struct servent *found = NULL;

    if (rdata_number(token->text, token->size, 65535, port)) {
        return true;
    }

    if (token->size >= sizeof(name)) {
        return false;
    }

    memcpy(name, token->text, token->size);
    name[token->size] = '\0';

    if (getservbyname_r(name, NULL, &entry, buffer, sizeof(buffer), &found) !=
            0 ||
        found == NULL) {
        return false;
    }

    *port = ntohs((uint16_t) entry.s_port);
    return true;
}

/* WKS, RFC 1035 section 3.4.2: octets up to the last port. */
static bool
read_ports(rdata_reader_t *r)
{
    uint8_t bits[65536 / 8] = {0};
    size_t size = 0;
    token_t token;
    bool is_end = false;

    while (lexer_next_optional(r->lexer, &token, &is_end) && !is_end) {
        uint64_t port;

        if (!parse_port(&token, &port)) {
            return rdata_fail(r, &token, "a port");
        }

        bits[port / 8] |= (uint8_t) (0x80 >> port % 8);
        size = port / 8 + 1 > size ? port / 8 + 1 : size;
    }

    return is_end && rdata_put(r, bits, size);
}

static const mnemonic_t protocols[] = {{"TCP", 6}, {"UDP", 17}, {NULL, 0}};

/* RFC 9859 section 2.2. */
static const mnemonic_t schemes[] = {{"NOTIFY", 1}, {NULL, 0}};

/* A switch of the kinds of fields, which are more than a screen holds. */
static bool
/* NOLINTNEXTLINE(readability-function-size) */
read_field(rdata_reader_t *r, char field)
{
    switch (field) {
    case '1':
        return read_number(r, 1, "a number from 0 to 255");
    case '2':
        return read_number(r, 2, "a number from 0 to 65535");
    case '4':
        return read_number(r, 4, "a number from 0 to 4294967295");
    case 'u':
        return read_number(r, 8, "a number from 0 to 18446744073709551615");
    case 't':
        return read_duration(r);
    case 'e':
        return read_time(r);
    case 'T':
        return read_type(r);
    case 'g':
        return read_mnemonic(r, algorithms, 1, "a DNSSEC algorithm");
    case 'k':
        return read_mnemonic(r, certificate_types, 2, "a certificate type");
    case 'y':
        return read_mnemonic(r, schemes, 1, "a notification scheme");
    case 'p':
        return read_mnemonic(r, protocols, 1, "an IP protocol");
    case 'W':
        return read_ports(r);
    case 'i':
        return read_address(r, AF_INET);
    case 'I':
        return read_address(r, AF_INET6);
    case '6':
        return rdata_read_eui(r, 6);
    case '8':
        return rdata_read_eui(r, 8);
    case 'x':
        return rdata_read_node_id(r);
    case 'C':
    case 'D':
    case 'F':
    case 'N':
        return read_name(r);
    case 's':
        return read_string(r, "a string");
    case 'c':
        return read_tag(r);
    case 'S':
        return read_strings(r);
    case 'q':
        return read_quoted_rest(r);
    case 'h':
        return rdata_read_digits(r, BASE_16, false);
    case 'b':
        return rdata_read_digits(r, BASE_64, false);
    case 'B':
        return rdata_read_digits(r, BASE_64, true);
    case 'n':
        return rdata_read_counted_digits(r, BASE_16);
    case 'H':
        return rdata_read_counted_digits(r, BASE_32_HEX);
    case 'M':
        return read_bitmap(r);
    case 'P':
        return rdata_read_parameters(r);
    case 'A':
        return rdata_read_apl(r);
    case 'L':
        return rdata_read_loc(r);
    case 'K':
        return rdata_read_ipseckey(r) && rdata_read_digits(r, BASE_64, true);
    case 'Y':
        return rdata_read_amtrelay(r);
    default:
        return false;
    }
}

static bool
read_fields(rdata_reader_t *r, const char *field)
{
    for (; *field != '\0'; field++) {
        if (!read_field(r, *field)) {
            return false;
        }
    }

    return true;
}

/* RFC 3597 section 5, behind the \#. */
static bool
read_generic(rdata_reader_t *r)
{
    static const char expected[] = "the size of the rdata in octets";
    token_t token;
    uint64_t size;

    if (!lexer_next_value(r->lexer, &token, expected)) {
        return false;
    }

    if (!rdata_number(token.text, token.size, DNS_RDATA_MAX, &size)) {
        return rdata_fail(r, &token, expected);
    }

    if (!rdata_read_digits(r, BASE_16, true)) {
        return false;
    }

    return r->size == size ||
           rdata_fail(r, &token, "a size that agrees with the digits");
}

static bool
is_generic(const token_t *token)
{
    return token->kind == TOKEN_WORD && token->size == 2 &&
           memcmp(token->text, "\\#", 2) == 0;
}

static bool
read_known(rdata_reader_t *r, uint16_t type, const token_t *first)
{
    const char *fields = rdata_layout(type)->fields;

    if (fields == NULL) {
        return rdata_fail(r, first, "rdata as \\# SIZE HEXADECIMAL");
    }

    return rdata_is_by_ldns(fields) ? rdata_read_by_ldns(r, type)
                                    : read_fields(r, fields);
}

/* Digests by type, where their kind stands and how long each kind is: RFC 4034
   section 5.1.3 and RFC 6605, RFC 4255 and RFC 6594, RFC 8976 section 5.3. */
static const struct {
    uint16_t type;
    uint8_t kind_at; /* octets; the digest follows */
    uint8_t sizes[5];
} digests[] = {
    {DNS_TYPE_DS, 3, {0, 20, 32, 0, 48}},
    {DNS_TYPE_CDS, 3, {0, 20, 32, 0, 48}},
    {DNS_TYPE_SSHFP, 1, {0, 20, 32, 0, 0}},
    {DNS_TYPE_ZONEMD, 5, {0, 48, 64, 0, 0}},
};

/* Kinds that are not known may be of any length. */
static bool
has_whole_digest(uint16_t type, const uint8_t *rdata, size_t size)
{
    for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
        if (digests[i].type != type) {
            continue;
        }

        uint8_t kind = rdata[digests[i].kind_at];
        size_t wanted =
            kind < sizeof(digests[i].sizes) ? digests[i].sizes[kind] : 0;

        return wanted == 0 || size - digests[i].kind_at - 1 == wanted;
    }

    return true;
}

/* What a zone may not hold although the wire form is right; NULL: nothing. */
static const char *
find_problem(uint16_t type, const uint8_t *rdata, size_t size)
{
    if (!has_whole_digest(type, rdata, size)) {
        return "a digest as long as its kind is";
    }

    if (type == DNS_TYPE_SVCB || type == DNS_TYPE_HTTPS) {
        size_t at = SVCB_TARGET_AT + dns_name_size(rdata + SVCB_TARGET_AT);

        return rdata_parameters_problem(rdata + at, size - at);
    }

    return NULL;
}

bool
rdata_read(rdata_reader_t *r, uint16_t type)
{
    token_t first;
    bool is_empty;

    r->size = 0;

    if (!lexer_next_optional(r->lexer, &first, &is_empty)) {
        return false;
    }

    if (is_empty && type != DNS_TYPE_APL) {
        return rdata_fail(r, &first, "rdata");
    }

    bool is_read;

    if (!is_empty && is_generic(&first)) {
        is_read = read_generic(r);
    } else {
        lexer_unread(r->lexer, &first);
        is_read = read_known(r, type, &first);
    }

    if (!is_read || !lexer_expect_line_end(r->lexer)) {
        return false;
    }

    if (dns_rdata_check(type, r->out, r->size) != DNS_OK) {
        return rdata_fail(r, &first, "rdata that is valid for its type");
    }

    const char *problem = find_problem(type, r->out, r->size);

    return problem == NULL || rdata_fail(r, &first, problem);
}
