/* ngx.encode_args, decode_args, escape_uri, unescape_uri. */

#include "runtime/args.h"

#include "runtime/private/api.h"
#include "runtime/text.h"


static int
hex_value(u_char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


u_char *
resolua_args_unescape(u_char *to, const u_char *text, size_t size)
{
    const u_char *end = text + size;
    while (text < end) {
        if (*text == '%' && end - text > 2 && hex_value(text[1]) >= 0 &&
            hex_value(text[2]) >= 0) {
            *to++ = (u_char) (hex_value(text[1]) << 4 | hex_value(text[2]));
            text += 3;
        } else {
            *to++ = *text == '+' ? ' ' : *text;
            text++;
        }
    }
    return to;
}


static void
push_unescaped(lua_State *L, const u_char *text, size_t size)
{
    luaL_Buffer b;
    if (memchr(text, '%', size) == NULL && memchr(text, '+', size) == NULL) {
        lua_pushlstring(L, (const char *) text, size);
        return;
    }
    luaL_buffinit(L, &b);
    while (size > 0) {
        /* A piece must not end inside of %XX. */
        size_t piece = ngx_min(size, (size_t) LUAL_BUFFERSIZE);
        if (piece < size) {
            piece -= text[piece - 1] == '%'   ? 1
                     : text[piece - 2] == '%' ? 2
                                              : 0;
        }
        u_char *room = (u_char *) luaL_prepbuffer(&b);
        luaL_addsize(
            &b, (size_t) (resolua_args_unescape(room, text, piece) - room));
        text += piece;
        size -= piece;
    }
    luaL_pushresult(&b);
}


/* table[key] = value, or one more of its values; takes both from the stack. */
static void
add_value(lua_State *L, int table)
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
        lua_rawseti(L, -2, 1); /* key, value, {old} */
        lua_pushvalue(L, -3);
        lua_pushvalue(L, -2);
        lua_rawset(L, table);
    }
    lua_insert(L, -2);
    lua_rawseti(L, -2, (int) lua_objlen(L, -2) + 1);
    lua_pop(L, 2);
}


/* The argument's name and value into the table; NGX_DECLINED: it has no name,
   and is left out. */
static ngx_int_t
add_argument(lua_State *L, int table, const u_char *text, const u_char *stop)
{
    const u_char *equals = memchr(text, '=', (size_t) (stop - text));
    const u_char *key_end = equals != NULL ? equals : stop;
    if (key_end == text) {
        return NGX_DECLINED;
    }
    push_unescaped(L, text, (size_t) (key_end - text));
    if (equals != NULL) {
        push_unescaped(L, equals + 1, (size_t) (stop - equals - 1));
    } else {
        lua_pushboolean(L, 1);
    }
    add_value(L, table);
    return NGX_OK;
}


/* named: of those with a name max are put, not of all. */
static ngx_int_t
decode(lua_State *L, const ngx_str_t *args, lua_Integer max, ngx_uint_t named)
{
    const int table = lua_gettop(L);
    const u_char *text = args->data;
    const u_char *end = text + args->len;
    lua_Integer count = 0;
    lua_Integer put_count = 0;

    luaL_checkstack(L, 8, NULL);
    while (args->len > 0) {
        const u_char *stop = memchr(text, '&', (size_t) (end - text));
        stop = stop != NULL ? stop : end;
        if ((max <= 0 || (named ? put_count : count) < max) &&
            add_argument(L, table, text, stop) == NGX_OK) {
            put_count++;
        }
        count++;
        if (stop == end) {
            return max > 0 && count > max ? NGX_DECLINED : NGX_OK;
        }
        text = stop + 1;
    }
    return NGX_OK;
}


ngx_int_t
resolua_args_decode(lua_State *L, const u_char *text, size_t size,
                    lua_Integer max)
{
    const ngx_str_t args = {size, (u_char *) text};
    return decode(L, &args, max, 0);
}


ngx_int_t
resolua_args_decode_named(lua_State *L, const u_char *text, size_t size,
                          lua_Integer max)
{
    const ngx_str_t args = {size, (u_char *) text};
    return decode(L, &args, max, 1);
}


/* Does the octet stand for itself?  As in encodeURI and encodeURIComponent,
   but for what nginx's own NGX_ESCAPE_URI leaves alone. */
static int
is_plain(u_char c, ngx_uint_t type)
{
    if (type == NGX_ESCAPE_URI) {
        return c > ' ' && c < 0x7F && c != '#' && c != '%' && c != '?';
    }
    if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')) {
        return 1;
    }
    return c != '\0' && ngx_strchr("-._~!'()*", c) != NULL;
}


u_char *
resolua_args_escape(u_char *to, const u_char *text, size_t size,
                    ngx_uint_t type)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < size; i++) {
        const u_char c = text[i];
        if (is_plain(c, type)) {
            *to++ = c;
        } else {
            *to++ = '%';
            *to++ = (u_char) hex[c >> 4];
            *to++ = (u_char) hex[c & 15];
        }
    }
    return to;
}


static void
add_escaped(luaL_Buffer *b, const char *text, size_t size, ngx_uint_t type)
{
    u_char piece[3 * 64];
    for (size_t at = 0; at < size; at += 64) {
        const size_t part = size - at < 64 ? size - at : 64;
        const u_char *end =
            resolua_args_escape(piece, (const u_char *) text + at, part, type);
        luaL_addlstring(b, (char *) piece, (size_t) (end - piece));
    }
}


/* "&key=value" of the value on top, which it takes; key is a string. */
static void
add_pair(lua_State *L, luaL_Buffer *b, int key, int value, int *first)
{
    size_t size;
    const char *text = lua_tolstring(L, key, &size);
    if (lua_isboolean(L, value) && !lua_toboolean(L, value)) {
        return;
    }
    if (!*first) {
        luaL_addchar(b, '&');
    }
    *first = 0;
    add_escaped(b, text, size, NGX_ESCAPE_URI_COMPONENT);
    if (lua_isboolean(L, value)) {
        return;
    }
    text = lua_tolstring(L, value, &size);
    if (text == NULL) {
        luaL_error(L, "attempt to use %s as query arg value",
                   luaL_typename(L, value));
    }
    luaL_addchar(b, '=');
    add_escaped(b, text, size, NGX_ESCAPE_URI_COMPONENT);
}


/* All pairs, flat: {key, value, ...} at the table that it pushes.  The buffer
   of luaL_Buffer lies on the stack, where lua_next needs its place. */
static int
push_flat(lua_State *L, int arg)
{
    lua_newtable(L);
    const int flat = lua_gettop(L);
    int n = 0;
    lua_pushnil(L);
    while (lua_next(L, arg) != 0) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            luaL_error(L, "attempt to use a non-string key in the \"args\" "
                          "option table");
        }
        const int many = lua_istable(L, -1);
        const size_t count = many ? lua_objlen(L, -1) : 1;
        for (size_t i = 1; i <= count; i++) {
            lua_pushvalue(L, -2);
            lua_rawseti(L, flat, ++n);
            if (many) {
                lua_rawgeti(L, -1, (int) i);
            } else {
                lua_pushvalue(L, -1);
            }
            lua_rawseti(L, flat, ++n);
        }
        lua_pop(L, 1);
    }
    return n;
}


void
resolua_args_encode(lua_State *L, int arg)
{
    luaL_Buffer b;
    int first = 1;
    const int n = push_flat(L, arg);
    const int flat = lua_gettop(L);
    lua_pushnil(L); /* the key */
    lua_pushnil(L); /* the value */
    luaL_buffinit(L, &b);
    for (int i = 1; i <= n; i += 2) {
        /* The buffer may hold values on top: set places below it. */
        lua_rawgeti(L, flat, i);
        lua_replace(L, flat + 1);
        lua_rawgeti(L, flat, i + 1);
        lua_replace(L, flat + 2);
        add_pair(L, &b, flat + 1, flat + 2, &first);
    }
    luaL_pushresult(&b);
    lua_replace(L, flat);
    lua_settop(L, flat);
}


static int
encode_args(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    resolua_args_encode(L, 1);
    return 1;
}


static int
decode_args(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    const lua_Integer max = luaL_optinteger(L, 2, RESOLUA_ARGS_MAX);
    lua_newtable(L);
    if (resolua_args_decode(L, (const u_char *) text, size, max) != NGX_OK) {
        lua_pushliteral(L, "truncated");
        return 2;
    }
    return 1;
}


static int
escape_uri(lua_State *L)
{
    const ngx_str_t text = resolua_text_any(L, 1);
    const lua_Integer type = luaL_optinteger(L, 2, NGX_ESCAPE_URI_COMPONENT);
    luaL_Buffer b;
    luaL_argcheck(L, type == NGX_ESCAPE_URI || type == NGX_ESCAPE_URI_COMPONENT,
                  2, "\"type\" is out of range, expected 0 or 2");
    luaL_buffinit(L, &b);
    add_escaped(&b, (const char *) text.data, text.len, (ngx_uint_t) type);
    luaL_pushresult(&b);
    return 1;
}


static int
unescape_uri(lua_State *L)
{
    const ngx_str_t text = resolua_text_any(L, 1);
    push_unescaped(L, text.data, text.len);
    return 1;
}


void
resolua_args_setup(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"encode_args", encode_args},
        {"decode_args", decode_args},
        {"escape_uri", escape_uri},
        {"unescape_uri", unescape_uri},
        {NULL, NULL},
    };
    luaL_register(L, NULL, functions);
}
