#include "ffi/hook_ffi.h"


#include <arpa/inet.h>
#include <string.h>

#include "dns/edns.h"
#include "dns/message.h"
#include "dns/name.h"
#include "dns/octets.h"
#include "dns/query.h"
#include "dns/rdata_text.h"
#include "dns/response.h"
#include "dns/type.h"
#include "dns/zonefile.h"
#include "ffi/dns_ffi.h"

enum { WHAT_OWNER = 1, WHAT_RDATA = 2, WHAT_SECTION = 3 };

void
dns_ffi_hook_begin(struct dns_ffi_hook *hook, uint16_t rcode)
{
    const size_t question = (size_t) hook->qname_size + 4;

    if (hook->out_room < DNS_HEADER_SIZE + question) {
        return;
    }

    unsigned flags = DNS_FLAG_QR | DNS_FLAG_AA |
                     (hook->flags & (DNS_FLAG_RD | DNS_FLAG_CD)) |
                     (rcode & DNS_RCODE_MASK);

    memset(hook->out, 0, DNS_HEADER_SIZE);
    put16(hook->out, hook->id);
    put16(hook->out + DNS_HEADER_FLAGS_AT, flags);
    hook->out[DNS_HEADER_QDCOUNT_AT + 1] = 1;
    memcpy(hook->out + DNS_HEADER_SIZE, hook->packet + DNS_HEADER_SIZE,
           question);
    hook->out_size = (uint32_t) (DNS_HEADER_SIZE + question);
    hook->rcode = rcode;
    hook->action = DNS_FFI_HOOK_ANSWER;
}

/* The owner behind the records so far; the question's name is a pointer. */
static int
put_owner(struct dns_ffi_hook *hook, const char *owner, size_t owner_size,
          size_t *size)
{
    uint8_t *at = hook->out + hook->out_size;

    if (owner == NULL) {
        put16(at, 0xc000 | DNS_HEADER_SIZE);
        *size = 2;
        return DNS_OK;
    }

    int status = dns_name_from_text(at, owner, owner_size, NULL, NULL);

    *size = status == DNS_OK ? dns_name_size(at) : 0;
    return status;
}

static int
put_rdata(uint16_t type, const char *text, size_t text_size, uint8_t *at,
          uint16_t *size)
{
    dns_rdata_input_t input = {.type = type, .text = text, .size = text_size};
    dns_text_error_t wrong;

    /* The commonest, at the cost of nothing. */
    if (type == DNS_TYPE_A && text_size < INET_ADDRSTRLEN) {
        char address[INET_ADDRSTRLEN] = {0};

        memcpy(address, text, text_size);
        *size = 4;
        return inet_pton(AF_INET, address, at) == 1 ? DNS_OK : DNS_EMALFORMED;
    }

    return dns_rdata_from_text(&input, at, size, &wrong);
}

static int
count_record(struct dns_ffi_hook *hook, int section)
{
    uint8_t *counts = hook->out + DNS_HEADER_QDCOUNT_AT;

    if (section < DNS_FFI_HOOK_ANSWER || section > 3) {
        return DNS_EMALFORMED;
    }

    for (int later = section + 1; later <= 3; later++) {
        if (get16(counts + 2 * later) > 0) {
            return DNS_EMALFORMED;
        }
    }

    put16(counts + 2 * section, get16(counts + 2 * section) + 1u);
    return DNS_OK;
}

/* Nine arguments: Lua gives each string with its size, for each record. */
int
/* NOLINTNEXTLINE(readability-function-size) */
dns_ffi_hook_add(struct dns_ffi_hook *hook, int section, const char *owner,
                 size_t owner_size, uint16_t type, uint32_t ttl,
                 const char *text, size_t text_size, int *what)
{
    static uint8_t rdata[DNS_RDATA_MAX];
    uint16_t rdata_size;
    size_t size;

    if (hook->action != DNS_FFI_HOOK_ANSWER) {
        dns_ffi_hook_begin(hook, 0);
    }

    if (hook->action != DNS_FFI_HOOK_ANSWER ||
        hook->out_room < hook->out_size ||
        hook->out_room - hook->out_size < DNS_NAME_MAX + 10) {
        return DNS_ENOSPACE;
    }

    *what = WHAT_OWNER;

    if (put_owner(hook, owner, owner_size, &size) != DNS_OK) {
        return DNS_EMALFORMED;
    }

    *what = WHAT_RDATA;

    if (put_rdata(type, text, text_size, rdata, &rdata_size) != DNS_OK) {
        return DNS_EMALFORMED;
    }

    if (hook->out_room - hook->out_size < size + 10 + rdata_size) {
        return DNS_ENOSPACE;
    }

    *what = WHAT_SECTION;

    if (count_record(hook, section) != DNS_OK) {
        return DNS_EMALFORMED;
    }

    uint8_t *at = hook->out + hook->out_size + size;

    put16(at, type);
    put16(at + 2, hook->class_code);
    put32(at + 4, ttl <= DNS_TTL_MAX ? ttl : 0); /* RFC 2181 section 8 */
    put16(at + 8, rdata_size);
    memcpy(at + 10, rdata, rdata_size);
    hook->out_size += (uint32_t) (size + 10 + rdata_size);
    return DNS_OK;
}

/* The client's own OPT comes in the place of the response's. */
static size_t
without_opt(struct dns_ffi_hook *hook, const uint8_t *wire, size_t size)
{
    dns_query_t query;
    dns_response_t response;
    int rcode;

    hook->additional_count = get16(wire + DNS_HEADER_ARCOUNT_AT);

    if (dns_query_parse(&query, hook->packet, hook->packet_size, DNS_OVER_TCP,
                        &rcode) != DNS_OK ||
        dns_response_scan(&response, &query, wire, size) != DNS_OK) {
        return size;
    }

    hook->additional_count = response.additional_count;
    return response.size;
}

int
dns_ffi_hook_set(struct dns_ffi_hook *hook, const uint8_t *wire, size_t size)
{
    dns_message_t m;
    dns_message_record_t question;

    if (size > hook->out_room || dns_message_open(&m, wire, size) != DNS_OK ||
        m.counts[DNS_FFI_QUESTION] != 1 ||
        dns_message_next(&m, &question) != DNS_OK ||
        !dns_name_equal(question.owner, hook->qname)) {
        return DNS_EMALFORMED;
    }

    size = without_opt(hook, wire, size);
    memmove(hook->out, wire, size);
    put16(hook->out + DNS_HEADER_ARCOUNT_AT, hook->additional_count);
    put16(hook->out, hook->id);
    put16(hook->out + DNS_HEADER_FLAGS_AT, m.flags | DNS_FLAG_QR);
    memcpy(hook->out + DNS_HEADER_SIZE, hook->packet + DNS_HEADER_SIZE,
           hook->qname_size);
    hook->out_size = (uint32_t) size;
    hook->rcode = m.flags & DNS_RCODE_MASK;
    hook->action = DNS_FFI_HOOK_ANSWER;
    return DNS_OK;
}

int
dns_ffi_hook_client_text(const struct dns_ffi_hook *hook, char *out)
{
    const int family = hook->client_family == 6 ? AF_INET6 : AF_INET;

    if (inet_ntop(family, hook->client_octets, out, 64) == NULL) {
        return 0;
    }

    return (int) strlen(out);
}

int
dns_ffi_hook_name_text(const struct dns_ffi_hook *hook, char *out)
{
    int size = dns_ffi_name_to_text(hook->qname, hook->qname_size, out);

    /* Without the final dot, as elsewhere in Lua; the root stays ".". */
    return size > 1 ? size - 1 : size;
}

int
dns_ffi_hook_client_in(const struct dns_ffi_hook *hook, int family,
                       const uint8_t *address, int bits)
{
    const int whole = bits / 8;
    const int rest = bits % 8;

    if (family != hook->client_family || bits < 0 ||
        bits > (family == 6 ? 128 : 32) ||
        memcmp(hook->client_octets, address, (size_t) whole) != 0) {
        return 0;
    }

    return rest == 0 ||
           ((hook->client_octets[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

int
dns_ffi_hook_subnet(const struct dns_ffi_hook *hook, uint8_t *address,
                    uint8_t *bits)
{
    dns_query_t query;
    dns_option_t option;
    dns_subnet_t subnet;
    int rcode;

    if (dns_query_parse(&query, hook->packet, hook->packet_size, DNS_OVER_TCP,
                        &rcode) != DNS_OK ||
        !dns_option_find(query.edns.options, query.edns.options_size,
                         DNS_OPTION_SUBNET, &option) ||
        dns_subnet_parse(&subnet, option.data, option.size) != DNS_OK) {
        return 0;
    }

    memcpy(address, subnet.address, sizeof(subnet.address));
    *bits = subnet.source_prefix;
    return subnet.family;
}
