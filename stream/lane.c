#include "stream/lane.h"

#include <ngx_event.h>

#include "server/handle.h"
#include "server/meter.h"
#include "server/statistics.h"
#include "stream/accept.h"
#include "stream/datagram.h"
#include "stream/late.h"
#include "stream/session.h"
#include "stream/socket_filter.h"

enum {
    BATCHES_MAX = 4, /* in one wake-up: others wait too; the listener is
                        level-triggered, so the rest is not forgotten */
    LATE_MAX = DATAGRAM_BATCH, /* in one wake-up, queries that take long */
    PAUSE_MS = 1,
    /* Octets, where the configuration has none. */
    RECEIVE_BUFFER = 1 << 20,
    SEND_BUFFER = 16 << 20,
};

/* Datagrams of a batch that do not get their answers with it: those that become
   sessions when it has been sent, and how many wait besides. */
typedef struct {
    unsigned session_count;
    unsigned pending_count;
    uint8_t session[DATAGRAM_BATCH];
} left_t;


void
lane_hold(lane_t *lane)
{
    if (lane->holders++ > 0) {
        return;
    }
    static time_t logged_at;
    lane->held_fd = fcntl(lane->listening->connection->fd, F_DUPFD_CLOEXEC, 0);
    if (lane->held_fd != (ngx_socket_t) -1) {
        return;
    }
    const ngx_err_t error = ngx_errno;
    lane->held_fd = lane->listening->connection->fd;
    lane->is_borrowed = 1;
    if (accept_may_log(&logged_at)) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, error,
                      "no descriptor for late answers: a reload would lose "
                      "them");
    }
}


void
lane_release(lane_t *lane)
{
    if (--lane->holders > 0) {
        return;
    }
    late_flush();
    if (!lane->is_borrowed) {
        (void) ngx_close_socket(lane->held_fd);
    }
    lane->is_borrowed = 0;
    lane->held_fd = (ngx_socket_t) -1;
}


/* The server that a local address belongs to. */
static const ngx_stream_addr_conf_t *
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
handle(lane_t *lane, unsigned number, left_t *left)
{
    const stream_conf_t *conf = conf_of_datagram(lane->listening, number);
    datagram_t d;
    datagram_get(number, &d);
    if (d.is_cut) {
        dns_counts[DNS_COUNT_IGNORED]++;
        return;
    }
    if (!conf->is_express) {
        left->session[left->session_count++] = (uint8_t) number;
        return;
    }
    dns_server_request_t request = {
        .conf = &conf->dns,
        .client = d.client,
        .packet = d.octets,
        .packet_size = d.size,
        .log = ngx_cycle->log,
        .transport = DNS_OVER_UDP,
        .out = datagram_reply_room(),
    };
    if (dns_server_handle(&request) == DNS_PENDING) {
        left->pending_count++;
        late_begin(lane, number, request.pending);
    } else if (request.size > 0) {
        datagram_reply(number, request.size);
    }
}


/* Gives how many datagrams there were; *late: and queries that take long. */
static unsigned
handle_batch(lane_t *lane, ngx_connection_t *listener, unsigned *late)
{
    const ngx_listening_t *ls = lane->listening;
    left_t left;
    left.session_count = left.pending_count = 0;
    meter_enter();
    const unsigned count =
        datagram_receive(listener->fd, ls->wildcard, listener->log);
    if (count == 0) {
        return 0;
    }
    dns_server_begin();
    for (unsigned i = 0; i < count; i++) {
        handle(lane, i, &left);
    }
    dns_server_end();
    const unsigned sent = datagram_send(listener->fd, listener->log);
    dns_fairness_in_place(sent);
    meter_leave(sent);
    *late += left.session_count + left.pending_count;
    for (unsigned i = 0; i < left.session_count; i++) {
        session_of_datagram(lane, left.session[i]);
    }
    return count;
}


/* Is the receive buffer half full, and what did not fit? */
static void
look_at_queue(lane_t *lane, ngx_socket_t fd)
{
    datagram_queue_t queue;
    if (!datagram_queue(fd, &queue)) {
        return;
    }
    lane->looked_at = ngx_time();
    lane->is_pressed = queue.waiting > queue.room / 2;
    dns_fairness_press(lane->is_pressed);
    socket_filter_check(fd);
    if (!socket_filter_counts(fd)) {
        dns_counts[DNS_COUNT_KERNEL_DROPPED] +=
            dns_statistics_drops(fd, queue.dropped);
    }
}


/* What a wake-up found. */
typedef enum {
    NOTHING,
    ALL,  /* and nothing more waits */
    MORE, /* than it has looked at */
} found_t;


static found_t
handle_batches(lane_t *lane, ngx_connection_t *listener)
{
    unsigned late = 0;
    unsigned last = 0;
    dns_fairness_press(lane->is_pressed);
    for (unsigned i = 0; i < BATCHES_MAX && late < LATE_MAX; i++) {
        last = handle_batch(lane, listener, &late);
        if (i == 0 && (last == DATAGRAM_BATCH || lane->is_pressed ||
                       lane->looked_at != ngx_time())) {
            look_at_queue(lane, listener->fd);
        }
        if (last < DATAGRAM_BATCH) {
            return i == 0 && last == 0 ? NOTHING : ALL;
        }
    }
    return MORE;
}


/* Under a flood a wake-up for each few datagrams costs more than they do: they
   gather for a moment. */
static void
pause_reading(lane_t *lane, ngx_event_t *rev)
{
    if (!rev->active ||
        ngx_del_event(rev, NGX_READ_EVENT, NGX_DISABLE_EVENT) == NGX_OK) {
        ngx_add_timer(&lane->pause, PAUSE_MS);
    }
}


static void
on_readable(ngx_event_t *ev)
{
    ngx_connection_t *listener = ev->data;
    lane_t *lane = listener->data;
    ev->ready = 0;
    if (handle_batches(lane, listener) == ALL && dns_fairness_is_flooded()) {
        pause_reading(lane, ev);
    }
    dns_statistics_flush();
}


static void
on_pause_end(ngx_event_t *ev)
{
    const lane_t *lane = ev->data;
    ngx_connection_t *listener = lane->listening->connection;
    if (listener->fd == (ngx_socket_t) -1) {
        return; /* a graceful end has begun */
    }
    on_readable(listener->read);
    if (!lane->pause.timer_set) {
        (void) accept_watch_datagrams(lane->listening);
    }
}


static const stream_conf_t *
conf_of_server(const ngx_listening_t *ls, ngx_uint_t i)
{
    const ngx_stream_port_t *port = ls->servers;
    return conf_of(ls->sockaddr->sa_family == AF_INET6
                       ? &((ngx_stream_in6_addr_t *) port->addrs)[i].conf
                       : &((ngx_stream_in_addr_t *) port->addrs)[i].conf);
}


ngx_uint_t
lane_serves_dns(const ngx_listening_t *ls)
{
    const ngx_stream_port_t *port = ls->servers;
    for (ngx_uint_t i = 0; i < port->naddrs; i++) {
        if (conf_of_server(ls, i)->serve == 1) {
            return 1;
        }
    }
    return 0;
}


/* All servers of the listener are ours: nginx's own sessions, which take
   several datagrams, are for the others. */
static ngx_uint_t
is_ours(const ngx_listening_t *ls)
{
    const ngx_stream_port_t *port = ls->servers;
    ngx_uint_t ours = 0;
    for (ngx_uint_t i = 0; i < port->naddrs; i++) {
        ours += stream_conf_takes_datagrams(conf_of_server(ls, i));
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


static void
enlarge_buffer(const ngx_listening_t *ls, int forced, int option, int size)
{
    if (setsockopt(ls->fd, SOL_SOCKET, forced, &size, sizeof(size)) == -1 &&
        setsockopt(ls->fd, SOL_SOCKET, option, &size, sizeof(size)) == -1) {
        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, ngx_socket_errno,
                      "the %s buffer of %V stays as it is",
                      option == SO_RCVBUF ? "receive" : "send", &ls->addr_text);
    }
}


/* While a worker is busy for a few milliseconds, datagrams wait in the kernel:
   its own limit holds some hundred of them.  And replies to a neighbour that
   does not answer ARP, 200 kB of them, lie in the send buffer for seconds:
   queries in the names of such addresses must not fill it. */
static void
enlarge_buffers(const ngx_listening_t *ls)
{
    if (ls->fd == (ngx_socket_t) -1) {
        return;
    }
    if (ls->rcvbuf == -1) { /* else "listen ... rcvbuf=" says how large */
        enlarge_buffer(ls, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER);
    }
    if (ls->sndbuf == -1) {
        enlarge_buffer(ls, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER);
    }
}


ngx_int_t
lane_init_module(ngx_cycle_t *cycle)
{
    const ngx_listening_t *ls = cycle->listening.elts;
    for (ngx_uint_t i = 0; i < cycle->listening.nelts; i++) {
        if (ls[i].type == SOCK_DGRAM &&
            ls[i].handler == ngx_stream_init_connection) {
            enlarge_buffers(&ls[i]);
        }
    }
    return NGX_OK;
}


/* Nobody else reads from the socket, and what a filter would drop is dropped in
   any case, unseen by rules, logs and hooks. */
static ngx_uint_t
may_have_filter(ngx_cycle_t *cycle, const ngx_listening_t *ls)
{
    const ngx_core_conf_t *core =
        (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    const ngx_stream_port_t *port = ls->servers;
    for (ngx_uint_t i = 0; i < port->naddrs; i++) {
        const stream_conf_t *conf = conf_of_server(ls, i);
        if (!conf->is_express || dns_server_has_hooks(&conf->dns)) {
            return 0;
        }
    }
    return ls->reuseport || core->worker_processes == 1 ||
           ngx_process == NGX_PROCESS_SINGLE;
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
    lane->pause.handler = on_pause_end;
    lane->pause.data = lane;
    lane->pause.log = cycle->log;
    lane->pause.cancelable = 1;
    ls->connection->data = lane;
    ls->connection->read->handler = on_readable;
    return may_have_filter(cycle, ls) ? socket_filter_add(cycle, ls->fd)
                                      : NGX_OK;
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
        if (!is_stream_udp(&ls[i])) {
            continue;
        }
        socket_filter_clean(ls[i].fd);
        if (is_ours(&ls[i]) && take(cycle, &ls[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }
    socket_filter_open();
    return accept_init_process(cycle);
}
