#ifndef SERVER_ASK_H
#define SERVER_ASK_H

/*
 * Queries for which dns_server_answer() said DNS_SERVER_ASK: the Lua module
 * dns.service answers them on a coroutine, so that it may wait for upstreams
 * and databases.
 */

#include "server/answer.h"

typedef struct dns_server_ask_s dns_server_ask_t;

/* The answer; borrowed for the call, 0 octets: send nothing. */
typedef void (*dns_server_answered_pt)(void *data, const uint8_t *answer,
                                       size_t size);

/* Copies what it needs of call.  answered(data, ...) is called once: before
   this returns, which then gives NULL, or later, or never after a cancel.
   Whatever fails is a SERVFAIL. */
dns_server_ask_t *dns_server_ask(const dns_server_call_t *call, ngx_log_t *log,
                                 dns_server_answered_pt answered, void *data);

/* What a session will go on with: call->pending; NULL: no memory. */
dns_server_ask_t *dns_server_ask_new(const dns_server_call_t *call,
                                     ngx_log_t *log);

/* dns_server_answer() for a server with hooks. */
dns_server_verdict_t dns_server_hooked(dns_server_call_t *call);

/* Where the source of the answer counts as failed: what has expired, into
   call->out; now and then one question goes on in the background.  0: there is
   none, or it does not. */
size_t dns_server_ask_stale(const dns_server_call_t *call,
                            const dns_query_t *query);

/* The client is gone. */
void dns_server_ask_cancel(dns_server_ask_t *ask);

/* In each worker, after the VM's and the store's start: tells dns.service what
   the directives say.  Where the module cannot be found, that is logged, and
   asked queries get SERVFAIL. */
void dns_server_ask_open(ngx_cycle_t *cycle);

#endif
