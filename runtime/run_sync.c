/* Chunks that must not sleep: they run on the VM's main state, to their end. */

#include "runtime/private/api.h"
#include "runtime/run.h"
#include "runtime/vm.h"


static int
traceback(lua_State *L)
{
    if (lua_isstring(L, 1)) {
        luaL_traceback(L, L, lua_tostring(L, 1), 1);
    }
    return 1;
}


/* Calls the function below nargs arguments; leaves its results or nothing. */
static ngx_int_t
call_sync(resolua_request_t *r, int nargs, ngx_uint_t phase, int nresults)
{
    lua_State *L = resolua_vm;
    const int base = lua_gettop(L) - nargs;
    lua_pushcfunction(L, traceback);
    lua_insert(L, base);
    if (lua_pcall(L, nargs, nresults, base) == 0) {
        lua_remove(L, base);
        return NGX_OK;
    }
    if (r == NULL || !r->exited) {
        ngx_log_error(NGX_LOG_ERR, r != NULL ? r->log : ngx_cycle->log, 0,
                      "failed to run %s: %s", resolua_phase_directive(phase),
                      resolua_error_text(L));
    }
    lua_settop(L, base - 1);
    return r != NULL && r->exited ? r->exit_code : NGX_ERROR;
}


ngx_int_t
resolua_run_function_sync(resolua_request_t *r, int nargs, ngx_uint_t phase,
                          int nresults)
{
    resolua_request_t *before = resolua_running;
    ngx_uint_t *running_phase = r != NULL ? &r->phase : &resolua_vm_phase;
    const ngx_uint_t phase_before = *running_phase;
    const unsigned exited = r != NULL && r->exited;
    const ngx_int_t exit_code = r != NULL ? r->exit_code : 0;

    resolua_running = r;
    *running_phase = phase;
    if (r != NULL) {
        r->exited = 0;
    }
    const int globals = resolua_globals_enter(resolua_vm, r);
    const ngx_int_t rc = call_sync(r, nargs, phase, nresults);
    resolua_globals_leave(resolua_vm, globals);
    if (r != NULL) {
        r->exited = exited & 1;
        r->exit_code = exit_code;
    }
    resolua_running = before;
    *running_phase = phase_before;
    return rc;
}


ngx_int_t
resolua_run_sync(resolua_request_t *r, resolua_code_t *code, ngx_uint_t phase,
                 int nresults)
{
    lua_State *L = resolua_vm;
    if (resolua_code_push(L, code) == NGX_OK) {
        return resolua_run_function_sync(r, 0, phase, nresults);
    }
    ngx_log_error(NGX_LOG_ERR, r != NULL ? r->log : ngx_cycle->log, 0,
                  "failed to load Lua code: %s", resolua_error_text(L));
    lua_pop(L, 1);
    return NGX_ERROR;
}
