/* ngx.req: reading the request's body and looking at what has been read.
   body_write.c puts another in its place. */

#include "http/private/api.h"
#include "http/private/control.h"
#include "http/private/phases.h"


/* nginx has the whole body. */
static void
on_body(ngx_http_request_t *r)
{
    http_ctx_t *ctx = http_ctx_find(r);
    if (ctx == NULL || !ctx->body_pending) {
        return; /* within http_body_read: nothing sleeps */
    }
    ctx->body_pending = 0;
    if (ctx->body_waiter != NULL) {
        resolua_thread_t *t = ctx->body_waiter;
        ctx->body_waiter = NULL;
        http_control_watch(ctx); /* the chunk sleeps, or will again */
        resolua_thread_wake(t, 0);
        return;
    }
    if (ctx->reading_body) {
        ctx->reading_body = 0;
        http_phase_again(ctx);
    }
}


ngx_int_t
http_body_read(http_ctx_t *ctx)
{
    ngx_http_request_t *r = ctx->request;
    if (r->request_body != NULL || r->discard_body) {
        return ctx->body_pending ? NGX_AGAIN : NGX_OK;
    }
    r->request_body_in_single_buf = 1;
    r->request_body_in_persistent_file = 1;
    r->request_body_in_clean_file = 1;
    const ngx_int_t rc = ngx_http_read_client_request_body(r, on_body);
    if (rc != NGX_OK && rc != NGX_AGAIN) {
        return rc;
    }
    r->main->count--; /* nginx counts the body's reader: the phase holds us */
    ctx->body_pending = rc == NGX_AGAIN;
    return rc;
}


static void
forget_waiter(void *data)
{
    http_ctx_t *ctx = data;
    ctx->body_waiter = NULL;
}


/* ngx.req.read_body() */
static int
read_body(lua_State *L)
{
    http_ctx_t *ctx = http_lua_ctx(L, HTTP_RESPONDING);
    resolua_thread_t *t = resolua_thread(L);
    if (ctx->request != ctx->request->main) {
        return 0; /* nginx gives subrequests their body */
    }
    const ngx_int_t rc = http_body_read(ctx);
    if (rc == NGX_OK) {
        return 0;
    }
    if (rc != NGX_AGAIN) {
        return resolua_run_exit(L, rc);
    }
    if (ctx->body_waiter != NULL) {
        return luaL_error(L, "another light thread reads the request body");
    }
    ctx->body_waiter = t;
    return resolua_thread_sleep(t, forget_waiter, ctx);
}


/* ngx.req.discard_body() */
static int
discard_body(lua_State *L)
{
    http_ctx_t *ctx = http_lua_ctx(L, HTTP_RESPONDING);
    const ngx_int_t rc = ngx_http_discard_request_body(ctx->request);
    ctx->body_discarded = 1;
    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? resolua_run_exit(L, rc) : 0;
}


void
http_body_push(lua_State *L, const ngx_http_request_t *r, size_t max)
{
    const ngx_http_request_body_t *body = r->request_body;
    if (body == NULL || body->temp_file != NULL || body->bufs == NULL) {
        lua_pushnil(L);
        return;
    }
    luaL_Buffer text;
    size_t size = 0;
    luaL_buffinit(L, &text);
    for (const ngx_chain_t *cl = body->bufs; cl != NULL; cl = cl->next) {
        size_t part = (size_t) (cl->buf->last - cl->buf->pos);
        if (max > 0 && part > max - size) {
            part = max - size;
        }
        luaL_addlstring(&text, (const char *) cl->buf->pos, part);
        size += part;
    }
    luaL_pushresult(&text);
    if (size == 0) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
}


/* ngx.req.get_body_data(max?): nil where there is none, or in a file. */
static int
get_body_data(lua_State *L)
{
    const ngx_http_request_t *r =
        http_lua_request(L, HTTP_RESPONDING | HTTP_FILTERING | RESOLUA_LOG);
    const lua_Integer max = luaL_optinteger(L, 1, 0);
    luaL_argcheck(L, max >= 0, 1, "octets expected");
    http_body_push(L, r, (size_t) max);
    return 1;
}


/* ngx.req.get_body_file(): the name of the file that holds the body, or nil. */
static int
get_body_file(lua_State *L)
{
    const ngx_http_request_t *r =
        http_lua_request(L, HTTP_RESPONDING | HTTP_FILTERING | RESOLUA_LOG);
    const ngx_http_request_body_t *body = r->request_body;
    if (body == NULL || body->temp_file == NULL) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, (const char *) body->temp_file->file.name.data,
                        body->temp_file->file.name.len);
    }
    return 1;
}


void
http_body_setup(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"read_body", read_body},
        {"discard_body", discard_body},
        {"get_body_data", get_body_data},
        {"get_body_file", get_body_file},
        {NULL, NULL},
    };
    luaL_register(L, NULL, functions);
    http_body_write_setup(L);
}
