#ifndef SERVER_HANDLE_H
#define SERVER_HANDLE_H

/*
 * The one way to an answer.  The UDP lane, datagrams of sessions, TCP and TLS,
 * DNS over HTTPS and dry runs all come here:
 *
 *     dns_server_begin();
 *     for each query:
 *         if (dns_server_handle(&request) == DNS_ANSWERED) {
 *             send request.size octets of request.out, if there are any
 *         } else {
 *             dns_server_wait(request.pending, on_answer, data);
 *         }
 *     dns_server_end();
 *
 * Between begin and end one snapshot of the embedded zones is read; do not
 * return to the event loop there.  Nested pairs are one.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "dns/query.h"
#include "server/client.h"
#include "server/conf.h"
#include "server/fairness.h"

typedef struct dns_server_pending_s dns_server_pending_t;

/* What a query hook would say. */
typedef struct {
    ngx_str_t forward;   /* upstreams to ask, with spaces between; empty: the
                            server's, for what no zone holds */
    dns_name_t new_name; /* lower case, looked up in the place of the
                            question's; size 0: none */
} dns_server_route_t;

typedef struct {
    const dns_server_conf_t *conf; /* borrowed */
    const struct sockaddr *client; /* borrowed for the call, as packet is */
    const uint8_t *packet;
    size_t packet_size; /* octets */
    ngx_log_t *log;     /* borrowed as long as the query */
    dns_transport_t transport;
    uint32_t idle_timeout_ms; /* granted to who asks (RFC 7828); 0: none */
    uint8_t *out;             /* borrowed for the call: dns_server_capacity() */
    size_t size;              /* set: octets of the answer; 0: send nothing */
    ngx_uint_t skip_hooks;    /* the hooks have seen it */
    const dns_server_route_t *route; /* borrowed as long as the query; NULL */
    dns_server_pending_t *pending;   /* set with DNS_PENDING */

    /* From step to step. */
    const dns_query_t *query; /* borrowed: the packet, parsed once */
    const dns_name_t *zone;   /* of a networked store; borrowed until the event
                                 loop goes on; NULL: none is known */
    dns_share_t *share; /* the name is strange (server/fairness.h); NULL: it is
                           known */
    unsigned step;      /* the one that runs (server/private/steps.h) */
    unsigned may_keep : 1; /* the answer may be cached */
} dns_server_request_t;

/* Octets that out must have. */
static inline size_t
dns_server_capacity(dns_transport_t transport)
{
    return transport == DNS_OVER_UDP ? DNS_SERVER_UDP_SIZE_MAX : 65535;
}

typedef enum {
    DNS_ANSWERED, /* request->out has request->size octets, or no answer is
                     due */
    DNS_PENDING,  /* request->pending waits: dns_server_wait() or _cancel() it
                     before the event loop goes on */
} dns_handled_t;

/* There is no third case: whatever fails is an answer, SERVFAIL. */
dns_handled_t dns_server_handle(dns_server_request_t *request);

/* The answer; borrowed for the call.  0 octets: send nothing.  NULL: the query
   was cancelled, or the worker ends: data alone is to be freed. */
typedef void (*dns_server_deliver_pt)(void *data, const uint8_t *answer,
                                      size_t size);

/* deliver(data, ...) is called exactly once: from the event loop, or from
   dns_server_cancel(). */
void dns_server_wait(dns_server_pending_t *pending,
                     dns_server_deliver_pt deliver, void *data);

/* The client is gone, or there is no memory to wait for it. */
void dns_server_cancel(dns_server_pending_t *pending);

/* An error for a query that could not be answered; 0: send nothing. */
size_t dns_server_error(dns_server_request_t *request, int rcode);

void dns_server_begin(void);
void dns_server_end(void);

#endif
