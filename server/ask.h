#ifndef SERVER_ASK_H
#define SERVER_ASK_H

/*
 * Pending queries: a hook sleeps, networked stores are asked from C, or the Lua
 * module dns.service asks upstreams on a coroutine.
 */

#include "server/answer.h"

/* dns_server_answer() for a server with hooks. */
dns_server_verdict_t dns_server_hooked(dns_server_call_t *call);

/* Where the source of the answer counts as failed: what has expired, into
   call->out; now and then one question goes on in the background.  0: there is
   none, or it does not. */
size_t dns_server_ask_stale(const dns_server_call_t *call,
                            const dns_query_t *query);

/* In each worker, after the VM's and the store's start: tells dns.service what
   the directives say.  Where the module cannot be found, that is logged, and
   asked queries get SERVFAIL. */
void dns_server_ask_open(ngx_cycle_t *cycle);

#endif
