/* The way to MySQL and MariaDB: nginx's events wait for the jobs of
   store/mysql.h. */

#include "runtime/connecting.h"
#include "server/private/remote.h"
#include "store/mysql.h"

/* The driver's part of a link. */
typedef struct {
    store_mysql_t *db;                /* owned, unless connecting */
    int events;                       /* what the connection waits for */
    resolua_connecting_t *connecting; /* has db; NULL: no thread has it */
} mysql_link_t;

static void step(remote_link_t *link, int ready);


static void
on_event(ngx_event_t *ev)
{
    ngx_connection_t *c = ev->data;
    remote_link_t *link = c->data;
    const mysql_link_t *own = link->protocol;
    const int ready = ev->write ? CLIENT_WRITE : CLIENT_READ;
    if (link->is_ready && link->job_count == 0) {
        if (!ev->write) { /* the server has ended it, or speaks out of turn */
            remote_link_failed(link, "the connection is lost");
        }
        return;
    }
    if ((own->events & ready) != 0) {
        step(link, ready);
    }
}


/* libmariadb reads and writes until the system has no more. */
static ngx_int_t
watch(remote_link_t *link, ngx_socket_t fd)
{
    return link->connection != NULL && link->connection->fd == fd
               ? NGX_OK
               : remote_descriptor_watch(&link->connection, fd, on_event, link);
}


/* A batch that was too large for one statement is done one by one. */
static ngx_uint_t
part_batch(remote_link_t *link, ngx_queue_t *jobs)
{
    if (ngx_queue_head(jobs) == ngx_queue_last(jobs)) {
        return 0;
    }
    while (!ngx_queue_empty(jobs)) {
        remote_job_t *job =
            ngx_queue_data(ngx_queue_last(jobs), remote_job_t, queue);
        job->is_alone = 1;
        remote_job_requeue(job);
    }
    remote_pump(link->store);
    return 1;
}


static void
end_jobs(remote_link_t *link, dns_status_t status, const char *error)
{
    remote_store_t *store = link->store;
    char text[REMOTE_ERROR_SIZE];
    if (status == DNS_ELIMIT && part_batch(link, &link->jobs)) {
        return;
    }
    (void) ngx_cpystrn((u_char *) text, (u_char *) error, sizeof(text));
    while (!ngx_queue_empty(&link->jobs)) {
        remote_job_end(
            ngx_queue_data(ngx_queue_head(&link->jobs), remote_job_t, queue),
            status, text);
    }
    remote_pump(store);
}


/* libmariadb's call is over. */
static void
finish(remote_link_t *link)
{
    const mysql_link_t *own = link->protocol;
    const dns_status_t status = store_mysql_status(own->db);
    const char *error = store_mysql_error(own->db);
    if (!link->is_ready) {
        if (status == DNS_OK) {
            remote_link_ready(link);
        } else {
            remote_link_failed(link, error);
        }
        return;
    }
    if (store_mysql_is_gone(own->db)) {
        remote_link_failed(link, error);
        return;
    }
    end_jobs(link, status, error);
}


static void
step(remote_link_t *link, int ready)
{
    mysql_link_t *own = link->protocol;
    client_wait_t wait;
    if (store_mysql_step(own->db, ready, ngx_current_msec, &wait) !=
        CLIENT_WAIT) {
        own->events = 0;
        finish(link);
        return;
    }
    own->events = wait.events;
    if (watch(link, wait.fd) != NGX_OK) {
        remote_link_failed(link, "no free connection");
    }
}


/* The first step of a job, not within the call that starts it. */
static void
on_start(ngx_event_t *ev)
{
    step(ev->data, 0);
}


static void
on_skip(void *data, uint64_t id, const char *name, const char *reason)
{
    remote_note_skipped(data, id, name, reason);
}


/* On the other thread. */
static void
connect_there(void *object)
{
    store_mysql_connect(object);
}


static void
free_abandoned(void *object)
{
    store_mysql_free(object);
}


static void
on_connected(void *data)
{
    remote_link_t *link = data;
    mysql_link_t *own = link->protocol;
    own->connecting = NULL;
    if (store_mysql_status(own->db) == DNS_OK &&
        watch(link, store_mysql_socket(own->db)) != NGX_OK) {
        remote_link_failed(link, "no free connection");
        return;
    }
    finish(link);
}


/* libmariadb blocks in the handshake of TLS. */
static ngx_int_t
connect_on_thread(remote_link_t *link)
{
    mysql_link_t *own = link->protocol;
    const resolua_connector_t connector = {
        .object = own->db,
        .connect = connect_there,
        .free = free_abandoned,
        .done = on_connected,
        .data = link,
    };
    own->connecting = resolua_connecting_begin(&connector);
    return own->connecting != NULL ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
connect_to(remote_link_t *link, const store_host_t *host)
{
    store_options_t *options = link->store->conf->options;
    mysql_link_t *own = ngx_calloc(sizeof(*own), ngx_cycle->log);
    if (own == NULL) {
        return NGX_ERROR;
    }
    link->protocol = own;
    if (store_mysql_new(&own->db, options, host, link->store->records) !=
        DNS_OK) {
        own->db = NULL;
        return NGX_ERROR;
    }
    store_mysql_on_skip(own->db, on_skip, link->store);
    link->flush.handler = on_start;
    link->flush.data = link;
    if (options->ca_file != NULL) {
        return connect_on_thread(link);
    }
    store_mysql_begin_connect(own->db, ngx_current_msec);
    ngx_post_event(&link->flush, &ngx_posted_events);
    return NGX_OK;
}


static void
start(remote_link_t *link, remote_job_t *job)
{
    const mysql_link_t *own = link->protocol;
    dns_fetched_t *sets[STORE_MYSQL_SETS_MAX];
    unsigned count = 0;
    if (job->set == NULL) {
        if (job->owners != NULL) {
            const store_mysql_zone_t zone = {job->owners_zone,
                                             job->owners_apex};
            store_mysql_begin_owners(own->db, &zone, job->owners,
                                     ngx_current_msec);
        } else {
            store_mysql_begin_zones(own->db, job->zones, ngx_current_msec);
        }
        ngx_post_event(&link->flush, &ngx_posted_events);
        return;
    }
    for (ngx_queue_t *q = ngx_queue_head(&link->jobs);
         q != ngx_queue_sentinel(&link->jobs); q = ngx_queue_next(q)) {
        const remote_job_t *one = ngx_queue_data(q, remote_job_t, queue);
        sets[count++] = one->set;
    }
    store_mysql_begin_fetch(own->db, sets, count, ngx_current_msec);
    ngx_post_event(&link->flush, &ngx_posted_events);
}


static void
close_connection(remote_link_t *link)
{
    mysql_link_t *own = link->protocol;
    remote_descriptor_forget(&link->connection);
    if (own != NULL && own->connecting != NULL) {
        resolua_connecting_abandon(own->connecting);
        own->db = NULL; /* it frees what it has */
    }
    if (own != NULL) {
        store_mysql_free(own->db);
        ngx_free(own);
        link->protocol = NULL;
    }
}


const remote_driver_t remote_mysql = {
    .jobs_max = STORE_MYSQL_SETS_MAX,
    .batches = 1,
    .connect = connect_to,
    .start = start,
    .close = close_connection,
};
