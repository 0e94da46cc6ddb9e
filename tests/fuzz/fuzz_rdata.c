/* The first two octets are a type, the others its rdata, as text and as wire
   form.  What is read is valid, and its text reads back as the same. */

#include <stdlib.h>
#include <string.h>

#include "dns/rdata_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static uint8_t rdata[DNS_RDATA_MAX];
static uint8_t back[DNS_RDATA_MAX];
static char text[DNS_RDATA_TEXT_MAX];

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void
check_rdata(uint16_t type, const uint8_t *octets, uint16_t size)
{
    dns_rdata_t data = {octets, size};
    uint16_t back_size;
    size_t length;

    require(dns_rdata_to_text(type, &data, text, sizeof(text), &length) ==
            DNS_OK);
    require(strlen(text) == length && strchr(text, '\n') == NULL);

    dns_rdata_input_t input = {.type = type, .text = text, .size = length};

    dns_text_error_t error;

    if (dns_rdata_from_text(&input, back, &back_size, &error) != DNS_OK) {
        /* Only text is held to a digest's length: who sends others does it. */
        require(strstr(error.expected, "a digest as long") != NULL);
        return;
    }

    require(back_size == size && memcmp(back, octets, size) == 0);
    require(dns_rdata_compare(type, octets, size, back, back_size) == 0);

    const uint8_t *target = dns_rdata_target(type, octets, size);

    require(target == NULL || (target >= octets && target < octets + size));
    dns_rdata_canonicalize(type, back, back_size);
    require(dns_rdata_compare(type, octets, size, back, back_size) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
    if (size < 3 || size > 60000) {
        return 0;
    }

    uint16_t type = (uint16_t) (octets[0] << 8 | octets[1]);
    dns_rdata_input_t input = {.type = type,
                               .text = (const char *) octets + 2,
                               .size = size - 2,
                               .origin = (const uint8_t *) "\7example"};
    dns_text_error_t error;
    uint16_t rdata_size;

    if (dns_rdata_check(type, octets + 2, size - 2) == DNS_OK) {
        check_rdata(type, octets + 2, (uint16_t) (size - 2));
    }

    if (dns_rdata_from_text(&input, rdata, &rdata_size, &error) == DNS_OK) {
        require(dns_rdata_check(type, rdata, rdata_size) == DNS_OK);
        check_rdata(type, rdata, rdata_size);
    } else {
        require(error.expected != NULL && error.at <= input.size);
    }

    return 0;
}
