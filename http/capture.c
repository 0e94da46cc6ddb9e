#include "http/private/capture.h"

#include "http/private/api.h"
#include "http/private/phases.h"

enum {
    BODY_FIRST = 4096,         /* octets: room for a body of unknown size */
    BODY_TRUSTED = 1024 * 1024 /* octets: of a Content-Length that may lie */
};

static ngx_http_output_header_filter_pt next_header_filter;
static ngx_http_output_body_filter_pt next_body_filter;

static ngx_int_t on_finalize(ngx_http_request_t *sr, void *data, ngx_int_t rc);


static http_capture_t *
capture_of(const ngx_http_request_t *r)
{
    return r->post_subrequest != NULL &&
                   r->post_subrequest->handler == on_finalize
               ? r->post_subrequest->data
               : NULL;
}


static void
free_bodies(void *data)
{
    http_captures_t *group = data;
    for (ngx_uint_t i = 0; i < group->count; i++) {
        if (group->captures[i].body != NULL) {
            ngx_free(group->captures[i].body);
            group->captures[i].body = NULL;
        }
    }
}


http_captures_t *
http_captures_new(http_ctx_t *ctx, ngx_uint_t count)
{
    ngx_pool_t *pool = ctx->base.pool;
    http_captures_t *group =
        ngx_pcalloc(pool, sizeof(*group) + count * sizeof(http_capture_t));
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(pool, 0);
    if (group == NULL || cleanup == NULL) {
        return NULL;
    }
    group->ctx = ctx;
    group->count = count;
    ngx_queue_init(&group->ready);
    for (ngx_uint_t i = 0; i < count; i++) {
        group->captures[i].group = group;
    }
    cleanup->handler = free_bodies;
    cleanup->data = group;
    return group;
}


ngx_int_t
http_capture_start(http_capture_t *capture, ngx_str_t *uri, ngx_str_t *args)
{
    ngx_http_request_t *r = capture->group->ctx->request;
    ngx_http_post_subrequest_t *ps = ngx_palloc(r->pool, sizeof(*ps));
    if (ps == NULL) {
        return NGX_ERROR;
    }
    ps->handler = on_finalize;
    ps->data = capture;
    const ngx_int_t rc = ngx_http_subrequest(
        r, uri, args, &capture->request, ps, NGX_HTTP_SUBREQUEST_BACKGROUND);
    if (rc == NGX_OK) {
        capture->group->pending++;
        capture->request->discard_body = 0; /* the client's, not this one's */
    }
    return rc;
}


/* The response's last octets have come, or will never. */
static void
finish(http_capture_t *capture)
{
    http_captures_t *group = capture->group;
    const ngx_http_request_t *sr = capture->request;
    const ngx_http_headers_out_t *out = &sr->headers_out;
    capture->is_done = 1;
    if (capture->has_header) {
        capture->status = out->status;
        capture->is_truncated =
            capture->is_truncated ||
            (!capture->has_end && !sr->header_only &&
             out->content_length_n != (off_t) capture->size);
    }
    capture->request->write_event_handler = ngx_http_request_empty_handler;
    ngx_event_t *wev = sr->connection->write;
    if (wev->timer_set && !wev->delayed && !sr->connection->buffered) {
        ngx_del_timer(wev); /* nginx's, while this waited for others of it */
    }
    group->pending--;
    if (group->pending == 0 && group->waiter != NULL) {
        ngx_queue_insert_tail(&group->ctx->captured, &group->ready);
        (void) ngx_http_post_request(group->ctx->request, &group->posted);
    }
}


/* nginx ends the subrequest with rc.  A status without a response is what the
   script gets; error pages are for clients. */
static ngx_int_t
on_finalize(ngx_http_request_t *sr, void *data, ngx_int_t rc)
{
    http_capture_t *capture = data;
    const int fails = rc == NGX_ERROR;
    if (capture->is_done) {
        return NGX_OK;
    }
    if (sr->connection->error || rc == NGX_HTTP_REQUEST_TIME_OUT ||
        rc == NGX_HTTP_CLIENT_CLOSED_REQUEST || rc == NGX_HTTP_CLOSE) {
        return rc; /* the whole request ends */
    }
    if (!fails && (sr->buffered || sr->postponed)) {
        return rc; /* there will be another end */
    }
    capture->status = fails         ? NGX_HTTP_INTERNAL_SERVER_ERROR
                      : rc > NGX_OK ? (ngx_uint_t) rc
                                    : NGX_HTTP_OK;
    capture->is_truncated = fails || rc >= NGX_HTTP_SPECIAL_RESPONSE;
    finish(capture);
    return NGX_OK;
}


static int
push_captured(lua_State *L, const http_capture_t *capture)
{
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, (lua_Integer) capture->status);
    lua_setfield(L, -2, "status");
    lua_pushlstring(L, (const char *) capture->body, capture->size);
    lua_setfield(L, -2, "body");
    lua_pushboolean(L, capture->is_truncated);
    lua_setfield(L, -2, "truncated");
    lua_createtable(L, 0, 4);
    http_resp_push_headers(L, capture->request);
    lua_setfield(L, -2, "header");
    return 1;
}


static int
push_all(lua_State *L, const http_captures_t *group)
{
    if (!lua_checkstack(L, (int) group->count + LUA_MINSTACK)) {
        return 0;
    }
    for (ngx_uint_t i = 0; i < group->count; i++) {
        (void) push_captured(L, &group->captures[i]);
    }
    return (int) group->count;
}


static void
forget_waiter(void *data)
{
    http_captures_t *group = data;
    group->waiter = NULL;
    ngx_queue_remove(&group->ready);
    ngx_queue_init(&group->ready);
}


int
http_captures_wait(lua_State *L, http_captures_t *group)
{
    group->waiter = resolua_thread(L);
    resolua_thread_pin(group->waiter);
    return resolua_thread_sleep(group->waiter, forget_waiter, group);
}


void
http_capture_wake(http_ctx_t *ctx)
{
    http_captures_t *group =
        ngx_queue_data(ngx_queue_head(&ctx->captured), http_captures_t, ready);
    resolua_thread_t *t = group->waiter;
    forget_waiter(group);
    if (!ngx_queue_empty(&ctx->captured)) {
        /* nginx posts a request once only: the others wait for another turn. */
        (void) ngx_http_post_request(ctx->request, NULL);
    }
    lua_State *L = resolua_thread_state(t);
    const int count = push_all(L, group);
    free_bodies(group);
    http_wake_quietly(ctx, t, count);
}


/* A module that answers a captured subrequest may have made one of its own,
   which nginx would wait with till its turn to write to the client comes.  It
   ends in the background as well, and its text is part of the captured. */
typedef struct {
    ngx_http_post_subrequest_t here;
    ngx_http_post_subrequest_t *before; /* what the module wants, or NULL */
} inner_t;


static http_capture_t *
capture_around(const ngx_http_request_t *r)
{
    http_capture_t *capture = NULL;
    while (r != r->main && capture == NULL) {
        r = r->parent;
        capture = r != r->main ? capture_of(r) : NULL;
    }
    return capture;
}


static void
leave_parent(const ngx_http_request_t *r)
{
    ngx_http_postponed_request_t **link = &r->parent->postponed;
    while (*link != NULL && (*link)->request != r) {
        link = &(*link)->next;
    }
    if (*link != NULL) {
        *link = (*link)->next;
    }
}


static ngx_int_t
on_inner_end(ngx_http_request_t *r, void *data, ngx_int_t rc)
{
    const inner_t *inner = data;
    if (inner->before != NULL) {
        rc = inner->before->handler(r, inner->before->data, rc);
    }
    if (!r->buffered && !r->postponed) {
        leave_parent(r);
        (void) ngx_http_post_request(r->parent, NULL);
    }
    return rc;
}


/* A subrequest within a captured one begins its response. */
static ngx_int_t
take_in(ngx_http_request_t *r)
{
    inner_t *inner = ngx_palloc(r->pool, sizeof(*inner));
    if (inner == NULL) {
        return NGX_ERROR;
    }
    inner->here.handler = on_inner_end;
    inner->here.data = inner;
    inner->before = r->post_subrequest;
    r->post_subrequest = &inner->here;
    r->background = 1;
    return NGX_OK;
}


static int
has_no_body(const ngx_http_request_t *r)
{
    return r->method == NGX_HTTP_HEAD ||
           r->headers_out.status == NGX_HTTP_NO_CONTENT ||
           r->headers_out.status == NGX_HTTP_NOT_MODIFIED;
}


/* Nothing of the response's header goes to the client. */
static ngx_int_t
begin_response(ngx_http_request_t *r)
{
    ngx_http_upstream_t *u = r->upstream;
    r->header_sent = 1;
    r->filter_need_in_memory = 1;
    if (has_no_body(r)) {
        r->header_only = 1;
    }
    if (u != NULL && u->upgrade) { /* it would take the client's connection */
        return NGX_ERROR;
    }
    if (u != NULL && !u->cacheable && !u->store) {
        /* A buffered upstream waits till the client takes what it has, which
           it asks the connection about. */
        u->buffering = 0;
    }
    return NGX_OK;
}


static ngx_int_t
header_filter(ngx_http_request_t *r)
{
    if (r == r->main) {
        return next_header_filter(r);
    }
    http_capture_t *capture = capture_of(r);
    if (capture != NULL) {
        capture->has_header = 1;
        return begin_response(r);
    }
    if (r->background || capture_around(r) == NULL) {
        return next_header_filter(r);
    }
    if (take_in(r) != NGX_OK) {
        return NGX_ERROR;
    }
    return r->subrequest_in_memory ? next_header_filter(r) : begin_response(r);
}


/* Room for size octets more. */
static ngx_int_t
make_room(http_capture_t *capture, size_t size)
{
    const off_t length = capture->request->headers_out.content_length_n;
    if (size <= capture->room - capture->size) {
        return NGX_OK;
    }
    size_t room = 2 * capture->room;
    if (capture->room == 0) {
        room = length > 0 ? (size_t) ngx_min(length, BODY_TRUSTED) : BODY_FIRST;
    }
    room = ngx_max(room, capture->size + size);
    u_char *body = realloc(capture->body, room);
    if (body == NULL) {
        return NGX_ERROR;
    }
    capture->body = body;
    capture->room = room;
    return NGX_OK;
}


static ngx_int_t
take(http_capture_t *capture, ngx_buf_t *b)
{
    if (ngx_buf_in_memory(b)) {
        const size_t size = (size_t) (b->last - b->pos);
        if (make_room(capture, size) != NGX_OK) {
            return NGX_ERROR;
        }
        if (size > 0) {
            ngx_memcpy(capture->body + capture->size, b->pos, size);
        }
        capture->size += size;
    } else if (b->in_file && b->file_last > b->file_pos) {
        return NGX_ERROR; /* the copy filter has not done its work */
    }
    b->pos = b->last;
    b->file_pos = b->file_last;
    return NGX_OK;
}


static ngx_int_t
body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    http_capture_t *capture = r != r->main ? capture_of(r) : NULL;
    const int is_inner =
        capture == NULL && r != r->main && !r->subrequest_in_memory;
    if (is_inner) {
        capture = capture_around(r);
    }
    if (capture == NULL) {
        return next_body_filter(r, in);
    }
    for (; in != NULL; in = in->next) {
        if (take(capture, in->buf) != NGX_OK) {
            return NGX_ERROR;
        }
        const ngx_buf_t *b = in->buf;
        capture->has_end |= !is_inner && (b->last_buf || b->last_in_chain);
    }
    return NGX_OK;
}


void
http_capture_init(void)
{
    next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = header_filter;
    next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = body_filter;
}
