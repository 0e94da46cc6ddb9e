#include "runtime/reader.h"


/* How much of the pattern is still matched when the next octet does not fit. */
static void
find_fallbacks(resolua_pattern_t *pattern)
{
    size_t matched = 0;
    pattern->fallback[0] = 0;
    pattern->fallback[1] = 0;
    for (size_t i = 1; i < pattern->size; i++) {
        while (matched > 0 && pattern->octets[i] != pattern->octets[matched]) {
            matched = pattern->fallback[matched];
        }
        if (pattern->octets[i] == pattern->octets[matched]) {
            matched++;
        }
        pattern->fallback[i + 1] = matched;
    }
}


resolua_pattern_t *
resolua_pattern_push(lua_State *L, const char *octets, size_t size,
                     int inclusive)
{
    resolua_pattern_t *pattern = lua_newuserdata(
        L, sizeof(*pattern) + (size + 1) * sizeof(size_t) + size);
    ngx_memzero(pattern, sizeof(*pattern));
    pattern->size = size;
    pattern->inclusive = inclusive ? 1 : 0;
    pattern->fallback = (size_t *) (pattern + 1);
    pattern->octets = (u_char *) (pattern->fallback + size + 1);
    ngx_memcpy(pattern->octets, octets, size);
    find_fallbacks(pattern);
    return pattern;
}


void
resolua_reader_start(resolua_reader_t *r, resolua_read_t kind, size_t size)
{
    r->kind = kind;
    r->size = size;
    r->pattern = NULL;
    r->count = 0;
}


static ngx_int_t
append(resolua_reader_t *r, const u_char *octets, size_t size)
{
    enum { ROOM_MIN = 256 };
    if (size == 0) {
        return NGX_OK;
    }
    if (r->count + size > r->room) {
        size_t room = ngx_max(r->room * 2, (size_t) ROOM_MIN);
        room = ngx_max(room, r->count + size);
        u_char *more = ngx_alloc(room, ngx_cycle->log);
        if (more == NULL) {
            return NGX_ERROR;
        }
        if (r->count > 0) {
            ngx_memcpy(more, r->octets, r->count);
        }
        if (r->octets != NULL) {
            ngx_free(r->octets);
        }
        r->octets = more;
        r->room = room;
    }
    ngx_memcpy(r->octets + r->count, octets, size);
    r->count += size;
    return NGX_OK;
}


/* What the last piece left matched is the beginning of this one. */
void
resolua_reader_start_until(resolua_reader_t *r, resolua_pattern_t *pattern,
                           size_t size)
{
    resolua_reader_start(r, RESOLUA_READ_UNTIL, size);
    r->pattern = pattern;
    pattern->is_found = 0;
}


static ngx_int_t
feed_line(resolua_reader_t *r, const u_char *octets, size_t size, size_t *used)
{
    const u_char *end = memchr(octets, '\n', size);
    const size_t taken = end != NULL ? (size_t) (end - octets) : size;
    *used = taken + (end != NULL);
    if (append(r, octets, taken) != NGX_OK) {
        return NGX_ERROR;
    }
    if (end == NULL) {
        return NGX_AGAIN;
    }
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (r->octets[i] != '\r') {
            r->octets[kept++] = r->octets[i];
        }
    }
    r->count = kept;
    return NGX_OK;
}


static ngx_int_t
feed_size(resolua_reader_t *r, const u_char *octets, size_t size, size_t *used)
{
    *used = ngx_min(size, r->size - r->count);
    if (append(r, octets, *used) != NGX_OK) {
        return NGX_ERROR;
    }
    return r->count == r->size || (r->kind == RESOLUA_READ_ANY && r->count > 0)
               ? NGX_OK
               : NGX_AGAIN;
}


static ngx_int_t
feed_all(resolua_reader_t *r, const u_char *octets, size_t size, size_t *used)
{
    *used = size;
    return append(r, octets, size) == NGX_OK ? NGX_AGAIN : NGX_ERROR;
}


/* One octet against the pattern; what turns out not to belong to it is data. */
static ngx_int_t
match_octet(resolua_reader_t *r, u_char octet)
{
    resolua_pattern_t *p = r->pattern;
    while (p->matched > 0 && octet != p->octets[p->matched]) {
        const size_t kept = p->fallback[p->matched];
        if (append(r, p->octets, p->matched - kept) != NGX_OK) {
            return NGX_ERROR;
        }
        p->matched = kept;
    }
    if (octet == p->octets[p->matched]) {
        p->matched++;
        return NGX_OK;
    }
    return append(r, &octet, 1);
}


static ngx_int_t
feed_until(resolua_reader_t *r, const u_char *octets, size_t size, size_t *used)
{
    resolua_pattern_t *p = r->pattern;
    for (*used = 0; *used < size;) {
        if (r->size > 0 && r->count >= r->size) {
            return NGX_OK;
        }
        if (match_octet(r, octets[(*used)++]) != NGX_OK) {
            return NGX_ERROR;
        }
        if (p->matched == p->size) {
            p->matched = 0;
            p->is_found = 1;
            return p->inclusive && append(r, p->octets, p->size) != NGX_OK
                       ? NGX_ERROR
                       : NGX_OK;
        }
    }
    return r->size > 0 && r->count >= r->size ? NGX_OK : NGX_AGAIN;
}


ngx_int_t
resolua_reader_feed(resolua_reader_t *r, const u_char *octets, size_t size,
                    size_t *used)
{
    switch (r->kind) {
    case RESOLUA_READ_LINE:
        return feed_line(r, octets, size, used);
    case RESOLUA_READ_ALL:
        return feed_all(r, octets, size, used);
    case RESOLUA_READ_UNTIL:
        return feed_until(r, octets, size, used);
    default:
        return feed_size(r, octets, size, used);
    }
}


ngx_uint_t
resolua_reader_is_whole_at_end(const resolua_reader_t *r)
{
    return r->kind == RESOLUA_READ_ALL;
}


void
resolua_reader_free(resolua_reader_t *r)
{
    if (r->octets != NULL) {
        ngx_free(r->octets);
    }
    r->octets = NULL;
    r->count = r->room = 0;
}
