#ifndef SERVER_METER_H
#define SERVER_METER_H

/*
 * What the worker's work costs, in microseconds of its CPU time.  In one window
 * of eight, answering in place is timed; all else that the worker does counts
 * as the cost of the questions that stores and upstreams were asked.
 */

#include <ngx_config.h>
#include <ngx_core.h>

enum { METER_WINDOW_MS = 100 };

typedef struct {
    ngx_uint_t question; /* one to a store or an upstream */
    ngx_uint_t answer;   /* in tenths of a microsecond: one in place */
    ngx_uint_t window;   /* all that the worker did in the last window */
    ngx_uint_t is_busy;  /* it had hardly a moment without work then */
} meter_costs_t;

/* As measured last; guesses before. */
extern meter_costs_t meter_costs;

static inline ngx_msec_t
meter_window(void)
{
    return ngx_current_msec / METER_WINDOW_MS;
}

/* Answering in place begins, and ends with so many answers. */
void meter_enter(void);
void meter_leave(ngx_uint_t answers);

/* A store or an upstream is asked. */
void meter_question(void);

#endif
