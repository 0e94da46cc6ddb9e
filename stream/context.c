#include "stream/context.h"

#include <ngx_event.h>

#include "runtime/vm.h"
#include "runtime/wait.h"
#include "stream/output.h"
#include "stream/request_socket.h"
#include "stream/variable.h"


enum { CLIENT_CLOSED = 499 }; /* the session's status, as in HTTP */


static void
resumed(resolua_request_t *r, ngx_int_t rc)
{
    stream_context_t *context = r->data;
    context->ended(context->session, rc);
}


static ngx_connection_t *
client_connection(const resolua_request_t *r)
{
    const stream_context_t *context = r->data;
    return context->session->connection;
}


static void *
nginx_session(const resolua_request_t *r)
{
    const stream_context_t *context = r->data;
    return context->session;
}


static ngx_connection_t *
upstream_connection(const resolua_request_t *r)
{
    const stream_context_t *context = r->data;
    const ngx_stream_upstream_t *u = context->session->upstream;
    return u != NULL ? u->peer.connection : NULL;
}


static ngx_uint_t
watches_client(const resolua_request_t *r)
{
    const stream_context_t *context = r->data;
    const stream_conf_t *conf = ngx_stream_get_module_srv_conf(
        context->session, ngx_stream_resolua_module);
    return conf->check_client_abort &&
           context->session->connection->type == SOCK_STREAM;
}


/* ngx.status: 0 until the session is over, unless the script says otherwise */
static int
field_get(lua_State *L)
{
    const stream_context_t *context = resolua_request(L)->data;
    if (ngx_strcmp(lua_tostring(L, 2), "status") != 0) {
        return 0;
    }
    lua_pushinteger(L, (lua_Integer) context->session->status);
    return 1;
}


static int
field_set(lua_State *L)
{
    const stream_context_t *context = resolua_request(L)->data;
    if (ngx_strcmp(lua_tostring(L, 2), "status") != 0) {
        lua_rawset(L, 1);
        return 0;
    }
    context->session->status = (ngx_uint_t) luaL_checkinteger(L, 3);
    return 0;
}


static const resolua_host_t host = {
    .subsystem = "stream",
    .print = output_print,
    .say = output_say,
    .flush = output_flush,
    .eof = output_eof,
    .var_get = variable_get,
    .variable = variable_find,
    .var_set = variable_set,
    .req_socket = request_socket,
    .watches_client = watches_client,
    .index = field_get,
    .newindex = field_set,
    .connection = client_connection,
    .nginx = nginx_session,
    .upstream = upstream_connection,
    .resumed = resumed,
};

const resolua_host_t stream_proxy_ssl_host = {
    .subsystem = "stream",
    .var_get = variable_get,
    .variable = variable_find,
    .var_set = variable_set,
    .index = field_get,
    .newindex = field_set,
    .connection = client_connection,
    .nginx = nginx_session,
    .upstream = upstream_connection,
    .resumed = resolua_ssl_resumed,
};


static void
clean_up(void *data)
{
    stream_context_t *context = data;
    resolua_request_end(&context->request);
    if (context->read_timer.timer_set) {
        ngx_del_timer(&context->read_timer);
    }
    if (context->output != NULL) {
        ngx_free(context->output);
    }
}


static void on_read_timer(ngx_event_t *ev);


stream_context_t *
stream_context(ngx_stream_session_t *s)
{
    stream_context_t *context = stream_context_if_any(s);
    ngx_connection_t *c = s->connection;
    if (context != NULL) {
        return context;
    }
    ngx_pool_cleanup_t *cleanup =
        ngx_pool_cleanup_add(c->pool, sizeof(*context));
    if (cleanup == NULL) {
        return NULL;
    }
    context = cleanup->data;
    ngx_memzero(context, sizeof(*context));
    resolua_request_init(&context->request, &host, context, c->pool, c->log);
    const stream_conf_t *conf =
        ngx_stream_get_module_srv_conf(s, ngx_stream_resolua_module);
    context->request.sockets = &conf->sockets;
    context->session = s;
    context->send_timeout = conf->sockets.send_timeout;
    context->read_timer.handler = on_read_timer;
    context->read_timer.data = context;
    context->read_timer.log = c->log;
    cleanup->handler = clean_up;
    ngx_stream_set_ctx(s, context, ngx_stream_resolua_module);
    return context;
}


stream_context_t *
stream_context_of(lua_State *L)
{
    resolua_request_t *r = resolua_request(L);
    if (r->host != &host && r->host != &stream_proxy_ssl_host) {
        luaL_error(L, "no stream session found");
    }
    return r->data;
}


/* While Lua has the session: what comes from the client waits. */
ngx_int_t
stream_run(ngx_stream_session_t *s, const stream_code_t *code, ngx_uint_t phase,
           void (*ended)(ngx_stream_session_t *, ngx_int_t))
{
    stream_context_t *context = stream_context(s);
    if (context == NULL || stream_code_push(s, code) != NGX_OK) {
        return NGX_ERROR;
    }
    context->ended = ended;
    return resolua_run_function(&context->request, 0, phase);
}


void
stream_finish(ngx_stream_session_t *s, ngx_uint_t status)
{
    stream_context_t *context = stream_context_if_any(s);
    ngx_connection_t *c = s->connection;
    if (context == NULL || context->output == NULL || context->output_failed ||
        status == NGX_STREAM_INTERNAL_SERVER_ERROR) {
        ngx_stream_finalize_session(s, status);
        return;
    }
    context->finishing = 1;
    context->finish_status = status;
    c->read->handler = c->write->handler = stream_on_event;
    ngx_add_timer(c->write, context->send_timeout);
}


static void
wake_writer(stream_context_t *context)
{
    resolua_thread_t *t = context->writer;
    lua_State *L = resolua_thread_state(t);
    context->writer = NULL;
    const int count = output_push_result(context, L, context->writer_result);
    resolua_thread_wake(t, count);
}


static void
on_writable(stream_context_t *context)
{
    ngx_connection_t *c = context->session->connection;
    if (c->write->timedout) {
        c->write->timedout = 0;
        context->output_failed = 1;
    } else {
        output_send(context);
    }
    if (context->output != NULL && !context->output_failed) {
        if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
            context->output_failed = 1;
        } else {
            return;
        }
    }
    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }
    if (context->finishing) {
        ngx_stream_finalize_session(context->session, context->finish_status);
    } else if (context->writer != NULL) {
        wake_writer(context);
    }
}


/* Nobody reads: has the client gone? */
static void
check_client(stream_context_t *context)
{
    ngx_connection_t *c = context->session->connection;
    if (context->request.entry == NULL || context->finishing ||
        !watches_client(&context->request) || !resolua_client_is_gone(c)) {
        return;
    }
    ngx_log_error(NGX_LOG_INFO, c->log, 0,
                  "client prematurely closed connection");
    if (resolua_run_client_gone(&context->request) == NGX_DECLINED) {
        resolua_run_abort(&context->request);
        ngx_stream_finalize_session(context->session, CLIENT_CLOSED);
    }
}


void
stream_watch_client(const stream_context_t *context)
{
    ngx_event_t *rev = context->session->connection->read;
    if (!watches_client(&context->request)) {
        return;
    }
    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_events); /* it may have gone before */
    } else {
        (void) ngx_handle_read_event(rev, 0);
    }
}


static void
on_readable(stream_context_t *context)
{
    ngx_connection_t *c = context->session->connection;
    resolua_thread_t *t = context->reader;
    if (t == NULL) {
        check_client(context);
        return;
    }
    const int count =
        context->read_step(context->read_data, resolua_thread_state(t));
    if (count == 0) {
        if (!c->shared) {
            (void) ngx_handle_read_event(c->read, 0);
        }
        return;
    }
    if (context->read_timer.timer_set) {
        ngx_del_timer(&context->read_timer);
    }
    context->read_timer.timedout = 0;
    context->reader = NULL;
    resolua_thread_wake(t, count);
}


void
stream_count_preread(ngx_stream_session_t *s)
{
    const ngx_buf_t *b = s->connection->buffer;
    if (b != NULL && s->received < b->last - b->start) {
        s->received = b->last - b->start;
    }
}


void
stream_start_read_timer(stream_context_t *context, ngx_msec_t timeout)
{
    const ngx_stream_core_srv_conf_t *core = ngx_stream_get_module_srv_conf(
        context->session, ngx_stream_core_module);
    if (context->request.phase == RESOLUA_PREREAD) {
        if (context->preread_end == 0) {
            context->preread_end = ngx_current_msec + core->preread_timeout;
        }
        const ngx_msec_int_t left =
            (ngx_msec_int_t) (context->preread_end - ngx_current_msec);
        timeout = ngx_min(timeout, (ngx_msec_t) ngx_max(left, 0));
    }
    ngx_add_timer(&context->read_timer, timeout);
}


/* As nginx ends a session whose client does not send what is read ahead. */
static void
end_preread(stream_context_t *context)
{
    ngx_stream_session_t *s = context->session;
    ngx_log_error(NGX_LOG_INFO, s->connection->log, NGX_ETIMEDOUT,
                  "client timed out in preread_by_lua*");
    resolua_run_abort(&context->request);
    ngx_stream_finalize_session(s, NGX_STREAM_OK);
}


static void
on_read_timer(ngx_event_t *ev)
{
    stream_context_t *context = ev->data;
    const ngx_uint_t is_end =
        context->request.phase == RESOLUA_PREREAD &&
        (ngx_msec_int_t) (context->preread_end - ngx_current_msec) <= 0;
    if (context->reader == NULL) {
        return;
    }
    if (is_end) {
        end_preread(context);
    } else {
        on_readable(context); /* which finds that the timer is over */
    }
}


void
stream_on_event(ngx_event_t *ev)
{
    const ngx_connection_t *c = ev->data;
    stream_context_t *context = stream_context_if_any(c->data);
    if (ev->write) {
        on_writable(context);
    } else {
        on_readable(context);
    }
}
