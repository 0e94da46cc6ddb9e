#ifndef SERVER_PRIVATE_STEPS_H
#define SERVER_PRIVATE_STEPS_H

/*
 * The steps of a query, in the order in which they run.  The lane and the other
 * faces run them by dns_server_handle(); a query that waits runs on from the
 * event loop, at the step that waited.  A new feature is a step of its own
 * here.
 */

#include "server/private/answer.h"

typedef enum {
    STEP_NEXT,   /* the next one */
    STEP_ANSWER, /* out has size octets: the answer hook, then it is sent */
    STEP_DROP,   /* nothing is sent */
    STEP_WAIT,   /* request->pending waits: pending_go_on() */
} step_t;

/* The numbers of dns_server_request_t.step. */
enum {
    STEP_HOOK_CACHE, /* what the query hook said to keep (hook_steps.c) */
    STEP_QUERY_HOOK,
    STEP_ROUTE,     /* upstreams or a name that the hook has named */
    STEP_FLOOD,     /* strange names of a flooded zone (step_flood.c) */
    STEP_ZONES,     /* the embedded store (zones.c) */
    STEP_CACHE,     /* of what was asked of others (step_cache.c) */
    STEP_ADMISSION, /* may they be asked? (step_flood.c) */
    STEP_BACKENDS,  /* networked stores (step_backends.c) */
    STEP_UPSTREAMS, /* (step_upstreams.c) */
    STEP_COUNT,
};

step_t step_hook_cache(dns_server_request_t *request);
step_t step_query_hook(dns_server_request_t *request);
step_t step_route(dns_server_request_t *request);
step_t step_flood(dns_server_request_t *request);
step_t step_zones(dns_server_request_t *request);
step_t step_cache(dns_server_request_t *request);
step_t step_admission(dns_server_request_t *request);
step_t step_backends(dns_server_request_t *request);
step_t step_upstreams(dns_server_request_t *request);

/* For a step that says STEP_NEXT: the next one is this. */
static inline void
step_skip_to(dns_server_request_t *request, unsigned step)
{
    request->step = step - 1;
}

/* Runs the steps from request->step on; *current: the request, which moves into
   the pending query where there is one. */
step_t steps_run(dns_server_request_t **current);

/* The query is over: gives the octets of its answer in request->out, after the
   answer hook and the log hook. */
size_t steps_finish(dns_server_request_t *request, step_t said);

/* An error is the answer. */
step_t step_error(dns_server_request_t *request, int rcode);

#endif
