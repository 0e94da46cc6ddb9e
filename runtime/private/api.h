#ifndef RESOLUA_RUNTIME_PRIVATE_API_H
#define RESOLUA_RUNTIME_PRIVATE_API_H

/* The parts of the ngx table; each finds it on top of the stack and leaves the
   stack as it was. */

#include "runtime/request.h"

void resolua_log_setup(lua_State *L);
void resolua_time_setup(lua_State *L);
void resolua_timer_setup(lua_State *L);
/* Below 0: as documented. */
void resolua_thread_limit(ngx_int_t cached);
void resolua_request_trim(ngx_int_t requests);
void resolua_timer_limits(ngx_int_t pending, ngx_int_t running);
void resolua_thread_setup(lua_State *L);
void resolua_coroutine_setup(lua_State *L);
void resolua_args_setup(lua_State *L);
void resolua_host_setup(lua_State *L);
void resolua_tcp_setup(lua_State *L);
void resolua_client_socket_setup(lua_State *L);
void resolua_udp_setup(lua_State *L);
void resolua_redis_setup(lua_State *L);
void resolua_mysql_setup(lua_State *L);
void resolua_require_setup(lua_State *L);
void resolua_digest_setup(lua_State *L);
void resolua_regex_setup(lua_State *L);
/* Below 0: as documented; a match limit of 0: PCRE2's own. */
void resolua_regex_limits(ngx_int_t entries, ngx_int_t match_limit);
void resolua_light_setup(lua_State *L);
void resolua_abort_setup(lua_State *L);
void resolua_semaphore_setup(lua_State *L);
void resolua_errlog_setup(lua_State *L);
void resolua_process_setup(lua_State *L);
void resolua_worker_thread_setup(lua_State *L);
/* Closes the VMs of threads that have ended. */
void resolua_worker_thread_exit(void);
void resolua_program_setup(lua_State *L);
void resolua_balancer_setup(lua_State *L);
void resolua_upstream_setup(lua_State *L);
void resolua_pipe_setup(lua_State *L);
/* Before any script of a worker runs. */
void resolua_pipe_init_process(void);
/* When all of them have. */
void resolua_pipe_exit_process(void);
void resolua_ssl_setup(lua_State *L);
void resolua_dict_setup(lua_State *L, ngx_cycle_t *cycle);

/* While something of the request runs on L, the request's own globals are L's,
   if it has any.  enter() gives what leave() takes. */
int resolua_globals_enter(lua_State *L, const resolua_request_t *r);
void resolua_globals_leave(lua_State *L, int before);

/* "content_by_lua*" */
const char *resolua_phase_directive(ngx_uint_t phase);

#endif
