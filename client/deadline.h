#ifndef CLIENT_DEADLINE_H
#define CLIENT_DEADLINE_H

/*
 * The end of a call to a server by who may block, of this thread: it
 * holds for all that the call does, however slowly a server's octets come.
 * Octets earn time, so that large zones may take long, and a server that sends
 * one at a time may not.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* timeout_ms: without octets. */
void deadline_begin(unsigned timeout_ms);
void deadline_end(void);

/* Several calls together: of each no more is left than of the run, which earns
   time by octets as calls do, and by what it has done. */
void deadline_begin_run(unsigned timeout_ms);
void deadline_extend_run(unsigned ms);

/* Was the time over? */
bool deadline_end_run(void);

/* A part of the call that has less time, such as to connect to one of several
   hosts; 0: it is over. */
void deadline_narrow(unsigned timeout_ms);

/* So many octets have come or gone. */
void deadline_moved(size_t octets);

/* All that this thread has ever moved; the milliseconds that so many earn. */
uint64_t deadline_octets(void);
uint64_t deadline_earned(uint64_t octets);

/* Milliseconds; 0: it is over; -1: there is none. */
int deadline_left(void);

#endif
