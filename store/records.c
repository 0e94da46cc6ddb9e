#include "store/records.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dns/rdata_text.h"
#include "dns/type.h"
#include "store/private/records.h"

dns_status_t
store_records_new(store_records_t **out)
{
    *out = malloc(sizeof(**out));

    if (*out == NULL) {
        return DNS_ENOMEM;
    }

    (*out)->memo = (json_memo_t){0};
    return DNS_OK;
}

void
store_records_free(store_records_t *records)
{
    if (records != NULL) {
        json_memo_free(&records->memo);
        free(records);
    }
}

void
records_rewind(store_records_t *r)
{
    r->text_size = 0;
    r->is_full = false;
}

void
records_put(store_records_t *r, const char *text, size_t size)
{
    if (size > sizeof(r->text) - r->text_size) {
        r->is_full = true;
        return;
    }

    memcpy(r->text + r->text_size, text, size);
    r->text_size += size;
}

void
records_put_octet(store_records_t *r, unsigned char octet)
{
    char escaped[5];

    if (octet >= ' ' && octet < 0x7f && octet != '"' && octet != '\\') {
        records_put(r, (const char *) &octet, 1);
        return;
    }

    snprintf(escaped, sizeof(escaped), "\\%03u", octet);
    records_put(r, escaped, 4);
}

void
records_put_strings(store_records_t *r, const char *text, size_t size)
{
    records_put(r, "\"", 1);

    for (size_t i = 0; i < size; i++) {
        if (i > 0 && i % RECORDS_STRING_MAX == 0) {
            records_put(r, "\" \"", 3);
        }

        records_put_octet(r, (unsigned char) text[i]);
    }

    records_put(r, "\"", 1);
}

uint32_t
records_ttl(int64_t ttl)
{
    return ttl < 0 || ttl > STORE_TTL_MAX ? 0 : (uint32_t) ttl;
}

dns_status_t
records_parse(store_records_t *r, uint16_t type, store_record_t *out,
              const char **reason)
{
    dns_rdata_input_t input = {
        .type = type, .text = r->text, .size = r->text_size};
    dns_text_error_t error = {0, NULL};
    uint16_t size;

    if (r->is_full) {
        *reason = "too long";
        return DNS_ELIMIT;
    }

    dns_status_t status = dns_rdata_from_text(&input, r->rdata, &size, &error);

    if (status != DNS_OK) {
        *reason =
            error.expected != NULL ? error.expected : dns_status_text(status);
        return status == DNS_EUNKNOWN ? DNS_EMALFORMED : status;
    }

    out->type = type;
    out->rdata = (dns_rdata_t){r->rdata, size};
    return DNS_OK;
}

static bool
is_word(const store_row_t *row, const char *word)
{
    return row->type_size == strlen(word) &&
           strncasecmp(row->type, word, row->type_size) == 0;
}

/* 0: not a number from 1 to 65535. */
static uint16_t
type_number(const store_row_t *row)
{
    unsigned number = 0;

    for (size_t i = 0; i < row->type_size; i++) {
        unsigned digit = (unsigned) (row->type[i] - '0');

        if (digit > 9 || (number = 10 * number + digit) > UINT16_MAX) {
            return 0;
        }
    }

    return (uint16_t) number;
}

static dns_status_t
find_type(const store_row_t *row, uint16_t *type, const char **reason)
{
    if (row->type == NULL || row->type_size == 0) {
        return DNS_ENOTFOUND;
    }

    if (is_word(row, "LUA") || is_word(row, "ALIAS")) {
        *reason = "a type that only the other server can make";
        return DNS_EUNKNOWN;
    }

    *type = type_number(row);

    if (*type == 0 &&
        dns_type_from_text(type, row->type, row->type_size) != DNS_OK) {
        *reason = "a record type";
        return DNS_EMALFORMED;
    }

    if (dns_type_is_meta(*type)) {
        *reason = "a type that no zone can hold";
        return DNS_EMALFORMED;
    }

    return DNS_OK;
}

/* In a text of RFC 3597, as the JSON of other types may have it. */
static bool
is_generic(const store_row_t *row)
{
    return row->is_master_text && row->content_size > 1 &&
           memcmp(row->content, "\\#", 2) == 0;
}

/* MX and SRV have their first number in a column of its own; tables that were
   filled by hand often have it in the content as well. */
static dns_status_t
parse_with_prio(store_records_t *r, uint16_t type, const store_row_t *row,
                store_record_t *out, const char **reason)
{
    char prio[32];
    int size = snprintf(prio, sizeof(prio), "%" PRId64 " ", row->prio);

    records_rewind(r);
    records_put(r, prio, (size_t) size);
    records_put_content(r, type, row);
    return records_parse(r, type, out, reason);
}

dns_status_t
store_records_from_row(store_records_t *r, const store_row_t *row,
                       store_record_t *out, const char **reason)
{
    uint16_t type;
    dns_status_t status = find_type(row, &type, reason);

    if (status != DNS_OK) {
        return status;
    }

    if (row->content == NULL || row->content_size > STORE_CONTENT_MAX) {
        *reason = row->content == NULL ? "no content" : "too long";
        return row->content == NULL ? DNS_EMALFORMED : DNS_ELIMIT;
    }

    out->ttl = row->has_ttl ? records_ttl(row->ttl) : STORE_ROW_TTL;

    if (row->has_prio && (type == DNS_TYPE_MX || type == DNS_TYPE_SRV) &&
        parse_with_prio(r, type, row, out, reason) == DNS_OK) {
        return DNS_OK;
    }

    records_rewind(r);

    if (is_generic(row)) {
        records_put(r, row->content, row->content_size);
    } else {
        records_put_content(r, type, row);
    }

    return records_parse(r, type, out, reason);
}
