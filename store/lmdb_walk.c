#include "dns/type.h"
#include "store/private/lmdb.h"

/* Puts the walking cursor at the zone with number at, counted from 0. */
static int
walk_to(store_lmdb_reader_t *reader, uint64_t at, MDB_val *key, MDB_val *value)
{
    if (at > 0 && reader->walked == at) {
        return mdb_cursor_get(reader->walk, key, value, MDB_NEXT);
    }

    int rc =
        reader->walk != NULL
            ? mdb_cursor_renew(reader->txn, reader->walk)
            : mdb_cursor_open(reader->txn, reader->store->zones, &reader->walk);

    if (rc == 0) {
        rc = mdb_cursor_get(reader->walk, key, value, MDB_FIRST);
    }

    for (; rc == 0 && at > 0; at--) {
        rc = mdb_cursor_get(reader->walk, key, value, MDB_NEXT);
    }

    return rc;
}

static bool
find_soa(const dns_node_t *apex, dns_rdata_t *soa)
{
    dns_rrset_t rrset;
    size_t at = 0;

    return dns_node_find(apex, DNS_TYPE_SOA, &rrset) &&
           dns_rrset_next(&rrset, &at, soa);
}

dns_status_t
store_lmdb_next_zone(store_lmdb_reader_t *reader, uint64_t *at,
                     dns_zone_t *zone, dns_rdata_t *soa)
{
    static const uint8_t root[] = {0};
    uint8_t apex[DNS_NAME_MAX];
    uint8_t id[ZONE_ID_SIZE];
    zone_record_t record;
    MDB_val key;
    MDB_val value;
    int rc = walk_to(reader, *at, &key, &value);

    if (rc != 0) {
        return rc == MDB_NOTFOUND ? DNS_ENOTFOUND : DNS_ESTORE;
    }

    if (lmdb_read_record(&value, &record) != DNS_OK ||
        dns_name_from_key(apex, (const uint8_t *) key.mv_data + 1,
                          key.mv_size - 1, root) != DNS_OK) {
        return DNS_ESTORE;
    }

    reader->walked = ++*at;
    dns_name_set(&zone->apex, apex);
    lmdb_set_zone(zone, &record);
    put32(id, record.id);
    key = (MDB_val){sizeof(id), id};

    if (mdb_cursor_get(reader->nodes, &key, &value, MDB_SET) != 0) {
        return DNS_ESTORE;
    }

    dns_node_t node = {value.mv_data, (uint32_t) value.mv_size};

    return find_soa(&node, soa) ? DNS_OK : DNS_ESTORE;
}

dns_status_t
store_lmdb_next_node(store_lmdb_reader_t *reader, const dns_zone_t *zone,
                     bool *is_first, dns_name_t *name, dns_node_t *node)
{
    uint8_t octets[NODE_KEY_SIZE];
    const dns_name_t *from = *is_first ? &zone->apex : name;
    MDB_val key = {
        lmdb_node_key(octets, zone->id, from, zone->apex.label_count), octets};
    MDB_val value;
    const size_t size = key.mv_size;
    int rc = mdb_cursor_get(reader->nodes, &key, &value, MDB_SET_RANGE);

    if (rc == 0 && !*is_first && key.mv_size == size &&
        memcmp(key.mv_data, octets, size) == 0) {
        rc = mdb_cursor_get(reader->nodes, &key, &value, MDB_NEXT);
    }

    if (rc == MDB_NOTFOUND ||
        (rc == 0 && !lmdb_key_begins_with(&key, octets, ZONE_ID_SIZE))) {
        return DNS_ENOTFOUND;
    }

    uint8_t owner[DNS_NAME_MAX];

    if (rc != 0 ||
        dns_name_from_key(owner, (const uint8_t *) key.mv_data + ZONE_ID_SIZE,
                          key.mv_size - ZONE_ID_SIZE,
                          zone->apex.octets) != DNS_OK) {
        return DNS_ESTORE;
    }

    dns_name_set(name, owner);
    *node = (dns_node_t){value.mv_data, (uint32_t) value.mv_size};
    *is_first = false;
    return DNS_OK;
}
