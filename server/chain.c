#include "server/private/chain.h"

#include "dns/octets.h"
#include "dns/relay.h"
#include "dns/type.h"
#include "dns/writer.h"
#include "server/health.h"

enum {
    LINKS_MAX = DNS_CHAIN_MAX + 2, /* names of one chain */
    QUESTIONS_MAX = 5,             /* to upstreams */
    OPEN_TIME = 5, /* seconds that a chain without its end is kept */
    PACKET_SIZE = DNS_HEADER_SIZE + DNS_NAME_MAX + 4 + DNS_OPT_SIZE,
};

struct chain_s {
    dns_server_request_t outer; /* the request as it came */
    dns_query_t query;          /* of the link */
    pending_buffer_t *so_far;   /* owned: the links' answers, joined */
    size_t so_far_size;         /* octets; 0: none yet */
    unsigned link_count;
    unsigned is_renamed : 1;
    dns_name_t links[LINKS_MAX]; /* the last one is asked */
    uint8_t packet[PACKET_SIZE];
};


const dns_server_request_t *
chain_client(const dns_server_pending_t *pending)
{
    return pending->chain != NULL ? &pending->chain->outer : &pending->request;
}


void
chain_free(chain_t *chain)
{
    if (chain->so_far != NULL) {
        pending_buffer_release(chain->so_far);
    }
    ngx_free(chain);
}


static step_t
no_memory(dns_server_pending_t *pending)
{
    dns_server_request_t *request = &pending->request;
    request->size = dns_server_failure(request, DNS_EDE_OTHER);
    return STEP_ANSWER;
}


/* The query itself is the first link. */
static chain_t *
chain_of(dns_server_pending_t *pending)
{
    dns_server_request_t *request = &pending->request;
    chain_t *chain = pending->chain;
    if (chain != NULL) {
        return chain;
    }
    chain = ngx_alloc(sizeof(*chain), request->log);
    if (chain == NULL) {
        return NULL;
    }
    chain->outer = *request;
    chain->so_far = NULL;
    chain->so_far_size = 0;
    chain->is_renamed = 0;
    chain->link_count = 1;
    chain->links[0] = request->query->qname;
    pending->chain = chain;
    return chain;
}


static dns_name_t *
last_link(chain_t *chain)
{
    return &chain->links[chain->link_count - 1];
}


/* The client's question for the link's name, over a transport that carries any
   answer. */
static void
write_link(chain_t *chain)
{
    const dns_query_t *client = chain->outer.query;
    const dns_writer_opt_t opt = {.udp_size = DNS_UDP_SIZE,
                                  .dnssec_ok = client->edns.dnssec_ok};
    const uint16_t flags = DNS_FLAG_RD | DNS_FLAG_CD | DNS_FLAG_AD;
    dns_writer_t w;
    int rcode;
    dns_writer_init(&w, chain->packet, sizeof(chain->packet));
    dns_writer_put_header(&w, client->id, client->flags & flags);
    if (dns_writer_put_question(&w, last_link(chain)->octets, client->qtype,
                                client->qclass) != DNS_OK ||
        (client->edns.is_present && dns_writer_put_opt(&w, &opt) != DNS_OK) ||
        dns_query_parse(&chain->query, chain->packet, w.used, DNS_OVER_HTTPS,
                        &rcode) != DNS_OK) {
        ngx_debug_point(); /* a name and an OPT fit */
    }
    chain->query.packet_size = (uint16_t) w.used;
}


/* The last link is looked up, by the steps from step on. */
static step_t
ask_link(dns_server_pending_t *pending, unsigned step)
{
    dns_server_request_t *request = &pending->request;
    chain_t *chain = pending->chain;
    write_link(chain);
    request->query = &chain->query;
    request->packet = chain->packet;
    request->packet_size = chain->query.packet_size;
    request->transport = DNS_OVER_HTTPS;
    request->may_keep = 0; /* the whole may, its links' answers may not */
    step_skip_to(request, step);
    return pending_set_out(pending) == NGX_OK ? STEP_NEXT : no_memory(pending);
}


step_t
chain_rename(dns_server_pending_t *pending, const dns_name_t *name,
             unsigned step)
{
    chain_t *chain = chain_of(pending);
    if (chain == NULL) {
        return no_memory(pending);
    }
    chain->is_renamed = 1;
    chain->links[0] = *name;
    return ask_link(pending, step);
}


/* false: the chain has been there, or is too long. */
static ngx_uint_t
add_link(chain_t *chain, const dns_name_t *name)
{
    for (unsigned i = 0; i < chain->link_count; i++) {
        if (dns_name_equal(chain->links[i].octets, name->octets)) {
            return 0;
        }
    }
    if (chain->link_count == LINKS_MAX) {
        return 0;
    }
    chain->links[chain->link_count++] = *name;
    return 1;
}


static uint16_t
flags_of(const uint8_t *wire)
{
    return (uint16_t) get16(wire + DNS_HEADER_FLAGS_AT);
}


/* The first link says whether the answer is authoritative, all of them whether
   it is authentic, the last one what the rcode is. */
static uint16_t
join_flags(const chain_t *chain, const uint8_t *next)
{
    const uint16_t own = DNS_FLAG_RD | DNS_FLAG_CD;
    const uint16_t client = chain->outer.query->flags & own;
    const uint16_t last = flags_of(next) & (uint16_t) ~(own | DNS_FLAG_TC);
    if (chain->so_far_size == 0) {
        return last | client;
    }
    const uint16_t first = flags_of(chain->so_far->octets);
    return (uint16_t) (client | DNS_FLAG_QR | (first & DNS_FLAG_AA) |
                       ((first | last) & DNS_FLAG_RA) |
                       (first & last & DNS_FLAG_AD) | (last & DNS_RCODE_MASK));
}


/* A link's answer in request.out joins the answer so far.  owner_count: of its
   answers, those of the links from first on; 0: all. */
static ngx_int_t
join(dns_server_pending_t *pending, unsigned first, unsigned owner_count)
{
    const dns_server_request_t *request = &pending->request;
    chain_t *chain = pending->chain;
    const dns_relay_part_t parts[] = {
        {.wire = chain->so_far != NULL ? chain->so_far->octets : NULL,
         .size = chain->so_far_size},
        {.wire = request->out,
         .size = request->size,
         .owners = chain->links + first,
         .owner_count = owner_count},
    };
    const unsigned skipped = chain->so_far_size == 0;
    const dns_relay_t relay = {.parts = parts + skipped,
                               .part_count = 2 - skipped,
                               .flags = join_flags(chain, request->out)};
    pending_buffer_t *joined = pending_buffer_take(request->log);
    size_t size;
    if (joined == NULL ||
        dns_relay_write(chain->outer.query, &relay, joined->octets,
                        PENDING_ANSWER_MAX, &size) != DNS_OK) {
        if (joined != NULL) {
            pending_buffer_release(joined);
        }
        return NGX_ERROR;
    }
    if (chain->so_far != NULL) {
        pending_buffer_release(chain->so_far);
    }
    chain->so_far = joined;
    chain->so_far_size = size;
    return NGX_OK;
}


static void
keep_at_most(dns_server_pending_t *pending, uint32_t seconds)
{
    pending->keep_max = ngx_min(pending->keep_max, seconds);
}


/* The client's own request goes on; the chain is the caller's. */
static chain_t *
detach(dns_server_pending_t *pending)
{
    dns_server_request_t *request = &pending->request;
    chain_t *chain = pending->chain;
    chain->outer.step = request->step;
    *request = chain->outer;
    pending->chain = NULL;
    return chain;
}


/* The answer so far becomes that of the client's query. */
static step_t
finish(dns_server_pending_t *pending)
{
    dns_server_request_t *request = &pending->request;
    chain_t *chain = detach(pending);
    const dns_relay_part_t part = {.wire = chain->so_far->octets,
                                   .size = chain->so_far_size};
    const dns_relay_t relay = {.parts = &part,
                               .part_count = 1,
                               .flags = flags_of(chain->so_far->octets),
                               .renamed =
                                   chain->is_renamed ? &chain->links[0] : NULL};
    const size_t limit =
        dns_query_response_limit(request->query, request->conf->udp_size);
    step_t said = STEP_ANSWER;
    if (pending_set_out(pending) != NGX_OK ||
        dns_relay_write(request->query, &relay, request->out, limit,
                        &request->size) != DNS_OK) {
        said = no_memory(pending);
    }
    chain_free(chain);
    upstreams_complete(pending);
    return said;
}


/* The end is missing. */
static step_t
finish_open(dns_server_pending_t *pending)
{
    keep_at_most(pending, OPEN_TIME);
    return finish(pending);
}


/* The query is answered as if there were no chain. */
static void
drop(dns_server_pending_t *pending)
{
    chain_free(detach(pending));
    (void) pending_set_out(pending);
}


static step_t
fail(dns_server_pending_t *pending)
{
    drop(pending);
    return no_memory(pending);
}


/* A link has failed.  What has expired is whole; the answer so far is not. */
static step_t
finish_failed(dns_server_pending_t *pending)
{
    uint8_t out[PENDING_OUT_SIZE];
    dns_server_request_t *request = &pending->request;
    const size_t size = stale_get(&pending->chain->outer, out);
    if (size == 0) {
        return finish_open(pending);
    }
    dns_health_fail(pending->source);
    drop(pending);
    ngx_memcpy(request->out, out, size);
    request->size = size;
    return STEP_ANSWER;
}


/* The next link is an upstream's. */
static step_t
ask_upstream(dns_server_pending_t *pending)
{
    if (pending->questions >= QUESTIONS_MAX) {
        return finish_open(pending);
    }
    return ask_link(pending, STEP_UPSTREAMS);
}


typedef enum {
    WALK_END,     /* the last link has records, or nothing in this answer */
    WALK_LOOP,    /* it is one that was before */
    WALK_TO_ZONE, /* it is in a zone of ours */
} walk_t;

/* Follows the aliases of the answer in request.out from the last link on. */
static walk_t
walk(dns_server_pending_t *pending, ngx_uint_t looks_for_zones)
{
    const dns_server_request_t *request = &pending->request;
    chain_t *chain = pending->chain;
    dns_name_t target;
    while (dns_relay_follow(request->out, request->size, last_link(chain),
                            chain->outer.query->qtype,
                            &target) == DNS_FOLLOW_ALIAS) {
        if (!add_link(chain, &target)) {
            return WALK_LOOP;
        }
        if (looks_for_zones && dns_server_holds(&target)) {
            return WALK_TO_ZONE;
        }
    }
    return WALK_END;
}


step_t
chain_leave_zones(dns_server_pending_t *pending)
{
    dns_server_request_t *request = &pending->request;
    chain_t *chain = chain_of(pending);
    if (chain == NULL) {
        return no_memory(pending);
    }
    request->size = pending->zones_size;
    pending->zones_size = 0;
    const ngx_uint_t is_open = walk(pending, 0) == WALK_END;
    if (join(pending, 0, 0) != NGX_OK) {
        return fail(pending);
    }
    chain->so_far->octets[DNS_HEADER_FLAGS_AT + 1] |= DNS_FLAG_RA;
    return is_open ? ask_upstream(pending) : finish_open(pending);
}


/* Where an upstream's response for a link leads; it is in request.out. */
static step_t
follow(dns_server_pending_t *pending)
{
    const dns_server_request_t *request = &pending->request;
    chain_t *chain = pending->chain;
    const ngx_uint_t has_answer = chain->so_far_size > 0;
    const unsigned first = chain->link_count - 1;
    dns_name_t target;
    const walk_t end = walk(pending, pending->hook.forward_size == 0);
    const unsigned followed = chain->link_count - 1 - first;
    if (join(pending, first, end == WALK_TO_ZONE ? followed : 0) != NGX_OK) {
        return fail(pending);
    }
    if (end == WALK_TO_ZONE) {
        keep_at_most(pending, 0); /* edits of the zone must be seen */
        return ask_link(pending, STEP_ZONES);
    }
    if (end == WALK_LOOP) {
        return finish_open(pending);
    }
    if (dns_relay_is_denial(request->out, request->size) ||
        dns_relay_follow(request->out, request->size, last_link(chain),
                         chain->outer.query->qtype,
                         &target) == DNS_FOLLOW_RECORDS) {
        return finish(pending);
    }
    if (followed == 0) {
        return has_answer ? finish_open(pending) : finish(pending);
    }
    return ask_upstream(pending);
}


/* A response to the client's query as it is. */
static step_t
relay(dns_server_pending_t *pending, const uint8_t *wire, size_t size)
{
    dns_server_request_t *request = &pending->request;
    const dns_query_t *query = request->query;
    const dns_relay_part_t part = {.wire = wire, .size = size};
    const dns_relay_t response = {.parts = &part,
                                  .part_count = 1,
                                  .flags = dns_relay_flags(query, wire, size)};
    const size_t limit =
        dns_query_response_limit(query, request->conf->udp_size);
    if (pending_set_out(pending) != NGX_OK) {
        return no_memory(pending);
    }
    if (dns_relay_write(query, &response, request->out, limit,
                        &request->size) != DNS_OK) {
        request->size = dns_server_failure(request, DNS_EDE_NETWORK_ERROR);
    }
    return STEP_ANSWER;
}


static ngx_uint_t
is_alias(const dns_query_t *query, const uint8_t *wire, size_t size)
{
    dns_name_t target;
    return size >= DNS_HEADER_SIZE && (flags_of(wire) & DNS_FLAG_TC) == 0 &&
           dns_relay_follow(wire, size, &query->qname, query->qtype, &target) ==
               DNS_FOLLOW_ALIAS;
}


step_t
chain_take_response(dns_server_pending_t *pending, const uint8_t *wire,
                    size_t size)
{
    dns_server_request_t *request = &pending->request;
    const ngx_uint_t is_first = pending->chain == NULL;
    if (is_first && !is_alias(request->query, wire, size)) {
        const step_t said = relay(pending, wire, size);
        upstreams_complete(pending);
        return said;
    }
    chain_t *chain = chain_of(pending);
    if (chain == NULL) {
        return no_memory(pending);
    }
    request->transport = DNS_OVER_HTTPS;
    (void) relay(pending, wire, size);
    const unsigned rcode = flags_of(request->out) & DNS_RCODE_MASK;
    if (rcode == DNS_RCODE_SERVFAIL && chain->so_far_size > 0) {
        return finish_failed(pending);
    }
    return follow(pending);
}


/* The error for the last link becomes the client's, with its reason. */
static step_t
refuse(dns_server_pending_t *pending, unsigned rcode)
{
    dns_server_request_t *request = &pending->request;
    const dns_name_t *apex;
    const ngx_uint_t is_remote =
        dns_remote_find(last_link(pending->chain), &apex) != DNS_REMOTE_NO;
    drop(pending);
    request->size =
        rcode == DNS_RCODE_SERVFAIL && is_remote
            ? dns_server_failure(request, DNS_EDE_NO_REACHABLE_AUTHORITY)
            : dns_server_refuse(request, (int) rcode);
    return STEP_ANSWER;
}


step_t
chain_take_answer(dns_server_pending_t *pending)
{
    dns_server_request_t *request = &pending->request;
    const unsigned rcode = flags_of(request->out) & DNS_RCODE_MASK;
    if (pending->chain->so_far_size == 0 &&
        (rcode == DNS_RCODE_SERVFAIL || rcode == DNS_RCODE_REFUSED)) {
        return refuse(pending, rcode);
    }
    keep_at_most(pending, 0);
    return join(pending, 0, 0) == NGX_OK ? finish(pending) : fail(pending);
}


step_t
chain_give_up(dns_server_pending_t *pending)
{
    if (pending->chain == NULL) {
        return STEP_NEXT;
    }
    if (pending->chain->so_far_size > 0) {
        pending->is_silent = 0;
        return finish_failed(pending);
    }
    drop(pending);
    return STEP_NEXT;
}
