#include "runtime/text.h"

typedef struct {
    int arg; /* for messages */
    int depth;
} place_t;


ngx_str_t
resolua_text_any(lua_State *L, int arg)
{
    ngx_str_t text = ngx_null_string;
    if (lua_isnoneornil(L, arg)) {
        return text;
    }
    if (!lua_isstring(L, arg)) {
        lua_getglobal(L, "tostring");
        lua_pushvalue(L, arg);
        lua_call(L, 1, 1);
        lua_replace(L, arg);
    }
    text.data = (u_char *) luaL_checklstring(L, arg, &text.len);
    return text;
}


static void
fail(lua_State *L, place_t place, const char *kind)
{
    if (place.depth > 0) {
        lua_pushfstring(L, "bad data type %s found", kind);
        luaL_argerror(L, place.arg, lua_tostring(L, -1));
    }
    lua_pushfstring(L,
                    "string, number, boolean, nil, ngx.null, or array table "
                    "expected, but got %s",
                    kind);
    luaL_argerror(L, place.arg, lua_tostring(L, -1));
}


/* The length of an array; raises an error when the table is none. */
static size_t
array_length(lua_State *L, int table, int arg)
{
    lua_Number last = 0;
    lua_pushnil(L);
    while (lua_next(L, table) != 0) {
        lua_pop(L, 1);
        const lua_Number key =
            lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
        if (key < 1 || key != (lua_Number) (lua_Integer) key) {
            luaL_argerror(L, arg, "non-array table found");
        }
        last = key > last ? key : last;
    }
    return (size_t) last;
}


static size_t value_size(lua_State *L, int index, place_t place);


static size_t
table_size(lua_State *L, int table, place_t place)
{
    if (place.depth++ == RESOLUA_TEXT_DEPTH_MAX) {
        luaL_argerror(L, place.arg, "tables nested too deep");
    }
    luaL_checkstack(L, 4, "tables nested too deep");
    const size_t count = array_length(L, table, place.arg);
    size_t size = 0;
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, table, (int) i);
        size += value_size(L, lua_gettop(L), place);
        lua_pop(L, 1);
    }
    return size;
}


static size_t
value_size(lua_State *L, int index, place_t place)
{
    size_t size;
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
    case LUA_TNUMBER:
        (void) lua_tolstring(L, index, &size);
        return size;
    case LUA_TNIL:
        return sizeof("nil") - 1;
    case LUA_TBOOLEAN:
        return lua_toboolean(L, index) ? sizeof("true") - 1
                                       : sizeof("false") - 1;
    case LUA_TTABLE:
        return table_size(L, index, place);
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, index) == NULL) {
            return sizeof("null") - 1;
        }
    }
    fail(L, place, luaL_typename(L, index));
    return 0;
}


size_t
resolua_text_size(lua_State *L, int arg)
{
    return value_size(L, arg, (place_t){.arg = arg});
}


static u_char *
table_copy(lua_State *L, int table, u_char *to)
{
    const size_t count = array_length(L, table, table);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, table, (int) i);
        to = resolua_text_copy(L, lua_gettop(L), to);
        lua_pop(L, 1);
    }
    return to;
}


u_char *
resolua_text_copy(lua_State *L, int arg, u_char *to)
{
    size_t size;
    const char *text;
    switch (lua_type(L, arg)) {
    case LUA_TSTRING:
    case LUA_TNUMBER:
        text = lua_tolstring(L, arg, &size);
        return ngx_cpymem(to, text, size);
    case LUA_TNIL:
        return ngx_cpymem(to, "nil", sizeof("nil") - 1);
    case LUA_TBOOLEAN:
        return lua_toboolean(L, arg)
                   ? ngx_cpymem(to, "true", sizeof("true") - 1)
                   : ngx_cpymem(to, "false", sizeof("false") - 1);
    case LUA_TTABLE:
        return table_copy(L, arg, to);
    default:
        return ngx_cpymem(to, "null", sizeof("null") - 1);
    }
}
