#include <string.h>

#include "dns/octets.h"
#include "dns/private/engine.h"
#include "dns/rdata.h"

enum {
    SOA_MINIMUM_FROM_END = 4, /* octets: RFC 1035 section 3.3.13 */
};

/* Where the message holds an owner name already: an ancestor of the name that
   is looked up lies inside it. */
static uint16_t
offset_of(const answering_t *a, const uint8_t *owner)
{
    uintptr_t at = (uintptr_t) owner - (uintptr_t) a->owner;

    return a->owner_at != 0 && at + 1 < a->name->size
               ? (uint16_t) (a->owner_at + at)
               : 0;
}

/* The lowest TTL of all records is the answer's. */
static void
note_ttl(answering_t *a, uint32_t ttl)
{
    if (ttl < a->answer->ttl) {
        a->answer->ttl = ttl;
    }
}

/* The type that a signature covers stands first: RFC 4034 section 3.1. */
static bool
covers(const dns_rdata_t *signature, const dns_rrset_t *covered)
{
    return signature->size >= 2 && get16(signature->octets) == covered->type;
}

/* The signatures of one set; with covered NULL all of the node's, each with
   the TTL of the set that it covers. */
static dns_status_t
put_signatures(answering_t *a, dns_section_t section, const uint8_t *owner,
               const dns_node_t *node, const dns_rrset_t *covered)
{
    dns_rrset_t signatures;
    dns_rdata_t rdata;

    if (!dns_node_find(node, DNS_TYPE_RRSIG, &signatures)) {
        return DNS_OK;
    }

    for (size_t at = 0; dns_rrset_next(&signatures, &at, &rdata);) {
        if (covered != NULL && !covers(&rdata, covered)) {
            continue;
        }

        dns_writer_record_t record = {
            .owner = owner,
            .owner_at = offset_of(a, owner),
            .type = DNS_TYPE_RRSIG,
            .class_ = DNS_CLASS_IN,
            .ttl = covered != NULL ? covered->ttl
                                   : dns_node_ttl(node, &signatures, &rdata),
            .rdata_size = rdata.size,
            .rdata = rdata.octets,
        };
        dns_status_t status =
            dns_writer_put_record(&a->writer, section, &record);

        if (status != DNS_OK) {
            return status;
        }

        note_ttl(a, record.ttl);
    }

    return DNS_OK;
}

/* The same rdata may belong to several owners: those of a wildcard. */
static bool
is_put(const answering_t *a, const uint8_t *owner, const dns_rrset_t *rrset)
{
    for (unsigned i = 0; i < a->put_count; i++) {
        if (a->put[i].rdata == rrset->rdata &&
            dns_name_equal(a->put[i].owner, owner)) {
            return true;
        }
    }

    return false;
}

static void
note_put(answering_t *a, const uint8_t *owner, const dns_rrset_t *rrset)
{
    if (a->put_count < PUT_SETS_MAX) {
        a->put[a->put_count++] = (put_set_t){rrset->rdata, owner};
    }

    note_ttl(a, rrset->ttl);
}

/* A set with its signatures (from the same node) if the client wants them.
   false: it did not fit, and nothing of it was written. */
static bool
engine_put(answering_t *a, dns_section_t section, const uint8_t *owner,
           const dns_node_t *node, const dns_rrset_t *rrset)
{
    if (a->is_full || is_put(a, owner, rrset)) {
        return true;
    }

    bool is_signatures = rrset->type == DNS_TYPE_RRSIG;

    if (!a->dnssec_ok && !is_signatures) {
        if (dns_writer_put_rrset(&a->writer, section, owner,
                                 offset_of(a, owner), rrset) != DNS_OK) {
            return false;
        }
        note_put(a, owner, rrset);
        return true;
    }

    dns_writer_mark_t mark = dns_writer_mark(&a->writer);
    dns_status_t status =
        is_signatures ? DNS_OK
                      : dns_writer_put_rrset(&a->writer, section, owner,
                                             offset_of(a, owner), rrset);

    if (status == DNS_OK) {
        status = put_signatures(a, section, owner, node,
                                is_signatures ? NULL : rrset);
    }

    if (status != DNS_OK) {
        dns_writer_rewind(&a->writer, &mark);
        return false;
    }

    note_put(a, owner, rrset);
    return true;
}

void
engine_put_needed(answering_t *a, dns_section_t section, const uint8_t *owner,
                  const dns_node_t *node, const dns_rrset_t *rrset)
{
    if (!engine_put(a, section, owner, node, rrset)) {
        a->is_full = true; /* RFC 2181 section 9 */
    }
}

static void
note_targets(answering_t *a, const uint8_t *owner, const dns_rrset_t *rrset)
{
    if (dns_rdata_has_target(rrset->type) &&
        a->target_count < TARGET_SETS_MAX) {
        a->targets[a->target_count++] = (target_set_t){*rrset, owner};
    }
}

static void
put_answer_set(answering_t *a, const dns_node_t *node, const dns_rrset_t *rrset)
{
    engine_put_needed(a, DNS_ANSWER, a->owner, node, rrset);
    a->has_answer = true;
}

static bool
is_dnssec_type(uint16_t type)
{
    return type == DNS_TYPE_RRSIG || type == DNS_TYPE_NSEC ||
           type == DNS_TYPE_NSEC3;
}

/* RFC 8482 section 4.1: one set of those that there are, over datagrams. */
static dns_status_t
put_any(answering_t *a, const dns_node_t *node)
{
    bool is_minimal = a->query->transport == DNS_OVER_UDP;
    dns_rrset_t rrset;
    bool has_put = false;

    for (size_t at = 0; dns_node_next(node, &at, &rrset);) {
        if (a->dnssec_ok && rrset.type == DNS_TYPE_RRSIG) {
            continue; /* goes with the sets that it signs */
        }

        if (is_minimal && is_dnssec_type(rrset.type)) {
            continue;
        }

        put_answer_set(a, node, &rrset);
        has_put = true;

        if (is_minimal) {
            break;
        }
    }

    return has_put ? DNS_OK : DNS_ENOTFOUND;
}

dns_status_t
engine_put_answer(answering_t *a, const dns_node_t *node)
{
    dns_rrset_t rrset;

    if (a->query->qtype == DNS_TYPE_ANY) {
        return put_any(a, node);
    }

    if (!dns_node_find(node, a->query->qtype, &rrset)) {
        return DNS_ENOTFOUND;
    }

    put_answer_set(a, node, &rrset);
    note_targets(a, a->owner, &rrset);
    return DNS_OK;
}

dns_status_t
engine_put_soa(answering_t *a)
{
    dns_lookup_t apex;
    dns_rrset_t rrset;
    dns_rdata_t soa;
    size_t at = 0;
    dns_status_t status = engine_lookup(a, &a->zone.apex, &apex);

    if (status != DNS_OK) {
        return status;
    }

    if (apex.kind != DNS_LOOKUP_NODE ||
        !dns_node_find(&apex.node, DNS_TYPE_SOA, &rrset) ||
        !dns_rrset_next(&rrset, &at, &soa) || soa.size < 22) {
        return DNS_ESTORE;
    }

    /* RFC 2308 section 3. */
    uint32_t minimum = get32(soa.octets + soa.size - SOA_MINIMUM_FROM_END);

    if (minimum < rrset.ttl) {
        rrset.ttl = minimum;
    }

    engine_put_needed(a, DNS_AUTHORITY,
                      engine_owner(a, a->zone.apex.label_count), &apex.node,
                      &rrset);
    return DNS_OK;
}

/* The addresses at a node; false: a set did not fit. */
static bool
put_addresses(answering_t *a, const uint8_t *owner, const dns_node_t *node)
{
    static const uint16_t types[] = {DNS_TYPE_A, DNS_TYPE_AAAA};
    bool fits = true;
    dns_rrset_t rrset;

    for (int i = 0; i < 2; i++) {
        if (dns_node_find(node, types[i], &rrset)) {
            fits = engine_put(a, DNS_ADDITIONAL, owner, node, &rrset) && fits;
        }
    }

    return fits;
}

static bool
is_below(const dns_name_t *name, const uint8_t *ancestor, unsigned labels)
{
    return name->label_count >= labels &&
           dns_name_equal(dns_name_suffix(name, labels), ancestor);
}

static bool
is_signed(const answering_t *a, const dns_node_t *node)
{
    dns_rrset_t rrset;

    return a->dnssec_ok && dns_node_find(node, DNS_TYPE_RRSIG, &rrset);
}

/* The glue of one host (RFC 9471 section 3.1: what lies in the delegated zone
   has to be there, or the answer is truncated). */
static dns_status_t
put_glue(answering_t *a, const uint8_t *host, const found_t *cut,
         bool is_inside)
{
    const uint8_t *cut_name = dns_name_suffix(a->name, cut->owner_labels);
    dns_name_t name;
    dns_lookup_t lookup;

    dns_name_set(&name, host);

    if (!is_below(&name, a->zone.apex.octets, a->zone.apex.label_count) ||
        is_below(&name, cut_name, cut->owner_labels) != is_inside) {
        return DNS_OK;
    }

    dns_status_t status = engine_lookup(a, &name, &lookup);

    if (status == DNS_OK && lookup.kind == DNS_LOOKUP_NODE &&
        !put_addresses(a, host, &lookup.node) && is_inside) {
        a->is_full = true;
    }

    return status;
}

/* DNS_NEEDS once all hosts were asked for. */
static dns_status_t
put_all_glue(answering_t *a, const dns_rrset_t *ns, const found_t *cut,
             bool is_inside)
{
    dns_status_t result = DNS_OK;
    dns_rdata_t rdata;

    for (size_t at = 0; dns_rrset_next(ns, &at, &rdata);) {
        dns_status_t status = put_glue(a, rdata.octets, cut, is_inside);

        if (status == DNS_NEEDS) {
            result = status;
        } else if (status != DNS_OK) {
            return status;
        }
    }

    return result;
}

dns_status_t
engine_put_referral(answering_t *a, const found_t *cut)
{
    const uint8_t *owner = engine_owner(a, cut->owner_labels);
    dns_status_t status = DNS_OK;
    dns_rrset_t ns;
    dns_rrset_t ds;

    if (!dns_node_find(&cut->node, DNS_TYPE_NS, &ns)) {
        return DNS_ESTORE;
    }

    if (!a->has_answer) {
        a->is_authoritative = false;
    }

    engine_put_needed(a, DNS_AUTHORITY, owner, &cut->node, &ns);

    /* Without signatures DS is of no use, and the peers leave it out. */
    if (!is_signed(a, &cut->node)) {
        status = a->dnssec_ok ? engine_put_insecure(a, cut) : DNS_OK;
    } else if (dns_node_find(&cut->node, DNS_TYPE_DS, &ds)) {
        engine_put_needed(a, DNS_AUTHORITY, owner, &cut->node, &ds);
    } else {
        status = engine_put_insecure(a, cut);
    }

    a->cut = *cut;
    a->has_cut = true; /* the glue comes when the authority section is done */
    return status;
}

/* What lies inside the delegated zone first: it has to be there. */
static dns_status_t
put_referral_glue(answering_t *a)
{
    dns_rrset_t ns;
    dns_status_t siblings = DNS_OK;

    if (!dns_node_find(&a->cut.node, DNS_TYPE_NS, &ns)) {
        return DNS_ESTORE;
    }

    dns_status_t status = put_all_glue(a, &ns, &a->cut, true);

    if (status == DNS_OK || status == DNS_NEEDS) {
        siblings = put_all_glue(a, &ns, &a->cut, false);
    }

    return status != DNS_OK ? status : siblings;
}

static bool
is_service_binding(uint16_t type)
{
    return type == DNS_TYPE_SVCB || type == DNS_TYPE_HTTPS;
}

/* What the additional section holds for a host: its addresses; for a NAPTR
   with the flag "s" its SRV set (RFC 3403 section 4.1, RFC 3404 section 4.3);
   for an SVCB or HTTPS in AliasMode its own set of that type beside the
   addresses, as a client would ask for it next (RFC 9460 section 4.1). */
typedef enum {
    HOST_NONE,
    HOST_ADDRESSES,
    HOST_SERVICE,
    HOST_ALIAS,
} host_kind_t;

static host_kind_t
host_kind(uint16_t type, const dns_rdata_t *rdata)
{
    if (is_service_binding(type)) {
        return get16(rdata->octets) == 0 ? HOST_ALIAS : HOST_ADDRESSES;
    }

    if (type != DNS_TYPE_NAPTR) {
        return HOST_ADDRESSES;
    }

    /* Order, preference, then the flags as a character string. */
    if (rdata->size < 6 || rdata->octets[4] != 1) {
        return HOST_NONE;
    }

    switch (lower(rdata->octets[5])) {
    case 'a':
        return HOST_ADDRESSES;
    case 's':
        return HOST_SERVICE;
    default:
        return HOST_NONE;
    }
}

/* The sets of a host that the kind asks for.  The targets of an alias's own set
   are looked at in their turn. */
static void
put_host_sets(answering_t *a, const uint8_t *host, const dns_node_t *node,
              uint16_t type, host_kind_t kind)
{
    uint16_t wanted = kind == HOST_SERVICE ? DNS_TYPE_SRV : type;
    dns_rrset_t rrset;

    if (kind != HOST_ADDRESSES && dns_node_find(node, wanted, &rrset) &&
        !is_put(a, host, &rrset)) {
        engine_put(a, DNS_ADDITIONAL, host, node, &rrset);

        if (kind == HOST_ALIAS) {
            note_targets(a, host, &rrset);
        }
    }

    if (kind != HOST_SERVICE) {
        put_addresses(a, host, node);
    }
}

/* What the zone would answer for one host. */
static dns_status_t
put_host(answering_t *a, const uint8_t *host, uint16_t type, host_kind_t kind)
{
    dns_name_t name;
    found_t found;

    dns_name_set(&name, host);

    if (!is_below(&name, a->zone.apex.octets, a->zone.apex.label_count)) {
        return DNS_OK;
    }

    dns_status_t status = engine_find(a, &name, false, &found);

    if (status != DNS_OK) {
        return status;
    }

    if (found.kind == FOUND_NODE) {
        put_host_sets(a, host, &found.node, type, kind);
    }

    if (found.kind == FOUND_CUT && type == DNS_TYPE_NS) {
        dns_lookup_t lookup;

        status = engine_lookup(a, &name, &lookup);
        if (status == DNS_OK && lookup.kind == DNS_LOOKUP_NODE) {
            put_addresses(a, host, &lookup.node);
        }
    }

    return status;
}

static dns_status_t
put_hosts(answering_t *a, const target_set_t *set)
{
    uint16_t type = set->rrset.type;
    dns_status_t result = DNS_OK;
    dns_rdata_t rdata;

    for (size_t at = 0; dns_rrset_next(&set->rrset, &at, &rdata);) {
        const uint8_t *host = dns_rdata_target(type, rdata.octets, rdata.size);

        host_kind_t kind = host_kind(type, &rdata);

        if (host == NULL || kind == HOST_NONE) {
            continue;
        }

        /* RFC 9460 section 2.5: of AliasMode, that there is no service; of
           ServiceMode, the owner itself. */
        if (host[0] == 0 && kind == HOST_ALIAS) {
            continue;
        }

        if (host[0] == 0 && is_service_binding(type)) {
            host = set->owner;
        }

        dns_status_t status = put_host(a, host, type, kind);

        if (status == DNS_NEEDS) {
            result = status;
        } else if (status != DNS_OK) {
            return status;
        }
    }

    return result;
}

dns_status_t
engine_put_additional(answering_t *a)
{
    dns_status_t result = a->has_cut ? put_referral_glue(a) : DNS_OK;

    if (result != DNS_OK && result != DNS_NEEDS) {
        return result;
    }

    for (unsigned i = 0; i < a->target_count && !a->is_full; i++) {
        dns_status_t status = put_hosts(a, &a->targets[i]);

        if (status == DNS_NEEDS) {
            result = status;
        } else if (status != DNS_OK) {
            return status;
        }
    }

    return result;
}
