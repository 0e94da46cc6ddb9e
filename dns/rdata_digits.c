/* Octets in hexadecimal, base64 and base32hex. */

#include "dns/base_n.h"
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

/* Octets of hexadecimal with hyphens between. */
bool
rdata_read_eui(rdata_reader_t *r, size_t size)
{
    static const char expected[] = "octets in hexadecimal as 00-00-5e-...";
    base_decoder_t d = {.base = BASE_16};
    token_t token;

    if (!lexer_next_value(r->lexer, &token, expected)) {
        return false;
    }

    if (token.size != size * 3 - 1) {
        return rdata_fail(r, &token, expected);
    }

    for (size_t i = 0; i < token.size; i++) {
        char c = token.text[i];
        uint8_t octet;
        int count =
            i % 3 == 2 ? (c == '-' ? 0 : -1) : base_decode(&d, c, &octet);

        if (count < 0) {
            return lexer_fail(r->lexer, token.text + i, expected);
        }

        if (count == 1 && !rdata_put(r, &octet, 1)) {
            return false;
        }
    }

    return true;
}

/* One to four digits; *at moves behind them and the colon.  -1: not so. */
static int
read_group(const token_t *token, size_t *at)
{
    size_t start = *at;
    int value = 0;

    for (; *at < token->size && token->text[*at] != ':'; ++*at) {
        int digit = base_digit(BASE_16, token->text[*at]);

        if (digit < 0 || *at - start == 4) {
            return -1;
        }

        value = value << 4 | digit;
    }

    return (*at)++ > start ? value : -1;
}

bool
rdata_read_node_id(rdata_reader_t *r)
{
    static const char expected[] = "four groups as 0014:4fff:ff20:ee64";
    token_t token;
    size_t at = 0;

    if (!lexer_next_value(r->lexer, &token, expected)) {
        return false;
    }

    for (int i = 0; i < 4; i++) {
        int value = at < token.size ? read_group(&token, &at) : -1;

        if (value < 0) {
            return rdata_fail(r, &token, expected);
        }

        if (!rdata_put16(r, (unsigned) value)) {
            return false;
        }
    }

    return at == token.size + 1 || rdata_fail(r, &token, expected);
}
