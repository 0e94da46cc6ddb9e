#include "server/private/steps.h"

#include "server/private/pending.h"
#include "server/statistics.h"

typedef step_t (*step_pt)(dns_server_request_t *request);

static const step_pt steps[STEP_COUNT] = {
    [STEP_HOOK_CACHE] = step_hook_cache, [STEP_QUERY_HOOK] = step_query_hook,
    [STEP_ROUTE] = step_route,           [STEP_FLOOD] = step_flood,
    [STEP_ZONES] = step_zones,           [STEP_CACHE] = step_cache,
    [STEP_ADMISSION] = step_admission,   [STEP_BACKENDS] = step_backends,
    [STEP_UPSTREAMS] = step_upstreams,
};


step_t
steps_run(dns_server_request_t **current)
{
    step_t said = STEP_NEXT;
    while (said == STEP_NEXT) {
        dns_server_request_t *request = *current;
        said = steps[request->step](request);
        if (request->pending != NULL) {
            *current = &request->pending->request;
        }
        (*current)->step += said == STEP_NEXT;
    }
    return said;
}


step_t
step_error(dns_server_request_t *request, int rcode)
{
    request->size = dns_server_refuse(request, rcode);
    dns_counts[DNS_COUNT_ERRORS]++;
    return STEP_ANSWER;
}


size_t
steps_finish(dns_server_request_t *request, step_t said)
{
    const size_t size = said == STEP_ANSWER ? request->size : 0;
    dns_server_pending_t *pending = request->pending;
    return pending != NULL && pending->has_hook && !pending->is_background
               ? hook_finish(pending, size)
               : size;
}
