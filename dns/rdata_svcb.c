/*
 * Service parameters of SVCB and HTTPS (RFC 9460), which ldns 1.8 reads only
 * when it was built for it: text and wire by a table of the keys.
 */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "dns/base_n.h"
#include "dns/octets.h"
#include "dns/private/rdata_layout.h"
#include "dns/private/rdata_reader.h"
#include "dns/private/text_writer.h"
#include "dns/rdata.h"

enum {
    KEY_MANDATORY = 0,
    KEY_ALPN = 1,
    KEY_NO_DEFAULT_ALPN = 2,
    KEY_DOHPATH = 7,
    KEY_INVALID = 65535, /* RFC 9460 section 14.3.2 */
    KEYS_MAX = 256,      /* parameters in one record */
};

typedef enum {
    FORM_OCTETS, /* any, as text with escapes */
    FORM_KEYS,   /* mandatory: keys, ascending */
    FORM_ALPN,   /* character strings */
    FORM_NONE,   /* no value */
    FORM_PORT,
    FORM_IPV4,
    FORM_IPV6,
    FORM_BASE64,
} form_t;

typedef struct {
    const char *text;
    uint16_t number;
    form_t form;
} parameter_key_t;

/* IANA "Service Parameter Keys (SvcParamKeys)". */
static const parameter_key_t keys[] = {
    {"mandatory", KEY_MANDATORY, FORM_KEYS},             /* RFC 9460 */
    {"alpn", KEY_ALPN, FORM_ALPN},                       /* RFC 9460 */
    {"no-default-alpn", KEY_NO_DEFAULT_ALPN, FORM_NONE}, /* RFC 9460 */
    {"port", 3, FORM_PORT},                              /* RFC 9460 */
    {"ipv4hint", 4, FORM_IPV4},                          /* RFC 9460 */
    {"ech", 5, FORM_BASE64},               /* RFC 9460, reserved */
    {"ipv6hint", 6, FORM_IPV6},            /* RFC 9460 */
    {"dohpath", KEY_DOHPATH, FORM_OCTETS}, /* RFC 9461 */
    {"ohttp", 8, FORM_NONE},               /* RFC 9540 */
};

enum { KEY_COUNT = sizeof(keys) / sizeof(keys[0]) };

typedef struct {
    uint16_t key;
    bool has_value;
    bool is_generic;   /* written as keyNNNNN */
    const char *value; /* in the token, escapes as they were */
    size_t value_size;
    const char *at; /* for errors */
} parameter_t;

static bool
key_from_text(uint16_t *out, const char *text, size_t size)
{
    uint64_t number;

    for (int i = 0; i < KEY_COUNT; i++) {
        if (strlen(keys[i].text) == size &&
            memcmp(keys[i].text, text, size) == 0) {
            *out = keys[i].number;
            return true;
        }
    }

    /* RFC 9460 section 2.1: no leading zeros. */
    if (size < 4 || memcmp(text, "key", 3) != 0 ||
        (text[3] == '0' && size > 4) ||
        !rdata_number(text + 3, size - 3, KEY_INVALID - 1, &number)) {
        return false;
    }

    *out = (uint16_t) number;
    return true;
}

static form_t
key_form(uint16_t key)
{
    return key < KEY_COUNT ? keys[key].form : FORM_OCTETS;
}

static bool
fail(rdata_reader_t *r, const parameter_t *p, const char *expected)
{
    return lexer_fail(r->lexer, p->at, expected);
}

/* One item of a list, commas by \, (RFC 9460 appendix A.1): the value is
   unescaped as a character string first, then as a list. */
static bool
next_item(const uint8_t *value, size_t size, size_t *at, uint8_t *item,
          size_t *item_size)
{
    *item_size = 0;

    for (; *at < size && value[*at] != ','; (*at)++) {
        if (value[*at] == '\\' && ++*at == size) {
            return false;
        }

        if (*item_size == 255) {
            return false;
        }

        item[(*item_size)++] = value[*at];
    }

    return *item_size > 0;
}

static bool
put_item(rdata_reader_t *r, form_t form, const uint8_t *item, size_t size)
{
    char text[INET6_ADDRSTRLEN + 1] = {0};
    uint8_t octets[16];
    uint16_t key;

    if (form == FORM_ALPN) {
        uint8_t length = (uint8_t) size;

        return rdata_put(r, &length, 1) && rdata_put(r, item, size);
    }

    if (form == FORM_KEYS) {
        return key_from_text(&key, (const char *) item, size) &&
               key != KEY_MANDATORY && rdata_put16(r, key);
    }

    if (size >= sizeof(text) || memchr(item, '\0', size) != NULL) {
        return false;
    }

    memcpy(text, item, size);
    return form == FORM_IPV4 ? inet_pton(AF_INET, text, octets) == 1 &&
                                   rdata_put(r, octets, 4)
                             : inet_pton(AF_INET6, text, octets) == 1 &&
                                   rdata_put(r, octets, 16);
}

static bool
put_list(rdata_reader_t *r, form_t form, const uint8_t *value, size_t size)
{
    for (size_t at = 0;; at++) {
        uint8_t item[255];
        size_t item_size;

        if (!next_item(value, size, &at, item, &item_size) ||
            !put_item(r, form, item, item_size)) {
            return false;
        }

        if (at == size) {
            return true;
        }
    }
}

static int
compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, 2);
}

/* RFC 9460 section 8: ascending, each once. */
static bool
sort_keys(uint8_t *octets, size_t size)
{
    qsort(octets, size / 2, 2, compare_keys);

    for (size_t i = 2; i < size; i += 2) {
        if (memcmp(octets + i - 2, octets + i, 2) == 0) {
            return false;
        }
    }

    return true;
}

static bool
put_base64(rdata_reader_t *r, const uint8_t *value, size_t size)
{
    base_decoder_t d = {.base = BASE_64};

    for (size_t i = 0; i < size; i++) {
        uint8_t octet;
        int count = base_decode(&d, (char) value[i], &octet);

        if (count < 0 || (count == 1 && !rdata_put(r, &octet, 1))) {
            return false;
        }
    }

    return size > 0 && base_decode_end(&d);
}

static bool
put_value(rdata_reader_t *r, const parameter_t *p, const uint8_t *value,
          size_t size)
{
    form_t form = key_form(p->key);
    size_t start = r->size;
    uint64_t number;

    switch (form) {
    case FORM_NONE:
        return !p->has_value;
    case FORM_PORT:
        return rdata_number((const char *) value, size, 65535, &number) &&
               rdata_put16(r, (unsigned) number);
    case FORM_BASE64:
        return put_base64(r, value, size);
    case FORM_OCTETS:
        return rdata_put(r, value, size);
    case FORM_KEYS:
        return put_list(r, form, value, size) &&
               sort_keys(r->out + start, r->size - start);
    default:
        return put_list(r, form, value, size);
    }
}

static bool is_value(form_t form, const uint8_t *octets, size_t size);

/* Behind keyNNNNN stands the value as it is on the wire, also where the key has
   a name and a form of its own (RFC 9460 section 2.1). */
static bool
put_wire_value(rdata_reader_t *r, const parameter_t *p, const uint8_t *value,
               size_t size)
{
    form_t form = key_form(p->key);
    size_t start = r->size;

    return is_value(form, value, size) && rdata_put(r, value, size) &&
           (form != FORM_KEYS || (sort_keys(r->out + start, size) &&
                                  get16(r->out + start) != KEY_MANDATORY));
}

/* The value without its escapes, into room for value_size octets. */
static bool
unescape(const parameter_t *p, uint8_t *out, size_t *size)
{
    *size = 0;

    for (size_t at = 0; at < p->value_size;) {
        if (!rdata_unescape(p->value, p->value_size, &at, &out[(*size)++])) {
            return false;
        }
    }

    return true;
}

static bool
put_parameter(rdata_reader_t *r, const parameter_t *p)
{
    uint8_t *value = malloc(p->value_size + 1);
    size_t size;

    if (value == NULL) {
        return fail(r, p, "enough memory");
    }

    bool is_put = unescape(p, value, &size) && rdata_put16(r, p->key) &&
                  rdata_put16(r, 0);
    size_t start = r->size;

    is_put = is_put &&
             (p->is_generic ? put_wire_value(r, p, value, size)
                            : put_value(r, p, value, size)) &&
             r->size - start <= UINT16_MAX;
    free(value);

    if (!is_put) {
        return fail(r, p, "a value that is right for its service parameter");
    }

    put16(r->out + start - 2, (unsigned) (r->size - start));
    return true;
}

static bool
parse_parameter(rdata_reader_t *r, const token_t *token, parameter_t *p)
{
    const char *sign = memchr(token->text, '=', token->size);
    size_t key_size =
        sign != NULL ? (size_t) (sign - token->text) : token->size;

    *p = (parameter_t){.has_value = sign != NULL, .at = token->text};

    if (!key_from_text(&p->key, token->text, key_size)) {
        return fail(r, p, "a service parameter such as alpn=h2 or key123=...");
    }

    p->is_generic = memcmp(token->text, "key", 3) == 0; /* no name begins so */

    if (sign == NULL) {
        return true;
    }

    p->value = sign + 1;
    p->value_size = token->size - key_size - 1;

    if (p->value_size >= 2 && p->value[0] == '"') {
        p->value++;
        p->value_size -= 2;
    }

    return true;
}

static int
compare_parameters(const void *a, const void *b)
{
    const parameter_t *x = a;
    const parameter_t *y = b;

    return x->key - y->key;
}

/* RFC 9460 section 8: every mandatory key is there. */
static bool
has_mandatory(const parameter_t *list, size_t count, const uint8_t *octets,
              size_t size)
{
    for (size_t i = 0; i < size; i += 2) {
        parameter_t wanted = {.key = get16(octets + i)};

        if (bsearch(&wanted, list, count, sizeof(*list), compare_parameters) ==
            NULL) {
            return false;
        }
    }

    return true;
}

static bool
put_parameters(rdata_reader_t *r, parameter_t *list, size_t count)
{
    qsort(list, count, sizeof(*list), compare_parameters);

    for (size_t i = 0; i < count; i++) {
        size_t start = r->size + 4;

        if (i > 0 && list[i].key == list[i - 1].key) {
            return fail(r, &list[i], "each service parameter once");
        }

        if (!put_parameter(r, &list[i])) {
            return false;
        }

        if (list[i].key == KEY_MANDATORY &&
            !has_mandatory(list, count, r->out + start, r->size - start)) {
            return fail(r, &list[i], "all mandatory service parameters");
        }
    }

    return true;
}

bool
rdata_read_parameters(rdata_reader_t *r)
{
    parameter_t list[KEYS_MAX];
    size_t count = 0;
    token_t token;
    bool is_end = false;

    r->lexer->has_pairs = true;

    while (lexer_next_optional(r->lexer, &token, &is_end) && !is_end) {
        if (count == KEYS_MAX) {
            rdata_fail(r, &token, "no more than 256 service parameters");
            break;
        }

        if (!parse_parameter(r, &token, &list[count++])) {
            break;
        }
    }

    r->lexer->has_pairs = false;
    return is_end && put_parameters(r, list, count);
}

static void
put_key_text(text_writer_t *w, uint16_t key)
{
    if (key < KEY_COUNT) {
        text_put_string(w, keys[key].text);
    } else {
        text_put_string(w, "key");
        text_put_number(w, key);
    }
}

/* An item of alpn: commas and backslashes are escaped for the list, then all
   of it as a string, RFC 9460 appendix A.1. */
static void
put_alpn_item(text_writer_t *w, const uint8_t *item, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (item[i] == ',' || item[i] == '\\') {
            text_put_string(w, "\\\\");
        }
        text_put_escaped(w, item + i, 1, "\"\\");
    }
}

/* Octets of the list's item at octets; 0: malformed. */
static size_t
item_size(form_t form, const uint8_t *octets, size_t size)
{
    size_t wanted = form == FORM_ALPN   ? 1u + octets[0]
                    : form == FORM_KEYS ? 2
                    : form == FORM_IPV4 ? 4
                                        : 16;

    return wanted <= size && (form != FORM_ALPN || octets[0] > 0) ? wanted : 0;
}

static bool
is_list(form_t form, const uint8_t *octets, size_t size)
{
    size_t at = 0;

    while (at < size) {
        size_t step = item_size(form, octets + at, size - at);

        if (step == 0 ||
            (form == FORM_KEYS && get16(octets + at) >= KEY_INVALID)) {
            return false;
        }

        at += step;
    }

    return size > 0;
}

static void
put_item_text(text_writer_t *w, form_t form, const uint8_t *item, size_t size)
{
    char text[INET6_ADDRSTRLEN];

    switch (form) {
    case FORM_ALPN:
        put_alpn_item(w, item + 1, size - 1);
        break;
    case FORM_KEYS:
        put_key_text(w, get16(item));
        break;
    default:
        inet_ntop(form == FORM_IPV4 ? AF_INET : AF_INET6, item, text,
                  sizeof(text));
        text_put_string(w, text);
        break;
    }
}

static void
put_list_text(text_writer_t *w, form_t form, const uint8_t *octets, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t step = item_size(form, octets + at, size - at);

        if (at > 0) {
            text_put(w, ",", 1);
        }

        put_item_text(w, form, octets + at, step);
        at += step;
    }
}

static void
put_parameter_text(text_writer_t *w, uint16_t key, const uint8_t *octets,
                   size_t size)
{
    form_t form = key_form(key);

    put_key_text(w, key);

    if (size == 0) {
        return;
    }

    text_put(w, "=", 1);

    switch (form) {
    case FORM_PORT:
        text_put_number(w, get16(octets));
        break;
    case FORM_BASE64:
        text_put_base(w, BASE_64, octets, size);
        break;
    case FORM_OCTETS:
        text_put_quoted(w, octets, size);
        break;
    case FORM_ALPN:
        text_put(w, "\"", 1);
        put_list_text(w, form, octets, size);
        text_put(w, "\"", 1);
        break;
    default:
        put_list_text(w, form, octets, size);
        break;
    }
}

/* A value can be written by its key's own form. */
static bool
is_value(form_t form, const uint8_t *octets, size_t size)
{
    switch (form) {
    case FORM_OCTETS:
        return true;
    case FORM_NONE:
        return size == 0;
    case FORM_PORT:
        return size == 2;
    case FORM_BASE64:
        return size > 0;
    default:
        return is_list(form, octets, size);
    }
}

/* The keys that "mandatory" names and that have not come yet. */
typedef struct {
    const uint8_t *at;
    const uint8_t *end;
} wanted_t;

/* RFC 9460 section 8: ascending, without "mandatory" itself. */
static bool
init_wanted(wanted_t *wanted, const uint8_t *octets, size_t size)
{
    *wanted = (wanted_t){octets, octets + size};

    for (int last = KEY_MANDATORY; size > 0; octets += 2, size -= 2) {
        if (get16(octets) <= last) {
            return false;
        }

        last = get16(octets);
    }

    return true;
}

/* Keys come in ascending order; one that was passed over is missing. */
static bool
meet_wanted(wanted_t *wanted, uint16_t key)
{
    if (wanted->at == wanted->end || key < get16(wanted->at)) {
        return true;
    }

    wanted->at += 2;
    return key == get16(wanted->at - 2);
}

bool
rdata_check_parameters(const uint8_t *octets, size_t size)
{
    wanted_t wanted = {NULL, NULL};
    int last = -1;

    while (size > 0) {
        if (size < 4 || size < 4u + get16(octets + 2)) {
            return false;
        }

        uint16_t key = get16(octets);
        uint16_t value_size = get16(octets + 2);

        if (key <= last || key == KEY_INVALID || !meet_wanted(&wanted, key) ||
            !is_value(key_form(key), octets + 4, value_size) ||
            (key == KEY_MANDATORY &&
             !init_wanted(&wanted, octets + 4, value_size))) {
            return false;
        }

        last = key;
        size -= 4u + value_size;
        octets += 4 + value_size;
    }

    return wanted.at == wanted.end;
}

/* The value of a key in checked parameters; NULL: it is not there. */
static const uint8_t *
find_value(const uint8_t *octets, size_t size, uint16_t key, size_t *value_size)
{
    for (size_t at = 0; at < size; at += 4 + *value_size) {
        *value_size = get16(octets + at + 2);

        if (get16(octets + at) == key) {
            return octets + at + 4;
        }
    }

    return NULL;
}

/* RFC 9461 section 5: a path whose URI template (RFC 6570) has the variable
   "dns" in one of its expressions. */
static bool
is_dohpath(const uint8_t *path, size_t size)
{
    const uint8_t *end = path + size;

    if (size == 0 || path[0] != '/') {
        return false;
    }

    for (const uint8_t *p = path; p < end; p++) {
        const uint8_t *close =
            *p != '{' ? NULL : memchr(p, '}', (size_t) (end - p));

        for (const uint8_t *q = p; close != NULL && close - q > 3; q++) {
            if (memcmp(q + 1, "dns", 3) == 0) {
                return true;
            }
        }
    }

    return false;
}

const char *
rdata_parameters_problem(const uint8_t *octets, size_t size)
{
    size_t value_size;
    const uint8_t *dohpath = find_value(octets, size, KEY_DOHPATH, &value_size);

    if (dohpath != NULL && !is_dohpath(dohpath, value_size)) {
        return "dohpath with a path that begins with \"/\" and has the "
               "variable {?dns}";
    }

    if (find_value(octets, size, KEY_NO_DEFAULT_ALPN, &value_size) != NULL &&
        find_value(octets, size, KEY_ALPN, &value_size) == NULL) {
        return "alpn beside no-default-alpn";
    }

    return NULL;
}

void
text_put_parameters(text_writer_t *w, const uint8_t *octets, size_t size)
{
    for (size_t at = 0; at < size; at += 4u + get16(octets + at + 2)) {
        if (at > 0) {
            text_put(w, " ", 1);
        }

        put_parameter_text(w, get16(octets + at), octets + at + 4,
                           get16(octets + at + 2));
    }
}
