/* The Lua module resolua.guard: does nginx itself ask who a request is from? */

#include "http/private/api.h"
#include "runtime/vm.h"

/* The first members of the stock module's own structure. */
typedef struct {
    ngx_http_complex_value_t *realm;
    ngx_http_complex_value_t *user_file;
} auth_basic_conf_t;


static auth_basic_conf_t *
auth_basic_conf(const ngx_http_request_t *r)
{
    for (ngx_uint_t i = 0; ngx_cycle->modules[i] != NULL; i++) {
        const ngx_module_t *module = ngx_cycle->modules[i];
        if (module->type == NGX_HTTP_MODULE &&
            ngx_strcmp(module->name, "ngx_http_auth_basic_module") == 0) {
            return r->loc_conf[module->ctx_index];
        }
    }
    return NULL;
}


/* guard.has_auth_basic(): auth_basic is on in the request's location, which has
   let it through. */
static int
has_auth_basic(lua_State *L)
{
    ngx_http_request_t *r = http_lua_request(L, HTTP_ANY);
    const auth_basic_conf_t *conf = auth_basic_conf(r);
    ngx_str_t realm;
    ngx_uint_t is_on = 0;
    if (conf != NULL && conf->realm != NULL && conf->user_file != NULL &&
        ngx_http_complex_value(r, conf->realm, &realm) == NGX_OK) {
        is_on = realm.len != 3 || ngx_strncmp(realm.data, "off", 3) != 0;
    }
    lua_pushboolean(L, (int) is_on);
    return 1;
}


static int
open_module(lua_State *L)
{
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, has_auth_basic);
    lua_setfield(L, -2, "has_auth_basic");
    return 1;
}


void
http_guard_setup(lua_State *L)
{
    resolua_vm_preload(L, "resolua.guard", open_module);
}
