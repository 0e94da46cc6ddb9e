#include "server/fairness.h"

#include "dns/type.h"
#include "server/known.h"
#include "server/meter.h"
#include "server/private/answer.h"
#include "server/remote.h"

enum {
    SHARES = 256,        /* zones that fall together share one */
    SIGNS = 2,           /* windows with one, in a row */
    MOSTLY = 4,          /* so many names do not exist for one that does */
    OTHERS_MIN = 10,     /* answers in place, in ... */
    OTHERS_WINDOWS = 10, /* ... so many windows: else nobody is in need */
    FLOOD_PART = 10, /* strange names that take less of the others' time are no
                        flood */
    AGAIN_PART = 20, /* of the worker's time, for names of a flooded zone that
                        are asked again ... */
    TURN_PART = 100, /* ... and for the others */
    FLOODED_MAX = 8, /* zones whose names are turned away early */
    LOG_INTERVAL = 30, /* seconds */
};

struct dns_share_s {
    ngx_msec_t window;
    ngx_uint_t arrived;          /* in the window */
    ngx_uint_t arrived_at_first; /* when the flood was seen */
    ngx_uint_t negatives; /* NXDOMAIN, SERVFAIL; halved with each window */
    ngx_uint_t positives;
    ngx_uint_t in_place;    /* the worker's number when the window began */
    ngx_uint_t others;      /* in place, in a second; decays */
    ngx_uint_t turns;       /* of a flooded zone, left in the window ... */
    ngx_uint_t turns_again; /* ... for names that are asked again */
    ngx_uint_t signs;
    unsigned has_sign : 1; /* in the window */
    unsigned is_flooded : 1;
};

/* A flooded zone of a networked store. */
typedef struct {
    dns_name_t apex;
    dns_share_t *share;   /* NULL: free */
    time_t looked_at;     /* when it was found out that ... */
    ngx_uint_t is_lowest; /* ... no zone of ours lies below */
} flooded_t;

static dns_share_t shares[SHARES]; /* the first: what is forwarded */
static flooded_t flooded[FLOODED_MAX];
static ngx_msec_t flooded_until; /* unless a zone still is */
static ngx_uint_t in_place;
static ngx_uint_t is_pressed;
static ngx_uint_t is_limited;


void
dns_fairness_open(ngx_uint_t limited)
{
    is_limited = limited;
}


static dns_share_t *
share_of(const dns_name_t *apex)
{
    if (apex == NULL) {
        return &shares[0];
    }
    const uint32_t hash = ngx_crc32_short((u_char *) apex->octets, apex->size);
    return &shares[1 + hash % (SHARES - 1)];
}


static void
log_flood(const dns_share_t *share, const dns_name_t *apex)
{
    static time_t logged_at;
    char name[DNS_NAME_TEXT_SIZE];
    if (logged_at != 0 && ngx_time() - logged_at < LOG_INTERVAL) {
        return;
    }
    logged_at = ngx_time();
    name[apex != NULL ? dns_name_to_text(name, apex->octets) : 0] = '\0';
    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "%s %s: %ui questions a second for names that do not exist: "
                  "few of them are looked up, so that known names and other "
                  "zones are answered; the others are dropped",
                  apex != NULL ? "zone" : "dns_forward", name,
                  share->arrived * (1000 / METER_WINDOW_MS));
}


static void
begin_flood(dns_share_t *share, const dns_name_t *apex)
{
    share->is_flooded = 1;
    share->arrived_at_first = share->arrived;
    log_flood(share, apex);
    for (ngx_uint_t i = 0; apex != NULL && i < FLOODED_MAX; i++) {
        if (flooded[i].share == NULL) {
            flooded[i] = (flooded_t){.apex = *apex, .share = share};
            return;
        }
    }
}


static void
end_flood(dns_share_t *share)
{
    share->is_flooded = 0;
    share->signs = 0;
    for (ngx_uint_t i = 0; i < FLOODED_MAX; i++) {
        if (flooded[i].share == share) {
            flooded[i].share = NULL;
        }
    }
}


/* Would the strange names of the window that is over take more than a tenth of
   the time that answers in place took? */
static ngx_uint_t
are_many(const dns_share_t *share)
{
    return FLOOD_PART * share->arrived * meter_costs.question * 10 >
           (in_place - share->in_place) * meter_costs.answer;
}


/* What the window that is over says. */
static void
judge(dns_share_t *share, const dns_name_t *apex)
{
    share->others -= share->others / OTHERS_WINDOWS;
    share->others += in_place - share->in_place;
    if (share->others < OTHERS_MIN ||
        share->negatives <= MOSTLY * share->positives) {
        end_flood(share);
    } else if (share->is_flooded) {
        if (share->arrived < share->arrived_at_first / 2) {
            end_flood(share);
        }
    } else if (!share->has_sign || !are_many(share)) {
        share->signs = 0;
    } else if (++share->signs >= SIGNS) {
        begin_flood(share, apex);
    }
}


static void
roll(dns_share_t *share, const dns_name_t *apex)
{
    if (share->window == meter_window()) {
        return;
    }
    if (share->window + 1 != meter_window()) { /* nothing came in the last */
        share->arrived = 0;
        share->has_sign = 0;
    }
    judge(share, apex);
    if (share->is_flooded) {
        flooded_until = ngx_current_msec + 2 * METER_WINDOW_MS;
    }
    share->window = meter_window();
    share->arrived = 0;
    share->has_sign = 0;
    share->negatives /= 2;
    share->positives /= 2;
    share->in_place = in_place;
    const ngx_uint_t questions = meter_costs.window / meter_costs.question;
    share->turns = ngx_max(1, questions / TURN_PART);
    share->turns_again = ngx_max(1, questions / AGAIN_PART);
}


static ngx_uint_t
takes(ngx_uint_t *turns)
{
    if (*turns == 0) {
        return 0;
    }
    (*turns)--;
    return 1;
}


/* may_be_new: nobody has told that there is no such name. */
static ngx_uint_t
has_turn(dns_share_t *share, const dns_name_t *name, ngx_uint_t may_be_new)
{
    share->arrived++;
    share->has_sign |= is_pressed & 1;
    return (!is_pressed && (!share->is_flooded || takes(&share->turns))) ||
           (may_be_new && known_was_refused(name) &&
            takes(&share->turns_again));
}


ngx_int_t
dns_fairness_admit(const dns_name_t *name, const dns_name_t *apex,
                   dns_share_t **share)
{
    const ngx_int_t told =
        apex != NULL ? dns_remote_knows(name, apex) : NGX_AGAIN;
    *share = NULL;
    if (told == NGX_AGAIN ? !known_has(name) : told != NGX_OK) {
        *share = share_of(apex);
        roll(*share, apex);
        if (is_limited && !has_turn(*share, name, told == NGX_AGAIN)) {
            return NGX_DECLINED;
        }
    }
    meter_question();
    return NGX_OK;
}


static flooded_t *
flooded_zone_of(const dns_name_t *name)
{
    for (ngx_uint_t i = 0; i < FLOODED_MAX; i++) {
        const dns_name_t *apex = &flooded[i].apex;
        if (flooded[i].share != NULL && name->label_count > apex->label_count &&
            dns_name_has_suffix(name, apex)) {
            return &flooded[i];
        }
    }
    return NULL;
}


static ngx_uint_t
is_lowest(flooded_t *zone)
{
    if (zone->looked_at != ngx_time()) {
        zone->looked_at = ngx_time();
        zone->is_lowest = dns_remote_is_lowest(&zone->apex) &&
                          !dns_server_has_zones_below(&zone->apex);
    }
    return zone->is_lowest;
}


ngx_uint_t
dns_fairness_turns_away(const dns_name_t *name)
{
    flooded_t *zone = flooded_zone_of(name);
    if (zone == NULL) {
        return 0;
    }
    dns_share_t *share = zone->share;
    roll(share, &zone->apex);
    if (!share->is_flooded || (share->turns > 0 && !is_pressed) ||
        !is_lowest(zone) ||
        dns_remote_knows(name, &zone->apex) != NGX_DECLINED) {
        return 0;
    }
    share->arrived++;
    share->has_sign |= is_pressed & 1;
    return 1;
}


void
dns_fairness_answered(dns_share_t *share, const dns_query_t *query,
                      const uint8_t *answer, size_t size)
{
    const unsigned rcode =
        size > DNS_HEADER_FLAGS_AT + 1
            ? answer[DNS_HEADER_FLAGS_AT + 1] & DNS_RCODE_MASK
            : DNS_RCODE_SERVFAIL;
    if (rcode == DNS_RCODE_NOERROR) {
        known_put(&query->qname);
    }
    if (share != NULL) {
        share->positives += rcode == DNS_RCODE_NOERROR;
        share->negatives +=
            rcode == DNS_RCODE_NXDOMAIN || rcode == DNS_RCODE_SERVFAIL;
    }
}


void
dns_fairness_refused(dns_share_t *share)
{
    share->has_sign = 1;
}


ngx_uint_t
dns_fairness_is_flooded(void)
{
    return (ngx_msec_int_t) (flooded_until - ngx_current_msec) > 0;
}


void
dns_fairness_in_place(ngx_uint_t count)
{
    in_place += count;
}


void
dns_fairness_press(ngx_uint_t pressed)
{
    is_pressed = pressed;
}
