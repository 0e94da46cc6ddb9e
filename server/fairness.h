#ifndef SERVER_FAIRNESS_H
#define SERVER_FAIRNESS_H

/*
 * A flood of random names in one zone leaves the other zones, and the names
 * that the zone has, as they were.
 *
 * What can be answered in place costs microseconds; a name of a networked store
 * or of an upstream costs several times as much, and its turn may be long in
 * coming.  Names for which an answer is known to be there go first everywhere.
 * The others are strange:
 *
 * - in a store's queue they have three quarters of the places, and wait behind
 *   the known ones;
 * - while the socket's receive buffer is half full they are dropped, for what
 *   the kernel drops next would be anybody's.
 *
 * A zone is flooded when, in two windows of 100 ms in a row,
 *
 * - the worker ran short: the receive buffer was half full, strange names found
 *   no place in a queue, or the worker never waited and strange names took more
 *   than a tenth of its time;
 * - nearly all of the zone's strange names that were answered do not exist;
 * - to ask for all that came would have taken more than a tenth of the time
 *   that answers in place took, by what either costs (meter.h);
 *
 * and others ask for what is answered in place.  Then its strange names get a
 * hundredth of the time that the worker uses, and those that are asked again a
 * twentieth, until less than half as many come, or many of them exist, or
 * nobody else asks.  The others are dropped, at the price of one look into the
 * zone's owner names, before anything else is looked up.
 *
 * Datagrams are dropped rather than refused.  A client that is real asks again:
 * a name that comes once more is hardly random.  And it may ask over TCP, which
 * is not limited.  Addresses play no part: they can be forged, and one resolver
 * asks for many.
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

/* Is the name strange, of a flooded zone of a networked store, and not to be
   asked for now?  A cheap answer before anything is looked up; 0: look. Between
   dns_server_begin() and dns_server_end(). */
ngx_uint_t dns_fairness_turns_away(const dns_name_t *name);

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
