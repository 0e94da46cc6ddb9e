#include "server/fairness.h"

#include "dns/type.h"
#include "server/known.h"
#include "server/meter.h"
#include "server/private/fairness.h"
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
    LOG_INTERVAL = 30, /* seconds */
};

static dns_share_t shares[SHARES]; /* the first: what is forwarded */
static ngx_msec_t flooded_until;   /* unless a zone still is */
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
    if (apex != NULL) {
        flooded_begin(share, apex);
        flood_filter_begin();
    }
}


static void
end_flood(dns_share_t *share)
{
    share->is_flooded = 0;
    share->signs = 0;
    flooded_end(share);
}


/* Would the strange names of the window that is over take more than a tenth of
   the time that answers in place took? */
static ngx_uint_t
are_many(const dns_share_t *share)
{
    return FLOOD_PART * share->arrived * meter_costs.question * 10 >
           (in_place - share->in_place) * meter_costs.answer;
}


/* In the window that is over the worker had no moment to spare, and strange
   names took more than a tenth of its time. */
static ngx_uint_t
take_the_time(const dns_share_t *share)
{
    return meter_costs.is_busy &&
           FLOOD_PART * share->arrived * meter_costs.question >
               meter_costs.window;
}


/* Do many of the strange names exist?  Where no answer has come lately, what
   was so is taken to be so still. */
static ngx_uint_t
exist(const dns_share_t *share)
{
    return share->negatives + share->is_flooded <= MOSTLY * share->positives;
}


/* What the window that is over says. */
static void
judge(dns_share_t *share, const dns_name_t *apex)
{
    share->others -= share->others / OTHERS_WINDOWS;
    share->others += in_place - share->in_place;
    if (share->others < OTHERS_MIN || exist(share)) {
        end_flood(share);
    } else if (share->is_flooded) {
        if (share->arrived < share->arrived_at_first / 2) {
            end_flood(share);
        }
    } else if ((!share->has_sign && !take_the_time(share)) ||
               !are_many(share)) {
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
    flood_filter_collect();
    if (share->window + 1 != meter_window()) { /* nothing came in the last */
        share->arrived = 0;
        share->has_sign = 0;
    }
    judge(share, apex);
    if (share->is_flooded) {
        flooded_until = ngx_current_msec + 2 * METER_WINDOW_MS;
    }
    share->window = meter_window();
    share->arrived_last = share->arrived;
    share->arrived = 0;
    share->has_sign = 0;
    share->negatives /= 2;
    share->positives /= 2;
    share->in_place = in_place;
    const ngx_uint_t questions = meter_costs.window / meter_costs.question;
    share->turns_first = ngx_max(1, questions / TURN_PART);
    share->turns = share->turns_first;
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


/* As dns_remote_knows(), and a name that was answered before, or that an edit
   has set, is known. */
static ngx_int_t
tell(const dns_name_t *name, const dns_name_t *apex)
{
    const ngx_int_t told =
        apex != NULL ? dns_remote_knows(name, apex) : NGX_AGAIN;
    if (told == NGX_OK) {
        return NGX_OK;
    }
    dns_remote_edited(known_put);
    if (known_has(name)) {
        return NGX_OK;
    }
    return told == NGX_DECLINED && flooded_may_exist(name, apex) ? NGX_AGAIN
                                                                 : told;
}


static void
vote(const dns_name_t *name, const dns_name_t *apex)
{
    flooded_t *zone = apex != NULL ? flooded_find(name) : NULL;
    if (zone != NULL) {
        flooded_vote(zone, name);
    }
}


ngx_int_t
dns_fairness_admit(const dns_name_t *name, const dns_name_t *apex,
                   dns_share_t **share)
{
    const ngx_int_t told = tell(name, apex);
    *share = NULL;
    if (told != NGX_OK) {
        *share = share_of(apex);
        roll(*share, apex);
        if (is_limited && !has_turn(*share, name, told == NGX_AGAIN)) {
            vote(name, apex);
            return NGX_DECLINED;
        }
    }
    meter_question();
    return NGX_OK;
}


ngx_uint_t
dns_fairness_turns_away(const dns_name_t *name)
{
    flooded_t *zone = flooded_find(name);
    if (zone == NULL) {
        return 0;
    }
    dns_share_t *share = zone->share;
    roll(share, &zone->apex);
    if (!share->is_flooded || (share->turns > 0 && !is_pressed) ||
        !flooded_is_lowest(zone) || tell(name, &zone->apex) != NGX_DECLINED) {
        return 0;
    }
    share->arrived++;
    share->has_sign |= is_pressed & 1;
    flooded_vote(zone, name);
    return 1;
}


void
fairness_roll(flooded_t *zone)
{
    roll(zone->share, &zone->apex);
}


/* What is said of a strange name.  An alias to a name that does not exist says
   nothing. */
static void
count_answer(dns_share_t *share, const dns_query_t *query,
             const uint8_t *answer, unsigned rcode)
{
    const ngx_uint_t is_alias = answer[DNS_HEADER_ANCOUNT_AT] != 0 ||
                                answer[DNS_HEADER_ANCOUNT_AT + 1] != 0;
    share->positives += rcode == DNS_RCODE_NOERROR;
    share->negatives += rcode == DNS_RCODE_SERVFAIL;
    if (rcode == DNS_RCODE_NXDOMAIN && !is_alias) {
        share->negatives++;
        flooded_denied(&query->qname);
    }
}


void
dns_fairness_answered(dns_share_t *share, const dns_query_t *query,
                      const uint8_t *answer, size_t size)
{
    static const uint8_t none[DNS_HEADER_SIZE];
    const ngx_uint_t is_whole = size >= sizeof(none);
    const unsigned rcode =
        is_whole ? answer[DNS_HEADER_FLAGS_AT + 1] & DNS_RCODE_MASK
                 : DNS_RCODE_SERVFAIL;
    if (rcode == DNS_RCODE_NOERROR) {
        known_put(&query->qname);
    }
    if (share != NULL) {
        count_answer(share, query, is_whole ? answer : none, rcode);
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
