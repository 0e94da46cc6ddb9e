/* ngx.req: the request line and what nginx knows of the request; the fields of
   ngx that change with it. */

#include "http/private/api.h"

static const struct {
    const char *name;
    size_t size;
    ngx_uint_t id;
} methods[] = {
#define METHOD(name)                                                           \
    {                                                                          \
#name, sizeof(#name) - 1, NGX_HTTP_##name                              \
    }
    METHOD(GET),     METHOD(HEAD),     METHOD(POST),      METHOD(PUT),
    METHOD(DELETE),  METHOD(MKCOL),    METHOD(COPY),      METHOD(MOVE),
    METHOD(OPTIONS), METHOD(PROPFIND), METHOD(PROPPATCH), METHOD(LOCK),
    METHOD(UNLOCK),  METHOD(PATCH),    METHOD(TRACE),
#undef METHOD
};


ngx_int_t
http_req_set_method(ngx_http_request_t *r, ngx_uint_t id)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (methods[i].id == id) {
            r->method = id;
            r->method_name.data = (u_char *) methods[i].name;
            r->method_name.len = methods[i].size;
            return NGX_OK;
        }
    }
    return NGX_DECLINED;
}


static int
get_method(lua_State *L)
{
    const ngx_http_request_t *r = http_lua_request(L, HTTP_ANY);
    lua_pushlstring(L, (const char *) r->method_name.data, r->method_name.len);
    return 1;
}


static int
set_method(lua_State *L)
{
    ngx_http_request_t *r = http_lua_request(L, HTTP_ANY & ~RESOLUA_LOG);
    if (!lua_isnumber(L, 1)) {
        return luaL_error(L, "bad method number");
    }
    const lua_Integer id = lua_tointeger(L, 1);
    if (http_req_set_method(r, (ngx_uint_t) id) != NGX_OK) {
        return luaL_error(L, "unsupported HTTP method: %d", (int) id);
    }
    return 0;
}


static int
http_version(lua_State *L)
{
    const ngx_http_request_t *r = http_lua_request(L, HTTP_ANY);
    switch (r->http_version) {
    case NGX_HTTP_VERSION_9:
        lua_pushnumber(L, 0.9);
        break;
    case NGX_HTTP_VERSION_10:
        lua_pushnumber(L, 1.0);
        break;
    case NGX_HTTP_VERSION_11:
        lua_pushnumber(L, 1.1);
        break;
    case NGX_HTTP_VERSION_20:
        lua_pushnumber(L, 2.0);
        break;
    default:
        lua_pushnil(L);
    }
    return 1;
}


static int
start_time(lua_State *L)
{
    const ngx_http_request_t *r = http_lua_request(L, HTTP_ANY);
    lua_pushnumber(L, (lua_Number) r->start_sec +
                          (lua_Number) r->start_msec / 1000.0);
    return 1;
}


static int
is_internal(lua_State *L)
{
    lua_pushboolean(L, http_lua_request(L, HTTP_ANY)->internal);
    return 1;
}


/* The fields of ngx that follow the running request. */
int
http_field_get(lua_State *L)
{
    const char *name = lua_tostring(L, 2);
    const ngx_http_request_t *r =
        ((http_ctx_t *) resolua_request(L)->data)->request;
    if (ngx_strcmp(name, "status") == 0) {
        lua_pushinteger(L, r->err_status != 0
                               ? (lua_Integer) r->err_status
                               : (lua_Integer) r->headers_out.status);
    } else if (ngx_strcmp(name, "headers_sent") == 0) {
        lua_pushboolean(L, r->header_sent);
    } else if (ngx_strcmp(name, "is_subrequest") == 0) {
        lua_pushboolean(L, r != r->main);
    } else {
        return 0;
    }
    return 1;
}


static void
set_status(lua_State *L, ngx_http_request_t *r)
{
    const lua_Integer status = luaL_checkinteger(L, 3);
    if (r->header_sent) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "attempt to set ngx.status after sending out response "
                      "headers");
        return;
    }
    r->err_status = 0;
    r->headers_out.status = (ngx_uint_t) status;
    ngx_str_null(&r->headers_out.status_line);
    if (status == NGX_HTTP_SWITCHING_PROTOCOLS) {
        ngx_str_set(&r->headers_out.status_line, "101 Switching Protocols");
    }
}


int
http_field_set(lua_State *L)
{
    const char *name = lua_tostring(L, 2);
    if (ngx_strcmp(name, "status") == 0) {
        set_status(L, http_lua_request(L, HTTP_ANY));
    } else {
        lua_rawset(L, 1);
    }
    return 0;
}


void
http_req_setup(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"get_method", get_method},     {"set_method", set_method},
        {"http_version", http_version}, {"start_time", start_time},
        {"is_internal", is_internal},   {NULL, NULL},
    };
    luaL_register(L, NULL, functions);
}
