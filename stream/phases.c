#include "stream/phases.h"

#include <ngx_event.h>

#include "stream/context.h"
#include "stream/request_socket.h"
#include "stream/tcp.h"


static const stream_conf_t *
conf_of(const ngx_stream_session_t *s)
{
    return ngx_stream_get_module_srv_conf(s, ngx_stream_resolua_module);
}


/* The end of a chunk of preread or access, in a phase handler's terms. */
static ngx_int_t
phase_result(ngx_stream_session_t *s, ngx_int_t rc)
{
    const stream_context_t *context = stream_context_if_any(s);
    if (rc == NGX_ERROR && !context->request.exited) {
        return NGX_ERROR;
    }
    if (rc == NGX_OK || rc == NGX_DECLINED || rc == NGX_DONE) {
        return NGX_DECLINED;
    }
    return rc >= NGX_STREAM_OK ? rc : NGX_ERROR;
}


/* Does something of ours write after ngx.eof()?  Then it is told so. */
static ngx_uint_t
has_content(const ngx_stream_session_t *s)
{
    const ngx_stream_core_srv_conf_t *core =
        ngx_stream_get_module_srv_conf(s, ngx_stream_core_module);
    return core->handler == phases_content;
}


/* What a phase leaves for nginx: NGX_DECLINED: go on; else the session's end,
   which waits for what has been written. */
static ngx_int_t
leave_phase(ngx_stream_session_t *s, ngx_int_t rc)
{
    const stream_context_t *context = stream_context_if_any(s);
    rc = phase_result(s, rc);
    if (rc == NGX_DECLINED && context->eof && !has_content(s)) {
        rc = NGX_STREAM_OK;
    }
    if (rc < NGX_STREAM_OK || context->output == NULL) {
        return rc;
    }
    stream_finish(s, (ngx_uint_t) rc);
    return NGX_DONE;
}


/* A phase that slept is over. */
static void
phase_ended(ngx_stream_session_t *s, ngx_int_t rc)
{
    ngx_connection_t *c = s->connection;
    rc = leave_phase(s, rc);
    if (rc == NGX_DONE) {
        return;
    }
    if (rc != NGX_DECLINED) {
        stream_finish(s, rc == NGX_ERROR ? NGX_STREAM_INTERNAL_SERVER_ERROR
                                         : (ngx_uint_t) rc);
        return;
    }
    s->phase_handler++;
    c->read->handler = ngx_stream_session_handler;
    ngx_stream_core_run_phases(s);
}


/* What comes meanwhile stays in the socket. */
static void
hold_reading(ngx_connection_t *c)
{
    c->read->handler = stream_on_event;
    c->write->handler = stream_on_event;
}


static ngx_int_t
run_phase(ngx_stream_session_t *s, const stream_code_t *code, ngx_uint_t phase)
{
    if (code == NULL) {
        return NGX_DECLINED;
    }
    const ngx_int_t rc = stream_run(s, code, phase, phase_ended);
    if (rc == NGX_AGAIN) {
        hold_reading(s->connection);
        stream_watch_client(stream_context_if_any(s));
        return NGX_DONE;
    }
    return stream_context_if_any(s) != NULL ? leave_phase(s, rc) : NGX_ERROR;
}


static ngx_int_t
access_handler(ngx_stream_session_t *s)
{
    return run_phase(s, conf_of(s)->access, RESOLUA_ACCESS);
}


/* Before nginx's own handler, which begins the TLS handshake. */
static ngx_int_t
admission_handler(ngx_stream_session_t *s)
{
    const stream_conf_t *conf = conf_of(s);
    return conf->serve && s->connection->type == SOCK_STREAM
               ? tcp_admit(s, conf)
               : NGX_DECLINED;
}


static ngx_int_t
preread_handler(ngx_stream_session_t *s)
{
    stream_context_t *context = stream_context_if_any(s);
    if (context != NULL && context->request.entry != NULL &&
        context->request.phase == RESOLUA_PREREAD) {
        return NGX_DONE; /* an event of the client's; the chunk sleeps */
    }
    return run_phase(s, conf_of(s)->preread, RESOLUA_PREREAD);
}


static ngx_int_t
log_handler(ngx_stream_session_t *s)
{
    const stream_conf_t *conf = conf_of(s);
    stream_context_t *context;
    if (conf->log == NULL) {
        return NGX_OK;
    }
    context = stream_context(s);
    if (context == NULL) {
        return NGX_ERROR;
    }
    resolua_run_abort(&context->request);
    if (stream_code_push(s, conf->log) == NGX_OK) {
        (void) resolua_run_function_sync(&context->request, 0, RESOLUA_LOG, 0);
    }
    return NGX_OK;
}


static void
content_ended(ngx_stream_session_t *s, ngx_int_t rc)
{
    const stream_context_t *context = stream_context_if_any(s);
    ngx_uint_t status = NGX_STREAM_OK;
    if (context == NULL || (rc == NGX_ERROR && !context->request.exited)) {
        status = NGX_STREAM_INTERNAL_SERVER_ERROR;
    } else if (rc >= NGX_STREAM_OK) {
        status = (ngx_uint_t) rc;
    } else if (rc == NGX_ERROR) {
        status = NGX_STREAM_INTERNAL_SERVER_ERROR;
    }
    stream_finish(s, status);
}


void
phases_content(ngx_stream_session_t *s)
{
    hold_reading(s->connection);
    const ngx_int_t rc =
        stream_run(s, conf_of(s)->content, RESOLUA_CONTENT, content_ended);
    if (rc == NGX_AGAIN) {
        stream_watch_client(stream_context_if_any(s));
    } else {
        content_ended(s, rc);
    }
}


/* nginx runs a phase's handlers from the last added to the first. */
static ngx_int_t
add_handler(const ngx_stream_core_main_conf_t *core, ngx_stream_phases phase,
            ngx_stream_handler_pt handler, ngx_uint_t is_last)
{
    ngx_array_t *list = (ngx_array_t *) &core->phases[phase].handlers;
    ngx_stream_handler_pt *h = ngx_array_push(list);
    if (h == NULL) {
        return NGX_ERROR;
    }
    if (is_last) {
        ngx_stream_handler_pt *first = list->elts;
        ngx_memmove(first + 1, first, (list->nelts - 1) * sizeof(*first));
        h = first;
    }
    *h = handler;
    return NGX_OK;
}


ngx_int_t
phases_postconfiguration(ngx_conf_t *cf, ngx_flag_t no_postpone)
{
    const ngx_stream_core_main_conf_t *core =
        ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);
    if (add_handler(core, NGX_STREAM_ACCESS_PHASE, access_handler, 1) !=
            NGX_OK ||
        add_handler(core, NGX_STREAM_SSL_PHASE, admission_handler, 0) !=
            NGX_OK ||
        add_handler(core, NGX_STREAM_PREREAD_PHASE, preread_handler,
                    !no_postpone) != NGX_OK ||
        add_handler(core, NGX_STREAM_LOG_PHASE, log_handler, 0) != NGX_OK) {
        return NGX_ERROR;
    }
    return NGX_OK;
}


/* A preread handler that has found what it looks for (ssl_preread: the name)
   ends the phase: it goes on to ours instead, if that comes last. */
void
phases_init_module(ngx_cycle_t *cycle)
{
    const ngx_stream_core_main_conf_t *core =
        ngx_stream_cycle_get_module_main_conf(cycle, ngx_stream_core_module);
    ngx_stream_phase_handler_t *all =
        core != NULL ? core->phase_engine.handlers : NULL;
    ngx_uint_t ours = 0;
    for (ngx_uint_t i = 0; all != NULL && all[i].checker != NULL; i++) {
        if (all[i].handler == preread_handler) {
            ours = i;
        }
    }
    for (ngx_uint_t i = 0; i < ours; i++) {
        if (all[i].checker == ngx_stream_core_preread_phase) {
            all[i].next = ours;
        }
    }
}
