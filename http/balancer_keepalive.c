/* Connections to peers that balancer_by_lua* has picked, kept for the next
   request to the same address and name. */

#include "http/private/balancer.h"
#include "runtime/kept.h"

struct http_kept_connection_s {
    ngx_queue_t queue;
    http_kept_t *kept;
    ngx_connection_t *connection;
    http_kept_key_t key; /* its texts are in the connection's pool */
};


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
forget(http_kept_connection_t *k)
{
    ngx_queue_remove(&k->queue);
    k->kept->count--;
}


/* The peer has sent something or closed, or the time is over. */
static void
on_idle_event(ngx_event_t *ev)
{
    ngx_connection_t *c = ev->data;
    if (resolua_kept_on_event(c) != NGX_OK) {
        forget(c->data);
        close_connection(c);
    }
}


static void
on_write_event(ngx_event_t *ev)
{
    (void) ev;
}


static int
is_same(const void *one, size_t one_size, const void *other, size_t other_size)
{
    return one_size == other_size &&
           (one_size == 0 || memcmp(one, other, one_size) == 0);
}


static int
is_for(const http_kept_key_t *k, const http_kept_key_t *wanted)
{
    return k->protocol == wanted->protocol && k->ssl == wanted->ssl &&
           k->sends_name == wanted->sends_name &&
           k->is_transparent == wanted->is_transparent &&
           is_same(k->sockaddr, k->socklen, wanted->sockaddr,
                   wanted->socklen) &&
           is_same(k->local, k->local_size, wanted->local,
                   wanted->local_size) &&
           is_same(k->name.data, k->name.len, wanted->name.data,
                   wanted->name.len);
}


static void
set_log(ngx_connection_t *c, ngx_log_t *log)
{
    c->log = c->read->log = c->write->log = c->pool->log = log;
}


/* The last used one for the key that is in order; the others for it go. */
static http_kept_connection_t *
find_usable(http_kept_t *kept, const http_kept_key_t *key)
{
    ngx_queue_t *next;
    for (ngx_queue_t *q = ngx_queue_head(&kept->idle);
         q != ngx_queue_sentinel(&kept->idle); q = next) {
        http_kept_connection_t *k =
            ngx_queue_data(q, http_kept_connection_t, queue);
        next = ngx_queue_next(q);
        if (!is_for(&k->key, key)) {
            continue;
        }
        forget(k);
        if (resolua_kept_check(k->connection) == NGX_OK) {
            return k;
        }
        close_connection(k->connection);
    }
    return NULL;
}


ngx_int_t
http_kept_take(http_kept_t *kept, resolua_balancer_t *b,
               const http_kept_key_t *key, http_kept_connection_t **taken)
{
    http_kept_connection_t *k = find_usable(kept, key);
    *taken = k;
    if (k == NULL) {
        return NGX_OK;
    }
    ngx_connection_t *c = k->connection;
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


int
http_kept_is_in_order(const resolua_balancer_t *b, const ngx_http_upstream_t *u,
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


static void *
copy(ngx_pool_t *pool, const void *from, size_t size)
{
    void *to = ngx_palloc(pool, size + 1); /* also where there is nothing */
    if (to != NULL && size > 0) {
        ngx_memcpy(to, from, size);
    }
    return to;
}


/* Lives in the connection's pool, from the first exchange that keeps it on. */
static http_kept_connection_t *
new_kept(ngx_connection_t *c, const http_kept_key_t *key)
{
    http_kept_connection_t *k = ngx_pcalloc(c->pool, sizeof(*k));
    if (k == NULL) {
        return NULL;
    }
    k->connection = c;
    k->key = *key;
    k->key.name.data = copy(c->pool, key->name.data, key->name.len);
    k->key.sockaddr = copy(c->pool, key->sockaddr, key->socklen);
    k->key.local = copy(c->pool, key->local, key->local_size);
    return k->key.name.data != NULL && k->key.sockaddr != NULL &&
                   k->key.local != NULL
               ? k
               : NULL;
}


/* From now on the peer is watched. */
static void
rest_connection(ngx_connection_t *c, ngx_msec_t idle_timeout)
{
    c->read->delayed = 0;
    if (idle_timeout > 0) {
        ngx_add_timer(c->read, idle_timeout);
    } else if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }
    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }
    c->write->handler = on_write_event;
    c->read->handler = on_idle_event;
    c->idle = 1;
    set_log(c, (ngx_log_t *) ngx_cycle->log);
    if (c->read->ready) {
        on_idle_event(c->read);
    }
}


void
http_kept_put(http_kept_t *kept, resolua_balancer_t *b,
              const http_kept_key_t *key, http_kept_connection_t *taken)
{
    ngx_connection_t *c = b->pc->connection;
    http_kept_connection_t *k = taken != NULL ? taken : new_kept(c, key);
    if (k == NULL) {
        return;
    }
    if (kept->count == kept->max) {
        http_kept_connection_t *oldest = ngx_queue_data(
            ngx_queue_last(&kept->idle), http_kept_connection_t, queue);
        forget(oldest);
        close_connection(oldest->connection);
    }
    k->kept = kept;
    ngx_queue_insert_head(&kept->idle, &k->queue);
    kept->count++;
    b->pc->connection = NULL;
    c->data = k;
    rest_connection(c, b->idle_timeout);
}
