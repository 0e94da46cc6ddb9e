/* The text of one record, as people and programs give it outside of master
   files. */

#include <string.h>

#include "dns/private/lexer.h"
#include "dns/private/rdata_reader.h"
#include "dns/rdata_text.h"
#include "dns/type.h"

enum { STRING_MAX = 255 }; /* octets, RFC 1035 section 3.3 */

/* A TXT that is written without quotes is one string: a policy of SPF or DMARC
   has blanks and ";" in it, and who writes one record means one text.  In other
   lists of strings (ISDN, RESINFO, WALLET) a blank parts two values. */
static bool
is_bare_text(const dns_rdata_input_t *input)
{
    const bool is_text =
        input->type == DNS_TYPE_TXT || input->type == DNS_TYPE_SPF;
    const bool is_generic_form =
        input->size >= 2 && memcmp(input->text, "\\#", 2) == 0 &&
        (input->size == 2 || input->text[2] == ' ' || input->text[2] == '\t');

    return is_text && !is_generic_form &&
           memchr(input->text, '"', input->size) == NULL;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Blanks around a text are not of it, but for one that is escaped. */
static void
trim(lexer_t *lexer)
{
    while (lexer->at < lexer->end && is_blank(*lexer->at)) {
        lexer->at++;
    }

    while (lexer->at < lexer->end && is_blank(lexer->end[-1]) &&
           (lexer->end - lexer->at < 2 || lexer->end[-2] != '\\')) {
        lexer->end--;
    }
}

/* The next string of the text. */
static bool
read_string(rdata_reader_t *r)
{
    lexer_t *lexer = r->lexer;
    uint8_t string[STRING_MAX];
    uint8_t length = 0;

    for (; lexer->at < lexer->end && length < STRING_MAX; length++) {
        size_t at = 0;

        if (*lexer->at == '\n') {
            return lexer_fail(lexer, lexer->at,
                              "no line end inside a text: write \\010");
        }

        if (!rdata_unescape(lexer->at, (size_t) (lexer->end - lexer->at), &at,
                            &string[length])) {
            return lexer_fail(lexer, lexer->at,
                              "an escape \\X or \\DDD up to \\255");
        }

        lexer->at += at;
    }

    return rdata_put(r, &length, 1) && rdata_put(r, string, length);
}

static bool
read_bare_text(rdata_reader_t *r)
{
    lexer_t *lexer = r->lexer;

    trim(lexer);

    if (lexer->at == lexer->end) {
        return lexer_fail(lexer, lexer->at, "rdata");
    }

    while (lexer->at < lexer->end) {
        if (!read_string(r)) {
            return false;
        }
    }

    return true;
}

static bool
read_record(rdata_reader_t *r, const dns_rdata_input_t *input)
{
    token_t token;

    return rdata_read(r, input->type) && lexer_next(r->lexer, &token) &&
           (token.kind == TOKEN_END ||
            lexer_fail(r->lexer, token.text, "the end of the text"));
}

dns_status_t
dns_rdata_from_text(const dns_rdata_input_t *input, uint8_t *out,
                    uint16_t *out_size, dns_text_error_t *error)
{
    lexer_t lexer;
    rdata_reader_t r = {.lexer = &lexer, .origin = input->origin, .out = out};

    lexer_init(&lexer, input->text, input->size);
    lexer.refuses_comments = true;

    if (is_bare_text(input) ? read_bare_text(&r) : read_record(&r, input)) {
        *out_size = (uint16_t) r.size;
        return DNS_OK;
    }

    if (error != NULL) {
        error->at = (size_t) (lexer.error_at - input->text);
        error->expected = lexer.error;
    }

    return DNS_EMALFORMED;
}
