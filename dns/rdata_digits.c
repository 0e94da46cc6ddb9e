/* Octets in hexadecimal, base64 and base32hex. */

#include "dns/private/base_n.h"
#include "dns/private/rdata_reader.h"

static const char *
digits_expected(base_t base)
{
    return base == BASE_16   ? "an even number of hexadecimal digits"
           : base == BASE_64 ? "base64 with its padding"
                             : "base32hex without padding";
}

static bool
put_digits(rdata_reader_t *r, base_decoder_t *d, const token_t *token)
{
    for (size_t i = 0; i < token->size; i++) {
        uint8_t octet;
        int count = base_decode(d, token->text[i], &octet);

        if (count < 0) {
            return lexer_fail(r->lexer, token->text + i,
                              digits_expected(d->base));
        }

        if (count == 1 && !rdata_put(r, &octet, 1)) {
            return false;
        }
    }

    return true;
}

/* Digits in one or more words to the end of the line. */
bool
rdata_read_digits(rdata_reader_t *r, base_t base, bool may_be_empty)
{
    base_decoder_t d = {.base = base};
    token_t token;
    bool is_end = false;

    while (lexer_next_optional(r->lexer, &token, &is_end) && !is_end) {
        if (!put_digits(r, &d, &token)) {
            return false;
        }
    }

    if (!is_end) {
        return false;
    }

    if (!base_decode_end(&d) || (d.digit_count == 0 && !may_be_empty)) {
        return rdata_fail(r, &token, digits_expected(base));
    }

    return true;
}

/* One word of digits behind an octet with its size; "-" is none (RFC 5155
   section 3.3). */
bool
rdata_read_counted_digits(rdata_reader_t *r, base_t base)
{
    base_decoder_t d = {.base = base};
    size_t length_at = r->size;
    token_t token;

    if (!lexer_next_value(r->lexer, &token, digits_expected(base)) ||
        !rdata_put(r, "", 1)) {
        return false;
    }

    if (base == BASE_16 && token.size == 1 && token.text[0] == '-') {
        return true;
    }

    if (!put_digits(r, &d, &token)) {
        return false;
    }

    size_t size = r->size - length_at - 1;

    if (!base_decode_end(&d) || size == 0 || size > 255) {
        return rdata_fail(r, &token, digits_expected(base));
    }

    r->out[length_at] = (uint8_t) size;
    return true;
}

/* Groups of hexadecimal digits with a separator: EUI (RFC 7043) and node
   identifiers (RFC 6742). */
bool
rdata_read_groups(rdata_reader_t *r, size_t size, size_t group, char separator)
{
    const char *expected = separator == '-'
                               ? "octets in hexadecimal as 00-00-5e-..."
                               : "four groups as 0014:4fff:ff20:ee64";
    base_decoder_t d = {.base = BASE_16};
    size_t width = group * 2 + 1;
    token_t token;

    if (!lexer_next_value(r->lexer, &token, expected)) {
        return false;
    }

    if (token.size != size / group * width - 1) {
        return rdata_fail(r, &token, expected);
    }

    for (size_t i = 0; i < token.size; i++) {
        uint8_t octet;
        bool is_separator = i % width == width - 1;
        int count = is_separator ? (token.text[i] == separator ? 0 : -1)
                                 : base_decode(&d, token.text[i], &octet);

        if (count < 0) {
            return lexer_fail(r->lexer, token.text + i, expected);
        }

        if (count == 1 && !rdata_put(r, &octet, 1)) {
            return false;
        }
    }

    return true;
}
