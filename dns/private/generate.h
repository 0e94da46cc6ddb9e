#ifndef DNS_PRIVATE_GENERATE_H
#define DNS_PRIVATE_GENERATE_H

/* $GENERATE: a line of text for each number of a range. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GENERATE_LINE_MAX = 4096 }; /* bytes of a line that it makes */

typedef struct {
    uint64_t at;
    uint64_t stop;
    uint64_t step;
    const char *pattern; /* borrowed */
    size_t pattern_size;
} generate_t;

/* START-STOP or START-STOP/STEP. */
bool generate_parse_range(generate_t *g, const char *text, size_t size);

/* The line for g->at; *size is its size.  false: a wrong ${...}, or more than
   GENERATE_LINE_MAX bytes. */
bool generate_line(const generate_t *g, char *out, size_t *size);

#endif
