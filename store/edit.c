#include <stdlib.h>

#include "dns/rdata.h"
#include "dns/type.h"
#include "store/private/edit.h"

enum {
    OCTETS_MIN = 1024,
    CHANGES_MIN = 16,
};

dns_status_t
store_edit_new(const uint8_t *apex, store_edit_t **out)
{
    store_edit_t *edit = calloc(1, sizeof(*edit));

    if (edit == NULL) {
        return DNS_ENOMEM;
    }

    edit->is_sorted = true;
    dns_name_set(&edit->apex, apex);
    *out = edit;
    return DNS_OK;
}

void
store_edit_free(store_edit_t *edit)
{
    if (edit != NULL) {
        store_edit_free(edit->parked);
        free(edit->octets);
        free(edit->ttls);
        free(edit->changes);
        free(edit);
    }
}

void
store_edit_replace_zone(store_edit_t *edit)
{
    edit->replaces = true;
}

void
store_edit_allow_no_ns(store_edit_t *edit)
{
    edit->may_lack_ns = true;
}

void
store_edit_delete_zone(store_edit_t *edit)
{
    edit->deletes = true;
}

void
store_edit_expect(store_edit_t *edit, uint64_t generation)
{
    edit->expects = true;
    edit->generation = generation;
}

void
store_edit_set_serial_rule(store_edit_t *edit, const store_serial_rule_t *rule)
{
    edit->has_serial_rule = true;
    edit->serial_rule = *rule;
}

/* Remembers the first failure for commit. */
static dns_status_t
fail(store_edit_t *edit, dns_status_t status, const uint8_t *name,
     const char *reason)
{
    if (edit->failure == DNS_OK) {
        edit->failure = store_fail_at(edit->reason, status, name, reason);
    }

    return status;
}

static bool
reserve(void **array, size_t *capacity, size_t wanted, size_t item_size)
{
    if (wanted <= *capacity) {
        return true;
    }

    size_t grown = *capacity * 2 > wanted ? *capacity * 2 : wanted;
    void *larger = realloc(*array, grown * item_size);

    if (larger == NULL) {
        return false;
    }

    *array = larger;
    *capacity = grown;
    return true;
}

static bool
reserve_change(store_edit_t *edit, size_t octets)
{
    size_t size = edit->size + octets;
    size_t count = edit->change_count + 1;

    return reserve((void **) &edit->octets, &edit->capacity,
                   size < OCTETS_MIN ? OCTETS_MIN : size, 1) &&
           reserve((void **) &edit->changes, &edit->change_capacity,
                   count < CHANGES_MIN ? CHANGES_MIN : count, sizeof(change_t));
}

/* Keys the change by its owner; neighbours of one owner share the key. */
static void
put_key(store_edit_t *edit, change_t *change, const uint8_t *key, size_t size)
{
    const uint8_t *last = edit->octets + edit->last_key_at;
    size_t last_size = edit->last_key_size;
    size_t common = size < last_size ? size : last_size;
    int order = common == 0 ? 0 : memcmp(last, key, common);

    if (order == 0) {
        order = (last_size > size) - (last_size < size);
    }

    if (edit->change_count == 0 || order != 0) {
        edit->is_sorted =
            edit->is_sorted && (edit->change_count == 0 || order < 0);
        edit->last_key_at = edit->size;
        edit->last_key_size = (uint16_t) size;
        memcpy(edit->octets + edit->size, key, size);
        edit->size += size;
    }

    change->key_at = edit->last_key_at;
    change->key_size = edit->last_key_size;
}

static dns_status_t
put_change(store_edit_t *edit, const uint8_t *name, change_t change,
           const uint8_t *rdata)
{
    dns_name_t owner;
    uint8_t key[DNS_KEY_MAX];

    if (!dns_name_is_within(name, edit->apex.octets)) {
        return fail(edit, DNS_EMALFORMED, name, "not in the zone");
    }

    dns_name_set(&owner, name);

    size_t size = dns_name_key(key, &owner, edit->apex.label_count);

    if (edit->change_count == UINT32_MAX ||
        !reserve_change(edit, size + change.rdata_size)) {
        return fail(edit, DNS_ENOMEM, name, "memory is used up");
    }

    put_key(edit, &change, key, size);
    change.rdata_at = edit->size;
    change.order = (uint32_t) edit->change_count;

    if (change.rdata_size > 0) {
        memcpy(edit->octets + edit->size, rdata, change.rdata_size);
        edit->size += change.rdata_size;
    }

    edit->changes[edit->change_count++] = change;
    return DNS_OK;
}

/* A change by which a record comes; its type, TTL and size are filled in. */
static dns_status_t
put_record(store_edit_t *edit, const uint8_t *name, change_t change,
           const uint8_t *rdata)
{
    if (dns_type_is_meta(change.type)) {
        return fail(edit, DNS_EMALFORMED, name, "a type that no zone can hold");
    }

    if (dns_rdata_check(change.type, rdata, change.rdata_size) != DNS_OK) {
        return fail(edit, DNS_EMALFORMED, name,
                    "the data is not of the record's type");
    }

    edit->sets_soa = edit->sets_soa || change.type == DNS_TYPE_SOA;
    return put_change(edit, name, change, rdata);
}

dns_status_t
store_edit_add(store_edit_t *edit, const uint8_t *name, uint16_t type,
               uint32_t ttl, const uint8_t *rdata, uint16_t rdata_size)
{
    return put_record(edit, name,
                      (change_t){.kind = CHANGE_ADD,
                                 .type = type,
                                 .ttl = ttl,
                                 .rdata_size = rdata_size},
                      rdata);
}

dns_status_t
store_edit_load(store_edit_t *edit, const uint8_t *name, uint16_t type,
                uint32_t ttl, const uint8_t *rdata, uint16_t rdata_size)
{
    return put_record(edit, name,
                      (change_t){.kind = CHANGE_LOAD,
                                 .type = type,
                                 .ttl = ttl,
                                 .rdata_size = rdata_size},
                      rdata);
}

/* A change by which a set goes, or with rdata a record. */
static dns_status_t
put_removal(store_edit_t *edit, const uint8_t *name, change_t change,
            const uint8_t *rdata)
{
    /* The set may be compared with it: both must be of the type. */
    if (rdata != NULL &&
        dns_rdata_check(change.type, rdata, change.rdata_size) != DNS_OK) {
        return fail(edit, DNS_EMALFORMED, name,
                    "the data is not of the record's type");
    }

    return put_change(edit, name, change, rdata);
}

dns_status_t
store_edit_remove(store_edit_t *edit, const uint8_t *name, uint16_t type,
                  const uint8_t *rdata, uint16_t rdata_size)
{
    const uint8_t kind = rdata == NULL ? CHANGE_REMOVE : CHANGE_REMOVE_RECORD;

    return put_removal(edit, name,
                       (change_t){.kind = kind,
                                  .type = type,
                                  .rdata_size = rdata == NULL ? 0 : rdata_size},
                       rdata);
}

dns_status_t
store_edit_remove_if_any(store_edit_t *edit, const uint8_t *name, uint16_t type,
                         const uint8_t *rdata, uint16_t rdata_size)
{
    const uint8_t kind =
        rdata == NULL ? CHANGE_REMOVE_IF_ANY : CHANGE_REMOVE_RECORD_IF_ANY;

    return put_removal(edit, name,
                       (change_t){.kind = kind,
                                  .type = type,
                                  .rdata_size = rdata == NULL ? 0 : rdata_size},
                       rdata);
}

void
store_edit_begin(store_edit_t *edit)
{
    edit->result = (store_edit_result_t){0};
    edit->ttls_count = 0;
}

size_t
store_edit_size(const store_edit_t *edit)
{
    return edit->change_count;
}

bool
store_edit_next_ttls(const store_edit_t *edit, size_t *at,
                     store_edit_ttls_t *out)
{
    if (*at == edit->ttls_count) {
        return false;
    }

    *out = edit->ttls[(*at)++];
    return true;
}

const store_edit_result_t *
store_edit_result(const store_edit_t *edit)
{
    return &edit->result;
}

static int
compare_changes(const void *left, const void *right, void *octets)
{
    const change_t *a = left;
    const change_t *b = right;
    size_t common = a->key_size < b->key_size ? a->key_size : b->key_size;
    int order = memcmp((uint8_t *) octets + a->key_at,
                       (uint8_t *) octets + b->key_at, common);

    if (order == 0) {
        order = (a->key_size > b->key_size) - (a->key_size < b->key_size);
    }

    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

dns_status_t
store_edit_sort(store_edit_t *edit, char *error)
{
    error[0] = '\0';
    store_edit_begin(edit);

    if (edit->failure != DNS_OK) {
        memcpy(error, edit->reason, STORE_ERROR_SIZE);
        return edit->failure;
    }

    if (!edit->is_sorted) {
        qsort_r(edit->changes, edit->change_count, sizeof(change_t),
                compare_changes, edit->octets);
        edit->is_sorted = true;
    }

    return DNS_OK;
}
