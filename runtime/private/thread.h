#ifndef RESOLUA_RUNTIME_PRIVATE_THREAD_H
#define RESOLUA_RUNTIME_PRIVATE_THREAD_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "runtime/request.h"

enum { OP_NONE, OP_SLEEP, OP_EXIT, OP_RESUME };

/* A coroutine under the scheduler; the state's exdata points here. */
struct resolua_thread_s {
    lua_State *L;
    int ref;                  /* keeps L alive */
    int op;                   /* why it yielded */
    resolua_request_t *request;
    resolua_thread_t *parent; /* who resumed it; NULL: the entry */
    resolua_thread_t *target; /* OP_RESUME */
    resolua_thread_t *next;   /* of the request's */
    void (*cancel)(void *data);
    void *cancel_data;
    ngx_event_t timer;
    ngx_connection_t *connection; /* resolua_wait_fd */
    unsigned done : 1;
    unsigned has_returned : 1; /* the entry, whole */
    unsigned wraps : 1; /* made by coroutine.wrap: errors go through */
};

#endif
