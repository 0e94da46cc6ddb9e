#include "ffi/dns_ffi.h"

#include <ctype.h>
#include <string.h>

#include "dns/message.h"
#include "dns/name.h"
#include "dns/octets.h"
#include "dns/query.h"
#include "dns/rdata.h"
#include "dns/writer.h"

enum { ASK_MAX = 512 };

/* Letters of a name in random case: 0x20 bits that a forger has to guess. */
static void
mix_case(uint8_t *name, size_t size)
{
    uint8_t bits[DNS_NAME_MAX];

    dns_ffi_random(bits, size);

    /* Length octets are below 64 and are not letters. */
    for (size_t i = 0; i < size; i++) {
        if (isalpha(name[i]) && (bits[i] & 1) != 0) {
            name[i] ^= 0x20;
        }
    }
}

int
dns_ffi_ask_write(struct dns_ffi_ask *ask, uint8_t *out)
{
    size_t size;

    if (ask->name_size > DNS_NAME_MAX ||
        dns_name_check(ask->name, ask->name_size, &size) != DNS_OK) {
        return DNS_EMALFORMED;
    }

    if (ask->mix_case) {
        mix_case(ask->name, size);
    }

    uint16_t flags = (uint16_t) ((ask->recursion_desired ? DNS_FLAG_RD : 0) |
                                 (ask->checking_disabled ? DNS_FLAG_CD : 0) |
                                 (ask->authentic_data ? DNS_FLAG_AD : 0));
    dns_writer_opt_t opt = {
        .udp_size = ask->udp_size,
        .dnssec_ok = ask->dnssec_ok != 0,
    };
    dns_writer_t w;

    dns_writer_init(&w, out, ASK_MAX);
    dns_writer_put_header(&w, ask->id, flags);
    dns_status_t status =
        dns_writer_put_question(&w, ask->name, ask->type, ask->class_code);

    if (status == DNS_OK && ask->udp_size > 0) {
        status = dns_writer_put_opt(&w, &opt);
    }

    return status == DNS_OK ? (int) w.used : (int) status;
}

static bool
is_refusal(const dns_message_t *m)
{
    const unsigned rcode = m->flags & DNS_RCODE_MASK;

    return m->counts[DNS_QUESTION] == 0 &&
           (rcode == DNS_RCODE_FORMERR || rcode == DNS_RCODE_NOTIMP);
}

int
dns_ffi_ask_is_answered_by(const struct dns_ffi_ask *ask, const uint8_t *wire,
                           size_t size)
{
    dns_message_t m;
    dns_message_record_t question;

    if (dns_message_open(&m, wire, size) != DNS_OK || m.id != ask->id ||
        (m.flags & DNS_FLAG_QR) == 0 || dns_flags_opcode(m.flags) != 0) {
        return 0;
    }

    if (is_refusal(&m)) {
        return 3;
    }

    if (m.counts[DNS_QUESTION] != 1 ||
        dns_message_next(&m, &question) != DNS_OK ||
        question.type != ask->type || question.class_ != ask->class_code ||
        !dns_name_equal(question.owner, ask->name)) {
        return 0;
    }

    return memcmp(question.owner, ask->name, ask->name_size) == 0 ? 1 : 2;
}

int
dns_ffi_answer_follow(const uint8_t *wire, size_t size, const uint8_t *name,
                      uint16_t type, uint8_t *target, size_t *target_size)
{
    dns_message_t m;
    dns_message_record_t record;
    uint8_t rdata[DNS_RDATA_MAX];
    uint16_t rdata_size;
    int found = 0;

    if (dns_message_open(&m, wire, size) != DNS_OK) {
        return 0;
    }

    while (dns_message_next(&m, &record) == DNS_OK &&
           record.section <= DNS_ANSWER) {
        if (record.section != DNS_ANSWER ||
            !dns_name_equal(record.owner, name)) {
            continue;
        }

        if (record.type == type || type == DNS_TYPE_ANY) {
            return 1;
        }

        if (record.type == DNS_TYPE_CNAME && found == 0 &&
            dns_message_rdata(&m, &record, rdata, &rdata_size) == DNS_OK &&
            rdata_size > 0 && rdata_size <= DNS_NAME_MAX) {
            memcpy(target, rdata, rdata_size);
            lower_octets(target, rdata_size);
            *target_size = rdata_size;
            found = 2;
        }
    }

    return found;
}

int
dns_ffi_answer_is_denial(const uint8_t *wire, size_t size)
{
    dns_message_t m;
    dns_message_record_t record;

    if (dns_message_open(&m, wire, size) != DNS_OK) {
        return 0;
    }

    if ((m.flags & DNS_RCODE_MASK) == DNS_RCODE_NXDOMAIN) {
        return 1;
    }

    while (dns_message_next(&m, &record) == DNS_OK) {
        if (record.section == DNS_AUTHORITY && record.type == DNS_TYPE_SOA) {
            return 1;
        }
    }

    return 0;
}

/* The upstream's record behind the others; false: it does not fit. */
static dns_status_t
relay_record(dns_writer_t *w, const dns_message_t *m,
             const dns_message_record_t *record)
{
    uint8_t rdata[DNS_RDATA_MAX];
    dns_writer_record_t out = {
        .owner = record->owner,
        .type = record->type,
        .class_ = record->class_,
        .ttl = record->ttl,
        .rdata = rdata,
    };
    dns_status_t status = dns_message_rdata(m, record, rdata, &out.rdata_size);

    if (status != DNS_OK) {
        return status;
    }

    return dns_writer_put_record(w, (dns_section_t) record->section, &out);
}

static bool
is_same_set(const dns_message_record_t *a, const dns_message_record_t *b)
{
    return a->section == b->section && a->type == b->type &&
           a->class_ == b->class_ && dns_name_equal(a->owner, b->owner);
}

/* Record sets are kept whole: one that does not fit goes, with all behind. */
static dns_status_t
relay_records(dns_writer_t *w, dns_message_t *m)
{
    dns_message_record_t record;
    dns_message_record_t first = {.section = DNS_QUESTION};
    dns_writer_mark_t mark = dns_writer_mark(w);
    dns_status_t status;

    while ((status = dns_message_next(m, &record)) == DNS_OK) {
        if (record.section == DNS_QUESTION || record.type == DNS_TYPE_OPT ||
            record.type == DNS_TYPE_TSIG) {
            continue;
        }

        if (first.section == DNS_QUESTION || !is_same_set(&first, &record)) {
            mark = dns_writer_mark(w);
            first = record;
        }

        status = relay_record(w, m, &record);

        if (status == DNS_ENOSPACE) {
            dns_writer_rewind(w, &mark);

            if (record.section != DNS_ADDITIONAL) {
                dns_writer_truncate(w);
            }

            return DNS_OK;
        }

        if (status != DNS_OK) {
            return status;
        }
    }

    return status == DNS_ENOTFOUND ? DNS_OK : status;
}

/* AD is for who asked for it (RFC 6840 section 5.8).  An rcode of more than
   four bits is between us and the upstream (BADVERS, BADCOOKIE). */
static uint16_t
relay_flags(const dns_query_t *query, uint16_t response, int rcode)
{
    const uint16_t ours = DNS_FLAG_RD | DNS_FLAG_CD;
    const bool wants_ad =
        (query->flags & DNS_FLAG_AD) != 0 || query->edns.dnssec_ok;
    const uint16_t theirs =
        (uint16_t) (DNS_FLAG_TC | (wants_ad ? DNS_FLAG_AD : 0));

    rcode = rcode > DNS_RCODE_MASK ? DNS_RCODE_SERVFAIL : rcode;
    return (uint16_t) (DNS_FLAG_QR | DNS_FLAG_RA | (query->flags & ours) |
                       (response & theirs) | (unsigned) rcode);
}

int
dns_ffi_relay(const uint8_t *query, size_t query_size, const uint8_t *response,
              size_t response_size, uint8_t *out, size_t limit)
{
    dns_query_t q;
    dns_message_t m;
    dns_message_record_t asked;
    dns_message_t own;
    int rcode;

    if (dns_query_parse(&q, query, query_size, DNS_OVER_TCP, &rcode) !=
            DNS_OK ||
        dns_message_open(&own, query, query_size) != DNS_OK ||
        dns_message_next(&own, &asked) != DNS_OK ||
        dns_message_open(&m, response, response_size) != DNS_OK) {
        return DNS_EMALFORMED;
    }

    dns_writer_opt_t opt = {
        .udp_size = DNS_UDP_SIZE,
        .dnssec_ok = q.edns.dnssec_ok,
    };
    dns_writer_t w;

    dns_writer_init(&w, out, limit);
    dns_writer_put_header(
        &w, q.id,
        relay_flags(&q, m.flags,
                    dns_ffi_message_rcode(response, response_size)));
    dns_status_t status =
        dns_writer_put_question(&w, asked.owner, q.qtype, q.qclass);

    if (status == DNS_OK && q.edns.is_present) {
        status = dns_writer_reserve(&w, DNS_OPT_SIZE);
    }

    if (status == DNS_OK) {
        status = relay_records(&w, &m);
    }

    if (status == DNS_OK && q.edns.is_present) {
        dns_writer_release(&w, DNS_OPT_SIZE);
        status = dns_writer_put_opt(&w, &opt);
    }

    return status == DNS_OK ? (int) w.used : (int) status;
}

void
dns_ffi_query_parse(struct dns_ffi_query *query, const uint8_t *packet,
                    size_t size, int transport, uint16_t udp_limit)
{
    dns_query_t q;
    int rcode;

    memset(query, 0, sizeof(*query));

    if (dns_query_parse(&q, packet, size, (dns_transport_t) transport,
                        &rcode) != DNS_OK) {
        query->rcode = (int16_t) rcode;
        return;
    }

    query->id = q.id;
    query->flags = q.flags;
    query->type = q.qtype;
    query->class_code = q.qclass;
    query->limit = (uint16_t) dns_query_response_limit(&q, udp_limit);
    query->dnssec_ok = q.edns.is_present && q.edns.dnssec_ok;
    query->name_size = q.qname.size;
    memcpy(query->name, q.qname.octets, q.qname.size);
}

int
dns_ffi_query_error(const uint8_t *packet, size_t size, uint16_t rcode,
                    uint16_t flags, int why, uint8_t *out)
{
    dns_query_t q;
    int parse_rcode;

    if (dns_query_parse(&q, packet, size, DNS_OVER_UDP, &parse_rcode) !=
            DNS_OK &&
        parse_rcode < 0) {
        return DNS_EMALFORMED;
    }

    size_t written =
        why < 0 ? dns_query_error(&q, rcode, out)
                : dns_query_error_explained(&q, rcode, (dns_ede_t) why, out);

    put16(out + DNS_HEADER_FLAGS_AT,
          get16(out + DNS_HEADER_FLAGS_AT) | (unsigned) flags);
    return (int) written;
}
