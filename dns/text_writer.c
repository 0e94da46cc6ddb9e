#include "dns/private/text_writer.h"

#include <stdio.h>
#include <string.h>

#include "dns/name.h"

void
text_put(text_writer_t *w, const char *text, size_t size)
{
    if (w->is_full || size >= w->room - w->size) {
        w->is_full = true;
        return;
    }

    memcpy(w->out + w->size, text, size);
    w->size += size;
}

void
text_put_string(text_writer_t *w, const char *text)
{
    text_put(w, text, strlen(text));
}

void
text_put_number(text_writer_t *w, uint64_t number)
{
    char digits[24];
    char *at = digits + sizeof(digits);

    do {
        *--at = (char) ('0' + number % 10);
        number /= 10;
    } while (number > 0);

    text_put(w, at, (size_t) (digits + sizeof(digits) - at));
}

void
text_put_name(text_writer_t *w, const uint8_t *name)
{
    char text[DNS_NAME_TEXT_SIZE];

    text_put(w, text, dns_name_to_text(text, name));
}

void
text_put_base(text_writer_t *w, base_t base, const uint8_t *octets, size_t size)
{
    size_t text_size = base_encoded_size(base, size);

    if (w->is_full || text_size >= w->room - w->size) {
        w->is_full = true;
        return;
    }

    base_encode(base, w->out + w->size, octets, size);
    w->size += text_size;
}

void
text_put_escaped(text_writer_t *w, const uint8_t *octets, size_t size,
                 const char *special)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t c = octets[i];
        char text[] = {'\\', (char) c, 0, 0};

        if (c < ' ' || c >= 0x7f) {
            text[1] = (char) ('0' + c / 100);
            text[2] = (char) ('0' + c / 10 % 10);
            text[3] = (char) ('0' + c % 10);
            text_put(w, text, 4);
        } else if (strchr(special, c) != NULL) {
            text_put(w, text, 2);
        } else {
            text_put(w, text + 1, 1);
        }
    }
}

void
text_put_quoted(text_writer_t *w, const uint8_t *octets, size_t size)
{
    text_put(w, "\"", 1);
    text_put_escaped(w, octets, size, "\"\\");
    text_put(w, "\"", 1);
}

bool
text_finish(text_writer_t *w)
{
    if (w->room > 0) {
        w->out[w->size] = '\0';
    }

    return !w->is_full && w->room > 0;
}
