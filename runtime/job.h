#ifndef RESOLUA_RUNTIME_JOB_H
#define RESOLUA_RUNTIME_JOB_H

/* Blocking work, on a thread of nginx's pool "default". */

#include "runtime/request.h"

/* In create_conf of a core module: the pool is there though no directive names
   it. */
ngx_int_t resolua_job_configure(ngx_cycle_t *cycle);

/* (job, argument, owner) from Lua: calls the C function `int job(void *)`, a
   cdata, on another thread with argument, a cdata or nil, while the coroutine
   sleeps, and returns its result.  Where no coroutine may sleep it is called at
   once.  The argument lives until the job has ended, even when the request does
   not.  owner, a cdata or nil: its jobs have one thread, and wait for one
   another; nil is returned for one that has waited too long. */
int resolua_job_run(lua_State *L);

#endif
