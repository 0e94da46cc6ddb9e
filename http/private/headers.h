#ifndef RESOLUA_HTTP_PRIVATE_HEADERS_H
#define RESOLUA_HTTP_PRIVATE_HEADERS_H

/* Lists of headers, of a request or of a response, and Lua. */

#include "http/private/ctx.h"

enum {
    HTTP_HEADER_NAME_MAX = 256, /* octets, for look-ups in any case */
    HTTP_HEADERS_MAX = 100      /* in a table, unless the script says else */
};

typedef struct {
    lua_Integer max;   /* 0: no limit */
    lua_Integer count; /* in the table before */
    int raw;           /* names as they are, not in lower case */
    int skip_cleared;  /* those with hash 0, nginx's mark */
} http_headers_want_t;

/* Adds the list's headers to the table on top; NGX_DECLINED: more than max. */
ngx_int_t http_headers_push(lua_State *L, const ngx_list_t *list,
                            const http_headers_want_t *want);

/* Takes name and value from the stack's top into the table: a string, or an
   array where the name comes again. */
void http_headers_add(lua_State *L, int table);

void http_headers_push_name(lua_State *L, const ngx_str_t *name, int raw);

/* The argument's text; borrowed from Lua. */
ngx_str_t http_headers_check_name(lua_State *L, int arg);

/* Copies in the request's pool, what could break the line escaped as %XX. */
ngx_str_t http_headers_copy_name(lua_State *L, ngx_http_request_t *r,
                                 const ngx_str_t *name);
ngx_str_t http_headers_copy_value(lua_State *L, ngx_http_request_t *r,
                                  int index);

/* Would the octet end a header's value early, or the request line? */
int http_breaks_value(u_char octet);
int http_breaks_args(u_char octet);

/* The text in a pool, octets that break it escaped as %XX, a NUL behind it;
   copy may be text. */
ngx_int_t http_escape(ngx_pool_t *pool, const ngx_str_t *text,
                      int (*breaks)(u_char), ngx_str_t *copy);

/* The same in the request's pool; raises "no memory". */
ngx_str_t http_copy_escaped(lua_State *L, ngx_http_request_t *r,
                            const ngx_str_t *text, int (*breaks)(u_char));

int http_headers_same_name(const ngx_str_t *a, const ngx_str_t *b);

#endif
