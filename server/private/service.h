#ifndef SERVER_PRIVATE_SERVICE_H
#define SERVER_PRIVATE_SERVICE_H

/* The Lua module dns.service, which asks upstreams and edits zones. */

#include <ngx_config.h>
#include <ngx_core.h>

#include <lua.h>

/* In each worker, after the VM's and the store's start: says to it what the
   directives say.  Where it cannot be found, that is logged, and queries for
   upstreams get SERVFAIL. */
void service_open(ngx_cycle_t *cycle);

/* Its forward() on the stack; 0: there is none, and nothing was pushed. */
ngx_uint_t service_push(lua_State *L);

/* How many questions to upstreams may be under way (step_upstreams.c). */
void upstreams_open(ngx_uint_t max);

#endif
