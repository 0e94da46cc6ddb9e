#ifndef SERVER_PRIVATE_ANSWER_H
#define SERVER_PRIVATE_ANSWER_H

/*
 * What the steps of a query share: errors, the answer cache, the zones.  Faces
 * call server/handle.h.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "dns/engine.h"
#include "dns/query.h"
#include "dns/type.h"
#include "server/client.h"
#include "server/handle.h"
#include "server/remote.h"

/*
 * The zones' answer with what a networked store has given so far, as
 * dns_answer(), in request->out.  Between begin and end.
 */
dns_status_t dns_server_zones(const dns_server_request_t *request,
                              dns_remote_t *fetch, dns_answer_t *answer);

/* Does the server ask its upstreams for this client? */
static inline ngx_uint_t
dns_server_recurses(const dns_server_request_t *request)
{
    return request->conf->forward.len > 0 &&
           dns_server_is_local(request->client);
}

/* The partition of the answer cache: clients for whom nobody is asked share
   that of servers without upstreams. */
static inline uint32_t
dns_server_view(const dns_server_request_t *request)
{
    return dns_server_recurses(request) ? request->conf->view : 0;
}

/* Upstreams, by the directive's text, as a source (server/health.h). */
static inline uint32_t
dns_server_upstream_health(const dns_server_request_t *request)
{
    return dns_server_recurses(request) ? request->conf->view | 1 : 0;
}

/* Is it a question that resolvers take? */
static inline ngx_uint_t
dns_server_is_forwardable(const dns_query_t *query)
{
    return query->qclass == DNS_CLASS_IN && query->qtype != DNS_TYPE_AXFR &&
           query->qtype != DNS_TYPE_IXFR;
}

/* May a name that no zone holds be asked of the server's upstreams? */
ngx_uint_t dns_server_may_forward(const dns_server_request_t *request);

/* Is the zones' answer left, for an upstream knows the parent of the zone?  Who
   asks without RD wants what is here. */
static inline ngx_uint_t
dns_server_asks_parent(const dns_server_request_t *request,
                       const dns_answer_t *answer)
{
    return answer->asks_parent && (request->query->flags & DNS_FLAG_RD) != 0 &&
           dns_server_may_forward(request);
}

/* An error for request->query, with what can be said of the reason; the octets
   in request->out. */
size_t dns_server_refuse(const dns_server_request_t *request, int rcode);

/* SERVFAIL, and why (RFC 8914). */
size_t dns_server_failure(const dns_server_request_t *request, dns_ede_t why);

/* Has the embedded store, or a networked one, a zone that holds the name? */
ngx_uint_t dns_server_holds(const dns_name_t *name);

/* Has the embedded store zones below a zone's apex?  Between begin and end. */
ngx_uint_t dns_server_has_zones_below(const dns_name_t *apex);

/* In each worker.  A store that cannot be opened is logged, and answers are
   SERVFAIL. */
void dns_server_open(ngx_cycle_t *cycle);
void dns_server_close(void);

#endif
