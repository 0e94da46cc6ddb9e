#ifndef STORE_PRIVATE_LMDB_H
#define STORE_PRIVATE_LMDB_H

/*
 * How the embedded store lies in LMDB: four tables.
 *
 *     meta   "format" -> u32
 *            'p', key of the apex -> parked records (private/parked.h); none
 *                                    where there is no value
 *     zones  'z', key of the apex -> zone_record_t
 *     nodes  zone id u32 big-endian, key of the name below the apex -> node
 *     nsec3  the keys of those nodes that have NSEC3 -> nothing
 *
 * A zone's nodes are one run of keys in canonical order, the apex first.  A
 * replaced zone gets a new id above all others, so that its nodes are
 * appended, and the old run goes in the same transaction.
 */

#include <lmdb.h>
#include <pthread.h>

#include "dns/octets.h"
#include "store/lmdb.h"
#include "store/nodes.h"
#include "store/private/edit.h"

enum {
    STORE_FORMAT = 1,
    ZONE_ID_SIZE = 4, /* octets before a node's key */
    NODE_KEY_SIZE = ZONE_ID_SIZE + DNS_KEY_MAX,
    ZONE_KEY_SIZE = 1 + DNS_KEY_MAX,
};

struct store_lmdb_s {
    MDB_env *env; /* owned */
    MDB_dbi meta;
    MDB_dbi zones;
    MDB_dbi nodes;
    MDB_dbi nsec3;
    char *folder;        /* owned */
    bool is_read_only;   /* nothing is committed */
    bool is_unlocked;    /* the file of locks could not be written either */
    const char *refusal; /* why it is read-only though it was to be written;
                            static; NULL: it is as it was asked for */
    /* Held for reading while a snapshot is open in this process, for writing
       while the map moves. */
    pthread_rwlock_t map_lock;
    /* One writer of this process at a time; taken before map_lock. */
    pthread_mutex_t write_lock;
    uint64_t map_count; /* how often the map moved; under map_lock */
};

/* Value of the zones table, in the machine's own order. */
typedef struct {
    uint64_t generation; /* of the commit that changed the zone last */
    uint64_t node_count;
    uint32_t id;
    uint32_t cut_count;      /* nodes with NS below the apex, or DNAME */
    uint32_t wildcard_count; /* nodes with a "*" label */
    uint32_t reserved;
} zone_record_t;

/* A zone as a reader found it last: most queries ask the same one. */
typedef struct {
    bool is_set;
    bool has_zones_below;
    dns_zone_t zone;
    dns_node_t apex; /* its node */
} zone_memory_t;

struct hot_entry_s; /* private/lmdb_hot.h */

struct store_lmdb_reader_s {
    store_lmdb_t *store; /* borrowed */
    MDB_txn *txn;        /* owned; NULL before the first snapshot */
    MDB_cursor *zones;   /* owned */
    MDB_cursor *nodes;   /* owned */
    bool is_open;        /* between begin and end */
    uint64_t snapshot;
    uint64_t map_count; /* of the last snapshot */
    uint32_t epoch;     /* changes with snapshot and map: what was borrowed in
                           another one is gone */
    struct hot_entry_s *hot; /* owned */
    MDB_cursor *nsec3;       /* owned; NULL before it is needed */
    MDB_cursor *walk; /* owned; of store_lmdb_next_zone(), NULL before it */
    uint64_t walked;  /* zones that walk has given in this snapshot */
    zone_memory_t memory;
};

/* Is data.mdb as long as what it holds?  DNS_ESTORE: no: it must not be read,
   and error says what to do. */
dns_status_t lmdb_check_file(const char *folder, char *error);

/* As store_lmdb_open(), with the first size of the map in octets. */
dns_status_t lmdb_open(store_lmdb_t **out, const char *folder, bool read_only,
                       size_t map_size, char *error);

/* Maps the file anew, as large as it is now and at least by map_size octets
   (0: what another process made of it).  No snapshot and no write transaction
   of the caller may be open; write_lock is held. */
int lmdb_resize(store_lmdb_t *store, size_t map_size);

/* The size of a node's or a zone's key, which is written to key. */
static inline size_t
lmdb_node_key(uint8_t *key, uint32_t zone_id, const dns_name_t *name,
              unsigned apex_labels)
{
    put32(key, zone_id);
    return ZONE_ID_SIZE + dns_name_key(key + ZONE_ID_SIZE, name, apex_labels);
}

static inline size_t
lmdb_zone_key(uint8_t *key, const dns_name_t *apex)
{
    key[0] = 'z';
    return 1 + dns_name_key(key + 1, apex, 0);
}

static inline size_t
lmdb_parked_key(uint8_t *key, const dns_name_t *apex)
{
    key[0] = 'p';
    return 1 + dns_name_key(key + 1, apex, 0);
}

/* The parked records at a key of meta. */
dns_status_t lmdb_read_parked(MDB_txn *txn, const store_lmdb_t *store,
                              MDB_val *key, store_nodes_t *out);

static inline bool
lmdb_key_begins_with(const MDB_val *key, const uint8_t *prefix, size_t size)
{
    return key->mv_size >= size && memcmp(key->mv_data, prefix, size) == 0;
}

/* A key below the apex (zone id left out) has a "*" label (RFC 4592 2.1.1). */
bool lmdb_key_is_wildcard(const uint8_t *key, size_t size);

/* A stored zone record; DNS_ESTORE: it is none. */
dns_status_t lmdb_read_record(const MDB_val *value, zone_record_t *record);

/* What readers see of it; the apex is left alone. */
void lmdb_set_zone(dns_zone_t *zone, const zone_record_t *record);

/* find_covering of the source (lmdb_covering.c). */
dns_status_t lmdb_find_covering(void *source, const dns_zone_t *zone,
                                const dns_name_t *name, uint16_t type,
                                dns_name_t *owner, dns_node_t *node);

/* A node with NS below the apex, or with DNAME: names below are not answered
   from their own nodes. */
bool lmdb_node_is_cut(const dns_node_t *node, bool is_apex);

/* error = "what: LMDB's reason"; gives DNS_ESTORE. */
dns_status_t lmdb_fail(char *error, const char *what, int rc);

/* What is committed where; both borrowed. */
typedef struct {
    store_lmdb_t *store;
    store_edit_t *edit;
} lmdb_commit_t;

/* Writes the sorted changes in a transaction that the caller began and will
   end.  MDB's own codes come back in *rc when the status is DNS_ESTORE. */
dns_status_t lmdb_apply(const lmdb_commit_t *commit, MDB_txn *txn, int *rc,
                        bool *is_changed, char *error);

#endif
