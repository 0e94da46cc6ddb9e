#ifndef CLIENT_WAIT_H
#define CLIENT_WAIT_H

/*
 * A protocol machine of this room never waits.  Each of its steps says how far
 * it is; while it waits, a driver waits in its stead as it can: poll() here,
 * nginx's events, a coroutine.
 *
 *     client_wait_t wait;
 *     int ready = 0;
 *     while ((step = machine_step(m, ready, now_ms, &wait)) == CLIENT_WAIT) {
 *         ready = what of wait.events came on wait.fd before
 *                 wait.deadline_ms, or CLIENT_TIMEOUT
 *     }
 *
 * The deadline is that of the call that is under way, not of one read.  A
 * machine is told the time: milliseconds of CLOCK_MONOTONIC, as
 * client_now_ms() has them and nginx's ngx_current_msec.
 */

#include <stdint.h>

#define CLIENT_EXPORT   __attribute__((visibility("default")))
#define CLIENT_MUST_USE __attribute__((warn_unused_result))

/* What is waited for, and what came; the numbers are those of libmariadb. */
enum {
    CLIENT_READ = 1,
    CLIENT_WRITE = 2,
    CLIENT_TIMEOUT = 8, /* the deadline is over */
};

#define CLIENT_NO_DEADLINE UINT64_MAX

typedef enum {
    CLIENT_WAIT,  /* for what client_wait_t says */
    CLIENT_DONE,  /* the call is over */
    CLIENT_ERROR, /* it has failed: the machine says why */
} client_step_t;

typedef struct {
    int fd;
    int events;           /* CLIENT_READ, CLIENT_WRITE */
    uint64_t deadline_ms; /* CLIENT_NO_DEADLINE: there is none */
} client_wait_t;

uint64_t client_now_ms(void);

/* The driver for who may block: waits until wait's deadline, or that of the
   thread (client/deadline.h) if it is over before.  What came of wait's
   events, or CLIENT_TIMEOUT. */
CLIENT_MUST_USE int client_wait_poll(const client_wait_t *wait);

#endif
