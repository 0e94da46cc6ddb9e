/* ndk.set_var.DIRECTIVE(text): what other modules' set_* directives, made by
   the NDK, give for a value. */

#include "http/private/api.h"

#include <ndk_set_var.h>

#pragma weak ndk_set_var_value


/* The filter of a directive of that name, or NULL. */
static const ndk_set_var_t *
find_filter(const char *name)
{
    const size_t size = ngx_strlen(name);
    if (ndk_set_var_value == NULL) {
        return NULL;
    }
    for (ngx_uint_t i = 0; ngx_cycle->modules[i] != NULL; i++) {
        const ngx_module_t *module = ngx_cycle->modules[i];
        const ngx_command_t *command = module->commands;
        if (module->type != NGX_HTTP_MODULE || command == NULL) {
            continue;
        }
        for (; command->name.len > 0; command++) {
            if (command->set == ndk_set_var_value &&
                command->name.len == size &&
                ngx_strncmp(command->name.data, name, size) == 0) {
                return command->post;
            }
        }
    }
    return NULL;
}


static ngx_int_t
apply(const ndk_set_var_t *filter, ngx_http_request_t *r, ngx_str_t *out,
      ngx_http_variable_value_t *value)
{
    if (filter->type == NDK_SET_VAR_VALUE) {
        const ndk_set_var_value_pt function =
            (ndk_set_var_value_pt) filter->func;
        return function(r, out, value);
    }
    if (filter->type == NDK_SET_VAR_VALUE_DATA) {
        const ndk_set_var_value_data_pt function =
            (ndk_set_var_value_data_pt) filter->func;
        return function(r, out, value, filter->data);
    }
    return NGX_DECLINED;
}


/* The function that ndk.set_var.NAME is; upvalue 1: the filter. */
static int
call(lua_State *L)
{
    const ndk_set_var_t *filter = lua_touserdata(L, lua_upvalueindex(1));
    ngx_http_request_t *r = http_lua_request(L, HTTP_ANY);
    ngx_http_variable_value_t value;
    ngx_str_t out = ngx_null_string;
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    ngx_memzero(&value, sizeof(value));
    value.data = http_lua_copy(L, r, text, size);
    value.len = size & HTTP_VARIABLE_SIZE_MAX;
    value.valid = 1;
    if (apply(filter, r, &out, &value) != NGX_OK) {
        return luaL_error(L, "calling the directive failed");
    }
    lua_pushlstring(L, (const char *) out.data, out.len);
    return 1;
}


/* (ndk.set_var, name) */
static int
index_filter(lua_State *L)
{
    const char *name = luaL_checkstring(L, 2);
    (void) http_lua_request(L, HTTP_ANY);
    const ndk_set_var_t *filter = find_filter(name);
    if (filter == NULL) {
        return luaL_error(L,
                          "ndk.set_var: directive \"%s\" not found or does not "
                          "use ndk_set_var_value",
                          name);
    }
    lua_pushlightuserdata(L, (void *) filter);
    lua_pushcclosure(L, call, 1);
    return 1;
}


static int
refuse_assignment(lua_State *L)
{
    return luaL_error(L, "ndk.set_var cannot be assigned to");
}


void
http_ndk_setup(lua_State *L)
{
    lua_newtable(L); /* ndk */
    lua_newtable(L); /* ndk.set_var */
    lua_newtable(L);
    lua_pushcfunction(L, index_filter);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_assignment);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "set_var");
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "ndk"); /* require "ndk" */
    lua_pop(L, 1);
    lua_setglobal(L, "ndk");
}
