/* Answers that were asked of others once. */

#include "server/private/pending.h"


step_t
step_cache(dns_server_request_t *request)
{
    if (!request->may_keep) {
        return STEP_NEXT;
    }
    request->size = dns_server_cache_get(dns_server_view(request), request);
    if (request->size == 0 && dns_server_cache_has_stale()) {
        request->size = stale_of_failed_source(request);
    }
    return request->size > 0 ? STEP_ANSWER : STEP_NEXT;
}
