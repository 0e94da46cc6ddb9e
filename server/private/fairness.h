#ifndef SERVER_PRIVATE_FAIRNESS_H
#define SERVER_PRIVATE_FAIRNESS_H

/*
 * What fairness.c, flooded.c and flood_filter.c share: the zones that are
 * flooded now.
 */

#include "dns/name.h"
#include "server/fairness.h"

enum { FLOODED_MAX = 8 }; /* zones whose names are turned away early */

struct dns_share_s {
    ngx_msec_t window;
    ngx_uint_t arrived;          /* in the window */
    ngx_uint_t arrived_last;     /* in the one before */
    ngx_uint_t arrived_at_first; /* when the flood was seen */
    ngx_uint_t negatives; /* NXDOMAIN, SERVFAIL; halved with each window */
    ngx_uint_t positives;
    ngx_uint_t in_place;    /* the worker's number when the window began */
    ngx_uint_t others;      /* in place, in a second; decays */
    ngx_uint_t turns;       /* of a flooded zone, left in the window ... */
    ngx_uint_t turns_again; /* ... for names that are asked again */
    ngx_uint_t turns_first; /* turns, when the window began */
    ngx_uint_t signs;
    unsigned has_sign : 1; /* in the window */
    unsigned is_flooded : 1;
};

/* A flooded zone of a networked store. */
typedef struct {
    dns_name_t apex;
    dns_share_t *share;   /* NULL: free */
    ngx_msec_t looked_at; /* the window when it was found out that ... */
    uint64_t edited;      /* and dns_remote_zones_edited() */
    ngx_uint_t is_lowest; /* ... no zone of ours lies below */

    /* The name below which most of the strange names fall: by a vote of those
       that are dropped.  And the last listing of the zone's names (its number)
       in the time of which a name below it was denied: then what is below is
       neither another server's nor an alias. */
    dns_name_t suffix;
    ngx_uint_t votes;
    ngx_uint_t ballots;
    uint64_t denied;
} flooded_t;

extern flooded_t flooded_zones[FLOODED_MAX];

/* The flood of a zone begins and ends. */
void flooded_begin(dns_share_t *share, const dns_name_t *apex);
void flooded_end(const dns_share_t *share);

/* The flooded zone that the name is below; NULL: none. */
flooded_t *flooded_find(const dns_name_t *name);

/* Has no zone of ours its apex below the flooded one's?  Between
   dns_server_begin() and dns_server_end(). */
ngx_uint_t flooded_is_lowest(flooded_t *zone);

/* The name is not among those that the zone's store has told: may it exist all
   the same? */
ngx_uint_t flooded_may_exist(const dns_name_t *name, const dns_name_t *apex);

/* A strange name of the zone is dropped, or was denied by its store. */
void flooded_vote(flooded_t *zone, const dns_name_t *name);
void flooded_denied(const dns_name_t *name);

/* Looks what the window that is over says of a flooded zone. */
void fairness_roll(flooded_t *zone);

/* A flood has begun: its names may be dropped by the kernel soon. */
void flood_filter_begin(void);

/* What the kernel has dropped since the last call counts as arrived. */
void flood_filter_collect(void);

#endif
