#ifndef RESOLUA_RUNTIME_SAMPLER_H
#define RESOLUA_RUNTIME_SAMPLER_H

/* Each worker listens on the abstract Unix socket "resolua-worker-PID" for its
   own user and root.  A client sends "sample MILLISECONDS\n", ends its side
   when it has had enough, and gets a line "frame;frame;frame COUNT" for each
   stack that was seen, the outermost frame first.  With "map\n" it gets, at the
   end, a line "ADDRESS SIZE NAME" (hexadecimal) for each piece of code that
   LuaJIT has compiled meanwhile: what it had compiled before is dropped.  Until
   then nothing of it costs anything: LuaJIT's profiler is off. */

#include <ngx_config.h>
#include <ngx_core.h>

/* In a worker's start and end. */
void resolua_sampler_init(ngx_cycle_t *cycle);
void resolua_sampler_exit(void);

#endif
