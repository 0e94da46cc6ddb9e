/* Any packet, answered from zones with everything in them: the response is a
   whole message that fits. */

#include <stdlib.h>
#include <string.h>

#include "dns/engine.h"
#include "dns/message.h"
#include "dns/node.h"
#include "dns/zonefile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NODES_MAX = 64, RESPONSE_MAX = 65535 };

static const char zone_text[] =
    "$TTL 300\n"
    "@ SOA ns host 1 3600 600 86400 60\n@ NS ns\n@ NSEC a A\n"
    "@ RRSIG NSEC 13 2 300 20370101000000 20260101000000 1 t. YQ==\n"
    "ns A 192.0.2.1\nns AAAA 2001:db8::1\n"
    "a CNAME b\nb CNAME a\nc CNAME x.w\n* MX 1 ns\n*.w A 192.0.2.2\n"
    "*.e.w SRV 1 2 3 ns.cut\nd DNAME d.d\ne DNAME .\ng DNAME w\n"
    "cut NS ns.cut\ncut NS ns.sib\ncut DS 1 13 2 "
    "abababababababababababababababababababababababababababababababab\n"
    "cut RRSIG DS 13 2 300 20370101000000 20260101000000 1 t. YQ==\n"
    "ns.cut A 192.0.2.3\nsib NS ns.sib\nns.sib AAAA 2001:db8::2\n"
    "h HTTPS 1 .\nh A 192.0.2.4\nn NAPTR 1 1 \"s\" \"\" \"\" s\n"
    "s SRV 1 2 3 h\nbig TXT ( aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    " )\n";

typedef struct {
    dns_zone_t zone;
    dns_name_t owners[NODES_MAX];
    dns_node_builder_t nodes[NODES_MAX];
    unsigned count;
} memory_t;

static dns_status_t
find_zone(void *source, const dns_name_t *name, unsigned above, dns_zone_t *out)
{
    const memory_t *m = source;

    if (m->zone.apex.label_count >= above ||
        !dns_name_is_within(name->octets, m->zone.apex.octets)) {
        return DNS_ENOTFOUND;
    }

    *out = m->zone;
    return DNS_OK;
}

static dns_status_t
lookup(void *source, const dns_zone_t *zone, const dns_name_t *name,
       dns_lookup_t *out)
{
    const memory_t *m = source;

    (void) zone;
    out->node = (dns_node_t){NULL, 0};
    out->encloser_labels = name->label_count;

    for (;; out->encloser_labels--) {
        const uint8_t *suffix = dns_name_suffix(name, out->encloser_labels);
        bool is_own = out->encloser_labels == name->label_count;

        for (unsigned i = 0; i < m->count; i++) {
            if (is_own && dns_name_equal(m->owners[i].octets, suffix)) {
                out->kind = DNS_LOOKUP_NODE;
                out->node = dns_node_builder_node(&m->nodes[i]);
                return DNS_OK;
            }
        }

        for (unsigned i = 0; i < m->count; i++) {
            if (dns_name_is_within(m->owners[i].octets, suffix)) {
                out->kind = is_own ? DNS_LOOKUP_EMPTY : DNS_LOOKUP_ABSENT;
                return DNS_OK;
            }
        }
    }
}

static dns_status_t
find_covering(void *source, const dns_zone_t *zone, const dns_name_t *name,
              uint16_t type, dns_name_t *owner, dns_node_t *node)
{
    memory_t *m = source;
    dns_rrset_t rrset;

    (void) zone;
    (void) name;
    *owner = m->owners[0];
    *node = dns_node_builder_node(&m->nodes[0]);
    return dns_node_find(node, type, &rrset) ? DNS_OK : DNS_ENOTFOUND;
}

static void
add_record(memory_t *m, const dns_record_t *record)
{
    unsigned i = 0;

    while (i < m->count &&
           !dns_name_equal(m->owners[i].octets, record->owner)) {
        i++;
    }

    if (i == m->count) {
        if (m->count == NODES_MAX) {
            abort();
        }
        dns_name_set(&m->owners[m->count++], record->owner);
    }

    if (dns_node_builder_add(&m->nodes[i], record->type, record->ttl,
                             record->rdata, record->rdata_size) != DNS_OK) {
        abort();
    }
}

static memory_t *
make_zone(void)
{
    static const uint8_t apex[] = "\1t";
    static memory_t m;
    dns_zonefile_options_t options = {
        .text = zone_text, .size = sizeof(zone_text) - 1, .origin = apex};
    dns_zonefile_t *file;
    dns_record_t record;
    dns_status_t status;

    dns_name_set(&m.zone.apex, apex);
    m.zone.id = 1;
    status = dns_zonefile_open(&file, &options);

    while (status == DNS_OK &&
           (status = dns_zonefile_next(file, &record)) == DNS_OK) {
        add_record(&m, &record);
    }

    if (status != DNS_ENOTFOUND) {
        abort();
    }

    dns_zonefile_free(file);
    return &m;
}

static void
check_response(const uint8_t *wire, size_t size)
{
    static uint8_t rdata[65535];
    dns_message_t m;
    dns_message_record_t record;
    uint16_t rdata_size;
    dns_status_t status = dns_message_open(&m, wire, size);

    while (status == DNS_OK &&
           (status = dns_message_next(&m, &record)) == DNS_OK) {
        if (record.section != 0) {
            status = dns_message_rdata(&m, &record, rdata, &rdata_size);
        }
    }

    if (status != DNS_ENOTFOUND) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const dns_source_ops_t ops = {.find_zone = find_zone,
                                         .lookup = lookup,
                                         .find_covering = find_covering};
    static const dns_answer_options_t options = {.udp_size = 1232,
                                                 .nsid = (const uint8_t *) "n",
                                                 .nsid_size = 1,
                                                 .version = "v",
                                                 .hostname = "h"};
    static memory_t *zone;
    static dns_answer_t answer;
    dns_query_t query;
    int rcode;

    if (zone == NULL) {
        zone = make_zone();
    }

    if (size == 0) {
        return 0;
    }

    /* The first octet chooses the transport; the rest has its own memory, so
       that a read past the end is seen. */
    dns_transport_t transport = data[0] & 1 ? DNS_OVER_TCP : DNS_OVER_UDP;
    uint8_t *packet = malloc(size);

    memcpy(packet, data + 1, size - 1);

    if (dns_query_parse(&query, packet, size - 1, transport, &rcode) ==
        DNS_OK) {
        dns_source_t source = {&ops, zone};
        size_t limit = dns_query_response_limit(&query, options.udp_size);
        uint8_t *out = malloc(RESPONSE_MAX);

        if (dns_answer(&query, &source, &options, out, limit, &answer) ==
            DNS_OK) {
            if (answer.size > limit) {
                abort();
            }
            check_response(out, answer.size);
        }

        free(out);
    }

    free(packet);
    return 0;
}
