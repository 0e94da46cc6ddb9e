#include "ffi/dns_ffi.h"

#include <stdlib.h>
#include <string.h>

#include "dns/name.h"
#include "dns/rdata.h"
#include "dns/writer.h"

struct dns_ffi_writer {
    dns_writer_t w;
    dns_writer_mark_t set_start; /* before the first record of the set */
    uint16_t set_type;
    uint16_t set_class;
    uint8_t set_section;
    uint8_t set_name[DNS_NAME_MAX]; /* of the record set written last */
    bool set_is_dropped;            /* it did not fit: skip the rest of it */
    bool has_edns;
    bool dnssec_ok;
    uint16_t udp_size;
    uint16_t options_size;
    uint8_t options[DNS_MESSAGE_MAX];
    uint8_t message[DNS_MESSAGE_MAX];
};

struct dns_ffi_writer *
dns_ffi_writer_new(void)
{
    return calloc(1, sizeof(struct dns_ffi_writer));
}

void
dns_ffi_writer_free(struct dns_ffi_writer *writer)
{
    free(writer);
}

void
dns_ffi_writer_start(struct dns_ffi_writer *writer, size_t limit, uint16_t id,
                     uint16_t flags)
{
    if (limit < 512) {
        limit = 512;
    }

    dns_writer_init(&writer->w, writer->message, limit);
    dns_writer_put_header(&writer->w, id, flags);
    writer->has_edns = false;
    writer->set_section = DNS_FFI_QUESTION;
    writer->set_is_dropped = false;
}

int
dns_ffi_writer_use_edns(struct dns_ffi_writer *writer, uint16_t udp_size,
                        uint8_t dnssec_ok, const uint8_t *options,
                        size_t options_size)
{
    if (options_size > DNS_MESSAGE_MAX - DNS_HEADER_SIZE - DNS_OPT_SIZE) {
        return DNS_ENOSPACE;
    }

    dns_status_t status =
        dns_writer_reserve(&writer->w, DNS_OPT_SIZE + options_size);

    if (status != DNS_OK) {
        return status;
    }

    if (options_size > 0) {
        memcpy(writer->options, options, options_size);
    }

    writer->has_edns = true;
    writer->udp_size = udp_size;
    writer->dnssec_ok = dnssec_ok != 0;
    writer->options_size = (uint16_t) options_size;
    return DNS_OK;
}

/* Records that follow each other with the same owner, type and class are one
   set. */
static bool
continues_set(const struct dns_ffi_writer *writer,
              const struct dns_ffi_record *record)
{
    return writer->set_section == record->section &&
           writer->set_type == record->type &&
           writer->set_class == record->class_code &&
           dns_name_equal(writer->set_name, record->name);
}

static void
start_set(struct dns_ffi_writer *writer, const struct dns_ffi_record *record)
{
    writer->set_start = dns_writer_mark(&writer->w);
    writer->set_section = record->section;
    writer->set_type = record->type;
    writer->set_class = record->class_code;
    writer->set_is_dropped = false;
    memcpy(writer->set_name, record->name, record->name_size);
}

static int
drop_set(struct dns_ffi_writer *writer)
{
    dns_writer_rewind(&writer->w, &writer->set_start);
    writer->set_is_dropped = true;

    if (writer->set_section != DNS_FFI_ADDITIONAL) {
        dns_writer_truncate(&writer->w);
    }

    return DNS_ENOSPACE;
}

static dns_status_t
check_record(const struct dns_ffi_record *record)
{
    size_t size;
    dns_status_t status =
        dns_name_check(record->name, record->name_size, &size);

    if (status != DNS_OK || record->section == DNS_FFI_QUESTION) {
        return status;
    }

    if (record->section > DNS_FFI_ADDITIONAL) {
        return DNS_EMALFORMED;
    }

    /* Updates carry records without data (RFC 2136 section 2.5). */
    if (record->rdata_size == 0) {
        return DNS_OK;
    }

    return dns_rdata_check(record->type, record->rdata, record->rdata_size);
}

int
dns_ffi_writer_put(struct dns_ffi_writer *writer,
                   const struct dns_ffi_record *record)
{
    dns_status_t status = check_record(record);

    if (status != DNS_OK) {
        return status;
    }

    if (record->section == DNS_FFI_QUESTION) {
        return dns_writer_put_question(&writer->w, record->name, record->type,
                                       record->class_code);
    }

    if (!continues_set(writer, record)) {
        start_set(writer, record);
    } else if (writer->set_is_dropped) {
        return DNS_ENOSPACE;
    }

    dns_writer_record_t r = {
        .owner = record->name,
        .type = record->type,
        .class_ = record->class_code,
        .ttl = record->ttl,
        .rdata = record->rdata,
        .rdata_size = record->rdata_size,
    };

    status =
        dns_writer_put_record(&writer->w, (dns_section_t) record->section, &r);
    return status == DNS_ENOSPACE ? drop_set(writer) : (int) status;
}

int
dns_ffi_writer_finish(struct dns_ffi_writer *writer, uint16_t rcode)
{
    dns_writer_add_flags(&writer->w, rcode & DNS_RCODE_MASK);

    if (writer->has_edns) {
        dns_writer_opt_t opt = {
            .udp_size = writer->udp_size,
            .rcode = rcode,
            .dnssec_ok = writer->dnssec_ok,
            .options_size = writer->options_size,
            .options = writer->options,
        };

        dns_writer_release(&writer->w,
                           DNS_OPT_SIZE + (size_t) writer->options_size);
        dns_status_t status = dns_writer_put_opt(&writer->w, &opt);

        if (status != DNS_OK) {
            return status;
        }
    }

    return (int) writer->w.used;
}

const uint8_t *
dns_ffi_writer_message(const struct dns_ffi_writer *writer)
{
    return writer->message;
}
