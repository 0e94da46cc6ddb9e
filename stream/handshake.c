#include "stream/handshake.h"

#include <ngx_event.h>
#include <ngx_stream_ssl_module.h>

#include "runtime/vm.h"
#include "runtime/wait.h"
#include "stream/output.h"


/* Nothing can be said to the client any more, neither in TLS nor in plain. */
static void
give_up(stream_context_t *context)
{
    ngx_connection_t *c = context->session->connection;
    context->output_failed = 1;
    (void) shutdown(c->fd, SHUT_RDWR);
}


/* The handshake has ended: the connection's events are ours again. */
static int
push_result(lua_State *L, stream_context_t *context)
{
    ngx_connection_t *c = context->session->connection;
    const char *reason = c->read->timedout || c->write->timedout ? "timeout"
                         : !c->ssl->handshaked ? "handshake failed"
                                               : NULL;
    context->in_handshake = 0;
    c->read->handler = c->write->handler = stream_on_event;
    c->read->timedout = c->write->timedout = 0;
    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }
    if (reason != NULL) {
        give_up(context);
        return resolua_fail(L, reason);
    }
    if (context->output != NULL) { /* of others, that waited */
        output_send(context);
    }
    lua_pushboolean(L, 1);
    return 1;
}


static void
on_handshake(ngx_connection_t *c)
{
    stream_context_t *context = stream_context_if_any(c->data);
    resolua_thread_t *t = context->reader;
    context->reader = NULL;
    resolua_thread_wake(t, push_result(resolua_thread_state(t), context));
}


static void
on_cancel(void *data)
{
    stream_context_t *context = data;
    ngx_connection_t *c = context->session->connection;
    context->reader = NULL;
    context->in_handshake = 0;
    c->read->handler = c->write->handler = stream_on_event;
    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }
    give_up(context);
}


/* Why there can be no handshake now; NULL: there can be.  What the client has
   sent in plain must not be taken for something that came by TLS. */
static const char *
refusal(const stream_context_t *context)
{
    const ngx_connection_t *c = context->session->connection;
    const ngx_stream_ssl_conf_t *conf =
        ngx_stream_get_module_srv_conf(context->session, ngx_stream_ssl_module);
    return c->type != SOCK_STREAM    ? "not a TCP connection"
           : c->ssl != NULL          ? "already in TLS"
           : conf->ssl.ctx == NULL   ? "no ssl_certificate in this server"
           : context->reader != NULL ? "socket busy reading"
           : context->output != NULL ? "socket busy writing"
           : context->output_failed  ? "closed"
           : c->buffer != NULL && c->buffer->pos < c->buffer->last
               ? "unread data in buffer"
               : NULL;
}


int
handshake_start(lua_State *L, stream_context_t *context)
{
    ngx_connection_t *c = context->session->connection;
    ngx_stream_ssl_conf_t *conf =
        ngx_stream_get_module_srv_conf(context->session, ngx_stream_ssl_module);
    const char *reason = refusal(context);
    if (reason != NULL) {
        return resolua_fail(L, reason);
    }
    resolua_thread_t *t = resolua_thread(L);
    if (ngx_ssl_create_connection(&conf->ssl, c, 0) != NGX_OK) {
        return resolua_fail(L, "failed to create ssl connection");
    }
    context->in_handshake = 1;
    const ngx_int_t rc = ngx_ssl_handshake(c);
    if (rc != NGX_AGAIN) {
        return push_result(L, context);
    }
    context->reader = t;
    c->ssl->handler = on_handshake;
    ngx_add_timer(c->read, conf->handshake_timeout);
    return resolua_thread_sleep(t, on_cancel, context);
}
