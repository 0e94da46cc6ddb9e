#ifndef DNS_FETCHED_H
#define DNS_FETCHED_H

/*
 * The nodes that a networked store has given for one query, as a source for
 * the answer engine.  What was not fetched yet is DNS_NEEDS:
 *
 *     while ((status = dns_answer(..., &answer)) == DNS_NEEDS) {
 *         dns_fetched_want_all(set, answer.needs, answer.need_count);
 *         for (size_t at = 0; dns_fetched_next_wanted(set, &at, &want);) ...
 *             put it into the statement
 *         for each row: dns_fetched_add() or dns_fetched_mark()
 *         dns_fetched_settle(set);
 *     }
 *
 * A name is wanted for its records first.  Only if it has none, and the answer
 * depends on it, is it wanted again for what lies below it: that tells an empty
 * non-terminal from a name that is absent.  To want a name is to want its
 * ancestors up to the apex: they tell the closest encloser.  The uppermost one
 * that is absent tells that all names below it are: a long name costs little
 * more than a short one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/ancestors.h"
#include "dns/conflict.h"
#include "dns/engine.h"
#include "dns/source.h"
#include "dns/status.h"
#include "dns/zone_list.h"

enum { DNS_FETCHED_MAX = 2048 }; /* names in one set */

typedef struct dns_fetched_s dns_fetched_t;

/* A name to be fetched; borrowed until the next want. */
typedef struct {
    uint32_t zone_id;
    const dns_name_t *apex;
    const dns_name_t *name;
    bool below; /* the name has no records: is there something below it? */
} dns_want_t;

/* zones: borrowed until the set is freed. */
DNS_EXPORT DNS_MUST_USE dns_status_t
dns_fetched_new(dns_fetched_t **out, const dns_zone_list_t *zones);
DNS_EXPORT void dns_fetched_free(dns_fetched_t *set);

/* Empty again, for another query; keeps its memory. */
DNS_EXPORT void dns_fetched_reset(dns_fetched_t *set,
                                  const dns_zone_list_t *zones);

/* The set as a source; borrows it. */
DNS_EXPORT dns_source_t dns_fetched_source(dns_fetched_t *set);

/* What the engine asked for.  DNS_ELIMIT: over DNS_FETCHED_MAX; DNS_ENOMEM;
   some may be wanted then. */
DNS_MUST_USE dns_status_t dns_fetched_want_all(dns_fetched_t *set,
                                               const dns_need_t *needs,
                                               size_t need_count);

/* The same for one need, where the names of its zone are known: of those above
   the name only the owners of records are asked for.  known: NULL if they are
   not. */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_fetched_want(
    dns_fetched_t *set, const dns_need_t *need, const dns_ancestors_t *known);

/* *at starts as 0; false at the end. */
DNS_EXPORT bool dns_fetched_next_wanted(const dns_fetched_t *set, size_t *at,
                                        dns_want_t *out);

/*
 * A record of a wanted name.  rdata is checked wire form; names in lower or
 * upper case.  DNS_ENOTFOUND: the name was not wanted, the record is left
 * out.  DNS_EEXIST: a duplicate.  DNS_ELIMIT, DNS_ENOMEM.
 */
DNS_MUST_USE dns_status_t dns_fetched_add(dns_fetched_t *set, uint32_t zone_id,
                                          const uint8_t *name,
                                          const dns_rrset_t *type_and_ttl,
                                          const dns_rdata_t *rdata);

/* All records of a wanted name at once: as dns_fetched_add() of each to one
   that has none. */
DNS_MUST_USE dns_status_t dns_fetched_put_node(dns_fetched_t *set,
                                               uint32_t zone_id,
                                               const uint8_t *name,
                                               const dns_node_t *node);

/* Are the records of the name known, or that it has none?  name: lower case. */
bool dns_fetched_knows(dns_fetched_t *set, uint32_t zone_id,
                       const uint8_t *name);

/* What has been added to a name; empty if it was not wanted.  Borrowed until
   more is. */
DNS_EXPORT dns_node_t dns_fetched_node(dns_fetched_t *set, uint32_t zone_id,
                                       const uint8_t *name);

/* Something exists at or below name: all wanted names from there up to the
   apex exist too, with or without records. */
void dns_fetched_mark(dns_fetched_t *set, uint32_t zone_id,
                      const uint8_t *name);

/* What was given of names that are wanted is forgotten: they are asked for from
   the beginning. */
DNS_EXPORT void dns_fetched_restart(dns_fetched_t *set);

/* What is below names of a zone is known from elsewhere: for all that have no
   records. */
DNS_EXPORT void dns_fetched_resolve_below(dns_fetched_t *set, uint32_t zone_id,
                                          const dns_ancestors_t *ancestors);

/* What may not stand at one name (dns/conflict.h) is left out, of the names
   whose records have come; visit is told. */
typedef void (*dns_fetched_conflict_t)(void *data, const dns_name_t *name,
                                       const dns_conflict_t *conflict);
DNS_EXPORT void dns_fetched_resolve_conflicts(dns_fetched_t *set,
                                              dns_fetched_conflict_t visit,
                                              void *data);

/* All that was wanted is known now. */
void dns_fetched_settle(dns_fetched_t *set);

#endif
