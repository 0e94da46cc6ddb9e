#ifndef RESOLUA_RUNTIME_WAIT_H
#define RESOLUA_RUNTIME_WAIT_H

/* Sleeping in a C function that Lua calls:

       resolua_thread_t *t = resolua_thread(L);
       ... arrange that wake-up calls resolua_thread_wake(t, n) ...
       return resolua_thread_sleep(t, cancel, data);
   The values that are pushed on resolua_thread_state(t) before the wake are
   what the function returns to Lua.  What its arguments were stays below them:
   so long as it sleeps, the object at 1 is not collected. */

#include "runtime/request.h"

/* The coroutine of the caller; raises a Lua error where none may sleep. */
resolua_thread_t *resolua_thread(lua_State *L);

/* The same where the caller cannot undo what it begins: also raises an error
   where the coroutine cannot sleep as a C function called it. */
resolua_thread_t *resolua_thread_checked(lua_State *L);

lua_State *resolua_thread_state(resolua_thread_t *t);

/* Use as `return resolua_thread_sleep(...)`.  cancel(data), may be NULL, is
   called when the request ends before the wake, and when the coroutine cannot
   sleep below a C function, before the error is raised. */
int resolua_thread_sleep(resolua_thread_t *t, void (*cancel)(void *data),
                         void *data);

/* What the next sleep waits for cannot be given up: till it is woken, ngx.exit
   and ngx.thread.kill are refused. */
void resolua_thread_pin(resolua_thread_t *t);

/* Goes on with the coroutine.  The request may be gone when it returns. */
void resolua_thread_wake(resolua_thread_t *t, int nresults);

/* ev's handler is called in ms milliseconds.  0: in the next round of the event
   loop; a timer of 0 ms would be due in this one, and again, without end. */
void resolua_wait_set(ngx_event_t *ev, ngx_msec_t ms);
void resolua_wait_unset(ngx_event_t *ev);

/* What is under way without a timer of its own: a worker that ends gracefully
   waits for timers alone. */
void resolua_wait_begin(void);
void resolua_wait_end(void);

/* Sleeps for ms milliseconds; Lua gets nothing.  0 lets others run first: the
   request's other threads, and every few microseconds nginx's events. */
int resolua_wait_timer(lua_State *L, ngx_msec_t ms);

#endif
