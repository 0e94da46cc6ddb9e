#include "http/private/arg.h"

#include "http/private/api.h"

enum { TEXT = 1, LAST };

static http_arg_t *current;
static const char text_key; /* its address: where the registry keeps [1] */


/* What came, as one string. */
static void
push_chain(lua_State *L, const ngx_chain_t *in)
{
    luaL_Buffer text;
    if (in != NULL && in->next == NULL && ngx_buf_in_memory(in->buf)) {
        const ngx_buf_t *b = in->buf;
        lua_pushlstring(L, (const char *) b->pos, (size_t) (b->last - b->pos));
        return;
    }
    luaL_buffinit(L, &text);
    for (; in != NULL; in = in->next) {
        const ngx_buf_t *b = in->buf;
        if (ngx_buf_in_memory(b)) {
            luaL_addlstring(&text, (const char *) b->pos,
                            (size_t) (b->last - b->pos));
        }
    }
    luaL_pushresult(&text);
}


/* Takes the value on top. */
static void
keep_text(lua_State *L, http_arg_t *arg)
{
    lua_pushlightuserdata(L, (void *) &text_key);
    lua_insert(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
    arg->is_kept = 1;
}


void
http_arg_push_text(lua_State *L, http_arg_t *arg)
{
    if (!arg->is_kept) {
        push_chain(L, arg->in);
        lua_pushvalue(L, -1);
        keep_text(L, arg);
        return;
    }
    lua_pushlightuserdata(L, (void *) &text_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
}


http_arg_t *
http_arg_enter(http_arg_t *arg)
{
    http_arg_t *before = current;
    current = arg;
    return before;
}


void
http_arg_leave(http_arg_t *before)
{
    if (current->is_kept) {
        lua_pushnil(resolua_vm);
        keep_text(resolua_vm, current);
    }
    current = before;
}


static int
push_value(lua_State *L, const http_arg_t *arg, lua_Integer n)
{
    if (n < 1 || n > (lua_Integer) arg->count) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, (const char *) arg->values[n - 1].data,
                        arg->values[n - 1].len);
    }
    return 1;
}


/* (ngx.arg, index) */
static int
arg_get(lua_State *L)
{
    const ngx_uint_t phase =
        resolua_check_phase(L, RESOLUA_SET | RESOLUA_BODY_FILTER);
    const lua_Integer n = lua_tointeger(L, 2);
    if (phase == RESOLUA_SET) {
        return push_value(L, current, n);
    }
    if (n == TEXT) {
        http_arg_push_text(L, current);
    } else if (n == LAST) {
        lua_pushboolean(L, current->last);
    } else {
        lua_pushnil(L);
    }
    return 1;
}


/* (ngx.arg, index, value) */
static int
arg_set(lua_State *L)
{
    (void) resolua_check_phase(L, RESOLUA_BODY_FILTER);
    const lua_Integer n = lua_tointeger(L, 2);
    if (n != TEXT && n != LAST) {
        return luaL_error(L, "bad index for ngx.arg: 1 or 2 expected");
    }
    lua_settop(L, 3);
    if (n == TEXT) {
        keep_text(L, current);
        current->is_replaced = 1;
    } else {
        current->last = lua_toboolean(L, 3) ? 1 : 0;
        current->last_is_set = 1;
    }
    return 0;
}


void
http_arg_setup(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__index", arg_get},
        {"__newindex", arg_set},
        {NULL, NULL},
    };
    lua_newtable(L);
    lua_newtable(L);
    luaL_register(L, NULL, meta);
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "arg");
}
