/* From nginx's phases into Lua and back.  A chunk that sleeps gives the request
   to nginx's event loop; when it has ended, the phase engine calls the same
   handler again, which then tells how it ended. */

#include "http/private/phases.h"

#include "http/private/api.h"
#include "http/private/capture.h"
#include "http/private/control.h"
#include "http/private/output.h"
#include "http/private/ssl.h"


/* The file's name with its variables filled in, under the prefix. */
static ngx_int_t
fill_name(http_ctx_t *ctx, http_code_t *code, ngx_str_t *name)
{
    *name = code->code->path;
    if (code->file == NULL) {
        return NGX_OK;
    }
    if (ngx_http_complex_value(ctx->request, code->file, name) != NGX_OK) {
        return NGX_ERROR;
    }
    return ngx_get_full_name(ctx->request->pool,
                             (ngx_str_t *) &ngx_cycle->prefix, name);
}


/* NGX_ERROR: pushes why not. */
static ngx_int_t
find_path(http_ctx_t *ctx, http_code_t *code, char **path)
{
    ngx_str_t name;
    *path = NULL;
    if (fill_name(ctx, code, &name) == NGX_OK) {
        *path = ngx_pnalloc(ctx->request->pool, name.len + 1);
    }
    if (*path == NULL) {
        lua_pushliteral(resolua_vm, "no memory");
        return NGX_ERROR;
    }
    *ngx_cpymem(*path, name.data, name.len) = '\0';
    return NGX_OK;
}


ngx_int_t
http_code_push(http_ctx_t *ctx, http_code_t *code)
{
    const int is_file = code->code->path.len > 0;
    char *path = (char *) code->code->path.data;
    ngx_int_t rc = code->file != NULL ? find_path(ctx, code, &path) : NGX_OK;
    if (rc == NGX_OK && !http_loc_conf(ctx->request)->code_cache) {
        rc = resolua_code_push_fresh(resolua_vm, &ctx->base, code->code,
                                     is_file ? path : NULL);
    } else if (rc == NGX_OK) {
        rc = code->file != NULL ? resolua_code_push_file(resolua_vm, path, 1)
                                : resolua_code_push(resolua_vm, code->code);
    }
    if (rc == NGX_OK) {
        return NGX_OK;
    }
    ngx_log_error(NGX_LOG_ERR, ctx->base.log, 0, "failed to load %s: %s",
                  is_file ? "external Lua file" : "inlined Lua code",
                  resolua_error_text(resolua_vm));
    lua_pop(resolua_vm, 1);
    ngx_file_info_t info;
    return is_file && path != NULL &&
                   ngx_file_info(path, &info) == NGX_FILE_ERROR
               ? NGX_HTTP_NOT_FOUND
               : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* Runs the chunk, the body read first where the location wants it.  NGX_AGAIN:
   it sleeps; else how it ended, and whether by ngx.exit in base.exited. */
static ngx_int_t
run(http_ctx_t *ctx, http_code_t *code, ngx_uint_t phase)
{
    if (ctx->ended_phase == phase) {
        ctx->ended_phase = 0;
        return ctx->ended_rc;
    }
    ngx_int_t rc = NGX_OK;
    ctx->base.sockets = &http_loc_conf(ctx->request)->sockets;
    ctx->base.exited = 0;
    if (http_loc_conf(ctx->request)->need_request_body) {
        ctx->reading_body = 1;
        rc = http_body_read(ctx);
        ctx->reading_body = rc == NGX_AGAIN;
    }
    if (rc == NGX_OK) {
        rc = http_code_push(ctx, code);
    }
    if (rc != NGX_OK) {
        ctx->base.exited = 1; /* with a status, as by ngx.exit */
        return rc;
    }
    return resolua_run_function(&ctx->base, 0, phase);
}


static void
fall_asleep(http_ctx_t *ctx)
{
    ctx->asleep = 1;
    ctx->request->write_event_handler = http_output_on_write;
    http_control_watch(ctx);
}


/* What nginx's access phase decides on with what the other handlers say, as
   "satisfy any" has it. */
static ngx_uint_t
is_access_verdict(const http_ctx_t *ctx, ngx_int_t rc)
{
    return ctx->base.phase == RESOLUA_ACCESS &&
           (rc == NGX_HTTP_FORBIDDEN || rc == NGX_HTTP_UNAUTHORIZED);
}


/* With "satisfy any" others may still let the request in. */
static void
note_verdict(ngx_http_request_t *r, ngx_int_t rc)
{
    const ngx_http_core_loc_conf_t *clcf =
        ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    if (clcf->satisfy == NGX_HTTP_SATISFY_ALL) {
        http_control_note_status(r, rc);
    }
}


/* What a chunk before the content leaves for the phase engine. */
static ngx_int_t
end_phase(http_ctx_t *ctx, ngx_int_t rc)
{
    ngx_http_request_t *r = ctx->request;
    const ngx_uint_t has_written = r->header_sent || ctx->output.first != NULL;
    if (ctx->exec.uri.len > 0) {
        http_control_exec(ctx);
        ngx_http_finalize_request(r, NGX_DONE);
        return NGX_DONE;
    }
    if (!has_written && (rc == NGX_OK || rc == NGX_DECLINED)) {
        if (r->uri_changed) { /* by ngx.req.set_uri: a redirect */
            resolua_request_forget_ctx(&ctx->base);
        }
        return rc;
    }
    if (!has_written && is_access_verdict(ctx, rc)) {
        note_verdict(r, rc);
        return rc;
    }
    if (rc == NGX_DECLINED) { /* what has been written is the response */
        rc = NGX_OK;
    }
    ngx_http_finalize_request(r, http_control_end(ctx, rc));
    return NGX_DONE;
}


/* NGX_DECLINED: no chunk, or it has no say; NGX_OK: go on; NGX_DONE: sleeps or
   is over; of access a status, too. */
static ngx_int_t
run_phase(ngx_http_request_t *r, http_code_t *code, ngx_uint_t phase)
{
    if (code == NULL) {
        return NGX_DECLINED;
    }
    http_ctx_t *ctx = http_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (ctx->asleep) {
        return NGX_DONE;
    }
    const ngx_int_t rc = run(ctx, code, phase);
    if (rc == NGX_AGAIN) {
        fall_asleep(ctx);
        return NGX_DONE;
    }
    return end_phase(ctx, rc);
}


/* Here NGX_OK would end the request. */
static ngx_int_t
server_rewrite_handler(ngx_http_request_t *r)
{
    const http_srv_conf_t *conf =
        ngx_http_get_module_srv_conf(r, ngx_http_resolua_module);
    const ngx_int_t rc =
        run_phase(r, conf->server_rewrite, RESOLUA_SERVER_REWRITE);
    return rc == NGX_OK ? NGX_DECLINED : rc;
}


static ngx_int_t
rewrite_handler(ngx_http_request_t *r)
{
    const http_ctx_t *ctx = http_ctx_find(r);
    const ngx_uint_t has_slept =
        ctx != NULL && ctx->ended_phase == RESOLUA_REWRITE;
    if (r->uri_changed && !has_slept) {
        return NGX_DECLINED; /* by rewrite: this location is not the last one */
    }
    const ngx_int_t rc =
        run_phase(r, http_loc_conf(r)->rewrite, RESOLUA_REWRITE);
    return rc == NGX_OK ? NGX_DECLINED : rc;
}


static ngx_int_t
access_handler(ngx_http_request_t *r)
{
    return run_phase(r, http_loc_conf(r)->access, RESOLUA_ACCESS);
}


/* Here NGX_OK would leave out try_files. */
static ngx_int_t
precontent_handler(ngx_http_request_t *r)
{
    const ngx_int_t rc =
        run_phase(r, http_loc_conf(r)->precontent, RESOLUA_PRECONTENT);
    return rc == NGX_OK ? NGX_DECLINED : rc;
}


/* The rc for ngx_http_finalize_request. */
static ngx_int_t
end_content(http_ctx_t *ctx, ngx_int_t rc)
{
    if (ctx->exec.uri.len > 0) {
        http_control_exec(ctx);
        return NGX_DONE;
    }
    return http_control_end(ctx, rc);
}


ngx_int_t
http_content_handler(ngx_http_request_t *r)
{
    http_ctx_t *ctx = http_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    const ngx_int_t rc = run(ctx, http_loc_conf(r)->content, RESOLUA_CONTENT);
    if (rc == NGX_AGAIN) {
        fall_asleep(ctx);
        r->main->count++;
        return NGX_DONE;
    }
    return end_content(ctx, rc);
}


/* The phase engine stands where it stood: it calls the same handler again. */
void
http_phase_again(http_ctx_t *ctx)
{
    ngx_http_request_t *r = ctx->request;
    ctx->asleep = 0;
    http_control_unwatch(r);
    r->write_event_handler = ngx_http_core_run_phases;
    ngx_http_core_run_phases(r);
}


void
http_phase_resumed(resolua_request_t *base, ngx_int_t rc)
{
    http_ctx_t *ctx = base->data;
    if (http_ctx_find(ctx->request) != ctx) { /* a filter has redirected it */
        ngx_http_finalize_request(ctx->request, NGX_ERROR);
        return;
    }
    ctx->ended_phase = base->phase;
    ctx->ended_rc = rc;
    http_phase_again(ctx);
}


/* The connection whose posted requests nginx runs as soon as we return. */
static const void *settled_by_nginx;


void
http_phase_settle(void *connection)
{
    if (connection != settled_by_nginx) {
        ngx_http_run_posted_requests(connection);
    }
}


void
http_wake_quietly(const http_ctx_t *ctx, resolua_thread_t *t, int nresults)
{
    const void *before = settled_by_nginx;
    settled_by_nginx = ctx->base.owner;
    resolua_thread_wake(t, nresults);
    settled_by_nginx = before;
}


static ngx_int_t
log_handler(ngx_http_request_t *r)
{
    http_code_t *code = http_loc_conf(r)->log;
    if (code == NULL) {
        return NGX_OK;
    }
    http_ctx_t *ctx = http_ctx(r);
    if (ctx == NULL || http_code_push(ctx, code) != NGX_OK) {
        return NGX_ERROR;
    }
    return resolua_run_function_sync(&ctx->base, 0, RESOLUA_LOG, 0);
}


/* nginx calls a phase's handlers from the last in the array to the first: the
   tail of the phase is at its start.  (The log's go from the first on.) */
static ngx_int_t
add_handler(ngx_conf_t *cf, ngx_uint_t phase, ngx_http_handler_pt handler,
            int at_start)
{
    ngx_http_core_main_conf_t *cmcf =
        ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    ngx_array_t *list = &cmcf->phases[phase].handlers;
    if (ngx_array_push(list) == NULL) {
        return NGX_ERROR;
    }
    ngx_http_handler_pt *handlers = list->elts;
    ngx_uint_t place = list->nelts - 1;
    for (; at_start && place > 0; place--) {
        handlers[place] = handlers[place - 1];
    }
    handlers[place] = handler;
    return NGX_OK;
}


ngx_int_t
http_phases_init(ngx_conf_t *cf)
{
    const http_main_conf_t *conf =
        ngx_http_conf_get_module_main_conf(cf, ngx_http_resolua_module);
    const struct {
        ngx_uint_t used;
        ngx_uint_t phase;
        ngx_http_handler_pt handler;
        ngx_flag_t no_postpone;
    } all[] = {
        {RESOLUA_SERVER_REWRITE, NGX_HTTP_SERVER_REWRITE_PHASE,
         server_rewrite_handler, 0},
        {RESOLUA_REWRITE, NGX_HTTP_REWRITE_PHASE, rewrite_handler,
         conf->rewrite_no_postpone},
        {RESOLUA_ACCESS, NGX_HTTP_ACCESS_PHASE, access_handler,
         conf->access_no_postpone},
        {RESOLUA_PRECONTENT, NGX_HTTP_PRECONTENT_PHASE, precontent_handler,
         conf->precontent_no_postpone},
        {RESOLUA_LOG, NGX_HTTP_LOG_PHASE, log_handler, 0},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if ((conf->used & all[i].used) &&
            add_handler(cf, all[i].phase, all[i].handler,
                        !all[i].no_postpone) != NGX_OK) {
            return NGX_ERROR;
        }
    }
    if (http_ssl_watch_servers(cf) != NGX_OK) {
        return NGX_ERROR;
    }
    http_capture_init();
    return http_filters_init(conf);
}
