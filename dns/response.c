#include "dns/response.h"

#include <string.h>

#include "dns/message.h"
#include "dns/octets.h"
#include "dns/private/opt.h"
#include "dns/rdata.h"
#include "dns/type.h"
#include "dns/writer.h"

void
opt_collect(opt_options_t *o, const dns_query_t *query,
            const dns_answer_options_t *options)
{
    const dns_query_edns_t *edns = &query->edns;
    dns_option_t asked;

    o->list = (dns_options_t){o->octets, DNS_EDNS_OPTIONS_MAX, 0};

    if (options->edns_options != NULL &&
        options->edns_options_size <= o->list.room) {
        memcpy(o->octets, options->edns_options, options->edns_options_size);
        o->list.size = options->edns_options_size;
    }

    if (options->nsid != NULL &&
        dns_option_find(edns->options, edns->options_size, DNS_OPTION_NSID,
                        &asked) &&
        dns_options_put(&o->list, DNS_OPTION_NSID, options->nsid,
                        options->nsid_size) != DNS_OK) {
        return; /* no room: it is left out */
    }
}

void
opt_pad(opt_options_t *o, const dns_query_t *query, size_t message_size)
{
    enum { STREAM_MAX = 65535 };
    dns_option_t asked;

    if ((query->transport != DNS_OVER_TLS &&
         query->transport != DNS_OVER_HTTPS) ||
        !dns_option_find(query->edns.options, query->edns.options_size,
                         DNS_OPTION_PADDING, &asked)) {
        return;
    }

    o->list.room = sizeof(o->octets);

    if (dns_options_put_padding(&o->list, message_size,
                                DNS_PADDING_BLOCK_RESPONSE,
                                STREAM_MAX) != DNS_OK) {
        return; /* the message is full */
    }
}

/* RFC 2308 section 5: the lower of the SOA's TTL and its MINIMUM. */
static uint32_t
negative_ttl(const dns_message_t *m, const dns_message_record_t *soa)
{
    uint8_t rdata[DNS_RDATA_MAX];
    uint16_t size;

    if (dns_message_rdata(m, soa, rdata, &size) != DNS_OK || size < 22) {
        return 0;
    }

    uint32_t minimum = get32(rdata + size - 4);

    return minimum < soa->ttl ? minimum : soa->ttl;
}

typedef struct {
    bool has_answer;
    bool has_soa;
    bool ends_in_opt;
    bool is_strange; /* what must not be kept: TSIG, records behind the OPT */
} seen_t;

static void
note_record(dns_response_t *r, const dns_message_t *m,
            const dns_message_record_t *record, seen_t *seen)
{
    uint32_t ttl = record->ttl;

    if (record->type == DNS_TYPE_OPT && record->section == DNS_ADDITIONAL) {
        r->rcode |= (uint16_t) (ttl >> 24 << 4);
        seen->ends_in_opt = true;
        return;
    }

    seen->is_strange |= seen->ends_in_opt || record->type == DNS_TYPE_TSIG ||
                        r->ttl_count == DNS_RESPONSE_TTLS_MAX;
    seen->has_answer |= record->section == DNS_ANSWER;

    if (record->section == DNS_AUTHORITY && record->type == DNS_TYPE_SOA) {
        seen->has_soa = true;

        if (!seen->has_answer) {
            ttl = negative_ttl(m, record);
        }
    }

    if (ttl > INT32_MAX) {
        ttl = 0; /* RFC 2181 section 8 */
    }

    if (ttl < r->ttl) {
        r->ttl = ttl;
    }

    if (r->ttl_count < DNS_RESPONSE_TTLS_MAX) {
        r->ttl_at[r->ttl_count++] = (uint16_t) (record->rdata_at - 6);
    }

    r->size = record->rdata_at + record->rdata_size;
}

static bool
is_question_of(const dns_message_record_t *question, const dns_query_t *query)
{
    return question->section == DNS_QUESTION &&
           question->type == query->qtype &&
           question->class_ == query->qclass &&
           dns_name_equal(question->owner, query->qname.octets);
}

dns_status_t
dns_response_scan(dns_response_t *r, const dns_query_t *query,
                  const uint8_t *wire, size_t size)
{
    dns_message_t m;
    dns_message_record_t record;
    seen_t seen = {0};

    memset(r, 0, offsetof(dns_response_t, ttl_at));
    r->ttl = UINT32_MAX;
    r->keep_max = UINT32_MAX;

    if (size > UINT16_MAX || dns_message_open(&m, wire, size) != DNS_OK ||
        (m.flags & DNS_FLAG_QR) == 0 || m.counts[DNS_QUESTION] != 1 ||
        dns_message_next(&m, &record) != DNS_OK ||
        !is_question_of(&record, query)) {
        return DNS_EMALFORMED;
    }

    r->rcode = m.flags & DNS_RCODE_MASK;
    r->is_truncated = (m.flags & DNS_FLAG_TC) != 0;
    r->size = m.at;

    dns_status_t status;

    while ((status = dns_message_next(&m, &record)) == DNS_OK) {
        note_record(r, &m, &record, &seen);
    }

    if (status != DNS_ENOTFOUND) {
        return DNS_EMALFORMED;
    }

    r->additional_count = m.counts[DNS_ADDITIONAL];

    if (!seen.ends_in_opt || seen.is_strange) {
        r->size = size;
    } else {
        r->additional_count--;
    }

    r->may_be_kept =
        !seen.is_strange && !r->is_truncated &&
        (r->rcode == DNS_RCODE_NOERROR || r->rcode == DNS_RCODE_NXDOMAIN) &&
        (seen.has_soa || (seen.has_answer && r->rcode == DNS_RCODE_NOERROR)) &&
        r->ttl > 0;
    return DNS_OK;
}

/* Header and question stay, with TC. */
static size_t
truncate_response(const dns_query_t *query, uint8_t *wire)
{
    wire[DNS_HEADER_FLAGS_AT] |= DNS_FLAG_TC >> 8;
    memset(wire + DNS_HEADER_QDCOUNT_AT + 2, 0, 6);
    return DNS_HEADER_SIZE + query->question_size;
}

size_t
dns_response_put_opt(const dns_query_t *query,
                     const dns_answer_options_t *options, uint16_t rcode,
                     uint8_t *wire, size_t size, size_t limit)
{
    opt_options_t opt;

    if (!query->edns.is_present) {
        return size <= limit ? size : truncate_response(query, wire);
    }

    opt_collect(&opt, query, options);

    if (size + DNS_OPT_SIZE + opt.list.size > limit) {
        size = truncate_response(query, wire);
    }

    if (size + DNS_OPT_SIZE + opt.list.size > limit) {
        opt.list.size = 0;
    }

    opt_pad(&opt, query, size + DNS_OPT_SIZE + opt.list.size);

    uint8_t *p = wire + size;
    unsigned count = get16(wire + DNS_HEADER_ARCOUNT_AT);

    p[0] = 0;
    put16(p + 1, DNS_TYPE_OPT);
    put16(p + 3, options->udp_size);
    p[5] = (uint8_t) (rcode >> 4);
    p[6] = 0;
    put16(p + 7, query->edns.dnssec_ok ? 0x8000 : 0);
    put16(p + 9, (unsigned) opt.list.size);
    memcpy(p + DNS_OPT_SIZE, opt.octets, opt.list.size);
    put16(wire + DNS_HEADER_ARCOUNT_AT, count + 1);
    return size + DNS_OPT_SIZE + opt.list.size;
}
