#include "dns/node.h"

#include <stdlib.h>

#include "dns/octets.h"
#include "dns/rdata.h"
#include "dns/type.h"

enum {
    TYPE_AT = 0,
    COUNT_AT = 2,
    TTL_AT = 4,
    SIZE_AT = 8,
    RECORD_HEADER_SIZE = 2, /* octets: the rdata's size */
    CAPACITY_MIN = 256,     /* octets */
    RRSIG_TTL_AT = 4,       /* of its rdata: RFC 4034 section 3.1 */
};

static dns_status_t
check_rrset(const dns_rrset_t *rrset)
{
    dns_rdata_t previous = {NULL, 0};
    dns_rdata_t rdata;
    unsigned count = 0;
    size_t at = 0;

    if (rrset->size > DNS_RRSET_SIZE_MAX) {
        return DNS_EMALFORMED;
    }

    for (; dns_rrset_next(rrset, &at, &rdata); count++) {
        if (dns_rdata_check(rrset->type, rdata.octets, rdata.size) != DNS_OK) {
            return DNS_EMALFORMED;
        }

        if (count > 0 &&
            dns_rdata_compare(rrset->type, previous.octets, previous.size,
                              rdata.octets, rdata.size) >= 0) {
            return DNS_EMALFORMED;
        }

        previous = rdata;
    }

    return at == rrset->size && count == rrset->count && count > 0 &&
                   count <= DNS_RRSET_RECORDS_MAX
               ? DNS_OK
               : DNS_EMALFORMED;
}

bool
dns_node_has_signature(const dns_node_t *node, uint16_t type, uint32_t *ttl)
{
    dns_rrset_t signatures;
    dns_rdata_t rdata;

    if (!dns_node_find(node, DNS_TYPE_RRSIG, &signatures)) {
        return false;
    }

    for (size_t at = 0; dns_rrset_next(&signatures, &at, &rdata);) {
        if (rdata.size >= RRSIG_TTL_AT + 4 && get16(rdata.octets) == type) {
            *ttl = get32(rdata.octets + RRSIG_TTL_AT);
            return true;
        }
    }

    return false;
}

uint32_t
dns_node_ttl(const dns_node_t *node, const dns_rrset_t *rrset,
             const dns_rdata_t *rdata)
{
    dns_rrset_t covered;

    if (rrset->type != DNS_TYPE_RRSIG || rdata->size < 2 ||
        !dns_node_find(node, get16(rdata->octets), &covered)) {
        return rrset->ttl;
    }

    return covered.ttl;
}

dns_status_t
dns_node_check(const dns_node_t *node)
{
    dns_rrset_t rrset;
    int type = -1;
    size_t at = 0;

    if (node->size > DNS_NODE_SIZE_MAX) {
        return DNS_EMALFORMED;
    }

    while (dns_node_next(node, &at, &rrset)) {
        if (rrset.type <= type || check_rrset(&rrset) != DNS_OK) {
            return DNS_EMALFORMED;
        }

        type = rrset.type;
    }

    return at == node->size ? DNS_OK : DNS_EMALFORMED;
}

void
dns_node_builder_free(dns_node_builder_t *b)
{
    free(b->octets);
    *b = (dns_node_builder_t){0};
}

dns_node_t
dns_node_builder_node(const dns_node_builder_t *b)
{
    return (dns_node_t){b->octets, b->size};
}

static dns_status_t
reserve(dns_node_builder_t *b, size_t size)
{
    if (size > DNS_NODE_SIZE_MAX) {
        return DNS_ELIMIT;
    }

    if (size <= b->capacity) {
        return DNS_OK;
    }

    size_t capacity = b->capacity == 0 ? CAPACITY_MIN : 2u * b->capacity;

    while (capacity < size) {
        capacity *= 2;
    }

    uint8_t *octets = realloc(b->octets, capacity);

    if (octets == NULL) {
        return DNS_ENOMEM;
    }

    b->octets = octets;
    b->capacity = (uint32_t) capacity;
    return DNS_OK;
}

dns_status_t
dns_node_builder_reset(dns_node_builder_t *b, const dns_node_t *node)
{
    size_t size = node == NULL ? 0 : node->size;
    dns_status_t status = reserve(b, size);

    if (status != DNS_OK) {
        return status;
    }

    if (size > 0) {
        memcpy(b->octets, node->octets, size);
    }

    b->size = (uint32_t) size;
    return DNS_OK;
}

/* Opens a gap at an offset; the space is there. */
static void
open_gap(dns_node_builder_t *b, size_t at, size_t size)
{
    memmove(b->octets + at + size, b->octets + at, b->size - at);
    b->size += (uint32_t) size;
}

static void
close_gap(dns_node_builder_t *b, size_t at, size_t size)
{
    b->size -= (uint32_t) size;
    memmove(b->octets + at, b->octets + at + size, b->size - at);
}

/* Where the set of a type is or belongs; true if it is there. */
static bool
find_rrset(const dns_node_builder_t *b, uint16_t type, size_t *rrset_at,
           dns_rrset_t *out)
{
    dns_node_t node = dns_node_builder_node(b);
    size_t at = 0;

    for (*rrset_at = 0; dns_node_next(&node, &at, out); *rrset_at = at) {
        if (out->type >= type) {
            return out->type == type;
        }
    }

    return false;
}

/* Where a record is or belongs inside its set; 0: it is there. */
static int
find_record(const dns_rrset_t *rrset, const dns_rdata_t *wanted,
            size_t *record_at)
{
    dns_rdata_t rdata;
    size_t at = 0;

    for (*record_at = 0; dns_rrset_next(rrset, &at, &rdata); *record_at = at) {
        int order = dns_rdata_compare(rrset->type, rdata.octets, rdata.size,
                                      wanted->octets, wanted->size);

        if (order >= 0) {
            return order;
        }
    }

    return 1;
}

static void
set_header(uint8_t *p, const dns_rrset_t *rrset)
{
    memcpy(p + TYPE_AT, &rrset->type, 2);
    memcpy(p + COUNT_AT, &rrset->count, 2);
    memcpy(p + TTL_AT, &rrset->ttl, 4);
    memcpy(p + SIZE_AT, &rrset->size, 4);
}

/* Writes one record into its gap. */
static void
put_record(uint8_t *p, const dns_rdata_t *rdata)
{
    memcpy(p, &rdata->size, RECORD_HEADER_SIZE);

    if (rdata->size > 0) {
        memcpy(p + RECORD_HEADER_SIZE, rdata->octets, rdata->size);
    }
}

dns_status_t
dns_node_builder_add(dns_node_builder_t *b, uint16_t type, uint32_t ttl,
                     const uint8_t *rdata, uint16_t rdata_size)
{
    dns_rdata_t record = {rdata, rdata_size};
    uint32_t record_size = RECORD_HEADER_SIZE + (uint32_t) rdata_size;
    dns_rrset_t rrset;
    size_t rrset_at;
    size_t record_at = 0;
    bool is_new = !find_rrset(b, type, &rrset_at, &rrset);

    if (is_new) {
        rrset = (dns_rrset_t){.type = type};
    } else if (find_record(&rrset, &record, &record_at) == 0) {
        memcpy(b->octets + rrset_at + TTL_AT, &ttl, sizeof(ttl));
        return DNS_EEXIST;
    }

    if (rrset.count == DNS_RRSET_RECORDS_MAX ||
        rrset.size + record_size > DNS_RRSET_SIZE_MAX) {
        return DNS_ELIMIT;
    }

    size_t header_size = is_new ? DNS_RRSET_HEADER_SIZE : 0;
    dns_status_t status = reserve(b, b->size + header_size + record_size);

    if (status != DNS_OK) {
        return status;
    }

    if (is_new) {
        open_gap(b, rrset_at, DNS_RRSET_HEADER_SIZE);
    }

    rrset.count++;
    rrset.ttl = ttl;
    rrset.size += record_size;
    record_at += rrset_at + DNS_RRSET_HEADER_SIZE;
    open_gap(b, record_at, record_size);
    put_record(b->octets + record_at, &record);
    set_header(b->octets + rrset_at, &rrset);
    return DNS_OK;
}

dns_status_t
dns_node_builder_add_lowest(dns_node_builder_t *b, uint16_t type, uint32_t ttl,
                            const uint8_t *rdata, uint16_t rdata_size)
{
    const dns_node_t node = dns_node_builder_node(b);
    dns_rrset_t rrset;

    if (dns_node_find(&node, type, &rrset) && rrset.ttl < ttl) {
        ttl = rrset.ttl;
    }

    return dns_node_builder_add(b, type, ttl, rdata, rdata_size);
}

dns_status_t
dns_node_builder_remove(dns_node_builder_t *b, uint16_t type,
                        const uint8_t *rdata, uint16_t rdata_size)
{
    dns_rdata_t record = {rdata, rdata_size};
    dns_rrset_t rrset;
    size_t rrset_at;
    size_t record_at;

    if (!find_rrset(b, type, &rrset_at, &rrset)) {
        return DNS_ENOTFOUND;
    }

    if (rdata != NULL && find_record(&rrset, &record, &record_at) != 0) {
        return DNS_ENOTFOUND;
    }

    if (rdata == NULL || rrset.count == 1) {
        close_gap(b, rrset_at, DNS_RRSET_HEADER_SIZE + rrset.size);
        return DNS_OK;
    }

    /* Letters of names may differ, the size may not. */
    uint32_t record_size = RECORD_HEADER_SIZE + (uint32_t) rdata_size;

    rrset.count--;
    rrset.size -= record_size;
    set_header(b->octets + rrset_at, &rrset);
    close_gap(b, rrset_at + DNS_RRSET_HEADER_SIZE + record_at, record_size);
    return DNS_OK;
}
