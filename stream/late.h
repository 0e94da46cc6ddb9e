#ifndef STREAM_LATE_H
#define STREAM_LATE_H

/*
 * Datagrams that are answered later than the batch they came with: a hook
 * sleeps, a database or an upstream is asked.  They need no session; answers
 * that are ready in the same turn of the event loop leave by one sendmmsg().
 */

#include "server/handle.h"
#include "stream/lane.h"

/* Waits for the answer to datagram number (datagram.h) of the last batch.
   pending: owned from now on. */
void late_begin(lane_t *lane, unsigned number, dns_server_pending_t *pending);

/* Sends what is ready, before the descriptor goes. */
void late_flush(void);

#endif
