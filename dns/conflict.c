#include "dns/conflict.h"

#include "dns/rdata.h"

/* RFC 1034 section 3.6.2, RFC 4034 section 2.5 and RFC 3007 section 3.1. */
static bool
may_stand_beside_cname(uint16_t type)
{
    return type == DNS_TYPE_CNAME || type == DNS_TYPE_RRSIG ||
           type == DNS_TYPE_NSEC || type == DNS_TYPE_KEY;
}

static bool
has_cname_beside_other_data(const dns_node_t *node)
{
    dns_rrset_t rrset;

    for (size_t at = 0; dns_node_next(node, &at, &rrset);) {
        if (!may_stand_beside_cname(rrset.type)) {
            return true;
        }
    }

    return false;
}

static bool
has_several(const dns_node_t *node, uint16_t type)
{
    dns_rrset_t rrset;

    return dns_node_find(node, type, &rrset) && rrset.count != 1;
}

static bool
has(const dns_node_t *node, uint16_t type)
{
    dns_rrset_t rrset;

    return dns_node_find(node, type, &rrset);
}

static const dns_conflict_t *
find(const dns_node_t *node, bool is_apex)
{
    static const dns_conflict_t beside = {DNS_TYPE_CNAME,
                                          "CNAME beside other data", false};
    static const dns_conflict_t cnames = {DNS_TYPE_CNAME,
                                          "more than one CNAME record", true};
    static const dns_conflict_t dnames = {/* RFC 6672 section 2.4 */
                                          DNS_TYPE_DNAME,
                                          "more than one DNAME record", true};
    static const dns_conflict_t dname = {
        DNS_TYPE_DNAME, "DNAME beside NS below the top of the zone", false};
    static const dns_conflict_t soa = {
        DNS_TYPE_SOA, "SOA record below the top of the zone", false};
    static const dns_conflict_t soas = {DNS_TYPE_SOA,
                                        "more than one SOA record", true};

    if (has(node, DNS_TYPE_CNAME)) {
        if (has_cname_beside_other_data(node)) {
            return &beside;
        }
        if (has_several(node, DNS_TYPE_CNAME)) {
            return &cnames;
        }
    }

    if (has_several(node, DNS_TYPE_DNAME)) {
        return &dnames;
    }

    if (is_apex) {
        return has_several(node, DNS_TYPE_SOA) ? &soas : NULL;
    }

    return has(node, DNS_TYPE_DNAME) && has(node, DNS_TYPE_NS) ? &dname
           : has(node, DNS_TYPE_SOA)                           ? &soa
                                                               : NULL;
}

bool
dns_conflict_find(const dns_node_t *node, bool is_apex, dns_conflict_t *out)
{
    const dns_conflict_t *found = find(node, is_apex);

    if (found != NULL) {
        *out = *found;
    }

    return found != NULL;
}

/* Of several records of the type only the first one stays. */
static dns_status_t
keep_first(dns_node_builder_t *b, uint16_t type)
{
    const dns_node_t node = dns_node_builder_node(b);
    uint8_t first[DNS_RDATA_MAX];
    dns_rdata_t rdata;
    dns_rrset_t rrset;
    size_t at = 0;

    if (!dns_node_find(&node, type, &rrset) ||
        !dns_rrset_next(&rrset, &at, &rdata)) {
        return DNS_ENOTFOUND;
    }

    memcpy(first, rdata.octets, rdata.size);

    const dns_status_t status = dns_node_builder_remove(b, type, NULL, 0);

    return status == DNS_OK
               ? dns_node_builder_add(b, type, rrset.ttl, first, rdata.size)
               : status;
}

bool
dns_conflict_remove(dns_node_builder_t *b, bool is_apex, dns_conflict_t *out)
{
    const dns_node_t node = dns_node_builder_node(b);

    if (!dns_conflict_find(&node, is_apex, out)) {
        return false;
    }

    return (out->keeps_first
                ? keep_first(b, out->type)
                : dns_node_builder_remove(b, out->type, NULL, 0)) == DNS_OK;
}

void
dns_conflict_text(char *out, const dns_name_t *name,
                  const dns_conflict_t *conflict)
{
    size_t size = dns_name_to_text(out, name->octets);

    out[size++] = ' ';
    (void) dns_type_to_text(out + size, conflict->type);
}
