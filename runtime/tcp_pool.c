/* Connections kept for later: a pool for each name, in each worker. */

#include "runtime/clock.h"
#include "runtime/kept.h"
#include "runtime/private/tcp.h"
#include "runtime/vm.h"

struct tcp_pool_s {
    ngx_str_node_t node; /* by name */
    ngx_queue_t idle;    /* kept_t, the last used first */
    ngx_queue_t waiting; /* tcp_t, the first come first */
    ngx_uint_t idle_count;
    ngx_uint_t link_count; /* connected, idle ones too, and being connected */
    ngx_uint_t waiting_count;
    ngx_uint_t size;
    ngx_int_t backlog; /* < 0: connects do not wait */
    u_char name[];
};

typedef struct {
    tcp_link_t link;
    ngx_queue_t queue;
    uint64_t since; /* ns: it was in order then */
} kept_t;

/* One that has been kept this moment needs not be looked at again: that costs a
   system call. */
enum { MOMENT = 100000 }; /* ns */

static ngx_rbtree_t pools;
static ngx_rbtree_node_t pools_sentinel;


static tcp_pool_t *
pool_find(const ngx_str_t *name)
{
    if (pools.root == NULL) {
        ngx_rbtree_init(&pools, &pools_sentinel, ngx_str_rbtree_insert_value);
    }
    const uint32_t hash = ngx_crc32_short(name->data, name->len);
    return (tcp_pool_t *) ngx_str_rbtree_lookup(&pools, (ngx_str_t *) name,
                                                hash);
}


static tcp_pool_t *
pool_new(const ngx_str_t *name, ngx_uint_t size, ngx_int_t backlog)
{
    tcp_pool_t *pool = ngx_calloc(sizeof(*pool) + name->len, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }
    ngx_memcpy(pool->name, name->data, name->len);
    pool->node.str.data = pool->name;
    pool->node.str.len = name->len;
    pool->node.node.key = ngx_crc32_short(name->data, name->len);
    pool->size = size;
    pool->backlog = backlog;
    ngx_queue_init(&pool->idle);
    ngx_queue_init(&pool->waiting);
    ngx_rbtree_insert(&pools, &pool->node.node);
    return pool;
}


/* A pool that nobody uses goes. */
static void
pool_drop_if_unused(tcp_pool_t *pool)
{
    if (pool->link_count == 0 && pool->waiting_count == 0) {
        ngx_rbtree_delete(&pools, &pool->node.node);
        ngx_free(pool);
    }
}


static void
count_link(tcp_t *tcp, tcp_pool_t *pool)
{
    tcp->link.pool = pool;
    pool->link_count++;
}


static kept_t *
last_used(const tcp_pool_t *pool)
{
    return ngx_queue_data(ngx_queue_head(&pool->idle), kept_t, queue);
}


/* Those that are free: connections are kept and taken all the time. */
static ngx_queue_t spare;
static ngx_uint_t spare_count;
enum { SPARE_MAX = 64 };


static kept_t *
new_kept(void)
{
    if (spare_count == 0) {
        return ngx_alloc(sizeof(kept_t), ngx_cycle->log);
    }
    ngx_queue_t *first = ngx_queue_head(&spare);
    ngx_queue_remove(first);
    spare_count--;
    return ngx_queue_data(first, kept_t, queue);
}


static void
free_kept(kept_t *kept)
{
    if (spare_count == SPARE_MAX) {
        ngx_free(kept);
        return;
    }
    if (spare_count++ == 0) {
        ngx_queue_init(&spare);
    }
    ngx_queue_insert_head(&spare, &kept->queue);
}


static void
remove_kept(kept_t *kept)
{
    ngx_queue_remove(&kept->queue);
    kept->link.pool->idle_count--;
}


static void
drop_kept(kept_t *kept)
{
    remove_kept(kept);
    tcp_link_close(&kept->link);
    free_kept(kept);
}


/* The kept connection into the socket. */
static void
take_kept(tcp_t *tcp, kept_t *kept)
{
    ngx_connection_t *c = kept->link.connection;
    remove_kept(kept);
    tcp->link = kept->link;
    tcp->link.reused++;
    free_kept(kept);
    c->data = tcp;
    c->idle = 0;
    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }
    tcp_rest(tcp);
}


/* The last used connection of the pool that is in order, into the socket; those
   that are not go.  0: there is none. */
static int
take_idle(tcp_t *tcp, tcp_pool_t *pool)
{
    int is_taken = 0;
    pool->link_count++; /* it stays, though its last connection goes */
    while (!is_taken && pool->idle_count > 0) {
        kept_t *kept = last_used(pool);
        is_taken = resolua_clock_ns() - kept->since < MOMENT ||
                   resolua_kept_check(kept->link.connection) == NGX_OK;
        if (is_taken) {
            take_kept(tcp, kept);
        } else {
            drop_kept(kept);
        }
    }
    pool->link_count--;
    return is_taken;
}


static void
on_queue_timeout(ngx_event_t *ev)
{
    tcp_t *tcp = ev->data;
    tcp_pool_leave(tcp);
    ngx_memcpy(tcp->peer.error, "timeout", sizeof("timeout"));
    tcp_connect_again(tcp, NGX_ERROR);
}


static ngx_int_t
wait_for_turn(tcp_t *tcp, tcp_pool_t *pool)
{
    if (pool->waiting_count >= (ngx_uint_t) pool->backlog) {
        return NGX_BUSY;
    }
    ngx_queue_insert_tail(&pool->waiting, &tcp->queue);
    pool->waiting_count++;
    tcp->is_waiting = 1;
    tcp->link.pool = pool; /* not counted: tcp_pool_leave() forgets it */
    tcp->queue_timer.handler = on_queue_timeout;
    tcp->queue_timer.data = tcp;
    tcp->queue_timer.log = ngx_cycle->log;
    ngx_add_timer(&tcp->queue_timer, tcp->connect_timeout);
    return NGX_AGAIN;
}


ngx_int_t
tcp_pool_take(tcp_t *tcp, const ngx_str_t *name, lua_Integer size,
              lua_Integer backlog)
{
    tcp_pool_t *pool = pool_find(name);
    if (pool == NULL && (size > 0 || backlog >= 0)) {
        pool = pool_new(name,
                        size > 0 ? (ngx_uint_t) size
                                 : (ngx_uint_t) tcp_conf(tcp)->pool_size,
                        (ngx_int_t) backlog);
    }
    if (pool == NULL) {
        return NGX_DECLINED;
    }
    if (pool->idle_count > 0 && take_idle(tcp, pool)) {
        return NGX_OK;
    }
    if (pool->backlog >= 0 && pool->link_count >= pool->size) {
        return wait_for_turn(tcp, pool);
    }
    count_link(tcp, pool);
    return NGX_DECLINED;
}


void
tcp_pool_leave(tcp_t *tcp)
{
    tcp_pool_t *pool = tcp->link.pool;
    if (!tcp->is_waiting) {
        return;
    }
    ngx_queue_remove(&tcp->queue);
    tcp->is_waiting = 0;
    tcp->link.pool = NULL;
    pool->waiting_count--;
    if (tcp->queue_timer.timer_set) {
        ngx_del_timer(&tcp->queue_timer);
    }
    pool_drop_if_unused(pool);
}


/* The first that waits has its turn. */
static tcp_t *
pop_waiting(tcp_pool_t *pool)
{
    ngx_queue_t *first = ngx_queue_head(&pool->waiting);
    tcp_t *tcp = ngx_queue_data(first, tcp_t, queue);
    pool->link_count++; /* before leave(), that the pool stays */
    tcp_pool_leave(tcp);
    tcp->link.pool = pool;
    return tcp;
}


static void
on_turn(ngx_event_t *ev)
{
    tcp_t *tcp = ev->data;
    tcp_connect_turn(tcp);
}


void
tcp_pool_release(tcp_pool_t *pool)
{
    pool->link_count--;
    if (pool->waiting_count > 0 && pool->link_count < pool->size) {
        tcp_t *tcp = pop_waiting(pool);
        tcp->queue_timer.handler = on_turn;
        ngx_post_event(&tcp->queue_timer, &ngx_posted_events);
        return;
    }
    pool_drop_if_unused(pool);
}


/* The peer has closed, or sent what nobody asked for, or it is time. */
static void
on_kept_event(ngx_event_t *ev)
{
    ngx_connection_t *c = ev->data;
    if (resolua_kept_on_event(c) != NGX_OK) {
        drop_kept(c->data);
    }
}


static void
ignore(ngx_event_t *ev)
{
    (void) ev;
}


/* The socket's connection into the pool, or to the first that waits for one. */
static void
keep(tcp_t *tcp, tcp_pool_t *pool, kept_t *kept, ngx_msec_t timeout)
{
    ngx_connection_t *c = tcp->link.connection;
    if (pool->idle_count >= pool->size) {
        ngx_queue_t *last = ngx_queue_last(&pool->idle);
        drop_kept(ngx_queue_data(last, kept_t, queue));
    }
    if (tcp->link.buffer != NULL) {
        ngx_free(tcp->link.buffer);
        tcp->link.buffer = NULL;
    }
    kept->link = tcp->link;
    kept->since = resolua_clock_ns();
    ngx_memzero(&tcp->link, sizeof(tcp->link));
    ngx_queue_insert_head(&pool->idle, &kept->queue);
    pool->idle_count++;
    c->data = kept;
    c->idle = 1;
    c->read->handler = on_kept_event;
    c->write->handler = ignore;
    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }
    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }
    if (timeout > 0) {
        ngx_add_timer(c->read, timeout);
    }
}


/* Who waits for a connection of the pool gets the one that was kept. */
static void
serve_waiting(tcp_pool_t *pool)
{
    if (pool->waiting_count == 0 || pool->idle_count == 0) {
        return;
    }
    tcp_t *tcp = pop_waiting(pool);
    pool->link_count--; /* it takes a link that is counted */
    tcp->link.pool = NULL;
    take_kept(tcp, last_used(pool));
    tcp->has_link = 1;
    tcp->queue_timer.handler = on_turn;
    tcp->queue_timer.data = tcp;
    ngx_post_event(&tcp->queue_timer, &ngx_posted_events);
}


static const char *
why_not_kept(const tcp_t *tcp)
{
    ngx_connection_t *c = tcp->link.connection;
    if (tcp->link.at < tcp->link.end || tcp->parser != NULL) {
        return "unread data in buffer";
    }
    if (c->read->eof || c->read->error || c->write->error || c->error) {
        return "invalid connection";
    }
    if (!c->read->ready) { /* nothing has come since it was read empty */
        return NULL;
    }
    const ngx_int_t rc = resolua_kept_check(c);
    return rc == NGX_OK     ? NULL
           : rc == NGX_DONE ? "closed"
                            : "connection in dubious state";
}


/* setkeepalive(timeout_ms?, pool_size?) */
int
tcp_setkeepalive(lua_State *L)
{
    tcp_t *tcp = tcp_check(L);
    const resolua_socket_conf_t *conf = tcp_conf(tcp);
    if (tcp->link.connection == NULL || tcp->failed != NULL) {
        if (tcp_busy(tcp) == NULL) { /* others may sleep on it */
            tcp_close(tcp);
        }
        return resolua_fail(L, "closed");
    }
    lua_Integer timeout =
        luaL_optinteger(L, 2, (lua_Integer) conf->keepalive_timeout);
    const lua_Integer size = luaL_optinteger(L, 3, conf->pool_size);
    luaL_argcheck(L, size > 0, 3, "bad pool size");
    if (timeout < 0) {
        timeout = (lua_Integer) conf->keepalive_timeout;
    }
    if (tcp_busy(tcp) != NULL) {
        return resolua_fail(L, tcp_busy(tcp));
    }
    const char *reason = why_not_kept(tcp);
    if (reason != NULL) { /* nobody can use it any more */
        tcp_close(tcp);
        return resolua_fail(L, reason);
    }
    if (ngx_exiting || ngx_terminate) {
        tcp_close(tcp);
        return tcp_succeed(L);
    }
    tcp_pool_t *pool = tcp->link.pool;
    if (pool == NULL) {
        pool = pool_find(&tcp->pool_name);
        if (pool == NULL) {
            pool = pool_new(&tcp->pool_name, (ngx_uint_t) size, -1);
        }
        if (pool == NULL) {
            return resolua_fail(L, "no memory");
        }
        count_link(tcp, pool);
    }
    kept_t *kept = new_kept();
    if (kept == NULL ||
        ngx_handle_read_event(tcp->link.connection->read, 0) != NGX_OK) {
        if (kept != NULL) {
            free_kept(kept);
        }
        return resolua_fail(L, "no memory");
    }
    keep(tcp, pool, kept, (ngx_msec_t) timeout);
    serve_waiting(pool);
    return tcp_succeed(L);
}


int
tcp_getreusedtimes(lua_State *L)
{
    const tcp_t *tcp = tcp_check(L);
    if (tcp->link.connection == NULL) {
        return resolua_fail(L, "closed");
    }
    lua_pushinteger(L, (lua_Integer) tcp->link.reused);
    return 1;
}
