#include "ffi/store_ffi.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dns/type.h"
#include "ffi/store.h"
#include "store/lmdb.h"

enum {
    SOA_FIXED_SIZE = 20, /* octets behind the two names, the serial first */
    ANY_DEPTH = 256,     /* find_zone: an apex of any number of labels */
};

_Static_assert((int) DNS_FFI_ERROR_SIZE == STORE_ERROR_SIZE, "sizes");

/* Where a walk over a zone's records stands. */
typedef struct {
    dns_zone_t zone;
    dns_name_t name;
    dns_node_t node;
    dns_rrset_t rrset;
    size_t rrset_at;
    size_t record_at;
    bool is_first; /* the next node is the apex */
    bool is_apex;
    bool is_single; /* one node and no more */
} record_walk_t;

struct dns_ffi_store {
    store_lmdb_t *lmdb;
    store_lmdb_reader_t *reader;
    dns_source_t source;
    unsigned depth; /* of read_begin */
    record_walk_t walk;
    char *folder;  /* owned; the real path */
    pid_t process; /* a child does not share the parent's */
    unsigned use_count;
    struct dns_ffi_store *next;
};

static struct dns_ffi_store *open_stores; /* of all processes that we were */

static struct dns_ffi_store *
find_open(const char *folder)
{
    for (struct dns_ffi_store *s = open_stores; s != NULL; s = s->next) {
        if (s->process == getpid() && strcmp(s->folder, folder) == 0) {
            return s;
        }
    }

    return NULL;
}

static int
open_new(const char *folder, bool read_only, struct dns_ffi_store **out,
         char *error)
{
    struct dns_ffi_store *store = calloc(1, sizeof(*store));

    if (store == NULL) {
        snprintf(error, DNS_FFI_ERROR_SIZE, "out of memory");
        return DNS_ENOMEM;
    }

    dns_status_t status =
        store_lmdb_open(&store->lmdb, folder, read_only, error);

    if (status == DNS_OK) {
        status = store_lmdb_reader_new(store->lmdb, &store->reader);

        if (status != DNS_OK) {
            snprintf(error, DNS_FFI_ERROR_SIZE, "%s: no reader is free",
                     folder);
            store_lmdb_close(store->lmdb);
        }
    }

    if (status != DNS_OK) {
        free(store);
        return status;
    }

    store->folder = realpath(folder, NULL);

    if (store->folder == NULL) {
        abort();
    }

    store->process = getpid();
    store->use_count = 1;
    store->next = open_stores;
    open_stores = store;
    *out = store;
    return DNS_OK;
}

int
dns_ffi_store_open(const char *folder, uint8_t read_only,
                   struct dns_ffi_store **out, char *error)
{
    char path[PATH_MAX];
    struct dns_ffi_store *store =
        realpath(folder, path) != NULL ? find_open(path) : NULL;

    if (store != NULL) {
        store->use_count++;
        *out = store;
        return DNS_OK;
    }

    return open_new(folder, read_only != 0, out, error);
}

void
dns_ffi_store_close(struct dns_ffi_store *store)
{
    if (store->process != getpid() || --store->use_count > 0) {
        return;
    }

    struct dns_ffi_store **link = &open_stores;

    while (*link != store) {
        link = &(*link)->next;
    }

    *link = store->next;
    store_lmdb_reader_free(store->reader);
    store_lmdb_close(store->lmdb);
    free(store->folder);
    free(store);
}

store_lmdb_t *
dns_ffi_store_lmdb(const struct dns_ffi_store *store)
{
    return store->lmdb;
}

const dns_source_t *
dns_ffi_store_source(const struct dns_ffi_store *store)
{
    return &store->source;
}

int
dns_ffi_store_read_begin(struct dns_ffi_store *store)
{
    if (store->depth > 0) {
        store->depth++;
        return DNS_OK;
    }

    dns_status_t status = store_lmdb_read_begin(store->reader, &store->source);

    if (status == DNS_OK) {
        store->depth = 1;
    }

    return status;
}

void
dns_ffi_store_read_end(struct dns_ffi_store *store)
{
    if (--store->depth == 0) {
        store_lmdb_read_end(store->reader);
    }
}

dns_status_t
dns_ffi_store_read_parked(struct dns_ffi_store *store, const dns_name_t *apex,
                          store_nodes_t *out)
{
    dns_status_t status = dns_ffi_store_read_begin(store);

    if (status == DNS_OK) {
        status = store_lmdb_read_parked(store->reader, apex, out);
        dns_ffi_store_read_end(store);
    }

    return status;
}

static uint32_t
soa_serial(const dns_rdata_t *soa)
{
    if (soa->size < SOA_FIXED_SIZE) {
        return 0;
    }

    const uint8_t *p = soa->octets + soa->size - SOA_FIXED_SIZE;

    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 |
           (uint32_t) p[2] << 8 | p[3];
}

static void
fill_zone(struct dns_ffi_zone *out, const dns_zone_t *zone,
          const dns_rdata_t *soa)
{
    out->generation = zone->generation;
    out->serial = soa_serial(soa);
    out->name_size = zone->apex.size;
    memcpy(out->name, zone->apex.octets, zone->apex.size);
}

int
dns_ffi_store_next_zone(struct dns_ffi_store *store, uint64_t *at,
                        struct dns_ffi_zone *out)
{
    dns_zone_t zone;
    dns_rdata_t soa;
    dns_status_t status = store_lmdb_next_zone(store->reader, at, &zone, &soa);

    if (status != DNS_OK) {
        return status == DNS_ENOTFOUND ? 0 : (int) status;
    }

    fill_zone(out, &zone, &soa);
    return 1;
}

static dns_status_t
lookup(struct dns_ffi_store *store, const dns_zone_t *zone,
       const dns_name_t *name, dns_node_t *node)
{
    dns_lookup_t found;
    dns_status_t status =
        store->source.ops->lookup(store->source.data, zone, name, &found);

    if (status != DNS_OK) {
        return status;
    }

    if (found.kind != DNS_LOOKUP_NODE) {
        return DNS_ENOTFOUND;
    }

    *node = found.node;
    return DNS_OK;
}

static int
describe_zone(struct dns_ffi_store *store, const dns_zone_t *zone,
              struct dns_ffi_zone *out)
{
    dns_node_t node;
    dns_rrset_t rrset;
    dns_rdata_t soa = {NULL, 0};
    size_t at = 0;

    if (lookup(store, zone, &zone->apex, &node) == DNS_OK &&
        dns_node_find(&node, DNS_TYPE_SOA, &rrset)) {
        (void) dns_rrset_next(&rrset, &at, &soa);
    }

    fill_zone(out, zone, &soa);
    return DNS_OK;
}

static dns_status_t
find_zone(struct dns_ffi_store *store, const uint8_t *name, dns_zone_t *zone)
{
    dns_name_t key;

    dns_name_set(&key, name);
    return store->source.ops->find_zone(store->source.data, &key, ANY_DEPTH,
                                        zone);
}

/* The zone whose apex this is. */
static dns_status_t
find_apex(struct dns_ffi_store *store, const uint8_t *apex, dns_zone_t *zone)
{
    dns_status_t status = find_zone(store, apex, zone);

    if (status == DNS_OK && !dns_name_equal(zone->apex.octets, apex)) {
        return DNS_ENOTFOUND;
    }

    return status;
}

int
dns_ffi_store_zone(struct dns_ffi_store *store, const uint8_t *apex,
                   struct dns_ffi_zone *out)
{
    dns_zone_t zone;
    dns_status_t status = find_apex(store, apex, &zone);

    return status == DNS_OK ? describe_zone(store, &zone, out) : (int) status;
}

int
dns_ffi_store_has(struct dns_ffi_store *store, const uint8_t *apex,
                  const uint8_t *name, uint16_t type)
{
    dns_zone_t zone;
    dns_name_t key;
    dns_node_t node;
    dns_rrset_t rrset;

    if (!dns_name_is_within(name, apex) ||
        find_apex(store, apex, &zone) != DNS_OK) {
        return 0;
    }

    dns_name_set(&key, name);

    if (lookup(store, &zone, &key, &node) != DNS_OK) {
        return 0;
    }

    return type == 0 || dns_node_find(&node, type, &rrset);
}

int
dns_ffi_store_records_begin(struct dns_ffi_store *store, const uint8_t *apex)
{
    record_walk_t *walk = &store->walk;

    memset(walk, 0, sizeof(*walk));
    walk->is_first = true;
    return find_apex(store, apex, &walk->zone);
}

int
dns_ffi_store_records_behind(struct dns_ffi_store *store, const uint8_t *apex,
                             const uint8_t *name)
{
    record_walk_t *walk = &store->walk;
    int status = dns_ffi_store_records_begin(store, apex);

    if (status == DNS_OK && !dns_name_is_within(name, apex)) {
        return DNS_EMALFORMED;
    }

    walk->is_first = false;
    dns_name_set(&walk->name, name);
    return status;
}

int
dns_ffi_store_records_of(struct dns_ffi_store *store, const uint8_t *apex,
                         const uint8_t *name)
{
    record_walk_t *walk = &store->walk;
    int status = dns_ffi_store_records_behind(store, apex, name);

    if (status != DNS_OK) {
        return status;
    }

    walk->is_single = true;
    return lookup(store, &walk->zone, &walk->name, &walk->node);
}

/* The next node; the apex begins with its SOA. */
static dns_status_t
walk_to_node(struct dns_ffi_store *store)
{
    record_walk_t *walk = &store->walk;

    if (walk->is_single) {
        return DNS_ENOTFOUND;
    }

    walk->is_apex = walk->is_first;
    walk->rrset_at = 0;
    walk->record_at = 0;
    memset(&walk->rrset, 0, sizeof(walk->rrset));

    dns_status_t status = store_lmdb_next_node(
        store->reader, &walk->zone, &walk->is_first, &walk->name, &walk->node);

    if (status == DNS_OK && walk->is_apex &&
        !dns_node_find(&walk->node, DNS_TYPE_SOA, &walk->rrset)) {
        memset(&walk->rrset, 0, sizeof(walk->rrset));
    }

    return status;
}

static bool
walk_to_rrset(record_walk_t *walk)
{
    do {
        if (!dns_node_next(&walk->node, &walk->rrset_at, &walk->rrset)) {
            return false;
        }
    } while (walk->is_apex && walk->rrset.type == DNS_TYPE_SOA);

    walk->record_at = 0;
    return true;
}

void
dns_ffi_fill_record(struct dns_ffi_record *out, const uint8_t *owner,
                    const dns_node_t *node, const dns_rrset_t *rrset,
                    const dns_rdata_t *rdata)
{
    out->section = DNS_FFI_ANSWER;
    out->type = rrset->type;
    out->class_code = DNS_CLASS_IN;
    out->ttl = dns_node_ttl(node, rrset, rdata);
    out->name_size = (uint16_t) dns_name_size(owner);
    memcpy(out->name, owner, out->name_size);
    out->rdata_size = rdata->size;
    memcpy(out->rdata, rdata->octets, rdata->size);
}

int
dns_ffi_store_records_next(struct dns_ffi_store *store,
                           struct dns_ffi_record *out)
{
    record_walk_t *walk = &store->walk;
    dns_rdata_t rdata;

    while (!dns_rrset_next(&walk->rrset, &walk->record_at, &rdata)) {
        if (walk_to_rrset(walk)) {
            continue;
        }

        dns_status_t status = walk_to_node(store);

        if (status != DNS_OK) {
            return status == DNS_ENOTFOUND ? 0 : (int) status;
        }
    }

    dns_ffi_fill_record(out, walk->name.octets, &walk->node, &walk->rrset,
                        &rdata);
    return 1;
}
