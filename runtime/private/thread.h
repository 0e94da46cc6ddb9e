#ifndef RESOLUA_RUNTIME_PRIVATE_THREAD_H
#define RESOLUA_RUNTIME_PRIVATE_THREAD_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "runtime/request.h"

enum { OP_NONE, OP_SLEEP, OP_NAP, OP_EXIT, OP_RESUME, OP_SPAWN };

/* A coroutine under the scheduler; the state's exdata points here, or to one of
   light_thread.c's when a light thread has ended.  It goes when the coroutine
   has ended, at the latest with the request's run. */
struct resolua_thread_s {
    lua_State *L;
    int ref; /* keeps L alive */
    int op;  /* why it yielded */
    resolua_request_t *request;
    resolua_thread_t *parent; /* who resumed it; NULL: the entry */
    resolua_thread_t *target; /* OP_RESUME, OP_SPAWN */
    int target_args;          /* OP_SPAWN: on the target's stack */
    resolua_thread_t *waiter; /* sleeps in ngx.thread.wait for this one */
    resolua_thread_t *next;   /* of the request's */
    resolua_thread_t **link;  /* what points here */
    void (*cancel)(void *data);
    void *cancel_data;
    ngx_queue_t ready; /* among the request's that wait for their turn */
    int ready_args;    /* on its stack then */
    ngx_event_t timer;
    unsigned done : 1;
    unsigned has_returned : 1; /* the entry, whole */
    unsigned is_light : 1;     /* made by ngx.thread.spawn */
    unsigned has_failed : 1;
    unsigned is_collected : 1; /* waited for, or killed */
    unsigned is_pinned : 1;    /* its sleep cannot be given up */
    unsigned is_killed : 1;
    unsigned is_ready : 1;
    unsigned is_nested : 1; /* LuaJIT itself has resumed it */
};

/* A new coroutine of the request's, on top of L. */
resolua_thread_t *thread_new(lua_State *L, resolua_request_t *r);

/* Lets go of a coroutine that does not run on; as: what its state's exdata is
   from now on. */
void thread_free(resolua_thread_t *t, resolua_thread_t *as);

/* Whether the coroutine can leave by a yield: not below a C function. */
ngx_uint_t thread_may_yield(const resolua_thread_t *t);

/* Goes on with the thread when all others that can have run. */
void thread_yield(resolua_thread_t *t);

void thread_log_error(const resolua_thread_t *t, const char *what);

/* A light thread has ended with what lua_resume gave.  The thread to go on with
   (who waited for it; *nargs values are on its stack), or NULL. */
resolua_thread_t *light_ended(resolua_thread_t *t, int rc, int *nargs);

#endif
