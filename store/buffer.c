#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/buffer.h"

void
buffer_free(buffer_t *text)
{
    free(text->octets);
    *text = (buffer_t){0};
}

void
buffer_clear(buffer_t *text)
{
    text->size = 0;
    text->failed = false;
}

char *
buffer_reserve(buffer_t *text, size_t size)
{
    if (text->room - text->size <= size) {
        size_t room = 2 * text->room + size + 64;
        char *octets = text->failed ? NULL : realloc(text->octets, room);

        if (octets == NULL) {
            text->failed = true;
            return NULL;
        }

        text->octets = octets;
        text->room = room;
    }

    return text->failed ? NULL : text->octets + text->size;
}

void
buffer_added(buffer_t *text, size_t size)
{
    text->size += size;
    text->octets[text->size] = '\0';
}

void
buffer_put_octets(buffer_t *text, const char *octets, size_t size)
{
    char *to = buffer_reserve(text, size);

    if (to != NULL) {
        memcpy(to, octets, size);
        buffer_added(text, size);
    }
}

void
buffer_put(buffer_t *text, const char *format, ...)
{
    va_list values;
    va_list again;

    va_start(values, format);
    va_copy(again, values);

    int size = vsnprintf(NULL, 0, format, values);
    char *to = size < 0 ? NULL : buffer_reserve(text, (size_t) size + 1);

    if (to != NULL) {
        vsnprintf(to, (size_t) size + 1, format, again);
        buffer_added(text, (size_t) size);
    }

    va_end(again);
    va_end(values);
}
