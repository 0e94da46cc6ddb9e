#include "store/private/lmdb.h"
#include "store/private/parked.h"

dns_status_t
lmdb_read_parked(MDB_txn *txn, const store_lmdb_t *store, MDB_val *key,
                 store_nodes_t *out)
{
    MDB_val value;
    int rc = mdb_get(txn, store->meta, key, &value);

    if (rc == MDB_NOTFOUND) {
        return DNS_OK;
    }

    return rc == 0 ? store_parked_read(value.mv_data, value.mv_size, out)
                   : DNS_ESTORE;
}

dns_status_t
store_lmdb_read_parked(store_lmdb_reader_t *reader, const dns_name_t *apex,
                       store_nodes_t *out)
{
    uint8_t octets[ZONE_KEY_SIZE];
    MDB_val key = {lmdb_parked_key(octets, apex), octets};

    return lmdb_read_parked(reader->txn, reader->store, &key, out);
}
