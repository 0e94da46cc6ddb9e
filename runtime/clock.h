#ifndef RESOLUA_RUNTIME_CLOCK_H
#define RESOLUA_RUNTIME_CLOCK_H

/*
 * Time that goes on evenly, whatever is done to the wall clock: since the
 * host's start, the same for all processes, as of the event loop's last turn.
 * What expires is measured by it; what people or other hosts read is not.
 */

#include <ngx_config.h>
#include <ngx_core.h>

static inline uint64_t
resolua_clock_ms(void)
{
    return ngx_current_msec;
}

static inline uint32_t
resolua_clock_seconds(void)
{
    return (uint32_t) (ngx_current_msec / 1000);
}

#endif
