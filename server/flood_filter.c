#include "server/flood_filter.h"

#include "dns/name_filter.h"
#include "server/meter.h"
#include "server/private/answer.h"
#include "server/private/fairness.h"

enum {
    ZONES_MAX = 4, /* in one filter */
    TICK_MS = METER_WINDOW_MS / 2,
    PAUSE_MS = 1000,        /* from one filter to the next ... */
    ERROR_PAUSE_MS = 30000, /* ... and after one that the system did not take */
    ONE_IN_MIN = 4,
    ONE_IN_MAX = 64,
    PASSES = 4,    /* for each turn, so that turns are taken and the flood's
                      strength can be seen */
    FULL_PART = 4, /* a bitmap of which less than one in so many bits is free
                      drops too little */
    SET_PART = 32, /* one of which fewer are set is large enough: it takes the
                      system milliseconds to translate a long program */
};

/* What the filter knows of one zone. */
typedef struct {
    const flooded_t *zone;
    const dns_ancestors_t *names; /* borrowed, while it is built */
    uint64_t listing;             /* their number */
    dns_name_t suffix;
} part_t;

typedef struct {
    part_t parts[ZONES_MAX];
    ngx_uint_t count;
    uint32_t one_in;
} plan_t;

static const dns_flood_sockets_t *sockets; /* NULL: there are none */
static ngx_event_t tick;
static plan_t current; /* count 0: no filter */
static ngx_msec_t not_before;
static ngx_msec_t collected; /* the window in which that was done last */
static unsigned bits_max = DNS_NAME_FILTER_BITS_MAX;
static ngx_uint_t is_used; /* a filter is there, or was in this window */


/* As a power of two. */
static uint32_t
one_in_of(const dns_share_t *share)
{
    const ngx_uint_t many =
        share->arrived_last / (PASSES * ngx_max(share->turns_first, 1));
    uint32_t one_in = 1;
    while (one_in < ONE_IN_MAX && 2 * one_in <= many) {
        one_in *= 2;
    }
    return one_in;
}


static ngx_uint_t
may_be_filtered(flooded_t *zone, part_t *part)
{
    part->zone = zone;
    part->names = dns_remote_listed(&zone->apex, &part->listing);
    part->suffix = zone->suffix;
    return part->names != NULL && zone->denied == part->listing &&
           zone->suffix.label_count > 0 &&
           zone->suffix.label_count <= DNS_NAME_FILTER_LABELS_MAX &&
           !dns_ancestors_has_wildcard(part->names, &zone->suffix) &&
           flooded_is_lowest(zone);
}


/* Once there, a filter stays while the flood does, whatever passes. */
static ngx_uint_t
are_enough(const flooded_t *zone, uint32_t one_in)
{
    for (ngx_uint_t i = 0; i < current.count; i++) {
        if (current.parts[i].zone == zone) {
            return 1;
        }
    }
    return one_in >= ONE_IN_MIN;
}


static void
make_plan(plan_t *plan)
{
    plan->count = 0;
    plan->one_in = ONE_IN_MAX;
    for (ngx_uint_t i = 0; i < FLOODED_MAX && plan->count < ZONES_MAX; i++) {
        flooded_t *zone = &flooded_zones[i];
        if (zone->share == NULL) {
            continue;
        }
        const uint32_t one_in = one_in_of(zone->share);
        if (are_enough(zone, one_in) &&
            may_be_filtered(zone, &plan->parts[plan->count])) {
            plan->one_in = ngx_min(plan->one_in, ngx_max(one_in, ONE_IN_MIN));
            plan->count++;
        }
    }
}


/* Does the filter that is there still serve? */
static ngx_uint_t
is_as_planned(const plan_t *plan)
{
    if (plan->count != current.count || plan->one_in * 2 < current.one_in ||
        plan->one_in > current.one_in * 2) {
        return 0;
    }
    for (ngx_uint_t i = 0; i < plan->count; i++) {
        const part_t *a = &plan->parts[i];
        const part_t *b = &current.parts[i];
        if (a->zone != b->zone || a->listing != b->listing ||
            !dns_name_equal(a->suffix.octets, b->suffix.octets)) {
            return 0;
        }
    }
    return 1;
}


/* Each part of the filter that is there is still right, if there are others
   or none. */
static ngx_uint_t
is_right(const plan_t *plan)
{
    for (ngx_uint_t i = 0; i < current.count; i++) {
        const part_t *part = &current.parts[i];
        ngx_uint_t n = 0;
        while (n < plan->count && (plan->parts[n].zone != part->zone ||
                                   plan->parts[n].listing != part->listing)) {
            n++;
        }
        if (n == plan->count) {
            return 0;
        }
    }
    return 1;
}


static uint32_t bitmaps[ZONES_MAX][DNS_NAME_FILTER_WORDS_MAX];


/* Gives how many of its bits are set. */
static size_t
fill(const part_t *part, uint32_t *bitmap, unsigned bits)
{
    size_t set = 0;
    ngx_memzero(bitmap, DNS_NAME_FILTER_WORDS_MAX * sizeof(*bitmap));
    dns_ancestors_let_pass(part->names, &part->suffix, bitmap, bits);
    for (size_t i = 0; i < (size_t) 1 << (bits - 5); i++) {
        set += (size_t) __builtin_popcount(bitmap[i]);
    }
    return set;
}


static unsigned
bits_for(const part_t *part, uint32_t *bitmap, unsigned max)
{
    unsigned bits = DNS_NAME_FILTER_BITS_MIN;
    while (bits < max && fill(part, bitmap, bits) * SET_PART > (size_t) 1
                                                                   << bits) {
        bits++;
    }
    return bits;
}


/* Gives the instructions; 0: it would be too long, or drop too little. */
static size_t
build(const plan_t *plan, unsigned max, struct sock_filter *program)
{
    dns_name_filter_zone_t zones[ZONES_MAX];
    for (ngx_uint_t i = 0; i < plan->count; i++) {
        const part_t *part = &plan->parts[i];
        const unsigned bits = bits_for(part, bitmaps[i], max);
        const size_t all = (size_t) 1 << bits;
        if (all - fill(part, bitmaps[i], bits) < all / FULL_PART) {
            return 0;
        }
        zones[i] = (dns_name_filter_zone_t){
            .suffix = &part->suffix,
            .key = dns_ancestors_label_key(part->names),
            .bitmap = bitmaps[i],
            .bits = bits};
    }
    return dns_name_filter_build(program, zones, plan->count, plan->one_in);
}


/* As large a one as fits and the system takes. */
static ngx_int_t
attach(const plan_t *plan)
{
    static struct sock_filter program[DNS_NAME_FILTER_MAX];
    ngx_int_t rc = NGX_DECLINED;
    for (unsigned max = bits_max;
         rc == NGX_DECLINED && max >= DNS_NAME_FILTER_BITS_MIN; max--) {
        const size_t count = build(plan, max, program);
        if (count > 0) {
            rc = sockets->attach(program, count);
        }
        if (count > 0 && rc == NGX_DECLINED && plan->count == 1) {
            bits_max = ngx_max(max - 1, DNS_NAME_FILTER_BITS_MIN);
        }
    }
    return rc;
}


static void
detach(void)
{
    if (current.count > 0) {
        sockets->detach();
        current.count = 0;
    }
}


static void
log_filter(const plan_t *plan)
{
    enum { LOG_INTERVAL = 30 /* seconds */ };
    static time_t logged_at;
    char name[DNS_NAME_TEXT_SIZE];
    if (logged_at != 0 && ngx_time() - logged_at < LOG_INTERVAL) {
        return;
    }
    logged_at = ngx_time();
    name[dns_name_to_text(name, plan->parts[0].suffix.octets)] = '\0';
    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "most questions for names below %s that do not exist are "
                  "dropped by a filter on this worker's UDP sockets while the "
                  "flood lasts",
                  name);
}


/* An edit takes the filters off after it has been counted: one that came
   between the look at the names and the filter is seen now. */
static void
renew(const plan_t *plan)
{
    plan_t now;
    for (ngx_uint_t i = 0; i < plan->count; i++) {
        dns_remote_filtered(&plan->parts[i].zone->apex);
    }
    const ngx_int_t rc = attach(plan);
    not_before = ngx_current_msec + (rc == NGX_OK ? PAUSE_MS : ERROR_PAUSE_MS);
    if (rc != NGX_OK) {
        detach();
        return;
    }
    current = *plan;
    is_used = 1;
    make_plan(&now);
    if (!is_as_planned(&now)) {
        detach();
        return;
    }
    log_filter(plan);
}


static void
follow_plan(void)
{
    plan_t plan;
    make_plan(&plan);
    if (plan.count == 0 || !is_right(&plan)) {
        detach();
    }
    if (plan.count > 0 && (!is_as_planned(&plan) || !sockets->is_attached()) &&
        (ngx_msec_int_t) (ngx_current_msec - not_before) >= 0) {
        renew(&plan);
    }
}


static ngx_uint_t
is_any_flooded(void)
{
    for (ngx_uint_t i = 0; i < FLOODED_MAX; i++) {
        if (flooded_zones[i].share != NULL) {
            return 1;
        }
    }
    return 0;
}


/* Also when nothing comes any more: a filter hides what it drops. */
static void
on_tick(ngx_event_t *ev)
{
    for (ngx_uint_t i = 0; i < FLOODED_MAX; i++) {
        if (flooded_zones[i].share != NULL) {
            fairness_roll(&flooded_zones[i]);
        }
    }
    if (ngx_exiting || ngx_quit || ngx_terminate) {
        detach();
        return;
    }
    dns_server_begin();
    follow_plan();
    dns_server_end();
    if (is_any_flooded()) {
        ngx_add_timer(ev, TICK_MS);
    } else if (is_used) {
        (void) sockets->count();
        is_used = 0;
    }
}


void
flood_filter_begin(void)
{
    if (sockets != NULL && !tick.timer_set) {
        ngx_add_timer(&tick, TICK_MS);
    }
}


/* Each zone in the filter gets its part of them, by what came through. */
void
flood_filter_collect(void)
{
    if (!is_used || collected == meter_window()) {
        return;
    }
    collected = meter_window();
    dns_share_t *shares[ZONES_MAX];
    ngx_uint_t count = 0;
    ngx_uint_t all = 0;
    for (ngx_uint_t i = 0; i < current.count; i++) {
        dns_share_t *share = current.parts[i].zone->share;
        if (share != NULL) { /* else its flood is over */
            shares[count++] = share;
            all += share->arrived;
        }
    }
    const ngx_uint_t dropped = sockets->count();
    for (ngx_uint_t i = 0; i < count; i++) {
        shares[i]->arrived +=
            all > 0 ? dropped * shares[i]->arrived / all : dropped / count;
    }
}


void
dns_flood_filter_edited(void)
{
    if (sockets != NULL) {
        sockets->detach_everywhere();
    }
}


void
dns_flood_filter_open(const dns_flood_sockets_t *of_worker)
{
    sockets = of_worker;
    tick.handler = on_tick;
    tick.log = ngx_cycle->log;
    tick.cancelable = 1;
}


void
dns_flood_filter_close(void)
{
    if (sockets != NULL) {
        detach();
    }
}
