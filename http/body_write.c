/* ngx.req: another body in the place of the one that was read. */

#include "http/private/api.h"

enum { FILE_BUFFER = 4096 }; /* octets */


/* The length in the request's header will be that of the new body: what the
   socket may still read of the client's is counted apart.  Unless all is read,
   the connection is of no use for another request. */
static void
leave_to_socket(http_ctx_t *ctx)
{
    ngx_http_request_t *r = ctx->request;
    resolua_client_socket_count(ctx->socket, &ctx->socket_rest);
    if (ctx->socket_rest > 0 && r->keepalive) {
        ctx->was_keepalive = 1;
        r->keepalive = 0;
    }
}


/* The request's body, emptied, once the client's has been read or discarded, or
   a script reads it by ngx.req.socket(). */
static ngx_http_request_body_t *
new_body(lua_State *L, ngx_http_request_t *r)
{
    http_ctx_t *ctx = http_ctx_find(r);
    const ngx_http_request_body_t *before = r->request_body;
    const int has_socket = ctx->socket != NULL && !ctx->is_raw;
    if (r == r->main && before == NULL && !has_socket && !ctx->body_discarded) {
        luaL_error(L, "request body not read yet");
    }
    if (before != NULL && before->rest > 0) {
        luaL_error(L, "request body not read yet");
    }
    ngx_http_request_body_t *body = ngx_pcalloc(r->pool, sizeof(*body));
    if (body == NULL) {
        luaL_error(L, "no memory");
        return NULL;
    }
    if (before == NULL && has_socket) {
        leave_to_socket(ctx);
    }
    r->request_body = body;
    r->discard_body = 0;
    return body;
}


ngx_int_t
http_req_set_length(ngx_http_request_t *r, off_t size)
{
    const ngx_str_t name = ngx_string("Content-Length");
    const ngx_str_t chunked = ngx_string("Transfer-Encoding");
    ngx_str_t value = {0, ngx_pnalloc(r->pool, NGX_OFF_T_LEN)};
    if (value.data == NULL || http_req_remove_header(r, &chunked) != NGX_OK ||
        http_req_remove_header(r, &name) != NGX_OK) {
        return NGX_ERROR;
    }
    r->headers_in.chunked = 0;
    if (size < 0) {
        return NGX_OK;
    }
    value.len = (size_t) (ngx_sprintf(value.data, "%O", size) - value.data);
    return http_req_add_header(r, &name, &value);
}


static void
set_length(lua_State *L, ngx_http_request_t *r, off_t size)
{
    if (http_req_set_length(r, size) != NGX_OK) {
        luaL_error(L, "no memory");
    }
}


ngx_int_t
http_req_set_body(ngx_http_request_t *r, const ngx_str_t *text)
{
    ngx_http_request_body_t *body = ngx_pcalloc(r->pool, sizeof(*body));
    ngx_chain_t *cl = ngx_alloc_chain_link(r->pool);
    ngx_buf_t *b = ngx_calloc_buf(r->pool);
    if (body == NULL || cl == NULL || b == NULL) {
        return NGX_ERROR;
    }
    if (text->len > 0) {
        b->start = b->pos = text->data;
        b->end = b->last = text->data + text->len;
        b->temporary = 1;
        cl->buf = b;
        cl->next = NULL;
        body->bufs = cl;
        body->buf = b;
    }
    r->request_body = body;
    return http_req_set_length(r, (off_t) text->len);
}


static ngx_chain_t *
add_link(lua_State *L, ngx_http_request_t *r, ngx_chain_t **end)
{
    ngx_chain_t *cl = ngx_alloc_chain_link(r->pool);
    ngx_buf_t *b = cl != NULL ? ngx_calloc_buf(r->pool) : NULL;
    if (b == NULL) {
        luaL_error(L, "no memory");
        return NULL;
    }
    cl->buf = b;
    cl->next = NULL;
    *end = cl;
    return cl;
}


/* ngx.req.set_body_data(text) */
static int
set_body_data(lua_State *L)
{
    ngx_http_request_t *r =
        http_lua_request(L, HTTP_RESPONDING | RESOLUA_BALANCER);
    ngx_str_t body;
    const char *text = luaL_checklstring(L, 1, &body.len);
    (void) new_body(L, r);
    body.data = http_lua_copy(L, r, text, body.len);
    if (http_req_set_body(r, &body) != NGX_OK) {
        return luaL_error(L, "no memory");
    }
    return 0;
}


static void
open_file(lua_State *L, ngx_http_request_t *r, const ngx_str_t *name,
          int auto_clean, ngx_temp_file_t *temp)
{
    ngx_open_file_info_t of;
    ngx_memzero(&of, sizeof(of));
    of.directio = NGX_OPEN_FILE_DIRECTIO_OFF;
    if (ngx_open_cached_file(NULL, (ngx_str_t *) name, &of, r->pool) !=
        NGX_OK) {
        luaL_error(L, "%s \"%s\" failed", of.failed, name->data);
    }
    if (auto_clean) {
        ngx_pool_cleanup_t *c =
            ngx_pool_cleanup_add(r->pool, sizeof(ngx_pool_cleanup_file_t));
        if (c == NULL) {
            luaL_error(L, "no memory");
            return;
        }
        ngx_pool_cleanup_file_t *file = c->data;
        file->fd = dup(of.fd); /* the other clean-up closes of.fd */
        file->name = name->data;
        file->log = r->pool->log;
        c->handler = ngx_pool_delete_file;
    }
    temp->file.fd = of.fd;
    temp->file.name = *name;
    temp->file.log = r->connection->log;
    temp->offset = temp->file.offset = of.size;
}


/* ngx.req.set_body_file(path, auto_clean?) */
static int
set_body_file(lua_State *L)
{
    ngx_http_request_t *r =
        http_lua_request(L, HTTP_RESPONDING | RESOLUA_BALANCER);
    ngx_str_t name;
    const char *path = luaL_checklstring(L, 1, &name.len);
    ngx_http_request_body_t *body = new_body(L, r);
    ngx_temp_file_t *temp = ngx_pcalloc(r->pool, sizeof(*temp));
    if (temp == NULL) {
        return luaL_error(L, "no memory");
    }
    name.data = http_lua_copy(L, r, path, name.len);
    open_file(L, r, &name, lua_toboolean(L, 2), temp);
    ngx_buf_t *b = add_link(L, r, &body->bufs)->buf;
    b->file = &temp->file;
    b->file_last = temp->offset;
    b->in_file = 1;
    body->temp_file = temp;
    set_length(L, r, temp->offset);
    return 0;
}


/* ngx.req.init_body(size?): text up to size octets stays in memory. */
static int
init_body(lua_State *L)
{
    http_ctx_t *ctx = http_lua_ctx(L, HTTP_RESPONDING | RESOLUA_SET);
    ngx_http_request_t *r = ctx->request;
    const ngx_http_core_loc_conf_t *clcf =
        ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    const lua_Integer size =
        luaL_optinteger(L, 1, (lua_Integer) clcf->client_body_buffer_size);
    luaL_argcheck(L, size >= 0 && size < 0x40000000, 1, "size out of range");
    ngx_http_request_body_t *body = new_body(L, r);
    /* 0: all goes to the file, by way of a buffer */
    body->buf =
        ngx_create_temp_buf(r->pool, size > 0 ? (size_t) size : FILE_BUFFER);
    ctx->body_to_file = size == 0;
    if (body->buf == NULL) {
        return luaL_error(L, "no memory");
    }
    ctx->body_size = 0;
    ctx->body_gathers = 1;
    return 0;
}


/* What is in memory goes to the body's temporary file. */
static ngx_int_t
spill(ngx_http_request_t *r)
{
    ngx_http_request_body_t *body = r->request_body;
    if (body->temp_file == NULL) {
        const ngx_http_core_loc_conf_t *clcf =
            ngx_http_get_module_loc_conf(r, ngx_http_core_module);
        ngx_temp_file_t *temp = ngx_pcalloc(r->pool, sizeof(*temp));
        if (temp == NULL) {
            return NGX_ERROR;
        }
        temp->file.fd = NGX_INVALID_FILE;
        temp->file.log = r->connection->log;
        temp->path = clcf->client_body_temp_path;
        temp->pool = r->pool;
        temp->persistent = 1;
        temp->clean = 1;
        body->temp_file = temp;
    }
    ngx_chain_t cl = {.buf = body->buf, .next = NULL};
    if (ngx_write_chain_to_temp_file(body->temp_file, &cl) == NGX_ERROR) {
        return NGX_ERROR;
    }
    body->temp_file->offset += body->buf->last - body->buf->pos;
    body->buf->last = body->buf->pos;
    return NGX_OK;
}


/* The context while a body is being gathered. */
static http_ctx_t *
gathering(lua_State *L)
{
    http_ctx_t *ctx = http_lua_ctx(L, HTTP_RESPONDING | RESOLUA_SET);
    if (!ctx->body_gathers) {
        luaL_error(L, "request_body not initialized");
    }
    return ctx;
}


/* ngx.req.append_body(text) */
static int
append_body(lua_State *L)
{
    http_ctx_t *ctx = gathering(L);
    ngx_buf_t *b = ctx->request->request_body->buf;
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    ctx->body_size += (off_t) size;
    while (size > 0) {
        const size_t part = ngx_min(size, (size_t) (b->end - b->last));
        b->last = ngx_cpymem(b->last, text, part);
        text += part;
        size -= part;
        if (size > 0 && spill(ctx->request) != NGX_OK) {
            return luaL_error(L, "the request body's file cannot be written");
        }
    }
    return 0;
}


/* ngx.req.finish_body() */
static int
finish_body(lua_State *L)
{
    http_ctx_t *ctx = gathering(L);
    ngx_http_request_t *r = ctx->request;
    ngx_http_request_body_t *body = r->request_body;
    ctx->body_gathers = 0;
    if (ctx->was_keepalive && ctx->socket_rest == 0) {
        r->keepalive = 1;
    }
    if (body->temp_file == NULL && !(ctx->body_to_file && ctx->body_size > 0)) {
        if (ctx->body_size > 0) {
            add_link(L, r, &body->bufs)->buf = body->buf;
        }
    } else {
        if (spill(r) != NGX_OK) {
            return luaL_error(L, "the request body's file cannot be written");
        }
        ngx_buf_t *b = add_link(L, r, &body->bufs)->buf;
        b->file = &body->temp_file->file;
        b->file_last = ctx->body_size;
        b->in_file = 1;
    }
    set_length(L, r, ctx->body_size);
    return 0;
}


void
http_body_write_setup(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"set_body_data", set_body_data}, {"set_body_file", set_body_file},
        {"init_body", init_body},         {"append_body", append_body},
        {"finish_body", finish_body},     {NULL, NULL},
    };
    luaL_register(L, NULL, functions);
}
