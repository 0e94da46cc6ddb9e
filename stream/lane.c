#include "stream/lane.h"

#include <ngx_event.h>

#include "server/ask.h"
#include "server/statistics.h"
#include "stream/datagram.h"
#include "stream/serve.h"
#include "stream/session.h"

enum {
    BATCHES_MAX = 4, /* in one wake-up: others wait too; the listener is
                        level-triggered, so the rest is not forgotten */
};

/* Datagrams of a batch that become sessions when it has been sent. */
typedef struct {
    unsigned count;
    uint8_t number[DATAGRAM_BATCH];
    dns_server_ask_t *pending[DATAGRAM_BATCH]; /* what Lua has begun, or NULL */
} left_t;


const ngx_stream_addr_conf_t *
lane_server(const ngx_listening_t *ls, const struct sockaddr *local)
{
    const ngx_stream_port_t *port = ls->servers;
    const ngx_uint_t last = port->naddrs - 1; /* the wildcard, if any */
    ngx_uint_t i = 0;
    if (local->sa_family == AF_INET6) {
        const ngx_stream_in6_addr_t *a = port->addrs;
        const struct sockaddr_in6 *sin6 = (const void *) local;
        while (i < last && ngx_memcmp(&a[i].addr6, &sin6->sin6_addr, 16) != 0) {
            i++;
        }
        return &a[i].conf;
    }
    const ngx_stream_in_addr_t *a = port->addrs;
    const struct sockaddr_in *sin = (const void *) local;
    while (i < last && a[i].addr != sin->sin_addr.s_addr) {
        i++;
    }
    return &a[i].conf;
}


static const stream_conf_t *
conf_of(const ngx_stream_addr_conf_t *server)
{
    return server->ctx->srv_conf[ngx_stream_resolua_module.ctx_index];
}


static const stream_conf_t *
conf_of_datagram(const ngx_listening_t *ls, unsigned number)
{
    const ngx_stream_port_t *port = ls->servers;
    ngx_sockaddr_t local;
    if (port->naddrs == 1) {
        return conf_of(lane_server(ls, ls->sockaddr));
    }
    ngx_memcpy(&local, ls->sockaddr, ls->socklen);
    datagram_local(number, &local.sockaddr);
    return conf_of(lane_server(ls, &local.sockaddr));
}


static void
leave(left_t *left, unsigned number, dns_server_ask_t *pending)
{
    left->number[left->count] = (uint8_t) number;
    left->pending[left->count++] = pending;
}


static void
handle(const ngx_listening_t *ls, unsigned number, left_t *left)
{
    const stream_conf_t *conf = conf_of_datagram(ls, number);
    datagram_t d;
    datagram_get(number, &d);
    if (d.is_cut) {
        dns_counts.ignored++;
        return;
    }
    if (!conf->is_express) {
        leave(left, number, NULL);
        return;
    }
    dns_server_call_t call = {
        .conf = &conf->dns,
        .client = d.client,
        .packet = d.octets,
        .packet_size = d.size,
        .transport = DNS_OVER_UDP,
        .out = datagram_reply_room(),
    };
    switch (dns_server_answer(&call)) {
    case DNS_SERVER_SEND:
        datagram_reply(number, call.size);
        break;
    case DNS_SERVER_ASK:
        leave(left, number,
              call.pending != NULL ? call.pending
                                   : dns_server_ask_new(&call, ngx_cycle->log));
        break;
    default:
        break;
    }
}


/* Gives how many datagrams there were. */
static unsigned
handle_batch(lane_t *lane, ngx_connection_t *listener)
{
    const ngx_listening_t *ls = lane->listening;
    const unsigned count =
        datagram_receive(listener->fd, ls->wildcard, listener->log);
    left_t left;
    left.count = 0;
    if (count == 0) {
        return 0;
    }
    dns_server_begin();
    for (unsigned i = 0; i < count; i++) {
        handle(ls, i, &left);
    }
    dns_server_end();
    datagram_send(listener->fd, listener->log);
    for (unsigned i = 0; i < left.count; i++) {
        serve_pending = left.pending[i];
        session_of_datagram(lane, left.number[i]);
        if (serve_pending != NULL) { /* no session could be made */
            dns_server_ask_cancel(serve_pending);
            serve_pending = NULL;
        }
    }
    return count;
}


static void
on_readable(ngx_event_t *ev)
{
    ngx_connection_t *listener = ev->data;
    lane_t *lane = listener->data;
    ev->ready = 0;
    for (unsigned i = 0; i < BATCHES_MAX; i++) {
        if (handle_batch(lane, listener) < DATAGRAM_BATCH) {
            break;
        }
    }
    dns_statistics_flush();
}


/* All servers of the listener are ours: nginx's own sessions, which take
   several datagrams, are for the others. */
static ngx_uint_t
is_ours(const ngx_listening_t *ls)
{
    const ngx_stream_port_t *port = ls->servers;
    const ngx_uint_t is_inet6 = ls->sockaddr->sa_family == AF_INET6;
    ngx_uint_t ours = 0;
    for (ngx_uint_t i = 0; i < port->naddrs; i++) {
        const ngx_stream_addr_conf_t *server =
            is_inet6 ? &((ngx_stream_in6_addr_t *) port->addrs)[i].conf
                     : &((ngx_stream_in_addr_t *) port->addrs)[i].conf;
        ours += stream_conf_takes_datagrams(conf_of(server));
    }
    if (ours > 0 && ours < port->naddrs) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "%V udp: servers that answer by Lua or dns_serve share "
                      "a socket with others; give their listen the \"bind\" "
                      "parameter",
                      &ls->addr_text);
    }
    return ours == port->naddrs;
}


static ngx_uint_t
is_stream_udp(const ngx_listening_t *ls)
{
    return ls->type == SOCK_DGRAM && ls->connection != NULL &&
           ls->handler == ngx_stream_init_connection &&
           (ls->sockaddr->sa_family == AF_INET ||
            ls->sockaddr->sa_family == AF_INET6);
}


static ngx_int_t
take(ngx_cycle_t *cycle, ngx_listening_t *ls)
{
    lane_t *lane = ngx_pcalloc(cycle->pool, sizeof(*lane));
    if (lane == NULL) {
        return NGX_ERROR;
    }
    lane->listening = ls;
    lane->held_fd = (ngx_socket_t) -1;
    ls->connection->data = lane;
    ls->connection->read->handler = on_readable;
    return NGX_OK;
}


ngx_int_t
lane_init_process(ngx_cycle_t *cycle)
{
    ngx_listening_t *ls = cycle->listening.elts;
    if (ngx_process != NGX_PROCESS_WORKER &&
        ngx_process != NGX_PROCESS_SINGLE) {
        return NGX_OK;
    }
    for (ngx_uint_t i = 0; i < cycle->listening.nelts; i++) {
        if (ls[i].reuseport && ls[i].worker != ngx_worker) {
            continue;
        }
        if (is_stream_udp(&ls[i]) && is_ours(&ls[i]) &&
            take(cycle, &ls[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }
    return NGX_OK;
}
