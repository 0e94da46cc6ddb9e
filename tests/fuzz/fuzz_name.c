/* Any bytes as a name's text, as a wire name and as a node key: what is read
   comes back the same. */

#include <stdlib.h>
#include <string.h>

#include "dns/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void
check_name(const uint8_t *name)
{
    char text[DNS_NAME_TEXT_SIZE];
    uint8_t back[DNS_NAME_MAX];
    uint8_t key[DNS_KEY_MAX];
    size_t size = dns_name_size(name);
    size_t length = dns_name_to_text(text, name);
    dns_name_t n;

    require(length < sizeof(text) && strlen(text) == length);
    require(dns_name_from_text(back, text, length, NULL, NULL) == DNS_OK);
    require(memcmp(back, name, size) == 0);

    dns_name_set(&n, name);

    size_t key_size = dns_name_key(key, &n, 0);

    require(key_size <= sizeof(key));
    require(dns_name_from_key(back, key, key_size, (const uint8_t *) "") ==
            DNS_OK);
    require(memcmp(back, n.octets, n.size) == 0);
    require(dns_name_compare(name, back) == 0 && dns_name_equal(name, back));
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
    uint8_t name[DNS_NAME_MAX];
    size_t name_size;
    size_t error_at;

    if (dns_name_check(octets, size, &name_size) == DNS_OK) {
        check_name(octets);
    }

    if (dns_name_from_text(name, (const char *) octets, size,
                           (const uint8_t *) "\7example",
                           &error_at) == DNS_OK) {
        check_name(name);
    } else {
        require(error_at <= size);
    }

    if (dns_name_from_key(name, octets, size, (const uint8_t *) "\1a") ==
        DNS_OK) {
        check_name(name);
    }

    return 0;
}
