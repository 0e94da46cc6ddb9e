#include "ffi/database_ffi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/type.h"
#include "ffi/private/database.h"
#include "ffi/store.h"

struct dns_ffi_database {
    store_database_t *store; /* owned */
};

struct dns_ffi_listing {
    store_database_t *store;        /* borrowed */
    struct dns_ffi_store *embedded; /* borrowed: or this one */
    dns_name_t apex;
    dns_name_t name;
    bool has_apex;
    bool has_name;
    bool is_parked;        /* what the zone parks is wanted */
    store_listing_t zones; /* owned */
    store_nodes_t nodes;   /* owned */
    store_left_out_t left_out;
    char error[STORE_ERROR_SIZE];

    /* Where the walk stands. */
    size_t at;
    size_t rrset_at;
    size_t record_at;
    dns_rrset_t rrset;
    bool gives_soa;
};

int
dns_ffi_database_new(struct dns_ffi_store_options *options, int marks_rows,
                     struct dns_ffi_database **out)
{
    struct dns_ffi_database *database = calloc(1, sizeof(*database));

    if (database == NULL) {
        return DNS_ENOMEM;
    }

    dns_status_t status =
        store_database_new(&database->store, &options->store, marks_rows != 0);

    if (status != DNS_OK) {
        free(database);
        return status;
    }

    *out = database;
    return DNS_OK;
}

void
dns_ffi_database_free(struct dns_ffi_database *database)
{
    store_database_free(database->store);
    free(database);
}

store_database_t *
dns_ffi_database_store(const struct dns_ffi_database *database)
{
    return database->store;
}

int
dns_ffi_listing_new(struct dns_ffi_database *database, const uint8_t *apex,
                    const uint8_t *name, struct dns_ffi_listing **out)
{
    struct dns_ffi_listing *listing = calloc(1, sizeof(*listing));

    if (listing == NULL) {
        return DNS_ENOMEM;
    }

    listing->store = database->store;
    listing->has_apex = apex != NULL;
    listing->has_name = name != NULL;

    if (apex != NULL) {
        dns_name_set(&listing->apex, apex);
    }

    if (name != NULL) {
        dns_name_set(&listing->name, name);
    }

    *out = listing;
    return DNS_OK;
}

int
dns_ffi_listing_new_parked(struct dns_ffi_store *store,
                           struct dns_ffi_database *database,
                           const uint8_t *apex, struct dns_ffi_listing **out)
{
    struct dns_ffi_listing *listing = calloc(1, sizeof(*listing));

    if (listing == NULL) {
        return DNS_ENOMEM;
    }

    listing->embedded = store;
    listing->store = database == NULL ? NULL : database->store;
    listing->has_apex = true;
    listing->is_parked = true;
    dns_name_set(&listing->apex, apex);
    *out = listing;
    return DNS_OK;
}

static int
list_parked(struct dns_ffi_listing *listing)
{
    if (listing->embedded != NULL) {
        return dns_ffi_store_read_parked(listing->embedded, &listing->apex,
                                         &listing->nodes);
    }

    return store_database_read_parked(listing->store, &listing->apex,
                                      &listing->nodes, listing->error);
}

void
dns_ffi_listing_free(struct dns_ffi_listing *listing)
{
    free(listing->zones.zones);
    store_nodes_free(&listing->nodes);
    free(listing);
}

int
dns_ffi_listing_run(void *job)
{
    struct dns_ffi_listing *listing = job;

    if (listing->is_parked) {
        return list_parked(listing);
    }

    if (!listing->has_apex) {
        return store_database_list(listing->store,
                                   listing->has_name ? &listing->name : NULL,
                                   &listing->zones, listing->error);
    }

    if (listing->has_name) {
        return store_database_read_name(listing->store, &listing->apex,
                                        &listing->name, &listing->nodes,
                                        listing->error);
    }

    return store_database_read(listing->store, &listing->apex, &listing->nodes,
                               &listing->left_out, listing->error);
}

int
dns_ffi_listing_next_zone(struct dns_ffi_listing *listing,
                          struct dns_ffi_zone *out)
{
    if (listing->at == listing->zones.count) {
        return 0;
    }

    const store_listed_zone_t *zone = &listing->zones.zones[listing->at++];

    out->serial = zone->serial;
    out->generation = zone->generation;
    out->name_size = zone->apex.size;
    memcpy(out->name, zone->apex.octets, zone->apex.size);
    return 1;
}

/* The next set; the SOA goes before the others of its node. */
static bool
next_set(struct dns_ffi_listing *l, const dns_node_t *node)
{
    if (l->rrset_at == 0 && !l->gives_soa &&
        dns_node_find(node, DNS_TYPE_SOA, &l->rrset)) {
        l->gives_soa = true;
        l->record_at = 0;
        return true;
    }

    while (dns_node_next(node, &l->rrset_at, &l->rrset)) {
        if (l->rrset.type != DNS_TYPE_SOA) {
            l->record_at = 0;
            return true;
        }
    }

    l->rrset_at = 0;
    l->record_at = 0;
    l->gives_soa = false;
    l->rrset = (dns_rrset_t){0};
    return false;
}

int
dns_ffi_listing_next_record(struct dns_ffi_listing *l,
                            struct dns_ffi_record *out)
{
    dns_rdata_t rdata;

    while (l->at < l->nodes.count) {
        const store_named_node_t *named = &l->nodes.nodes[l->at];
        const dns_node_t node = dns_node_builder_node(&named->builder);

        if (dns_rrset_next(&l->rrset, &l->record_at, &rdata)) {
            dns_ffi_fill_record(out, named->name.octets, &node, &l->rrset,
                                &rdata);
            return 1;
        }

        if (!next_set(l, &node)) {
            l->at++;
        }
    }

    return 0;
}

const char *
dns_ffi_listing_error(const struct dns_ffi_listing *listing)
{
    return listing->error;
}
