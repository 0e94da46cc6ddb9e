/* Any octets as a message: decoding is safe, and what a message decodes to,
   encoded and decoded again, is the same. */

#include <stdlib.h>
#include <string.h>

#include "dns/message.h"
#include "dns/name.h"
#include "dns/rdata.h"
#include "dns/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static uint8_t rdata[DNS_RDATA_MAX];
static uint8_t other_rdata[DNS_RDATA_MAX];
static uint8_t message[DNS_MESSAGE_MAX];

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static dns_status_t
put(dns_writer_t *w, const dns_message_record_t *record, uint16_t rdata_size)
{
    if (record->section == DNS_QUESTION) {
        return dns_writer_put_question(w, record->owner, record->type,
                                       record->class_);
    }

    return dns_writer_put_record(
        w, record->section,
        &(dns_writer_record_t){.owner = record->owner,
                               .type = record->type,
                               .class_ = record->class_,
                               .ttl = record->ttl,
                               .rdata = rdata,
                               .rdata_size = rdata_size});
}

/* Encodes all records; false if it is no message, or does not fit one. */
static bool
encode(dns_writer_t *w, const uint8_t *octets, size_t size)
{
    dns_message_t m;
    dns_message_record_t record;
    dns_status_t status = dns_message_open(&m, octets, size);

    dns_writer_init(w, message, sizeof(message));

    while (status == DNS_OK &&
           (status = dns_message_next(&m, &record)) == DNS_OK) {
        uint16_t rdata_size = 0;

        if (record.section != DNS_QUESTION) {
            status = dns_message_rdata(&m, &record, rdata, &rdata_size);

            /* Records without data (RFC 2136) are not for a writer. */
            if (status == DNS_OK && rdata_size == 0 &&
                dns_rdata_check(record.type, rdata, 0) != DNS_OK) {
                return false;
            }
        }

        if (status == DNS_OK) {
            status = put(w, &record, rdata_size);
        }
    }

    return status == DNS_ENOTFOUND;
}

static void
compare_rdata(const dns_message_t *a, const dns_message_record_t *x,
              const dns_message_t *b, const dns_message_record_t *y)
{
    uint16_t x_size;
    uint16_t y_size;

    require(dns_message_rdata(a, x, rdata, &x_size) == DNS_OK);
    require(dns_message_rdata(b, y, other_rdata, &y_size) == DNS_OK);
    require(dns_rdata_compare(x->type, rdata, x_size, other_rdata, y_size) ==
            0);
}

static void
compare(const uint8_t *octets, size_t size, size_t encoded_size)
{
    dns_message_t a;
    dns_message_t b;
    dns_message_record_t x;
    dns_message_record_t y;

    require(dns_message_open(&a, octets, size) == DNS_OK);
    require(dns_message_open(&b, message, encoded_size) == DNS_OK);

    while (dns_message_next(&a, &x) == DNS_OK) {
        require(dns_message_next(&b, &y) == DNS_OK);
        require(x.section == y.section && x.type == y.type &&
                x.class_ == y.class_ && x.ttl == y.ttl &&
                dns_name_equal(x.owner, y.owner));

        if (x.section != DNS_QUESTION) {
            compare_rdata(&a, &x, &b, &y);
        }
    }

    require(dns_message_next(&b, &y) == DNS_ENOTFOUND);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
    static dns_writer_t w;

    if (encode(&w, octets, size)) {
        compare(octets, size, w.used);
    }

    return 0;
}
