#ifndef SERVER_PRIVATE_CHAIN_H
#define SERVER_PRIVATE_CHAIN_H

/*
 * A query whose answer is made of several: a chain of aliases that leads from a
 * zone to an upstream or back, and a name that a hook has put in the place of
 * the question's.  Each link is a query of its own that runs through the steps
 * from the zones on; what the links are answered is joined here.
 */

#include "server/private/pending.h"

/* Another name is looked up in the place of the question's: STEP_NEXT, from
   step on; STEP_ANSWER: there is no memory, SERVFAIL. */
step_t chain_rename(dns_server_pending_t *pending, const dns_name_t *name,
                    unsigned step);

/* The zones have answered zones_size octets in request.out, which end in an
   alias that leads out of them: its target is asked of upstreams.  STEP_NEXT:
   from the next step on; STEP_ANSWER: that was the end. */
step_t chain_leave_zones(dns_server_pending_t *pending);

/* An upstream's response to the query or the link; it goes into request.out,
   with what follows.  As above. */
step_t chain_take_response(dns_server_pending_t *pending, const uint8_t *wire,
                           size_t size);

/* The zones or an error have answered a link, in request.out. */
step_t chain_take_answer(dns_server_pending_t *pending);

/* No upstream has answered for a link: STEP_ANSWER: with the answer so far;
   STEP_NEXT: there is none. */
step_t chain_give_up(dns_server_pending_t *pending);

/* The client's own request, whatever link is asked. */
const dns_server_request_t *chain_client(const dns_server_pending_t *pending);

void chain_free(chain_t *chain);

#endif
