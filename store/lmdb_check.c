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
