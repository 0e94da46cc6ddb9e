#include "dns/message.h"

#include <string.h>

#include "dns/octets.h"
#include "dns/private/rdata_layout.h"
#include "dns/rdata.h"
#include "dns/writer.h"

enum {
    LABEL_TYPE_MASK = 0xc0,
    LABEL_POINTER = 0xc0,
    QUESTION_FIXED_SIZE = 4,
    POINTERS_MAX = DNS_NAME_LABELS_MAX, /* in one name: bounds the work where
                                           pointers lead to pointers */
};

dns_status_t
dns_message_open(dns_message_t *m, const uint8_t *wire, size_t size)
{
    if (size < DNS_HEADER_SIZE || size > DNS_MESSAGE_MAX) {
        return DNS_EMALFORMED;
    }

    m->wire = wire;
    m->size = (uint32_t) size;
    m->at = DNS_HEADER_SIZE;
    m->id = get16(wire + DNS_HEADER_ID_AT);
    m->flags = get16(wire + DNS_HEADER_FLAGS_AT);

    for (unsigned i = 0; i < 4; i++) {
        m->counts[i] = get16(wire + DNS_HEADER_QDCOUNT_AT + 2 * i);
    }

    m->section = DNS_QUESTION;
    m->left = m->counts[DNS_QUESTION];
    return DNS_OK;
}

dns_status_t
dns_message_name(const dns_message_t *m, size_t at, uint8_t *out, size_t *end)
{
    size_t used = 0;
    size_t start = at; /* of the labels since the last pointer */
    unsigned jumps = 0;

    while (at < m->size) {
        uint8_t length = m->wire[at];

        if ((length & LABEL_TYPE_MASK) == LABEL_POINTER) {
            if (at + 2 > m->size) {
                return DNS_EMALFORMED;
            }

            size_t target = get16(m->wire + at) & DNS_POINTER_MAX;

            if (jumps == 0) {
                *end = at + 2;
            }

            if (target >= start || target < DNS_HEADER_SIZE ||
                ++jumps > POINTERS_MAX) {
                return DNS_EMALFORMED;
            }

            at = start = target;
            continue;
        }

        if (length > DNS_LABEL_MAX || used + length + 1u > DNS_NAME_MAX ||
            at + length + 1u > m->size) {
            return DNS_EMALFORMED;
        }

        memcpy(out + used, m->wire + at, length + 1u);
        used += length + 1u;
        at += length + 1u;

        if (length == 0) {
            if (jumps == 0) {
                *end = at;
            }

            return DNS_OK;
        }
    }

    return DNS_EMALFORMED;
}

static dns_status_t
read_question(dns_message_t *m, size_t at, dns_message_record_t *record)
{
    if (at + QUESTION_FIXED_SIZE > m->size) {
        return DNS_EMALFORMED;
    }

    record->type = get16(m->wire + at);
    record->class_ = get16(m->wire + at + 2);
    record->ttl = 0;
    record->rdata_at = 0;
    record->rdata_size = 0;
    m->at = (uint32_t) at + QUESTION_FIXED_SIZE;
    return DNS_OK;
}

static dns_status_t
read_record(dns_message_t *m, size_t at, dns_message_record_t *record)
{
    if (at + DNS_RECORD_HEADER_SIZE > m->size) {
        return DNS_EMALFORMED;
    }

    record->type = get16(m->wire + at);
    record->class_ = get16(m->wire + at + 2);
    record->ttl = get32(m->wire + at + 4);
    record->rdata_size = get16(m->wire + at + 8);
    record->rdata_at = (uint32_t) at + DNS_RECORD_HEADER_SIZE;

    if (record->rdata_at + record->rdata_size > m->size) {
        return DNS_EMALFORMED;
    }

    m->at = record->rdata_at + record->rdata_size;
    return DNS_OK;
}

dns_status_t
dns_message_next(dns_message_t *m, dns_message_record_t *record)
{
    while (m->left == 0) {
        if (m->section == DNS_ADDITIONAL) {
            return DNS_ENOTFOUND;
        }

        m->section++;
        m->left = m->counts[m->section];
    }

    size_t end;
    dns_status_t status = dns_message_name(m, m->at, record->owner, &end);

    if (status != DNS_OK) {
        return status;
    }

    record->section = m->section;
    record->owner_size = (uint8_t) dns_name_size(record->owner);
    status = m->section == DNS_QUESTION ? read_question(m, end, record)
                                        : read_record(m, end, record);

    if (status == DNS_OK) {
        m->left--;
    }

    return status;
}

/* Copies one field of an rdata, a name uncompressed; moves both offsets. */
static dns_status_t
copy_field(const dns_message_t *m, char field, size_t *at, size_t end,
           uint8_t *out, size_t *used)
{
    size_t size;

    if (rdata_field_is_name(field)) {
        size_t after;
        uint8_t name[DNS_NAME_MAX];
        dns_status_t status = dns_message_name(m, *at, name, &after);

        if (status != DNS_OK || after > end) {
            return DNS_EMALFORMED;
        }

        size = dns_name_size(name);

        if (*used + size > DNS_RDATA_MAX) {
            return DNS_EMALFORMED;
        }

        memcpy(out + *used, name, size);
        *at = after;
        *used += size;
        return DNS_OK;
    }

    if (!rdata_field_size(field, m->wire + *at, end - *at, &size) ||
        *used + size > DNS_RDATA_MAX) {
        return DNS_EMALFORMED;
    }

    memcpy(out + *used, m->wire + *at, size);
    *at += size;
    *used += size;
    return DNS_OK;
}

dns_status_t
dns_message_rdata(const dns_message_t *m, const dns_message_record_t *record,
                  uint8_t *out, uint16_t *out_size)
{
    const rdata_layout_t *layout = rdata_layout(record->type);
    size_t at = record->rdata_at;
    size_t end = at + record->rdata_size;
    size_t used = 0;

    /* RFC 2136: records without data in updates. */
    if (record->rdata_size == 0 || layout->fields == NULL ||
        !layout->has_names) {
        memcpy(out, m->wire + at, record->rdata_size);
        *out_size = record->rdata_size;

        return record->rdata_size == 0
                   ? DNS_OK
                   : dns_rdata_check(record->type, out, record->rdata_size);
    }

    for (const char *field = layout->fields; *field != '\0'; field++) {
        dns_status_t status = copy_field(m, *field, &at, end, out, &used);

        if (status != DNS_OK) {
            return status;
        }
    }

    if (at != end) {
        return DNS_EMALFORMED;
    }

    *out_size = (uint16_t) used;
    return DNS_OK;
}

int
dns_message_rcode(const uint8_t *wire, size_t size)
{
    dns_message_t m;
    dns_message_record_t record;

    if (dns_message_open(&m, wire, size) != DNS_OK) {
        return -1;
    }

    while (dns_message_next(&m, &record) == DNS_OK) {
        if (record.section == DNS_ADDITIONAL && record.type == DNS_TYPE_OPT) {
            return (int) (record.ttl >> 24 << 4) | (m.flags & DNS_RCODE_MASK);
        }
    }

    return m.flags & DNS_RCODE_MASK;
}
