#include "server/known.h"

#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/rand.h>

#include "dns/siphash.h"

/* A name sets three bits of one block, which is one line of the processor's
   cache. */
enum {
    WORDS = 8, /* of a block */
    WORD_BITS = 64,
    BITS_SET = 3,
    BIT_SHIFT = 9, /* bits of the hash for one bit's place in a block */
    NAMES_OF_BLOCK = 25,
    KNOWN_BLOCKS = 1 << 11, /* powers of two */
    REFUSED_BLOCKS = 1 << 15,
};

typedef struct {
    uint64_t words[WORDS];
} block_t;

/* When the younger map is full, the older is emptied and is the younger then.
 */
typedef struct {
    block_t *maps[2];
    uint32_t blocks; /* of a map */
    unsigned younger;
    uint32_t count; /* names in the younger */
} set_t;

static block_t known_maps[2][KNOWN_BLOCKS];
static block_t refused_maps[2][REFUSED_BLOCKS];

static set_t known = {{known_maps[0], known_maps[1]}, KNOWN_BLOCKS, 0, 0};
static set_t refused = {
    {refused_maps[0], refused_maps[1]}, REFUSED_BLOCKS, 0, 0};


/* Keyed: clients pick names. */
static uint64_t
hash_of(const dns_name_t *name)
{
    static uint8_t key[DNS_SIPHASH_KEY_SIZE];
    static bool is_set;
    if (!is_set) {
        is_set = RAND_bytes(key, sizeof(key)) == 1;
    }
    return dns_siphash(key, name->octets, name->size);
}


static block_t *
block_of(const set_t *set, unsigned map, uint64_t hash)
{
    return &set->maps[map][(uint32_t) hash & (set->blocks - 1)];
}


static bool
has(const set_t *set, unsigned map, uint64_t hash)
{
    const block_t *block = block_of(set, map, hash);
    uint64_t places = hash >> 32;
    uint64_t all = 1;
    for (unsigned i = 0; i < BITS_SET; i++, places >>= BIT_SHIFT) {
        all &= block->words[places / WORD_BITS % WORDS] >> places % WORD_BITS;
    }
    return all != 0;
}


static void
put(set_t *set, uint64_t hash)
{
    if (has(set, set->younger, hash)) {
        return;
    }
    if (set->count == set->blocks * NAMES_OF_BLOCK) {
        set->younger = !set->younger;
        set->count = 0;
        ngx_memzero(set->maps[set->younger], set->blocks * sizeof(block_t));
    }
    block_t *block = block_of(set, set->younger, hash);
    uint64_t places = hash >> 32;
    for (unsigned i = 0; i < BITS_SET; i++, places >>= BIT_SHIFT) {
        block->words[places / WORD_BITS % WORDS] |= (uint64_t) 1
                                                    << places % WORD_BITS;
    }
    set->count++;
}


static bool
has_any(const set_t *set, uint64_t hash)
{
    return has(set, 0, hash) || has(set, 1, hash);
}


bool
known_has(const dns_name_t *name)
{
    return has_any(&known, hash_of(name));
}


void
known_put(const dns_name_t *name)
{
    put(&known, hash_of(name));
}


bool
known_was_refused(const dns_name_t *name)
{
    const uint64_t hash = hash_of(name);
    const bool before = has_any(&refused, hash);
    put(&refused, hash);
    return before;
}
