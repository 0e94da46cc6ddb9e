/* The contents of rows as PowerDNS reads them, where that is not as a master
   file is read.  Found out with the server itself (test_mysql_pdns.py). */

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "dns/type.h"
#include "store/private/records.h"

enum { ESCAPE_DIGITS = 3 }; /* of \DDD */

/* What is left of a content. */
typedef struct {
    const char *at;
    const char *end;
} text_t;

static bool
is_at(const text_t *text, char c)
{
    return text->at < text->end && *text->at == c;
}

/* \DDD, of which PowerDNS takes the lowest eight bits.  -1: none is there. */
static int
take_digits(text_t *text)
{
    int value = 0;

    if (text->end - text->at < ESCAPE_DIGITS) {
        return -1;
    }

    for (int i = 0; i < ESCAPE_DIGITS; i++) {
        if (!isdigit((unsigned char) text->at[i])) {
            return -1;
        }

        value = 10 * value + (text->at[i] - '0');
    }

    text->at += ESCAPE_DIGITS;
    return value & 0xff;
}

/* An octet of a character string; a backslash that escapes nothing stays. */
static unsigned char
take_octet(text_t *text)
{
    const char octet = *text->at++;

    if (octet != '\\' || text->at == text->end) {
        return (unsigned char) octet;
    }

    const int value = take_digits(text);

    if (value >= 0) {
        return (unsigned char) value;
    }

    return (unsigned char) (isdigit((unsigned char) *text->at) ? octet
                                                               : *text->at++);
}

/* Up to the quote, or to the end. */
static void
put_string(store_records_t *r, text_t *text, bool is_quoted)
{
    size_t count = 0;

    records_put(r, "\"", 1);

    while (text->at < text->end && !(is_quoted && is_at(text, '"'))) {
        if (count++ == RECORDS_STRING_MAX) {
            records_put(r, "\" \"", 3);
            count = 1;
        }

        records_put_octet(r, take_octet(text));
    }

    records_put(r, "\" ", 2);
}

static void
skip_spaces(text_t *text)
{
    while (text->at < text->end && isspace((unsigned char) *text->at)) {
        text->at++;
    }
}

/* false: not what PowerDNS takes. */
static bool
put_strings(store_records_t *r, text_t text)
{
    if (!is_at(&text, '"')) {
        put_string(r, &text, false);
        return true;
    }

    while (text.at < text.end) {
        if (!is_at(&text, '"')) {
            return false;
        }

        text.at++;
        put_string(r, &text, true);

        if (text.at++ == text.end) {
            return false;
        }

        skip_spaces(&text);
    }

    return true;
}

/* The next word of a content, with its quotes; size 0: there is none. */
static text_t
take_word(text_t *text)
{
    bool is_quoted = false;

    skip_spaces(text);

    text_t word = {text->at, text->at};

    for (; text->at < text->end; text->at++) {
        if (*text->at == '\\' && text->at + 1 < text->end) {
            text->at++;
        } else if (*text->at == '"') {
            is_quoted = !is_quoted;
        } else if (!is_quoted && isspace((unsigned char) *text->at)) {
            break;
        }
    }

    word.end = text->at;
    return word;
}

static size_t
size_of(const text_t *text)
{
    return (size_t) (text->end - text->at);
}

static bool
is_word(const text_t *word, const char *text)
{
    return size_of(word) == strlen(text) &&
           strncasecmp(word->at, text, size_of(word)) == 0;
}

/* Zeros in front of a number are of no meaning: 192.0.2.01. */
static void
put_address(store_records_t *r, const text_t *word)
{
    bool is_first = true;

    for (const char *at = word->at; at < word->end; at++) {
        const bool is_zero = is_first && *at == '0' && at + 1 < word->end &&
                             isdigit((unsigned char) at[1]);

        if (!is_zero) {
            records_put(r, at, 1);
            is_first = *at == '.';
        }
    }
}

/* Such a hint is made of the target's addresses; without it clients ask for
   those. */
static bool
is_automatic(uint16_t type, const text_t *word)
{
    return (type == DNS_TYPE_SVCB || type == DNS_TYPE_HTTPS) &&
           (is_word(word, "ipv4hint=auto") || is_word(word, "ipv6hint=auto"));
}

static void
put_word(store_records_t *r, uint16_t type, const text_t *word)
{
    if (type == DNS_TYPE_A) {
        put_address(r, word);
    } else if (is_word(word, "@")) { /* a label, not the zone's name */
        records_put(r, "\\@", 2);
    } else {
        records_put(r, word->at, size_of(word));
    }
}

/* A digest may have spaces in it; without a text a HINFO has an empty one. */
static void
put_words(store_records_t *r, uint16_t type, text_t text)
{
    unsigned count = 0;

    for (text_t word = take_word(&text); size_of(&word) > 0;
         word = take_word(&text)) {
        if (is_automatic(type, &word)) {
            continue;
        }

        if (count > 0 && !(type == DNS_TYPE_SSHFP && count >= 3)) {
            records_put(r, " ", 1);
        }

        put_word(r, type, &word);
        count++;
    }

    if (type == DNS_TYPE_HINFO && count == 1) {
        records_put(r, " \"\"", 3);
    }
}

void
records_put_content(store_records_t *r, uint16_t type, const store_row_t *row)
{
    const text_t text = {row->content, row->content + row->content_size};
    const size_t before = r->text_size;

    if (type != DNS_TYPE_TXT && type != DNS_TYPE_SPF) {
        put_words(r, type, text);
        return;
    }

    if (!put_strings(r, text)) { /* perhaps as a master file has it */
        r->text_size = before;
        records_put(r, row->content, row->content_size);
    }
}
