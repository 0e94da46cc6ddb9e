#include "dns/edns.h"

#include <string.h>

#include "dns/octets.h"
#include "dns/siphash.h"

enum {
    FAMILY_IPV4 = 1, /* IANA address family numbers, in RFC 7871 */
    FAMILY_IPV6 = 2,
    SUBNET_HEADER_SIZE = 4, /* octets: family, source, scope */
    COOKIE_VERSION = 1,     /* RFC 9018 section 4.1 */
    COOKIE_MIN = 16,        /* octets, client and server together, RFC 7873 */
    COOKIE_MAX = 40,
    COOKIE_AGE_MAX = 3600,   /* seconds, RFC 9018 section 4.3 */
    COOKIE_FUTURE_MAX = 300, /* seconds, RFC 9018 section 4.3 */
    COOKIE_HASHED_SIZE = 16, /* octets: client cookie to timestamp */
    KEEPALIVE_UNIT_MS = 100, /* RFC 7828 section 3.1 */
};

bool
dns_option_next(const uint8_t *options, size_t size, size_t *at,
                dns_option_t *out)
{
    if (size - *at < DNS_OPTION_HEADER_SIZE) {
        return false;
    }

    const uint8_t *p = options + *at;
    size_t data_size = get16(p + 2);

    if (size - *at - DNS_OPTION_HEADER_SIZE < data_size) {
        return false;
    }

    out->code = get16(p);
    out->size = (uint16_t) data_size;
    out->data = p + DNS_OPTION_HEADER_SIZE;
    *at += DNS_OPTION_HEADER_SIZE + data_size;
    return true;
}

bool
dns_option_find(const uint8_t *options, size_t size, uint16_t code,
                dns_option_t *out)
{
    for (size_t at = 0; dns_option_next(options, size, &at, out);) {
        if (out->code == code) {
            return true;
        }
    }

    return false;
}

/* The address has just the octets that the prefix needs, the bits behind it
   are zero; family 0 has no address. */
dns_status_t
dns_subnet_parse(dns_subnet_t *out, const uint8_t *data, size_t size)
{
    if (size < SUBNET_HEADER_SIZE) {
        return DNS_EMALFORMED;
    }

    unsigned family = get16(data);
    unsigned source = data[2];
    unsigned max = family == FAMILY_IPV4 ? 32 : family == FAMILY_IPV6 ? 128 : 0;
    size_t address_size = (source + 7) / 8;

    if (family > FAMILY_IPV6 || source > max || data[3] > max ||
        size - SUBNET_HEADER_SIZE != address_size ||
        (source % 8 != 0 && (data[size - 1] & 0xff >> source % 8) != 0)) {
        return DNS_EMALFORMED;
    }

    *out = (dns_subnet_t){.family = family == FAMILY_IPV4   ? 4
                                    : family == FAMILY_IPV6 ? 6
                                                            : 0,
                          .source_prefix = (uint8_t) source,
                          .scope_prefix = data[3]};
    memcpy(out->address, data + SUBNET_HEADER_SIZE, address_size);
    return DNS_OK;
}

/* Room for an option's data, its header written; NULL if there is none. */
static uint8_t *
add_option(dns_options_t *o, uint16_t code, size_t size)
{
    if (size > UINT16_MAX || o->room - o->size < DNS_OPTION_HEADER_SIZE ||
        o->room - o->size - DNS_OPTION_HEADER_SIZE < size) {
        return NULL;
    }

    uint8_t *p = o->octets + o->size;

    put16(p, code);
    put16(p + 2, (unsigned) size);
    o->size += DNS_OPTION_HEADER_SIZE + size;
    return p + DNS_OPTION_HEADER_SIZE;
}

dns_status_t
dns_options_put(dns_options_t *o, uint16_t code, const void *data, size_t size)
{
    uint8_t *p = add_option(o, code, size);

    if (p == NULL) {
        return DNS_ENOSPACE;
    }

    if (size > 0) {
        memcpy(p, data, size);
    }

    return DNS_OK;
}

dns_status_t
dns_options_put_subnet(dns_options_t *o, const dns_subnet_t *subnet)
{
    size_t address_size = (subnet->source_prefix + 7u) / 8;
    uint8_t *p =
        add_option(o, DNS_OPTION_SUBNET, SUBNET_HEADER_SIZE + address_size);

    if (p == NULL) {
        return DNS_ENOSPACE;
    }

    put16(p, subnet->family == 4   ? FAMILY_IPV4
             : subnet->family == 6 ? FAMILY_IPV6
                                   : 0);
    p[2] = subnet->source_prefix;
    p[3] = subnet->scope_prefix;
    memcpy(p + SUBNET_HEADER_SIZE, subnet->address, address_size);
    return DNS_OK;
}

dns_status_t
dns_options_put_extended_error(dns_options_t *o, dns_ede_t code,
                               const char *text)
{
    size_t text_size = text != NULL ? strlen(text) : 0;
    uint8_t *p = add_option(o, DNS_OPTION_EXTENDED_ERROR, 2 + text_size);

    if (p == NULL) {
        return DNS_ENOSPACE;
    }

    put16(p, code);

    if (text_size > 0) {
        memcpy(p + 2, text, text_size);
    }

    return DNS_OK;
}

dns_status_t
dns_options_put_keepalive(dns_options_t *o, uint32_t timeout_ms)
{
    uint32_t units = timeout_ms / KEEPALIVE_UNIT_MS;
    uint8_t data[2];

    put16(data, units < UINT16_MAX ? units : UINT16_MAX);
    return dns_options_put(o, DNS_OPTION_KEEPALIVE, data, sizeof(data));
}

dns_status_t
dns_options_put_padding(dns_options_t *o, size_t message_size, size_t block,
                        size_t limit)
{
    size_t size = message_size + DNS_OPTION_HEADER_SIZE;
    size_t target = (size + block - 1) / block * block;

    if (size > limit) {
        return DNS_ENOSPACE;
    }

    size_t padding = (target < limit ? target : limit) - size;
    uint8_t *p = add_option(o, DNS_OPTION_PADDING, padding);

    if (p == NULL) {
        return DNS_ENOSPACE;
    }

    memset(p, 0, padding);
    return DNS_OK;
}

/* RFC 9018 section 4.4: the hash over the client cookie, the server cookie's
   first eight octets and the client's address. */
static void
hash_cookie(const dns_cookie_context_t *context, const uint8_t *cookie,
            uint8_t *out)
{
    uint8_t input[COOKIE_HASHED_SIZE + 16];

    memcpy(input, cookie, COOKIE_HASHED_SIZE);
    memcpy(input + COOKIE_HASHED_SIZE, context->address, context->address_size);

    uint64_t hash = dns_siphash(context->secret, input,
                                COOKIE_HASHED_SIZE + context->address_size);

    for (int i = 0; i < 8; i++, hash >>= 8) {
        out[i] = (uint8_t) hash;
    }
}

void
dns_cookie_make(const dns_cookie_context_t *context, const uint8_t *client,
                uint8_t *out)
{
    memcpy(out, client, DNS_COOKIE_CLIENT_SIZE);
    put32(out + 8, (uint32_t) COOKIE_VERSION << 24);
    put32(out + 12, context->now);
    hash_cookie(context, out, out + COOKIE_HASHED_SIZE);
}

/* In time that does not depend on where they differ. */
static bool
octets_equal(const uint8_t *a, const uint8_t *b, size_t size)
{
    unsigned difference = 0;

    for (size_t i = 0; i < size; i++) {
        difference |= a[i] ^ b[i];
    }

    return difference == 0;
}

dns_cookie_state_t
dns_cookie_check(const dns_cookie_context_t *context, const uint8_t *data,
                 size_t size)
{
    uint8_t hash[8];

    if (data == NULL || (size != DNS_COOKIE_CLIENT_SIZE &&
                         (size < COOKIE_MIN || size > COOKIE_MAX))) {
        return DNS_COOKIE_ABSENT;
    }

    if (size == DNS_COOKIE_CLIENT_SIZE) {
        return DNS_COOKIE_CLIENT_ONLY;
    }

    if (size != DNS_COOKIE_SIZE || data[8] != COOKIE_VERSION) {
        return DNS_COOKIE_BAD;
    }

    /* RFC 1982 arithmetic, as RFC 9018 section 4.3 asks. */
    int32_t age = (int32_t) (context->now - get32(data + 12));

    if (age > COOKIE_AGE_MAX || age < -COOKIE_FUTURE_MAX) {
        return DNS_COOKIE_BAD;
    }

    hash_cookie(context, data, hash);
    return octets_equal(hash, data + COOKIE_HASHED_SIZE, sizeof(hash))
               ? DNS_COOKIE_GOOD
               : DNS_COOKIE_BAD;
}
