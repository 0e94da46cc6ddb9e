/* ngx.re: match, find, gmatch, sub and gsub on PCRE2.  regex_sub.c substitutes.
 */


#include "runtime/private/regex.h"

#include "runtime/private/api.h"
#include "runtime/text.h"

enum {
    CACHE_MAX = 1024, /* compiled expressions of option "o" */
    DFA_WORKSPACE = 1000,
    GC_STEP = 4,         /* KiB */
    STACK_START = 32768, /* octets */
    COUNT_AT = 1,        /* where a cache has the number of its expressions */
};

static const char metatable[] = "resolua.regex";
static const char cache_key; /* its address is the cache's registry key */
static int cache_max = CACHE_MAX;
static pcre2_match_context *match_context; /* NULL: PCRE2's own limits */
static pcre2_match_context *stack_context; /* the same with stack, or NULL */
static pcre2_jit_stack *stack;


static int
free_regex(lua_State *L)
{
    regex_t *re = lua_touserdata(L, 1);
    if (re->data != NULL) {
        pcre2_match_data_free(re->data);
    }
    if (re->code != NULL) {
        pcre2_code_free(re->code);
    }
    return 0;
}


/* One letter of the options.  0: unknown. */
static int
read_letter(char letter, regex_t *re, uint32_t *compile)
{
    switch (letter) {
    case 'a':
        re->match_options |= PCRE2_ANCHORED;
        return 1;
    case 'd':
        re->is_dfa = 1;
        return 1;
    case 'D':
        *compile |= PCRE2_DUPNAMES;
        re->dup_names = 1;
        return 1;
    case 'i':
        *compile |= PCRE2_CASELESS;
        return 1;
    case 'j':
        re->wants_jit = 1;
        return 1;
    case 'J':
        *compile |= PCRE2_ALT_BSUX | PCRE2_MATCH_UNSET_BACKREF;
        return 1;
    case 'm':
        *compile |= PCRE2_MULTILINE;
        return 1;
    case 'o':
        re->is_cached = 1;
        return 1;
    case 's':
        *compile |= PCRE2_DOTALL;
        return 1;
    case 'u':
        *compile |= PCRE2_UTF;
        return 1;
    case 'U': /* PCRE2_NO_UTF_CHECK would read past what is no UTF-8 */
        *compile |= PCRE2_UTF | PCRE2_MATCH_INVALID_UTF;
        return 1;
    case 'x':
        *compile |= PCRE2_EXTENDED;
        return 1;
    default:
        return 0;
    }
}


static uint32_t
read_options(lua_State *L, const char *text, regex_t *re)
{
    uint32_t compile = 0;
    for (const char *at = text; *at != '\0'; at++) {
        if (!read_letter(*at, re, &compile)) {
            luaL_error(L, "unknown flag \"%c\" (flags \"%s\")", *at, text);
        }
    }
    /* DFA cannot pass over what is no UTF-8: it checks and says so. */
    return re->is_dfa ? compile & ~(uint32_t) PCRE2_MATCH_INVALID_UTF : compile;
}


/* How the expression takes its subjects: what a pattern begins with, "(*UTF)",
   counts as the options do. */
static void
note_encoding(regex_t *re, int has_jit)
{
    uint32_t all = PCRE2_UTF;
    (void) pcre2_pattern_info(re->code, PCRE2_INFO_ALLOPTIONS, &all);
    re->is_utf = (all & PCRE2_UTF) != 0;
    /* pcre2_jit_match() does not check that the subject is UTF-8. */
    re->is_plain_jit =
        has_jit && re->match_options == 0 && !re->is_dfa &&
        (all & (PCRE2_UTF | PCRE2_MATCH_INVALID_UTF)) != PCRE2_UTF;
}


static void
note_names(regex_t *re)
{
    (void) pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &re->captures);
    (void) pcre2_pattern_info(re->code, PCRE2_INFO_NAMECOUNT, &re->names);
    (void) pcre2_pattern_info(re->code, PCRE2_INFO_NAMEENTRYSIZE,
                              &re->name_size);
    (void) pcre2_pattern_info(re->code, PCRE2_INFO_NAMETABLE, &re->name_table);
}


/* Pushes nil and the reason. */
static int
push_compile_error(lua_State *L, int code, size_t at, const char *pattern)
{
    PCRE2_UCHAR text[256];
    (void) pcre2_get_error_message(code, text, sizeof(text));
    lua_pushnil(L);
    if (pattern[at] == '\0') {
        lua_pushfstring(L, "pcre2_compile() failed: %s in \"%s\"",
                        (char *) text, pattern);
    } else {
        lua_pushfstring(L, "pcre2_compile() failed: %s in \"%s\" at \"%s\"",
                        (char *) text, pattern, pattern + at);
    }
    return 2;
}


static regex_t *
compile(lua_State *L, int pattern_arg, const char *options, int *failed)
{
    size_t size;
    size_t at;
    int code;
    const char *pattern = lua_tolstring(L, pattern_arg, &size);
    regex_t *re = lua_newuserdata(L, sizeof(*re));
    ngx_memzero(re, sizeof(*re));
    luaL_getmetatable(L, metatable);
    lua_setmetatable(L, -2);
    const uint32_t flags = read_options(L, options, re);
    re->code =
        pcre2_compile((PCRE2_SPTR) pattern, size, flags, &code, &at, NULL);
    if (re->code == NULL) {
        *failed = push_compile_error(L, code, at, pattern);
        return NULL;
    }
    /* Without JIT it is only slower. */
    note_encoding(re, re->wants_jit &&
                          pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE) == 0);
    re->data = pcre2_match_data_create_from_pattern(re->code, NULL);
    if (re->data == NULL) {
        luaL_error(L, "no memory");
    }
    note_names(re);
    if (!re->is_cached) {
        /* Lua's collector does not see what PCRE2 has allocated. */
        (void) lua_gc(L, LUA_GCSTEP, GC_STEP);
    }
    return re;
}


void
resolua_regex_limits(ngx_int_t entries, ngx_int_t match_limit)
{
    cache_max =
        entries < 0 ? CACHE_MAX : (int) ngx_min(entries, NGX_MAX_INT32_VALUE);
    pcre2_match_context_free(match_context);
    match_context = match_limit > 0 ? pcre2_match_context_create(NULL) : NULL;
    if (match_context != NULL) {
        (void) pcre2_set_match_limit(match_context, (uint32_t) match_limit);
    }
}


static void
push_cache(lua_State *L)
{
    lua_pushlightuserdata(L, (void *) &cache_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushlightuserdata(L, (void *) &cache_key);
        lua_pushvalue(L, -2);
        lua_rawset(L, LUA_REGISTRYINDEX);
    }
}


/* {pattern: expression} of the options; each VM has its own. */
static void
push_cache_of(lua_State *L, const char *options)
{
    push_cache(L);
    lua_getfield(L, -1, options);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, options);
    }
    lua_remove(L, -2);
}


/* The pattern and the expression on top go into the cache below them; when as
   many have as there may be, all are forgotten. */
static void
cache(lua_State *L)
{
    push_cache(L);
    lua_rawgeti(L, -1, COUNT_AT);
    const int count = (int) lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (count >= cache_max) {
        lua_pushlightuserdata(L, (void *) &cache_key);
        lua_pushnil(L);
        lua_rawset(L, LUA_REGISTRYINDEX);
        lua_pop(L, 1);
        return;
    }
    lua_pushinteger(L, count + 1);
    lua_rawseti(L, -2, COUNT_AT);
    lua_pop(L, 1);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, -5);
}


regex_t *
regex_check(lua_State *L, int pattern_arg, int options_arg, int *failed)
{
    luaL_checkstring(L, pattern_arg);
    const char *options = luaL_optstring(L, options_arg, "");
    if (strchr(options, 'o') == NULL) {
        return compile(L, pattern_arg, options, failed);
    }
    push_cache_of(L, options);
    lua_pushvalue(L, pattern_arg);
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    regex_t *re = lua_touserdata(L, -1);
    if (re != NULL) {
        return re;
    }
    lua_pop(L, 1);
    re = compile(L, pattern_arg, options, failed);
    if (re != NULL) {
        cache(L);
    }
    return re;
}


/* One stack is for one thread. */
static pcre2_match_context *
context_here(void)
{
    return stack_context != NULL && resolua_vm_phase != RESOLUA_WORKER_THREAD
               ? stack_context
               : match_context;
}


int
regex_run(const regex_t *re, const ngx_str_t *subject, size_t from)
{
    int workspace[DFA_WORKSPACE];
    pcre2_match_context *match_context_here = context_here();
    if (re->is_plain_jit) {
        return pcre2_jit_match(re->code, subject->data, subject->len, from, 0,
                               re->data, match_context_here);
    }
    if (re->is_dfa) {
        return pcre2_dfa_match(re->code, subject->data, subject->len, from,
                               re->match_options, re->data, match_context_here,
                               workspace, DFA_WORKSPACE);
    }
    return pcre2_match(re->code, subject->data, subject->len, from,
                       re->match_options, re->data, match_context_here);
}


size_t
regex_next(const regex_t *re, const ngx_str_t *subject)
{
    const size_t *ends = pcre2_get_ovector_pointer(re->data);
    size_t at = ends[1];
    if (ends[0] != at) {
        return at;
    }
    at++;
    while (re->is_utf && at < subject->len &&
           (subject->data[at] & 0xc0) == 0x80) {
        at++;
    }
    return at;
}


int
regex_push_error(lua_State *L, int rc)
{
    PCRE2_UCHAR text[256];
    (void) pcre2_get_error_message(rc, text, sizeof(text));
    lua_pushnil(L);
    lua_pushfstring(L, "pcre2_match() failed: %s", (char *) text);
    return 2;
}


/* The text of a capture, false where it has none. */
static void
push_capture(lua_State *L, const regex_t *re, const ngx_str_t *subject,
             uint32_t n)
{
    const size_t *ends = pcre2_get_ovector_pointer(re->data);
    if (ends[2 * n] == PCRE2_UNSET) {
        lua_pushboolean(L, 0);
    } else {
        lua_pushlstring(L, (char *) subject->data + ends[2 * n],
                        ends[2 * n + 1] - ends[2 * n]);
    }
}


/* Of option "D": the captures of the name, one after another. */
static void
add_to_name(lua_State *L, const regex_t *re, const ngx_str_t *subject,
            uint32_t n, const char *name)
{
    const size_t *ends = pcre2_get_ovector_pointer(re->data);
    if (ends[2 * n] == PCRE2_UNSET) {
        return;
    }
    lua_getfield(L, -1, name);
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        lua_createtable(L, 1, 0);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, name);
    }
    push_capture(L, re, subject, n);
    lua_rawseti(L, -2, (int) lua_objlen(L, -2) + 1);
    lua_pop(L, 1);
}


static void
set_names(lua_State *L, const regex_t *re, const ngx_str_t *subject)
{
    const uint8_t *entry = re->name_table;
    for (uint32_t i = 0; i < re->names; i++, entry += re->name_size) {
        const uint32_t n = (uint32_t) (entry[0] << 8 | entry[1]);
        const char *name = (const char *) entry + 2;
        if (re->dup_names) {
            add_to_name(L, re, subject, n, name);
            continue;
        }
        lua_getfield(L, -1, name);
        const int is_set = lua_toboolean(L, -1); /* of a name used twice */
        lua_pop(L, 1);
        if (!is_set) {
            push_capture(L, re, subject, n);
            lua_setfield(L, -2, name);
        }
    }
}


void
regex_push_captures(lua_State *L, const regex_t *re, const ngx_str_t *subject,
                    int rc)
{
    if (re->is_dfa) {
        push_capture(L, re, subject, 0);
        lua_rawseti(L, -2, 0);
        return;
    }
    for (uint32_t n = 0; n <= re->captures; n++) {
        if ((int) n < rc) {
            push_capture(L, re, subject, n);
        } else {
            lua_pushboolean(L, 0);
        }
        lua_rawseti(L, -2, (int) n);
    }
    set_names(L, re, subject);
}


ngx_str_t
regex_text(lua_State *L, int arg)
{
    if (lua_isnil(L, arg)) {
        lua_pushliteral(L, "nil");
        lua_replace(L, arg);
    }
    return resolua_text_any(L, arg);
}


/* ctx.pos, from 1 on; as an offset. */
static size_t
read_position(lua_State *L, int ctx)
{
    if (lua_isnoneornil(L, ctx)) {
        return 0;
    }
    luaL_checktype(L, ctx, LUA_TTABLE);
    lua_getfield(L, ctx, "pos");
    const lua_Integer pos = lua_isnil(L, -1) ? 1 : lua_tointeger(L, -1);
    lua_pop(L, 1);
    return pos > 1 ? (size_t) pos - 1 : 0;
}


static void
write_position(lua_State *L, int ctx, const regex_t *re)
{
    if (!lua_isnoneornil(L, ctx)) {
        const size_t *ends = pcre2_get_ovector_pointer(re->data);
        lua_pushinteger(L, (lua_Integer) ends[1] + 1);
        lua_setfield(L, ctx, "pos");
    }
}


/* match(subject, regex, options?, ctx?, result?) */
static int
re_match(lua_State *L)
{
    int failed;
    lua_settop(L, 5);
    const ngx_str_t subject = regex_text(L, 1);
    const size_t from = read_position(L, 4);
    const regex_t *re = regex_check(L, 2, 3, &failed);
    if (re == NULL) {
        return failed;
    }
    if (from > subject.len) {
        lua_pushnil(L);
        return 1;
    }
    const int rc = regex_run(re, &subject, from);
    if (rc < 0) {
        return rc == PCRE2_ERROR_NOMATCH ? (lua_pushnil(L), 1)
                                         : regex_push_error(L, rc);
    }
    write_position(L, 4, re);
    if (lua_istable(L, 5)) {
        lua_pushvalue(L, 5);
    } else {
        lua_createtable(L, (int) re->captures, 1 + (int) re->names);
    }
    regex_push_captures(L, re, &subject, rc);
    return 1;
}


/* find(subject, regex, options?, ctx?, nth?) */
static int
re_find(lua_State *L)
{
    int failed;
    lua_settop(L, 5);
    const ngx_str_t subject = regex_text(L, 1);
    const size_t from = read_position(L, 4);
    const lua_Integer nth = luaL_optinteger(L, 5, 0);
    const regex_t *re = regex_check(L, 2, 3, &failed);
    if (re == NULL) { /* nil, nil, reason */
        lua_pushnil(L);
        lua_insert(L, -3);
        return failed + 1;
    }
    if (from > subject.len) {
        lua_pushnil(L);
        lua_pushnil(L);
        return 2;
    }
    const int rc = regex_run(re, &subject, from);
    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) {
        lua_pushnil(L);
        return 1 + regex_push_error(L, rc);
    }
    if (nth < 0 || nth > (lua_Integer) re->captures) {
        lua_pushnil(L);
        lua_pushnil(L);
        lua_pushliteral(L, "nth out of bound");
        return 3;
    }
    const size_t *ends = pcre2_get_ovector_pointer(re->data) + 2 * nth;
    if (rc < 0 || nth >= rc || ends[0] == PCRE2_UNSET) {
        lua_pushnil(L);
        lua_pushnil(L);
        return 2;
    }
    write_position(L, 4, re);
    lua_pushinteger(L, (lua_Integer) ends[0] + 1);
    lua_pushinteger(L, (lua_Integer) ends[1]);
    return 2;
}


/* The iterator of gmatch; upvalues: subject, regex, offset or nil at the end.
 */
static int
next_match(lua_State *L)
{
    ngx_str_t subject;
    subject.data =
        (u_char *) lua_tolstring(L, lua_upvalueindex(1), &subject.len);
    const regex_t *re = lua_touserdata(L, lua_upvalueindex(2));
    if (lua_isnil(L, lua_upvalueindex(3))) {
        lua_pushnil(L);
        return 1;
    }
    const size_t from = (size_t) lua_tointeger(L, lua_upvalueindex(3));
    const int rc = from <= subject.len ? regex_run(re, &subject, from)
                                       : PCRE2_ERROR_NOMATCH;
    if (rc < 0) {
        lua_pushnil(L);
        lua_replace(L, lua_upvalueindex(3));
        return rc == PCRE2_ERROR_NOMATCH ? (lua_pushnil(L), 1)
                                         : regex_push_error(L, rc);
    }
    lua_pushinteger(L, (lua_Integer) regex_next(re, &subject));
    lua_replace(L, lua_upvalueindex(3));
    lua_createtable(L, (int) re->captures, 1 + (int) re->names);
    regex_push_captures(L, re, &subject, rc);
    return 1;
}


static int
re_gmatch(lua_State *L)
{
    int failed;
    lua_settop(L, 3);
    (void) regex_text(L, 1);
    if (regex_check(L, 2, 3, &failed) == NULL) {
        return failed;
    }
    lua_pushvalue(L, 1);
    lua_insert(L, -2);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_match, 3);
    return 1;
}


/* The names of an expression: {{name, number}, ...} */
static void
push_names(lua_State *L, const regex_t *re)
{
    const uint8_t *entry = re->name_table;
    lua_createtable(L, (int) re->names, 0);
    for (uint32_t i = 0; i < re->names; i++, entry += re->name_size) {
        lua_createtable(L, 2, 0);
        lua_pushstring(L, (const char *) entry + 2);
        lua_rawseti(L, -2, 1);
        lua_pushinteger(L, entry[0] << 8 | entry[1]);
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, (int) i + 1);
    }
}


/* compile(pattern, options): the expression, its address, how many captures it
   has and their names; or nil */
static int
compile_for_lua(lua_State *L)
{
    int failed;
    luaL_checkstring(L, 1);
    regex_t *re = compile(L, 1, luaL_checkstring(L, 2), &failed);
    if (re == NULL) {
        return 0;
    }
    lua_pushlightuserdata(L, re);
    lua_pushinteger(L, (lua_Integer) re->captures);
    push_names(L, re);
    return 4;
}


static int
get_cache_max(lua_State *L)
{
    lua_pushinteger(L, cache_max);
    return 1;
}


/* set_stack(octets) */
static int
set_stack(lua_State *L)
{
    const size_t size = (size_t) luaL_checkinteger(L, 1);
    if (resolua_vm_phase == RESOLUA_WORKER_THREAD) {
        return luaL_error(L, "not on a worker thread");
    }
    pcre2_jit_stack *larger = pcre2_jit_stack_create(STACK_START, size, NULL);
    pcre2_match_context *context = match_context != NULL
                                       ? pcre2_match_context_copy(match_context)
                                       : pcre2_match_context_create(NULL);
    if (larger == NULL || context == NULL) {
        return luaL_error(L, "no memory");
    }
    pcre2_jit_stack_assign(context, NULL, larger);
    pcre2_match_context_free(stack_context);
    pcre2_jit_stack_free(stack);
    stack_context = context;
    stack = larger;
    return 0;
}


/* For lua/resolua/regex.lua and lua/ngx/re.lua. */
static int
open_compile(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"compile", compile_for_lua},
        {"cache_max", get_cache_max},
        {"set_stack", set_stack},
        {NULL, NULL},
    };
    lua_createtable(L, 0, 3);
    luaL_register(L, NULL, functions);
    return 1;
}


void
resolua_regex_setup(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"match", re_match}, {"find", re_find},    {"gmatch", re_gmatch},
        {"sub", regex_sub},  {"gsub", regex_gsub}, {NULL, NULL},
    };
    luaL_newmetatable(L, metatable);
    lua_pushcfunction(L, free_regex);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    lua_setfield(L, -2, "re");
    resolua_vm_preload(L, "resolua.regex_compile", open_compile);
}
