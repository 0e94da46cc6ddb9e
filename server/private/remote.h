#ifndef SERVER_PRIVATE_REMOTE_H
#define SERVER_PRIVATE_REMOTE_H

/*
 * A networked store of a worker: its connections (links), the jobs that wait
 * for one, its list of zones.
 */

#include "dns/zone_list.h"
#include "server/conf.h"
#include "server/remote.h"
#include "store/options.h"
#include "store/records.h"

enum {
    REMOTE_ERROR_SIZE = 512,  /* bytes */
    REMOTE_BELOW_SLOTS = 256, /* zones whose names are known */
    REMOTE_SKIP_MARKS = 1024,
};

/* In shared memory: what edits of ours have changed. */
enum {
    REMOTE_EDIT_BUCKETS = 64, /* by the zone's apex */
    REMOTE_EDITED_NAMES = 128,
};

typedef struct {
    uint64_t zones;     /* how often zones have come or gone */
    uint64_t own_zones; /* ... and come in the embedded store */
    uint64_t edits[REMOTE_EDIT_BUCKETS];
    uint64_t filtered; /* a bit for each bucket: sockets may have a filter that
                          was made of a zone's names (flood_filter.h) */
    uint64_t name_count; /* that have been edited, as far as edits say */
    uint8_t names[REMOTE_EDITED_NAMES][DNS_NAME_MAX]; /* the last ones */
} remote_changes_t;

extern remote_changes_t *remote_changes; /* NULL: no zone is live */

void remote_edits_open(void);

typedef struct remote_watch_s remote_watch_t;

/* What a directive says, with what nginx makes of it; of a node of a cluster,
   or a replica: with its own name and one host. */
typedef struct {
    store_options_t *options; /* released with the configuration's pool */
    const char *name;         /* for the log */
    store_hosts_t hosts;      /* addresses; none: a Unix socket */
    struct ssl_ctx_st *tls;   /* released with it too; NULL: no TLS (Redis) */
} remote_conf_t;

/* Reads the words of a dns_store directive, which cf->args has; what is wrong
   is logged. */
ngx_int_t remote_conf_read(ngx_conf_t *cf, remote_conf_t *conf);

/* The zones as they were told once; shared by the queries that began then. */
struct remote_list_s {
    dns_zone_list_t *zones;
    ngx_uint_t references;
};

/* How one kind of server is spoken to.  A link calls remote_link_ready(),
   remote_job_end() and remote_link_failed(). */
typedef struct {
    ngx_uint_t jobs_max; /* at once, on one link */
    ngx_uint_t batches;  /* jobs are begun together, on a link that is idle */
    /* Begins to connect to the host, or to log in.  host: NULL: the Unix
       socket; borrowed as long as the link. */
    ngx_int_t (*connect)(remote_link_t *link, const store_host_t *host);
    /* Begins the job, or with batches all of the link's.  May end neither them
       nor the link at once. */
    void (*start)(remote_link_t *link, remote_job_t *job);
    void (*close)(remote_link_t *link);
} remote_driver_t;

extern const remote_driver_t remote_mysql;
extern const remote_driver_t remote_redis;

struct remote_link_s {
    ngx_queue_t queue; /* among the store's */
    remote_store_t *store;
    ngx_queue_t jobs;
    ngx_uint_t job_count;
    ngx_connection_t *connection;
    void *protocol;    /* the driver's */
    ngx_event_t timer; /* connecting, or idle too long */
    ngx_event_t flush; /* Redis: commands are to be sent */
    unsigned is_ready : 1;
    unsigned is_used : 1; /* since its timer was set */
    unsigned has_worked : 1;
    unsigned failed : 1;
    char error[REMOTE_ERROR_SIZE];
};

typedef struct remote_below_s remote_below_t;

struct remote_store_s {
    const remote_conf_t *conf;
    remote_conf_t *own_conf; /* owned; NULL: conf is the directive's */
    const remote_conf_t
        *group;              /* the directive's: stores with the same zones */
    ngx_uint_t rank;         /* in the group: 0 is preferred */
    unsigned is_replica : 1; /* of a cluster: nobody waits for its list */
    unsigned masters_told;   /* numbers of stores, by the listing under way */
    const remote_driver_t *driver;
    ngx_uint_t number;
    store_records_t *records; /* borrowed: the worker's */

    ngx_queue_t links;
    ngx_uint_t link_count;
    ngx_uint_t ready_count;
    ngx_queue_t waiting; /* jobs ... */
    ngx_queue_t strange; /* ... and those of strange names, which wait behind */
    ngx_event_t pump;    /* posted: they are given to links */
    ngx_uint_t waiting_count;

    ngx_uint_t host;         /* the one in use */
    ngx_uint_t failures;     /* in a row */
    ngx_event_t back_off;    /* set: no connection is made before */
    ngx_msec_t failed_at;    /* when something failed last */
    unsigned is_failing : 1; /* and that has been logged */
    unsigned is_closing : 1;

    remote_list_t *list; /* NULL: not told yet */
    remote_job_t listing;
    unsigned is_listing : 1;
    unsigned is_starting : 1; /* it is about to tell its zones first ... */
    ngx_event_t start;        /* ... until this at the latest */
    uint64_t seen;            /* changes of zones that the list knows of ... */
    uint64_t listing_seen;    /* ... and that the one under way will */
    ngx_event_t poll;
    ngx_queue_t list_waiters; /* jobs without set */
    ngx_msec_t listing_took;
    unsigned listing_failed : 1; /* the last one */
    unsigned list_again : 1;     /* zones may have come during the listing */
    remote_watch_t *watch;       /* Redis; owned */
    uint32_t serial;       /* of zones that have none: when a change was seen */
    remote_below_t *below; /* owned: REMOTE_BELOW_SLOTS; NULL: nothing yet */
    uint64_t skipped;
    uint32_t skip_marks[REMOTE_SKIP_MARKS]; /* what was logged */
};

extern remote_store_t remote_stores[DNS_REMOTE_STORES_MAX];

/* The stores that a directive becomes. */
ngx_uint_t remote_conf_stores(const remote_conf_t *conf);

/* Of two stores that have a zone: should the first be asked? */
ngx_uint_t remote_is_better(const remote_store_t *store,
                            const remote_store_t *other);

/* Is another store of its group up? */
ngx_uint_t remote_has_substitute(const remote_store_t *store);

/* Without its list nobody knows which zones there are. */
ngx_uint_t remote_is_missed(const remote_store_t *store);

/* It is down, and others know the zones as they are by now. */
ngx_uint_t remote_is_outdated(const remote_store_t *store);

/* Lists the zones of its group anew; gives the stores' bits. */
unsigned remote_group_relist(const remote_store_t *store);

/* A listing tells a node of the cluster, and that it has told all. */
void remote_group_node(remote_store_t *store, const char *address,
                       in_port_t port, ngx_uint_t is_master);
void remote_group_listed(remote_store_t *store);

/* Jobs.  done() is called later, never from here. */
void remote_job_submit(remote_job_t *job);

/* A job that waits for something else than a connection: sets it up, without a
   deadline yet. */
void remote_job_begin(remote_job_t *job);

/* From drivers. */
void remote_job_end(remote_job_t *job, dns_status_t status, const char *error);
void remote_job_requeue(remote_job_t *job); /* before all that wait */
void remote_link_ready(remote_link_t *link);
void remote_link_failed(remote_link_t *link, const char *error);

/* Gives waiting jobs to links that are free. */
void remote_pump(remote_store_t *store);

/* A row or field that is not served: counted, and logged once. */
void remote_note_skipped(remote_store_t *store, uint64_t id, const char *name,
                         const char *reason);

/* The host that is in use; NULL: the Unix socket. */
const store_host_t *remote_host(const remote_store_t *store);

/* Is it an address, and no name? */
ngx_uint_t remote_is_address(const char *text);

/* A descriptor that a protocol machine owns, among nginx's events: handler is
   called for both directions, with data in the connection.  Whoever reads and
   writes does so until the system has no more, so that one registration is
   enough for all that becomes ready later.  *connection: that of another
   descriptor before, which is forgotten; NULL: none. */
ngx_int_t remote_descriptor_watch(ngx_connection_t **connection,
                                  ngx_socket_t fd, ngx_event_handler_pt handler,
                                  void *data);
void remote_descriptor_forget(ngx_connection_t **connection);

void remote_pool_open(remote_store_t *store);
void remote_pool_close(remote_store_t *store);

/* The list of zones: told again every options->poll_ms. */
void remote_zones_open(remote_store_t *store);
void remote_zones_close(remote_store_t *store);
void remote_zones_refresh(remote_store_t *store);
/* As soon as they may be, or once more after the listing under way. */
void remote_zones_soon(remote_store_t *store);
void remote_list_release(remote_list_t *list);

/* A zone has come or gone by an edit of ours: every worker is to list them
   anew before it answers. */
void remote_zones_changed(void);

/* Redis tells that a zone, or any (apex NULL), has changed, and whether it may
   have come or gone. */
void remote_zones_told(remote_store_t *store, const dns_name_t *apex,
                       ngx_uint_t may_come_or_go);

/* No kept answer of the store's zones is given any more. */
void remote_zones_purge(remote_store_t *store);

/* The connection on which Redis tells changes (remote_watch.c). */
void remote_watch_open(remote_store_t *store);
void remote_watch_close(remote_store_t *store);

/* A listing was told, and whether keyspace notifications are on. */
void remote_watch_listed(remote_store_t *store, ngx_uint_t notifies);

/* Is every change told, so that answers may be kept for long? */
ngx_uint_t remote_watch_is_on(const remote_store_t *store);

/* How often the zone, or one of a few others, was edited by us, in any
   worker. */
uint64_t remote_edits(const dns_name_t *apex);

/* A zone has come in the embedded store.  1: a filter may be there. */
ngx_uint_t remote_zone_made(void);

/* An edit has been committed, which sets names: in wire form, one behind the
   other, size octets.  1: a filter may be there that was made of the names of
   the zone. */
ngx_uint_t remote_edited(const dns_name_t *apex, const uint8_t *names,
                         size_t size);

/* What has something below it in a zone, if that is known and nothing has
   changed since, or the store's ttl_cap is not over; NULL: not known. */
const dns_ancestors_t *remote_below_find(remote_store_t *store,
                                         const dns_zone_t *zone);

/* The job waits until that is known, or cannot be: job->done() is then called
   with DNS_OK.  is_signed: the order of the names is listed too.  NGX_DECLINED:
   it is not told for this zone: ask for each name. */
ngx_int_t remote_below_wait(remote_job_t *job, const dns_zone_t *zone,
                            ngx_uint_t is_signed);

/* The same for the order.  NGX_DECLINED: no memory. */
ngx_int_t remote_below_wait_order(remote_job_t *job, const dns_zone_t *zone);

/* The order of a zone's names as it was told last, or NULL; the query holds it
   until its end, or until it asks for a newer one. */
const dns_order_t *remote_below_order(dns_remote_t *fetch,
                                      remote_store_t *store,
                                      const dns_zone_t *zone);

/* There is no order: DNS_NEEDS: wait for it; DNS_ENOTFOUND: it cannot be told,
   which is logged; DNS_ESTORE: the store has failed. */
dns_status_t remote_below_lack(const dns_remote_t *fetch, remote_store_t *store,
                               const dns_zone_t *zone);

/* The order of remote_below_order() does not lead to a proof: is a newer one
   worth asking for?  If it was asked for after the query had come, the chain is
   broken, which is remembered for a while. */
ngx_uint_t remote_below_may_be_old(dns_remote_t *fetch, remote_store_t *store,
                                   const dns_zone_t *zone);

/* The zone has signatures of NSEC or NSEC3, but not these: a secondary server
   of PowerDNS keeps it so.  Logged once a while. */
void remote_below_log_unproved(const remote_store_t *store,
                               const dns_zone_t *zone);

/* How many listings have begun. */
uint64_t remote_below_listings(void);
void remote_names_release(remote_names_t *names);

/* The last listing of a zone's names, however old; NULL: none. */
const dns_ancestors_t *remote_below_last(const remote_store_t *store,
                                         const dns_name_t *apex);

/* The same, if nothing has changed since it was asked for and it is not too
 *old; number: of the listing. */
const dns_ancestors_t *remote_below_current(remote_store_t *store,
                                            const dns_zone_t *zone,
                                            uint64_t *number);
void remote_below_close(remote_store_t *store);

/* The list to answer by; NULL: it is not known, or known to be old. */
remote_list_t *remote_zones_current(remote_store_t *store);

/* The job waits until the zones are known. */
void remote_zones_wait(remote_job_t *job);

#endif
