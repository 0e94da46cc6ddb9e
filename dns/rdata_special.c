/*
 * Text of APL (RFC 3123), IPSECKEY (RFC 4025) and AMTRELAY (RFC 8777), whose
 * fields depend on one another: ldns 1.8 does not read AMTRELAY, and writes
 * the addresses of APL in a form of its own.
 */

#include <arpa/inet.h>
#include <string.h>

#include "dns/name.h"
#include "dns/octets.h"
#include "dns/private/rdata_reader.h"
#include "dns/private/text_writer.h"

enum {
    GATEWAY_NONE = 0, /* RFC 4025 section 2.5, RFC 8777 section 4.2.3 */
    GATEWAY_IPV4 = 1,
    GATEWAY_IPV6 = 2,
    GATEWAY_NAME = 3,
    RELAY_DISCOVERY_OPTIONAL = 0x80, /* RFC 8777 section 4.2.2 */
    APL_NEGATED = 0x80,              /* RFC 3123 section 4 */
};

static bool
read_small_number(rdata_reader_t *r, uint64_t max, const char *expected,
                  uint64_t *out)
{
    token_t token;

    if (!lexer_next_value(r->lexer, &token, expected)) {
        return false;
    }

    return rdata_number(token.text, token.size, max, out) ||
           rdata_fail(r, &token, expected);
}

static bool
address_from_text(int family, const char *text, size_t size, uint8_t *octets)
{
    char copy[INET6_ADDRSTRLEN + 1] = {0};

    if (size >= sizeof(copy) || memchr(text, '\0', size) != NULL) {
        return false;
    }

    memcpy(copy, text, size);
    return inet_pton(family, copy, octets) == 1;
}

/* "." for none, or what the kind says. */
static bool
read_gateway(rdata_reader_t *r, uint64_t kind)
{
    static const char expected[] = "a gateway that fits its type";
    uint8_t octets[DNS_NAME_MAX];
    token_t token;

    if (!lexer_next_value(r->lexer, &token, expected)) {
        return false;
    }

    switch (kind) {
    case GATEWAY_NONE:
        return (token.size == 1 && token.text[0] == '.') ||
               rdata_fail(r, &token, expected);
    case GATEWAY_IPV4:
        return address_from_text(AF_INET, token.text, token.size, octets)
                   ? rdata_put(r, octets, 4)
                   : rdata_fail(r, &token, expected);
    case GATEWAY_IPV6:
        return address_from_text(AF_INET6, token.text, token.size, octets)
                   ? rdata_put(r, octets, 16)
                   : rdata_fail(r, &token, expected);
    default:
        return dns_name_from_text(octets, token.text, token.size, r->origin,
                                  NULL) == DNS_OK
                   ? rdata_put(r, octets, dns_name_size(octets))
                   : rdata_fail(r, &token, expected);
    }
}

bool
rdata_read_ipseckey(rdata_reader_t *r)
{
    uint64_t precedence;
    uint64_t kind;
    uint64_t algorithm;

    if (!read_small_number(r, 255, "a precedence", &precedence) ||
        !read_small_number(r, GATEWAY_NAME, "a gateway type", &kind) ||
        !read_small_number(r, 255, "an algorithm", &algorithm)) {
        return false;
    }

    uint8_t header[] = {(uint8_t) precedence, (uint8_t) kind,
                        (uint8_t) algorithm};

    return rdata_put(r, header, 3) && read_gateway(r, kind);
}

bool
rdata_read_amtrelay(rdata_reader_t *r)
{
    uint64_t precedence;
    uint64_t discovery;
    uint64_t kind;

    if (!read_small_number(r, 255, "a precedence", &precedence) ||
        !read_small_number(r, 1, "0 or 1 for discovery", &discovery) ||
        !read_small_number(r, GATEWAY_NAME, "a relay type", &kind)) {
        return false;
    }

    uint8_t header[] = {
        (uint8_t) precedence,
        (uint8_t) (kind | (discovery ? RELAY_DISCOVERY_OPTIONAL : 0))};

    return rdata_put(r, header, 2) && read_gateway(r, kind);
}

/* [!]family:address/prefix */
static bool
put_prefix(rdata_reader_t *r, const char *text, size_t size)
{
    uint8_t item[4 + 16] = {0};
    bool is_negated = size > 0 && text[0] == '!';
    const char *end = text + size;
    const char *address = memchr(text, ':', size);
    const char *slash = memchr(text, '/', size);
    uint64_t family;
    uint64_t prefix;

    text += is_negated;

    if (address == NULL || slash == NULL || slash < address ||
        !rdata_number(text, (size_t) (address - text), 2, &family) ||
        family == 0 ||
        !rdata_number(slash + 1, (size_t) (end - slash - 1),
                      family == 1 ? 32 : 128, &prefix) ||
        !address_from_text(family == 1 ? AF_INET : AF_INET6, address + 1,
                           (size_t) (slash - address - 1), item + 4)) {
        return false;
    }

    size_t length = family == 1 ? 4 : 16;

    while (length > 0 && item[4 + length - 1] == 0) {
        length--;
    }

    put16(item, (unsigned) family);
    item[2] = (uint8_t) prefix;
    item[3] = (uint8_t) (length | (is_negated ? APL_NEGATED : 0));
    return rdata_put(r, item, 4 + length);
}

bool
rdata_read_apl(rdata_reader_t *r)
{
    token_t token;
    bool is_end = false;

    while (lexer_next_optional(r->lexer, &token, &is_end) && !is_end) {
        if (!put_prefix(r, token.text, token.size)) {
            return rdata_fail(r, &token, "a prefix such as 1:192.0.2.0/24");
        }
    }

    return is_end;
}

static void
put_address(text_writer_t *w, int family, const uint8_t *octets)
{
    char text[INET6_ADDRSTRLEN];

    text_put_string(w, inet_ntop(family, octets, text, sizeof(text)));
}

/* Gives the octets that the gateway takes. */
static size_t
put_gateway(text_writer_t *w, unsigned kind, const uint8_t *octets)
{
    text_put(w, " ", 1);

    switch (kind) {
    case GATEWAY_IPV4:
        put_address(w, AF_INET, octets);
        return 4;
    case GATEWAY_IPV6:
        put_address(w, AF_INET6, octets);
        return 16;
    case GATEWAY_NAME:
        text_put_name(w, octets);
        return dns_name_size(octets);
    default:
        text_put(w, ".", 1);
        return 0;
    }
}

static void
put_numbers(text_writer_t *w, unsigned a, unsigned b, unsigned c)
{
    text_put_number(w, a);
    text_put(w, " ", 1);
    text_put_number(w, b);
    text_put(w, " ", 1);
    text_put_number(w, c);
}

void
text_put_ipseckey(text_writer_t *w, const uint8_t *octets, size_t size)
{
    put_numbers(w, octets[0], octets[1], octets[2]);

    size_t at = 3 + put_gateway(w, octets[1], octets + 3);

    if (at < size) {
        text_put(w, " ", 1);
        text_put_base(w, BASE_64, octets + at, size - at);
    }
}

void
text_put_amtrelay(text_writer_t *w, const uint8_t *octets)
{
    unsigned kind = octets[1] & ~(unsigned) RELAY_DISCOVERY_OPTIONAL;

    put_numbers(w, octets[0], octets[1] != kind, kind);
    put_gateway(w, kind, octets + 2);
}

bool
text_put_apl(text_writer_t *w, const uint8_t *octets, size_t size)
{
    for (size_t at = 0; at < size;) {
        const uint8_t *item = octets + at;
        uint8_t address[16] = {0};
        size_t length = item[3] & ~(unsigned) APL_NEGATED;
        unsigned family = get16(item);

        if (family != 1 && family != 2) {
            return false;
        }

        memcpy(address, item + 4, length);
        text_put_string(w, at > 0 ? " " : "");
        text_put_string(w, item[3] != length ? "!" : "");
        text_put_number(w, family);
        text_put(w, ":", 1);
        put_address(w, family == 1 ? AF_INET : AF_INET6, address);
        text_put(w, "/", 1);
        text_put_number(w, item[2]);
        at += 4 + length;
    }

    return true;
}
