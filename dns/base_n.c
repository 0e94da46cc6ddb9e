#include "dns/base_n.h"

int
base_digit(base_t base, char c)
{
    int letter = (c | 0x20) - 'a';
    bool is_letter = letter >= 0 && letter < 26;

    if (base != BASE_64) {
        int value = is_letter              ? letter + 10
                    : c >= '0' && c <= '9' ? c - '0'
                                           : -1;

        return value < 1 << base ? value : -1;
    }

    if (is_letter) {
        return c >= 'a' ? letter + 26 : letter;
    }

    return c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'           ? 62
           : c == '/'           ? 63
                                : -1;
}

int
base_decode(base_decoder_t *d, char digit, uint8_t *octet)
{
    d->digit_count++;

    if (digit == '=' && d->base == BASE_64) {
        d->padding_count++;
        return d->padding_count > 2 ? -1 : 0;
    }

    int value = base_digit(d->base, digit);

    if (value < 0 || d->padding_count > 0) {
        return -1;
    }

    d->bits = d->bits << d->base | (unsigned) value;
    d->bit_count += d->base;

    if (d->bit_count < 8) {
        return 0;
    }

    d->bit_count -= 8;
    *octet = (uint8_t) (d->bits >> d->bit_count);
    d->bits &= (1u << d->bit_count) - 1;
    return 1;
}

/* What is left over must be fewer bits than a digit, all zero. */
bool
base_decode_end(const base_decoder_t *d)
{
    if (d->base == BASE_64 && d->digit_count % 4 != 0) {
        return false;
    }

    return d->bit_count < d->base && d->bits == 0;
}

size_t
base_encoded_size(base_t base, size_t size)
{
    return base == BASE_64 ? (size + 2) / 3 * 4 : (size * 8 + base - 1) / base;
}

void
base_encode(base_t base, char *out, const uint8_t *octets, size_t size)
{
    static const char base64[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char others[] = "0123456789abcdefghijklmnopqrstuv";
    const char *digits = base == BASE_64 ? base64 : others;
    char *end = out + base_encoded_size(base, size);
    unsigned bits = 0;
    unsigned bit_count = 0;

    for (size_t i = 0; i < size; i++) {
        bits = (bits << 8 | octets[i]) & 0xffff;
        bit_count += 8;

        while (bit_count >= base) {
            bit_count -= base;
            *out++ = digits[bits >> bit_count & ((1u << base) - 1)];
        }
    }

    if (bit_count > 0) {
        *out++ = digits[bits << (base - bit_count) & ((1u << base) - 1)];
    }

    while (out < end) {
        *out++ = '=';
    }
}
