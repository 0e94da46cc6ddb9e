#include "dns/query.h"

#include <string.h>

#include "dns/edns.h"
#include "dns/message.h"
#include "dns/octets.h"
#include "dns/type.h"

enum {
    RECORD_HEADER_SIZE = 10, /* octets: type, class, TTL, rdata size */
    UDP_SIZE_MIN = 512, /* octets, RFC 1035 section 4.2.1, RFC 6891 6.2.3 */
    STREAM_SIZE_MAX = 65535, /* octets, RFC 1035 section 4.2.2 */
    EDNS_DO = 0x8000,        /* RFC 3225 */
};

typedef struct {
    const uint8_t *packet;
    size_t size;
    size_t at;
    bool are_options_right; /* sizes and contents, each by its own RFC */
} reader_t;

/* Finds the end of a name that may end in a pointer; the name itself is not
   looked at.  false: cut short, or an unknown label type. */
static bool
skip_name(reader_t *r)
{
    while (r->at < r->size) {
        uint8_t length = r->packet[r->at];

        if (length == 0) {
            r->at += 1;
            return true;
        }

        if (length >= 0xc0) {
            r->at += 2;
            return r->at <= r->size;
        }

        if (length > DNS_LABEL_MAX) {
            return false;
        }

        r->at += 1u + length;
    }

    return false;
}

static bool
check_option(unsigned code, const uint8_t *data, size_t size)
{
    dns_subnet_t subnet;

    switch (code) {
    case DNS_OPTION_SUBNET:
        return dns_subnet_parse(&subnet, data, size) == DNS_OK;
    case DNS_OPTION_COOKIE: /* RFC 7873 section 5.2.2 */
        return size == 8 || (size >= 16 && size <= 40);
    default:
        return true;
    }
}

/* Sets *is_right; false if an option is cut short. */
static bool
check_options(const uint8_t *options, size_t size, bool *is_right)
{
    dns_option_t option;
    size_t at = 0;

    *is_right = true;

    while (dns_option_next(options, size, &at, &option)) {
        *is_right =
            *is_right && check_option(option.code, option.data, option.size);
    }

    return at == size;
}

/* header: the ten octets behind the owner name of an OPT, RFC 6891 6.1. */
static bool
read_opt(dns_query_edns_t *edns, reader_t *r, const uint8_t *header)
{
    const uint8_t *options = header + RECORD_HEADER_SIZE;
    uint16_t size = get16(header + 8);

    if (edns->is_present ||
        !check_options(options, size, &r->are_options_right)) {
        return false;
    }

    edns->is_present = true;
    edns->udp_size = get16(header + 2);
    edns->version = header[5];
    edns->dnssec_ok = (get16(header + 6) & EDNS_DO) != 0;
    edns->options = options;
    edns->options_size = size;
    return true;
}

/* The name of a TSIG's key; *end: offset behind it. */
static bool
read_key_name(const uint8_t *packet, size_t size, size_t at, uint8_t *name,
              size_t *end)
{
    dns_message_t m;

    return dns_message_open(&m, packet, size) == DNS_OK &&
           dns_message_name(&m, at, name, end) == DNS_OK;
}

/* RFC 8945 section 4.2: class ANY, TTL 0; algorithm, time and fudge, MAC,
   original id, error, other data. */
static bool
check_tsig(const dns_query_t *query, const reader_t *r, const uint8_t *header)
{
    const uint8_t *rdata = header + RECORD_HEADER_SIZE;
    uint8_t key[DNS_NAME_MAX];
    size_t size = get16(header + 8);
    size_t at;

    if (!read_key_name(r->packet, r->size, query->tsig_at, key, &at) ||
        get16(header + 2) != DNS_CLASS_ANY || get32(header + 4) != 0 ||
        dns_name_check(rdata, size, &at) != DNS_OK || size - at < 10) {
        return false;
    }

    size_t mac_size = get16(rdata + at + 8);

    at += 10;

    if (size - at < mac_size || size - at - mac_size < 6) {
        return false;
    }

    at += mac_size + 6;
    return size - at == get16(rdata + at - 2);
}

/* One record; those that are neither OPT nor TSIG are only skipped. */
static bool
read_record(dns_query_t *query, reader_t *r, bool is_additional)
{
    size_t start = r->at;

    if (!skip_name(r) || r->size - r->at < RECORD_HEADER_SIZE) {
        return false;
    }

    const uint8_t *header = r->packet + r->at;
    size_t rdata_size = get16(header + 8);

    if (r->size - r->at - RECORD_HEADER_SIZE < rdata_size ||
        query->tsig_at != 0) {
        return false;
    }

    r->at += RECORD_HEADER_SIZE + rdata_size;

    switch (get16(header)) {
    case DNS_TYPE_OPT:
        return is_additional && r->packet[start] == 0 &&
               read_opt(&query->edns, r, header);
    case DNS_TYPE_TSIG:
        query->tsig_at = (uint16_t) start;
        return is_additional && check_tsig(query, r, header);
    default:
        return true;
    }
}

static bool
read_records(dns_query_t *query, reader_t *r)
{
    unsigned others = (unsigned) get16(r->packet + DNS_HEADER_ANCOUNT_AT) +
                      get16(r->packet + DNS_HEADER_NSCOUNT_AT);
    unsigned additional = get16(r->packet + DNS_HEADER_ARCOUNT_AT);

    for (unsigned i = 0; i < others + additional; i++) {
        if (!read_record(query, r, i >= others)) {
            query->edns.is_present = false;
            return false;
        }
    }

    return true;
}

static bool
read_question(dns_query_t *query, reader_t *r)
{
    const uint8_t *name = r->packet + DNS_HEADER_SIZE;
    size_t left = r->size - DNS_HEADER_SIZE;
    size_t name_size;

    if (dns_name_check(name, left, &name_size) != DNS_OK ||
        left - name_size < 4) {
        return false;
    }

    dns_name_set(&query->qname, name);
    query->qtype = get16(name + name_size);
    query->qclass = get16(name + name_size + 2);
    query->question_size = (uint16_t) (name_size + 4);
    r->at = DNS_HEADER_SIZE + name_size + 4;
    return true;
}

/* One question (RFC 9619); the OPT of a message with none is read too. */
static bool
read_message(dns_query_t *query, reader_t *r)
{
    unsigned count = get16(r->packet + DNS_HEADER_QDCOUNT_AT);

    return count <= 1 && (count == 0 || read_question(query, r)) &&
           read_records(query, r);
}

static void
init_query(dns_query_t *query, const uint8_t *packet, size_t packet_size,
           dns_transport_t transport)
{
    query->packet = packet;
    query->packet_size = (uint16_t) packet_size;
    query->id = get16(packet + DNS_HEADER_ID_AT);
    query->flags = get16(packet + DNS_HEADER_FLAGS_AT);
    query->qtype = 0;
    query->qclass = 0;
    query->question_size = 0;
    query->has_no_question = false;
    query->tsig_at = 0;
    query->transport = transport;
    memset(&query->edns, 0, sizeof(query->edns));
    query->qname.size = 1;
    query->qname.label_count = 0;
    query->qname.label_at[0] = 0;
    query->qname.octets[0] = 0;
}

static bool
is_opcode_known(unsigned opcode)
{
    return opcode == DNS_OPCODE_QUERY || opcode == DNS_OPCODE_NOTIFY ||
           opcode == DNS_OPCODE_UPDATE;
}

/* The rcode to send at once; ANSWER if the query is to be answered. */
enum { ANSWER = -1 };

static int
judge(dns_query_t *query, reader_t *r)
{
    unsigned opcode = dns_flags_opcode(query->flags);
    const dns_query_edns_t *edns = &query->edns;
    bool is_whole = read_message(query, r);

    if (!is_opcode_known(opcode)) {
        return DNS_RCODE_NOTIMP;
    }

    if (!is_whole) {
        return DNS_RCODE_FORMERR;
    }

    if (edns->version > 0) {
        return DNS_RCODE_BADVERS; /* RFC 6891 section 6.1.3 */
    }

    if (!r->are_options_right) {
        return DNS_RCODE_FORMERR;
    }

    if (query->tsig_at != 0) {
        return DNS_RCODE_NOTAUTH; /* RFC 8945 section 5.2.1: no key is known */
    }

    if (query->question_size == 0) {
        query->has_no_question = opcode == DNS_OPCODE_QUERY;
        return DNS_RCODE_FORMERR;
    }

    return opcode == DNS_OPCODE_QUERY ? ANSWER : DNS_RCODE_REFUSED;
}

dns_status_t
dns_query_parse(dns_query_t *query, const uint8_t *packet, size_t packet_size,
                dns_transport_t transport, int *rcode)
{
    if (packet_size < DNS_HEADER_SIZE || packet_size > STREAM_SIZE_MAX ||
        (packet[DNS_HEADER_FLAGS_AT] & DNS_FLAG_QR >> 8) != 0) {
        *rcode = -1;
        return DNS_EMALFORMED;
    }

    reader_t r = {.packet = packet,
                  .size = packet_size,
                  .at = DNS_HEADER_SIZE,
                  .are_options_right = true};

    init_query(query, packet, packet_size, transport);

    int verdict = judge(query, &r);

    *rcode = verdict == ANSWER ? DNS_RCODE_NOERROR : verdict;
    return verdict == ANSWER ? DNS_OK : DNS_EMALFORMED;
}

size_t
dns_query_response_limit(const dns_query_t *query, size_t server_limit)
{
    if (query->transport != DNS_OVER_UDP) {
        return STREAM_SIZE_MAX;
    }

    if (!query->edns.is_present || query->edns.udp_size < UDP_SIZE_MIN) {
        return UDP_SIZE_MIN;
    }

    if (server_limit < UDP_SIZE_MIN) {
        server_limit = UDP_SIZE_MIN;
    }

    return query->edns.udp_size < server_limit ? query->edns.udp_size
                                               : server_limit;
}

/* RFC 8945 section 5.3.2: the key, algorithm and time of the query, without a
   MAC.  An answer that it does not fit into says TC. */
static size_t
put_bad_key(const dns_query_t *query, uint8_t *out, size_t size)
{
    enum { TIME_SIZE = 8, REST_SIZE = 8 }; /* time and fudge; what follows */
    uint8_t key[DNS_NAME_MAX];
    uint8_t tsig[DNS_QUERY_TSIG_MAX];
    size_t at;

    if (!read_key_name(query->packet, query->packet_size, query->tsig_at, key,
                       &at)) {
        return size;
    }

    const uint8_t *rdata = query->packet + at + RECORD_HEADER_SIZE;
    const size_t key_size = dns_name_size(key);
    const size_t algorithm_size = dns_name_size(rdata);
    const uint8_t *mac_size = rdata + algorithm_size + TIME_SIZE;
    const size_t rdata_size = algorithm_size + TIME_SIZE + REST_SIZE;
    uint8_t *p = tsig + key_size + RECORD_HEADER_SIZE;

    memcpy(tsig, key, key_size);
    put16(p - 10, DNS_TYPE_TSIG);
    put16(p - 8, DNS_CLASS_ANY);
    put32(p - 6, 0);
    put16(p - 2, (unsigned) rdata_size);
    memcpy(p, rdata, algorithm_size + TIME_SIZE);
    p += algorithm_size + TIME_SIZE;
    put16(p, 0);
    memcpy(p + 2, mac_size + 2 + get16(mac_size), 2); /* the original id */
    put16(p + 4, DNS_RCODE_BADKEY);
    put16(p + 6, 0);

    const size_t tsig_size = key_size + RECORD_HEADER_SIZE + rdata_size;

    if (size + tsig_size > dns_query_response_limit(query, DNS_UDP_SIZE)) {
        out[DNS_HEADER_FLAGS_AT] |= DNS_FLAG_TC >> 8;
        return size;
    }

    memcpy(out + size, tsig, tsig_size);
    out[DNS_HEADER_ARCOUNT_AT + 1]++;
    return size + tsig_size;
}

size_t
dns_query_error(const dns_query_t *query, int rcode, uint8_t *out)
{
    /* RD has a meaning in queries alone; CD is not for authoritative servers
       (RFC 4035 section 3.1.6); of an unknown opcode nothing is known. */
    unsigned opcode = dns_flags_opcode(query->flags);
    unsigned kept = query->flags & DNS_OPCODE_MASK;
    size_t size = DNS_HEADER_SIZE;

    if (opcode == DNS_OPCODE_QUERY) {
        kept |= query->flags & DNS_FLAG_RD;
    }

    memset(out, 0, DNS_HEADER_SIZE);
    put16(out, query->id);
    put16(out + DNS_HEADER_FLAGS_AT,
          DNS_FLAG_QR | kept | ((unsigned) rcode & DNS_RCODE_MASK));

    if (query->question_size > 0 && is_opcode_known(opcode)) {
        memcpy(out + size, query->packet + size, query->question_size);
        size += query->question_size;
        out[DNS_HEADER_QDCOUNT_AT + 1] = 1;
    }

    if (query->edns.is_present) {
        uint8_t *opt = out + size;

        memset(opt, 0, 11);
        put16(opt + 1, DNS_TYPE_OPT);
        put16(opt + 3, DNS_UDP_SIZE);
        opt[5] = (uint8_t) (rcode >> 4);
        put16(opt + 7, query->edns.dnssec_ok ? EDNS_DO : 0);
        out[DNS_HEADER_ARCOUNT_AT + 1] = 1;
        size += 11;
    }

    return rcode == DNS_RCODE_NOTAUTH && query->tsig_at != 0
               ? put_bad_key(query, out, size)
               : size;
}

size_t
dns_query_error_explained(const dns_query_t *query, int rcode, dns_ede_t why,
                          uint8_t *out)
{
    enum { OPTION_SIZE = 6 };
    const size_t size = dns_query_error(query, rcode, out);
    uint8_t *option = out + size;

    if (!query->edns.is_present) {
        return size;
    }

    put16(option - 2, OPTION_SIZE); /* the OPT is last, its RDLENGTH before */
    put16(option, DNS_OPTION_EXTENDED_ERROR);
    put16(option + 2, 2);
    put16(option + 4, (unsigned) why);
    return size + OPTION_SIZE;
}

void
dns_query_copy(dns_query_t *to, const dns_query_t *from, const uint8_t *packet)
{
    *to = *from;
    to->packet = packet;

    if (from->edns.options != NULL) {
        to->edns.options = packet + (from->edns.options - from->packet);
    }
}
