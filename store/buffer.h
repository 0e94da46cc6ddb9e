#ifndef STORE_BUFFER_H
#define STORE_BUFFER_H

/* Growing text, for statements and commands.  Starts as {0}; once memory is
   used up it stays failed. */

#include <stdbool.h>
#include <stddef.h>

typedef struct buffer_s {
    char *octets; /* owned; a NUL follows */
    size_t size;
    size_t room;
    bool failed;
} buffer_t;

void buffer_free(buffer_t *text);

/* Empty again; keeps its memory. */
void buffer_clear(buffer_t *text);

__attribute__((format(printf, 2, 3))) void buffer_put(buffer_t *text,
                                                      const char *format, ...);
void buffer_put_octets(buffer_t *text, const char *octets, size_t size);

/* Room for size more bytes, of which buffer_added() then tells how many were
   written; NULL: no memory. */
char *buffer_reserve(buffer_t *text, size_t size);
void buffer_added(buffer_t *text, size_t size);

#endif
