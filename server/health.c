#include "server/health.h"

#include "runtime/clock.h"

enum {
    FAILED = 30,     /* seconds, RFC 8767 section 5 */
    CHECK_MAX = 10,  /* seconds: who checks for longer has died */
    CHECK_PAUSE = 1, /* seconds between two checks */
    PROBES = 8,
};

/* Times are seconds of the monotonic clock. */
typedef struct {
    ngx_atomic_t source; /* 0: free */
    ngx_atomic_t failed_until;
    ngx_atomic_t next_check;
} slot_t;

enum { SLOTS = DNS_HEALTH_SIZE / sizeof(slot_t) };

static slot_t *slots;


void
dns_health_open(void *block)
{
    slots = block;
}


/* NULL: it is not there, and there is no room or it is not to be made. */
static slot_t *
find_slot(uint32_t source, ngx_uint_t is_made)
{
    if (slots == NULL || source == 0) {
        return NULL;
    }
    for (ngx_uint_t i = 0; i < PROBES; i++) {
        slot_t *slot = &slots[(source + i) % SLOTS];
        if (slot->source == 0 && !is_made) {
            return NULL;
        }
        if (slot->source == source ||
            (slot->source == 0 &&
             ngx_atomic_cmp_set(&slot->source, 0, source)) ||
            slot->source == source) {
            return slot;
        }
    }
    return NULL;
}


ngx_uint_t
dns_health_is_failed(uint32_t source)
{
    const slot_t *slot = find_slot(source, 0);
    return slot != NULL && slot->failed_until > resolua_clock_seconds();
}


void
dns_health_fail(uint32_t source)
{
    slot_t *slot = find_slot(source, 1);
    if (slot != NULL) {
        slot->failed_until = resolua_clock_seconds() + FAILED;
    }
}


void
dns_health_work(uint32_t source)
{
    slot_t *slot = find_slot(source, 0);
    if (slot != NULL && slot->failed_until != 0) {
        slot->failed_until = 0;
    }
}


ngx_uint_t
dns_health_begin_check(uint32_t source)
{
    slot_t *slot = find_slot(source, 0);
    const ngx_atomic_uint_t now = resolua_clock_seconds();
    if (slot == NULL) {
        return 0;
    }
    const ngx_atomic_uint_t next = slot->next_check;
    return next <= now &&
           ngx_atomic_cmp_set(&slot->next_check, next, now + CHECK_MAX);
}


void
dns_health_end_check(uint32_t source)
{
    slot_t *slot = find_slot(source, 0);
    if (slot != NULL) {
        slot->next_check = resolua_clock_seconds() + CHECK_PAUSE;
    }
}
