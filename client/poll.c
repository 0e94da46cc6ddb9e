/* The driver by poll(). */

#include "client/wait.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <time.h>

#include "client/deadline.h"

uint64_t
client_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* Milliseconds as poll() takes them. */
static int
time_left(const client_wait_t *wait)
{
    const int thread_left = deadline_left();

    if (wait->deadline_ms == CLIENT_NO_DEADLINE || thread_left == 0) {
        return thread_left;
    }

    const uint64_t now = client_now_ms();

    if (now >= wait->deadline_ms) {
        return 0;
    }

    const uint64_t left = wait->deadline_ms - now;
    const int bounded = left > INT_MAX ? INT_MAX : (int) left;

    return thread_left >= 0 && thread_left < bounded ? thread_left : bounded;
}

/* Whoever reads or writes next is given an error of the descriptor. */
static int
events_of(short came)
{
    const short any = POLLERR | POLLHUP | POLLNVAL;

    return ((came & (POLLIN | any)) != 0 ? CLIENT_READ : 0) |
           ((came & (POLLOUT | any)) != 0 ? CLIENT_WRITE : 0);
}

int
client_wait_poll(const client_wait_t *wait)
{
    struct pollfd wanted = {.fd = wait->fd};
    int count;

    wanted.events =
        (short) (((wait->events & CLIENT_READ) != 0 ? POLLIN : 0) |
                 ((wait->events & CLIENT_WRITE) != 0 ? POLLOUT : 0));

    do {
        count = poll(&wanted, 1, time_left(wait));
    } while (count < 0 && errno == EINTR);

    /* From a server that always has something to say, something always
       comes. */
    return count <= 0 || time_left(wait) == 0
               ? CLIENT_TIMEOUT
               : events_of(wanted.revents) & wait->events;
}
