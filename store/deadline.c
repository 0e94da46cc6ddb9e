#include "store/private/deadline.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <time.h>

enum {
    OCTETS_A_MS = 64,     /* that a reply has to bring to go on: 64 kB/s */
    OCTETS_MAX = 1 << 30, /* of one call */
};

static _Thread_local struct {
    bool is_set;
    uint64_t at_ms; /* without what the octets have earned */
    uint64_t octets;
    uint64_t narrow_ms; /* 0: none */
} deadline;

static uint64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

void
deadline_begin(unsigned timeout_ms)
{
    deadline.is_set = true;
    deadline.at_ms = now_ms() + timeout_ms;
    deadline.octets = 0;
    deadline.narrow_ms = 0;
}

void
deadline_end(void)
{
    deadline.is_set = false;
}

void
deadline_narrow(unsigned timeout_ms)
{
    deadline.narrow_ms = timeout_ms == 0 ? 0 : now_ms() + timeout_ms;
}

void
deadline_moved(size_t octets)
{
    deadline.octets += octets;
}

int
deadline_left(void)
{
    if (!deadline.is_set) {
        return -1;
    }

    const uint64_t now = now_ms();
    uint64_t end = deadline.at_ms + deadline.octets / OCTETS_A_MS;

    if (deadline.narrow_ms != 0 && deadline.narrow_ms < end) {
        end = deadline.narrow_ms;
    }

    if (now >= end || deadline.octets > OCTETS_MAX) {
        return 0;
    }

    return end - now > INT_MAX ? INT_MAX : (int) (end - now);
}

bool
deadline_wait(int fd, short events)
{
    struct pollfd wanted = {.fd = fd, .events = events};
    int ready;

    do {
        ready = poll(&wanted, 1, deadline_left());
    } while (ready < 0 && errno == EINTR);

    if (ready == 0) {
        errno = ETIMEDOUT;
    }

    if (ready > 0 && deadline_left() == 0) { /* something always comes */
        errno = ETIMEDOUT;
        return false;
    }

    return ready > 0;
}
