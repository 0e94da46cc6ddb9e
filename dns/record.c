#include "dns/record.h"

#include "dns/name.h"
#include "dns/private/text_writer.h"
#include "dns/rdata_text.h"
#include "dns/type.h"

static void
put_head(text_writer_t *w, const dns_record_t *record)
{
    char mnemonic[DNS_MNEMONIC_SIZE];

    text_put_name(w, record->owner);
    text_put(w, "\t", 1);
    text_put_number(w, record->ttl);
    text_put(w, "\t", 1);
    text_put(w, mnemonic, dns_class_to_text(mnemonic, record->class_));
    text_put(w, "\t", 1);
    text_put(w, mnemonic, dns_type_to_text(mnemonic, record->type));
    text_put(w, "\t", 1);
}

dns_status_t
dns_record_to_text(const dns_record_t *record, char *out, size_t room,
                   size_t *length)
{
    text_writer_t w = {.out = out, .room = room};
    dns_rdata_t rdata = {record->rdata, record->rdata_size};
    size_t rdata_length;

    put_head(&w, record);

    if (!text_finish(&w)) {
        return DNS_ENOSPACE;
    }

    dns_status_t status = dns_rdata_to_text(record->type, &rdata, out + w.size,
                                            room - w.size, &rdata_length);

    if (status != DNS_OK) {
        return status;
    }

    w.size += rdata_length;
    text_put(&w, "\n", 1);
    *length = w.size;
    return text_finish(&w) ? DNS_OK : DNS_ENOSPACE;
}
