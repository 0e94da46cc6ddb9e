#include "ffi/dns_ffi.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "dns/name.h"
#include "dns/type.h"

static_assert((int) DNS_FFI_NAME_TEXT_SIZE == DNS_NAME_TEXT_SIZE, "sizes");
static_assert((int) DNS_FFI_MNEMONIC_SIZE == DNS_MNEMONIC_SIZE, "sizes");
static_assert((int) DNS_FFI_ENOSPACE == DNS_ENOSPACE, "codes");
static_assert((int) DNS_FFI_EUNKNOWN == DNS_EUNKNOWN, "codes");

uint32_t
resolua_ffi_abi(void)
{
    return RESOLUA_FFI_ABI;
}

const char *
dns_ffi_status_text(int status)
{
    return dns_status_text((dns_status_t) status);
}

void
dns_ffi_random(uint8_t *out, size_t size)
{
    while (size > 0) {
        ssize_t n = getrandom(out, size, 0);

        if (n < 0) {
            abort();
        }

        out += n;
        size -= (size_t) n;
    }
}

void
dns_ffi_sha256(const uint8_t *data, size_t size, uint8_t *out)
{
    (void) SHA256(data, size, out);
}

int
dns_ffi_type_from_text(const char *text, size_t size)
{
    uint16_t number;
    dns_status_t status = dns_type_from_text(&number, text, size);

    return status == DNS_OK ? number : (int) status;
}

int
dns_ffi_class_from_text(const char *text, size_t size)
{
    uint16_t number;
    dns_status_t status = dns_class_from_text(&number, text, size);

    return status == DNS_OK ? number : (int) status;
}

int
dns_ffi_rcode_from_text(const char *text, size_t size)
{
    uint16_t number;
    dns_status_t status = dns_rcode_from_text(&number, text, size);

    return status == DNS_OK ? number : (int) status;
}

int
dns_ffi_opcode_from_text(const char *text, size_t size)
{
    uint16_t number;
    dns_status_t status = dns_opcode_from_text(&number, text, size);

    return status == DNS_OK ? number : (int) status;
}

size_t
dns_ffi_type_to_text(uint16_t type, char *out)
{
    return dns_type_to_text(out, type);
}

size_t
dns_ffi_class_to_text(uint16_t class_code, char *out)
{
    return dns_class_to_text(out, class_code);
}

size_t
dns_ffi_rcode_to_text(uint16_t rcode, char *out)
{
    return dns_rcode_to_text(out, rcode);
}

size_t
dns_ffi_opcode_to_text(uint16_t opcode, char *out)
{
    return dns_opcode_to_text(out, opcode);
}

int
dns_ffi_type_is_meta(uint16_t type)
{
    return dns_type_is_meta(type);
}

int
dns_ffi_name_from_text(const char *text, size_t size, const uint8_t *origin,
                       uint8_t *out)
{
    dns_status_t status = dns_name_from_text(out, text, size, origin, NULL);

    return status == DNS_OK ? (int) dns_name_size(out) : (int) status;
}

int
dns_ffi_name_to_text(const uint8_t *name, size_t size, char *out)
{
    size_t name_size;
    dns_status_t status = dns_name_check(name, size, &name_size);

    return status == DNS_OK ? (int) dns_name_to_text(out, name) : (int) status;
}

int
dns_ffi_name_is_within(const uint8_t *name, const uint8_t *ancestor)
{
    return dns_name_is_within(name, ancestor);
}

int
dns_ffi_name_compare(const uint8_t *a, const uint8_t *b)
{
    return dns_name_compare(a, b);
}
