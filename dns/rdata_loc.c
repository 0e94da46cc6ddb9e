/*
 * Text of LOC (RFC 1876 section 3): degrees with optional minutes and seconds,
 * an altitude, then up to three lengths.  What is left out is 0 or the RFC's
 * default.  A value outside the RFC's ranges is refused, never wrapped.
 */

#include <stdio.h>
#include <string.h>

#include "dns/octets.h"
#include "dns/private/rdata_reader.h"
#include "dns/private/text_writer.h"

enum {
    LOC_SIZE = 16,             /* octets: RFC 1876 section 2 */
    SECOND = 1000,             /* units of an angle */
    MINUTE = 60 * SECOND,      /* units of an angle */
    DEGREE = 60 * MINUTE,      /* units of an angle */
    METRE = 100,               /* centimetres */
    ALTITUDE_BASE = 10000000,  /* centimetres below the spheroid */
    DEFAULT_SIZE = 0x12,       /* 1 m */
    DEFAULT_HORIZONTAL = 0x16, /* 10,000 m */
    DEFAULT_VERTICAL = 0x13,   /* 10 m */
};

static const uint32_t equator = 1u << 31;               /* angle 0 */
static const uint64_t length_max = 90000000ull * METRE; /* 9e9 centimetres */

/* Digits with at most `decimals` behind a point, as a whole number of the last
   decimal: "1.5" with 2 decimals is 150. */
static bool
parse_decimal(const char *text, size_t size, unsigned decimals, uint64_t *out)
{
    const char *point = memchr(text, '.', size);
    size_t whole_size = point != NULL ? (size_t) (point - text) : size;
    size_t fraction_size = point != NULL ? size - whole_size - 1 : 0;
    uint64_t fraction = 0;

    *out = 0;

    if (whole_size + fraction_size == 0 || fraction_size > decimals ||
        (whole_size > 0 && !rdata_number(text, whole_size, UINT32_MAX, out)) ||
        (fraction_size > 0 &&
         !rdata_number(point + 1, fraction_size, UINT32_MAX, &fraction))) {
        return false;
    }

    for (unsigned i = 0; i < decimals; i++) {
        *out *= 10;
        fraction *= i < decimals - fraction_size ? 10 : 1;
    }

    *out += fraction;
    return true;
}

static bool
is_letter(const token_t *token, char letter)
{
    return token->size == 1 && (token->text[0] & ~0x20) == letter;
}

/* One of degrees, minutes and seconds, or the hemisphere that ends them. */
typedef struct {
    char positive; /* N or E */
    char negative; /* S or W */
    uint64_t degrees_max;
    const char *expected;
} angle_kind_t;

/* Degrees, then minutes and seconds if they are there; *last is the token
   behind them. */
static bool
read_parts(rdata_reader_t *r, const angle_kind_t *kind, token_t *last,
           uint64_t *angle)
{
    const struct {
        uint64_t unit;
        unsigned decimals;
        uint64_t max;
    } parts[] = {{DEGREE, 0, kind->degrees_max},
                 {MINUTE, 0, 59},
                 {1, 3, 60 * SECOND - 1}};

    *angle = 0;

    for (int i = 0; i < 3; i++) {
        uint64_t value;

        if (!lexer_next_value(r->lexer, last, kind->expected)) {
            return false;
        }

        if (i > 0 && (is_letter(last, kind->positive) ||
                      is_letter(last, kind->negative))) {
            return true;
        }

        if (!parse_decimal(last->text, last->size, parts[i].decimals, &value) ||
            value > parts[i].max) {
            return rdata_fail(r, last, kind->expected);
        }

        *angle += value * parts[i].unit;
    }

    return lexer_next_value(r->lexer, last, kind->expected);
}

static bool
read_angle(rdata_reader_t *r, const angle_kind_t *kind)
{
    token_t token;
    uint64_t angle;

    if (!read_parts(r, kind, &token, &angle)) {
        return false;
    }

    bool is_negative = is_letter(&token, kind->negative);

    if ((!is_negative && !is_letter(&token, kind->positive)) ||
        angle > kind->degrees_max * DEGREE) {
        return rdata_fail(r, &token, kind->expected);
    }

    return rdata_put_number(r, is_negative ? equator - angle : equator + angle,
                            4);
}

/* A length in metres, "m" behind it or not, as centimetres. */
static bool
parse_length(const char *text, size_t size, uint64_t *out)
{
    if (size > 1 && (text[size - 1] | 0x20) == 'm') {
        size--;
    }

    return parse_decimal(text, size, 2, out);
}

static bool
read_altitude(rdata_reader_t *r)
{
    static const char expected[] =
        "an altitude from -100000.00m to 42849672.95m";
    token_t token;
    uint64_t altitude;

    if (!lexer_next_value(r->lexer, &token, expected)) {
        return false;
    }

    bool is_negative = token.size > 0 && token.text[0] == '-';
    bool has_sign = is_negative || (token.size > 0 && token.text[0] == '+');

    if (!parse_length(token.text + has_sign, token.size - has_sign,
                      &altitude) ||
        altitude > (is_negative ? ALTITUDE_BASE
                                : (uint64_t) UINT32_MAX - ALTITUDE_BASE)) {
        return rdata_fail(r, &token, expected);
    }

    return rdata_put_number(
        r, is_negative ? ALTITUDE_BASE - altitude : ALTITUDE_BASE + altitude,
        4);
}

/* A digit and a power of ten, RFC 1876 section 2; further digits are cut. */
static uint8_t
encode_length(uint64_t centimetres)
{
    unsigned exponent = 0;

    while (centimetres > 9) {
        centimetres /= 10;
        exponent++;
    }

    return (uint8_t) (centimetres << 4 | exponent);
}

/* Size, horizontal and vertical precision; those at the end may be left
   out. */
static bool
read_lengths(rdata_reader_t *r, uint8_t lengths[3])
{
    static const char expected[] = "a length from 0.00m to 90000000.00m";
    token_t token;
    bool is_end = false;

    for (int i = 0; i < 3; i++) {
        uint64_t length;

        if (!lexer_next_optional(r->lexer, &token, &is_end)) {
            return false;
        }

        if (is_end) {
            return true;
        }

        if (!parse_length(token.text, token.size, &length) ||
            length > length_max) {
            return rdata_fail(r, &token, expected);
        }

        lengths[i] = encode_length(length);
    }

    return true;
}

bool
rdata_read_loc(rdata_reader_t *r)
{
    static const angle_kind_t latitude = {
        'N', 'S', 90, "a latitude such as 52 22 23.500 N, up to 90 degrees"};
    static const angle_kind_t longitude = {
        'E', 'W', 180, "a longitude such as 4 53 32.000 E, up to 180 degrees"};
    uint8_t header[] = {0, DEFAULT_SIZE, DEFAULT_HORIZONTAL, DEFAULT_VERTICAL};
    size_t start = r->size;

    if (!rdata_put(r, header, sizeof(header)) || !read_angle(r, &latitude) ||
        !read_angle(r, &longitude) || !read_altitude(r) ||
        !read_lengths(r, header + 1)) {
        return false;
    }

    memcpy(r->out + start, header, sizeof(header));
    return true;
}

static void
put_angle(text_writer_t *w, uint32_t value, char positive, char negative)
{
    uint32_t angle = value >= equator ? value - equator : equator - value;
    char text[32];

    snprintf(text, sizeof(text), "%u %u %u.%03u %c ", angle / DEGREE,
             angle / MINUTE % 60, angle / SECOND % 60, angle % SECOND,
             value >= equator ? positive : negative);
    text_put_string(w, text);
}

static void
put_metres(text_writer_t *w, uint64_t centimetres)
{
    char text[32];

    snprintf(text, sizeof(text), "%u.%02um", (unsigned) (centimetres / METRE),
             (unsigned) (centimetres % METRE));
    text_put_string(w, text);
}

/* Whole metres stand without decimals. */
static void
put_length(text_writer_t *w, uint8_t value)
{
    uint64_t centimetres = value >> 4;

    for (unsigned i = value & 15; i > 0; i--) {
        centimetres *= 10;
    }

    text_put(w, " ", 1);

    if (centimetres < METRE) {
        put_metres(w, centimetres);
        return;
    }

    text_put_number(w, centimetres / METRE);
    text_put(w, "m", 1);
}

bool
text_put_loc(text_writer_t *w, const uint8_t *octets, size_t size)
{
    if (size != LOC_SIZE || octets[0] != 0) {
        return false;
    }

    uint32_t altitude = get32(octets + 12);
    bool is_negative = altitude < ALTITUDE_BASE;

    put_angle(w, get32(octets + 4), 'N', 'S');
    put_angle(w, get32(octets + 8), 'E', 'W');
    text_put_string(w, is_negative ? "-" : "");
    put_metres(w, is_negative ? ALTITUDE_BASE - altitude
                              : altitude - ALTITUDE_BASE);

    for (int i = 1; i < 4; i++) {
        put_length(w, octets[i]);
    }

    return true;
}
