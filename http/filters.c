/* header_filter_by_lua* and body_filter_by_lua*. */

#include "http/private/arg.h"
#include "http/private/phases.h"
#include "runtime/text.h"

#define TAG ((ngx_buf_tag_t) &http_filters_init)

static ngx_http_output_header_filter_pt next_header_filter;
static ngx_http_output_body_filter_pt next_body_filter;


/* ngx.exit of a header filter's chunk: another response goes in the place of
   the one that begins.  Its header comes through here, too. */
static ngx_int_t
replace_response(http_ctx_t *ctx, ngx_int_t status)
{
    ctx->is_replaced = 1;
    return ngx_http_filter_finalize_request(ctx->request,
                                            &ngx_http_resolua_module, status);
}


static ngx_int_t
header_filter(ngx_http_request_t *r)
{
    const http_loc_conf_t *conf = http_loc_conf(r);
    if (conf->body_filter != NULL) {
        r->filter_need_in_memory = 1;
    }
    if (conf->header_filter == NULL) {
        return next_header_filter(r);
    }
    http_ctx_t *ctx = http_ctx(r);
    if (ctx == NULL || http_code_push(ctx, conf->header_filter) != NGX_OK) {
        return NGX_ERROR;
    }
    const ngx_int_t rc =
        resolua_run_function_sync(&ctx->base, 0, RESOLUA_HEADER_FILTER, 0);
    if (rc >= NGX_HTTP_OK && !ctx->is_replaced) {
        return replace_response(ctx, rc);
    }
    return rc == NGX_ERROR ? NGX_ERROR : next_header_filter(r);
}


static void
use_up(ngx_chain_t *in)
{
    for (; in != NULL; in = in->next) {
        in->buf->pos = in->buf->last;
        in->buf->file_pos = in->buf->file_last;
    }
}


static ngx_uint_t
is_last(const ngx_http_request_t *r, const ngx_chain_t *in)
{
    for (; in != NULL; in = in->next) {
        if (in->buf->last_buf || (r != r->main && in->buf->last_in_chain)) {
            return 1;
        }
    }
    return 0;
}


static ngx_uint_t
wants_flush(const ngx_chain_t *in)
{
    for (; in != NULL; in = in->next) {
        if (in->buf->flush) {
            return 1;
        }
    }
    return 0;
}


/* A buffer of ours with room for size octets. */
static ngx_chain_t *
make_link(http_ctx_t *ctx, size_t size)
{
    ngx_pool_t *pool = ctx->base.pool;
    ngx_chain_t *cl = ngx_chain_get_free_buf(pool, &ctx->filter_free);
    if (cl == NULL) {
        return NULL;
    }
    ngx_buf_t *b = cl->buf;
    u_char *memory = b->start;
    if (memory == NULL || (size_t) (b->end - memory) < size) {
        if (memory != NULL) {
            (void) ngx_pfree(pool, memory);
        }
        memory = size > 0 ? ngx_palloc(pool, size) : NULL;
        if (memory == NULL && size > 0) {
            return NULL;
        }
        b->end = memory + size;
    }
    u_char *end = b->end;
    ngx_memzero(b, sizeof(*b));
    b->start = b->pos = b->last = memory;
    b->end = end;
    b->tag = TAG;
    b->temporary = size > 0;
    return cl;
}


static ngx_int_t
pass(http_ctx_t *ctx, const u_char *text, size_t size, ngx_uint_t last,
     ngx_uint_t flush)
{
    ngx_http_request_t *r = ctx->request;
    if (size == 0 && !last && !flush) {
        return NGX_OK;
    }
    ngx_chain_t *out = make_link(ctx, size);
    if (out == NULL) {
        return NGX_ERROR;
    }
    ngx_buf_t *b = out->buf;
    if (size > 0) {
        b->last = ngx_cpymem(b->last, text, size);
    }
    b->flush = flush ? 1 : 0;
    b->last_buf = last && r == r->main;
    b->last_in_chain = last ? 1 : 0;
    b->sync = size == 0 && last && r != r->main;
    const ngx_int_t rc = next_body_filter(r, out);
    ngx_chain_update_chains(ctx->base.pool, &ctx->filter_free,
                            &ctx->filter_busy, &out, TAG);
    return rc;
}


/* NGX_ERROR as well where the chunk returns ngx.ERROR. */
static ngx_int_t
run(lua_State *L, http_ctx_t *ctx, http_code_t *code)
{
    if (http_code_push(ctx, code) != NGX_OK ||
        resolua_run_function_sync(&ctx->base, 0, RESOLUA_BODY_FILTER, 1) !=
            NGX_OK) {
        return NGX_ERROR;
    }
    const ngx_int_t rc =
        lua_isnumber(L, -1) && lua_tointeger(L, -1) == NGX_ERROR ? NGX_ERROR
                                                                 : NGX_OK;
    lua_pop(L, 1);
    return rc;
}


/* (value): its text, put together where it is an array. */
static int
flatten(lua_State *L)
{
    const size_t size = resolua_text_size(L, 1);
    u_char *text = lua_newuserdata(L, size + 1);
    (void) resolua_text_copy(L, 1, text);
    lua_pushlstring(L, (const char *) text, size);
    return 1;
}


/* Pushes the text of ngx.arg[1], a string, unless it is nil. */
static ngx_int_t
push_result(lua_State *L, http_ctx_t *ctx, http_arg_t *arg)
{
    http_arg_push_text(L, arg);
    if (lua_isnil(L, -1) || lua_isstring(L, -1)) {
        return NGX_OK;
    }
    lua_pushcfunction(L, flatten);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 1, 0) == 0) {
        return NGX_OK;
    }
    ngx_log_error(NGX_LOG_ERR, ctx->base.log, 0,
                  "body_filter_by_lua*: ngx.arg[1]: %s", resolua_error_text(L));
    return NGX_ERROR;
}


/* What the chunk has left: the buffers as they came where it has changed
   nothing. */
static ngx_int_t
pass_result(lua_State *L, http_ctx_t *ctx, http_arg_t *arg)
{
    size_t size = 0;
    ctx->filter_ended = arg->last;
    if (!arg->is_replaced && !arg->last_is_set) {
        return next_body_filter(ctx->request, arg->in);
    }
    const ngx_int_t rc = push_result(L, ctx, arg);
    const ngx_uint_t flush = wants_flush(arg->in);
    use_up(arg->in);
    if (rc != NGX_OK) {
        return NGX_ERROR;
    }
    const char *text = lua_tolstring(L, -1, &size);
    return pass(ctx, (const u_char *) text, size, arg->last, flush);
}


static ngx_int_t
body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    http_code_t *code = http_loc_conf(r)->body_filter;
    if (code == NULL || in == NULL) {
        return next_body_filter(r, in);
    }
    http_ctx_t *ctx = http_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }
    const ngx_uint_t is_empty =
        ctx->is_replaced && r->headers_out.content_length_n == 0;
    if (is_empty) {
        return next_body_filter(r, in);
    }
    if (ctx->filter_ended) { /* the script has said so */
        use_up(in);
        return NGX_OK;
    }
    lua_State *L = resolua_vm;
    const int top = lua_gettop(L);
    http_arg_t arg = {.in = in, .last = is_last(r, in) ? 1 : 0};
    http_arg_t *before = http_arg_enter(&arg);
    const ngx_int_t ran = run(L, ctx, code);
    const ngx_int_t rc = ran == NGX_OK ? pass_result(L, ctx, &arg) : NGX_ERROR;
    http_arg_leave(before);
    lua_settop(L, top);
    return rc;
}


ngx_int_t
http_filters_init(const http_main_conf_t *conf)
{
    if (conf->used & (RESOLUA_HEADER_FILTER | RESOLUA_BODY_FILTER)) {
        next_header_filter = ngx_http_top_header_filter;
        ngx_http_top_header_filter = header_filter;
    }
    if (conf->used & RESOLUA_BODY_FILTER) {
        next_body_filter = ngx_http_top_body_filter;
        ngx_http_top_body_filter = body_filter;
    }
    return NGX_OK;
}
