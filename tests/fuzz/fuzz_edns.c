/* Any octets as EDNS options: what is read can be built again. */

#include <stdlib.h>
#include <string.h>

#include "dns/edns.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void
check_subnet(const dns_option_t *option)
{
    uint8_t octets[64];
    dns_options_t o = {.octets = octets, .room = sizeof(octets)};
    dns_subnet_t subnet;

    if (dns_subnet_parse(&subnet, option->data, option->size) != DNS_OK) {
        return;
    }

    require(dns_options_put_subnet(&o, &subnet) == DNS_OK);
    require(o.size == DNS_OPTION_HEADER_SIZE + (size_t) option->size);
    require(memcmp(octets + DNS_OPTION_HEADER_SIZE, option->data,
                   option->size) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
    static uint8_t built[1 << 20];
    dns_options_t o = {.octets = built, .room = sizeof(built)};
    dns_option_t option;
    size_t at = 0;

    if (size > sizeof(built)) {
        return 0;
    }

    while (dns_option_next(octets, size, &at, &option)) {
        require(dns_options_put(&o, option.code, option.data, option.size) ==
                DNS_OK);
        check_subnet(&option);
    }

    require(o.size == at && (at == 0 || memcmp(built, octets, at) == 0));

    if (size >= 4 && size < 60000) {
        size_t message_size = size;
        size_t limit = octets[0] * 256u + octets[1];
        size_t block = octets[2] + 1u;

        o.size = 0;
        if (dns_options_put_padding(&o, message_size, block, limit) == DNS_OK) {
            require(message_size + o.size <= limit);
        }
    }

    return 0;
}
