/* A flood of random names: who is turned away (server/fairness.h). */

#include "dns/type.h"
#include "server/private/steps.h"
#include "server/statistics.h"


/* Before anything is looked up for it. */
step_t
step_flood(dns_server_request_t *request)
{
    const dns_query_t *query = request->query;
    if (dns_fairness_is_flooded() && request->transport == DNS_OVER_UDP &&
        query->qclass == DNS_CLASS_IN &&
        dns_fairness_turns_away(&query->qname)) {
        dns_counts[DNS_COUNT_SHED]++;
        return STEP_DROP;
    }
    return STEP_NEXT;
}


/* Before a store or an upstream is asked. */
step_t
step_admission(dns_server_request_t *request)
{
    if (!request->may_keep ||
        dns_fairness_admit(&request->query->qname, request->zone,
                           &request->share) == NGX_OK ||
        request->transport != DNS_OVER_UDP) {
        return STEP_NEXT;
    }
    dns_counts[DNS_COUNT_SHED]++;
    return STEP_DROP;
}
