/* ngx.var: nginx's variables and the captures of the last regular expression.
 */

#include "http/private/api.h"

enum { VARIABLE_NAME_MAX = 256 }; /* octets */


static int
push_capture(lua_State *L, const ngx_http_request_t *r, lua_Integer n)
{
    if (n <= 0 || n >= (lua_Integer) r->ncaptures / 2 ||
        r->captures_data == NULL) {
        lua_pushnil(L);
        return 1;
    }
    const int *ends = &r->captures[n * 2];
    if (ends[0] < 0) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, (const char *) r->captures_data + ends[0],
                        (size_t) (ends[1] - ends[0]));
    }
    return 1;
}


/* The name in lower case and its hash. */
static ngx_str_t
check_name(lua_State *L, u_char *low, ngx_uint_t *hash)
{
    ngx_str_t name;
    if (lua_type(L, 2) != LUA_TSTRING) {
        luaL_error(L, "bad variable name");
    }
    const char *text = lua_tolstring(L, 2, &name.len);
    if (name.len > VARIABLE_NAME_MAX) {
        luaL_error(L, "variable name too long");
    }
    *hash = ngx_hash_strlow(low, (u_char *) text, name.len);
    name.data = low;
    return name;
}


int
http_var_get(lua_State *L)
{
    ngx_http_request_t *r = http_lua_request(L, HTTP_ANY);
    u_char low[VARIABLE_NAME_MAX];
    ngx_uint_t hash;
    if (lua_type(L, 2) == LUA_TNUMBER) {
        return push_capture(L, r, lua_tointeger(L, 2));
    }
    ngx_str_t name = check_name(L, low, &hash);
    const ngx_http_variable_value_t *v = ngx_http_get_variable(r, &name, hash);
    if (v == NULL || v->not_found) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, (const char *) v->data, v->len);
    }
    return 1;
}


/* The value of ngx.var.NAME = value, kept in the request's pool. */
static void
take_value(lua_State *L, ngx_http_request_t *r, ngx_http_variable_value_t *v)
{
    size_t size = 0;
    ngx_memzero(v, sizeof(*v));
    if (lua_isnil(L, 3)) {
        v->not_found = 1;
        return;
    }
    const char *text = lua_isboolean(L, 3)
                           ? (lua_toboolean(L, 3) ? "true" : "false")
                           : lua_tolstring(L, 3, &size);
    if (text == NULL) {
        luaL_error(L, "invalid value type %s", luaL_typename(L, 3));
        return;
    }
    if (lua_isboolean(L, 3)) {
        size = ngx_strlen(text);
    }
    v->data = http_lua_copy(L, r, text, size);
    v->len = (unsigned) size;
    v->valid = 1;
}


int
http_var_set(lua_State *L)
{
    ngx_http_request_t *r = http_lua_request(L, HTTP_ANY);
    u_char low[VARIABLE_NAME_MAX];
    ngx_uint_t hash;
    ngx_http_variable_value_t value;
    const ngx_str_t name = check_name(L, low, &hash);
    ngx_http_core_main_conf_t *cmcf =
        ngx_http_get_module_main_conf(r, ngx_http_core_module);
    const ngx_http_variable_t *v =
        ngx_hash_find(&cmcf->variables_hash, hash, name.data, name.len);
    if (v == NULL) {
        return luaL_error(L,
                          "variable \"%s\" not found for writing; maybe it "
                          "is a built-in variable that is not changeable or "
                          "you forgot to use \"set $%s '';\" in the config "
                          "file to define it first",
                          lua_tostring(L, 2), lua_tostring(L, 2));
    }
    if (!(v->flags & NGX_HTTP_VAR_CHANGEABLE)) {
        return luaL_error(L, "variable \"%s\" not changeable",
                          lua_tostring(L, 2));
    }
    take_value(L, r, &value);
    if (v->set_handler != NULL) {
        v->set_handler(r, &value, v->data);
    } else if (v->flags & NGX_HTTP_VAR_INDEXED) {
        r->variables[v->index] = value;
    } else {
        return luaL_error(L, "variable \"%s\" cannot be assigned a value",
                          lua_tostring(L, 2));
    }
    return 0;
}
