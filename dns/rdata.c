#include "dns/rdata.h"

#include <string.h>

#include "dns/name.h"
#include "dns/octets.h"
#include "dns/private/rdata_layout.h"

dns_status_t
dns_rdata_check(uint16_t type, const uint8_t *octets, size_t size)
{
    const char *fields = rdata_layout(type)->fields;
    size_t at = 0;

    if (size > DNS_RDATA_MAX) {
        return DNS_EMALFORMED;
    }

    if (fields == NULL) {
        return DNS_OK;
    }

    for (; *fields != '\0'; fields++) {
        size_t field_size;

        if (!rdata_field_size(*fields, octets + at, size - at, &field_size)) {
            return DNS_EMALFORMED;
        }

        at += field_size;
    }

    return at == size ? DNS_OK : DNS_EMALFORMED;
}

bool
dns_rdata_has_target(uint16_t type)
{
    return rdata_layout(type)->has_target;
}

const uint8_t *
dns_rdata_target(uint16_t type, const uint8_t *octets, size_t size)
{
    const rdata_layout_t *layout = rdata_layout(type);
    size_t at = 0;

    if (!layout->has_target) {
        return NULL;
    }

    for (const char *field = layout->fields; *field != '\0'; field++) {
        size_t field_size;

        if (rdata_field_is_name(*field)) {
            return octets + at;
        }

        if (!rdata_field_size(*field, octets + at, size - at, &field_size)) {
            return NULL;
        }

        at += field_size;
    }

    return NULL;
}

void
dns_rdata_canonicalize(uint16_t type, uint8_t *octets, size_t size)
{
    const rdata_layout_t *layout = rdata_layout(type);
    size_t at = 0;

    if (!layout->has_names) {
        return;
    }

    for (const char *field = layout->fields; *field != '\0'; field++) {
        size_t field_size;

        if (!rdata_field_size(*field, octets + at, size - at, &field_size)) {
            return;
        }

        if (rdata_field_is_name(*field) && *field != 'N') {
            lower_octets(octets + at, field_size);
        }

        at += field_size;
    }
}

/* Compares field by field until a difference; octets before it are alike in
   both, so that fields begin at the same offsets. */
static int
compare_folded(const char *field, const uint8_t *a, size_t a_size,
               const uint8_t *b, size_t b_size)
{
    size_t at = 0;

    for (; *field != '\0' && at < a_size && at < b_size; field++) {
        size_t x;
        size_t y;

        if (!rdata_field_size(*field, a + at, a_size - at, &x) ||
            !rdata_field_size(*field, b + at, b_size - at, &y)) {
            break;
        }

        bool is_folded = rdata_field_is_name(*field) && *field != 'N';
        uint8_t name_a[DNS_NAME_MAX];
        uint8_t name_b[DNS_NAME_MAX];
        const uint8_t *left = a + at;
        const uint8_t *right = b + at;

        if (is_folded) {
            left = memcpy(name_a, left, x);
            right = memcpy(name_b, right, y);
            lower_octets(name_a, x);
            lower_octets(name_b, y);
        }

        int order = octets_compare(left, x, right, y);

        if (order != 0) {
            return order;
        }

        at += x;
    }

    return octets_compare(a + at, a_size - at, b + at, b_size - at);
}

int
dns_rdata_compare(uint16_t type, const uint8_t *a, size_t a_size,
                  const uint8_t *b, size_t b_size)
{
    const rdata_layout_t *layout = rdata_layout(type);

    if (!layout->has_names) {
        return octets_compare(a, a_size, b, b_size);
    }

    return compare_folded(layout->fields, a, a_size, b, b_size);
}
