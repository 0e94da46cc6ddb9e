#ifndef RESOLUA_HTTP_PRIVATE_API_H
#define RESOLUA_HTTP_PRIVATE_API_H

/* The parts of HTTP's API; each setup finds the table that it fills on top of
   the stack. */

#include "http/private/ctx.h"

/* The length of a variable's value has 28 bits. */
enum { HTTP_VARIABLE_SIZE_MAX = (1 << 28) - 1 };

void http_req_setup(lua_State *L);        /* ngx.req: the request line */
void http_args_setup(lua_State *L);       /* ngx.req: URI and arguments */
void http_headers_setup(lua_State *L);    /* ngx.req: headers */
void http_body_setup(lua_State *L);       /* ngx.req: body */
void http_body_write_setup(lua_State *L); /* ngx.req: another body */
void http_resp_setup(lua_State *L);       /* ngx: header, resp */
void http_response_setup(lua_State *L);   /* resolua.response */
void http_ndk_setup(lua_State *L);        /* ndk, a global */
void http_control_setup(lua_State *L);    /* ngx: exec, redirect, constants */
void http_guard_setup(lua_State *L);      /* the module resolua.guard */
void http_arg_setup(lua_State *L);        /* ngx.arg */
void http_subrequest_setup(lua_State *L); /* ngx.location */

/* http's upstreams, for ngx.upstream. */
void http_upstream_register(void);

/* NGX_DECLINED: no method that nginx knows by this number. */
ngx_int_t http_req_set_method(ngx_http_request_t *r, ngx_uint_t id);

/* Request headers; name and value in the request's pool.  Removing makes a list
   of the request's own, where it shared its parent's. */
ngx_int_t http_req_remove_header(ngx_http_request_t *r, const ngx_str_t *name);
ngx_int_t http_req_add_header(ngx_http_request_t *r, const ngx_str_t *name,
                              const ngx_str_t *value);

/* Content-Length and what nginx keeps of it; below 0: there is no body. */
ngx_int_t http_req_set_length(ngx_http_request_t *r, off_t size);

/* The body in memory of the request's own; text in its pool. */
ngx_int_t http_req_set_body(ngx_http_request_t *r, const ngx_str_t *text);

/* Adds the query string at index, text or a table, to args. */
void http_args_join(lua_State *L, ngx_http_request_t *r, ngx_str_t *args,
                    int index);

/* Escapes what would end the request line that nginx sends upstream, where args
   has any of it. */
ngx_int_t http_args_escape(ngx_http_request_t *r, ngx_str_t *args);

/* Pushes which octet of a URI would break a line, `what` being its name; 0:
   none would, and nothing is pushed. */
int http_uri_push_unsafe(lua_State *L, const char *uri, size_t size,
                         const char *what);

/* r's variable of the name at an index gets the value at another. */
void http_var_assign(lua_State *L, ngx_http_request_t *r, int name, int value);

/* ngx.req.raw_header(no_request_line?) */
int http_req_raw_header(lua_State *L);

/* ngx.req.socket(raw?) */
int http_req_socket(lua_State *L);

ngx_int_t http_var_find(const resolua_request_t *base, const ngx_str_t *name,
                        ngx_str_t *value);
int http_var_get(lua_State *L);
int http_var_set(lua_State *L);

/* ngx.status, ngx.headers_sent, ngx.is_subrequest */
int http_field_get(lua_State *L);
int http_field_set(lua_State *L);

/* The metatable under which header tables are read in any letter case, with
   '_' for '-': sets it on the table on top. */
void http_headers_set_meta(lua_State *L);

/* All headers of the response, names as they are, into the table on top. */
void http_resp_push_headers(lua_State *L, ngx_http_request_t *r);

/* The type of a response for which the script names none. */
ngx_int_t http_resp_default_type(ngx_http_request_t *r);

/* Pushes at most max octets of the body (0: all), nil where none is in memory.
 */
void http_body_push(lua_State *L, const ngx_http_request_t *r, size_t max);

/* Reads the body if it has not been.  NGX_OK, NGX_AGAIN (wake() is called) or
   a status to end the request with. */
ngx_int_t http_body_read(http_ctx_t *ctx);

#endif
