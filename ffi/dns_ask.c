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
