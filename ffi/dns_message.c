#include "ffi/dns_ffi.h"

#include <string.h>

#include "dns/message.h"
#include "dns/octets.h"
#include "dns/rdata.h"
#include "dns/rdata_text.h"
#include "dns/type.h"
#include "dns/writer.h"

enum {
    EDNS_DNSSEC_OK = 0x8000, /* in the TTL's low half, RFC 3225 */
};

_Static_assert((int) DNS_FFI_RDATA_TEXT_SIZE == DNS_RDATA_TEXT_MAX, "sizes");
_Static_assert((int) DNS_FFI_ADDITIONAL == DNS_ADDITIONAL, "sections");

static void
note_edns(struct dns_ffi_message *message, const dns_message_record_t *opt)
{
    message->has_edns = 1;
    message->udp_size = opt->class_;
    message->rcode |= (uint16_t) (opt->ttl >> 24 << 4);
    message->edns_version = (uint8_t) (opt->ttl >> 16);
    message->dnssec_ok = (opt->ttl & EDNS_DNSSEC_OK) != 0;
    message->options_at = opt->rdata_at;
    message->options_size = opt->rdata_size;
}

/* Between the struct that Lua holds and the reader's own. */
static dns_message_t
reader_of(const struct dns_ffi_message *message)
{
    dns_message_t m = {
        .wire = message->wire,
        .size = message->size,
        .at = message->at,
        .id = message->id,
        .flags = message->flags,
        .left = message->left,
        .section = message->section,
    };

    memcpy(m.counts, message->counts, sizeof(m.counts));
    return m;
}

static void
take_position(struct dns_ffi_message *message, const dns_message_t *m)
{
    message->at = m->at;
    message->left = m->left;
    message->section = m->section;
}

static int
check_records(struct dns_ffi_message *message, dns_message_t m)
{
    uint8_t rdata[DNS_RDATA_MAX];
    uint16_t rdata_size;
    dns_message_record_t record;
    dns_status_t status;

    while ((status = dns_message_next(&m, &record)) == DNS_OK) {
        if (record.type == DNS_TYPE_OPT && record.section == DNS_ADDITIONAL) {
            note_edns(message, &record);
        } else if (record.section != DNS_QUESTION) {
            status = dns_message_rdata(&m, &record, rdata, &rdata_size);

            if (status != DNS_OK) {
                return status;
            }
        }
    }

    return status == DNS_ENOTFOUND ? DNS_OK : (int) status;
}

int
dns_ffi_message_parse(struct dns_ffi_message *message, const uint8_t *wire,
                      size_t size)
{
    dns_message_t m;
    dns_status_t status = dns_message_open(&m, wire, size);

    if (status != DNS_OK) {
        return status;
    }

    memset(message, 0, sizeof(*message));
    message->wire = wire;
    message->size = m.size;
    message->id = m.id;
    message->flags = m.flags;
    message->rcode = m.flags & DNS_RCODE_MASK;
    memcpy(message->counts, m.counts, sizeof(m.counts));
    take_position(message, &m);
    return check_records(message, m);
}

int
dns_ffi_message_next(struct dns_ffi_message *message,
                     struct dns_ffi_record *out)
{
    dns_message_t m = reader_of(message);
    dns_message_record_t record;

    do {
        if (dns_message_next(&m, &record) != DNS_OK) {
            return 0;
        }
    } while (record.type == DNS_TYPE_OPT && record.section == DNS_ADDITIONAL);

    out->rdata_size = 0;

    if (record.section != DNS_QUESTION &&
        dns_message_rdata(&m, &record, out->rdata, &out->rdata_size) !=
            DNS_OK) {
        return 0;
    }

    out->section = record.section;
    out->type = record.type;
    out->class_code = record.class_;
    out->ttl = record.ttl;
    out->name_size = record.owner_size;
    memcpy(out->name, record.owner, record.owner_size);
    take_position(message, &m);
    return 1;
}

int
dns_ffi_message_is_truncated(const uint8_t *wire, size_t size)
{
    if (size < DNS_HEADER_SIZE) {
        return -1;
    }

    return (get16(wire + DNS_HEADER_FLAGS_AT) & DNS_FLAG_TC) != 0;
}

int
dns_ffi_message_rcode(const uint8_t *wire, size_t size)
{
    return dns_message_rcode(wire, size);
}
