#ifndef SERVER_PRIVATE_ASK_H
#define SERVER_PRIVATE_ASK_H

/* A pending query: a hook sleeps, networked stores are asked from C, or the Lua
   module dns.service asks upstreams on a coroutine.  Recycled. */

#include "ffi/hook_ffi.h"
#include "runtime/run.h"
#include "server/cache.h"
#include "server/private/answer.h"
#include "server/remote.h"

enum {
    ASK_FEW = 1024, /* octets of a query that need no memory of their own */
    ASK_OUT_ROOM = 4096, /* octets of a hook's answer */
    ASK_ANSWER_MAX = 65535,
};

typedef enum {
    ASK_QUERY_HOOK, /* dns_query_by_lua */
    ASK_ZONES,      /* networked stores */
    ASK_SERVICE,    /* dns.service */
} ask_step_t;

struct dns_server_pending_s {
    resolua_request_t lua;
    dns_server_request_t request; /* packet, client and out are ours */
    dns_query_t query;
    dns_cache_ticket_t ticket; /* of the time before anybody was asked */
    unsigned has_ticket;       /* it is of a networked store's zone */
    unsigned is_forwarding;    /* it counts among the questions to upstreams */
    ask_step_t step;
    dns_remote_t fetch;
    size_t zones_size;  /* octets of the zones' answer in ask_answer, which ends
                           in an alias out of them: set for ask_service() */
    unsigned rounds;    /* that stores were asked */
    dns_share_t *share; /* of a strange name, or NULL */
    uint32_t keep_max;  /* seconds, as dns.service says */
    uint32_t checked;   /* the source of a check */
    uint32_t source;    /* that is being asked (health.h) */
    ngx_event_t event;  /* a check's start, or ask_stale's time */
    unsigned is_background : 1;      /* the client, if any, has an answer */
    unsigned is_check : 1;           /* and this ends the check of its source */
    unsigned is_silent : 1;          /* no upstream has answered */
    dns_server_answered_pt answered; /* NULL: the client is gone */
    void *data;
    struct dns_ffi_hook hook;
    struct dns_ffi_hook_life *life; /* of hook, for scripts; never freed */
    ngx_sockaddr_t client;
    uint8_t *many;              /* owned: a query of more octets */
    dns_server_pending_t *next; /* among the free ones */
    uint8_t few[ASK_FEW];
    uint8_t out[ASK_OUT_ROOM + DNS_EDNS_OPTIONS_MAX];
};

/* Asks the networked stores: as resolua_run(). */
ngx_int_t ask_zones(dns_server_pending_t *ask);

/* It has all that it needs, or has failed: to go on with. */
void ask_zones_fetched(dns_server_pending_t *ask, ngx_int_t rc);

/* Where an answer is made; size: octets, 0: none. */
extern struct ask_answer_s {
    uint8_t octets[ASK_ANSWER_MAX + DNS_EDNS_OPTIONS_MAX];
    size_t size;
} ask_answer;

/* Runs dns.service. */
ngx_int_t ask_service(dns_server_pending_t *ask);

void ask_release(dns_server_pending_t *ask);

/* Fills the hook's view in, with out as the place for its answer. */
void hook_prepare(dns_server_pending_t *ask, uint8_t *out, size_t room);

/* What scripts know the ask's queries by; NGX_ERROR: no memory.  free: the
   ask's memory goes. */
ngx_int_t hook_new(dns_server_pending_t *ask);
void hook_free(dns_server_pending_t *ask);

/* The query hook has decided and the query waits: it is too late for another
   answer, and there is no place for one. */
void hook_pause(dns_server_pending_t *ask);

/* The query is over; a script may have kept its object, whose uses are errors
   from now on. */
void hook_end(dns_server_pending_t *ask);

/* Runs the query hook: as resolua_run(). */
ngx_int_t hook_query(dns_server_pending_t *ask);

/* What its end with rc means; an answer is in ask->request.out, size octets. */
dns_server_verdict_t hook_decide(dns_server_pending_t *ask, ngx_int_t rc);

/* The answer and the log hook over the answer in out; gives its size. */
size_t hook_finish(dns_server_pending_t *ask, uint8_t *out, size_t size);

/* Somebody has to be asked for request->query: from the event loop. */
dns_handled_t ask_begin(dns_server_request_t *request);

/* dns_server_answer() for a server with hooks. */
dns_server_verdict_t dns_server_hooked(dns_server_request_t *request);

/* Where the source of the answer counts as failed: what has expired, into
   request->out; now and then one question goes on in the background.  0: there
   is none, or it does not. */
size_t dns_server_ask_stale(const dns_server_request_t *request,
                            const dns_query_t *query);

/* In each worker, after the VM's and the store's start: tells dns.service what
   the directives say.  Where the module cannot be found, that is logged, and
   asked queries get SERVFAIL. */
void dns_server_ask_open(ngx_cycle_t *cycle);

#endif
