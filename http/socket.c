/* ngx.req.socket: the body as it comes, or the whole connection (raw). */

#include "http/private/api.h"
#include "http/private/control.h"
#include "runtime/vm.h"


static const char *
refuse_body(const http_ctx_t *ctx)
{
    const ngx_http_request_t *r = ctx->request;
    return r->request_body != NULL || ctx->socket != NULL
               ? "request body already exists"
           : r->discard_body       ? "request body discarded"
           : r->headers_in.chunked ? "chunked request bodies not supported yet"
           : r->headers_in.content_length_n <= 0 ? "no body"
                                                 : NULL;
}


static const char *
refuse_raw(const http_ctx_t *ctx)
{
    const ngx_http_request_t *r = ctx->request;
    return ctx->socket != NULL ? "duplicate call"
           : r->discard_body   ? "request body discarded"
           : r->buffered || r->connection->buffered || ctx->output.first != NULL
               ? "pending data to write"
               : NULL;
}


/* A client that waits for it before it sends a body is told to go on. */
static ngx_int_t
send_continue(ngx_http_request_t *r)
{
    static u_char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    ngx_connection_t *c = r->connection;
    const ngx_table_elt_t *expect = r->headers_in.expect;
    if (r->expect_tested || expect == NULL ||
        r->http_version < NGX_HTTP_VERSION_11) {
        return NGX_OK;
    }
    r->expect_tested = 1;
    if (expect->value.len != sizeof("100-continue") - 1 ||
        ngx_strncasecmp(expect->value.data, (u_char *) "100-continue",
                        expect->value.len) != 0) {
        return NGX_OK;
    }
    return c->send(c, text, sizeof(text) - 1) == (ssize_t) sizeof(text) - 1
               ? NGX_OK
               : NGX_ERROR;
}


/* From now on the connection is the script's, till it is closed. */
static void
take_over(http_ctx_t *ctx)
{
    ngx_http_request_t *r = ctx->request;
    const ngx_http_core_loc_conf_t *clcf =
        ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    ctx->is_raw = 1;
    r->keepalive = 0;
    if (clcf->tcp_nodelay) {
        (void) ngx_tcp_nodelay(r->connection);
    }
}


int
http_req_socket(lua_State *L)
{
    http_ctx_t *ctx = http_lua_ctx(L, HTTP_RESPONDING);
    ngx_http_request_t *r = ctx->request;
    const int is_raw = lua_toboolean(L, 1);
    if (r != r->main) {
        return luaL_error(L, "attempt to read the request body in a "
                             "subrequest");
    }
    if (r->stream != NULL) {
        return resolua_fail(L, "http v2 not supported yet");
    }
    const char *reason = is_raw ? refuse_raw(ctx) : refuse_body(ctx);
    if (reason != NULL) {
        return resolua_fail(L, reason);
    }
    if (!is_raw && send_continue(r) != NGX_OK) {
        return resolua_fail(L, "client aborted");
    }
    const resolua_client_t client = {
        .connection = r->connection,
        .preread = r->header_in,
        .rest = is_raw ? NULL : &r->headers_in.content_length_n,
        .taken = &r->request_length,
        .is_raw = is_raw ? 1 : 0,
    };
    ctx->socket = resolua_client_socket_push(L, &ctx->base, &client);
    if (ctx->socket == NULL) {
        return resolua_fail(L, "no memory");
    }
    if (is_raw) {
        take_over(ctx);
    }
    http_control_watch(ctx);
    return 1;
}
