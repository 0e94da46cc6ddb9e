/* The way to Redis: a socket that does not block, and what is said on it before
   it is ready. */

#include <netinet/tcp.h>

#include "server/private/remote_wire.h"

enum { READ_SIZE = 64 * 1024 }; /* octets */


static void
set_error(remote_wire_t *wire, const char *text)
{
    (void) ngx_cpystrn((u_char *) wire->error, (u_char *) text,
                       sizeof(wire->error));
}


static ngx_int_t
send_output(remote_wire_t *wire)
{
    ngx_connection_t *c = wire->connection;
    size_t size;
    for (;;) {
        const char *output = store_redis_output(wire->db, &size);
        if (size == 0) {
            return NGX_OK;
        }
        const ssize_t n = c->send(c, (u_char *) output, size);
        if (n == NGX_AGAIN) {
            return ngx_handle_write_event(c->write, 0);
        }
        if (n <= 0) {
            set_error(wire, "the connection is lost");
            return NGX_ERROR;
        }
        store_redis_sent(wire->db, (size_t) n);
    }
}


static void
on_flush(ngx_event_t *ev)
{
    remote_wire_t *wire = ev->data;
    if (wire->connection->write->ready && send_output(wire) != NGX_OK) {
        wire->failed(wire, wire->error);
    }
}


void
remote_wire_flush(remote_wire_t *wire)
{
    if (!wire->flush.posted) {
        ngx_post_event(&wire->flush, &ngx_posted_events);
    }
}


/* What goes first on the connection. */
static void
begin_stage(remote_wire_t *wire)
{
    wire->is_sent = 1;
    if (wire->stage == WIRE_SENTINEL) {
        store_redis_begin_master(wire->db, &wire->master, NULL);
    } else {
        store_redis_begin_login(wire->db, NULL);
    }
}


static void on_read(ngx_event_t *ev);
static void on_write(ngx_event_t *ev);


static void
begin(remote_wire_t *wire)
{
    begin_stage(wire);
    if (send_output(wire) != NGX_OK) {
        wire->failed(wire, wire->error);
    }
}


static void
on_handshake(ngx_connection_t *c)
{
    remote_wire_t *wire = c->data;
    const char *reason = remote_tls_check(wire);
    c->read->handler = on_read;
    c->write->handler = on_write;
    if (reason != NULL) {
        wire->failed(wire, reason);
    } else {
        begin(wire);
    }
}


/* The connection is there. */
static void
on_connected(remote_wire_t *wire)
{
    if (wire->store->conf->ssl == NULL) {
        begin(wire);
        return;
    }
    wire->is_sent = 1;
    switch (remote_tls_begin(wire, on_handshake)) {
    case NGX_OK:
        on_handshake(wire->connection);
        break;
    case NGX_AGAIN:
        break;
    default:
        wire->failed(wire, "the TLS handshake failed");
    }
}


static void
on_write(ngx_event_t *ev)
{
    ngx_connection_t *c = ev->data;
    remote_wire_t *wire = c->data;
    if (!wire->is_sent) {
        int error = 0;
        socklen_t size = sizeof(error);
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1) {
            error = ngx_socket_errno;
        }
        if (error != 0) {
            wire->failed(wire, strerror(error));
            return;
        }
        on_connected(wire);
        return;
    }
    if (send_output(wire) != NGX_OK) {
        wire->failed(wire, wire->error);
    }
}


/* The sentinel's answer, or that to the log-in. */
static void
end_stage(remote_wire_t *wire)
{
    wire->is_over = 0;
    if (wire->status != DNS_OK) {
        wire->failed(wire, wire->error);
        return;
    }
    if (wire->stage == WIRE_LOGIN) {
        wire->stage = WIRE_READY;
        wire->ready(wire);
        return;
    }
    const store_host_t master = {wire->master.address, wire->master.port};
    remote_wire_close(wire);
    if (remote_wire_open(wire, &master) != NGX_OK) {
        wire->failed(wire, wire->error);
    }
}


static void
on_read(ngx_event_t *ev)
{
    static u_char octets[READ_SIZE];
    ngx_connection_t *c = ev->data;
    remote_wire_t *wire = c->data;
    if (!wire->is_sent) { /* not connected */
        on_write(c->write);
        return;
    }
    for (;;) {
        const ssize_t n = c->recv(c, octets, sizeof(octets));
        if (n == NGX_AGAIN) {
            (void) ngx_handle_read_event(ev, 0);
            return;
        }
        if (n <= 0) {
            wire->failed(wire, "the connection is lost");
            return;
        }
        wire->is_heard = 1;
        store_redis_set_serial(wire->db, wire->store->serial);
        if (store_redis_feed(wire->db, (char *) octets, (size_t) n) != DNS_OK) {
            wire->failed(wire, "what it sends is not Redis's protocol");
            return;
        }
        if (wire->is_over) {
            const ngx_uint_t was_login = wire->stage == WIRE_LOGIN;
            const ngx_uint_t is_good = wire->status == DNS_OK;
            end_stage(wire);
            if (!was_login || !is_good) {
                return; /* the connection is another one, or none */
            }
        }
    }
}


/* The end of a job; without one, of the stage: dealt with by who feeds. */
static void
on_done(void *data, void *job, dns_status_t status, const char *error)
{
    remote_wire_t *wire = data;
    if (job != NULL) {
        wire->done(wire, job, status, error);
        return;
    }
    wire->is_over = 1;
    wire->status = status;
    set_error(wire, error);
}


static void
on_skip(void *data, const char *name, const char *reason)
{
    remote_note_skipped(data, 0, name, reason);
}


static void
on_node(void *data, const char *address, uint16_t port, bool is_master)
{
    remote_group_node(data, address, port, is_master);
}


static ngx_int_t
set_protocol(remote_wire_t *wire)
{
    const store_redis_callbacks_t callbacks = {
        .skip = on_skip,
        .skip_data = wire->store,
        .done = on_done,
        .done_data = wire,
        .node = on_node,
        .node_data = wire->store,
    };
    return store_redis_new(&wire->db, wire->store->conf->options, &callbacks,
                           wire->store->records) == DNS_OK
               ? NGX_OK
               : NGX_ERROR;
}


static ngx_int_t
watch(remote_wire_t *wire, ngx_socket_t fd)
{
    ngx_connection_t *c = ngx_get_connection(fd, ngx_cycle->log);
    if (c == NULL) {
        set_error(wire, "no free connection");
        (void) ngx_close_socket(fd);
        return NGX_ERROR;
    }
    wire->connection = c;
    c->data = wire;
    c->read->handler = on_read;
    c->write->handler = on_write;
    c->read->log = c->write->log = c->log;
    c->recv = ngx_recv;
    c->send = ngx_send;
    c->log_error = NGX_ERROR_INFO; /* what it means is told by the store */
    return ngx_add_conn != NULL
               ? ngx_add_conn(c)
               : (ngx_add_event(c->read, NGX_READ_EVENT, 0) == NGX_OK
                      ? ngx_add_event(c->write, NGX_WRITE_EVENT, 0)
                      : NGX_ERROR);
}


static ngx_int_t
connect_to(remote_wire_t *wire, const ngx_sockaddr_t *to, socklen_t size)
{
    const ngx_socket_t fd = ngx_socket(to->sockaddr.sa_family, SOCK_STREAM, 0);
    const int yes = 1;
    if (fd == (ngx_socket_t) -1) {
        set_error(wire, strerror(errno));
        return NGX_ERROR;
    }
    if (to->sockaddr.sa_family != AF_UNIX) {
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    }
    if (ngx_nonblocking(fd) == -1 ||
        (connect(fd, &to->sockaddr, size) == -1 && errno != EINPROGRESS)) {
        set_error(wire, strerror(errno));
        (void) ngx_close_socket(fd);
        return NGX_ERROR;
    }
    return watch(wire, fd);
}


ngx_int_t
remote_wire_open(remote_wire_t *wire, const store_host_t *host)
{
    const remote_conf_t *conf = wire->store->conf;
    ngx_sockaddr_t to;
    socklen_t size;
    wire->flush.handler = on_flush;
    wire->flush.data = wire;
    wire->flush.log = ngx_cycle->log;
    wire->is_sent = 0;
    wire->stage = wire->stage == WIRE_NONE && conf->options->sentinel != NULL
                      ? WIRE_SENTINEL
                      : WIRE_LOGIN;
    if (remote_address(conf, host, &to, &size) != NGX_OK) {
        set_error(wire, "the sentinel gives a name instead of an address");
        return NGX_ERROR;
    }
    if (set_protocol(wire) != NGX_OK) {
        set_error(wire, "no memory for a connection");
        return NGX_ERROR;
    }
    return connect_to(wire, &to, size);
}


void
remote_wire_close(remote_wire_t *wire)
{
    if (wire->connection != NULL) {
        ngx_pool_t *pool = wire->connection->pool;
        remote_tls_close(wire->connection);
        ngx_close_connection(wire->connection);
        wire->connection = NULL;
        if (pool != NULL) {
            ngx_destroy_pool(pool);
        }
    }
    if (wire->flush.posted) {
        ngx_delete_posted_event(&wire->flush);
    }
    store_redis_free(wire->db);
    wire->db = NULL;
}
