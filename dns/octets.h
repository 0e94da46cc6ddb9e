#ifndef DNS_OCTETS_H
#define DNS_OCTETS_H

/* Network byte order and ASCII letters, octet by octet. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t
get16(const uint8_t *p)
{
    return (uint16_t) (p[0] << 8 | p[1]);
}

static inline uint32_t
get32(const uint8_t *p)
{
    return (uint32_t) get16(p) << 16 | get16(p + 2);
}

static inline void
put16(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t) (value >> 8);
    p[1] = (uint8_t) value;
}

static inline void
put32(uint8_t *p, uint32_t value)
{
    put16(p, value >> 16);
    put16(p + 2, value & 0xffff);
}

/* As memcmp(); of two of which one begins with the other, the shorter one comes
   first.  Neither is read where its size is 0. */
static inline int
octets_compare(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    const size_t common = a_size < b_size ? a_size : b_size;
    const int order = common == 0 ? 0 : memcmp(a, b, common);

    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* RFC 4343: only the 26 letters of ASCII have two cases. */
static inline uint8_t
lower(uint8_t c)
{
    return (uint8_t) (c - 'A') < 26 ? (uint8_t) (c | 0x20) : c;
}

/* lower() on eight octets at once: the top bit of each octet of is_upper says
   that it lies from A to Z. */
static inline uint64_t
lower8(uint64_t octets)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t seven_bits = octets & (0x7f * ones);
    uint64_t from_a = seven_bits + (0x80 - 'A') * ones;
    uint64_t over_z = seven_bits + (0x7f - 'Z') * ones;
    uint64_t is_upper = ~octets & (from_a ^ over_z) & (0x80 * ones);

    return octets | is_upper >> 2;
}

static inline void
lower_octets(uint8_t *octets, size_t size)
{
    for (; size >= 8; octets += 8, size -= 8) {
        uint64_t eight;

        memcpy(&eight, octets, 8);
        eight = lower8(eight);
        memcpy(octets, &eight, 8);
    }

    for (; size > 0; octets++, size--) {
        *octets = lower(*octets);
    }
}

#endif
