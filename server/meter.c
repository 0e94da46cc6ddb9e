#include "server/meter.h"

#include <sys/resource.h>
#include <time.h>

enum {
    TIMED = 8,          /* one window of so many */
    COUNT_MIN = 10,     /* fewer in a window say nothing */
    QUESTION_MAX = 200, /* us: the worker does other things too */
    ANSWER_MAX = 1000,  /* tenths of a us */
    SMOOTH = 4,         /* the last measurement counts for one part of these */
    BUSY_US = 900 * METER_WINDOW_MS, /* of a window's CPU time ... */
    BUSY_WAITS = 2, /* ... or so few waits for events: where others use the CPU
                       too, a worker that always has work gets less */
};

meter_costs_t meter_costs = {
    .question = 50, .answer = 40, .window = 1000 * METER_WINDOW_MS};

/* Of the window. */
static struct {
    ngx_msec_t number;
    uint64_t began;   /* the worker's CPU time then */
    uint64_t entered; /* and now */
    uint64_t in_place;
    uint64_t waits; /* by its beginning, since the worker's start */
    ngx_uint_t answers;
    ngx_uint_t questions;
    ngx_uint_t is_timed;
} now;


static uint64_t
cpu_us(void)
{
    struct timespec t;
    (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}


/* How often the worker has waited for something: an event, a disk. */
static uint64_t
count_waits(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? (uint64_t) usage.ru_nvcsw
                                                 : 0;
}


static void
learn(ngx_uint_t *cost, uint64_t sum, ngx_uint_t count, ngx_uint_t max)
{
    if (count >= COUNT_MIN) {
        const ngx_uint_t one = ngx_min(ngx_max(sum / count, 1), max);
        *cost = ((SMOOTH - 1) * *cost + one + SMOOTH - 1) / SMOOTH;
    }
}


static void
begin_window(ngx_msec_t number)
{
    const uint64_t cpu = cpu_us();
    const uint64_t used = cpu - now.began;
    const uint64_t waits = count_waits();
    if (now.began != 0) {
        const ngx_msec_t windows = number - now.number;
        meter_costs.window = used / windows;
        meter_costs.is_busy = meter_costs.window >= BUSY_US ||
                              waits - now.waits <= BUSY_WAITS * windows;
    }
    if (now.is_timed) {
        learn(&meter_costs.question, used - now.in_place, now.questions,
              QUESTION_MAX);
        learn(&meter_costs.answer, 10 * now.in_place, now.answers, ANSWER_MAX);
    }
    now.is_timed = now.questions >= COUNT_MIN && number % TIMED == 0;
    now.number = number;
    now.began = cpu;
    now.waits = waits;
    now.in_place = 0;
    now.answers = 0;
    now.questions = 0;
}


void
meter_enter(void)
{
    if (now.number != meter_window()) {
        begin_window(meter_window());
    }
    if (now.is_timed) {
        now.entered = cpu_us();
    }
}


void
meter_leave(ngx_uint_t answers)
{
    now.answers += answers;
    if (now.is_timed) {
        now.in_place += cpu_us() - now.entered;
    }
}


void
meter_question(void)
{
    now.questions++;
}
