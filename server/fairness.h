#ifndef SERVER_FAIRNESS_H
#define SERVER_FAIRNESS_H

/*
 * A flood of random names in one zone leaves the other zones, and the names
 * that the zone has, as they were.
 *
 * What can be answered in place costs microseconds; a name of a networked store
 * or of an upstream costs ten to a hundred times as much, and its turn may be
 * long in coming.  Names for which an answer is known to be there go first
 * everywhere.  The others are strange:
 *
 * - in a store's queue they have three quarters of the places, and wait behind
 *   the known ones;
 * - while the socket's receive buffer is half full they are dropped, for what
 *   the kernel drops next would be anybody's;
 * - where they keep coming faster than they are answered, nearly all of them do
 *   not exist, and others ask for what is answered in place, the zone is
 *   flooded: its strange names get a small share of the worker's time until
 *   fewer come.
 *
 * Datagrams are dropped rather than refused.  A client that is real asks again:
 * a name that comes once more is not random, and is asked for.  And it may ask
 * over TCP, which is not limited.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "dns/query.h"

/* A zone of a networked store, or all that is forwarded. */
typedef struct dns_share_s dns_share_t;

/* In each worker.  is_limited 0: names are known or strange, and no datagram is
   dropped (dns_flood_limit off). */
void dns_fairness_open(ngx_uint_t is_limited);

/* Before a name is asked for, of a store's zone apex or (NULL) an upstream's.
   NGX_OK: *share is NULL for a known name, and that of a strange one.
   NGX_DECLINED: not now. */
ngx_int_t dns_fairness_admit(const dns_name_t *name, const dns_name_t *apex,
                             dns_share_t **share);

/* It is being asked for ... */
void dns_fairness_begin(dns_share_t *share);

/* ... and no more. */
void dns_fairness_end(dns_share_t *share);

/* The answer for a strange name (share), or a known one (NULL). */
void dns_fairness_answered(dns_share_t *share, const dns_query_t *query,
                           const uint8_t *answer, size_t size);

/* A store had no place for a strange name. */
void dns_fairness_refused(dns_share_t *share);

/* Is any zone flooded?  Then each wake-up costs more than it brings. */
ngx_uint_t dns_fairness_is_flooded(void);

/* So many queries were answered in place. */
void dns_fairness_in_place(ngx_uint_t count);

/* The receive buffer is half full, or not any more. */
void dns_fairness_press(ngx_uint_t is_pressed);

#endif
