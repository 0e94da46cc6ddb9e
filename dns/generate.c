#include "dns/private/generate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/private/rdata_reader.h"

enum {
    RANGE_MAX = 0x7fffffff, /* highest number of a range */
    WIDTH_MAX = 255,        /* bytes of one number */
};

/* What stands between ${ and }: offset, width, base. */
typedef struct {
    int64_t offset;
    unsigned width;
    char base; /* d o x X n N */
} format_t;

bool
generate_parse_range(generate_t *g, const char *text, size_t size)
{
    const char *dash = memchr(text, '-', size);

    if (dash == NULL) {
        return false;
    }

    const char *end = text + size;
    const char *slash = memchr(dash, '/', (size_t) (end - dash));
    const char *stop_end = slash != NULL ? slash : end;

    g->step = 1;
    return rdata_number(text, (size_t) (dash - text), RANGE_MAX, &g->at) &&
           rdata_number(dash + 1, (size_t) (stop_end - dash - 1), RANGE_MAX,
                        &g->stop) &&
           (slash == NULL || rdata_number(slash + 1, (size_t) (end - slash - 1),
                                          RANGE_MAX, &g->step)) &&
           g->step > 0 && g->at <= g->stop;
}

static bool
parse_offset(const char *text, size_t size, int64_t *offset)
{
    bool is_negative = size > 0 && text[0] == '-';
    uint64_t value;

    if (!rdata_number(text + is_negative, size - is_negative, RANGE_MAX,
                      &value)) {
        return false;
    }

    *offset = is_negative ? -(int64_t) value : (int64_t) value;
    return true;
}

static bool
parse_format(format_t *f, const char *text, size_t size)
{
    const char *end = text + size;
    const char *comma = memchr(text, ',', size);
    uint64_t width;

    if (!parse_offset(text, (size_t) ((comma != NULL ? comma : end) - text),
                      &f->offset)) {
        return false;
    }

    if (comma == NULL) {
        return true;
    }

    text = comma + 1;
    comma = memchr(text, ',', (size_t) (end - text));

    if (!rdata_number(text, (size_t) ((comma != NULL ? comma : end) - text),
                      WIDTH_MAX, &width)) {
        return false;
    }

    f->width = (unsigned) width;

    if (comma != NULL) {
        f->base = end - comma == 2 ? comma[1] : '?';
    }

    return strchr("doxXnN", f->base) != NULL;
}

/* Digits from the lowest on with dots between, as ip6.arpa has them.  The width
   counts the dots, so that an even one ends in a dot. */
static size_t
put_nibbles(char *out, size_t room, uint64_t value, const format_t *f)
{
    const char *digits =
        f->base == 'n' ? "0123456789abcdef" : "0123456789ABCDEF";
    size_t size = 0;

    do {
        if (size + 2 > room) {
            return room;
        }

        out[size++] = digits[value & 15];
        value >>= 4;

        if (value > 0 || size < f->width) {
            out[size++] = '.';
        }
    } while (value > 0 || size < f->width);

    return size;
}

/* Gives the size, room if it does not fit.  A negative number has a sign in
   decimal, and is one of 32 bits in the other bases, as in BIND. */
static size_t
put_number(char *out, size_t room, int64_t number, const format_t *f)
{
    uint64_t value = number < 0 ? (uint32_t) number : (uint64_t) number;
    int size;

    switch (f->base) {
    case 'd':
        size =
            snprintf(out, room, "%0*lld", (int) f->width, (long long) number);
        break;
    case 'o':
        size = snprintf(out, room, "%0*llo", (int) f->width,
                        (unsigned long long) value);
        break;
    case 'x':
        size = snprintf(out, room, "%0*llx", (int) f->width,
                        (unsigned long long) value);
        break;
    case 'X':
        size = snprintf(out, room, "%0*llX", (int) f->width,
                        (unsigned long long) value);
        break;
    default:
        return put_nibbles(out, room, value, f);
    }

    return (size_t) size < room ? (size_t) size : room;
}

/* Writes what the $ at g->pattern[*at] stands for; *at moves behind it. */
static bool
put_variable(const generate_t *g, size_t *at, char *out, size_t *size)
{
    const char *text = g->pattern + *at + 1;
    size_t left = g->pattern_size - *at - 1;
    size_t room = GENERATE_LINE_MAX - *size;
    format_t f = {.base = 'd'};

    *at += 1;

    if (left > 0 && text[0] == '$') {
        out[(*size)++] = '$';
        *at += 1;
        return true;
    }

    if (left > 0 && text[0] == '{') {
        const char *end = memchr(text, '}', left);

        if (end == NULL ||
            !parse_format(&f, text + 1, (size_t) (end - text - 1))) {
            return false;
        }

        *at += (size_t) (end - text) + 1;
    }

    size_t digits =
        put_number(out + *size, room, (int64_t) g->at + f.offset, &f);

    *size += digits;
    return digits < room;
}

bool
generate_line(const generate_t *g, char *out, size_t *size)
{
    *size = 0;

    for (size_t at = 0; at < g->pattern_size;) {
        char c = g->pattern[at];

        if (*size + 2 > GENERATE_LINE_MAX) {
            return false;
        }

        if (c == '$') {
            if (!put_variable(g, &at, out, size)) {
                return false;
            }
            continue;
        }

        if (c == '\\' && at + 1 < g->pattern_size) {
            at++;
            if (g->pattern[at] != '$') {
                out[(*size)++] = c;
            }
        }

        out[(*size)++] = g->pattern[at++];
    }

    return true;
}
