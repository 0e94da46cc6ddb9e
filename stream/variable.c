#include "stream/variable.h"

#include "runtime/vm.h"

enum { NAME_MAX_SIZE = 255 }; /* octets of a variable's name */


static int
push_capture(lua_State *L, const ngx_stream_session_t *s, lua_Integer number)
{
    const ngx_uint_t at = (ngx_uint_t) number * 2;
    if (number <= 0 || at + 1 >= s->ncaptures || s->captures[at] < 0) {
        return 0;
    }
    lua_pushlstring(L, (char *) s->captures_data + s->captures[at],
                    (size_t) (s->captures[at + 1] - s->captures[at]));
    return 1;
}


/* In lower case, with its hash. */
static ngx_uint_t
read_name(lua_State *L, int arg, ngx_str_t *name, u_char *room)
{
    size_t size;
    const char *text = luaL_checklstring(L, arg, &size);
    luaL_argcheck(L, size <= NAME_MAX_SIZE, arg, "name too long");
    name->data = room;
    name->len = size;
    return ngx_hash_strlow(room, (u_char *) text, size);
}


/* (ngx.var, name) */
int
variable_get(lua_State *L)
{
    ngx_stream_session_t *s = stream_context_of(L)->session;
    u_char room[NAME_MAX_SIZE];
    ngx_str_t name;
    if (lua_type(L, 2) == LUA_TNUMBER) {
        return push_capture(L, s, lua_tointeger(L, 2));
    }
    const ngx_uint_t key = read_name(L, 2, &name, room);
    const ngx_stream_variable_value_t *value =
        ngx_stream_get_variable(s, &name, key);
    if (value == NULL || value->not_found) {
        return 0;
    }
    lua_pushlstring(L, (char *) value->data, value->len);
    return 1;
}


ngx_int_t
variable_find(const resolua_request_t *r, const ngx_str_t *name,
              ngx_str_t *value)
{
    u_char room[NAME_MAX_SIZE];
    const stream_context_t *context = r->data;
    if (name->len > sizeof(room)) {
        return NGX_ERROR;
    }
    const ngx_uint_t key = ngx_hash_strlow(room, name->data, name->len);
    ngx_str_t lower = {name->len, room};
    const ngx_stream_variable_value_t *v =
        ngx_stream_get_variable(context->session, &lower, key);
    if (v == NULL || v->not_found) {
        return NGX_DECLINED;
    }
    value->data = v->data;
    value->len = v->len;
    return NGX_OK;
}


static ngx_stream_variable_t *
find(lua_State *L, ngx_stream_session_t *s, const ngx_str_t *name,
     ngx_uint_t key)
{
    ngx_stream_core_main_conf_t *core =
        ngx_stream_get_module_main_conf(s, ngx_stream_core_module);
    ngx_stream_variable_t *v =
        ngx_hash_find(&core->variables_hash, key, name->data, name->len);
    if (v == NULL) {
        lua_pushlstring(L, (char *) name->data, name->len);
        luaL_error(L,
                   "variable \"%s\" not found for writing; maybe it is a "
                   "built-in variable that is not changeable or you forgot to "
                   "use \"lua_add_variable\" to define it",
                   lua_tostring(L, -1));
    }
    if ((v->flags & NGX_STREAM_VAR_CHANGEABLE) == 0) {
        lua_pushlstring(L, (char *) name->data, name->len);
        luaL_error(L, "variable \"%s\" not changeable", lua_tostring(L, -1));
    }
    return v;
}


/* The value at arg, in the session's pool. */
static void
read_value(lua_State *L, int arg, const ngx_stream_session_t *s,
           ngx_stream_variable_value_t *value)
{
    size_t size;
    ngx_memzero(value, sizeof(*value));
    if (lua_isnil(L, arg)) {
        value->not_found = 1;
        return;
    }
    const char *text = luaL_checklstring(L, arg, &size);
    u_char *copy = ngx_pnalloc(s->connection->pool, size + 1);
    if (copy == NULL) {
        luaL_error(L, "no memory");
    }
    ngx_memcpy(copy, text, size);
    value->data = copy;
    value->len = (unsigned) (size & 0x0fffffff);
    value->valid = 1;
}


/* (ngx.var, name, value) */
int
variable_set(lua_State *L)
{
    ngx_stream_session_t *s = stream_context_of(L)->session;
    u_char room[NAME_MAX_SIZE];
    ngx_str_t name;
    ngx_stream_variable_value_t value;
    const ngx_uint_t key = read_name(L, 2, &name, room);
    ngx_stream_variable_t *v = find(L, s, &name, key);
    read_value(L, 3, s, &value);
    if (v->set_handler != NULL) {
        v->set_handler(s, &value, v->data);
        return 0;
    }
    if ((v->flags & NGX_STREAM_VAR_INDEXED) == 0) {
        return luaL_error(L, "variable \"%s\" cannot be assigned a value",
                          lua_tostring(L, 2));
    }
    s->variables[v->index] = value;
    return 0;
}


static ngx_int_t
not_set(ngx_stream_session_t *s, ngx_stream_variable_value_t *value,
        uintptr_t data)
{
    (void) s;
    (void) data;
    value->not_found = 1;
    return NGX_OK;
}


/* lua_add_variable $name */
char *
variable_add(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    const ngx_str_t *value = cf->args->elts;
    ngx_str_t name = value[1];
    (void) cmd;
    (void) conf;
    if (name.len < 2 || name.data[0] != '$') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V \"%V\": not a variable's name", &value[0],
                           &value[1]);
        return NGX_CONF_ERROR;
    }
    name.data++;
    name.len--;
    ngx_stream_variable_t *v =
        ngx_stream_add_variable(cf, &name, NGX_STREAM_VAR_CHANGEABLE);
    if (v == NULL || ngx_stream_get_variable_index(cf, &name) == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }
    if (v->get_handler == NULL) {
        v->get_handler = not_set;
    }
    return NGX_CONF_OK;
}
