/* Reads the Lua text of a *_by_lua_block out of nginx's configuration buffer,
   up to the brace that closes it. */

#include "runtime/private/conf_block.h"

typedef struct {
    ngx_conf_t *cf;
    ngx_array_t text;
    int ahead; /* the next octet, or -1 at the file's end */
} reader_t;

enum { TEXT_START = 512 };


static int
fetch(ngx_conf_t *cf)
{
    ngx_conf_file_t *file = cf->conf_file;
    ngx_buf_t *b = file->buffer;
    if (b->pos == b->last) {
        const off_t left =
            file->file.fd == NGX_INVALID_FILE
                ? 0
                : ngx_file_size(&file->file.info) - file->file.offset;
        const size_t room = (size_t) (b->end - b->start);
        if (left <= 0) {
            return -1;
        }
        const ssize_t n = ngx_read_file(
            &file->file, b->start, (size_t) left < room ? (size_t) left : room,
            file->file.offset);
        if (n <= 0) {
            return -1;
        }
        b->pos = b->start;
        b->last = b->start + n;
    }
    if (*b->pos == '\n') {
        file->line++;
    }
    return *b->pos++;
}


/* Keeps the octet and reads the next; -1 at the end. */
static int
take(reader_t *r)
{
    const int c = r->ahead;
    u_char *place = c >= 0 ? ngx_array_push(&r->text) : NULL;
    if (place == NULL) {
        return -1;
    }
    *place = (u_char) c;
    r->ahead = fetch(r->cf);
    return c;
}


static void
skip_string(reader_t *r, int quote)
{
    int c;
    while ((c = take(r)) >= 0 && c != quote && c != '\n') {
        if (c == '\\') {
            (void) take(r);
        }
    }
}


/* After '[': the level when "=*[" follows, else -1. */
static int
open_long(reader_t *r)
{
    int level = 0;
    while (r->ahead == '=') {
        (void) take(r);
        level++;
    }
    if (r->ahead != '[') {
        return -1;
    }
    (void) take(r);
    return level;
}


static void
skip_long(reader_t *r, int level)
{
    int equals = -1; /* seen after a ']' */
    int c;
    while ((c = take(r)) >= 0) {
        if (c == ']') {
            if (equals == level) {
                return;
            }
            equals = 0;
        } else {
            equals = c == '=' && equals >= 0 ? equals + 1 : -1;
        }
    }
}


static void
skip_comment(reader_t *r)
{
    if (r->ahead == '[') {
        (void) take(r);
        const int level = open_long(r);
        if (level >= 0) {
            skip_long(r, level);
            return;
        }
    }
    while (r->ahead != '\n' && take(r) >= 0) {
    }
}


ngx_int_t
resolua_conf_read_block(ngx_conf_t *cf, ngx_str_t *text)
{
    reader_t r = {.cf = cf};
    int depth = 1;
    if (ngx_array_init(&r.text, cf->pool, TEXT_START, 1) != NGX_OK) {
        return NGX_ERROR;
    }
    r.ahead = fetch(cf);
    while (depth > 0) {
        if (depth == 1 && r.ahead == '}') {
            break; /* not taken: nothing behind it is read ahead */
        }
        const int c = take(&r);
        if (c < 0) {
            return NGX_DECLINED;
        }
        if (c == '{') {
            depth++;
        } else if (c == '}') {
            depth--;
        } else if (c == '"' || c == '\'') {
            skip_string(&r, c);
        } else if (c == '-' && r.ahead == '-') {
            (void) take(&r);
            skip_comment(&r);
        } else if (c == '[') {
            const int level = open_long(&r);
            if (level >= 0) {
                skip_long(&r, level);
            }
        }
    }
    text->data = r.text.elts;
    text->len = r.text.nelts;
    return NGX_OK;
}
