#ifndef RESOLUA_RUNTIME_VM_H
#define RESOLUA_RUNTIME_VM_H

/* The one Lua VM.  It is made in the master when the configuration has been
   read, runs init_by_lua there, and each worker inherits it by fork. */

#include "runtime/request.h"

/* On a thread of a pool no request runs.  The model makes the access as cheap
   as that of a global. */
#define RESOLUA_THREAD_OWN __attribute__((tls_model("initial-exec")))

/* The VM's main state; NULL before the configuration has been read. */
extern lua_State *resolua_vm;

/* The cycle that it was made for: in init_by_lua ngx_cycle is still the one
   before, or has no configuration at all. */
extern ngx_cycle_t *resolua_vm_cycle;

/* The request whose Lua code runs now, or NULL. */
extern _Thread_local resolua_request_t *resolua_running RESOLUA_THREAD_OWN;

/* An adapter's functions.  setup(L) finds the ngx table on top of the stack
   and leaves the stack as it was; it runs once for each new VM.  Call in the
   adapter's preconfiguration; the same setup is kept once. */
typedef void (*resolua_vm_setup_pt)(lua_State *L);
ngx_int_t resolua_vm_add_setup(resolua_vm_setup_pt setup);

/* Makes the VM; owned by the caller, closed by lua_close. */
lua_State *resolua_vm_new(ngx_cycle_t *cycle, const ngx_str_t *path,
                          const ngx_str_t *cpath);

/* The same with what needs neither a request nor nginx's event loop. */
lua_State *resolua_vm_new_for_thread(ngx_cycle_t *cycle, const ngx_str_t *path,
                                     const ngx_str_t *cpath);

/* package.preload[name] = open */
void resolua_vm_preload(lua_State *L, const char *name, lua_CFunction open);

/* The error on top of the stack for a message: "unknown reason" where it is no
   text, as error() takes any value. */
const char *resolua_error_text(lua_State *L);

/* What a function of the API gives when it fails: nil and the reason, which is
   copied.  2, to be returned. */
int resolua_fail(lua_State *L, const char *reason);

/* Where our own Lua modules lie, as in package.path; static.  Empty, with an
   error in the log: they do not lie beside the module. */
const char *resolua_vm_own_path(void);

/* For C functions: the running request, or the Lua error "no request found". */
resolua_request_t *resolua_request(lua_State *L);

/* The running phase's bit; raises "API disabled in the context of
   <phase>_by_lua*" when it is none of allowed. */
ngx_uint_t resolua_check_phase(lua_State *L, ngx_uint_t allowed);

/* The phase that runs where there is no request (init, init_worker, exit). */
extern _Thread_local ngx_uint_t resolua_vm_phase RESOLUA_THREAD_OWN;

#endif
