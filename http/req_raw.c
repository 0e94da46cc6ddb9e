/* ngx.req.raw_header: the header as the client has sent it. */

#include "http/private/api.h"


/* Is the whole header still in nginx's buffer?  A large one is spread. */
static int
is_in_one_buffer(const ngx_http_request_t *r)
{
    const ngx_buf_t *b = r->header_in;
    return b != NULL && r->header_end != NULL &&
           r->request_line.data >= b->start && r->request_line.data < b->end &&
           r->header_end > r->request_line.data && r->header_end < b->end;
}


/* nginx ends names and values with a NUL in the place of what stood there. */
static u_char
restored(const ngx_http_request_t *r, const u_char *at, int is_name)
{
    const u_char next = at + 1 < r->header_in->last ? at[1] : '\0';
    if (is_name) {
        return ':';
    }
    if (next == ' ' || next == '\r') {
        return ' ';
    }
    /* header_end: the empty line behind the last header */
    return next == '\n' && at + 1 != r->header_end ? '\r' : '\n';
}


/* Behind the last header's line; of a header that nginx has refused, behind
   what it has read. */
static const u_char *
end_of_header(const ngx_http_request_t *r)
{
    const u_char *end = r->header_end + (*r->header_end == '\r' ? 2 : 1);
    return ngx_min(end, r->header_in->last);
}


static void
push_buffer(lua_State *L, const ngx_http_request_t *r, int no_line)
{
    luaL_Buffer text;
    const u_char *at = r->request_line.data;
    const u_char *end = end_of_header(r);
    int is_name = 0; /* the request line has none */
    if (no_line) {
        at = ngx_strlchr((u_char *) at, (u_char *) end, '\n');
        at = at != NULL ? at + 1 : end;
        is_name = 1;
    }
    luaL_buffinit(L, &text);
    for (; at < end; at++) {
        const u_char octet = *at != '\0' ? *at : restored(r, at, is_name);
        luaL_addchar(&text, (char) octet);
        is_name = octet == '\n' || (is_name && octet != ':');
    }
    luaL_pushresult(&text);
}


static void
push_list(lua_State *L, const ngx_http_request_t *r, int no_line)
{
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    if (!no_line) {
        luaL_addlstring(&text, (const char *) r->request_line.data,
                        r->request_line.len);
        luaL_addstring(&text, "\r\n");
    }
    for (const ngx_list_part_t *part = &r->headers_in.headers.part; part;
         part = part->next) {
        const ngx_table_elt_t *h = part->elts;
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            luaL_addlstring(&text, (const char *) h[i].key.data, h[i].key.len);
            luaL_addstring(&text, ": ");
            luaL_addlstring(&text, (const char *) h[i].value.data,
                            h[i].value.len);
            luaL_addstring(&text, "\r\n");
        }
    }
    luaL_addstring(&text, "\r\n");
    luaL_pushresult(&text);
}


int
http_req_raw_header(lua_State *L)
{
    const ngx_http_request_t *r = http_lua_request(L, HTTP_ANY)->main;
    const int no_line = lua_toboolean(L, 1);
    if (r->stream != NULL) {
        return luaL_error(L, "http2 requests not supported yet");
    }
    if (is_in_one_buffer(r)) {
        push_buffer(L, r, no_line);
    } else {
        push_list(L, r, no_line);
    }
    return 1;
}
