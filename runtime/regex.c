/* ngx.re: match, find, gmatch, sub and gsub on PCRE2.  regex_sub.c substitutes.
 */


#include "runtime/private/regex.h"

#include "runtime/private/api.h"

enum {
    CACHE_MAX = 1024, /* compiled expressions of option "o" */
    DFA_WORKSPACE = 1000,
    COUNT_AT = 1, /* where a cache has the number of its expressions */
};

static const char metatable[] = "resolua.regex";
static const char cache_key; /* its address is the cache's registry key */
static int cache_max = CACHE_MAX;
static pcre2_match_context *match_context; /* NULL: PCRE2's own limits */


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
    case 'U':
        *compile |= PCRE2_UTF;
        re->match_options |= PCRE2_NO_UTF_CHECK;
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
    return compile;
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
    if (re->wants_jit) { /* without it, it is only slower */
        (void) pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE);
    }
    re->data = pcre2_match_data_create_from_pattern(re->code, NULL);
    if (re->data == NULL) {
        luaL_error(L, "no memory");
    }
    note_names(re);
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
new_cache(lua_State *L)
{
    lua_newtable(L);
    lua_pushlightuserdata(L, (void *) &cache_key);
    lua_pushvalue(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
}


/* Each VM has one. */
static void
push_cache(lua_State *L)
{
    lua_pushlightuserdata(L, (void *) &cache_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        new_cache(L);
    }
}


/* The key and the expression on top go into the cache below them; a full one
   is thrown away. */
static void
cache(lua_State *L)
{
    lua_rawgeti(L, -3, COUNT_AT);
    const int count = (int) lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (count >= cache_max) {
        new_cache(L);
        lua_replace(L, -4);
    }
    lua_pushinteger(L, count >= cache_max ? 1 : count + 1);
    lua_rawseti(L, -4, COUNT_AT);
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
    push_cache(L);
    lua_pushfstring(L, "%s/", options);
    lua_pushvalue(L, pattern_arg);
    lua_concat(L, 2);
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


int
regex_run(const regex_t *re, const ngx_str_t *subject, size_t from)
{
    int workspace[DFA_WORKSPACE];
    if (re->is_dfa) {
        return pcre2_dfa_match(re->code, subject->data, subject->len, from,
                               re->match_options, re->data, match_context,
                               workspace, DFA_WORKSPACE);
    }
    return pcre2_match(re->code, subject->data, subject->len, from,
                       re->match_options, re->data, match_context);
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


static void
set_names(lua_State *L, const regex_t *re, const ngx_str_t *subject)
{
    const uint8_t *entry = re->name_table;
    for (uint32_t i = 0; i < re->names; i++, entry += re->name_size) {
        const uint32_t n = (uint32_t) (entry[0] << 8 | entry[1]);
        const char *name = (const char *) entry + 2;
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


static ngx_str_t
check_subject(lua_State *L)
{
    ngx_str_t subject;
    subject.data = (u_char *) luaL_checklstring(L, 1, &subject.len);
    return subject;
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
    const ngx_str_t subject = check_subject(L);
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
    const ngx_str_t subject = check_subject(L);
    const size_t from = read_position(L, 4);
    const lua_Integer nth = luaL_optinteger(L, 5, 0);
    const regex_t *re = regex_check(L, 2, 3, &failed);
    if (re == NULL) {
        return failed;
    }
    if (from > subject.len) {
        lua_pushnil(L);
        return 1;
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
        return 1;
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
    const size_t *ends = pcre2_get_ovector_pointer(re->data);
    lua_pushinteger(L, (lua_Integer) (ends[1] + (ends[1] == ends[0])));
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
    (void) check_subject(L);
    if (regex_check(L, 2, 3, &failed) == NULL) {
        return failed;
    }
    lua_pushvalue(L, 1);
    lua_insert(L, -2);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_match, 3);
    return 1;
}


/* require "ngx.re": split(subject, regex, options?, ctx?, max?, result?) */
static const char module_source[] =
    "local find, match, type = ngx.re.find, ngx.re.match, type\n"
    "local sub, byte = string.sub, string.byte\n"
    "local re = {}\n"
    "function re.opt() end\n"
    "function re.split(subject, regex, options, ctx, max, result)\n"
    "    local context = { pos = ctx and ctx.pos or 1 }\n"
    "    local out, count, start = result or {}, 0, context.pos\n"
    "    max = max or 0\n"
    "    while max <= 0 or count < max - 1 do\n"
    "        local from, to, err = find(subject, regex, options, context)\n"
    "        if err then return nil, err end\n"
    "        if not from then break end\n"
    "        if to < from then\n"
    "            from, to = from + 1, from\n"
    "            if from > #subject then break end\n"
    "            context.pos = from\n"
    "            count = count + 1\n"
    "            out[count] = sub(subject, start, to)\n"
    "        else\n"
    "            count = count + 1\n"
    "            out[count] = sub(subject, start, from - 1)\n"
    "            local captures = match(subject, regex, options,\n"
    "                { pos = from })\n"
    "            for i = 1, captures and #captures or 0 do\n"
    "                if captures[i] then\n"
    "                    count = count + 1\n"
    "                    out[count] = captures[i]\n"
    "                end\n"
    "            end\n"
    "        end\n"
    "        start = to + 1\n"
    "    end\n"
    "    count = count + 1\n"
    "    out[count] = sub(subject, start)\n"
    "    out[count + 1] = nil\n"
    "    return out\n"
    "end\n"
    "return re\n";


static int
open_module(lua_State *L)
{
    if (luaL_loadbuffer(L, module_source, sizeof(module_source) - 1,
                        "=ngx.re") != 0) {
        return lua_error(L);
    }
    lua_call(L, 0, 1);
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
    resolua_vm_preload(L, "ngx.re", open_module);
}
