#include "dns/siphash.h"

#include <endian.h>
#include <string.h>

typedef struct {
    uint64_t v[4];
} state_t;

static uint64_t
get64_part(const uint8_t *p, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++) {
        value |= (uint64_t) p[i] << 8 * i;
    }

    return value;
}

static inline uint64_t
get64_whole(const uint8_t *p)
{
    uint64_t value;

    memcpy(&value, p, sizeof(value));
    return le64toh(value);
}

static inline uint64_t
rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void
run_rounds(state_t *s, int count)
{
    uint64_t *v = s->v;

    while (count-- > 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

static inline void
absorb(state_t *s, uint64_t word)
{
    s->v[3] ^= word;
    run_rounds(s, 2);
    s->v[0] ^= word;
}

uint64_t
dns_siphash(const uint8_t *key, const uint8_t *octets, size_t size)
{
    uint64_t k0 = get64_whole(key);
    uint64_t k1 = get64_whole(key + 8);
    state_t s = {{k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
                  k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u}};
    uint64_t last = (uint64_t) size << 56;

    for (; size >= 8; octets += 8, size -= 8) {
        absorb(&s, get64_whole(octets));
    }

    absorb(&s, last | get64_part(octets, size));
    s.v[2] ^= 0xff;
    run_rounds(&s, 4);
    return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}
