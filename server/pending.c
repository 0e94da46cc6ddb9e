#include "server/private/pending.h"

#include "dns/type.h"
#include "runtime/wait.h"
#include "server/health.h"
#include "server/private/chain.h"

enum {
    FREE_MAX = 1024,      /* objects that are kept */
    FREE_BUFFERS_MAX = 8, /* and buffers */
};

/* Recycled; they belong to one VM. */
static dns_server_pending_t *free_pending;
static ngx_uint_t free_count;
static pending_buffer_t *free_buffers;
static ngx_uint_t free_buffer_count;

/* Those that somebody waits for. */
static ngx_queue_t waited_for = {&waited_for, &waited_for};


static void
results(resolua_request_t *lua, lua_State *L)
{
    dns_server_pending_t *pending = lua->data;
    if (pending->request.step == STEP_UPSTREAMS) {
        upstreams_results(pending, L);
    }
}


static void
resumed(resolua_request_t *lua, ngx_int_t rc)
{
    dns_server_pending_t *pending = lua->data;
    pending_go_on(pending, pending->request.step == STEP_UPSTREAMS
                               ? upstreams_ended(pending, rc)
                               : hook_ended(pending, rc));
}


static const resolua_host_t host = {
    .subsystem = "stream",
    .results = results,
    .resumed = resumed,
};


static dns_server_pending_t *
pending_new(ngx_log_t *log)
{
    dns_server_pending_t *pending = free_pending;
    if (pending != NULL) {
        free_pending = pending->next;
        free_count--;
        return pending;
    }
    pending = ngx_alloc(sizeof(*pending), log);
    if (pending == NULL || hook_new(pending) != NGX_OK) {
        ngx_free(pending);
        return NULL;
    }
    ngx_memzero(&pending->event, sizeof(pending->event));
    return pending;
}


/* What the steps know before the first of them. */
static void
pending_reset(dns_server_pending_t *pending)
{
    pending->deliver = NULL;
    pending->chain = NULL;
    pending->large_packet = NULL;
    pending->large_answer = NULL;
    pending->zones_size = 0;
    pending->questions = 0;
    pending->keep_max = UINT32_MAX;
    pending->source = 0;
    pending->is_waiting = pending->is_fetching = pending->is_forwarding = 0;
    pending->was_asked = pending->has_ticket = pending->has_hook = 0;
    pending->is_background = pending->is_check = pending->is_silent = 0;
    pending->hook.action = DNS_FFI_HOOK_NONE;
    pending->hook.forward_size = 0;
    pending->hook.new_name_size = 0;
}


dns_server_pending_t *
pending_take(dns_server_request_t *request)
{
    if (request->pending != NULL) {
        return request->pending;
    }
    dns_server_pending_t *pending = pending_new(request->log);
    if (pending == NULL) {
        return NULL;
    }
    pending_reset(pending);
    resolua_request_init(&pending->lua, &host, pending, NULL, request->log);
    request->pending = pending;
    pending->request = *request;
    return pending;
}


static ngx_int_t
keep_packet(dns_server_pending_t *pending)
{
    dns_server_request_t *request = &pending->request;
    uint8_t *packet = pending->packet;
    if (request->packet_size > sizeof(pending->packet)) {
        packet = ngx_alloc(request->packet_size, request->log);
        if (packet == NULL) {
            return NGX_ERROR;
        }
        pending->large_packet = packet;
    }
    ngx_memcpy(packet, request->packet, request->packet_size);
    dns_query_copy(&pending->query, request->query, packet);
    request->packet = packet;
    request->query = &pending->query;
    return NGX_OK;
}


/* The zones' answer, which is to be continued, moves out of the caller's
   memory. */
static ngx_int_t
keep_zones_answer(dns_server_pending_t *pending)
{
    const uint8_t *before = pending->request.out;
    if (pending_set_out(pending) != NGX_OK) {
        return NGX_ERROR;
    }
    ngx_memcpy(pending->request.out, before, pending->zones_size);
    return NGX_OK;
}


ngx_int_t
pending_keep(dns_server_pending_t *pending)
{
    dns_server_request_t *request = &pending->request;
    if (keep_packet(pending) != NGX_OK) {
        return NGX_ERROR;
    }
    ngx_memcpy(&pending->client, request->client,
               request->client->sa_family == AF_INET6
                   ? sizeof(struct sockaddr_in6)
                   : sizeof(struct sockaddr_in));
    request->client = &pending->client.sockaddr;
    if (dns_server_cache != NULL) {
        pending->ticket =
            dns_cache_ticket(dns_server_cache, &pending->query, NULL, 0);
    }
    if (pending->has_hook) {
        hook_keep(pending);
    }
    pending->is_waiting = 1;
    return pending->zones_size > 0 ? keep_zones_answer(pending) : NGX_OK;
}


pending_buffer_t *
pending_buffer_take(ngx_log_t *log)
{
    pending_buffer_t *buffer = free_buffers;
    if (buffer == NULL) {
        return ngx_alloc(sizeof(*buffer), log);
    }
    free_buffers = buffer->next;
    free_buffer_count--;
    return buffer;
}


void
pending_buffer_release(pending_buffer_t *buffer)
{
    if (free_buffer_count == FREE_BUFFERS_MAX) {
        ngx_free(buffer);
        return;
    }
    buffer->next = free_buffers;
    free_buffers = buffer;
    free_buffer_count++;
}


ngx_int_t
pending_set_out(dns_server_pending_t *pending)
{
    pending->request.out = pending->out;
    if (pending->request.transport == DNS_OVER_UDP) {
        return NGX_OK;
    }
    if (pending->large_answer == NULL) {
        pending->large_answer = pending_buffer_take(pending->request.log);
        if (pending->large_answer == NULL) {
            return NGX_ERROR;
        }
    }
    pending->request.out = pending->large_answer->octets;
    return NGX_OK;
}


void
pending_release(dns_server_pending_t *pending)
{
    resolua_request_end(&pending->lua);
    resolua_wait_unset(&pending->event);
    if (pending->is_check) {
        dns_health_end_check(pending->checked);
    }
    if (pending->is_forwarding) {
        upstreams_end(pending);
    }
    if (pending->chain != NULL) {
        chain_free(pending->chain);
    }
    if (pending->large_packet != NULL) {
        ngx_free(pending->large_packet);
    }
    if (pending->large_answer != NULL) {
        pending_buffer_release(pending->large_answer);
    }
    hook_end(pending);
    if (free_count == FREE_MAX) {
        hook_free(pending);
        ngx_free(pending);
        return;
    }
    pending->next = free_pending;
    free_pending = pending;
    free_count++;
}


/* There is no memory for an answer: an error fits. */
static step_t
answer_no_memory(dns_server_pending_t *pending)
{
    pending->has_hook = 0;
    pending->request.size =
        dns_server_refuse(&pending->request, DNS_RCODE_SERVFAIL);
    return STEP_ANSWER;
}


/* The answer hook may write as much as the transport carries. */
static step_t
make_room_for_hooks(dns_server_pending_t *pending)
{
    const dns_server_request_t *request = &pending->request;
    const uint8_t *before = request->out;
    if (pending_set_out(pending) != NGX_OK) {
        return answer_no_memory(pending);
    }
    if (request->out != before) {
        ngx_memcpy(request->out, before, request->size);
    }
    return STEP_ANSWER;
}


/* Nobody waits from now on. */
static dns_server_deliver_pt
take_deliver(dns_server_pending_t *pending)
{
    const dns_server_deliver_pt deliver = pending->deliver;
    if (deliver != NULL) {
        ngx_queue_remove(&pending->queue);
        pending->deliver = NULL;
    }
    return deliver;
}


void
pending_move_client(dns_server_pending_t *pending,
                    dns_server_pending_t *stand_in)
{
    dns_server_wait(stand_in, take_deliver(pending), pending->data);
}


static void
end(dns_server_pending_t *pending, step_t said)
{
    const dns_server_request_t *request = &pending->request;
    if (said == STEP_ANSWER && pending->has_hook) {
        said = make_room_for_hooks(pending);
    }
    if (pending->was_asked) {
        dns_fairness_answered(request->share, request->query, request->out,
                              said == STEP_ANSWER ? request->size : 0);
    }
    const size_t size = steps_finish(&pending->request, said);
    const dns_server_deliver_pt deliver = take_deliver(pending);
    if (deliver != NULL) {
        deliver(pending->data, request->out, size);
    }
    pending_release(pending);
}


/* Runs the steps from request.step on. */
static step_t
run(dns_server_pending_t *pending)
{
    dns_server_request_t *request = &pending->request;
    if (pending_set_out(pending) != NGX_OK) {
        return answer_no_memory(pending);
    }
    dns_server_begin();
    const step_t said = steps_run(&request);
    dns_server_end();
    return said;
}


/* A link's answer may lead to another link, which runs through the steps. */
void
pending_go_on(dns_server_pending_t *pending, step_t said)
{
    for (;;) {
        if (said == STEP_ANSWER && pending->chain != NULL) {
            said = chain_take_answer(pending);
        }
        if (said != STEP_NEXT) {
            break;
        }
        pending->request.step++;
        said = run(pending);
    }
    if (said == STEP_WAIT) {
        stale_watch(pending);
    } else {
        end(pending, said);
    }
}


static void
on_turn(ngx_event_t *ev)
{
    dns_server_pending_t *pending = ev->data;
    pending_go_on(pending, run(pending));
}


void
pending_post(dns_server_pending_t *pending)
{
    pending->event.handler = on_turn;
    pending->event.data = pending;
    pending->event.log = ngx_cycle->log;
    ngx_post_event(&pending->event, &ngx_posted_events);
}


step_t
pending_await_turn(dns_server_request_t *request)
{
    dns_server_pending_t *pending = pending_take(request);
    if (pending == NULL) {
        return step_error(request, DNS_RCODE_SERVFAIL);
    }
    if (pending->has_hook) {
        hook_pause(pending);
    }
    if (pending->is_waiting) {
        return STEP_NEXT;
    }
    pending_post(pending);
    return STEP_WAIT;
}


void
dns_server_wait(dns_server_pending_t *pending, dns_server_deliver_pt deliver,
                void *data)
{
    pending->deliver = deliver;
    pending->data = data;
    ngx_queue_insert_tail(&waited_for, &pending->queue);
}


void
dns_server_cancel(dns_server_pending_t *pending)
{
    const dns_server_deliver_pt deliver = take_deliver(pending);
    void *data = pending->data;
    if (pending->is_fetching) { /* step_backends.c ends it */
        pending->lua.log = pending->request.log = ngx_cycle->log;
    } else {
        pending_release(pending);
    }
    if (deliver != NULL) {
        deliver(data, NULL, 0);
    }
}


void
pending_close(void)
{
    while (!ngx_queue_empty(&waited_for)) {
        ngx_queue_t *first = ngx_queue_head(&waited_for);
        dns_server_cancel(ngx_queue_data(first, dns_server_pending_t, queue));
    }
}
