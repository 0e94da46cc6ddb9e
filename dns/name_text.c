/* Names in presentation form, RFC 1035 section 5.1. */

#include "dns/name.h"

#include <string.h>

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads the escape behind a backslash at text[0]: \DDD or \X.  Gives its
   length in bytes, 0 if it is wrong. */
static size_t
read_escape(uint8_t *octet, const char *text, size_t size)
{
    if (size < 2) {
        return 0;
    }

    if (!is_digit(text[1])) {
        *octet = (uint8_t) text[1];
        return 2;
    }

    if (size < 4 || !is_digit(text[2]) || !is_digit(text[3])) {
        return 0;
    }

    int value = (text[1] - '0') * 100 + (text[2] - '0') * 10 + (text[3] - '0');

    if (value > 255) {
        return 0;
    }

    *octet = (uint8_t) value;
    return 4;
}

/* The name under construction: the label that is being filled begins at
   label_at; its length octet is set when it closes. */
typedef struct {
    uint8_t *out;
    size_t size; /* octets so far, the open label's length included */
    size_t label_at;
} text_reader_t;

static bool
add_octet(text_reader_t *r, uint8_t octet)
{
    /* One octet is kept for the root. */
    if (r->size - r->label_at > DNS_LABEL_MAX || r->size + 1 >= DNS_NAME_MAX) {
        return false;
    }

    r->out[r->size++] = octet;
    return true;
}

static bool
close_label(text_reader_t *r)
{
    size_t length = r->size - r->label_at - 1;

    if (length == 0) {
        return false;
    }

    r->out[r->label_at] = (uint8_t) length;
    r->label_at = r->size++;
    return true;
}

/* Reads labels until the end of the text; *at is what is wrong if one is.  A
   text that ends in a dot leaves an open label without octets. */
static bool
read_labels(text_reader_t *r, const char *text, size_t text_size, size_t *at)
{
    for (*at = 0; *at < text_size;) {
        uint8_t octet = (uint8_t) text[*at];
        size_t length = 1;

        if (octet == '.') {
            if (!close_label(r)) {
                return false;
            }
            *at += 1;
            continue;
        }

        if (octet == '\\') {
            length = read_escape(&octet, text + *at, text_size - *at);
        }

        if (length == 0 || !add_octet(r, octet)) {
            return false;
        }

        *at += length;
    }

    return true;
}

static dns_status_t
from_text(uint8_t *out, const char *text, size_t text_size,
          const uint8_t *origin, size_t *error_at)
{
    static const uint8_t root[] = {0};
    uint8_t name[DNS_NAME_MAX + 1];
    text_reader_t r = {.out = name, .size = 1};

    *error_at = 0;

    if (text_size == 1 && (text[0] == '@' || text[0] == '.')) {
        const uint8_t *whole = text[0] == '.' ? root : origin;

        if (whole == NULL) {
            return DNS_EMALFORMED;
        }

        memmove(out, whole, dns_name_size(whole));
        return DNS_OK;
    }

    if (text_size == 0 || !read_labels(&r, text, text_size, error_at)) {
        return DNS_EMALFORMED;
    }

    if (r.size - r.label_at > 1) {
        close_label(&r);
    } else {
        origin = NULL;
    }

    const uint8_t *tail = origin != NULL ? origin : root;
    size_t tail_size = dns_name_size(tail);

    if (r.label_at + tail_size > DNS_NAME_MAX) {
        return DNS_EMALFORMED;
    }

    memmove(out + r.label_at, tail, tail_size);
    memcpy(out, name, r.label_at);
    return DNS_OK;
}

dns_status_t
dns_name_from_text(uint8_t *out, const char *text, size_t text_size,
                   const uint8_t *origin, size_t *error_at)
{
    size_t unused;

    return from_text(out, text, text_size, origin,
                     error_at != NULL ? error_at : &unused);
}

static char *
write_octet(char *out, uint8_t octet)
{
    if (octet <= ' ' || octet >= 0x7f) {
        *out++ = '\\';
        *out++ = (char) ('0' + octet / 100);
        *out++ = (char) ('0' + octet / 10 % 10);
        *out++ = (char) ('0' + octet % 10);
        return out;
    }

    if (strchr("\"().;@\\$", octet) != NULL) {
        *out++ = '\\';
    }

    *out++ = (char) octet;
    return out;
}

size_t
dns_name_to_text(char *out, const uint8_t *name)
{
    char *at = out;

    if (name[0] == 0) {
        *at++ = '.';
    }

    for (; name[0] != 0; name += 1 + name[0]) {
        for (unsigned i = 1; i <= name[0]; i++) {
            at = write_octet(at, name[i]);
        }
        *at++ = '.';
    }

    *at = '\0';
    return (size_t) (at - out);
}
