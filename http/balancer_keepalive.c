/* Connections to peers that balancer_by_lua* has picked, kept for the next
   request to the same address and name. */

#include "http/private/balancer.h"

typedef struct {
    ngx_queue_t queue;
    http_kept_t *kept;
    ngx_connection_t *connection;
    struct sockaddr_storage sockaddr;
    socklen_t socklen;
    ngx_str_t host; /* of TLS; in the connection's pool */
} kept_connection_t;


static void
close_connection(ngx_connection_t *c)
{
    if (c->ssl != NULL) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;
        (void) ngx_ssl_shutdown(c);
    }
    ngx_destroy_pool(c->pool);
    ngx_close_connection(c);
}


static void
forget(kept_connection_t *k)
{
    ngx_queue_remove(&k->queue);
    k->kept->count--;
}


/* The peer has sent something or closed, or the time is over. */
static void
on_idle_event(ngx_event_t *ev)
{
    char octet;
    ngx_connection_t *c = ev->data;
    if (!c->close && !c->read->timedout &&
        recv(c->fd, &octet, 1, MSG_PEEK) == -1 &&
        ngx_socket_errno == NGX_EAGAIN) {
        ev->ready = 0;
        if (ngx_handle_read_event(c->read, 0) == NGX_OK) {
            return;
        }
    }
    forget(c->data);
    close_connection(c);
}


static void
on_write_event(ngx_event_t *ev)
{
    (void) ev;
}


static int
is_for(const kept_connection_t *k, const resolua_balancer_t *b)
{
    return ngx_memn2cmp((u_char *) &k->sockaddr, (u_char *) b->sockaddr,
                        k->socklen, b->socklen) == 0 &&
           ngx_memn2cmp(k->host.data, b->peer_host.data, k->host.len,
                        b->peer_host.len) == 0;
}


static void
set_log(ngx_connection_t *c, ngx_log_t *log)
{
    c->log = c->read->log = c->write->log = c->pool->log = log;
}


ngx_int_t
http_kept_take(http_kept_t *kept, resolua_balancer_t *b)
{
    for (ngx_queue_t *q = ngx_queue_head(&kept->idle);
         q != ngx_queue_sentinel(&kept->idle); q = ngx_queue_next(q)) {
        kept_connection_t *k = ngx_queue_data(q, kept_connection_t, queue);
        ngx_connection_t *c = k->connection;
        if (!is_for(k, b)) {
            continue;
        }
        forget(k);
        c->idle = 0;
        c->sent = 0;
        c->data = NULL;
        set_log(c, b->pc->log);
        if (c->read->timer_set) {
            ngx_del_timer(c->read);
        }
        b->pc->connection = c;
        b->pc->cached = 1;
        return NGX_DONE;
    }
    return NGX_OK;
}


static int
is_in_order(const resolua_balancer_t *b, const ngx_http_upstream_t *u,
            ngx_uint_t state)
{
    const ngx_connection_t *c = b->pc->connection;
    return (state & NGX_PEER_FAILED) == 0 && c != NULL && !c->read->eof &&
           !c->read->error && !c->read->timedout && !c->write->error &&
           !c->write->timedout && u->keepalive && u->request_body_sent &&
           !ngx_terminate && !ngx_exiting &&
           (b->requests_max == 0 || c->requests < b->requests_max) &&
           ngx_handle_read_event(c->read, 0) == NGX_OK;
}


/* Lives in the connection's pool, with the first exchange that keeps it. */
static kept_connection_t *
new_kept(const resolua_balancer_t *b)
{
    ngx_pool_t *pool = b->pc->connection->pool;
    kept_connection_t *k = ngx_pcalloc(pool, sizeof(*k));
    if (k == NULL || b->socklen > (socklen_t) sizeof(k->sockaddr)) {
        return NULL;
    }
    k->host.len = b->peer_host.len;
    k->host.data = ngx_pnalloc(pool, k->host.len + 1);
    if (k->host.data == NULL) {
        return NULL;
    }
    if (k->host.len > 0) {
        ngx_memcpy(k->host.data, b->peer_host.data, k->host.len);
    }
    ngx_memcpy(&k->sockaddr, b->sockaddr, b->socklen);
    k->socklen = b->socklen;
    k->connection = b->pc->connection;
    return k;
}


void
http_kept_put(http_kept_t *kept, resolua_balancer_t *b,
              const ngx_http_upstream_t *u, ngx_uint_t state)
{
    if (kept->max == 0 || !is_in_order(b, u, state)) {
        return;
    }
    kept_connection_t *k = new_kept(b);
    if (k == NULL) {
        return;
    }
    if (kept->count == kept->max) {
        kept_connection_t *oldest = ngx_queue_data(ngx_queue_last(&kept->idle),
                                                   kept_connection_t, queue);
        forget(oldest);
        close_connection(oldest->connection);
    }
    ngx_connection_t *c = k->connection;
    k->kept = kept;
    ngx_queue_insert_head(&kept->idle, &k->queue);
    kept->count++;
    b->pc->connection = NULL;
    c->read->delayed = 0;
    if (b->idle_timeout > 0) {
        ngx_add_timer(c->read, b->idle_timeout);
    } else if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }
    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }
    c->write->handler = on_write_event;
    c->read->handler = on_idle_event;
    c->data = k;
    c->idle = 1;
    set_log(c, (ngx_log_t *) ngx_cycle->log);
    if (c->read->ready) {
        on_idle_event(c->read);
    }
}
