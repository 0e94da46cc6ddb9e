/* require "resolua.response": what lua/ngx/resp.lua cannot say otherwise. */

#include "http/private/api.h"
#include "http/private/headers.h"


/* set_status(status, reason) */
static int
set_status(lua_State *L)
{
    ngx_http_request_t *r =
        http_lua_request(L, HTTP_ANY & ~(ngx_uint_t) RESOLUA_LOG);
    const lua_Integer status = luaL_checkinteger(L, 1);
    size_t size;
    const char *reason = luaL_checklstring(L, 2, &size);
    luaL_argcheck(L, status >= 100 && status <= 999, 1, "no status");
    if (r->header_sent) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "attempt to set status %i after sending out response "
                      "headers",
                      (ngx_int_t) status);
        return 0;
    }
    const ngx_str_t given = {size, (u_char *) reason};
    const ngx_str_t text = http_copy_escaped(L, r, &given, http_breaks_value);
    const size_t room = sizeof("999 ") - 1 + text.len;
    u_char *line = ngx_pnalloc(r->pool, room);
    if (line == NULL) {
        return luaL_error(L, "no memory");
    }
    (void) ngx_snprintf(line, room, "%03i %V", (ngx_int_t) status, &text);
    r->headers_out.status = (ngx_uint_t) status;
    r->headers_out.status_line.data = line;
    r->headers_out.status_line.len = room;
    r->err_status = 0;
    return 0;
}


static int
bypass_if_checks(lua_State *L)
{
    http_lua_request(L, HTTP_ANY)->disable_not_modified = 1;
    return 0;
}


static int
open_response(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"set_status", set_status},
        {"bypass_if_checks", bypass_if_checks},
        {NULL, NULL},
    };
    lua_createtable(L, 0, 2);
    luaL_register(L, NULL, functions);
    return 1;
}


void
http_response_setup(lua_State *L)
{
    resolua_vm_preload(L, "resolua.response", open_response);
}
