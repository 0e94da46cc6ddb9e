#ifndef TESTS_UNIT_NAMES_H
#define TESTS_UNIT_NAMES_H

/* Names out of text, for tests; behind cmocka.h. */

#include <string.h>

#include "dns/name.h"

static inline dns_name_t
name_of(const char *text)
{
    uint8_t wire[DNS_NAME_MAX];
    dns_name_t name;

    assert_int_equal(dns_name_from_text(wire, text, strlen(text), NULL, NULL),
                     DNS_OK);
    dns_name_set(&name, wire);
    return name;
}

#endif
