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
check_name(lua_State *L, int index, u_char *low, ngx_uint_t *hash)
{
    ngx_str_t name;
    if (lua_type(L, index) != LUA_TSTRING) {
        luaL_error(L, "bad variable name");
    }
    const char *text = lua_tolstring(L, index, &name.len);
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
    ngx_str_t name = check_name(L, 2, low, &hash);
    const ngx_http_variable_value_t *v = ngx_http_get_variable(r, &name, hash);
    if (v == NULL || v->not_found) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, (const char *) v->data, v->len);
    }
    return 1;
}


ngx_int_t
http_var_find(const resolua_request_t *base, const ngx_str_t *name,
              ngx_str_t *value)
{
    u_char low[VARIABLE_NAME_MAX];
    const http_ctx_t *ctx = base->data;
    if ((base->phase & HTTP_ANY) == 0 || name->len > VARIABLE_NAME_MAX) {
        return NGX_ERROR;
    }
    const ngx_uint_t hash = ngx_hash_strlow(low, name->data, name->len);
    ngx_str_t lower = {name->len, low};
    const ngx_http_variable_value_t *v =
        ngx_http_get_variable(ctx->request, &lower, hash);
    if (v == NULL || v->not_found) {
        return NGX_DECLINED;
    }
    value->data = v->data;
    value->len = v->len;
    return NGX_OK;
}


/* The value at index, kept in the request's pool. */
static void
take_value(lua_State *L, int index, ngx_http_request_t *r,
           ngx_http_variable_value_t *v)
{
    size_t size = 0;
    ngx_memzero(v, sizeof(*v));
    if (lua_isnil(L, index)) {
        v->not_found = 1;
        return;
    }
    const char *text = lua_isboolean(L, index)
                           ? (lua_toboolean(L, index) ? "true" : "false")
                           : lua_tolstring(L, index, &size);
    if (text == NULL) {
        luaL_error(L, "invalid value type %s", luaL_typename(L, index));
        return;
    }
    if (lua_isboolean(L, index)) {
        size = ngx_strlen(text);
    }
    v->data = http_lua_copy(L, r, text, size);
    v->len = size & HTTP_VARIABLE_SIZE_MAX;
    v->valid = 1;
}


static const ngx_http_variable_t *
check_variable(lua_State *L, ngx_http_request_t *r, int index)
{
    u_char low[VARIABLE_NAME_MAX];
    ngx_uint_t hash;
    const ngx_str_t name = check_name(L, index, low, &hash);
    ngx_http_core_main_conf_t *cmcf =
        ngx_http_get_module_main_conf(r, ngx_http_core_module);
    const ngx_http_variable_t *v =
        ngx_hash_find(&cmcf->variables_hash, hash, name.data, name.len);
    if (v == NULL) {
        luaL_error(L,
                   "variable \"%s\" not found for writing; maybe it "
                   "is a built-in variable that is not changeable or "
                   "you forgot to use \"set $%s '';\" in the config "
                   "file to define it first",
                   lua_tostring(L, index), lua_tostring(L, index));
    } else if (!(v->flags & NGX_HTTP_VAR_CHANGEABLE)) {
        luaL_error(L, "variable \"%s\" not changeable", lua_tostring(L, index));
    }
    return v;
}


void
http_var_assign(lua_State *L, ngx_http_request_t *r, int name, int value)
{
    ngx_http_variable_value_t taken;
    const ngx_http_variable_t *v = check_variable(L, r, name);
    take_value(L, value, r, &taken);
    if (v->set_handler != NULL) {
        v->set_handler(r, &taken, v->data);
        if (v->data == offsetof(ngx_http_request_t, args) && /* $args */
            http_args_escape(r, &r->args) != NGX_OK) {
            luaL_error(L, "no memory");
        }
    } else if (v->flags & NGX_HTTP_VAR_INDEXED) {
        r->variables[v->index] = taken;
    } else {
        luaL_error(L, "variable \"%s\" cannot be assigned a value",
                   lua_tostring(L, name));
    }
}


int
http_var_set(lua_State *L)
{
    http_var_assign(L, http_lua_request(L, HTTP_ANY), 2, 3);
    return 0;
}
