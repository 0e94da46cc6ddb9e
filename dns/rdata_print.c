/* Rdata to text, by the letters of private/rdata_layout.h. */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dns/octets.h"
#include "dns/private/rdata_layout.h"
#include "dns/private/text_writer.h"
#include "dns/rdata_text.h"
#include "dns/type.h"

static void
put_type(text_writer_t *w, uint16_t type)
{
    char text[DNS_MNEMONIC_SIZE];

    text_put(w, text, dns_type_to_text(text, type));
}

static void
put_address(text_writer_t *w, int family, const uint8_t *octets)
{
    char text[INET6_ADDRSTRLEN];

    text_put_string(w, inet_ntop(family, octets, text, sizeof(text)));
}

/* RFC 4034 section 3.2. */
static void
put_time(text_writer_t *w, uint32_t seconds)
{
    time_t time = seconds;
    struct tm tm;
    char text[32];

    gmtime_r(&time, &tm);
    text_put(w, text, strftime(text, sizeof(text), "%Y%m%d%H%M%S", &tm));
}

static void
put_groups(text_writer_t *w, const uint8_t *octets, size_t size, size_t group,
           const char *separator)
{
    for (size_t i = 0; i < size; i += group) {
        if (i > 0) {
            text_put(w, separator, 1);
        }
        text_put_base(w, BASE_16, octets + i, group);
    }
}

static void
put_strings(text_writer_t *w, const uint8_t *octets, size_t size)
{
    for (size_t at = 0; at < size; at += 1u + octets[at]) {
        if (at > 0) {
            text_put(w, " ", 1);
        }
        text_put_quoted(w, octets + at + 1, octets[at]);
    }
}

static void
put_bitmap(text_writer_t *w, const uint8_t *octets, size_t size)
{
    const char *separator = "";

    for (size_t at = 0; at < size; at += 2u + octets[at + 1]) {
        for (unsigned i = 0; i < octets[at + 1] * 8u; i++) {
            if ((octets[at + 2 + i / 8] & 0x80 >> i % 8) == 0) {
                continue;
            }
            text_put_string(w, separator);
            put_type(w, (uint16_t) (octets[at] << 8 | (int) i));
            separator = " ";
        }
    }
}

static void
put_ports(text_writer_t *w, const uint8_t *octets, size_t size)
{
    const char *separator = "";

    for (unsigned i = 0; i < size * 8; i++) {
        if ((octets[i / 8] & 0x80 >> i % 8) != 0) {
            text_put_string(w, separator);
            text_put_number(w, i);
            separator = " ";
        }
    }
}

static void
put_number(text_writer_t *w, const uint8_t *octets, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++) {
        value = value << 8 | octets[i];
    }

    text_put_number(w, value);
}

/* A switch of the kinds of fields, which are more than a screen holds. */
static void
/* NOLINTNEXTLINE(readability-function-size) */
put_field(text_writer_t *w, char field, const uint8_t *octets, size_t size)
{
    switch (field) {
    case 'e':
        put_time(w, get32(octets));
        break;
    case 'T':
        put_type(w, get16(octets));
        break;
    case 'i':
        put_address(w, AF_INET, octets);
        break;
    case 'I':
        put_address(w, AF_INET6, octets);
        break;
    case '6':
    case '8':
        put_groups(w, octets, size, 1, "-");
        break;
    case 'x':
        put_groups(w, octets, size, 2, ":");
        break;
    case 'C':
    case 'D':
    case 'F':
    case 'N':
        text_put_name(w, octets);
        break;
    case 's':
        text_put_quoted(w, octets + 1, octets[0]);
        break;
    case 'c':
        text_put_escaped(w, octets + 1, octets[0], " \"();\\");
        break;
    case 'S':
        put_strings(w, octets, size);
        break;
    case 'q':
        text_put_quoted(w, octets, size);
        break;
    case 'h':
        text_put_base(w, BASE_16, octets, size);
        break;
    case 'b':
    case 'B':
        text_put_base(w, BASE_64, octets, size);
        break;
    case 'n':
        if (octets[0] == 0) {
            text_put(w, "-", 1);
        } else {
            text_put_base(w, BASE_16, octets + 1, octets[0]);
        }
        break;
    case 'H':
        text_put_base(w, BASE_32_HEX, octets + 1, octets[0]);
        break;
    case 'W':
        put_ports(w, octets, size);
        break;
    case 'M':
        put_bitmap(w, octets, size);
        break;
    case 'K':
        text_put_ipseckey(w, octets, size);
        break;
    case 'Y':
        text_put_amtrelay(w, octets);
        break;
    case 'P':
        text_put_parameters(w, octets, size);
        break;
    default:
        put_number(w, octets, size);
        break;
    }
}

static void
put_fields(text_writer_t *w, const char *fields, const dns_rdata_t *rdata)
{
    size_t at = 0;

    for (const char *field = fields; *field != '\0'; field++) {
        size_t size;

        if (!rdata_field_size(*field, rdata->octets + at, rdata->size - at,
                              &size)) {
            w->is_full = true; /* not checked: the caller's mistake */
            return;
        }

        if (at > 0 && (size > 0 || *field == 'q')) {
            text_put(w, " ", 1);
        }

        put_field(w, *field, rdata->octets + at, size);
        at += size;
    }
}

/* RFC 3597 section 5. */
static void
put_generic(text_writer_t *w, const dns_rdata_t *rdata)
{
    text_put_string(w, "\\# ");
    text_put_number(w, rdata->size);

    if (rdata->size > 0) {
        text_put(w, " ", 1);
        text_put_base(w, BASE_16, rdata->octets, rdata->size);
    }
}

/* The text reads back as the same octets. */
static bool
is_faithful(uint16_t type, const dns_rdata_t *rdata, const char *text,
            size_t size)
{
    dns_rdata_input_t input = {.type = type, .text = text, .size = size};
    uint8_t *octets = malloc(DNS_RDATA_MAX);
    uint16_t octets_size;

    bool is_same =
        octets != NULL &&
        dns_rdata_from_text(&input, octets, &octets_size, NULL) == DNS_OK &&
        octets_size == rdata->size &&
        memcmp(octets, rdata->octets, octets_size) == 0;

    free(octets);
    return is_same;
}

/* The type's own form; false if this rdata has none. */
static bool
put_own_form(text_writer_t *w, uint16_t type, const char *fields,
             const dns_rdata_t *rdata)
{
    if (rdata_is_by_ldns(fields)) {
        return text_put_by_ldns(w, type, rdata->octets, rdata->size);
    }

    if (type == DNS_TYPE_APL) {
        return text_put_apl(w, rdata->octets, rdata->size);
    }

    if (type == DNS_TYPE_LOC) {
        return text_put_loc(w, rdata->octets, rdata->size);
    }

    put_fields(w, fields, rdata);
    return true;
}

/* Types whose own form does not have a text for each rdata: RFC 3597's stands
   in where that would not give the same record back. */
static void
put_proven(text_writer_t *w, uint16_t type, const char *fields,
           const dns_rdata_t *rdata)
{
    size_t start = w->size;

    if (put_own_form(w, type, fields, rdata) &&
        (w->is_full ||
         is_faithful(type, rdata, w->out + start, w->size - start))) {
        return;
    }

    w->size = start;
    w->is_full = false;
    put_generic(w, rdata);
}

dns_status_t
dns_rdata_to_text(uint16_t type, const dns_rdata_t *rdata, char *out,
                  size_t room, size_t *length)
{
    text_writer_t w = {.out = out, .room = room};
    const char *fields = rdata_layout(type)->fields;

    if (fields == NULL) {
        put_generic(&w, rdata);
    } else if (strpbrk(fields, ".LUAW") != NULL) {
        put_proven(&w, type, fields, rdata);
    } else {
        put_fields(&w, fields, rdata);
    }

    if (!text_finish(&w)) {
        return DNS_ENOSPACE;
    }

    *length = w.size;
    return DNS_OK;
}
