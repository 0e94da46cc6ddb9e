#include "stream/serve.h"

#include "server/handle.h"
#include "server/statistics.h"
#include "stream/context.h"
#include "stream/tcp.h"


/* The end of a pending query. */
static void
send_answer(void *data, const uint8_t *answer, size_t size)
{
    ngx_stream_session_t *s = data;
    ngx_connection_t *c = s->connection;
    stream_context_t *context = stream_context_if_any(s);
    context->content = NULL;
    if (answer == NULL) { /* the session is over */
        return;
    }
    if (size > 0 && c->send(c, (u_char *) answer, size) < 0) {
        dns_counts[DNS_COUNT_SEND_ERRORS]++;
    }
    dns_statistics_flush();
    ngx_stream_finalize_session(s, NGX_STREAM_OK);
}


static void
cancel_query(void *data)
{
    const stream_context_t *context = data;
    if (context->content != NULL) {
        dns_server_cancel(context->content);
    }
}


static void
ignore_event(ngx_event_t *ev)
{
    (void) ev;
}


static void
wait_for_answer(ngx_stream_session_t *s, dns_server_pending_t *pending)
{
    ngx_connection_t *c = s->connection;
    stream_context_t *context = stream_context(s);
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(c->pool, 0);
    if (context == NULL || cleanup == NULL) {
        dns_server_cancel(pending);
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }
    cleanup->handler = cancel_query;
    cleanup->data = context;
    c->read->handler = c->write->handler = ignore_event;
    context->content = pending;
    dns_server_wait(pending, send_answer, s);
}


static void
serve_datagram(ngx_stream_session_t *s, const stream_conf_t *conf)
{
    static uint8_t out[DNS_SERVER_UDP_SIZE_MAX];
    ngx_connection_t *c = s->connection;
    const ngx_buf_t *b = c->buffer;
    dns_server_request_t request = {
        .conf = &conf->dns,
        .client = dns_server_client(c->sockaddr),
        .packet = b->pos,
        .packet_size = (size_t) (b->last - b->pos),
        .log = c->log,
        .transport = DNS_OVER_UDP,
        .out = out,
    };
    if (dns_server_handle(&request) == DNS_PENDING) {
        wait_for_answer(s, request.pending);
        return;
    }
    if (request.size > 0 && c->send(c, out, request.size) < 0) {
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
