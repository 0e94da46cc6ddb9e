/* ndk.set_var.DIRECTIVE(value): what other modules' directives of the kind
   `set_md5 $var value` make of a value, where the NDK is behind them. */

#include "http/private/api.h"

#include <ndk_set_var.h>

#pragma weak ndk_set_var_value


static ngx_command_t *
find_directive(const ngx_str_t *name)
{
    if (ndk_set_var_value == NULL) {
        return NULL;
    }
    for (ngx_uint_t i = 0; ngx_cycle->modules[i] != NULL; i++) {
        ngx_command_t *cmd = ngx_cycle->modules[i]->commands;
        for (; cmd != NULL && cmd->name.len > 0; cmd++) {
            const ndk_set_var_t *filter = cmd->post;
            if (cmd->set == ndk_set_var_value && filter != NULL &&
                filter->type == NDK_SET_VAR_VALUE &&
                cmd->name.len == name->len &&
                ngx_memcmp(cmd->name.data, name->data, name->len) == 0) {
                return cmd;
            }
        }
    }
    return NULL;
}


/* Upvalue 1: the directive. */
static int
call_directive(lua_State *L)
{
    ngx_http_request_t *r = http_lua_request(L, HTTP_ANY);
    const ngx_command_t *cmd = lua_touserdata(L, lua_upvalueindex(1));
    const ndk_set_var_t *filter = cmd->post;
    ngx_http_variable_value_t value;
    ngx_str_t result = ngx_null_string;
    ndk_set_var_value_pt function;
    size_t size;
    ngx_memcpy(&function, &filter->func, sizeof(function));
    const char *text = luaL_checklstring(L, 1, &size);
    ngx_memzero(&value, sizeof(value));
    value.valid = 1;
    value.len = (unsigned) size;
    value.data = http_lua_copy(L, r, text, size); /* it may be kept */
    const ngx_int_t rc = function(r, &result, &value);
    if (rc != NGX_OK) {
        return luaL_error(L, "calling directive %s failed with code %d",
                          (char *) cmd->name.data, (int) rc);
    }
    lua_pushlstring(L, (char *) result.data, result.len);
    return 1;
}


static int
index_directive(lua_State *L)
{
    ngx_str_t name;
    name.data = (u_char *) luaL_checklstring(L, 2, &name.len);
    ngx_command_t *cmd = find_directive(&name);
    if (cmd == NULL) {
        return luaL_error(L,
                          "ndk.set_var: directive \"%s\" not found or does not "
                          "use ndk_set_var_value",
                          (char *) name.data);
    }
    lua_pushlightuserdata(L, cmd);
    lua_pushcclosure(L, call_directive, 1);
    return 1;
}


static int
refuse(lua_State *L)
{
    return luaL_error(L, "not allowed");
}


void
http_ndk_setup(lua_State *L)
{
    lua_createtable(L, 0, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, index_directive);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "set_var");
    lua_setglobal(L, "ndk");
}
