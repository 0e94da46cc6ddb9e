/* What every reader of rdata text needs: octets out, numbers, escapes. */

#include "dns/private/rdata_reader.h"

#include <string.h>

#include "dns/octets.h"
#include "dns/rdata.h"

bool
rdata_fail(rdata_reader_t *r, const token_t *token, const char *expected)
{
    return lexer_fail(r->lexer, token->text, expected);
}

bool
rdata_put(rdata_reader_t *r, const void *octets, size_t size)
{
    if (size > DNS_RDATA_MAX - r->size) {
        return lexer_fail(r->lexer, r->lexer->at,
                          "no more than 65535 octets of rdata");
    }

    if (size > 0) {
        memcpy(r->out + r->size, octets, size);
    }

    r->size += size;
    return true;
}

bool
rdata_put16(rdata_reader_t *r, unsigned value)
{
    uint8_t octets[2];

    put16(octets, value);
    return rdata_put(r, octets, 2);
}

bool
rdata_put_number(rdata_reader_t *r, uint64_t value, size_t size)
{
    uint8_t octets[8];

    for (size_t i = size; i-- > 0; value >>= 8) {
        octets[i] = (uint8_t) value;
    }

    return rdata_put(r, octets, size);
}

bool
rdata_unescape(const char *text, size_t size, size_t *at, uint8_t *octet)
{
    const char *p = text + *at;
    size_t left = size - *at;

    if (p[0] != '\\') {
        *octet = (uint8_t) p[0];
        *at += 1;
        return true;
    }

    if (left < 2) {
        return false;
    }

    if (p[1] < '0' || p[1] > '9') {
        *octet = (uint8_t) p[1];
        *at += 2;
        return true;
    }

    uint64_t value;

    if (left < 4 || !rdata_number(p + 1, 3, 255, &value)) {
        return false;
    }

    *octet = (uint8_t) value;
    *at += 4;
    return true;
}

bool
rdata_number(const char *text, size_t size, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }

        uint64_t digit = (uint64_t) (text[i] - '0');

        if (value > max / 10 || value * 10 > max - digit) {
            return false;
        }

        value = value * 10 + digit;
    }

    *out = value;
    return size > 0;
}

static uint32_t
unit_seconds(char unit)
{
    switch (unit | 0x20) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    case 'w':
        return 604800;
    default:
        return 0;
    }
}

bool
rdata_duration(const char *text, size_t size, uint32_t max, uint32_t *out)
{
    uint64_t total = 0;
    uint64_t value;
    size_t at = 0;

    if (rdata_number(text, size, max, &value)) {
        *out = (uint32_t) value;
        return true;
    }

    while (at < size) {
        size_t digits = 0;

        while (at + digits < size && text[at + digits] >= '0' &&
               text[at + digits] <= '9') {
            digits++;
        }

        if (at + digits == size || unit_seconds(text[at + digits]) == 0 ||
            !rdata_number(text + at, digits, max, &value)) {
            return false;
        }

        total += value * unit_seconds(text[at + digits]);
        at += digits + 1;

        if (total > max) {
            return false;
        }
    }

    *out = (uint32_t) total;
    return size > 0;
}
