#include "runtime/wait.h"

#include <ngx_event.h>

#include "runtime/clock.h"
#include "runtime/private/thread.h"


static void
on_timer(ngx_event_t *ev)
{
    resolua_thread_wake(ev->data, 0);
}


void
resolua_wait_set(ngx_event_t *ev, ngx_msec_t ms)
{
    if (ms == 0 && !ngx_exiting) {
        ngx_post_event(ev, &ngx_posted_next_events);
    } else {
        ngx_add_timer(ev, ms > 0 ? ms : 1); /* an exit waits for timers */
    }
}


void
resolua_wait_unset(ngx_event_t *ev)
{
    if (ev->timer_set) {
        ngx_del_timer(ev);
    }
    if (ev->posted) {
        ngx_delete_posted_event(ev);
    }
}


enum { STAY = 60 * 60 * 1000 }; /* ms: any time, it begins anew */

static ngx_uint_t under_way;
static ngx_event_t stay;
static ngx_connection_t nobody = {.fd = -1}; /* the debugging log shows it */


static void
on_stay(ngx_event_t *ev)
{
    ngx_add_timer(ev, STAY);
}


void
resolua_wait_begin(void)
{
    if (under_way++ == 0) {
        stay.handler = on_stay;
        stay.data = &nobody;
        stay.log = ngx_cycle->log;
        ngx_add_timer(&stay, STAY);
    }
}


void
resolua_wait_end(void)
{
    if (--under_way == 0) {
        ngx_del_timer(&stay);
    }
}


static void
cancel_timer(void *data)
{
    resolua_thread_t *t = data;
    resolua_wait_unset(&t->timer);
}


static void
set_timer(resolua_thread_t *t, ngx_msec_t ms)
{
    t->timer.handler = on_timer;
    t->timer.data = t;
    t->timer.log = t->request->log;
    resolua_wait_set(&t->timer, ms);
}


void
thread_yield(resolua_thread_t *t)
{
    set_timer(t, 0);
    t->cancel = cancel_timer;
    t->cancel_data = t;
}


/* How long a request's threads may let each other run by naps (ngx.sleep(0))
   until nginx's events have their turn.  The clock is asked after so many naps
   that half a slice may have passed; a script that works long between its naps
   has it asked at each of them. */
enum { SLICE = 20000 /* ns */, UNASKED_MAX = 64 };

static struct {
    uint64_t begin; /* ns */
    uint64_t asked;
    ngx_uint_t unasked; /* naps from one question to the next */
    ngx_uint_t left;    /* of them */
} slice;


static void
begin_slice(void)
{
    slice.begin = slice.asked = resolua_clock_ns();
    slice.left = slice.unasked;
}


static int
slice_is_over(void)
{
    if (slice.left > 0) {
        slice.left--;
        return 0;
    }
    const uint64_t now = resolua_clock_ns();
    const uint64_t each = (now - slice.asked) / (slice.unasked + 1) + 1;
    slice.unasked = (ngx_uint_t) ngx_min(SLICE / 2 / each, UNASKED_MAX);
    slice.left = slice.unasked;
    slice.asked = now;
    return now - slice.begin > SLICE;
}


static void
on_turn(ngx_event_t *ev)
{
    resolua_thread_t *t = ev->data;
    t->request->napping--;
    begin_slice();
    resolua_thread_wake(t, 0);
}


static void
cancel_nap(void *data)
{
    resolua_thread_t *t = data;
    t->request->napping--;
    resolua_wait_unset(&t->timer);
}


static int
take_nap(lua_State *L, resolua_thread_t *t)
{
    /* Those that wait for nginx's round are not overtaken. */
    if (thread_may_yield(t) && t->request->napping == 0 && !ngx_exiting &&
        !slice_is_over()) {
        t->op = OP_NAP;
        return lua_yield(L, 0);
    }
    set_timer(t, 0);
    t->timer.handler = on_turn;
    t->request->napping++;
    return resolua_thread_sleep(t, cancel_nap, t);
}


int
resolua_wait_timer(lua_State *L, ngx_msec_t ms)
{
    resolua_thread_t *t = resolua_thread(L);
    if (ms == 0) {
        return take_nap(L, t);
    }
    set_timer(t, ms);
    return resolua_thread_sleep(t, cancel_timer, t);
}
