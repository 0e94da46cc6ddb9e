/* The driver of Redis's machine (store/redis.h) by nginx's events. */

#include "server/private/remote_wire.h"


static ngx_int_t
refuse(remote_wire_t *wire, const char *error)
{
    (void) ngx_cpystrn((u_char *) wire->error, (u_char *) error,
                       sizeof(wire->error));
    return NGX_ERROR;
}


/* What the machine says that its next step needs. */
static void
set_timer(remote_wire_t *wire, uint64_t deadline_ms)
{
    if (wire->timer.timer_set) {
        ngx_del_timer(&wire->timer);
    }
    if (deadline_ms != CLIENT_NO_DEADLINE) {
        const ngx_msec_t now = ngx_current_msec;
        ngx_add_timer(&wire->timer, deadline_ms > now ? deadline_ms - now : 0);
    }
}


static void on_event(ngx_event_t *ev);


/* NGX_ERROR: why is in wire->error. */
static ngx_int_t
advance(remote_wire_t *wire, int ready)
{
    client_wait_t wait;
    store_redis_set_serial(wire->db, wire->store->serial);
    if (store_redis_step(wire->db, ready, ngx_current_msec, &wait) ==
        CLIENT_ERROR) {
        return refuse(wire, store_redis_error(wire->db));
    }
    if ((wire->connection == NULL || wire->connection->fd != wait.fd) &&
        remote_descriptor_watch(&wire->connection, wait.fd, on_event, wire) !=
            NGX_OK) {
        return refuse(wire, "no free connection");
    }
    wire->events = wait.events;
    if (wire->timer.timer_set || wait.deadline_ms != CLIENT_NO_DEADLINE) {
        set_timer(wire, wait.deadline_ms);
    }
    return NGX_OK;
}


/* 0: the wire has failed, and its user has closed it. */
static ngx_uint_t
step(remote_wire_t *wire, int ready)
{
    if (advance(wire, ready) != NGX_OK) {
        wire->failed(wire, wire->error);
        return 0;
    }
    if (!wire->is_ready && store_redis_is_ready(wire->db)) {
        wire->is_ready = 1;
        wire->ready(wire);
    }
    return 1;
}


static void
on_event(ngx_event_t *ev)
{
    ngx_connection_t *c = ev->data;
    remote_wire_t *wire = c->data;
    const int ready = ev->write ? CLIENT_WRITE : CLIENT_READ;
    if ((wire->events & ready) == 0) {
        return;
    }
    wire->is_heard |= !ev->write;
    /* The last octets and the end may come with one event. */
    if (step(wire, ready) && !ev->write && ev->pending_eof) {
        (void) step(wire, ready);
    }
}


static void
on_flush(ngx_event_t *ev)
{
    (void) step(ev->data, 0);
}


static void
on_timer(ngx_event_t *ev)
{
    (void) step(ev->data, CLIENT_TIMEOUT);
}


void
remote_wire_flush(remote_wire_t *wire)
{
    if (!wire->flush.posted) {
        ngx_post_event(&wire->flush, &ngx_posted_events);
    }
}


static void
on_done(void *data, void *job, dns_status_t status, const char *error)
{
    remote_wire_t *wire = data;
    wire->done(wire, job, status, error);
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


static void
set_event(ngx_event_t *ev, remote_wire_t *wire, ngx_event_handler_pt handler)
{
    ev->handler = handler;
    ev->data = wire;
    ev->log = ngx_cycle->log;
    ev->cancelable = 1;
}


ngx_int_t
remote_wire_open(remote_wire_t *wire, const store_host_t *host)
{
    const remote_conf_t *conf = wire->store->conf;
    const store_redis_callbacks_t callbacks = {
        .skip = on_skip,
        .skip_data = wire->store,
        .done = on_done,
        .done_data = wire,
        .node = on_node,
        .node_data = wire->store,
        .tls = conf->tls,
    };
    set_event(&wire->flush, wire, on_flush);
    set_event(&wire->timer, wire, on_timer);
    if (store_redis_new(&wire->db, conf->options, &callbacks,
                        wire->store->records) != DNS_OK) {
        return refuse(wire, "no memory for a connection");
    }
    store_redis_open(wire->db, host, ngx_current_msec);
    return advance(wire, 0);
}


void
remote_wire_close(remote_wire_t *wire)
{
    remote_descriptor_forget(&wire->connection);
    if (wire->flush.posted) {
        ngx_delete_posted_event(&wire->flush);
    }
    if (wire->timer.timer_set) {
        ngx_del_timer(&wire->timer);
    }
    store_redis_free(wire->db);
    wire->db = NULL;
}
