#include "stream/serve.h"

#include "dns/type.h"
#include "server/answer.h"
#include "server/statistics.h"
#include "stream/tcp.h"


static void
serve_datagram(ngx_stream_session_t *s, const stream_conf_t *conf)
{
    static uint8_t out[DNS_SERVER_UDP_SIZE_MAX];
    ngx_connection_t *c = s->connection;
    const ngx_buf_t *b = c->buffer;
    dns_server_call_t call = {
        .conf = &conf->dns,
        .client = c->sockaddr,
        .packet = b->pos,
        .packet_size = (size_t) (b->last - b->pos),
        .transport = DNS_OVER_UDP,
        .out = out,
    };
    dns_server_begin();
    dns_server_verdict_t verdict = dns_server_answer(&call);
    dns_server_end();
    if (verdict == DNS_SERVER_ASK) {
        call.size = dns_server_error(&call, DNS_RCODE_SERVFAIL);
        verdict = DNS_SERVER_SEND;
    }
    if (verdict == DNS_SERVER_SEND && call.size > 0 &&
        c->send(c, out, call.size) < 0) {
        dns_counts.send_errors++;
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
        tcp_serve(s, conf);
    } else if (s->connection->buffer != NULL) {
        serve_datagram(s, conf);
    } else {
        ngx_stream_finalize_session(s, NGX_STREAM_BAD_REQUEST);
    }
}
