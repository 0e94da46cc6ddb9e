#include "client/deadline.h"

#include <limits.h>

#include "client/wait.h"

enum {
    OCTETS_A_MS = 64,     /* that a reply has to bring to go on: 64 kB/s */
    OCTETS_MAX = 1 << 30, /* of one call */
};

typedef struct {
    bool is_set;
    uint64_t at_ms; /* without what the octets have earned */
    uint64_t octets;
} span_t;

static _Thread_local struct {
    span_t call;
    span_t run;         /* of several calls */
    uint64_t narrow_ms; /* 0: none */
    uint64_t octets;
} deadline;

static span_t
span_of(unsigned timeout_ms)
{
    return (span_t){.is_set = true, .at_ms = client_now_ms() + timeout_ms};
}

uint64_t
deadline_earned(uint64_t octets)
{
    return octets / OCTETS_A_MS;
}

static uint64_t
end_of(const span_t *span)
{
    return span->at_ms + deadline_earned(span->octets);
}

void
deadline_begin(unsigned timeout_ms)
{
    deadline.call = span_of(timeout_ms);
    deadline.narrow_ms = 0;
}

void
deadline_end(void)
{
    deadline.call.is_set = false;
}

void
deadline_begin_run(unsigned timeout_ms)
{
    deadline.run = span_of(timeout_ms);
}

void
deadline_extend_run(unsigned ms)
{
    deadline.run.at_ms += ms;
}

bool
deadline_end_run(void)
{
    deadline.run.is_set = false;
    return client_now_ms() >= end_of(&deadline.run);
}

void
deadline_narrow(unsigned timeout_ms)
{
    deadline.narrow_ms = timeout_ms == 0 ? 0 : client_now_ms() + timeout_ms;
}

void
deadline_moved(size_t octets)
{
    deadline.call.octets += octets;
    deadline.run.octets += octets;
    deadline.octets += octets;
}

uint64_t
deadline_octets(void)
{
    return deadline.octets;
}

int
deadline_left(void)
{
    if (!deadline.call.is_set) {
        return -1;
    }

    const uint64_t now = client_now_ms();
    uint64_t end = end_of(&deadline.call);

    if (deadline.run.is_set && end_of(&deadline.run) < end) {
        end = end_of(&deadline.run);
    }

    if (deadline.narrow_ms != 0 && deadline.narrow_ms < end) {
        end = deadline.narrow_ms;
    }

    if (now >= end || deadline.call.octets > OCTETS_MAX) {
        return 0;
    }

    return end - now > INT_MAX ? INT_MAX : (int) (end - now);
}
