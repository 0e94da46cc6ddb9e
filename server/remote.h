#ifndef SERVER_REMOTE_H
#define SERVER_REMOTE_H

/*
 * Zones in networked stores, dns_store mysql://... and redis://..., as one
 * worker sees them: which zones there are is known without asking, nodes are
 * fetched for each query.  An answer is made in rounds:
 *
 *     dns_remote_begin(&fetch);
 *     for (;;) {
 *         dns_source_t source = dns_remote_source(&fetch, local);
 *         if (dns_answer(..., &source, ..., &answer) != DNS_NEEDS) {
 *             break;
 *         }
 *         dns_remote_fetch(&fetch, &answer, done, data);
 *         ... done(data, status) is called from the event loop
 *     }
 *     dns_remote_end(&fetch);
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "dns/engine.h"
#include "dns/fetched.h"
#include "server/conf.h"
#include "server/fairness.h"

enum {
    DNS_REMOTE_STORES_MAX = 24, /* each node and replica is one */
    /* Fetches for one query; more are no progress: 16 links of a chain, each
       with what is below. */
    DNS_REMOTE_ROUNDS_MAX = 64,
};

/* How many are configured; 0: nothing of this costs anything. */
extern ngx_uint_t dns_remote_count;

/* While the configuration is read. */
ngx_int_t dns_remote_conf(ngx_conf_t *cf);

/* For dns.service.configure(), whose table is on top of L: the networked
   stores, and what is to be called after an edit. */
void dns_remote_push(lua_State *L, const dns_main_conf_t *conf);

/* In each worker. */
void dns_remote_open(ngx_cycle_t *cycle);
void dns_remote_close(void);

typedef enum {
    DNS_REMOTE_NO,      /* no networked store has a zone that holds the name */
    DNS_REMOTE_YES,     /* one has */
    DNS_REMOTE_UNKNOWN, /* one has not told its zones yet */
} dns_remote_where_t;

/* A store is about to tell its zones for the first time: a zone of ours may not
   be the deepest.  For a moment only. */
ngx_uint_t dns_remote_is_starting(void);

/* The deepest zone that holds name; *apex: borrowed until the event loop runs
   again. */
dns_remote_where_t dns_remote_find(const dns_name_t *name,
                                   const dns_name_t **apex);

/* By the owner names that the zone's store has told last, which is not for
   answers: NGX_OK: the name is one of them, or above one; NGX_DECLINED: it is
   not; NGX_AGAIN: they have not been told, or a wildcard may make it.  apex: of
   dns_remote_find(). */
ngx_int_t dns_remote_knows(const dns_name_t *name, const dns_name_t *apex);

/* The owner names that the zone's store has told, if they are as they are now,
   and not older than its ttl_cap; borrowed until the event loop runs. *listing:
   their number, from 1.  NULL: they are not known. */
const dns_ancestors_t *dns_remote_listed(const dns_name_t *apex,
                                         uint64_t *listing);

/* How often zones of networked stores have come or gone by edits of ours, and
   come in the embedded one. */
uint64_t dns_remote_zones_edited(void);

/* By the names that were told last: the closest encloser of a name in the zone,
   and whether it is only above owners. */
void dns_remote_encloser(const dns_name_t *name, const dns_name_t *apex,
                         dns_name_t *encloser, ngx_uint_t *is_empty);

/* Names that edits of ours have set since the last call, in any worker: the
   last ones of them. */
void dns_remote_edited(void (*take)(const dns_name_t *name));

/* A filter on sockets (flood_filter.h) is to be made of the names of the zone:
   its edits have to take it off. */
void dns_remote_filtered(const dns_name_t *apex);

/* All stores have told their zones since the last one came or went by an edit
   of ours, and none lies below apex.  Looks at all zones. */
ngx_uint_t dns_remote_is_lowest(const dns_name_t *apex);

/* The source (server/health.h) that the name's zone is in; 0: none. */
uint32_t dns_remote_health(const dns_name_t *name);

typedef struct remote_store_s remote_store_t;
typedef struct remote_list_s remote_list_t;
typedef struct remote_link_s remote_link_t;
typedef struct remote_job_s remote_job_t;
typedef struct remote_names_s remote_names_t;

/* One use of a connection. */
struct remote_job_s {
    ngx_queue_t queue; /* among the waiting ones, or the link's */
    remote_store_t *store;
    remote_link_t *link;     /* NULL: waits */
    dns_fetched_t *set;      /* what it is to fetch, or else ... */
    dns_zone_list_t *zones;  /* ... it lists the zones, or else ... */
    dns_ancestors_t *owners; /* ... the names of a zone */
    const dns_name_t *owners_apex;
    uint32_t owners_zone;
    void (*done)(remote_job_t *job, dns_status_t status);
    void *data;
    ngx_event_t event;  /* its deadline */
    ngx_msec_t timeout; /* until then */
    ngx_msec_t started; /* when it got its connection */
    unsigned retries;
    dns_share_t *share; /* it is of a strange name (server/fairness.h); or NULL
                         */
    unsigned is_queued : 1;
    unsigned is_alone : 1; /* not in a batch with others: it is too large */
};

typedef void (*dns_remote_done_pt)(void *data, dns_status_t status);

/* What one query has fetched. */
typedef struct {
    dns_fetched_t *sets[DNS_REMOTE_STORES_MAX];  /* owned; NULL: nothing yet */
    remote_list_t *lists[DNS_REMOTE_STORES_MAX]; /* owned */
    remote_names_t *names; /* referenced: where its proofs are looked for */
    const dns_zone_t *order_zone; /* whose order is needed; of a list */
    const dns_source_t *local;
    remote_job_t job;
    dns_remote_done_pt done;
    void *data;
    ngx_msec_t began;
    unsigned wanted;  /* a bit for each store that is to be asked */
    unsigned is_held; /* a zone is known, a deeper one may be told soon */
    unsigned
        waited; /* for what is below names of a zone: a bit for each store */
    unsigned ordering; /* the bit of the store that order_zone is in; or 0 */
    uint64_t listings; /* of names that had begun when the query came */
    unsigned zones_seen;
    unsigned is_again;    /* it was asked anew, at another node or replica */
    uint32_t first_store; /* 0: the local one */
    uint32_t first_zone;
} dns_remote_t;

void dns_remote_begin(dns_remote_t *fetch);

/* Its zones and local's (NULL: none), as one source; borrows both. */
dns_source_t dns_remote_source(dns_remote_t *fetch, const dns_source_t *local);

/* Fetches answer->needs.  done() comes later, never from here: DNS_OK: ask the
   engine again; otherwise the store has failed. */
void dns_remote_fetch(dns_remote_t *fetch, const dns_answer_t *answer,
                      dns_remote_done_pt done, void *data);

/* Was the answer made from one zone alone, of a networked store?  What changes
   another zone cannot make it invalid then. */
static inline ngx_uint_t
dns_remote_is_of_one_zone(const dns_remote_t *fetch)
{
    return fetch->zones_seen == 1 && fetch->first_store != 0;
}

/* Seconds that an answer to a question for the type may be kept at most; it is
   of one zone. */
uint32_t dns_remote_ttl_cap(const dns_remote_t *fetch, uint16_t type);

/* Not while a fetch is under way. */
void dns_remote_end(dns_remote_t *fetch);

#endif
