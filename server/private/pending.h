#ifndef SERVER_PRIVATE_PENDING_H
#define SERVER_PRIVATE_PENDING_H

/*
 * A query that has a hook, or waits: for a hook that sleeps, for networked
 * stores, for upstreams.  One object holds the query, what its steps know, and
 * its answer.  Recycled.
 */

#include "ffi/hook_ffi.h"
#include "runtime/run.h"
#include "server/cache.h"
#include "server/private/steps.h"
#include "server/remote.h"

enum {
    PENDING_PACKET_SIZE = 1024, /* octets of a query that need no memory of
                                   their own */
    PENDING_OUT_SIZE = DNS_SERVER_UDP_SIZE_MAX + 2 * DNS_EDNS_OPTIONS_MAX,
    PENDING_ANSWER_MAX = 65535, /* octets */
};

/* Room for an answer over TCP, TLS or HTTPS: from when it is made until it is
   sent. */
typedef struct pending_buffer_s pending_buffer_t;
struct pending_buffer_s {
    pending_buffer_t *next; /* among the free ones */
    uint8_t octets[PENDING_ANSWER_MAX + DNS_EDNS_OPTIONS_MAX];
};

typedef struct chain_s chain_t;

struct dns_server_pending_s {
    resolua_request_t lua;         /* of its hook, or of dns.service */
    dns_server_request_t request;  /* from pending_keep() on, packet, client,
                                      query and out are ours */
    ngx_queue_t queue;             /* of those that are waited for */
    dns_server_deliver_pt deliver; /* NULL: nobody waits */
    void *data;
    ngx_event_t event; /* its turn in the event loop; then the stale answer's
                          time */

    dns_cache_ticket_t ticket; /* of the time before anybody was asked */
    dns_remote_t fetch;
    unsigned rounds;    /* that stores were asked */
    unsigned questions; /* that upstreams were asked */
    size_t zones_size;  /* octets of the zones' answer in out, which ends in an
                           alias out of them; 0: there is none */
    uint32_t keep_max;  /* seconds, as dns.service says */
    uint32_t checked;   /* the source (server/health.h) of a check */
    uint32_t source;    /* that is being asked */
    unsigned is_waiting : 1;    /* it runs from the event loop */
    unsigned is_fetching : 1;   /* stores fill its sets: it cannot end */
    unsigned is_forwarding : 1; /* it counts among the questions to upstreams */
    unsigned was_asked : 1;     /* a store or an upstream */
    unsigned has_ticket : 1;    /* it is of a networked store's zone */
    unsigned has_hook : 1; /* the answer hook and the log hook are to run */
    unsigned is_background : 1; /* the client, if any, has an answer */
    unsigned is_check : 1;      /* its end is that of the check of its source */
    unsigned is_silent : 1;     /* no upstream has answered */
    step_t said;                /* about what dns.service has returned */

    struct dns_ffi_hook hook;
    struct dns_ffi_hook_life *life; /* of hook, for scripts; never freed */

    ngx_sockaddr_t client;
    dns_query_t query;
    chain_t *chain;        /* owned (server/private/chain.h); NULL: the query is
                              answered as it is */
    uint8_t *large_packet; /* owned; NULL: the query is in packet */
    pending_buffer_t *large_answer; /* owned; NULL: none is needed yet */
    dns_server_pending_t *next;     /* among the free ones */
    uint8_t packet[PENDING_PACKET_SIZE];
    uint8_t out[PENDING_OUT_SIZE];
};

/* Gives the request a pending query, if it has none: the steps go on with
   pending->request.  NULL: no memory. */
dns_server_pending_t *pending_take(dns_server_request_t *request);

/* It will wait: makes copies of what the request borrows.  NGX_ERROR: no
   memory. */
ngx_int_t pending_keep(dns_server_pending_t *pending);

void pending_release(dns_server_pending_t *pending);

/* request.out becomes memory for any answer of the query's transport.
   NGX_ERROR: there is none, and out has room for an error alone. */
ngx_int_t pending_set_out(dns_server_pending_t *pending);

/* Recycled; NULL: no memory. */
pending_buffer_t *pending_buffer_take(ngx_log_t *log);
void pending_buffer_release(pending_buffer_t *buffer);

/* For a step that asks somebody: STEP_NEXT: now; otherwise what it has to say:
   its turn comes in the event loop, for what is answered in place goes first,
   and who is asked may answer at once. */
step_t pending_await_turn(dns_server_request_t *request);

/* The step that waited says how it goes on. */
void pending_go_on(dns_server_pending_t *pending, step_t said);

/* Who waits for pending waits for stand_in from now on. */
void pending_move_client(dns_server_pending_t *pending,
                         dns_server_pending_t *stand_in);

/* Runs the steps from request.step on, when the event loop goes on. */
void pending_post(dns_server_pending_t *pending);

/* In each worker, at its end: nobody waits any more. */
void pending_close(void);

/* Hooks (hook_steps.c). */

/* Fills the hook's view in, with out as the place for its answer. */
void hook_prepare(dns_server_pending_t *pending, uint8_t *out, size_t capacity);

/* What scripts know its queries by; NGX_ERROR: no memory.  free: the object's
   memory goes. */
ngx_int_t hook_new(dns_server_pending_t *pending);
void hook_free(dns_server_pending_t *pending);

/* What the hook refers to is the pending query's own now. */
void hook_keep(dns_server_pending_t *pending);

/* The query hook has decided and the query waits: it is too late for another
   answer, and there is no place for one. */
void hook_pause(dns_server_pending_t *pending);

/* The query is over; a script may have kept its object, whose uses are errors
   from now on. */
void hook_end(dns_server_pending_t *pending);

/* The query hook has ended with rc. */
step_t hook_ended(dns_server_pending_t *pending, ngx_int_t rc);

/* The answer and the log hook over size octets in request.out; gives the
   answer's size. */
size_t hook_finish(dns_server_pending_t *pending, size_t size);

/* Upstreams (step_upstreams.c). */

/* An answer that somebody was asked for, in request.out without OPT: keeps it
   for others and gives it the OPT that this client is due.  In the place of a
   failure: what has expired. */
void upstreams_complete(dns_server_pending_t *pending);

/* What dns.service returned stands on L. */
void upstreams_results(dns_server_pending_t *pending, lua_State *L);

/* dns.service has ended with rc. */
step_t upstreams_ended(dns_server_pending_t *pending, ngx_int_t rc);

/* It counts no more among the questions under way. */
void upstreams_end(dns_server_pending_t *pending);

/* Answers that have expired (stale.c). */

/* Where the source of the answer counts as failed: what has expired, into
   request->out; now and then one question goes on in the background.  0: there
   is none, or it does not. */
size_t stale_of_failed_source(const dns_server_request_t *request);

/* What has expired, into out, which has room for PENDING_OUT_SIZE octets.  0:
   there is none, or the answer is of another source. */
size_t stale_get(const dns_server_request_t *request, uint8_t *out);

/* Somebody is asked: is there something that has expired, to be given when the
   client has waited for long? */
void stale_watch(dns_server_pending_t *pending);

#endif
