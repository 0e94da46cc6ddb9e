#include "server/fairness.h"

#include "dns/type.h"
#include "server/known.h"
#include "server/remote.h"

enum {
    SHARES = 256, /* zones that fall together share one */
    WINDOW_MS = 100,
    IN_FLIGHT_MAX = 512, /* strange names of a zone at once: more is a sign */
    SIGNS = 2,           /* windows with one, in a row */
    MOSTLY = 4,          /* so many names do not exist for one that does */
    FLOOD_MIN = 20,      /* strange names in a window */
    OTHERS_MIN = 10,     /* in place, in ... */
    OTHERS_WINDOWS = 10, /* ... so many windows: else nobody is in need */
    /* What a question costs, in answers in place, and how many questions there
       may be in any window, which is a few thousandths of the time. */
    STORE_COST = 4,
    STORE_FREE = 20,
    FORWARD_COST = 30,
    FORWARD_FREE = 4,
    TIME_SHARE = 50,   /* of the others' time, this part is for strange names */
    CREDIT_MAX = 16,   /* questions */
    LOG_INTERVAL = 30, /* seconds */
};

struct dns_share_s {
    ngx_msec_t window;
    ngx_uint_t in_flight;
    ngx_uint_t arrived;   /* in the window */
    ngx_uint_t negatives; /* NXDOMAIN, SERVFAIL; halved with each window */
    ngx_uint_t positives;
    ngx_uint_t in_place;         /* the worker's number when the window began */
    ngx_uint_t credit;           /* in answers in place ... */
    ngx_uint_t credited_at;      /* ... up to this number of them */
    ngx_uint_t free_left;        /* in the window */
    ngx_uint_t arrived_at_first; /* when the flood was seen */
    ngx_uint_t signs;
    ngx_uint_t others;     /* in place, in a second; decays */
    unsigned has_sign : 1; /* in the window */
    unsigned is_flooded : 1;
};

static dns_share_t shares[SHARES]; /* the first: what is forwarded */
static ngx_uint_t in_place;
static ngx_msec_t flooded_until; /* unless a zone still is */
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
begin_flood(dns_share_t *share, const dns_name_t *apex)
{
    static time_t logged_at;
    char name[DNS_NAME_TEXT_SIZE];
    share->is_flooded = 1;
    share->signs = 0;
    share->arrived_at_first = share->arrived;
    share->credit = 0;
    share->credited_at = in_place;
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
                  share->arrived * (1000 / WINDOW_MS));
}


/* What the window that is over says. */
static void
judge(dns_share_t *share, const dns_name_t *apex)
{
    const ngx_uint_t is_negative = share->negatives > MOSTLY * share->positives;
    share->others -= share->others / OTHERS_WINDOWS;
    share->others += in_place - share->in_place;
    if (share->others < OTHERS_MIN || !is_negative) {
        share->is_flooded = 0;
        share->signs = 0;
    } else if (share->is_flooded) {
        share->is_flooded = share->arrived >= FLOOD_MIN &&
                            share->arrived >= share->arrived_at_first / 2;
    } else {
        share->signs = share->has_sign && share->arrived >= FLOOD_MIN
                           ? share->signs + 1
                           : 0;
        if (share->signs >= SIGNS) {
            begin_flood(share, apex);
        }
    }
}


static void
roll(dns_share_t *share, const dns_name_t *apex)
{
    const ngx_msec_t window = ngx_current_msec / WINDOW_MS;
    if (share->window == window) {
        return;
    }
    if (share->window + 1 != window) { /* nothing came in the last one */
        share->arrived = 0;
        share->has_sign = 0;
    }
    judge(share, apex);
    if (share->is_flooded) {
        flooded_until = ngx_current_msec + 2 * WINDOW_MS;
    }
    share->window = window;
    share->arrived = 0;
    share->has_sign = share->in_flight >= IN_FLIGHT_MAX;
    share->negatives /= 2;
    share->positives /= 2;
    share->in_place = in_place;
    share->free_left = share == shares ? FORWARD_FREE : STORE_FREE;
}


static ngx_uint_t
has_credit(dns_share_t *share)
{
    const ngx_uint_t cost =
        TIME_SHARE * (share == shares ? FORWARD_COST : STORE_COST);
    share->credit = ngx_min(share->credit + (in_place - share->credited_at),
                            CREDIT_MAX * cost);
    share->credited_at = in_place;
    if (share->credit >= cost) {
        share->credit -= cost;
        return 1;
    }
    if (share->free_left > 0) {
        share->free_left--;
        return 1;
    }
    return 0;
}


static ngx_uint_t
has_turn(dns_share_t *share, const dns_name_t *apex)
{
    roll(share, apex);
    share->arrived++;
    share->has_sign |= is_pressed & 1;
    return !is_pressed && (!share->is_flooded || has_credit(share));
}


ngx_int_t
dns_fairness_admit(const dns_name_t *name, const dns_name_t *apex,
                   dns_share_t **share)
{
    const ngx_int_t told =
        apex != NULL ? dns_remote_knows(name, apex) : NGX_AGAIN;
    *share = NULL;
    if (told == NGX_OK || (told == NGX_AGAIN && known_has(name))) {
        return NGX_OK;
    }
    *share = share_of(apex);
    if (!is_limited || has_turn(*share, apex) ||
        (told == NGX_AGAIN && known_was_refused(name) &&
         (*share)->in_flight < IN_FLIGHT_MAX)) {
        return NGX_OK;
    }
    return NGX_DECLINED;
}


void
dns_fairness_begin(dns_share_t *share)
{
    share->has_sign |= ++share->in_flight >= IN_FLIGHT_MAX;
}


void
dns_fairness_end(dns_share_t *share)
{
    share->in_flight--;
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
