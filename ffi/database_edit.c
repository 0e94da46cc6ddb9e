#include "ffi/database_ffi.h"
#include "ffi/store_ffi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/name.h"
#include "dns/type.h"
#include "dns/zonefile.h"
#include "ffi/private/database.h"
#include "ffi/store.h"
#include "store/lmdb.h"
#include "store/load.h"
#include "store/parked.h"

struct dns_ffi_edit {
    store_lmdb_t *store;        /* borrowed; NULL: it is for a database */
    store_database_t *database; /* borrowed */
    bool zones_changed;
    store_edit_t *edit;
    const char *text; /* borrowed: the master file to load, or NULL */
    size_t size;
    const char *path;           /* borrowed: or its file, or NULL */
    const char *include_folder; /* borrowed; NULL: none */
    store_load_t loaded;
    uint8_t apex[DNS_NAME_MAX];
    char error[DNS_FFI_ERROR_SIZE];

    /* Where the walk over its records stands. */
    size_t at;
    uint8_t owner[DNS_NAME_MAX];
    dns_node_builder_t node; /* owned */
    size_t rrset_at;
    size_t record_at;
    dns_rrset_t rrset;
};

_Static_assert((int) DNS_FFI_TYPE_ALIAS == STORE_TYPE_ALIAS, "one type");
_Static_assert((int) DNS_FFI_TYPE_DISABLED_ALIAS == STORE_TYPE_DISABLED_ALIAS,
               "one type");
_Static_assert((int) DNS_FFI_TTL_OF_SET == (int) STORE_TTL_OF_SET, "one TTL");

static int
edit_new(const uint8_t *apex, struct dns_ffi_edit **out)
{
    struct dns_ffi_edit *edit = calloc(1, sizeof(*edit));

    if (edit == NULL) {
        return DNS_ENOMEM;
    }

    dns_status_t status = store_edit_new(apex, &edit->edit);

    if (status != DNS_OK) {
        free(edit);
        return status;
    }

    memcpy(edit->apex, apex, dns_name_size(apex));
    *out = edit;
    return DNS_OK;
}

int
dns_ffi_edit_new(struct dns_ffi_store *store, const uint8_t *apex,
                 struct dns_ffi_edit **out)
{
    int status = edit_new(apex, out);

    if (status == DNS_OK) {
        (*out)->store = dns_ffi_store_lmdb(store);
    }

    return status;
}

int
dns_ffi_edit_park(struct dns_ffi_edit *edit, const uint8_t *name, uint16_t type,
                  uint32_t ttl, const uint8_t *rdata, uint16_t rdata_size)
{
    store_edit_t *parked;
    dns_status_t status = store_edit_parked(edit->edit, &parked);

    return status == DNS_OK
               ? store_edit_add(parked, name, type, ttl, rdata, rdata_size)
               : status;
}

int
dns_ffi_edit_unpark(struct dns_ffi_edit *edit, const uint8_t *name,
                    uint16_t type, const uint8_t *rdata, uint16_t rdata_size)
{
    store_edit_t *parked;
    dns_status_t status = store_edit_parked(edit->edit, &parked);

    return status == DNS_OK
               ? store_edit_remove_if_any(parked, name, type, rdata, rdata_size)
               : status;
}

int
dns_ffi_edit_unpark_all(struct dns_ffi_edit *edit)
{
    store_edit_t *parked;
    dns_status_t status = store_edit_parked(edit->edit, &parked);

    if (status == DNS_OK) {
        store_edit_replace_zone(parked);
    }

    return status;
}

void
dns_ffi_edit_serial_rule(struct dns_ffi_edit *edit, int kind, int soa_edit,
                         double now)
{
    const store_serial_rule_t rule = {
        .kind = (uint8_t) kind,
        .soa_edit = (uint8_t) soa_edit,
        .now = (int64_t) now,
    };

    store_edit_set_serial_rule(edit->edit, &rule);
}

int
dns_ffi_edit_new_database(struct dns_ffi_database *database,
                          const uint8_t *apex, struct dns_ffi_edit **out)
{
    int status = edit_new(apex, out);

    if (status == DNS_OK) {
        (*out)->database = dns_ffi_database_store(database);
    }

    return status;
}

void
dns_ffi_edit_free(struct dns_ffi_edit *edit)
{
    store_edit_free(edit->edit);
    dns_node_builder_free(&edit->node);
    store_load_free(&edit->loaded);
    free(edit);
}

void
dns_ffi_edit_replace_zone(struct dns_ffi_edit *edit)
{
    store_edit_replace_zone(edit->edit);
}

void
dns_ffi_edit_delete_zone(struct dns_ffi_edit *edit)
{
    store_edit_delete_zone(edit->edit);
}

void
dns_ffi_edit_expect(struct dns_ffi_edit *edit, uint64_t generation)
{
    store_edit_expect(edit->edit, generation);
}

/* Statuses of the store's calls that say nothing by themselves. */
static int
note(struct dns_ffi_edit *edit, dns_status_t status)
{
    if (status != DNS_OK) {
        snprintf(edit->error, sizeof(edit->error), "%s",
                 dns_status_text(status));
    }

    return status;
}

int
dns_ffi_edit_add(struct dns_ffi_edit *edit, const uint8_t *name, uint16_t type,
                 uint32_t ttl, const uint8_t *rdata, uint16_t rdata_size)
{
    return note(edit,
                store_edit_add(edit->edit, name, type, ttl, rdata, rdata_size));
}

int
dns_ffi_edit_remove(struct dns_ffi_edit *edit, const uint8_t *name,
                    uint16_t type, const uint8_t *rdata, uint16_t rdata_size)
{
    return note(edit,
                store_edit_remove(edit->edit, name, type, rdata, rdata_size));
}

int
dns_ffi_edit_remove_if_any(struct dns_ffi_edit *edit, const uint8_t *name,
                           uint16_t type, const uint8_t *rdata,
                           uint16_t rdata_size)
{
    return note(edit, store_edit_remove_if_any(edit->edit, name, type, rdata,
                                               rdata_size));
}

void
dns_ffi_edit_load_text(struct dns_ffi_edit *edit, const char *text, size_t size)
{
    edit->text = text;
    edit->size = size;
}

void
dns_ffi_edit_load_file(struct dns_ffi_edit *edit, const char *path,
                       const char *include_folder)
{
    edit->path = path;
    edit->include_folder = include_folder;
}

static dns_status_t
load(struct dns_ffi_edit *edit)
{
    if (edit->text == NULL && edit->path == NULL) {
        return DNS_OK;
    }

    dns_zonefile_options_t options = {
        .path = edit->path,
        .text = edit->text,
        .size = edit->size,
        .origin = edit->apex,
        .allows_include = edit->path != NULL,
        .include_folder = edit->include_folder,
    };
    dns_status_t status =
        store_load_zonefile(&edit->loaded, edit->edit, &options, edit->error);

    edit->text = NULL;
    edit->path = NULL;
    return status;
}

static dns_status_t
find_soa(dns_zonefile_t *file, uint8_t *out)
{
    dns_record_t record;
    dns_status_t status;

    while ((status = dns_zonefile_next(file, &record)) == DNS_OK) {
        if (record.type == DNS_TYPE_SOA) {
            memcpy(out, record.owner, dns_name_size(record.owner));
            break;
        }
    }

    return status;
}

int
dns_ffi_zonefile_apex(const char *path, const char *include_folder,
                      const uint8_t *origin, uint8_t *out, char *error)
{
    dns_zonefile_options_t options = {
        .path = path,
        .origin = origin,
        .allows_include = true,
        .include_folder = include_folder,
    };
    dns_zonefile_t *file;
    dns_status_t status = dns_zonefile_open(&file, &options);

    if (status == DNS_OK) {
        status = find_soa(file, out);
    }

    if (status != DNS_OK) {
        const char *reason = file != NULL ? dns_zonefile_error(file) : "";

        snprintf(error, DNS_FFI_ERROR_SIZE, "%s",
                 reason[0] != '\0' ? reason : "the zone has no SOA record");
    }

    dns_zonefile_free(file);
    return status == DNS_OK ? (int) dns_name_size(out) : (int) status;
}

int
dns_ffi_edit_commit(void *job)
{
    struct dns_ffi_edit *edit = job;
    dns_status_t status = load(edit);

    if (status != DNS_OK) {
        return status;
    }

    status = edit->database != NULL
                 ? store_database_commit(edit->database, edit->edit,
                                         &edit->zones_changed, edit->error)
                 : store_lmdb_commit(edit->store, edit->edit, edit->error);

    if (status == DNS_OK) {
        store_load_committed(&edit->loaded, edit->edit);
    }

    return status;
}

const char *
dns_ffi_edit_warnings(const struct dns_ffi_edit *edit)
{
    const buffer_t *warnings = &edit->loaded.warnings;

    return warnings->size == 0 ? "" : warnings->octets;
}

void
dns_ffi_edit_result(const struct dns_ffi_edit *edit,
                    struct dns_ffi_edit_result *out)
{
    const store_edit_result_t *result = store_edit_result(edit->edit);

    out->zone.generation = result->generation;
    out->zone.serial = result->serial;
    out->zone.name_size = (uint16_t) dns_name_size(edit->apex);
    memcpy(out->zone.name, edit->apex, out->zone.name_size);
    out->zone_was_there = result->zone_was_there;
    out->set_was_there = result->set_was_there;
}

void
dns_ffi_edit_records_begin(struct dns_ffi_edit *edit)
{
    edit->at = 0;
    edit->rrset_at = 0;
    edit->record_at = 0;
    edit->rrset = (dns_rrset_t){0};
    edit->node.size = 0;
}

int
dns_ffi_edit_records_next(struct dns_ffi_edit *edit, struct dns_ffi_record *out)
{
    dns_node_t node = dns_node_builder_node(&edit->node);
    dns_rdata_t rdata;

    while (!dns_rrset_next(&edit->rrset, &edit->record_at, &rdata)) {
        edit->record_at = 0;

        if (dns_node_next(&node, &edit->rrset_at, &edit->rrset)) {
            continue;
        }

        dns_status_t status = store_edit_next_node(edit->edit, &edit->at,
                                                   edit->owner, &edit->node);

        if (status != DNS_OK) {
            return status == DNS_ENOTFOUND ? 0 : (int) status;
        }

        node = dns_node_builder_node(&edit->node);
        edit->rrset_at = 0;
        edit->rrset = (dns_rrset_t){0};
    }

    dns_ffi_fill_record(out, edit->owner, &node, &edit->rrset, &rdata);
    return 1;
}

int
dns_ffi_edit_zones_changed(const struct dns_ffi_edit *edit)
{
    return edit->zones_changed;
}

size_t
dns_ffi_edit_owners(const struct dns_ffi_edit *edit, uint8_t *out, size_t room)
{
    return store_edit_owners(edit->edit, out, room);
}

const char *
dns_ffi_edit_error(const struct dns_ffi_edit *edit)
{
    return edit->error;
}
