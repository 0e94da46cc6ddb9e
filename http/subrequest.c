/* ngx.location.capture and capture_multi: options into a subrequest. */

#include "http/private/api.h"
#include "http/private/capture.h"


/* The option of that name on top of the stack; options 0: none are given. */
static int
push_option(lua_State *L, int options, const char *name)
{
    if (options == 0) {
        lua_pushnil(L);
    } else {
        lua_getfield(L, options, name);
    }
    return lua_type(L, -1);
}


static int
is_set(lua_State *L, int options, const char *name)
{
    (void) push_option(L, options, name);
    const int value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}


static ngx_uint_t
check_method(lua_State *L, int options)
{
    ngx_uint_t method = NGX_HTTP_GET;
    const int type = push_option(L, options, "method");
    if (type == LUA_TNUMBER) {
        method = (ngx_uint_t) lua_tointeger(L, -1);
    } else if (type != LUA_TNIL) {
        luaL_error(L, "Bad http request method");
    }
    lua_pop(L, 1);
    return method;
}


/* The text at index as a location to ask, with what args adds. */
static void
check_target(lua_State *L, ngx_http_request_t *r, int index, int options,
             ngx_str_t *uri, ngx_str_t *args)
{
    ngx_uint_t flags = 0;
    const char *text = luaL_checklstring(L, index, &uri->len);
    uri->data = http_lua_copy(L, r, text, uri->len);
    ngx_str_null(args);
    if (ngx_http_parse_unsafe_uri(r, uri, args, &flags) != NGX_OK) {
        luaL_error(L, "unsafe uri in argument #1: %s", text);
    }
    const int type = push_option(L, options, "args");
    if (type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TTABLE) {
        http_args_join(L, r, args, lua_gettop(L));
    } else if (type != LUA_TNIL) {
        luaL_error(L, "Bad args option value");
    }
    if (http_args_escape(r, args) != NGX_OK) {
        luaL_error(L, "no memory");
    }
    lua_pop(L, 1);
}


/* A body that nginx has whole. */
static int
has_body(const ngx_http_request_t *r)
{
    return r->request_body != NULL && r->request_body->rest <= 0 &&
           !r->reading_body;
}


/* The body option; else POST and PUT go on with the body of the request. */
static void
set_body(lua_State *L, ngx_http_request_t *sr, int options)
{
    ngx_int_t rc = NGX_OK;
    const int writes =
        sr->method == NGX_HTTP_POST || sr->method == NGX_HTTP_PUT;
    const int forwards = writes || is_set(L, options, "always_forward_body");
    const int type = push_option(L, options, "body");
    if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        ngx_str_t body;
        const char *text = lua_tolstring(L, -1, &body.len);
        body.data = http_lua_copy(L, sr, text, body.len);
        rc = http_req_set_body(sr, &body);
    } else if (type != LUA_TNIL) {
        luaL_error(L, "Bad http request body");
    } else if (forwards && has_body(sr->parent)) {
        if (sr->headers_in.content_length == NULL) { /* it came in chunks */
            rc = http_req_set_length(sr, sr->headers_in.content_length_n);
        }
    } else {
        /* Empty, and read: modules wait for a body that they do not see. */
        sr->request_body = ngx_pcalloc(sr->pool, sizeof(*sr->request_body));
        rc = sr->request_body != NULL ? NGX_OK : NGX_ERROR;
        if (rc == NGX_OK && (sr->headers_in.content_length != NULL ||
                             sr->headers_in.transfer_encoding != NULL)) {
            rc = http_req_set_length(sr, -1);
        }
    }
    lua_pop(L, 1);
    if (rc != NGX_OK) {
        luaL_error(L, "no memory");
    }
}


/* Variables are the subrequest's own, unless it shares the request's. */
static void
set_variables(lua_State *L, ngx_http_request_t *sr, int options)
{
    const ngx_http_core_main_conf_t *cmcf =
        ngx_http_get_module_main_conf(sr, ngx_http_core_module);
    const size_t size =
        cmcf->variables.nelts * sizeof(ngx_http_variable_value_t);
    if (!is_set(L, options, "share_all_vars")) {
        sr->variables = ngx_pcalloc(sr->pool, size);
        if (sr->variables == NULL) {
            luaL_error(L, "no memory");
            return;
        }
        if (is_set(L, options, "copy_all_vars")) {
            ngx_memcpy(sr->variables, sr->parent->variables, size);
        }
    }
    const int type = push_option(L, options, "vars");
    const int vars = lua_gettop(L);
    if (type != LUA_TNIL && type != LUA_TTABLE) {
        luaL_error(L, "Bad vars option value");
    }
    lua_pushnil(L);
    while (type == LUA_TTABLE && lua_next(L, vars) != 0) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            luaL_error(L, "attempt to use a non-string key in the \"vars\" "
                          "option table");
        }
        if (!lua_isstring(L, -1)) {
            luaL_error(L, "attempt to use bad variable value type %s",
                       luaL_typename(L, -1));
        }
        http_var_assign(L, sr, vars + 1, vars + 2);
        lua_settop(L, vars + 1);
    }
    lua_settop(L, vars - 1);
}


/* ngx.ctx of the subrequest, where the option names one. */
static void
set_ctx(lua_State *L, ngx_http_request_t *sr, int options)
{
    const int type = push_option(L, options, "ctx");
    if (type == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    if (type != LUA_TTABLE) {
        luaL_error(L, "Bad ctx option value type %s, expected a Lua table",
                   lua_typename(L, type));
    }
    http_ctx_t *ctx = http_ctx(sr);
    if (ctx == NULL) {
        luaL_error(L, "no memory");
        return;
    }
    ctx->base.ctx_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}


/* Starts the subrequest for the URI and the options at two indices. */
static void
start(lua_State *L, http_capture_t *capture, int uri_index, int options)
{
    ngx_http_request_t *r = capture->group->ctx->request;
    ngx_str_t uri;
    ngx_str_t args;
    if (lua_isnoneornil(L, options)) {
        options = 0;
    } else if (!lua_istable(L, options)) {
        luaL_error(L,
                   "expecting table as the 2nd argument for subrequest %d, "
                   "but got %s",
                   (int) (capture - capture->group->captures),
                   luaL_typename(L, options));
    }
    check_target(L, r, uri_index, options, &uri, &args);
    const ngx_uint_t method = check_method(L, options);
    const ngx_int_t rc = http_capture_start(capture, &uri, &args);
    if (rc != NGX_OK) {
        luaL_error(L, "failed to issue subrequest: %d", (int) rc);
    }
    ngx_http_request_t *sr = capture->request;
    if (http_req_set_method(sr, method) != NGX_OK) {
        luaL_error(L, "unsupported HTTP method: %d", (int) method);
    }
    set_body(L, sr, options);
    set_variables(L, sr, options);
    set_ctx(L, sr, options);
}


static http_captures_t *
new_group(lua_State *L, size_t count)
{
    http_ctx_t *ctx = http_lua_ctx(L, HTTP_RESPONDING);
    (void) resolua_thread_checked(L);
    http_captures_t *group = http_captures_new(ctx, count);
    if (group == NULL) {
        luaL_error(L, "no memory");
    }
    return group;
}


/* ngx.location.capture(uri, options?) */
static int
capture(lua_State *L)
{
    const int count = lua_gettop(L);
    if (count != 1 && count != 2) {
        return luaL_error(L, "expecting one or two arguments");
    }
    lua_settop(L, 2);
    http_captures_t *group = new_group(L, 1);
    start(L, &group->captures[0], 1, 2);
    return http_captures_wait(L, group);
}


/* The subrequest that the entry i of the array at 1 asks for. */
static void
start_entry(lua_State *L, http_captures_t *group, int i)
{
    enum { ENTRY = 2, URI, OPTIONS };
    lua_rawgeti(L, 1, i + 1);
    if (!lua_istable(L, ENTRY)) {
        luaL_error(L, "the query argument %d is not a table, but a %s", i,
                   luaL_typename(L, ENTRY));
    }
    const size_t count = lua_objlen(L, ENTRY);
    if (count != 1 && count != 2) {
        luaL_error(L, "query argument %d expecting one or two arguments", i);
    }
    lua_rawgeti(L, ENTRY, 1);
    lua_rawgeti(L, ENTRY, 2);
    start(L, &group->captures[i], URI, OPTIONS);
    lua_settop(L, 1);
}


/* ngx.location.capture_multi({{uri, options?}, ...}) */
static int
capture_multi(lua_State *L)
{
    if (lua_gettop(L) != 1) {
        return luaL_error(L, "only one argument is expected, but got %d",
                          lua_gettop(L));
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    const size_t count = lua_objlen(L, 1);
    if (count == 0) {
        return luaL_error(L, "at least one subrequest should be specified");
    }
    http_captures_t *group = new_group(L, count);
    for (size_t i = 0; i < count; i++) {
        start_entry(L, group, (int) i);
    }
    return http_captures_wait(L, group);
}


void
http_subrequest_setup(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"capture", capture},
        {"capture_multi", capture_multi},
        {NULL, NULL},
    };
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    lua_setfield(L, -2, "location");
}
