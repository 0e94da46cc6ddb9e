/* The check digit of card numbers (ISO/IEC 7812-1, annex B). */

#include <stddef.h>

/* 1: the digits, of any number, end in the right check digit; 0: not. */
int
luhn_is_valid(const char *digits, size_t size)
{
    unsigned sum = 0;

    for (size_t i = 0; i < size; i++) {
        unsigned digit = (unsigned) (digits[size - 1 - i] - '0');

        if (digit > 9) {
            return 0;
        }

        digit <<= i % 2;
        sum += digit > 9 ? digit - 9 : digit;
    }

    return size > 1 && sum % 10 == 0;
}
