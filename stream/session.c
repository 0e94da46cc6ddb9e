#include "stream/session.h"

#include <ngx_event.h>

#include "server/statistics.h"
#include "stream/datagram.h"

/* Lives in the session's pool. */
typedef struct {
    lane_t *lane;
    ngx_uint_t is_holder;
    ngx_uint_t *is_gone; /* set when the session ends while it is made */
} hold_t;


/* There is one datagram. */
static ssize_t
receive_nothing(ngx_connection_t *c, u_char *octets, size_t size)
{
    (void) octets;
    (void) size;
    c->read->ready = 0;
    return NGX_AGAIN;
}


/* nginx's own ignores the address that was asked. */
static ssize_t
send_datagram(ngx_connection_t *c, u_char *octets, size_t size)
{
    const struct sockaddr *local =
        c->listening->wildcard ? c->local_sockaddr : NULL;
    const ngx_int_t rc =
        datagram_send_one(c->fd, c->sockaddr, c->socklen, local, octets, size);
    if (rc == NGX_OK) {
        c->sent += (off_t) size;
        return (ssize_t) size;
    }
    if (rc == NGX_AGAIN) {
        c->write->ready = 0;
        return NGX_AGAIN;
    }
    c->write->error = 1;
    (void) ngx_connection_error(c, ngx_socket_errno, "sendmsg() failed");
    return NGX_ERROR;
}


static void
release(void *data)
{
    hold_t *hold = data;
    lane_t *lane = hold->lane;
    if (hold->is_gone != NULL) {
        *hold->is_gone = 1;
    }
    if (hold->is_holder) {
        lane_release(lane);
    }
}


/* The session outlives the call that made it. */
static void
keep(ngx_connection_t *c, hold_t *hold)
{
    lane_t *lane = hold->lane;
    lane_hold(lane);
    hold->is_holder = 1;
    c->fd = lane->held_fd;
}


static ngx_int_t
set_addresses(ngx_connection_t *c, const datagram_t *d, unsigned number)
{
    const ngx_listening_t *ls = c->listening;
    c->sockaddr = ngx_palloc(c->pool, d->client_size);
    if (c->sockaddr == NULL) {
        return NGX_ERROR;
    }
    ngx_memcpy(c->sockaddr, d->client, d->client_size);
    c->socklen = d->client_size;
    c->local_sockaddr = ls->sockaddr;
    c->local_socklen = ls->socklen;
    if (ls->wildcard) {
        c->local_sockaddr = ngx_palloc(c->pool, ls->socklen);
        if (c->local_sockaddr == NULL) {
            return NGX_ERROR;
        }
        ngx_memcpy(c->local_sockaddr, ls->sockaddr, ls->socklen);
        datagram_local(number, c->local_sockaddr);
    }
    if (ls->addr_ntop) {
        c->addr_text.data = ngx_pnalloc(c->pool, ls->addr_text_max_len);
        if (c->addr_text.data == NULL) {
            return NGX_ERROR;
        }
        c->addr_text.len =
            ngx_sock_ntop(c->sockaddr, c->socklen, c->addr_text.data,
                          ls->addr_text_max_len, 0);
    }
    return NGX_OK;
}


/* What ngx_event_recvmsg() sets up, without the tree of sessions that it finds
   later datagrams' sessions by. */
static ngx_int_t
set_up(ngx_connection_t *c, lane_t *lane, const datagram_t *d, unsigned number)
{
    ngx_listening_t *ls = lane->listening;
    c->pool = ngx_create_pool(ls->pool_size, c->log);
    if (c->pool == NULL) {
        return NGX_ERROR;
    }
    ngx_log_t *log = ngx_palloc(c->pool, sizeof(*log));
    c->buffer = ngx_create_temp_buf(c->pool, d->size);
    c->listening = ls;
    if (log == NULL || c->buffer == NULL ||
        set_addresses(c, d, number) != NGX_OK) {
        return NGX_ERROR;
    }
    c->buffer->last = ngx_cpymem(c->buffer->last, d->octets, d->size);
    *log = ls->log;
    log->data = NULL;
    log->handler = NULL;
    c->log = c->pool->log = c->read->log = c->write->log = log;
    c->recv = receive_nothing;
    c->send = send_datagram;
    c->send_chain = ngx_udp_send_chain;
    c->shared = 1;
    c->type = SOCK_DGRAM;
    c->read->active = 1;
    c->write->ready = 1;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);
    c->start_time = ngx_current_msec;
    return NGX_OK;
}


static hold_t *
add_hold(ngx_connection_t *c, lane_t *lane)
{
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(c->pool, sizeof(hold_t));
    if (cleanup == NULL) {
        return NULL;
    }
    hold_t *hold = cleanup->data;
    ngx_memzero(hold, sizeof(*hold));
    hold->lane = lane;
    cleanup->handler = release;
    return hold;
}


static void
give_up(ngx_connection_t *c)
{
    ngx_pool_t *pool = c->pool;
    ngx_free_connection(c);
    c->fd = (ngx_socket_t) -1;
    if (pool != NULL) {
        ngx_destroy_pool(pool);
    }
    dns_counts[DNS_COUNT_DROPPED]++;
}


static void
count(ngx_atomic_t *counter, ngx_atomic_int_t step)
{
    (void) ngx_atomic_fetch_add(counter, step);
}


void
session_of_datagram(lane_t *lane, unsigned number)
{
    ngx_uint_t is_gone = 0;
    datagram_t d;
    ngx_connection_t *listener = lane->listening->connection;
    ngx_connection_t *c = ngx_get_connection(listener->fd, listener->log);
    ngx_accept_disabled = (ngx_int_t) ngx_cycle->connection_n / 8 -
                          (ngx_int_t) ngx_cycle->free_connection_n;
    if (c == NULL) {
        dns_counts[DNS_COUNT_DROPPED]++;
        return;
    }
    datagram_get(number, &d);
    if (set_up(c, lane, &d, number) != NGX_OK) {
        give_up(c);
        return;
    }
    hold_t *hold = add_hold(c, lane);
    if (hold == NULL) {
        give_up(c);
        return;
    }
    count(ngx_stat_accepted, 1);
    count(ngx_stat_active, 1);
    count(ngx_stat_handled, 1);
    dns_counts[DNS_COUNT_SESSIONS]++;
    hold->is_gone = &is_gone;
    lane->listening->handler(c);
    if (!is_gone) {
        hold->is_gone = NULL;
        keep(c, hold);
    }
}
