#ifndef STORE_PRIVATE_LMDB_HOT_H
#define STORE_PRIVATE_LMDB_HOT_H

/*
 * Where a reader found its last nodes in the map, by the hash of their keys: a
 * name that is asked often costs one probe instead of a search of the tree.
 * An entry counts for one snapshot at one place of the map (an epoch); its key
 * is compared with the one in the map, so that a collision is only a miss.
 */

#include "store/private/lmdb.h"

enum {
    HOT_ENTRIES = 1 << 15, /* 1 MiB, touched as far as it is used */
};

typedef struct hot_entry_s {
    const uint8_t *key;  /* in the map */
    const uint8_t *node; /* in the map */
    uint32_t node_size;
    uint32_t hash;
    uint32_t epoch; /* 0: never used */
    uint16_t key_size;
} hot_entry_t;

static inline uint32_t
hot_hash(const uint8_t *key, size_t size)
{
    const uint64_t odd = 0x9e3779b97f4a7c15u;
    uint64_t hash = size;
    uint64_t eight;

    for (; size >= 8; key += 8, size -= 8) {
        memcpy(&eight, key, 8);
        hash = (hash ^ eight) * odd;
        hash ^= hash >> 29;
    }

    eight = 0;
    memcpy(&eight, key, size);
    hash = (hash ^ eight) * odd;
    return (uint32_t) (hash >> 32);
}

static inline const hot_entry_t *
hot_find(const hot_entry_t *entries, uint32_t epoch, uint32_t hash,
         const MDB_val *key)
{
    const hot_entry_t *entry = &entries[hash & (HOT_ENTRIES - 1)];

    return entry->hash == hash && entry->epoch == epoch &&
                   entry->key_size == key->mv_size &&
                   memcmp(entry->key, key->mv_data, key->mv_size) == 0
               ? entry
               : NULL;
}

/* key and value: as LMDB gave them, in the map. */
static inline void
hot_put(hot_entry_t *entries, uint32_t epoch, uint32_t hash, const MDB_val *key,
        const MDB_val *value)
{
    entries[hash & (HOT_ENTRIES - 1)] = (hot_entry_t){
        .key = key->mv_data,
        .node = value->mv_data,
        .node_size = (uint32_t) value->mv_size,
        .hash = hash,
        .epoch = epoch,
        .key_size = (uint16_t) key->mv_size,
    };
}

#endif
