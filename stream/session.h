#ifndef STREAM_SESSION_H
#define STREAM_SESSION_H

/*
 * A datagram as a stream session, as nginx would have made it, but: every
 * datagram is a session of its own, replies leave from the address that was
 * asked, and a session that lives on keeps a descriptor that a graceful end
 * does not close.
 */

#include "stream/lane.h"

/* Makes and starts the session of datagram number (datagram.h). */
void session_of_datagram(lane_t *lane, unsigned number);

#endif
