#include "server/private/answer.h"

#include "dns/engine.h"
#include "dns/type.h"
#include "ffi/store.h"
#include "ffi/store_ffi.h"
#include "server/cache.h"
#include "server/options.h"
#include "server/private/ask.h"
#include "server/statistics.h"

/* The worker's own. */
static struct {
    struct dns_ffi_store *store; /* NULL: none is configured, or it failed */
    store_lmdb_reader_t *reader;
    dns_source_t source;
    unsigned depth;           /* of begin */
    ngx_uint_t is_read;       /* the snapshot is there */
    ngx_uint_t is_configured; /* there should be a store */
    dns_answer_t answer;
} worker;


/* The zones of a server that has none. */
static dns_status_t
find_no_zone(void *source, const dns_name_t *name, unsigned above,
             dns_zone_t *out)
{
    (void) source;
    (void) name;
    (void) above;
    (void) out;
    return DNS_ENOTFOUND;
}


static const dns_source_ops_t no_zones = {.find_zone = find_no_zone};


void
dns_server_open(ngx_cycle_t *cycle)
{
    const dns_main_conf_t *conf = dns_main_conf(cycle);
    char error[STORE_ERROR_SIZE];
    worker.is_configured = conf->lmdb_folder.len > 0;
    worker.source.ops = &no_zones;
    if (!worker.is_configured) {
        return;
    }
    if (dns_ffi_store_open((char *) conf->lmdb_folder.data, 0, &worker.store,
                           error) != DNS_OK) {
        worker.store = NULL;
        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                      "dns_store: %s; names that no other store has are "
                      "SERVFAIL until it is mended and the server reloaded",
                      error);
        return;
    }
    const store_lmdb_t *lmdb = dns_ffi_store_lmdb(worker.store);
    if (store_lmdb_refusal(lmdb) != NULL) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "dns_store: %V: zones are answered and no edit is "
                      "taken, because %s; make it writable and reload",
                      &conf->lmdb_folder, store_lmdb_refusal(lmdb));
    }
    if (store_lmdb_reader_new(dns_ffi_store_lmdb(worker.store),
                              &worker.reader) != DNS_OK) {
        worker.reader = NULL;
        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                      "dns_store: no memory for a reader");
    }
}


void
dns_server_close(void)
{
    if (worker.store != NULL) {
        store_lmdb_reader_free(worker.reader);
        dns_ffi_store_close(worker.store);
        worker.store = NULL;
        worker.reader = NULL;
    }
}


void
dns_server_begin(void)
{
    worker.depth++;
}


void
dns_server_end(void)
{
    if (--worker.depth == 0 && worker.is_read) {
        store_lmdb_read_end(worker.reader);
        worker.is_read = 0;
    }
}


/* The snapshot is taken when the first query of a batch needs it. */
static ngx_uint_t
has_source(void)
{
    if (!worker.is_read && worker.reader != NULL && worker.depth > 0 &&
        store_lmdb_read_begin(worker.reader, &worker.source) == DNS_OK) {
        worker.is_read = 1;
    }
    return worker.is_read || !worker.is_configured;
}


ngx_uint_t
dns_server_has_zones_below(const dns_name_t *apex)
{
    return has_source() && worker.is_read &&
           store_lmdb_has_zones_below(worker.reader, apex);
}


ngx_uint_t
dns_server_may_forward(const dns_server_request_t *request,
                       const dns_query_t *query)
{
    return query->qclass == DNS_CLASS_IN && query->qtype != DNS_TYPE_AXFR &&
           query->qtype != DNS_TYPE_IXFR && dns_server_recurses(request);
}


dns_ede_t
dns_server_refusal(const dns_server_request_t *request)
{
    return request->conf->forward.len > 0 && !dns_server_recurses(request)
               ? DNS_EDE_PROHIBITED
               : DNS_EDE_NOT_AUTHORITATIVE;
}


/* Why, for who asks with EDNS (RFC 8914). */
static dns_ede_t
explain(const dns_server_request_t *request, const dns_query_t *query,
        int rcode)
{
    if (rcode == DNS_RCODE_SERVFAIL) {
        return DNS_EDE_NOT_READY;
    }
    return query->qclass == DNS_CLASS_IN ? dns_server_refusal(request)
                                         : DNS_EDE_NOT_SUPPORTED;
}


size_t
dns_server_failure(const dns_server_request_t *request,
                   const dns_query_t *query, dns_ede_t why)
{
    const size_t size =
        dns_query_error_explained(query, DNS_RCODE_SERVFAIL, why, request->out);
    if (dns_server_recurses(request)) {
        request->out[DNS_HEADER_FLAGS_AT + 1] |= DNS_FLAG_RA;
    }
    return size;
}


size_t
dns_server_refuse(const dns_server_request_t *request, int rcode)
{
    const dns_query_t *query = request->query;
    const size_t size =
        rcode == DNS_RCODE_REFUSED || rcode == DNS_RCODE_SERVFAIL
            ? dns_query_error_explained(
                  query, rcode, explain(request, query, rcode), request->out)
            : dns_query_error(query, rcode, request->out);
    if (dns_server_recurses(request)) {
        request->out[DNS_HEADER_FLAGS_AT + 1] |= DNS_FLAG_RA;
    }
    return size;
}


static dns_server_verdict_t
send_error(dns_server_request_t *request, int rcode)
{
    request->size = dns_server_refuse(request, rcode);
    dns_counts[DNS_COUNT_ERRORS]++;
    return DNS_SERVER_SEND;
}


/* A database (of the zone apex) or an upstream (NULL) has to be asked. */
static dns_server_verdict_t
ask_in_turn(dns_server_request_t *request, const dns_name_t *apex)
{
    const ngx_int_t rc =
        dns_fairness_admit(&request->query->qname, apex, &request->share);
    if (rc == NGX_OK || request->transport != DNS_OVER_UDP) {
        return DNS_SERVER_ASK;
    }
    dns_counts[DNS_COUNT_SHED]++;
    return DNS_SERVER_DROP;
}


static dns_server_verdict_t
answer_from_cache(dns_server_request_t *request,
                  const dns_answer_options_t *options, const dns_name_t *apex)
{
    request->size = dns_server_cache_get(dns_server_view(request), request,
                                         request->query, options);
    request->may_keep = 1;
    if (request->size == 0 && dns_server_cache_has_stale()) {
        request->size = dns_server_ask_stale(request, request->query);
    }
    return request->size > 0 ? DNS_SERVER_SEND : ask_in_turn(request, apex);
}


/* A networked store has to be asked: no zone of ours is deeper than its zone.
   DS is the parent's business, which may be in another store. */
static ngx_uint_t
is_remote(const dns_query_t *query, const dns_name_t **zone)
{
    const dns_name_t *apex;
    dns_zone_t own;
    *zone = NULL;
    if (query->qclass == DNS_CLASS_IN && dns_remote_is_starting()) {
        return 1;
    }
    if (query->qclass != DNS_CLASS_IN ||
        dns_remote_find(&query->qname, &apex) != DNS_REMOTE_YES) {
        return 0;
    }
    *zone = apex;
    return query->qtype == DNS_TYPE_DS ||
           worker.source.ops->find_zone(worker.source.data, &query->qname,
                                        DNS_NAME_LABELS_MAX + 1,
                                        &own) != DNS_OK ||
           own.apex.label_count < apex->label_count;
}


dns_status_t
dns_server_zones(const dns_server_request_t *request, const dns_query_t *query,
                 dns_remote_t *fetch, const dns_answer_t **answer)
{
    uint8_t octets[DNS_EDNS_OPTIONS_MAX];
    dns_answer_options_t options;
    if (!has_source()) {
        return DNS_ESTORE;
    }
    const dns_source_t source = dns_remote_source(fetch, &worker.source);
    dns_server_options(request, query, octets, &options);
    *answer = &worker.answer;
    return dns_answer(query, &source, &options, request->out,
                      dns_query_response_limit(query, request->conf->udp_size),
                      &worker.answer);
}


static dns_server_verdict_t
answer_from_zones(dns_server_request_t *request)
{
    const dns_server_conf_t *conf = request->conf;
    uint8_t octets[DNS_EDNS_OPTIONS_MAX];
    dns_answer_options_t options;
    dns_server_options(request, request->query, octets, &options);
    const size_t limit =
        dns_query_response_limit(request->query, conf->udp_size);
    const dns_name_t *apex = NULL;
    if (dns_remote_count > 0 && is_remote(request->query, &apex)) {
        return answer_from_cache(request, &options, apex);
    }
    const dns_status_t status =
        dns_answer(request->query, &worker.source, &options, request->out,
                   limit, &worker.answer);
    if (status == DNS_ENOTFOUND) {
        request->no_zone = dns_remote_count == 0;
        return dns_remote_count > 0 ||
                       dns_server_may_forward(request, request->query)
                   ? answer_from_cache(request, &options, NULL)
                   : send_error(request, DNS_RCODE_REFUSED);
    }
    if (status != DNS_OK) {
        return send_error(request, DNS_RCODE_SERVFAIL);
    }
    if (dns_server_asks_parent(request, request->query, &worker.answer)) {
        request->no_zone = dns_remote_count == 0;
        return answer_from_cache(request, &options, NULL);
    }
    if (worker.answer.leaves_zones &&
        (dns_remote_count > 0 ||
         dns_server_may_forward(request, request->query))) {
        return DNS_SERVER_ASK;
    }
    request->size = worker.answer.size;
    dns_counts[DNS_COUNT_ZONE]++;
    return DNS_SERVER_SEND;
}


static dns_server_verdict_t
answer_with_hooks(dns_server_request_t *request)
{
    if (request->conf->hook_keeps) {
        uint8_t octets[DNS_EDNS_OPTIONS_MAX];
        dns_answer_options_t options;
        dns_server_options(request, request->query, octets, &options);
        request->size = dns_server_cache_get(request->conf->hook_view, request,
                                             request->query, &options);
        if (request->size > 0) {
            return DNS_SERVER_SEND;
        }
    }
    return dns_server_hooked(request);
}


/* Before anything else is done for it. */
static ngx_uint_t
is_turned_away(const dns_server_request_t *request)
{
    return dns_fairness_is_flooded() && request->transport == DNS_OVER_UDP &&
           request->query->qclass == DNS_CLASS_IN &&
           dns_fairness_turns_away(&request->query->qname);
}


dns_server_verdict_t
dns_server_answer(dns_server_request_t *request)
{
    if (dns_server_has_hooks(request->conf) && !request->skip_hooks) {
        return answer_with_hooks(request);
    }
    if (is_turned_away(request)) {
        dns_counts[DNS_COUNT_SHED]++;
        return DNS_SERVER_DROP;
    }
    return has_source() ? answer_from_zones(request)
                        : send_error(request, DNS_RCODE_SERVFAIL);
}
