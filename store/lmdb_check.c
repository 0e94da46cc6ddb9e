#include "dns/type.h"
#include "store/private/lmdb.h"

bool
lmdb_key_is_wildcard(const uint8_t *key, size_t size)
{
    for (size_t at = 0; at + 1 < size; at++) {
        if (key[at] == '*' && key[at + 1] == 0 &&
            (at == 0 || key[at - 1] == 0)) {
            return true;
        }
    }

    return false;
}

bool
lmdb_node_is_cut(const dns_node_t *node, bool is_apex)
{
    dns_rrset_t rrset;

    return (!is_apex && dns_node_find(node, DNS_TYPE_NS, &rrset)) ||
           dns_node_find(node, DNS_TYPE_DNAME, &rrset);
}

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

static const char *
check_apex(const dns_node_t *node)
{
    dns_rrset_t rrset;

    if (!dns_node_find(node, DNS_TYPE_SOA, &rrset)) {
        return "no SOA record at the top of the zone";
    }

    if (rrset.count != 1) {
        return "more than one SOA record";
    }

    if (!dns_node_find(node, DNS_TYPE_NS, &rrset)) {
        return "no NS record at the top of the zone";
    }

    return NULL;
}

const char *
lmdb_check_node(const dns_node_t *node, bool is_apex)
{
    dns_rrset_t rrset;
    dns_rrset_t other;

    if (dns_node_find(node, DNS_TYPE_CNAME, &rrset)) {
        if (has_cname_beside_other_data(node)) {
            return "CNAME beside other data";
        }
        if (rrset.count != 1) {
            return "more than one CNAME record";
        }
    }

    if (dns_node_find(node, DNS_TYPE_DNAME, &rrset)) {
        if (rrset.count != 1) { /* RFC 6672 section 2.4 */
            return "more than one DNAME record";
        }
        if (!is_apex && dns_node_find(node, DNS_TYPE_NS, &other)) {
            return "DNAME beside NS below the top of the zone";
        }
    }

    if (!is_apex && dns_node_find(node, DNS_TYPE_SOA, &rrset)) {
        return "SOA record below the top of the zone";
    }

    return is_apex ? check_apex(node) : NULL;
}
