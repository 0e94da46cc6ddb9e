/* ngx.exec, ngx.redirect, the status and how a request ends. */

#include "http/private/control.h"

#include "http/private/api.h"
#include "http/private/output.h"


/* The client is gone or shall see nothing. */
static int
ends_silently(ngx_int_t rc)
{
    return rc == NGX_HTTP_CLOSE || rc == NGX_HTTP_REQUEST_TIME_OUT ||
           rc == NGX_HTTP_CLIENT_CLOSED_REQUEST;
}


/* ngx.exit after a response with another status.  The same status is how many
   scripts end: ngx.status, ngx.say, ngx.exit. */
static void
refuse_status(const http_ctx_t *ctx, ngx_int_t rc)
{
    const ngx_uint_t sent = ctx->request->headers_out.status;
    if ((ngx_uint_t) rc != sent) {
        ngx_log_error(NGX_LOG_ERR, ctx->base.log, 0,
                      "attempt to set status %i via ngx.exit after sending out "
                      "the response status %ui",
                      rc, sent);
    }
}


void
http_control_note_status(ngx_http_request_t *r, ngx_int_t rc)
{
    if (r->headers_out.status == 0 && rc > NGX_OK) {
        r->headers_out.status = (ngx_uint_t) rc;
    }
}


ngx_int_t
http_control_end(http_ctx_t *ctx, ngx_int_t rc)
{
    ngx_http_request_t *r = ctx->request;
    if (rc < NGX_OK) {
        return ctx->base.exited || r->header_sent || ctx->is_raw
                   ? NGX_ERROR
                   : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (ends_silently(rc)) {
        return rc;
    }
    if (ctx->is_replaced || http_ctx_find(r) != ctx) {
        /* A filter has sent another response; a subrequest may be over. */
        return r != r->main && r->done ? NGX_DONE : NGX_ERROR;
    }
    if (ctx->is_raw) {
        return http_output_end(ctx);
    }
    if ((r->header_sent || ctx->output.first != NULL) &&
        rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        refuse_status(ctx, rc);
        rc = NGX_OK;
    }
    http_control_note_status(r, rc);
    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : http_output_end(ctx);
}


void
http_control_exec(http_ctx_t *ctx)
{
    ngx_str_t uri = ctx->exec.uri;
    ngx_str_null(&ctx->exec.uri);
    if (uri.data[0] == '@') {
        (void) ngx_http_named_location(ctx->request, &uri);
    } else {
        (void) ngx_http_internal_redirect(ctx->request, &uri, &ctx->exec.args);
    }
}


/* The client has sent octets or gone. */
static void
on_read(ngx_http_request_t *r)
{
    ngx_connection_t *c = r->connection;
    http_ctx_t *ctx = http_ctx_find(r);
    if (ctx != NULL && ctx->socket != NULL &&
        resolua_client_socket_reads(ctx->socket)) {
        resolua_client_socket_on_read(ctx->socket); /* it sees the end too */
        return;
    }
    if (!http_loc_conf(r)->check_client_abort) {
        if (ctx != NULL && r->stream != NULL && c->error) {
            http_output_gone(ctx);
        }
        return;
    }
    if (r->stream != NULL ? !c->error : !resolua_client_is_gone(c)) {
        return;
    }
    c->read->eof = 1;
    ngx_log_error(NGX_LOG_INFO, c->log, 0,
                  "client prematurely closed connection");
    r->read_event_handler = ngx_http_block_reading;
    if (ctx != NULL && resolua_run_client_gone(&ctx->base) == NGX_OK) {
        return;
    }
    c->error = 1;
    ngx_http_finalize_request(r, NGX_HTTP_CLIENT_CLOSED_REQUEST);
}


ngx_uint_t
http_control_watches(const resolua_request_t *base)
{
    const http_ctx_t *ctx = base->data;
    return ctx->request == ctx->request->main &&
           http_loc_conf(ctx->request)->check_client_abort;
}


void
http_control_watch(http_ctx_t *ctx)
{
    ngx_http_request_t *r = ctx->request;
    ngx_event_t *rev = r->connection->read;
    const ngx_uint_t checks = http_control_watches(&ctx->base);
    if (ctx->body_pending || r->discard_body ||
        (!checks && ctx->socket == NULL)) {
        return;
    }
    r->read_event_handler = on_read;
    if (!checks) {
        return;
    }
    if (r->stream == NULL && rev->ready) {
        ngx_post_event(rev, &ngx_posted_events); /* it may have gone before */
    } else if (r->stream == NULL) {
        (void) ngx_handle_read_event(rev, 0);
    }
}


void
http_control_watch_flush(ngx_http_request_t *r)
{
    if (r->stream != NULL && r->read_event_handler == ngx_http_block_reading) {
        r->read_event_handler = on_read;
    }
}


void
http_control_unwatch(ngx_http_request_t *r)
{
    if (r->read_event_handler == on_read) {
        r->read_event_handler = ngx_http_block_reading;
    }
}


static void
warn_of_args(const http_ctx_t *ctx, const char *name, size_t size)
{
    ngx_log_error(NGX_LOG_WARN, ctx->base.log, 0,
                  "query strings are ignored when exec'ing named location "
                  "%*s",
                  size, name);
}


/* ngx.exec(uri, args?) */
static int
control_exec(lua_State *L)
{
    http_ctx_t *ctx = http_lua_ctx(L, HTTP_RESPONDING);
    ngx_http_request_t *r = ctx->request;
    ngx_uint_t flags = 0;
    size_t size;
    const int count = lua_gettop(L);
    if (count != 1 && count != 2) {
        return luaL_error(L, "expecting one or two arguments, but got %d",
                          count);
    }
    resolua_run_check_exit(L, NGX_OK);
    const char *text = luaL_checklstring(L, 1, &size);
    if (size == 0) {
        return luaL_error(L, "The uri argument is empty");
    }
    if (r->header_sent) {
        return luaL_error(L, "attempt to call ngx.exec after sending out "
                             "response headers");
    }
    if (text[0] == '@' && memchr(text, '?', size) != NULL) {
        size = (size_t) ((const char *) memchr(text, '?', size) - text);
        warn_of_args(ctx, text, size);
    }
    ngx_str_t uri = {size, http_lua_copy(L, r, text, size)};
    ngx_str_t args = ngx_null_string;
    if (uri.data[0] != '@' &&
        ngx_http_parse_unsafe_uri(r, &uri, &args, &flags) != NGX_OK) {
        return luaL_error(L, "unsafe uri");
    }
    if (!lua_isnoneornil(L, 2) && uri.data[0] == '@') {
        warn_of_args(ctx, text, size);
    } else if (!lua_isnoneornil(L, 2)) {
        http_args_join(L, r, &args, 2);
    }
    if (http_args_escape(r, &args) != NGX_OK) {
        return luaL_error(L, "no memory");
    }
    ctx->exec.uri = uri;
    ctx->exec.args = args;
    return resolua_run_exit(L, NGX_OK);
}


/* ngx.redirect(uri, status?) */
static int
control_redirect(lua_State *L)
{
    ngx_http_request_t *r = http_lua_request(L, HTTP_RESPONDING);
    size_t size;
    if (lua_gettop(L) != 1 && lua_gettop(L) != 2) {
        return luaL_error(L, "expecting one or two arguments");
    }
    const char *uri = luaL_checklstring(L, 1, &size);
    const lua_Integer status =
        luaL_optinteger(L, 2, NGX_HTTP_MOVED_TEMPORARILY);
    resolua_run_check_exit(L, (ngx_int_t) status);
    if (status != 301 && status != 302 && status != 303 && status != 307 &&
        status != 308) {
        return luaL_error(L, "only ngx.HTTP_MOVED_TEMPORARILY, "
                             "ngx.HTTP_MOVED_PERMANENTLY, "
                             "ngx.HTTP_PERMANENT_REDIRECT, "
                             "ngx.HTTP_SEE_OTHER, and "
                             "ngx.HTTP_TEMPORARY_REDIRECT are allowed");
    }
    if (r->header_sent) {
        return luaL_error(L, "attempt to call ngx.redirect after sending out "
                             "the headers");
    }
    if (http_uri_push_unsafe(L, uri, size, "redirect uri")) {
        return luaL_error(L, "%s", lua_tostring(L, -1));
    }
    ngx_http_clear_location(r);
    ngx_table_elt_t *location = ngx_list_push(&r->headers_out.headers);
    if (location == NULL) {
        return luaL_error(L, "no memory");
    }
    location->hash = 1;
    ngx_str_set(&location->key, "Location");
    location->lowcase_key = (u_char *) "location";
    location->value.data = http_lua_copy(L, r, uri, size);
    location->value.len = size;
    if (size == 0 || uri[0] != '/') { /* else nginx would make it absolute */
        r->headers_out.location = location;
    }
    r->headers_out.status = (ngx_uint_t) status;
    return resolua_run_exit(L, (ngx_int_t) status);
}

static const struct {
    const char *name;
    int value;
} constants[] = {
    {"HTTP_GET", NGX_HTTP_GET},
    {"HTTP_HEAD", NGX_HTTP_HEAD},
    {"HTTP_POST", NGX_HTTP_POST},
    {"HTTP_PUT", NGX_HTTP_PUT},
    {"HTTP_DELETE", NGX_HTTP_DELETE},
    {"HTTP_MKCOL", NGX_HTTP_MKCOL},
    {"HTTP_COPY", NGX_HTTP_COPY},
    {"HTTP_MOVE", NGX_HTTP_MOVE},
    {"HTTP_OPTIONS", NGX_HTTP_OPTIONS},
    {"HTTP_PROPFIND", NGX_HTTP_PROPFIND},
    {"HTTP_PROPPATCH", NGX_HTTP_PROPPATCH},
    {"HTTP_LOCK", NGX_HTTP_LOCK},
    {"HTTP_UNLOCK", NGX_HTTP_UNLOCK},
    {"HTTP_PATCH", NGX_HTTP_PATCH},
    {"HTTP_TRACE", NGX_HTTP_TRACE},
    {"HTTP_CONTINUE", 100},
    {"HTTP_SWITCHING_PROTOCOLS", 101},
    {"HTTP_OK", 200},
    {"HTTP_CREATED", 201},
    {"HTTP_ACCEPTED", 202},
    {"HTTP_NO_CONTENT", 204},
    {"HTTP_PARTIAL_CONTENT", 206},
    {"HTTP_SPECIAL_RESPONSE", 300},
    {"HTTP_MOVED_PERMANENTLY", 301},
    {"HTTP_MOVED_TEMPORARILY", 302},
    {"HTTP_SEE_OTHER", 303},
    {"HTTP_NOT_MODIFIED", 304},
    {"HTTP_TEMPORARY_REDIRECT", 307},
    {"HTTP_PERMANENT_REDIRECT", 308},
    {"HTTP_BAD_REQUEST", 400},
    {"HTTP_UNAUTHORIZED", 401},
    {"HTTP_PAYMENT_REQUIRED", 402},
    {"HTTP_FORBIDDEN", 403},
    {"HTTP_NOT_FOUND", 404},
    {"HTTP_NOT_ALLOWED", 405},
    {"HTTP_NOT_ACCEPTABLE", 406},
    {"HTTP_REQUEST_TIMEOUT", 408},
    {"HTTP_CONFLICT", 409},
    {"HTTP_GONE", 410},
    {"HTTP_UPGRADE_REQUIRED", 426},
    {"HTTP_TOO_MANY_REQUESTS", 429},
    {"HTTP_CLOSE", 444},
    {"HTTP_ILLEGAL", 451},
    {"HTTP_INTERNAL_SERVER_ERROR", 500},
    {"HTTP_NOT_IMPLEMENTED", 501},
    {"HTTP_METHOD_NOT_IMPLEMENTED", 501},
    {"HTTP_BAD_GATEWAY", 502},
    {"HTTP_SERVICE_UNAVAILABLE", 503},
    {"HTTP_GATEWAY_TIMEOUT", 504},
    {"HTTP_VERSION_NOT_SUPPORTED", 505},
    {"HTTP_INSUFFICIENT_STORAGE", 507},
};


void
http_control_setup(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"exec", control_exec},
        {"redirect", control_redirect},
        {"send_headers", http_send_headers},
        {NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
        lua_pushinteger(L, constants[i].value);
        lua_setfield(L, -2, constants[i].name);
    }
    luaL_register(L, NULL, functions);
}
