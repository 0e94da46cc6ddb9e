#ifndef SERVER_FLOOD_FILTER_H
#define SERVER_FLOOD_FILTER_H

/*
 * The kernel drops most names of a flood before a worker receives them.  Even
 * to receive a datagram costs a good part of what an answer from the embedded
 * store does.
 *
 * While a zone of a networked store is flooded (fairness.h), the worker's UDP
 * sockets have a filter (dns/name_filter.h) that knows which labels stand
 * directly below the name under which the flood falls.  It is there only if
 *
 * - the names of the zone are known as the store has told them last, and no
 * edit of ours has been committed since;
 * - no zone of ours lies below, no wildcard directly below that name, and it is
 *   neither a cut nor an alias: since that listing a name below was denied;
 * - several times more names come than the turns that they have: one in so many
 *   passes, which takes those turns and says how strong the flood is.
 *
 * An edit takes the filters off the sockets of all workers before it is
 * acknowledged.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include <linux/filter.h>

/* The sockets, which the room above has. */
typedef struct {
    /* Puts a program onto the worker's sockets, in the place of the one before.
       NGX_DECLINED: it is too long for the system; NGX_ERROR: it does not take
       any (logged).  No filter is left then. */
    ngx_int_t (*attach)(struct sock_filter *program, size_t count);
    void (*detach)(void);
    /* From the sockets of all workers. */
    void (*detach_everywhere)(void);
    /* Is it on all of the worker's sockets? */
    ngx_uint_t (*is_attached)(void);
    /* Counts what the kernel has dropped since the last call; gives how many
       datagrams the filter has. */
    ngx_uint_t (*count)(void);
} dns_flood_sockets_t;

/* In each worker; of_worker: borrowed. */
void dns_flood_filter_open(const dns_flood_sockets_t *of_worker);
void dns_flood_filter_close(void);

/* Takes the filters off the sockets of all workers: an edit is about to be
   acknowledged. */
void dns_flood_filter_edited(void);

#endif
