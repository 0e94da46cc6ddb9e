/* The zones that are flooded now, and below which name the random ones fall. */

#include "server/meter.h"
#include "server/private/answer.h"
#include "server/private/fairness.h"
#include "server/remote.h"

enum {
    VOTERS = 8,     /* one of so many dropped names votes */
    VOTES_MAX = 64, /* so that a flood that has moved is seen to */
};

flooded_t flooded_zones[FLOODED_MAX];


void
flooded_begin(dns_share_t *share, const dns_name_t *apex)
{
    for (ngx_uint_t i = 0; i < FLOODED_MAX; i++) {
        flooded_t *zone = &flooded_zones[i];
        if (zone->share == NULL) {
            *zone = (flooded_t){.apex = *apex, .share = share, .suffix = *apex};
            return;
        }
    }
}


void
flooded_end(const dns_share_t *share)
{
    for (ngx_uint_t i = 0; i < FLOODED_MAX; i++) {
        if (flooded_zones[i].share == share) {
            flooded_zones[i].share = NULL;
        }
    }
}


static ngx_uint_t
is_below(const dns_name_t *name, const dns_name_t *suffix)
{
    return name->label_count > suffix->label_count &&
           dns_name_has_suffix(name, suffix);
}


flooded_t *
flooded_find(const dns_name_t *name)
{
    for (ngx_uint_t i = 0; i < FLOODED_MAX; i++) {
        if (flooded_zones[i].share != NULL &&
            is_below(name, &flooded_zones[i].apex)) {
            return &flooded_zones[i];
        }
    }
    return NULL;
}


ngx_uint_t
flooded_is_lowest(flooded_t *zone)
{
    const uint64_t edited = dns_remote_zones_edited();
    if (zone->looked_at != meter_window() || zone->edited != edited) {
        zone->looked_at = meter_window();
        zone->edited = edited;
        zone->is_lowest = dns_remote_is_lowest(&zone->apex) &&
                          !dns_server_has_zones_below(&zone->apex);
    }
    return zone->is_lowest;
}


/* What stands below an owner may be another server's, or an alias. */
ngx_uint_t
flooded_may_exist(const dns_name_t *name, const dns_name_t *apex)
{
    dns_name_t encloser;
    ngx_uint_t is_empty;
    uint64_t listing;
    if (name->label_count == apex->label_count + 1) {
        return 0; /* below the apex itself */
    }
    dns_remote_encloser(name, apex, &encloser, &is_empty);
    if (is_empty || encloser.label_count == apex->label_count) {
        return 0;
    }
    const flooded_t *zone = flooded_find(name);
    return zone == NULL ||
           !dns_name_equal(encloser.octets, zone->suffix.octets) ||
           dns_remote_listed(apex, &listing) == NULL || zone->denied != listing;
}


/* The one that has had the majority, if one had it (Boyer and Moore). */
void
flooded_vote(flooded_t *zone, const dns_name_t *name)
{
    if (++zone->ballots % VOTERS != 0) {
        return;
    }
    dns_name_t encloser;
    ngx_uint_t is_empty;
    dns_remote_encloser(name, &zone->apex, &encloser, &is_empty);
    if (dns_name_equal(encloser.octets, zone->suffix.octets)) {
        zone->votes = ngx_min(zone->votes + 1, VOTES_MAX);
    } else if (zone->votes > 0) {
        zone->votes--;
    } else {
        zone->suffix = encloser;
        zone->denied = 0;
    }
}


void
flooded_denied(const dns_name_t *name)
{
    flooded_t *zone = flooded_find(name);
    if (zone != NULL && is_below(name, &zone->suffix)) {
        (void) dns_remote_listed(&zone->apex, &zone->denied);
    }
}
