#include "stream/accept.h"

#include <ngx_event.h>

#include "stream/conf.h"
#include "stream/lane.h"
#include "stream/tcp_clients.h"

enum {
    RESERVE_SHARE = 8, /* of the connections, this part is no client's */
    DNS_SHARE = 4,     /* and this part waits for DNS over TCP */
    CLOSED_MAX = 32,   /* idle connections that are closed for a new one */
    LOOKED_AT_MAX = 64,
    REFUSED_MAX = 16,    /* in one wake-up: others wait too */
    LOG_INTERVAL = 30,   /* seconds */
    BACKLOG_ROOM = 1024, /* what multi_accept may take at once */
};


ngx_uint_t
accept_may_log(time_t *last)
{
    if (*last != 0 && ngx_time() - *last < LOG_INTERVAL) {
        return 0;
    }
    *last = ngx_time();
    return 1;
}


static ngx_uint_t
is_dns(const ngx_listening_t *ls)
{
    return ls->handler == ngx_stream_init_connection && lane_serves_dns(ls);
}


/* How many free connections there have to be before the listener takes one. */
static ngx_uint_t
needed(const ngx_listening_t *ls)
{
    const ngx_uint_t reserve = ngx_cycle->connection_n / RESERVE_SHARE;
    const ngx_uint_t dns = ngx_cycle->connection_n / DNS_SHARE;
    const ngx_uint_t dns_used = tcp_clients_count();
    return is_dns(ls) || dns_used >= dns ? reserve : reserve + dns - dns_used;
}


static ngx_uint_t
has_room(const ngx_listening_t *ls)
{
    return ngx_cycle->free_connection_n > needed(ls);
}


/* Those that nginx itself would close if it had none left: the longest idle
   first.  DNS clients do not give way to others. */
static void
close_idle(const ngx_listening_t *ls)
{
    ngx_queue_t *idle = (ngx_queue_t *) &ngx_cycle->reusable_connections_queue;
    const ngx_uint_t for_dns = is_dns(ls);
    ngx_queue_t *q = ngx_queue_last(idle);
    ngx_uint_t closed = 0;
    for (ngx_uint_t i = 0; i < LOOKED_AT_MAX && closed < CLOSED_MAX &&
                           q != ngx_queue_sentinel(idle) && !has_room(ls);
         i++) {
        ngx_connection_t *c = ngx_queue_data(q, ngx_connection_t, queue);
        q = ngx_queue_prev(q);
        if (for_dns || c->listening == NULL || !is_dns(c->listening)) {
            c->close = 1;
            c->read->handler(c->read);
            closed++;
        }
    }
    while (for_dns && !has_room(ls) && closed++ < CLOSED_MAX &&
           tcp_clients_close_idlest()) {
    }
}


/* They learn at once that there is no place, rather than wait in the backlog.
   NGX_ERROR: accept() itself fails. */
static ngx_int_t
refuse(const ngx_connection_t *listener)
{
    static time_t logged_at;
    if (accept_may_log(&logged_at)) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "%V: connections are refused: of %ui in this worker %ui "
                      "are free, which upstreams, databases, UDP%s need; "
                      "higher worker_connections allow more",
                      &listener->listening->addr_text, ngx_cycle->connection_n,
                      ngx_cycle->free_connection_n,
                      is_dns(listener->listening) ? "" : " and DNS over TCP");
    }
    for (ngx_uint_t i = 0; i < REFUSED_MAX; i++) {
        const ngx_socket_t fd = accept(listener->fd, NULL, NULL);
        if (fd == (ngx_socket_t) -1) {
            const ngx_err_t error = ngx_socket_errno;
            return error == NGX_EMFILE || error == NGX_ENFILE ? NGX_ERROR
                                                              : NGX_OK;
        }
        (void) ngx_close_socket(fd);
    }
    return NGX_OK;
}


/* Several workers may wait for the datagrams of one socket: as nginx does, the
   system wakes one of them. */
ngx_int_t
accept_watch_datagrams(const ngx_listening_t *ls)
{
    ngx_event_t *rev = ls->connection->read;
    ngx_uint_t flags = 0;
#if (NGX_HAVE_EPOLLEXCLUSIVE)
    const ngx_core_conf_t *core = (const ngx_core_conf_t *) ngx_get_conf(
        ngx_cycle->conf_ctx, ngx_core_module);
    if ((ngx_event_flags & NGX_USE_EPOLL_EVENT) && core->worker_processes > 1) {
        flags = NGX_EXCLUSIVE_EVENT;
    }
#endif
    return rev->active ? NGX_OK : ngx_add_event(rev, NGX_READ_EVENT, flags);
}


static ngx_int_t
watch_all_datagrams(ngx_cycle_t *cycle)
{
    const ngx_listening_t *ls = cycle->listening.elts;
    ngx_int_t rc = NGX_OK;
    for (ngx_uint_t i = 0; i < cycle->listening.nelts; i++) {
        if (ls[i].type == SOCK_DGRAM && ls[i].connection != NULL &&
            accept_watch_datagrams(&ls[i]) != NGX_OK) {
            rc = NGX_ERROR;
        }
    }
    return rc;
}


/* The read handler of listeners for connections. */
static void
on_connections(ngx_event_t *ev)
{
    const ngx_connection_t *listener = ev->data;
    ngx_event_conf_t *conf =
        ngx_event_get_conf(ngx_cycle->conf_ctx, ngx_event_core_module);
    const ngx_flag_t multi_accept = conf->multi_accept;
    if (listener->fd == (ngx_socket_t) -1) {
        return; /* the timer of nginx's pause; a graceful end has begun */
    }
    if (!has_room(listener->listening)) {
        close_idle(listener->listening);
    }
    if (!ev->timedout && !has_room(listener->listening) &&
        refuse(listener) == NGX_OK) {
        return;
    }
    if (ngx_cycle->free_connection_n <
        needed(listener->listening) + BACKLOG_ROOM) {
        conf->multi_accept = 0;
    }
    ngx_event_accept(ev);
    conf->multi_accept = multi_accept;
    (void) watch_all_datagrams((ngx_cycle_t *) ngx_cycle);
}


static ngx_uint_t
has_datagrams(const ngx_cycle_t *cycle)
{
    const ngx_listening_t *ls = cycle->listening.elts;
    for (ngx_uint_t i = 0; i < cycle->listening.nelts; i++) {
        if (ls[i].type == SOCK_DGRAM && ls[i].connection != NULL) {
            return 1;
        }
    }
    return 0;
}


ngx_int_t
accept_init_process(ngx_cycle_t *cycle)
{
    ngx_listening_t *ls = cycle->listening.elts;
    if (!has_datagrams(cycle)) {
        return NGX_OK;
    }
    for (ngx_uint_t i = 0; i < cycle->listening.nelts; i++) {
        if (ls[i].connection == NULL) {
            continue; /* another worker's */
        }
        if (ls[i].type == SOCK_DGRAM) {
            /* accept_mutex leaves sockets of a worker's own alone. */
            ls[i].reuseport |= ngx_process == NGX_PROCESS_WORKER;
        } else if (ls[i].connection->read->handler == ngx_event_accept) {
            ls[i].connection->read->handler = on_connections;
        }
    }
    return watch_all_datagrams(cycle);
}
