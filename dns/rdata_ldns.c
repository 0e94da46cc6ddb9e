/*
 * Text of the types whose grammar is their own (HIP, NSAP, ATMA, NXT and the
 * like), by ldns.
 */

#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

#include "dns/name.h"
#include "dns/octets.h"
#include "dns/private/rdata_reader.h"
#include "dns/private/text_writer.h"
#include "dns/rdata.h"
#include "dns/type.h"

enum {
    TEXT_MAX = 1 << 17,    /* bytes of text for one record */
    WIRE_HEADER_SIZE = 11, /* octets of a record owned by the root */
};

/* Joins the rest of the line behind what stands in w. */
static bool
join_tokens(rdata_reader_t *r, text_writer_t *w)
{
    token_t token;
    bool is_end = false;

    while (lexer_next_optional(r->lexer, &token, &is_end) && !is_end) {
        if (memchr(token.text, '\0', token.size) != NULL) {
            return rdata_fail(r, &token, "text without zero bytes");
        }

        const char *quote = token.kind == TOKEN_QUOTED ? "\"" : "";

        text_put(w, " ", 1);
        text_put_string(w, quote);
        text_put(w, token.text, token.size);
        text_put_string(w, quote);
    }

    return is_end;
}

static bool
put_record(rdata_reader_t *r, const ldns_rr *rr)
{
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
        const ldns_rdf *rdf = ldns_rr_rdf(rr, i);

        if (!rdata_put(r, ldns_rdf_data(rdf), ldns_rdf_size(rdf))) {
            return false;
        }
    }

    return true;
}

static ldns_rdf *
new_origin(const uint8_t *origin)
{
    static const uint8_t root[] = {0};

    if (origin == NULL) {
        origin = root;
    }

    return ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, dns_name_size(origin),
                                 origin);
}

static bool
read_text(rdata_reader_t *r, const char *text, const token_t *first)
{
    ldns_rdf *origin = new_origin(r->origin);
    ldns_rr *rr = NULL;
    ldns_status status = LDNS_STATUS_MEM_ERR;
    bool is_read = false;

    if (origin != NULL) {
        status = ldns_rr_new_frm_str(&rr, text, 0, origin, NULL);
    }

    if (status == LDNS_STATUS_OK && rr != NULL) {
        is_read = put_record(r, rr);
    } else {
        rdata_fail(r, first, "rdata as its type's RFC has it");
    }

    ldns_rr_free(rr);
    ldns_rdf_deep_free(origin);
    return is_read;
}

bool
rdata_read_by_ldns(rdata_reader_t *r, uint16_t type)
{
    token_t first;
    char mnemonic[DNS_MNEMONIC_SIZE];
    text_writer_t w = {.out = malloc(TEXT_MAX), .room = TEXT_MAX};

    if (w.out == NULL) {
        return lexer_fail(r->lexer, r->lexer->at, "enough memory");
    }

    dns_type_to_text(mnemonic, type);
    text_put_string(&w, ". 0 IN ");
    text_put_string(&w, mnemonic);

    bool is_read = lexer_next_value(r->lexer, &first, "rdata");

    if (is_read) {
        lexer_unread(r->lexer, &first);
        is_read = join_tokens(r, &w);
    }

    if (is_read && !text_finish(&w)) {
        is_read = rdata_fail(r, &first, "less text in one record");
    }

    is_read = is_read && read_text(r, w.out, &first);
    free(w.out);
    return is_read;
}

static ldns_rr *
new_record(uint16_t type, const uint8_t *octets, size_t size)
{
    uint8_t *wire = malloc(WIRE_HEADER_SIZE + size);
    ldns_rr *rr = NULL;
    size_t at = 0;

    if (wire == NULL) {
        return NULL;
    }

    memset(wire, 0, WIRE_HEADER_SIZE);
    put16(wire + 1, type);
    put16(wire + 3, DNS_CLASS_IN);
    put16(wire + 9, (unsigned) size);
    memcpy(wire + WIRE_HEADER_SIZE, octets, size);

    if (ldns_wire2rr(&rr, wire, WIRE_HEADER_SIZE + size, &at,
                     LDNS_SECTION_ANSWER) != LDNS_STATUS_OK) {
        rr = NULL;
    }

    free(wire);
    return rr;
}

bool
text_put_by_ldns(text_writer_t *w, uint16_t type, const uint8_t *octets,
                 size_t size)
{
    ldns_rr *rr = size > 0 ? new_record(type, octets, size) : NULL;
    bool is_known = rr != NULL && ldns_rr_rd_count(rr) > 0;

    for (size_t i = 0; is_known && i < ldns_rr_rd_count(rr); i++) {
        char *text = ldns_rdf2str(ldns_rr_rdf(rr, i));

        if (text == NULL) {
            is_known = false;
            break;
        }

        if (i > 0) {
            text_put(w, " ", 1);
        }

        size_t text_size = strlen(text);

        while (text_size > 0 && text[text_size - 1] == ' ') {
            text_size--;
        }

        text_put(w, text, text_size);
        free(text);
    }

    ldns_rr_free(rr);
    return is_known;
}
