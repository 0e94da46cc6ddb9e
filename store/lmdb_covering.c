#include "dns/type.h"
#include "store/private/lmdb.h"

/* Nodes without NSEC (glue and what else is occluded) that one search passes
   over. */
enum { PASSED_MAX = 10000 };

static dns_status_t
give(const dns_zone_t *zone, const MDB_val *key, const MDB_val *value,
     dns_name_t *owner, dns_node_t *node)
{
    uint8_t name[DNS_NAME_MAX];

    if (dns_name_from_key(name, (const uint8_t *) key->mv_data + ZONE_ID_SIZE,
                          key->mv_size - ZONE_ID_SIZE,
                          zone->apex.octets) != DNS_OK) {
        return DNS_ESTORE;
    }

    dns_name_set(owner, name);
    *node = (dns_node_t){value->mv_data, (uint32_t) value->mv_size};
    return DNS_OK;
}

/* The cursor's last key at or before the wanted one; MDB_NOTFOUND: none. */
static int
seek_back(MDB_cursor *cursor, MDB_val *key, MDB_val *value)
{
    MDB_val wanted = *key;
    int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);

    if (rc == 0 && key->mv_size == wanted.mv_size &&
        memcmp(key->mv_data, wanted.mv_data, wanted.mv_size) == 0) {
        return 0;
    }

    return rc == 0 || rc == MDB_NOTFOUND
               ? mdb_cursor_get(cursor, key, value,
                                rc == 0 ? MDB_PREV : MDB_LAST)
               : rc;
}

static dns_status_t
find_nsec(store_lmdb_reader_t *reader, const dns_zone_t *zone, MDB_val key,
          dns_name_t *owner, dns_node_t *node)
{
    uint8_t id[ZONE_ID_SIZE];
    MDB_val value;
    dns_rrset_t rrset;
    int rc = seek_back(reader->nodes, &key, &value);

    put32(id, zone->id);

    for (int i = 0; i < PASSED_MAX && rc == 0 &&
                    lmdb_key_begins_with(&key, id, sizeof(id));
         i++) {
        dns_node_t here = {value.mv_data, (uint32_t) value.mv_size};

        if (dns_node_find(&here, DNS_TYPE_NSEC, &rrset)) {
            return give(zone, &key, &value, owner, node);
        }

        rc = mdb_cursor_get(reader->nodes, &key, &value, MDB_PREV);
    }

    return rc == 0 || rc == MDB_NOTFOUND ? DNS_ENOTFOUND : DNS_ESTORE;
}

/* The key in the table of NSEC3 owners; the zone's last if there is none
   before. */
static int
seek_nsec3(store_lmdb_reader_t *reader, const dns_zone_t *zone, MDB_val *key)
{
    uint8_t id[ZONE_ID_SIZE];
    uint8_t next_id[ZONE_ID_SIZE];
    MDB_val value;
    int rc = reader->nsec3 != NULL
                 ? mdb_cursor_renew(reader->txn, reader->nsec3)
                 : mdb_cursor_open(reader->txn, reader->store->nsec3,
                                   &reader->nsec3);

    if (rc != 0) {
        return rc;
    }

    put32(id, zone->id);
    rc = seek_back(reader->nsec3, key, &value);

    if (rc == 0 && lmdb_key_begins_with(key, id, sizeof(id))) {
        return 0;
    }

    put32(next_id, zone->id + 1);
    *key = (MDB_val){sizeof(next_id), next_id};
    rc = seek_back(reader->nsec3, key, &value);

    return rc == 0 && !lmdb_key_begins_with(key, id, sizeof(id)) ? MDB_NOTFOUND
                                                                 : rc;
}

static dns_status_t
find_nsec3(store_lmdb_reader_t *reader, const dns_zone_t *zone, MDB_val key,
           dns_name_t *owner, dns_node_t *node)
{
    MDB_val value;
    int rc = seek_nsec3(reader, zone, &key);

    if (rc == 0) {
        rc = mdb_cursor_get(reader->nodes, &key, &value, MDB_SET);
    }

    if (rc != 0) {
        return rc == MDB_NOTFOUND ? DNS_ENOTFOUND : DNS_ESTORE;
    }

    return give(zone, &key, &value, owner, node);
}

dns_status_t
lmdb_find_covering(void *source, const dns_zone_t *zone, const dns_name_t *name,
                   uint16_t type, dns_name_t *owner, dns_node_t *node)
{
    store_lmdb_reader_t *reader = source;
    uint8_t octets[NODE_KEY_SIZE];
    MDB_val key = {
        lmdb_node_key(octets, zone->id, name, zone->apex.label_count), octets};

    return type == DNS_TYPE_NSEC3 ? find_nsec3(reader, zone, key, owner, node)
                                  : find_nsec(reader, zone, key, owner, node);
}
