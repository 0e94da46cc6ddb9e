/* ngx.re.sub and ngx.re.gsub */

#include "runtime/private/regex.h"

typedef struct {
    u_char *octets;
    size_t size;
    size_t room;
} text_t;


static void
append(lua_State *L, text_t *t, const u_char *octets, size_t size)
{
    if (t->room - t->size < size) {
        const size_t room = 2 * t->room + size + 64;
        u_char *more = ngx_alloc(room, ngx_cycle->log);
        if (more == NULL) {
            luaL_error(L, "no memory");
            return;
        }
        if (t->octets != NULL) {
            ngx_memcpy(more, t->octets, t->size);
            ngx_free(t->octets);
        }
        t->octets = more;
        t->room = room;
    }
    if (size > 0) {
        ngx_memcpy(t->octets + t->size, octets, size);
        t->size += size;
    }
}


static void
append_capture(lua_State *L, text_t *t, const regex_t *re,
               const ngx_str_t *subject, uint32_t n, int rc)
{
    const size_t *ends = pcre2_get_ovector_pointer(re->data);
    if ((int) n < rc && ends[2 * n] != PCRE2_UNSET) {
        append(L, t, subject->data + ends[2 * n],
               ends[2 * n + 1] - ends[2 * n]);
    }
}


/* $n, ${n}, $name-less: the capture's number and what comes behind it; NULL:
   no such thing. */
static const char *
read_capture(const char *at, const char *end, uint32_t *n)
{
    const int braced = at < end && *at == '{';
    const char *digits = at + braced;
    const char *p = digits;
    *n = 0;
    while (p < end && *p >= '0' && *p <= '9' && *n < 1000) {
        *n = *n * 10 + (uint32_t) (*p++ - '0');
    }
    if (p == digits || (braced && (p == end || *p != '}'))) {
        return NULL;
    }
    return p + braced;
}


/* The replacement with its $ filled in.  0: it is malformed. */
static int
append_template(lua_State *L, text_t *t, const regex_t *re,
                const ngx_str_t *subject, int template, int rc)
{
    size_t size;
    const char *at = lua_tolstring(L, template, &size);
    const char *end = at + size;
    while (at < end) {
        const char *mark = memchr(at, '$', (size_t) (end - at));
        if (mark == NULL) {
            mark = end;
        }
        append(L, t, (const u_char *) at, (size_t) (mark - at));
        if (mark == end) {
            break;
        }
        if (mark + 1 < end && mark[1] == '$') {
            append(L, t, (const u_char *) "$", 1);
            at = mark + 2;
            continue;
        }
        uint32_t n;
        at = read_capture(mark + 1, end, &n);
        if (at == NULL) {
            return 0;
        }
        append_capture(L, t, re, subject, n, rc);
    }
    return 1;
}


/* What the script's function says for the match. */
static void
append_result(lua_State *L, text_t *t, const regex_t *re,
              const ngx_str_t *subject, int function, int rc)
{
    size_t size;
    lua_pushvalue(L, function);
    lua_newtable(L);
    regex_push_captures(L, re, subject, rc);
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1)) {
        luaL_error(L, "string or number expected to be returned by the "
                      "replace function, got nil");
    }
    (void) regex_text(L, lua_gettop(L));
    const char *text = lua_tolstring(L, -1, &size);
    append(L, t, (const u_char *) text, size);
    lua_pop(L, 1);
}


typedef struct {
    text_t text;
    size_t at; /* in the subject: what is before has been taken over */
    int count; /* of matches */
} work_t;


static int
free_work(lua_State *L)
{
    work_t *w = lua_touserdata(L, 1);
    if (w->text.octets != NULL) {
        ngx_free(w->text.octets);
    }
    w->text.octets = NULL;
    return 0;
}


static work_t *
push_work(lua_State *L)
{
    work_t *w = lua_newuserdata(L, sizeof(*w));
    ngx_memzero(w, sizeof(*w));
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, free_work);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    return w;
}


static int
replace_one(lua_State *L, work_t *w, const regex_t *re,
            const ngx_str_t *subject, int rc)
{
    const size_t from = pcre2_get_ovector_pointer(re->data)[0];
    const size_t to = pcre2_get_ovector_pointer(re->data)[1];
    append(L, &w->text, subject->data + w->at, from - w->at);
    if (lua_isfunction(L, 3)) {
        append_result(L, &w->text, re, subject, 3, rc);
    } else if (!append_template(L, &w->text, re, subject, 3, rc)) {
        return 0;
    }
    w->at = to;
    w->count++;
    return 1;
}


/* sub(subject, regex, replacement, options?) */
static int
substitute(lua_State *L, int all)
{
    int failed;
    ngx_str_t subject;
    lua_settop(L, 4);
    subject = regex_text(L, 1);
    if (!lua_isfunction(L, 3)) {
        (void) regex_text(L, 3);
    }
    const regex_t *re = regex_check(L, 2, 4, &failed);
    if (re == NULL) {
        lua_pushvalue(L, -1); /* nil, nil, reason */
        lua_pushnil(L);
        lua_replace(L, -3);
        lua_pushnil(L);
        lua_insert(L, -3);
        return 3;
    }
    work_t *w = push_work(L);
    size_t from = 0;
    while (from <= subject.len && (all || w->count == 0)) {
        const int rc = regex_run(re, &subject, from);
        if (rc == PCRE2_ERROR_NOMATCH) {
            break;
        }
        if (rc < 0) {
            lua_pushnil(L);
            return 1 + regex_push_error(L, rc);
        }
        from = regex_next(re, &subject);
        if (!replace_one(L, w, re, &subject, rc)) {
            lua_pushnil(L);
            lua_pushnil(L);
            lua_pushliteral(L, "failed to compile the replacement template");
            return 3;
        }
    }
    append(L, &w->text, subject.data + w->at, subject.len - w->at);
    lua_pushlstring(L, (char *) w->text.octets, w->text.size);
    lua_pushinteger(L, w->count);
    return 2;
}


int
regex_sub(lua_State *L)
{
    return substitute(L, 0);
}


int
regex_gsub(lua_State *L)
{
    return substitute(L, 1);
}
