/* Tables of headers for scripts: of the request and of the response. */

#include "http/private/headers.h"

#include "http/private/api.h"

static const char meta_key; /* its address is the metatable's registry key */


/* (table, name): headers.foo_bar is headers["foo-bar"]. */
static int
index_loosely(lua_State *L)
{
    size_t size;
    char low[HTTP_HEADER_NAME_MAX];
    if (lua_type(L, 2) != LUA_TSTRING) {
        return 0;
    }
    const char *name = lua_tolstring(L, 2, &size);
    if (size > sizeof(low)) {
        return 0;
    }
    for (size_t i = 0; i < size; i++) {
        low[i] = name[i] == '_' ? '-' : (char) ngx_tolower(name[i]);
    }
    lua_pushlstring(L, low, size);
    lua_rawget(L, 1);
    return 1;
}


void
http_headers_set_meta(lua_State *L)
{
    lua_pushlightuserdata(L, (void *) &meta_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 1);
        lua_pushcfunction(L, index_loosely);
        lua_setfield(L, -2, "__index");
        lua_pushlightuserdata(L, (void *) &meta_key);
        lua_pushvalue(L, -2);
        lua_rawset(L, LUA_REGISTRYINDEX);
    }
    lua_setmetatable(L, -2);
}


void
http_headers_push_name(lua_State *L, const ngx_str_t *name, int raw)
{
    u_char low[HTTP_HEADER_NAME_MAX];
    if (raw || name->len > sizeof(low)) {
        lua_pushlstring(L, (const char *) name->data, name->len);
        return;
    }
    ngx_strlow(low, name->data, name->len);
    lua_pushlstring(L, (const char *) low, name->len);
}


void
http_headers_add(lua_State *L, int table)
{
    lua_pushvalue(L, -2);
    lua_rawget(L, table);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_rawset(L, table);
        return;
    }
    if (!lua_istable(L, -1)) {
        lua_createtable(L, 4, 0);
        lua_insert(L, -2);
        lua_rawseti(L, -2, 1); /* name, value, {first} */
        lua_pushvalue(L, -3);
        lua_pushvalue(L, -2);
        lua_rawset(L, table);
    }
    lua_insert(L, -2);
    lua_rawseti(L, -2, (int) lua_objlen(L, -2) + 1);
    lua_pop(L, 2);
}


ngx_int_t
http_headers_push(lua_State *L, const ngx_list_t *list,
                  const http_headers_want_t *want)
{
    const int table = lua_gettop(L);
    lua_Integer count = want->count;
    for (const ngx_list_part_t *part = &list->part; part != NULL;
         part = part->next) {
        const ngx_table_elt_t *h = part->elts;
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            if (want->skip_cleared && h[i].hash == 0) {
                continue;
            }
            if (want->max > 0 && count == want->max) {
                return NGX_DECLINED;
            }
            count++;
            http_headers_push_name(L, &h[i].key, want->raw);
            lua_pushlstring(L, (const char *) h[i].value.data, h[i].value.len);
            http_headers_add(L, table);
        }
    }
    return NGX_OK;
}


ngx_str_t
http_headers_check_name(lua_State *L, int arg)
{
    ngx_str_t name;
    if (!lua_isstring(L, arg)) {
        luaL_error(L, "bad 'name' argument: string expected, got %s",
                   luaL_typename(L, arg));
    }
    name.data = (u_char *) lua_tolstring(L, arg, &name.len);
    return name;
}


int
http_breaks_args(u_char octet)
{
    return octet <= ' ' || octet == 0x7F;
}


int
http_breaks_value(u_char octet)
{
    return (octet < ' ' && octet != '\t') || octet == 0x7F;
}


/* And octets that no name has, those beyond ASCII included. */
static int
breaks_name(u_char octet)
{
    return octet <= ' ' || octet >= 0x7F ||
           ngx_strchr("\"(),/:;<=>?@[\\]{}", octet) != NULL;
}


static size_t
count_breaking(const ngx_str_t *text, int (*breaks)(u_char))
{
    size_t count = 0;
    for (size_t i = 0; i < text->len; i++) {
        count += breaks(text->data[i]) ? 1 : 0;
    }
    return count;
}


ngx_int_t
http_escape(ngx_pool_t *pool, const ngx_str_t *text, int (*breaks)(u_char),
            ngx_str_t *copy)
{
    static const char hex[] = "0123456789ABCDEF";
    const size_t size = text->len + 2 * count_breaking(text, breaks);
    u_char *to = ngx_pnalloc(pool, size + 1);
    if (to == NULL) {
        return NGX_ERROR;
    }
    const u_char *from = text->data;
    const u_char *end = from + text->len;
    copy->data = to;
    copy->len = size;
    for (; from < end; from++) {
        if (breaks(*from)) {
            *to++ = '%';
            *to++ = (u_char) hex[*from >> 4];
            *to++ = (u_char) hex[*from & 15];
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return NGX_OK;
}


ngx_str_t
http_copy_escaped(lua_State *L, ngx_http_request_t *r, const ngx_str_t *text,
                  int (*breaks)(u_char))
{
    ngx_str_t copy;
    if (http_escape(r->pool, text, breaks, &copy) != NGX_OK) {
        luaL_error(L, "no memory");
    }
    return copy;
}


ngx_str_t
http_headers_copy_name(lua_State *L, ngx_http_request_t *r,
                       const ngx_str_t *name)
{
    return http_copy_escaped(L, r, name, breaks_name);
}


ngx_str_t
http_headers_copy_value(lua_State *L, ngx_http_request_t *r, int index)
{
    ngx_str_t text;
    const int type = lua_type(L, index);
    if (type == LUA_TBOOLEAN) {
        text.data = (u_char *) (lua_toboolean(L, index) ? "true" : "false");
        text.len = ngx_strlen(text.data);
    } else if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        text.data = (u_char *) lua_tolstring(L, index, &text.len);
    } else {
        luaL_error(L, "bad header value: string or number expected, got %s",
                   luaL_typename(L, index));
    }
    return http_copy_escaped(L, r, &text, http_breaks_value);
}


int
http_headers_same_name(const ngx_str_t *a, const ngx_str_t *b)
{
    return a->len == b->len && ngx_strncasecmp(a->data, b->data, a->len) == 0;
}
