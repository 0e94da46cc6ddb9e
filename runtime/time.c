/* The clock: nginx's cached time unless the name says otherwise. */

#include "runtime/private/api.h"

static int
time_now(lua_State *L)
{
    const ngx_time_t *t = ngx_timeofday();
    lua_pushnumber(L, (lua_Number) t->sec + (lua_Number) t->msec / 1000.0);
    return 1;
}


static int
time_seconds(lua_State *L)
{
    lua_pushnumber(L, (lua_Number) ngx_time());
    return 1;
}


static int
time_update(lua_State *L)
{
    (void) L;
    ngx_time_update();
    return 0;
}


static int
push_date(lua_State *L, const ngx_tm_t *tm, int with_time)
{
    u_char text[sizeof("9999-12-31 23:59:59")];
    const u_char *end =
        with_time
            ? ngx_snprintf(text, sizeof(text), "%04d-%02d-%02d %02d:%02d:%02d",
                           tm->ngx_tm_year, tm->ngx_tm_mon, tm->ngx_tm_mday,
                           tm->ngx_tm_hour, tm->ngx_tm_min, tm->ngx_tm_sec)
            : ngx_snprintf(text, sizeof(text), "%04d-%02d-%02d",
                           tm->ngx_tm_year, tm->ngx_tm_mon, tm->ngx_tm_mday);
    lua_pushlstring(L, (char *) text, (size_t) (end - text));
    return 1;
}


static int
time_local(lua_State *L)
{
    ngx_tm_t tm;
    ngx_gmtime(ngx_time() + ngx_cached_time->gmtoff * 60, &tm);
    return push_date(L, &tm, 1);
}


static int
time_utc(lua_State *L)
{
    ngx_tm_t tm;
    ngx_gmtime(ngx_time(), &tm);
    return push_date(L, &tm, 1);
}


static int
time_today(lua_State *L)
{
    ngx_tm_t tm;
    ngx_gmtime(ngx_time() + ngx_cached_time->gmtoff * 60, &tm);
    return push_date(L, &tm, 0);
}


static time_t
check_seconds(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TNUMBER) {
        luaL_error(L, "number argument only");
    }
    return (time_t) lua_tonumber(L, 1);
}


static int
time_http(lua_State *L)
{
    u_char text[sizeof("Mon, 28 Sep 1970 06:00:00 GMT")];
    const u_char *end = ngx_http_time(text, check_seconds(L));
    lua_pushlstring(L, (char *) text, (size_t) (end - text));
    return 1;
}


static int
time_cookie(lua_State *L)
{
    u_char text[sizeof("Mon, 28-Sep-1970 06:00:00 GMT")];
    const u_char *end = ngx_http_cookie_time(text, check_seconds(L));
    lua_pushlstring(L, (char *) text, (size_t) (end - text));
    return 1;
}


static int
time_parse_http(lua_State *L)
{
    size_t size;
    if (lua_type(L, 1) != LUA_TSTRING) {
        return luaL_error(L, "string argument only");
    }
    const char *text = lua_tolstring(L, 1, &size);
    const time_t t = ngx_parse_http_time((u_char *) text, size);
    if (t == (time_t) NGX_ERROR) {
        lua_pushnil(L);
    } else {
        lua_pushnumber(L, (lua_Number) t);
    }
    return 1;
}


void
resolua_time_setup(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"now", time_now},
        {"time", time_seconds},
        {"update_time", time_update},
        {"localtime", time_local},
        {"utctime", time_utc},
        {"today", time_today},
        {"http_time", time_http},
        {"cookie_time", time_cookie},
        {"parse_http_time", time_parse_http},
        {NULL, NULL},
    };
    luaL_register(L, NULL, functions);
}
