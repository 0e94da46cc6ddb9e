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


/* Octets that would end a header line early are written as %XX; in a name,
   which has more of them in unsafe, those beyond ASCII too. */
static int
is_unsafe(u_char octet, const char *unsafe)
{
    const int is_name = *unsafe != '\0';
    if (octet < ' ' || octet == 0x7F) {
        return octet != '\t' || is_name;
    }
    return is_name && (octet >= 0x80 || ngx_strchr(unsafe, octet) != NULL);
}


static size_t
count_unsafe(const ngx_str_t *text, const char *unsafe)
{
    size_t count = 0;
    for (size_t i = 0; i < text->len; i++) {
        count += is_unsafe(text->data[i], unsafe) ? 1 : 0;
    }
    return count;
}


static ngx_str_t
copy_escaped(lua_State *L, ngx_http_request_t *r, const ngx_str_t *text,
             const char *unsafe)
{
    static const char hex[] = "0123456789ABCDEF";
    const size_t more = 2 * count_unsafe(text, unsafe);
    ngx_str_t copy = {text->len + more, NULL};
    if (more == 0) {
        copy.data = http_lua_copy(L, r, (const char *) text->data, text->len);
        return copy;
    }
    copy.data = ngx_pnalloc(r->pool, copy.len + 1);
    if (copy.data == NULL) {
        luaL_error(L, "no memory");
    }
    u_char *to = copy.data;
    for (size_t i = 0; i < text->len; i++) {
        if (is_unsafe(text->data[i], unsafe)) {
            *to++ = '%';
            *to++ = (u_char) hex[text->data[i] >> 4];
            *to++ = (u_char) hex[text->data[i] & 15];
        } else {
            *to++ = text->data[i];
        }
    }
    *to = '\0';
    return copy;
}


ngx_str_t
http_headers_copy_name(lua_State *L, ngx_http_request_t *r,
                       const ngx_str_t *name)
{
    return copy_escaped(L, r, name, " \"(),/:;<=>?@[\\]{}");
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
    return copy_escaped(L, r, &text, "");
}


int
http_headers_same_name(const ngx_str_t *a, const ngx_str_t *b)
{
    return a->len == b->len && ngx_strncasecmp(a->data, b->data, a->len) == 0;
}
