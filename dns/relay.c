#include "dns/relay.h"

#include <string.h>

#include "dns/message.h"
#include "dns/octets.h"
#include "dns/rdata.h"
#include "dns/type.h"
#include "dns/writer.h"

dns_follow_t
dns_relay_follow(const uint8_t *wire, size_t size, const dns_name_t *name,
                 uint16_t type, dns_name_t *target)
{
    dns_message_t m;
    dns_message_record_t record;
    uint8_t rdata[DNS_RDATA_MAX];
    uint16_t rdata_size;
    dns_follow_t found = DNS_FOLLOW_NOTHING;

    if (dns_message_open(&m, wire, size) != DNS_OK) {
        return DNS_FOLLOW_NOTHING;
    }

    while (dns_message_next(&m, &record) == DNS_OK &&
           record.section <= DNS_ANSWER) {
        if (record.section != DNS_ANSWER ||
            !dns_name_equal(record.owner, name->octets)) {
            continue;
        }

        if (record.type == type || type == DNS_TYPE_ANY) {
            return DNS_FOLLOW_RECORDS;
        }

        if (record.type == DNS_TYPE_CNAME && found == DNS_FOLLOW_NOTHING &&
            dns_message_rdata(&m, &record, rdata, &rdata_size) == DNS_OK &&
            rdata_size > 0) {
            dns_name_set(target, rdata);
            found = DNS_FOLLOW_ALIAS;
        }
    }

    return found;
}

bool
dns_relay_is_denial(const uint8_t *wire, size_t size)
{
    dns_message_t m;
    dns_message_record_t record;

    if (dns_message_open(&m, wire, size) != DNS_OK) {
        return false;
    }

    if ((m.flags & DNS_RCODE_MASK) == DNS_RCODE_NXDOMAIN) {
        return true;
    }

    while (dns_message_next(&m, &record) == DNS_OK) {
        if (record.section == DNS_AUTHORITY && record.type == DNS_TYPE_SOA) {
            return true;
        }
    }

    return false;
}

/* AD is for who asked for it (RFC 6840 section 5.8).  An rcode of more than
   four bits is between us and the upstream (BADVERS, BADCOOKIE). */
uint16_t
dns_relay_flags(const dns_query_t *query, const uint8_t *wire, size_t size)
{
    const uint16_t ours = DNS_FLAG_RD | DNS_FLAG_CD;
    const bool wants_ad =
        (query->flags & DNS_FLAG_AD) != 0 || query->edns.dnssec_ok;
    const uint16_t theirs =
        (uint16_t) (DNS_FLAG_TC | (wants_ad ? DNS_FLAG_AD : 0));
    const int rcode = dns_message_rcode(wire, size);
    const unsigned flags = rcode < 0 ? 0 : get16(wire + DNS_HEADER_FLAGS_AT);
    const bool is_ours = rcode < 0 || rcode > DNS_RCODE_MASK;

    return (uint16_t) (DNS_FLAG_QR | DNS_FLAG_RA | (query->flags & ours) |
                       (flags & theirs) |
                       (unsigned) (is_ours ? DNS_RCODE_SERVFAIL : rcode));
}

/* What is read and what is written. */
typedef struct {
    dns_message_t m;
    dns_writer_t *w;
    const dns_query_t *query;
    const dns_relay_part_t *part;
    const dns_name_t *renamed;
    dns_section_t last; /* that is taken */
} copy_t;

static dns_status_t
copy_record(const copy_t *copy, const dns_message_record_t *record)
{
    uint8_t rdata[DNS_RDATA_MAX];
    dns_writer_record_t out = {
        .owner = record->owner,
        .type = record->type,
        .class_ = record->class_,
        .ttl = record->ttl,
        .rdata = rdata,
    };

    if (copy->renamed != NULL && record->section != DNS_ADDITIONAL &&
        dns_name_equal(record->owner, copy->renamed->octets)) {
        out.owner = copy->query->packet + DNS_HEADER_SIZE;
        out.owner_at = DNS_QUESTION_AT;
    }

    dns_status_t status =
        dns_message_rdata(&copy->m, record, rdata, &out.rdata_size);

    if (status != DNS_OK) {
        return status;
    }

    return dns_writer_put_record(copy->w, (dns_section_t) record->section,
                                 &out);
}

static bool
is_same_set(const dns_message_record_t *a, const dns_message_record_t *b)
{
    return a->section == b->section && a->type == b->type &&
           a->class_ == b->class_ && dns_name_equal(a->owner, b->owner);
}

static bool
is_owner(const dns_relay_part_t *part, const uint8_t *name)
{
    for (unsigned i = 0; i < part->owner_count; i++) {
        if (dns_name_equal(part->owners[i].octets, name)) {
            return true;
        }
    }

    return part->owner_count == 0;
}

static bool
is_taken(const copy_t *copy, const dns_message_record_t *record)
{
    return record->section != DNS_QUESTION && record->section <= copy->last &&
           record->type != DNS_TYPE_OPT && record->type != DNS_TYPE_TSIG &&
           (record->section != DNS_ANSWER ||
            is_owner(copy->part, record->owner));
}

/* DNS_ENOSPACE: a set did not fit, and went. */
static dns_status_t
copy_records(copy_t *copy)
{
    dns_message_record_t record;
    dns_message_record_t first = {.section = DNS_QUESTION};
    dns_writer_mark_t mark = dns_writer_mark(copy->w);
    dns_status_t status;

    while ((status = dns_message_next(&copy->m, &record)) == DNS_OK) {
        if (!is_taken(copy, &record)) {
            continue;
        }

        if (first.section == DNS_QUESTION || !is_same_set(&first, &record)) {
            mark = dns_writer_mark(copy->w);
            first = record;
        }

        status = copy_record(copy, &record);

        if (status == DNS_ENOSPACE) {
            dns_writer_rewind(copy->w, &mark);

            if (record.section != DNS_ADDITIONAL) {
                dns_writer_truncate(copy->w);
            }
        }

        if (status != DNS_OK) {
            return status;
        }
    }

    return status == DNS_ENOTFOUND ? DNS_OK : status;
}

static dns_status_t
copy_parts(dns_writer_t *w, const dns_query_t *query, const dns_relay_t *relay)
{
    copy_t copy = {.w = w, .query = query, .renamed = relay->renamed};
    dns_status_t status = DNS_OK;

    for (unsigned i = 0; i < relay->part_count && status == DNS_OK; i++) {
        copy.part = &relay->parts[i];
        copy.last = i + 1 < relay->part_count ? DNS_ANSWER
                    : i > 0                   ? DNS_AUTHORITY
                                              : DNS_ADDITIONAL;
        status = dns_message_open(&copy.m, copy.part->wire, copy.part->size);

        if (status == DNS_OK) {
            status = copy_records(&copy);
        }
    }

    return status == DNS_ENOSPACE ? DNS_OK : status;
}

dns_status_t
dns_relay_write(const dns_query_t *query, const dns_relay_t *relay,
                uint8_t *out, size_t limit, size_t *size)
{
    dns_writer_t w;

    dns_writer_init(&w, out, limit);
    dns_writer_put_header(&w, query->id, relay->flags);
    dns_status_t status = dns_writer_put_question(
        &w, query->packet + DNS_HEADER_SIZE, query->qtype, query->qclass);

    if (status == DNS_OK && query->edns.is_present) {
        status = dns_writer_reserve(&w, DNS_OPT_SIZE);
    }

    if (status == DNS_OK) {
        status = copy_parts(&w, query, relay);
    }

    *size = w.used;
    return status;
}
