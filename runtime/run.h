#ifndef RESOLUA_RUNTIME_RUN_H
#define RESOLUA_RUNTIME_RUN_H

/* Running a chunk for a request. */

#include "runtime/code.h"

/* Runs code as the entry coroutine.  NGX_OK: ended; NGX_AGAIN: sleeps, the
   host's resumed() is called when it has ended; NGX_ERROR: failed, logged with
   a traceback; otherwise what ngx.exit was given (r->exited tells a 0 apart
   from an end). */
ngx_int_t resolua_run(resolua_request_t *r, resolua_code_t *code,
                      ngx_uint_t phase);

/* The same with the function and nargs arguments on top of resolua_vm. */
ngx_int_t resolua_run_function(resolua_request_t *r, int nargs,
                               ngx_uint_t phase);

/* Runs code where it must not sleep (log, filters, set, balancer); r may be
   NULL (init, init_worker).  Leaves nresults values on resolua_vm after NGX_OK
   and nothing otherwise. */
ngx_int_t resolua_run_sync(resolua_request_t *r, resolua_code_t *code,
                           ngx_uint_t phase, int nresults);

/* resolua_run_sync with the function and nargs arguments on top of
   resolua_vm. */
ngx_int_t resolua_run_function_sync(resolua_request_t *r, int nargs,
                                    ngx_uint_t phase, int nresults);

/* Raises an error where resolua_run_exit(L, code) would. */
void resolua_run_check_exit(lua_State *L, ngx_int_t code);

/* Ends the running chunk from within, as ngx.exit does; use as
   `return resolua_run_exit(L, code)`. */
int resolua_run_exit(lua_State *L, ngx_int_t code);

/* The client has gone: runs what ngx.on_abort was given, once; the request may
   be over then.  NGX_DECLINED: nothing was given. */
ngx_int_t resolua_run_client_gone(resolua_request_t *r);

/* After an event on a client's connection. */
ngx_uint_t resolua_client_is_gone(ngx_connection_t *c);

/* Ends the running chunk where it sleeps; resumed() is not called. */
void resolua_run_abort(resolua_request_t *r);

#endif
