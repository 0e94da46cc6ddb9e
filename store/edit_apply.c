#include <stdio.h>
#include <stdlib.h>

#include "dns/conflict.h"
#include "dns/octets.h"
#include "dns/rdata.h"
#include "dns/type.h"
#include "store/private/edit.h"

dns_status_t
store_fail_at(char *error, dns_status_t status, const uint8_t *name,
              const char *reason)
{
    char text[DNS_NAME_TEXT_SIZE];

    dns_name_to_text(text, name);
    snprintf(error, STORE_ERROR_SIZE, "%.300s: %.200s", text, reason);
    return status;
}

static const char *
check_apex(const dns_node_t *node, bool may_lack_ns)
{
    dns_rrset_t rrset;

    if (!dns_node_find(node, DNS_TYPE_SOA, &rrset)) {
        return "no SOA record at the top of the zone";
    }

    if (!may_lack_ns && !dns_node_find(node, DNS_TYPE_NS, &rrset)) {
        return "no NS record at the top of the zone";
    }

    return NULL;
}

/*
 * What a name server must refuse in a node; NULL: nothing.  The text follows
 * the owner's name and a colon.
 */
static const char *
check_node(const dns_node_t *node, bool is_apex, bool may_lack_ns)
{
    dns_conflict_t conflict;

    if (dns_conflict_find(node, is_apex, &conflict)) {
        return conflict.reason;
    }

    return is_apex ? check_apex(node, may_lack_ns) : NULL;
}

void
store_edit_owner(const store_edit_t *edit, const change_t *change,
                 uint8_t *name)
{
    if (dns_name_from_key(name, edit->octets + change->key_at, change->key_size,
                          edit->apex.octets) != DNS_OK) {
        name[0] = 0;
    }
}

static dns_status_t
fail_at_owner(const store_edit_t *edit, const change_t *change,
              dns_status_t status, const char *reason, char *error)
{
    uint8_t name[DNS_NAME_MAX];

    store_edit_owner(edit, change, name);
    return store_fail_at(error, status, name, reason);
}

static uint32_t
ttl_of(const change_t *change, const dns_node_builder_t *b)
{
    const dns_node_t node = dns_node_builder_node(b);
    dns_rrset_t set;

    if (change->ttl != STORE_TTL_OF_SET) {
        return change->ttl;
    }

    return dns_node_find(&node, change->type, &set) ? set.ttl
                                                    : STORE_TTL_DEFAULT;
}

static dns_status_t
change_node(const store_edit_t *edit, const change_t *change,
            dns_node_builder_t *b)
{
    const uint8_t *rdata = edit->octets + change->rdata_at;

    switch ((change_kind_t) change->kind) {
    case CHANGE_ADD:
        return dns_node_builder_add(b, change->type, ttl_of(change, b), rdata,
                                    change->rdata_size);
    case CHANGE_LOAD:
        return dns_node_builder_add_lowest(b, change->type, change->ttl, rdata,
                                           change->rdata_size);
    case CHANGE_REMOVE_RECORD:
    case CHANGE_REMOVE_RECORD_IF_ANY:
        return dns_node_builder_remove(b, change->type, rdata,
                                       change->rdata_size);
    default:
        return dns_node_builder_remove(b, change->type, NULL, 0);
    }
}

static bool
is_told(const store_edit_t *edit, const uint8_t *owner, uint16_t type)
{
    for (size_t i = 0; i < edit->ttls_count; i++) {
        if (edit->ttls[i].type == type &&
            dns_name_equal(edit->ttls[i].owner, owner)) {
            return true;
        }
    }

    return false;
}

/* Signatures have the TTLs of what they cover, and many of those. */
static void
note_ttls(store_edit_t *edit, const change_t *change,
          const dns_node_builder_t *b)
{
    const dns_node_t node = dns_node_builder_node(b);
    uint8_t owner[DNS_NAME_MAX];
    dns_rrset_t set;

    if (change->kind != CHANGE_LOAD || change->type == DNS_TYPE_RRSIG ||
        !dns_node_find(&node, change->type, &set) || set.ttl == change->ttl ||
        edit->ttls_count == TTLS_MAX) {
        return;
    }

    store_edit_owner(edit, change, owner);

    if (edit->ttls == NULL) {
        edit->ttls = calloc(TTLS_MAX, sizeof(*edit->ttls));
    }

    if (edit->ttls == NULL || is_told(edit, owner, change->type)) {
        return;
    }

    store_edit_ttls_t *ttls = &edit->ttls[edit->ttls_count++];
    const bool is_lower = change->ttl < set.ttl;

    memcpy(ttls->owner, owner, dns_name_size(owner));
    ttls->type = change->type;
    ttls->ttls[0] = is_lower ? change->ttl : set.ttl;
    ttls->ttls[1] = is_lower ? set.ttl : change->ttl;
    ttls->order = change->order;
}

static bool
may_find_nothing(const change_t *change)
{
    return change->kind == CHANGE_REMOVE_IF_ANY ||
           change->kind == CHANGE_REMOVE_RECORD_IF_ANY;
}

static dns_status_t
apply_change(store_edit_t *edit, const change_t *change, dns_node_builder_t *b,
             char *error)
{
    note_ttls(edit, change, b);

    dns_status_t status = change_node(edit, change, b);

    switch (status) {
    case DNS_OK:
        edit->result.set_was_there |= change->kind == CHANGE_REMOVE_IF_ANY;
        return DNS_OK;
    case DNS_EEXIST:
        return DNS_OK;
    case DNS_ENOTFOUND:
        return may_find_nothing(change)
                   ? DNS_OK
                   : fail_at_owner(edit, change, status, "no such record",
                                   error);
    case DNS_ELIMIT:
        return fail_at_owner(edit, change, status,
                             "too many records, or too large", error);
    default:
        return fail_at_owner(edit, change, status, dns_status_text(status),
                             error);
    }
}

dns_status_t
store_edit_check_unsigned(const store_edit_t *edit, const dns_node_t *apex,
                          char *error)
{
    dns_rrset_t rrset;

    if (!dns_node_find(apex, DNS_TYPE_RRSIG, &rrset)) {
        return DNS_OK;
    }

    return store_fail_at(error, DNS_ECONFLICT, edit->apex.octets,
                         "the zone is signed, and an edit would break its "
                         "signatures: change it where it is signed and load "
                         "the whole zone");
}

/* Where the serial of a node's SOA stands; NULL: there is none. */
static const uint8_t *
find_serial(const dns_node_t *apex)
{
    dns_rrset_t rrset;
    dns_rdata_t rdata;
    size_t at = 0;

    if (!dns_node_find(apex, DNS_TYPE_SOA, &rrset) ||
        !dns_rrset_next(&rrset, &at, &rdata)) {
        return NULL;
    }

    const uint8_t *serial = rdata.octets;

    serial += dns_name_size(serial);
    return serial + dns_name_size(serial);
}

uint32_t
store_node_serial(const dns_node_t *apex)
{
    const uint8_t *serial = find_serial(apex);

    return serial == NULL ? 0 : get32(serial);
}

void
store_raise_serial(const store_edit_t *edit, dns_node_builder_t *b)
{
    const dns_node_t node = dns_node_builder_node(b);
    const uint8_t *serial = find_serial(&node);

    if (serial != NULL) { /* without a rule it is that of zeros: increase */
        put32(b->octets + (serial - b->octets),
              store_next_serial(&edit->serial_rule, get32(serial)));
    }
}

/* A SOA that the edit sets has the serial that its rule says. */
static void
raise_given_serial(const store_edit_t *edit, const change_t *change,
                   dns_node_builder_t *b)
{
    if (change->key_size == 0 && edit->sets_soa && edit->has_serial_rule) {
        store_raise_serial(edit, b);
    }
}

static bool
is_same_owner(const store_edit_t *edit, const change_t *a, const change_t *b)
{
    return a->key_size == b->key_size &&
           (a->key_at == b->key_at ||
            memcmp(edit->octets + a->key_at, edit->octets + b->key_at,
                   a->key_size) == 0);
}

size_t
store_edit_group_end(const store_edit_t *edit, size_t first)
{
    size_t end = first + 1;

    while (end < edit->change_count &&
           is_same_owner(edit, &edit->changes[first], &edit->changes[end])) {
        end++;
    }

    return end;
}

dns_status_t
store_edit_next_node(const store_edit_t *edit, size_t *at, uint8_t *owner,
                     dns_node_builder_t *b)
{
    if (*at == edit->change_count) {
        return DNS_ENOTFOUND;
    }

    const size_t first = *at;
    dns_status_t status = dns_node_builder_reset(b, NULL);

    *at = store_edit_group_end(edit, first);
    store_edit_owner(edit, &edit->changes[first], owner);

    for (size_t i = first; i < *at && status != DNS_ENOMEM; i++) {
        status = change_node(edit, &edit->changes[i], b);
    }

    raise_given_serial(edit, &edit->changes[first], b);
    return status == DNS_ENOMEM ? status : DNS_OK;
}

size_t
store_edit_owners(const store_edit_t *edit, uint8_t *out, size_t room)
{
    size_t size = 0;
    size_t at = 0;

    while (at < edit->change_count && room - size >= DNS_NAME_MAX) {
        store_edit_owner(edit, &edit->changes[at], out + size);
        size += dns_name_size(out + size);
        at = store_edit_group_end(edit, at);
    }

    return size;
}

dns_status_t
store_edit_change(store_edit_t *edit, size_t first, size_t end,
                  dns_node_builder_t *b, char *error)
{
    dns_status_t status = DNS_OK;

    for (size_t i = first; i < end && status == DNS_OK; i++) {
        status = apply_change(edit, &edit->changes[i], b, error);
    }

    return status;
}

dns_status_t
store_edit_apply(store_edit_t *edit, size_t first, size_t end,
                 dns_node_builder_t *b, char *error)
{
    const change_t *change = &edit->changes[first];
    dns_status_t status = store_edit_change(edit, first, end, b, error);

    if (status != DNS_OK) {
        return status;
    }

    raise_given_serial(edit, change, b);

    dns_node_t node = dns_node_builder_node(b);
    const char *reason =
        check_node(&node, change->key_size == 0, edit->may_lack_ns);

    return reason == NULL
               ? DNS_OK
               : fail_at_owner(edit, change, DNS_ECONFLICT, reason, error);
}
