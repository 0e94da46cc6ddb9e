#include "dns/covering.h"

#include <string.h>

#include "dns/nsec3.h"
#include "dns/type.h"

enum {
    PASSED_MAX = 256, /* owners without the type that one search passes over */
};

static dns_order_list_t
list_of(const dns_covering_t *where)
{
    return where->type == DNS_TYPE_NSEC3 ? DNS_ORDER_HASHES : DNS_ORDER_OWNERS;
}

/* The owner before it; before the first comes the last, as a chain of NSEC3 is
   closed.  number: from 1; 0 at the end. */
static size_t
step_back(const dns_covering_t *where, size_t number)
{
    if (number > 1 || where->type != DNS_TYPE_NSEC3) {
        return number - 1;
    }

    return dns_order_count(where->order, list_of(where));
}

/* The uppermost ancestor that is a delegation or has a DNAME: what lies below
   one has no NSEC, however much it is.  Gives its number, or the owner's. */
static size_t
pass_occluded(const dns_covering_t *where, const dns_name_t *owner,
              size_t number)
{
    const unsigned apex_labels = where->zone->apex.label_count;
    dns_rrset_t rrset;

    for (unsigned n = apex_labels + 1; n < owner->label_count; n++) {
        dns_name_t ancestor;

        dns_name_ancestor(&ancestor, owner, n);

        dns_node_t node =
            dns_fetched_node(where->set, where->zone->id, ancestor.octets);

        if (dns_node_find(&node, DNS_TYPE_NS, &rrset) ||
            dns_node_find(&node, DNS_TYPE_DNAME, &rrset)) {
            return dns_order_before(where->order, DNS_ORDER_OWNERS, &ancestor);
        }
    }

    return number;
}

/* The records of the owner, and of so many more before it, that are not known
   yet. */
static dns_status_t
want(const dns_covering_t *where, size_t number, size_t count)
{
    dns_need_t need = {.zone = *where->zone};
    dns_status_t status = DNS_OK;

    for (; status == DNS_OK && count > 0 && number > 0; count--) {
        dns_order_get(where->order, list_of(where), number - 1, &need.name);

        if (!dns_fetched_knows(where->set, need.zone.id, need.name.octets)) {
            status = dns_fetched_want_all(where->set, &need, 1);
        }

        number--;
    }

    return status;
}

dns_status_t
dns_covering_find(const dns_covering_t *where, const dns_name_t *name,
                  dns_name_t *owner, dns_node_t *node)
{
    const dns_order_list_t list = list_of(where);
    size_t number = dns_order_before(where->order, list, name);
    dns_rrset_t rrset;

    if (number == 0) {
        number = step_back(where, 1);
    }

    for (unsigned passed = 0; number > 0 && passed < PASSED_MAX; passed++) {
        dns_order_get(where->order, list, number - 1, owner);

        if (!dns_fetched_knows(where->set, where->zone->id, owner->octets)) {
            const dns_status_t status = want(where, number, 1 + passed);

            return status == DNS_OK ? DNS_NEEDS : status;
        }

        *node = dns_fetched_node(where->set, where->zone->id, owner->octets);

        if (dns_node_find(node, where->type, &rrset)) {
            return DNS_OK;
        }

        const size_t uppermost = where->type == DNS_TYPE_NSEC
                                     ? pass_occluded(where, owner, number)
                                     : number;

        number = uppermost < number ? uppermost : step_back(where, number);
    }

    return DNS_ENOTFOUND;
}

/* The place of a name in a chain that begins again behind its last owner: is it
   from the owner on, and before the next one? */
static bool
is_between(int from_owner, int to_next, int owner_to_next)
{
    return owner_to_next < 0 ? from_owner >= 0 && to_next < 0
                             : from_owner >= 0 || to_next < 0;
}

static bool
nsec_reaches(const dns_rdata_t *rdata, const dns_name_t *name,
             const dns_name_t *owner)
{
    return is_between(dns_name_compare(name->octets, owner->octets),
                      dns_name_compare(name->octets, rdata->octets),
                      dns_name_compare(owner->octets, rdata->octets));
}

/* name: a hash under the apex, as the owner is. */
static bool
nsec3_reaches(const dns_rdata_t *rdata, const dns_name_t *name,
              const dns_name_t *owner)
{
    const size_t size_at = DNS_NSEC3_SALT_AT + (size_t) rdata->octets[4];
    uint8_t next[DNS_NSEC3_LABEL_SIZE];

    if (rdata->size < size_at + 1u + DNS_NSEC3_HASH_SIZE ||
        rdata->octets[size_at] != DNS_NSEC3_HASH_SIZE ||
        name->octets[0] != DNS_NSEC3_LABEL_SIZE ||
        owner->octets[0] != DNS_NSEC3_LABEL_SIZE) {
        return false;
    }

    dns_nsec3_label(rdata->octets + size_at + 1, next);

    const uint8_t *hash = name->octets + 1;
    const uint8_t *own = owner->octets + 1;

    return is_between(memcmp(hash, own, DNS_NSEC3_LABEL_SIZE),
                      memcmp(hash, next, DNS_NSEC3_LABEL_SIZE),
                      memcmp(own, next, DNS_NSEC3_LABEL_SIZE));
}

bool
dns_covering_reaches(const dns_covering_t *where, const dns_name_t *name,
                     const dns_name_t *owner, const dns_node_t *node)
{
    dns_rrset_t rrset;
    dns_rdata_t rdata;

    if (!dns_node_find(node, where->type, &rrset)) {
        return false;
    }

    for (size_t at = 0; dns_rrset_next(&rrset, &at, &rdata);) {
        if (where->type == DNS_TYPE_NSEC3 ? nsec3_reaches(&rdata, name, owner)
                                          : nsec_reaches(&rdata, name, owner)) {
            return true;
        }
    }

    return false;
}
