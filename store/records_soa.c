/* The SOA that CoreDNS's plugins make up for zones without one: ns1 and
   hostmaster of the zone (arvancloud/redis, redis.go). */

#include <string.h>

#include "dns/type.h"
#include "store/private/records.h"

enum {
    SOA_SIZE = 2 * DNS_NAME_MAX + 20, /* octets */
    SOA_REFRESH = 86400,              /* seconds */
    SOA_RETRY = 7200,
    SOA_EXPIRE = 3600,
};

/* label.apex; the apex alone where there is no room.  Gives its size. */
static size_t
put_name(uint8_t *out, const char *label, const dns_name_t *apex)
{
    const size_t size = strlen(label);
    size_t used = 0;

    if (1 + size + apex->size <= DNS_NAME_MAX) {
        out[used++] = (uint8_t) size;
        memcpy(out + used, label, size);
        used += size;
    }

    memcpy(out + used, apex->octets, apex->size);
    return used + apex->size;
}

static size_t
put_number(uint8_t *out, uint32_t number)
{
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t) (number >> (24 - 8 * i));
    }

    return 4;
}

/* octets: SOA_SIZE. */
static dns_rdata_t
make_soa(uint8_t *octets, const dns_name_t *apex, uint32_t serial)
{
    size_t used = put_name(octets, "ns1", apex);

    used += put_name(octets + used, "hostmaster", apex);
    used += put_number(octets + used, serial);
    used += put_number(octets + used, SOA_REFRESH);
    used += put_number(octets + used, SOA_RETRY);
    used += put_number(octets + used, SOA_EXPIRE);
    used += put_number(octets + used, STORE_JSON_TTL);
    return (dns_rdata_t){octets, (uint16_t) used};
}

static const dns_rrset_t soa_set = {.type = DNS_TYPE_SOA,
                                    .ttl = STORE_JSON_TTL};

static bool
has_soa(const dns_node_t *node)
{
    dns_rrset_t set;

    return dns_node_find(node, DNS_TYPE_SOA, &set);
}

dns_status_t
records_put_soa(dns_fetched_t *set, uint32_t serial)
{
    uint8_t octets[SOA_SIZE];
    dns_status_t status = DNS_OK;
    dns_want_t want;

    for (size_t at = 0;
         status == DNS_OK && dns_fetched_next_wanted(set, &at, &want);) {
        if (want.below || want.name->size != want.apex->size) {
            continue;
        }

        const dns_node_t node =
            dns_fetched_node(set, want.zone_id, want.name->octets);

        if (!has_soa(&node)) {
            const dns_rdata_t soa = make_soa(octets, want.apex, serial);

            status = dns_fetched_add(set, want.zone_id, want.name->octets,
                                     &soa_set, &soa);
        }
    }

    return status;
}

dns_status_t
records_put_soa_node(store_nodes_t *nodes, const dns_name_t *apex,
                     uint32_t serial)
{
    uint8_t octets[SOA_SIZE];

    for (size_t i = 0; i < nodes->count; i++) {
        const dns_node_t node = dns_node_builder_node(&nodes->nodes[i].builder);

        if (dns_name_equal(nodes->nodes[i].name.octets, apex->octets) &&
            has_soa(&node)) {
            return DNS_OK;
        }
    }

    const dns_rdata_t soa = make_soa(octets, apex, serial);

    return store_nodes_add(nodes, apex->octets, &soa_set, &soa);
}
