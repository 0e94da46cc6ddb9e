#ifndef DNS_BASE_N_H
#define DNS_BASE_N_H

/* RFC 4648: hexadecimal, base64 and base32hex, fed piece by piece. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    BASE_16 = 4, /* bits in a digit */
    BASE_32_HEX = 5,
    BASE_64 = 6,
} base_t;

/* What a digit counts; -1: it is none. */
int base_digit(base_t base, char c);

/* Start with {.base = ...}. */
typedef struct {
    base_t base;
    unsigned bits; /* pending, below 8 in number */
    unsigned bit_count;
    unsigned digit_count; /* all digits so far, padding too */
    unsigned padding_count;
} base_decoder_t;

/* Decodes one digit: 1 with an octet, 0 without, -1 for no such digit. */
int base_decode(base_decoder_t *d, char digit, uint8_t *octet);

/* True if the digits end where they may. */
bool base_decode_end(const base_decoder_t *d);

/* Bytes that base_encode() writes, without a NUL. */
size_t base_encoded_size(base_t base, size_t size);

/* Base64 with padding, the others without; hexadecimal digits in lower case,
   base32hex too. */
void base_encode(base_t base, char *out, const uint8_t *octets, size_t size);

#endif
