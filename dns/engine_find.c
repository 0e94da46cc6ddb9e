#include <string.h>

#include "dns/nsec3.h"
#include "dns/private/engine.h"

static bool
is_same_need(const dns_need_t *need, uint32_t zone_id, uint8_t apex_size,
             const dns_name_t *name)
{
    return !need->is_order && need->zone.id == zone_id &&
           need->zone.apex.size == apex_size && need->name.size == name->size &&
           memcmp(need->name.octets, name->octets, name->size) == 0;
}

/* zone: NULL if the name's zone is what is needed. */
/* What was noted; NULL: it was before, or there is no room. */
static dns_need_t *
note_need(answering_t *a, const dns_zone_t *zone, const dns_name_t *name)
{
    dns_answer_t *answer = a->answer;
    uint32_t zone_id = zone == NULL ? 0 : zone->id;
    uint8_t apex_size = zone == NULL ? 0 : zone->apex.size;

    for (unsigned i = 0; i < answer->need_count; i++) {
        if (is_same_need(&answer->needs[i], zone_id, apex_size, name)) {
            return NULL;
        }
    }

    if (answer->need_count == DNS_NEEDS_MAX) {
        return NULL;
    }

    dns_need_t *need = &answer->needs[answer->need_count++];

    need->is_order = false;
    need->first_labels = 0;
    dns_name_ancestor(&need->name, name, name->label_count);

    if (zone == NULL) {
        memset(&need->zone, 0, sizeof(need->zone));
    } else {
        memcpy(&need->zone, zone, sizeof(need->zone));
    }

    return need;
}

/* Of how many names of a path the records are asked for at once, at first; then
   of as many again as are known to exist. */
enum { PATH_STEP = 4 };

static bool
is_missing(answering_t *a, const dns_name_t *name, dns_lookup_t *lookup)
{
    return a->source->ops->lookup(a->source->data, &a->zone, name, lookup) ==
           DNS_NEEDS;
}

static void
need_wildcard(answering_t *a, const uint8_t *encloser)
{
    dns_name_t wildcard;
    dns_lookup_t ignored;

    if (dns_name_wildcard(&wildcard, encloser) == DNS_OK &&
        is_missing(a, &wildcard, &ignored)) {
        note_need(a, &a->zone, &wildcard);
    }
}

/* Where the source can guess how far the name exists, that part is asked for at
   once, with the name below it and the wildcard that would stand there.  False:
   it cannot, or these are known already. */
static bool
need_guessed(answering_t *a, const dns_name_t *name)
{
    const dns_source_t *source = a->source;
    unsigned encloser =
        source->ops->guess_encloser == NULL
            ? 0
            : source->ops->guess_encloser(source->data, &a->zone, name);
    const bool exists = encloser >= name->label_count;
    dns_name_t lowest;
    dns_lookup_t ignored;

    if (encloser == 0) {
        return false;
    }

    dns_name_ancestor(&lowest, name, exists ? name->label_count : encloser + 1);

    if (!is_missing(a, &lowest, &ignored)) {
        return false;
    }

    note_need(a, &a->zone, &lowest);

    if (!exists) {
        need_wildcard(a, dns_name_suffix(name, encloser));
    }

    return true;
}

/* A name's answer may depend on all of its ancestors (cuts, DNAME, SOA) and on
   their wildcards: asking for them together saves round trips.  Below a name
   that is absent nothing is: of a long name the first part is asked for first,
   and the name itself, for if it exists all its ancestors do. */
static void
need_path(answering_t *a, const dns_name_t *name)
{
    const unsigned apex_labels = a->zone.apex.label_count;
    unsigned lowest = 0;
    unsigned missing = 0;
    unsigned step = PATH_STEP;

    if (need_guessed(a, name)) {
        return;
    }

    for (unsigned n = apex_labels; n <= name->label_count; n++) {
        dns_name_t ancestor;
        dns_lookup_t lookup;

        dns_name_ancestor(&ancestor, name, n);

        if (!is_missing(a, &ancestor, &lookup)) {
            step = n - apex_labels > step ? n - apex_labels : step;
        } else if (missing++ <= step) {
            lowest = n;
        } else {
            break;
        }

        if (n < name->label_count && n - apex_labels <= PATH_STEP) {
            need_wildcard(a, dns_name_suffix(name, n));
        }
    }

    dns_need_t *need = missing > 0 ? note_need(a, &a->zone, name) : NULL;

    if (need != NULL) {
        need->first_labels = (uint8_t) lowest;
    }
}

dns_status_t
engine_lookup(answering_t *a, const dns_name_t *name, dns_lookup_t *out)
{
    dns_status_t status =
        a->source->ops->lookup(a->source->data, &a->zone, name, out);

    if (status == DNS_NEEDS) {
        need_path(a, name);
    }

    return status;
}

static void
note_order(answering_t *a)
{
    dns_answer_t *answer = a->answer;

    for (unsigned i = 0; i < answer->need_count; i++) {
        if (answer->needs[i].is_order) {
            return; /* one zone after the other */
        }
    }

    if (answer->need_count < DNS_NEEDS_MAX) {
        dns_need_t *need = &answer->needs[answer->need_count++];

        need->is_order = true;
        need->zone = a->zone;
        need->name = a->zone.apex;
    }
}

dns_status_t
engine_find_covering(answering_t *a, const dns_name_t *name, uint16_t type,
                     dns_name_t *owner, dns_node_t *node)
{
    dns_status_t status = a->source->ops->find_covering(
        a->source->data, &a->zone, name, type, owner, node);

    if (status == DNS_NEEDS && owner->size == 0) {
        note_order(a);
    } else if (status == DNS_NEEDS) {
        note_need(a, &a->zone, owner);
    }

    return status;
}

static dns_status_t
find_zone_above(answering_t *a, const dns_name_t *name, unsigned above)
{
    dns_status_t status =
        a->source->ops->find_zone(a->source->data, name, above, &a->zone);

    if (status == DNS_NEEDS) {
        note_need(a, NULL, name);
    }

    return status;
}

/* RFC 4035 section 3.1.4.1: the parent answers for DS; a server of the child
   alone says that the child has none. */
dns_status_t
engine_find_zone(answering_t *a, const dns_name_t *name, bool is_ds)
{
    dns_status_t status = find_zone_above(a, name, DNS_NAME_LABELS_MAX + 1);

    if (status != DNS_OK || !is_ds || name->label_count == 0 ||
        a->zone.apex.label_count != name->label_count) {
        return status;
    }

    status = find_zone_above(a, name, name->label_count);
    return status == DNS_ENOTFOUND
               ? find_zone_above(a, name, DNS_NAME_LABELS_MAX + 1)
               : status;
}

static bool
found_at(found_t *out, found_kind_t kind, unsigned labels,
         const dns_node_t *node)
{
    out->kind = kind;
    out->owner_labels = (uint8_t) labels;
    out->node = *node;
    return true;
}

/* Is an ancestor's node the end of the zone's authority for what is below it?
   RFC 1034 section 4.3.2 step 3b, RFC 6672 section 3.2. */
static bool
is_barrier(const answering_t *a, const dns_node_t *node, unsigned labels,
           found_t *out)
{
    dns_rrset_t rrset;

    if (labels > a->zone.apex.label_count &&
        dns_node_find(node, DNS_TYPE_NS, &rrset)) {
        return found_at(out, FOUND_CUT, labels, node);
    }

    if (dns_node_find(node, DNS_TYPE_DNAME, &rrset)) {
        return found_at(out, FOUND_REDIRECT, labels, node);
    }

    return false;
}

/* Goes from the apex down to the name, as the resolution would.  *is_found: a
   cut or a DNAME is on the way. */
static dns_status_t
find_barrier(answering_t *a, const dns_name_t *name, bool is_ds,
             const dns_lookup_t *own, found_t *out, bool *is_found)
{
    unsigned last = own->encloser_labels;
    dns_name_t ancestor;
    dns_lookup_t lookup;
    dns_rrset_t rrset;

    *is_found = false;

    for (unsigned n = a->zone.apex.label_count; n <= last; n++) {
        if (n == name->label_count) {
            *is_found = own->kind == DNS_LOOKUP_NODE && !is_ds &&
                        n > a->zone.apex.label_count &&
                        dns_node_find(&own->node, DNS_TYPE_NS, &rrset) &&
                        found_at(out, FOUND_CUT, n, &own->node);
            return DNS_OK;
        }

        dns_name_ancestor(&ancestor, name, n);

        dns_status_t status = engine_lookup(a, &ancestor, &lookup);

        if (status != DNS_OK) {
            return status;
        }

        if (lookup.kind == DNS_LOOKUP_NODE &&
            is_barrier(a, &lookup.node, n, out)) {
            *is_found = true;
            return DNS_OK;
        }
    }

    return DNS_OK;
}

/* RFC 4592 section 3.3.1: the source of synthesis stands right below the
   closest encloser. */
static dns_status_t
find_wildcard(answering_t *a, const dns_name_t *name, found_t *out)
{
    dns_name_t wildcard;
    dns_lookup_t lookup;

    out->kind = FOUND_NOTHING;

    if ((a->zone.flags & DNS_ZONE_NO_WILDCARDS) != 0 ||
        dns_name_wildcard(
            &wildcard, dns_name_suffix(name, out->encloser_labels)) != DNS_OK) {
        return DNS_OK;
    }

    dns_status_t status = engine_lookup(a, &wildcard, &lookup);

    if (status != DNS_OK || lookup.kind == DNS_LOOKUP_ABSENT) {
        return status;
    }

    out->kind = lookup.kind == DNS_LOOKUP_NODE ? FOUND_NODE : FOUND_EMPTY;
    out->is_wildcard = true;
    out->node = lookup.node;
    return DNS_OK;
}

/* Only NSEC3 and its signature. */
static bool
is_proof_alone(const dns_node_t *node)
{
    bool has_proof = false;
    dns_rrset_t rrset;

    for (size_t at = 0; dns_node_next(node, &at, &rrset);) {
        if (rrset.type != DNS_TYPE_NSEC3 && rrset.type != DNS_TYPE_RRSIG) {
            return false;
        }

        has_proof = has_proof || rrset.type == DNS_TYPE_NSEC3;
    }

    return has_proof;
}

/* RFC 5155 section 7.2.8: a name that owns only NSEC3 is as one that does not
   exist, for it is in no chain; so are those below it. */
static dns_status_t
hide_proof(answering_t *a, const dns_name_t *name, dns_lookup_t *own)
{
    const unsigned labels = a->zone.apex.label_count + 1;
    dns_name_t owner;
    dns_lookup_t lookup;

    if (own->kind == DNS_LOOKUP_EMPTY || own->encloser_labels != labels ||
        *dns_name_suffix(name, labels) != DNS_NSEC3_LABEL_SIZE) {
        return DNS_OK;
    }

    dns_name_ancestor(&owner, name, labels);

    dns_status_t status = engine_lookup(a, &owner, &lookup);

    if (status == DNS_OK && lookup.kind == DNS_LOOKUP_NODE &&
        is_proof_alone(&lookup.node)) {
        own->kind = DNS_LOOKUP_ABSENT;
        own->encloser_labels = (uint8_t) (labels - 1);
    }

    return status;
}

dns_status_t
engine_find(answering_t *a, const dns_name_t *name, bool is_ds, found_t *out)
{
    dns_lookup_t own;
    dns_status_t status = engine_lookup(a, name, &own);

    if (status == DNS_OK) {
        status = hide_proof(a, name, &own);
    }

    if (status != DNS_OK) {
        return status;
    }

    out->is_wildcard = false;
    out->encloser_labels = own.encloser_labels;

    if ((a->zone.flags & DNS_ZONE_NO_CUTS) == 0) {
        bool is_found;

        status = find_barrier(a, name, is_ds, &own, out, &is_found);

        if (status != DNS_OK || is_found) {
            return status;
        }
    }

    if (own.kind == DNS_LOOKUP_ABSENT) {
        return find_wildcard(a, name, out);
    }

    out->kind = own.kind == DNS_LOOKUP_NODE ? FOUND_NODE : FOUND_EMPTY;
    out->node = own.node;
    return DNS_OK;
}
