#include "stream/serve.h"

#include "server/ask.h"
#include "server/statistics.h"
#include "stream/context.h"
#include "stream/tcp.h"


/* Lua has answered. */
static void
send_answer(void *data, const uint8_t *answer, size_t size)
{
    ngx_stream_session_t *s = data;
    ngx_connection_t *c = s->connection;
    stream_context_t *context = stream_context_if_any(s);
    context->content = NULL;
    if (size > 0 && c->send(c, (u_char *) answer, size) < 0) {
        dns_counts[DNS_COUNT_SEND_ERRORS]++;
    }
    dns_statistics_flush();
    ngx_stream_finalize_session(s, NGX_STREAM_OK);
}


static void
cancel_ask(void *data)
{
    const stream_context_t *context = data;
    if (context->content != NULL) {
        dns_server_ask_cancel(context->content);
    }
}


static void
ignore_event(ngx_event_t *ev)
{
    (void) ev;
}


static void
ask_lua(ngx_stream_session_t *s, const dns_server_call_t *call)
{
    ngx_connection_t *c = s->connection;
    stream_context_t *context = stream_context(s);
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(c->pool, 0);
    if (context == NULL || cleanup == NULL) {
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }
    cleanup->handler = cancel_ask;
    cleanup->data = context;
    c->read->handler = c->write->handler = ignore_event;
    dns_server_ask_t *ask = dns_server_ask(call, c->log, send_answer, s);
    if (ask != NULL) { /* else the session is over */
        context->content = ask;
    }
}


static void
serve_datagram(ngx_stream_session_t *s, const stream_conf_t *conf)
{
    static uint8_t out[DNS_SERVER_UDP_SIZE_MAX];
    ngx_connection_t *c = s->connection;
    const ngx_buf_t *b = c->buffer;
    dns_server_call_t call = {
        .conf = &conf->dns,
        .client = dns_server_client(c->sockaddr),
        .packet = b->pos,
        .packet_size = (size_t) (b->last - b->pos),
        .transport = DNS_OVER_UDP,
        .out = out,
    };
    dns_server_begin();
    const dns_server_verdict_t verdict = dns_server_answer(&call);
    dns_server_end();
    if (verdict == DNS_SERVER_ASK) {
        ask_lua(s, &call);
        return;
    }
    if (verdict == DNS_SERVER_SEND && call.size > 0 &&
        c->send(c, out, call.size) < 0) {
        dns_counts[DNS_COUNT_SEND_ERRORS]++;
    }
    dns_statistics_flush();
    ngx_stream_finalize_session(s, NGX_STREAM_OK);
}


void
serve_content(ngx_stream_session_t *s)
{
    const stream_conf_t *conf =
        ngx_stream_get_module_srv_conf(s, ngx_stream_resolua_module);
    if (s->connection->type == SOCK_STREAM) {
        tcp_serve(s);
    } else if (s->connection->buffer != NULL) {
        serve_datagram(s, conf);
    } else {
        ngx_stream_finalize_session(s, NGX_STREAM_BAD_REQUEST);
    }
}
