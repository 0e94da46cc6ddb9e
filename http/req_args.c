/* ngx.req: the URI and its arguments. */

#include "http/private/api.h"
#include "http/private/headers.h"
#include "runtime/args.h"


/* Arguments of the function: max?, table?. */
static int
decode_into_table(lua_State *L, const u_char *text, size_t size, int max_arg)
{
    const lua_Integer max = luaL_optinteger(L, max_arg, RESOLUA_ARGS_MAX);
    if (lua_istable(L, max_arg + 1)) {
        lua_settop(L, max_arg + 1);
    } else {
        lua_newtable(L);
    }
    if (resolua_args_decode_named(L, text, size, max) != NGX_OK) {
        lua_pushliteral(L, "truncated");
        return 2;
    }
    return 1;
}


static int
get_uri_args(lua_State *L)
{
    const ngx_http_request_t *r = http_lua_request(L, HTTP_ANY);
    return decode_into_table(L, r->args.data, r->args.len, 1);
}


ngx_int_t
http_args_escape(ngx_http_request_t *r, ngx_str_t *args)
{
    for (size_t i = 0; i < args->len; i++) {
        if (http_breaks_args(args->data[i])) {
            return http_escape(r->pool, args, http_breaks_args, args);
        }
    }
    return NGX_OK;
}


static int
set_uri_args(lua_State *L)
{
    ngx_http_request_t *r = http_lua_request(L, HTTP_ANY & ~RESOLUA_LOG);
    size_t size;
    if (lua_istable(L, 1)) {
        resolua_args_encode(L, 1);
    } else if (lua_type(L, 1) == LUA_TSTRING || lua_type(L, 1) == LUA_TNUMBER) {
        lua_settop(L, 1);
    } else {
        lua_pushfstring(L, "string, number, or table expected, but got %s",
                        luaL_typename(L, 1));
        return luaL_argerror(L, 1, lua_tostring(L, -1));
    }
    const char *text = lua_tolstring(L, -1, &size);
    const ngx_str_t args = {size, (u_char *) text};
    r->args = http_copy_escaped(L, r, &args, http_breaks_args);
    r->valid_unparsed_uri = 0;
    return 0;
}


static int
breaks_line(u_char octet)
{
    return octet < ' ' || octet == 0x7F;
}


/* The URI with what breaks a line as \xXX. */
static void
push_shown(lua_State *L, const char *uri, size_t size)
{
    static const char hex[] = "0123456789ABCDEF";
    luaL_Buffer shown;
    luaL_buffinit(L, &shown);
    for (size_t i = 0; i < size; i++) {
        const u_char octet = (u_char) uri[i];
        if (!breaks_line(octet)) {
            luaL_addchar(&shown, uri[i]);
        } else {
            const char escaped[] = {'\\', 'x', hex[octet >> 4],
                                    hex[octet & 15]};
            luaL_addlstring(&shown, escaped, sizeof(escaped));
        }
    }
    luaL_pushresult(&shown);
}


int
http_uri_push_unsafe(lua_State *L, const char *uri, size_t size,
                     const char *what)
{
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;
    while (at < size && !breaks_line((u_char) uri[at])) {
        at++;
    }
    if (at == size) {
        return 0;
    }
    lua_pushfstring(L, "unsafe byte \"0x%c%c\" in %s \"",
                    hex[(u_char) uri[at] >> 4], hex[(u_char) uri[at] & 15],
                    what);
    push_shown(L, uri, size);
    lua_pushliteral(L, "\"");
    lua_concat(L, 3);
    return 1;
}


/* ngx.req.set_uri(uri, jump?, binary?) */
static int
set_uri(lua_State *L)
{
    http_ctx_t *ctx = http_lua_ctx(L, HTTP_ANY & ~RESOLUA_LOG);
    ngx_http_request_t *r = ctx->request;
    size_t size;
    const char *uri = luaL_checklstring(L, 1, &size);
    const int jump = lua_toboolean(L, 2);
    if (size == 0) {
        return luaL_error(L, "attempt to use zero-length uri");
    }
    if (!lua_toboolean(L, 3) && http_uri_push_unsafe(L, uri, size, "uri")) {
        return luaL_error(L,
                          "%s (maybe you want to set the 'binary' argument?)",
                          lua_tostring(L, -1));
    }
    if (jump &&
        (ctx->base.phase & (RESOLUA_REWRITE | RESOLUA_SERVER_REWRITE)) == 0) {
        return luaL_error(L, "API disabled in the context of %s_by_lua*",
                          resolua_phase_name(ctx->base.phase));
    }
    if (jump) {
        resolua_run_check_exit(L, NGX_OK);
    }
    r->uri.data = http_lua_copy(L, r, uri, size);
    r->uri.len = size;
    r->internal = 1;
    r->valid_unparsed_uri = 0;
    r->uri_changed = jump != 0;
    ngx_http_set_exten(r);
    return jump ? resolua_run_exit(L, NGX_OK) : 0;
}


void
http_args_join(lua_State *L, ngx_http_request_t *r, ngx_str_t *args, int index)
{
    size_t size;
    if (lua_istable(L, index)) {
        resolua_args_encode(L, index);
    } else {
        (void) luaL_checkstring(L, index);
        lua_pushvalue(L, index);
    }
    const char *text = lua_tolstring(L, -1, &size);
    if (size > 0) {
        u_char *joined = ngx_pnalloc(r->pool, args->len + 1 + size);
        if (joined == NULL) {
            luaL_error(L, "no memory");
        }
        u_char *end = joined;
        if (args->len > 0) {
            end = ngx_cpymem(end, args->data, args->len);
            *end++ = '&';
        }
        args->data = joined;
        args->len = (size_t) (ngx_cpymem(end, text, size) - joined);
    }
    lua_pop(L, 1);
}


static int
get_post_args(lua_State *L)
{
    const ngx_http_request_t *r =
        http_lua_request(L, HTTP_RESPONDING | HTTP_FILTERING | RESOLUA_LOG);
    if (r->discard_body) {
        lua_newtable(L);
        return 1;
    }
    if (r->request_body == NULL) {
        return luaL_error(L, "no request body found; maybe you should turn on "
                             "lua_need_request_body?");
    }
    if (r->request_body->temp_file != NULL) {
        lua_pushnil(L);
        lua_pushliteral(L, "request body in temp file not supported");
        return 2;
    }
    lua_settop(L, 2);
    http_body_push(L, r, 0);
    size_t size;
    const char *text = lua_tolstring(L, 3, &size);
    const lua_Integer max = luaL_optinteger(L, 1, RESOLUA_ARGS_MAX);
    lua_newtable(L);
    if (text != NULL &&
        resolua_args_decode(L, (const u_char *) text, size, max) != NGX_OK) {
        lua_pushliteral(L, "truncated");
        return 2;
    }
    return 1;
}


void
http_args_setup(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"get_uri_args", get_uri_args},
        {"set_uri_args", set_uri_args},
        {"set_uri", set_uri},
        {"get_post_args", get_post_args},
        {NULL, NULL},
    };
    luaL_register(L, NULL, functions);
}
