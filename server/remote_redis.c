/* The way to Redis: bytes between store/redis.c and a connection.  Commands of
   one turn of the event loop go out together. */

#include <netinet/tcp.h>

#include "server/private/remote.h"
#include "store/redis.h"

enum { READ_SIZE = 64 * 1024 }; /* octets */


static void
flush_later(remote_link_t *link)
{
    if (!link->flush.posted) {
        ngx_post_event(&link->flush, &ngx_posted_events);
    }
}


static void
send_output(remote_link_t *link)
{
    ngx_connection_t *c = link->connection;
    store_redis_t *db = link->protocol;
    size_t size;
    for (;;) {
        const char *output = store_redis_output(db, &size);
        if (size == 0) {
            return;
        }
        const ssize_t n = c->send(c, (u_char *) output, size);
        if (n == NGX_AGAIN) {
            (void) ngx_handle_write_event(c->write, 0);
            return;
        }
        if (n <= 0) {
            remote_link_failed(link, "the connection is lost");
            return;
        }
        store_redis_sent(db, (size_t) n);
    }
}


static void
on_flush(ngx_event_t *ev)
{
    remote_link_t *link = ev->data;
    if (link->connection->write->ready) {
        send_output(link);
    }
}


static void
log_in(remote_link_t *link)
{
    const remote_conf_t *conf = link->store->conf;
    const store_redis_account_t account = {
        .user = (const char *) conf->user.data,
        .password = (const char *) conf->password.data,
        .database = (unsigned) ngx_max(
            ngx_atoi(conf->database.data, conf->database.len), 0),
    };
    store_redis_begin_login(link->protocol, &account, NULL);
    send_output(link);
}


static void
on_write(ngx_event_t *ev)
{
    ngx_connection_t *c = ev->data;
    remote_link_t *link = c->data;
    if (!link->is_ready && store_redis_jobs(link->protocol) == 0) {
        int error = 0;
        socklen_t size = sizeof(error);
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1) {
            error = ngx_socket_errno;
        }
        if (error != 0) {
            remote_link_failed(link, strerror(error));
            return;
        }
        log_in(link);
        return;
    }
    send_output(link);
}


static void
on_read(ngx_event_t *ev)
{
    static u_char octets[READ_SIZE];
    ngx_connection_t *c = ev->data;
    remote_link_t *link = c->data;
    for (;;) {
        const ssize_t n = c->recv(c, octets, sizeof(octets));
        if (n == NGX_AGAIN) {
            (void) ngx_handle_read_event(ev, 0);
            return;
        }
        if (n <= 0) {
            remote_link_failed(link, "the connection is lost");
            return;
        }
        store_redis_set_serial(link->protocol, link->store->serial);
        if (store_redis_feed(link->protocol, (char *) octets, (size_t) n) !=
            DNS_OK) {
            remote_link_failed(link, "what it sends is not Redis's protocol");
            return;
        }
        if (link->failed) { /* the log-in */
            remote_link_failed(link, link->error);
            return;
        }
    }
}


/* The end of a job; without one, of the log-in. */
static void
on_done(void *data, void *job, dns_status_t status, const char *error)
{
    remote_link_t *link = data;
    if (job != NULL) {
        remote_job_end(job, status, error);
    } else if (status == DNS_OK) {
        remote_link_ready(link);
    } else { /* closed by who feeds */
        link->failed = 1;
        (void) ngx_cpystrn((u_char *) link->error, (u_char *) error,
                           sizeof(link->error));
    }
}


static void
on_skip(void *data, const char *name, const char *reason)
{
    remote_note_skipped(data, 0, name, reason);
}


static ngx_int_t
set_protocol(remote_link_t *link)
{
    const remote_conf_t *conf = link->store->conf;
    store_redis_t *db;
    const store_redis_options_t options = {
        .prefix = (const char *) conf->prefix.data,
        .suffix = (const char *) conf->suffix.data,
        .skip = on_skip,
        .skip_data = link->store,
        .done = on_done,
        .done_data = link,
    };
    if (store_redis_new(&db, &options, link->store->records) != DNS_OK) {
        return NGX_ERROR;
    }
    link->protocol = db;
    return NGX_OK;
}


static ngx_int_t
watch(remote_link_t *link, ngx_socket_t fd)
{
    ngx_connection_t *c = ngx_get_connection(fd, ngx_cycle->log);
    if (c == NULL) {
        (void) ngx_close_socket(fd);
        return NGX_ERROR;
    }
    link->connection = c;
    c->data = link;
    c->read->handler = on_read;
    c->write->handler = on_write;
    c->read->log = c->write->log = c->log;
    c->recv = ngx_recv;
    c->send = ngx_send;
    return ngx_add_conn != NULL
               ? ngx_add_conn(c)
               : (ngx_add_event(c->read, NGX_READ_EVENT, 0) == NGX_OK
                      ? ngx_add_event(c->write, NGX_WRITE_EVENT, 0)
                      : NGX_ERROR);
}


static ngx_int_t
connect_to(remote_link_t *link, const char *address, in_port_t port)
{
    ngx_sockaddr_t to;
    socklen_t size;
    link->flush.handler = on_flush;
    link->flush.data = link;
    if (set_protocol(link) != NGX_OK ||
        remote_address(link->store->conf, address, port, &to, &size) !=
            NGX_OK) {
        return NGX_ERROR;
    }
    const ngx_socket_t fd = ngx_socket(to.sockaddr.sa_family, SOCK_STREAM, 0);
    const int yes = 1;
    if (fd == (ngx_socket_t) -1) {
        return NGX_ERROR;
    }
    if (to.sockaddr.sa_family != AF_UNIX) {
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    }
    if (ngx_nonblocking(fd) == -1 ||
        (connect(fd, &to.sockaddr, size) == -1 && errno != EINPROGRESS)) {
        (void) ngx_cpystrn((u_char *) link->error, (u_char *) strerror(errno),
                           sizeof(link->error));
        (void) ngx_close_socket(fd);
        return NGX_ERROR;
    }
    return watch(link, fd);
}


static void
start(remote_link_t *link, remote_job_t *job)
{
    store_redis_set_serial(link->protocol, link->store->serial);
    if (job->set != NULL) {
        store_redis_begin_fetch(link->protocol, job->set, job);
    } else {
        store_redis_begin_zones(link->protocol, job->zones, job);
    }
    flush_later(link);
}


static void
close_connection(remote_link_t *link)
{
    if (link->connection != NULL) {
        ngx_close_connection(link->connection);
        link->connection = NULL;
    }
    store_redis_free(link->protocol);
    link->protocol = NULL;
}


const remote_driver_t remote_redis = {
    .jobs_max = STORE_REDIS_JOBS_MAX - 1,
    .connect = connect_to,
    .start = start,
    .close = close_connection,
};
