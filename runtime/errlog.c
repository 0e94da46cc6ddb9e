#include "runtime/errlog.h"

#include "runtime/private/api.h"
#include "runtime/vm.h"

/* A line in the buffer, its text behind it; size is that of both, rounded up so
   that the next stands right. */
typedef struct {
    size_t size;
    size_t text_size;
    ngx_uint_t level;
    double time; /* s */
} line_t;

typedef struct {
    u_char *octets; /* oldest line first */
    size_t room;
    size_t used;
    ngx_uint_t level;  /* lines above it are not kept */
    ngx_atomic_t lock; /* threads of a pool log too */
} lines_t;

static lines_t *lines; /* of the running cycle; NULL: none are kept */


/* Lets go of the oldest lines until size octets are free. */
static void
make_room(lines_t *l, size_t size)
{
    size_t gone = 0;
    while (l->room - (l->used - gone) < size) {
        gone += ((const line_t *) (l->octets + gone))->size;
    }
    l->used -= gone;
    ngx_memmove(l->octets, l->octets + gone, l->used);
}


/* An ngx_log_t's writer. */
static void
keep(ngx_log_t *log, ngx_uint_t level, u_char *text, size_t size)
{
    lines_t *l = log->wdata;
    if (level > l->level || !ngx_trylock(&l->lock)) {
        return;
    }
    while (size > 0 && text[size - 1] == '\n') {
        size--;
    }
    const ngx_time_t *now = ngx_timeofday();
    const line_t line = {
        .size = ngx_align(sizeof(line) + size, sizeof(double)),
        .text_size = size,
        .level = level,
        .time = (double) now->sec + (double) now->msec / 1000.0,
    };
    if (line.size <= l->room) {
        make_room(l, line.size);
        u_char *at = l->octets + l->used;
        ngx_memcpy(at, &line, sizeof(line));
        ngx_memcpy(at + sizeof(line), text, size);
        l->used += line.size;
    }
    ngx_unlock(&l->lock);
}


static void
forget(void *data)
{
    if (lines == data) {
        lines = NULL;
    }
}


void *
resolua_errlog_current(void)
{
    return lines;
}


void
resolua_errlog_restore(void *current)
{
    lines = current;
}


ngx_int_t
resolua_errlog_init(ngx_cycle_t *cycle, size_t size)
{
    lines = NULL;
    if (size == 0) {
        return NGX_OK;
    }
    ngx_log_t *log = ngx_pcalloc(cycle->pool, sizeof(*log));
    lines_t *l = ngx_pcalloc(cycle->pool, sizeof(*l));
    u_char *octets = ngx_palloc(cycle->pool, size);
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(cycle->pool, 0);
    if (log == NULL || l == NULL || octets == NULL || cleanup == NULL) {
        return NGX_ERROR;
    }
    l->octets = octets;
    l->room = size;
    l->level = NGX_LOG_DEBUG;
    cleanup->handler = forget;
    cleanup->data = l;
    /* Behind the first, whose level is the highest: what it lets through comes
       here too. */
    log->log_level = cycle->log->log_level;
    log->writer = keep;
    log->wdata = l;
    log->next = cycle->log->next;
    cycle->log->next = log;
    lines = l;
    return NGX_OK;
}


static int
not_set(lua_State *L)
{
    lua_pushnil(L);
    lua_pushliteral(L, "directive \"lua_capture_error_log\" is not set");
    return 2;
}


/* The level at 1. */
static ngx_uint_t
check_level(lua_State *L)
{
    const lua_Integer level = luaL_checkinteger(L, 1);
    luaL_argcheck(L, level >= NGX_LOG_STDERR && level <= NGX_LOG_DEBUG, 1,
                  "bad log level");
    return (ngx_uint_t) level;
}


static int
set_filter_level(lua_State *L)
{
    const ngx_uint_t level = check_level(L);
    if (lines == NULL) {
        return not_set(L);
    }
    lines->level = level;
    lua_pushboolean(L, 1);
    return 1;
}


/* Takes the oldest lines, at most max (0: all), out of the buffer; gives the
   size of them.  to has room for all. */
static size_t
take(lines_t *l, lua_Integer max, u_char *to)
{
    size_t size = 0;
    while (!ngx_trylock(&l->lock)) { /* another thread copies a line */
        ngx_cpu_pause();
    }
    for (lua_Integer n = 0; size < l->used && (max <= 0 || n < max); n++) {
        size += ((const line_t *) (l->octets + size))->size;
    }
    ngx_memcpy(to, l->octets, size);
    l->used -= size;
    ngx_memmove(l->octets, l->octets + size, l->used);
    ngx_unlock(&l->lock);
    return size;
}


/* get_logs(max?, table?): level, time, text, level, ...; they are kept no
   longer. */
static int
get_logs(lua_State *L)
{
    const lua_Integer max = luaL_optinteger(L, 1, 0);
    if (lines == NULL) {
        return not_set(L);
    }
    lua_settop(L, 2);
    if (!lua_istable(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    u_char *taken = lua_newuserdata(L, lines->room);
    const size_t size = take(lines, max, taken);
    int n = 0;
    for (size_t at = 0; at < size;) {
        const line_t *line = (const line_t *) (taken + at);
        lua_pushinteger(L, (lua_Integer) line->level);
        lua_rawseti(L, 2, ++n);
        lua_pushnumber(L, line->time);
        lua_rawseti(L, 2, ++n);
        lua_pushlstring(L, (const char *) (line + 1), line->text_size);
        lua_rawseti(L, 2, ++n);
        at += line->size;
    }
    lua_pushnil(L);
    lua_rawseti(L, 2, n + 1);
    lua_settop(L, 2);
    return 1;
}


static ngx_log_t *
running_log(void)
{
    return resolua_running != NULL ? resolua_running->log : ngx_cycle->log;
}


static int
get_sys_filter_level(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer) (running_log()->log_level &
                                      (NGX_LOG_DEBUG_FIRST - 1)));
    return 1;
}


static int
raw_log(lua_State *L)
{
    const ngx_uint_t level = check_level(L);
    const char *text = luaL_checkstring(L, 2);
    ngx_log_error(level, running_log(), 0, "%s", text);
    return 0;
}


static int
open_errlog(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"set_filter_level", set_filter_level},
        {"get_logs", get_logs},
        {"get_sys_filter_level", get_sys_filter_level},
        {"raw_log", raw_log},
        {NULL, NULL},
    };
    lua_createtable(L, 0, 4);
    luaL_register(L, NULL, functions);
    return 1;
}


void
resolua_errlog_setup(lua_State *L)
{
    resolua_vm_preload(L, "ngx.errlog", open_errlog);
}
