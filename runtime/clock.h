#ifndef RESOLUA_RUNTIME_CLOCK_H
#define RESOLUA_RUNTIME_CLOCK_H

/* The clock by which what is kept expires: it goes on when somebody sets the
   time of day, back or forth. */

#include <ngx_config.h>
#include <ngx_core.h>

/* Milliseconds since the system's start, the same in all processes and after
   a reload; as old as nginx's cached time. */
static inline uint64_t
resolua_clock_ms(void)
{
    return ngx_current_msec;
}

static inline uint32_t
resolua_clock_seconds(void)
{
    return (uint32_t) (resolua_clock_ms() / 1000);
}

/* Nanoseconds, as they are now, of the calling process. */
static inline uint64_t
resolua_clock_ns(void)
{
    struct timespec now;
    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

#endif
