/* Any bytes as a master file: records are valid, their text reads back, and an
   error has a message. */

#include <stdlib.h>
#include <string.h>

#include "dns/name.h"
#include "dns/rdata.h"
#include "dns/rdata_text.h"
#include "dns/zonefile.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

enum { RECORDS_MAX = 1000 }; /* $GENERATE would make more */

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* The record's own text is a master file with this one record. */
static void
check_record(const dns_record_t *record)
{
    static char text[DNS_RDATA_TEXT_MAX + DNS_NAME_TEXT_SIZE];
    dns_zonefile_t *file;
    dns_record_t back;
    size_t length;

    require(dns_rdata_check(record->type, record->rdata, record->rdata_size) ==
            DNS_OK);
    require(dns_record_to_text(record, text, sizeof(text), &length) == DNS_OK);
    require(
        dns_zonefile_open(&file, &(dns_zonefile_options_t){
                                     .text = text, .size = length}) == DNS_OK);
    require(dns_zonefile_next(file, &back) == DNS_OK);
    require(back.type == record->type && back.ttl == record->ttl &&
            back.class_ == record->class_ &&
            back.rdata_size == record->rdata_size);
    require(memcmp(back.rdata, record->rdata, back.rdata_size) == 0);
    require(dns_name_equal(back.owner, record->owner));
    require(dns_zonefile_next(file, &back) == DNS_ENOTFOUND);
    dns_zonefile_free(file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
    dns_zonefile_options_t options = {.text = (const char *) octets,
                                      .size = size,
                                      .origin = (const uint8_t *) "\7example"};
    dns_zonefile_t *file;
    dns_record_t record;
    dns_status_t status = dns_zonefile_open(&file, &options);

    require(status == DNS_OK);

    for (int i = 0; i < RECORDS_MAX && status == DNS_OK; i++) {
        status = dns_zonefile_next(file, &record);

        if (status == DNS_OK) {
            check_record(&record);
        }
    }

    require((dns_zonefile_error(file)[0] != '\0') ==
            (status != DNS_OK && status != DNS_ENOTFOUND));
    dns_zonefile_free(file);
    return 0;
}
