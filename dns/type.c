#include "dns/type.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

typedef struct {
    uint16_t number;
    uint8_t length; /* bytes of text */
    const char *text;
} mnemonic_t;

/* A registry: its mnemonics, and what stands before a bare number. */
typedef struct {
    const mnemonic_t *entries;
    size_t count;
    const char *prefix;
    unsigned max;
} registry_t;

#define MNEMONIC(number, text)                                                 \
    {                                                                          \
        number, sizeof(text) - 1, text                                         \
    }
#define TYPE_MNEMONIC(identifier, number, text) MNEMONIC(number, text),
#define COUNT_OF(array)                         (sizeof(array) / sizeof((array)[0]))

static const mnemonic_t types[] = {DNS_TYPE_LIST(TYPE_MNEMONIC)};

static const mnemonic_t classes[] = {
    MNEMONIC(DNS_CLASS_IN, "IN"),     MNEMONIC(DNS_CLASS_CH, "CH"),
    MNEMONIC(DNS_CLASS_HS, "HS"),     MNEMONIC(DNS_CLASS_NONE, "NONE"),
    MNEMONIC(DNS_CLASS_ANY, "ANY"),   MNEMONIC(DNS_CLASS_CH, "CHAOS"),
    MNEMONIC(DNS_CLASS_HS, "HESIOD"),
};

static const mnemonic_t rcodes[] = {
    MNEMONIC(DNS_RCODE_NOERROR, "NOERROR"),
    MNEMONIC(DNS_RCODE_FORMERR, "FORMERR"),
    MNEMONIC(DNS_RCODE_SERVFAIL, "SERVFAIL"),
    MNEMONIC(DNS_RCODE_NXDOMAIN, "NXDOMAIN"),
    MNEMONIC(DNS_RCODE_NOTIMP, "NOTIMP"),
    MNEMONIC(DNS_RCODE_REFUSED, "REFUSED"),
    MNEMONIC(DNS_RCODE_YXDOMAIN, "YXDOMAIN"),
    MNEMONIC(DNS_RCODE_YXRRSET, "YXRRSET"),
    MNEMONIC(DNS_RCODE_NXRRSET, "NXRRSET"),
    MNEMONIC(DNS_RCODE_NOTAUTH, "NOTAUTH"),
    MNEMONIC(DNS_RCODE_NOTZONE, "NOTZONE"),
    MNEMONIC(DNS_RCODE_BADVERS, "BADVERS"),
    MNEMONIC(DNS_RCODE_BADKEY, "BADKEY"),
    MNEMONIC(DNS_RCODE_BADTIME, "BADTIME"),
    MNEMONIC(DNS_RCODE_BADMODE, "BADMODE"),
    MNEMONIC(DNS_RCODE_BADNAME, "BADNAME"),
    MNEMONIC(DNS_RCODE_BADALG, "BADALG"),
    MNEMONIC(DNS_RCODE_BADTRUNC, "BADTRUNC"),
    MNEMONIC(DNS_RCODE_BADCOOKIE, "BADCOOKIE"),
};

static const mnemonic_t opcodes[] = {
    MNEMONIC(DNS_OPCODE_QUERY, "QUERY"),
    MNEMONIC(DNS_OPCODE_IQUERY, "IQUERY"),
    MNEMONIC(DNS_OPCODE_STATUS, "STATUS"),
    MNEMONIC(DNS_OPCODE_NOTIFY, "NOTIFY"),
    MNEMONIC(DNS_OPCODE_UPDATE, "UPDATE"),
    MNEMONIC(DNS_OPCODE_DSO, "DSO"),
};

static const registry_t type_registry = {types, COUNT_OF(types), "TYPE", 65535};
static const registry_t class_registry = {classes, COUNT_OF(classes), "CLASS",
                                          65535};
static const registry_t rcode_registry = {rcodes, COUNT_OF(rcodes), "RCODE",
                                          4095};
static const registry_t opcode_registry = {opcodes, COUNT_OF(opcodes), "OPCODE",
                                           15};

static size_t
to_text(char *out, unsigned number, const registry_t *registry)
{
    for (size_t i = 0; i < registry->count; i++) {
        const mnemonic_t *entry = &registry->entries[i];

        if (entry->number == number) {
            memcpy(out, entry->text, entry->length + 1u);
            return entry->length;
        }
    }

    return (size_t) snprintf(out, DNS_MNEMONIC_SIZE, "%s%u", registry->prefix,
                             number & 0xffff);
}

/* Reads the digits of TYPE123. */
static dns_status_t
number_from_text(uint16_t *out, const char *text, size_t size, unsigned max)
{
    unsigned number = 0;

    if (size == 0 || size > 5) {
        return DNS_EUNKNOWN;
    }

    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return DNS_EUNKNOWN;
        }
        number = number * 10 + (unsigned) (text[i] - '0');
    }

    if (number > max) {
        return DNS_EUNKNOWN;
    }

    *out = (uint16_t) number;
    return DNS_OK;
}

static dns_status_t
from_text(uint16_t *out, const char *text, size_t size,
          const registry_t *registry)
{
    for (size_t i = 0; i < registry->count; i++) {
        const mnemonic_t *entry = &registry->entries[i];

        if (entry->length == size &&
            strncasecmp(entry->text, text, size) == 0) {
            *out = entry->number;
            return DNS_OK;
        }
    }

    size_t prefix = strlen(registry->prefix);

    if (size <= prefix || strncasecmp(registry->prefix, text, prefix) != 0) {
        return DNS_EUNKNOWN;
    }

    return number_from_text(out, text + prefix, size - prefix, registry->max);
}

size_t
dns_type_to_text(char *out, uint16_t type)
{
    return to_text(out, type, &type_registry);
}

size_t
dns_class_to_text(char *out, uint16_t class_)
{
    return to_text(out, class_, &class_registry);
}

size_t
dns_rcode_to_text(char *out, unsigned rcode)
{
    return to_text(out, rcode, &rcode_registry);
}

size_t
dns_opcode_to_text(char *out, unsigned opcode)
{
    return to_text(out, opcode, &opcode_registry);
}

dns_status_t
dns_type_from_text(uint16_t *out, const char *text, size_t size)
{
    return from_text(out, text, size, &type_registry);
}

dns_status_t
dns_class_from_text(uint16_t *out, const char *text, size_t size)
{
    return from_text(out, text, size, &class_registry);
}

dns_status_t
dns_rcode_from_text(uint16_t *out, const char *text, size_t size)
{
    return from_text(out, text, size, &rcode_registry);
}

dns_status_t
dns_opcode_from_text(uint16_t *out, const char *text, size_t size)
{
    return from_text(out, text, size, &opcode_registry);
}
