/* Jobs on a connection to Redis.  Commands of one turn of the event loop go out
   together. */

#include "server/private/remote_wire.h"


static void
on_ready(remote_wire_t *wire)
{
    remote_link_ready(wire->data);
}


static void
on_failed(remote_wire_t *wire, const char *error)
{
    remote_link_failed(wire->data, error);
}


static void
on_done(remote_wire_t *wire, void *data, dns_status_t status, const char *error)
{
    remote_job_t *job = data;
    if (status == DNS_OK && job->set == NULL) {
        remote_watch_listed(wire->store, store_redis_notifies(wire->db));
        remote_group_listed(wire->store);
    }
    remote_job_end(job, status, error);
}


static ngx_int_t
connect_to(remote_link_t *link, const store_host_t *host)
{
    remote_wire_t *wire = ngx_calloc(sizeof(*wire), ngx_cycle->log);
    if (wire == NULL) {
        return NGX_ERROR;
    }
    link->protocol = wire;
    wire->store = link->store;
    wire->data = link;
    wire->ready = on_ready;
    wire->done = on_done;
    wire->failed = on_failed;
    if (remote_wire_open(wire, host) != NGX_OK) {
        ngx_memcpy(link->error, wire->error, sizeof(link->error));
        return NGX_ERROR;
    }
    return NGX_OK;
}


static void
start(remote_link_t *link, remote_job_t *job)
{
    remote_wire_t *wire = link->protocol;
    store_redis_set_serial(wire->db, link->store->serial);
    if (job->set != NULL) {
        store_redis_begin_fetch(wire->db, job->set, job);
    } else if (job->owners != NULL) {
        store_redis_begin_owners(wire->db, job->owners_apex, job->owners, job);
    } else {
        link->store->masters_told = 0;
        store_redis_begin_zones(wire->db, job->zones, job);
    }
    remote_wire_flush(wire);
}


static void
close_connection(remote_link_t *link)
{
    if (link->protocol != NULL) {
        remote_wire_close(link->protocol);
        ngx_free(link->protocol);
        link->protocol = NULL;
    }
}


const remote_driver_t remote_redis = {
    .jobs_max = STORE_REDIS_JOBS_MAX - 1,
    .connect = connect_to,
    .start = start,
    .close = close_connection,
};
