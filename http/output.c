#include "http/private/output.h"

#include "http/private/api.h"
#include "http/private/capture.h"
#include "http/private/control.h"
#include "runtime/text.h"
#include "runtime/vm.h"

enum {
    FIRST_SIZE = 512, /* of a request's first buffer: most need no more */
    NEXT_SIZE = 4096
};

#define TAG ((ngx_buf_tag_t) &ngx_http_resolua_module)


static size_t
capacity(const ngx_buf_t *b)
{
    return (size_t) (b->end - b->start);
}


/* A buffer of ours that has been written, with room for size, or NULL. */
static ngx_chain_t *
take_free(http_output_t *out, size_t size)
{
    for (ngx_chain_t **link = &out->free; *link != NULL;
         link = &(*link)->next) {
        ngx_chain_t *cl = *link;
        if (capacity(cl->buf) >= size) {
            *link = cl->next;
            return cl;
        }
    }
    return NULL;
}


/* Memory of a large buffer that has become too small goes back. */
static void
drop_large(ngx_pool_t *pool, http_output_t *out)
{
    ngx_chain_t *cl = out->free;
    if (cl != NULL && capacity(cl->buf) > pool->max) {
        out->free = cl->next;
        (void) ngx_pfree(pool, cl->buf->start);
        ngx_free_chain(pool, cl);
    }
}


static ngx_chain_t *
make_link(http_ctx_t *ctx, size_t size)
{
    http_output_t *out = &ctx->output;
    ngx_pool_t *pool = ctx->base.pool;
    ngx_chain_t *cl = take_free(out, size);
    if (cl == NULL) {
        const size_t usual =
            out->first == NULL && out->busy == NULL ? FIRST_SIZE : NEXT_SIZE;
        if (size > NEXT_SIZE) {
            drop_large(pool, out);
        }
        cl = ngx_alloc_chain_link(pool);
        if (cl == NULL) {
            return NULL;
        }
        cl->buf = ngx_create_temp_buf(pool, ngx_max(size, usual));
        if (cl->buf == NULL) {
            return NULL;
        }
        cl->buf->tag = TAG;
    }
    cl->buf->flush = 0;
    cl->buf->sync = 0;
    cl->buf->last_buf = 0;
    cl->buf->last_in_chain = 0;
    cl->next = NULL;
    *out->end = cl;
    out->end = &cl->next;
    out->last = cl->buf;
    return cl;
}


/* Where size octets may be written; the caller counts them in. */
static u_char *
make_room(http_ctx_t *ctx, size_t size)
{
    const http_output_t *out = &ctx->output;
    if (out->first == NULL ||
        (size_t) (out->last->end - out->last->last) < size) {
        if (make_link(ctx, size) == NULL) {
            return NULL;
        }
    }
    return out->last->last;
}


/* HTTP/1.0 has no chunks: the whole response is gathered for its length. */
static int
gathers_all(const ngx_http_request_t *r)
{
    return r->http_version < NGX_HTTP_VERSION_11 && !r->header_sent &&
           r == r->main && r->headers_out.content_length_n < 0 &&
           http_loc_conf((ngx_http_request_t *) r)->http10_buffering;
}


/* Sends the header if it has not been.  NGX_OK or what nginx's filters say. */
static ngx_int_t
output_header(http_ctx_t *ctx)
{
    ngx_http_request_t *r = ctx->request;
    if (r->header_sent || ctx->is_raw) {
        return NGX_OK;
    }
    if (r->headers_out.status == 0) {
        r->headers_out.status = NGX_HTTP_OK;
    }
    if (http_resp_default_type(r) != NGX_OK) {
        return NGX_ERROR;
    }
    return ngx_http_send_header(r);
}


/* Gives what is gathered to the filters. */
static ngx_int_t
output_pass(http_ctx_t *ctx)
{
    http_output_t *out = &ctx->output;
    ngx_chain_t *chain = out->first;
    if (chain == NULL) {
        return NGX_OK;
    }
    out->first = NULL;
    out->end = &out->first;
    out->size = 0;
    const ngx_int_t rc = ngx_http_output_filter(ctx->request, chain);
    ngx_chain_update_chains(ctx->base.pool, &out->free, &out->busy, &chain,
                            TAG);
    return rc;
}


ngx_int_t
http_output_end(http_ctx_t *ctx)
{
    ngx_http_request_t *r = ctx->request;
    http_output_t *out = &ctx->output;
    if (out->eof) {
        return NGX_OK;
    }
    out->eof = 1;
    if (ctx->is_raw) {
        return NGX_OK;
    }
    if (r == r->main && r->request_body == NULL && !r->discard_body) {
        (void) ngx_http_discard_request_body(r);
    }
    if (gathers_all(r)) {
        r->headers_out.content_length_n = (off_t) out->size;
    }
    const ngx_int_t rc = output_header(ctx);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }
    if (out->first == NULL) {
        return ngx_http_send_special(r, NGX_HTTP_LAST);
    }
    out->last->last_buf = r == r->main && !r->post_action;
    out->last->last_in_chain = 1;
    return output_pass(ctx);
}


/* How much is gathered before nginx's filters see it.  A body filter in Lua is
   called for each piece that a script writes; of a subrequest that fails
   everything up to then is captured. */
static size_t
gather_size(ngx_http_request_t *r)
{
    const ngx_http_core_loc_conf_t *clcf =
        ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    return http_loc_conf(r)->body_filter != NULL || r != r->main
               ? 0
               : clcf->postpone_output;
}


static int
succeed(lua_State *L)
{
    lua_pushinteger(L, 1);
    return 1;
}


/* Why nothing more can be written, or NULL. */
static const char *
refuse(const http_ctx_t *ctx)
{
    return ctx->is_raw       ? "raw request socket acquired"
           : ctx->output.eof ? "seen eof"
                             : NULL;
}


/* The arguments' text into the output, with a line end after it for say. */
static ngx_int_t
gather(lua_State *L, http_ctx_t *ctx, size_t size, int line_end)
{
    const int count = lua_gettop(L);
    if (size == 0 || ctx->request->header_only) {
        return NGX_OK;
    }
    u_char *to = make_room(ctx, size);
    if (to == NULL) {
        return NGX_ERROR;
    }
    for (int i = 1; i <= count; i++) {
        to = resolua_text_copy(L, i, to);
    }
    if (line_end) {
        *to++ = '\n';
    }
    ctx->output.last->last = to;
    ctx->output.size += size;
    return NGX_OK;
}


/* Raises an error where one of the arguments is no text. */
static size_t
check_size(lua_State *L, int line_end)
{
    const int count = lua_gettop(L);
    size_t size = line_end ? 1 : 0;
    for (int i = 1; i <= count; i++) {
        size += resolua_text_size(L, i);
    }
    return size;
}


static int
write_text(lua_State *L, int line_end)
{
    http_ctx_t *ctx = http_lua_ctx(L, HTTP_RESPONDING);
    ngx_http_request_t *r = ctx->request;
    const char *reason = refuse(ctx);
    if (reason != NULL) {
        return resolua_fail(L, reason);
    }
    if (r->connection->error) {
        return resolua_fail(L, "nginx output filter error");
    }
    const size_t size = check_size(L, line_end); /* before any header is sent */
    const int all = gathers_all(r);
    if (!all) {
        const ngx_int_t rc = output_header(ctx);
        if (rc == NGX_ERROR || rc > NGX_OK) {
            return resolua_fail(L, "nginx output filter error");
        }
    }
    if (gather(L, ctx, size, line_end) != NGX_OK) {
        return resolua_fail(L, "no memory");
    }
    if (!all && ctx->output.size >= gather_size(r) &&
        output_pass(ctx) == NGX_ERROR) {
        return resolua_fail(L, "nginx output filter error");
    }
    return succeed(L);
}


int
http_print(lua_State *L)
{
    return write_text(L, 0);
}


int
http_say(lua_State *L)
{
    return write_text(L, 1);
}


/* All that is gathered goes on its way to the client. */
static ngx_int_t
pass_with_flush(http_ctx_t *ctx)
{
    const ngx_int_t rc = output_header(ctx);
    if (rc == NGX_ERROR || rc > NGX_OK || ctx->request->header_only) {
        return rc > NGX_OK ? NGX_ERROR : rc;
    }
    if (ctx->output.first == NULL) {
        return ngx_http_send_special(ctx->request, NGX_HTTP_FLUSH);
    }
    ctx->output.last->flush = 1;
    return output_pass(ctx);
}


/* A coroutine in ngx.flush(true). */
typedef struct {
    ngx_queue_t link; /* in waiters or idle */
    http_ctx_t *ctx;
    resolua_thread_t *thread;
} waiter_t;


static void
forget_waiter(void *data)
{
    waiter_t *w = data;
    ngx_queue_remove(&w->link);
    ngx_queue_insert_head(&w->ctx->output.idle, &w->link);
}


static waiter_t *
waiter_new(http_ctx_t *ctx)
{
    waiter_t *w;
    if (ngx_queue_empty(&ctx->output.idle)) {
        w = ngx_palloc(ctx->request->pool, sizeof(*w));
    } else {
        w = ngx_queue_data(ngx_queue_head(&ctx->output.idle), waiter_t, link);
        ngx_queue_remove(&w->link);
    }
    if (w != NULL) {
        w->ctx = ctx;
        ngx_queue_insert_tail(&ctx->output.waiters, &w->link);
    }
    return w;
}


static int
is_pending(const ngx_http_request_t *r)
{
    return r->buffered ||
           (r->connection->buffered & NGX_HTTP_LOWLEVEL_BUFFERED);
}


static ngx_int_t
await_write(ngx_http_request_t *r)
{
    const ngx_http_core_loc_conf_t *clcf =
        ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    ngx_event_t *wev = r->connection->write;
    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }
    return ngx_handle_write_event(wev, clcf->send_lowat);
}


int
http_flush(lua_State *L)
{
    http_ctx_t *ctx = http_lua_ctx(L, HTTP_RESPONDING);
    ngx_http_request_t *r = ctx->request;
    const int wait = lua_toboolean(L, 1);
    const char *reason = refuse(ctx);
    if (reason != NULL) {
        return resolua_fail(L, reason);
    }
    if (gathers_all(r)) {
        return resolua_fail(L, "buffering");
    }
    if (!r->header_sent && ctx->output.first == NULL) {
        return resolua_fail(L, "nothing to flush");
    }
    if (r->connection->error || pass_with_flush(ctx) == NGX_ERROR) {
        return resolua_fail(L, "nginx output filter error");
    }
    if (!is_pending(r) || r != r->main) {
        return succeed(L);
    }
    if (await_write(r) != NGX_OK) {
        return resolua_fail(L, "connection broken");
    }
    r->write_event_handler = http_output_on_write;
    if (!wait) {
        return succeed(L);
    }
    resolua_thread_t *t = resolua_thread(L);
    waiter_t *w = waiter_new(ctx);
    if (w == NULL) {
        return resolua_fail(L, "no memory");
    }
    http_control_watch_flush(r);
    w->thread = t;
    return resolua_thread_sleep(t, forget_waiter, w);
}


/* Wakes the first; the request may end by that, so the others wait for another
   turn of the write event. */
static void
wake_flush(http_ctx_t *ctx, const char *reason)
{
    if (ngx_queue_empty(&ctx->output.waiters)) {
        return;
    }
    waiter_t *w =
        ngx_queue_data(ngx_queue_head(&ctx->output.waiters), waiter_t, link);
    resolua_thread_t *t = w->thread;
    forget_waiter(w);
    if (!ngx_queue_empty(&ctx->output.waiters)) {
        ngx_post_event(ctx->request->connection->write, &ngx_posted_events);
    }
    lua_State *L = resolua_thread_state(t);
    resolua_thread_wake(t,
                        reason != NULL ? resolua_fail(L, reason) : succeed(L));
}


void
http_output_gone(http_ctx_t *ctx)
{
    ngx_event_t *wev = ctx->request->connection->write;
    if (ngx_queue_empty(&ctx->output.waiters)) {
        return;
    }
    if (wev->timer_set && !wev->delayed) {
        ngx_del_timer(wev);
    }
    wake_flush(ctx, "client aborted");
}


static int
awaits_write(const http_ctx_t *ctx)
{
    return !ngx_queue_empty(&ctx->output.waiters) || is_pending(ctx->request) ||
           (ctx->socket != NULL && resolua_client_socket_writes(ctx->socket));
}


void
http_output_on_write(ngx_http_request_t *r)
{
    http_ctx_t *ctx = http_ctx_find(r);
    ngx_connection_t *c = r->connection;
    ngx_event_t *wev = c->write;
    if (ctx == NULL) {
        return;
    }
    if (!ngx_queue_empty(&ctx->captured)) {
        if (awaits_write(ctx)) {
            ngx_post_event(wev, &ngx_posted_events);
        }
        http_capture_wake(ctx);
        return;
    }
    if (ctx->socket != NULL && resolua_client_socket_writes(ctx->socket)) {
        resolua_client_socket_on_write(ctx->socket);
        return;
    }
    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT, "client timed out");
        c->timedout = 1;
        c->error = 1;
        wake_flush(ctx, "timeout");
        return;
    }
    if (wev->delayed) { /* by limit_rate, whose timer will come */
        (void) await_write(r);
        return;
    }
    if (r->header_sent && ngx_http_output_filter(r, NULL) == NGX_ERROR) {
        wake_flush(ctx, "client aborted");
        return;
    }
    if (is_pending(r)) {
        (void) await_write(r);
        return;
    }
    if (wev->timer_set && !wev->delayed) {
        ngx_del_timer(wev);
    }
    wake_flush(ctx, NULL);
}


int
http_eof(lua_State *L)
{
    http_ctx_t *ctx = http_lua_ctx(L, HTTP_RESPONDING);
    const char *reason = refuse(ctx);
    if (reason != NULL) {
        return resolua_fail(L, reason);
    }
    const ngx_int_t rc = http_output_end(ctx);
    if (rc == NGX_ERROR || rc > NGX_OK) {
        return resolua_fail(L, "nginx output filter error");
    }
    ctx->request->write_event_handler = http_output_on_write;
    if (ctx->request == ctx->request->main && is_pending(ctx->request)) {
        (void) await_write(ctx->request);
    }
    return succeed(L);
}


int
http_send_headers(lua_State *L)
{
    http_ctx_t *ctx = http_lua_ctx(L, HTTP_RESPONDING);
    if (ctx->is_raw) {
        return resolua_fail(L, refuse(ctx));
    }
    const ngx_int_t rc = output_header(ctx);
    if (rc == NGX_ERROR || rc > NGX_OK) {
        return resolua_fail(L, "nginx output filter error");
    }
    return succeed(L);
}
