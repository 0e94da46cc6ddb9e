#include "ffi/dns_ffi.h"

#include <stdio.h>

#include "dns/rdata.h"
#include "dns/rdata_text.h"

int
dns_ffi_rdata_from_text(uint16_t type, const char *text, size_t size,
                        const uint8_t *origin, uint8_t *out, char *error)
{
    dns_rdata_input_t input = {
        .type = type,
        .text = text,
        .size = size,
        .origin = origin,
    };
    dns_text_error_t wrong = {0, "data of the type"};
    uint16_t rdata_size;
    dns_status_t status = dns_rdata_from_text(&input, out, &rdata_size, &wrong);

    if (status != DNS_OK) {
        snprintf(error, DNS_FFI_ERROR_SIZE, "expected %s at column %zu",
                 wrong.expected, wrong.at + 1);
        return status;
    }

    return rdata_size;
}

int
dns_ffi_rdata_to_text(uint16_t type, const uint8_t *rdata, size_t size,
                      char *out)
{
    if (size > DNS_RDATA_MAX) {
        return DNS_EMALFORMED;
    }

    dns_status_t status = dns_rdata_check(type, rdata, size);

    if (status != DNS_OK) {
        return status;
    }

    dns_rdata_t data = {.octets = rdata, .size = (uint16_t) size};
    size_t length;

    status =
        dns_rdata_to_text(type, &data, out, DNS_FFI_RDATA_TEXT_SIZE, &length);
    return status == DNS_OK ? (int) length : (int) status;
}
