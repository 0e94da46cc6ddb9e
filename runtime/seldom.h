#ifndef RESOLUA_RUNTIME_SELDOM_H
#define RESOLUA_RUNTIME_SELDOM_H

/*
 * What may fail a thousand times a second is logged once in ten:
 *
 *     static resolua_seldom_t told;
 *     if (resolua_seldom(&told)) {
 *         ngx_log_error(..., "... (%ui times since the last line)",
 * told.count);
 *     }
 */

#include "runtime/clock.h"

enum { RESOLUA_SELDOM_MS = 10000 };

typedef struct {
    uint64_t next;    /* ms: no line before */
    ngx_uint_t since; /* times since the last line */
    ngx_uint_t count; /* for the line: times that it stands for */
} resolua_seldom_t;

static inline ngx_uint_t
resolua_seldom(resolua_seldom_t *s)
{
    s->since++;
    if (resolua_clock_ms() < s->next) {
        return 0;
    }
    s->next = resolua_clock_ms() + RESOLUA_SELDOM_MS;
    s->count = s->since;
    s->since = 0;
    return 1;
}

#endif
