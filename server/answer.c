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
dns_server_may_forward(const dns_server_call_t *call, const dns_query_t *query)
{
    return query->qclass == DNS_CLASS_IN && query->qtype != DNS_TYPE_AXFR &&
           query->qtype != DNS_TYPE_IXFR && dns_server_recurses(call);
}


dns_ede_t
dns_server_refusal(const dns_server_call_t *call)
{
    return call->conf->forward.len > 0 && !dns_server_recurses(call)
               ? DNS_EDE_PROHIBITED
               : DNS_EDE_NOT_AUTHORITATIVE;
}


/* Why, for who asks with EDNS (RFC 8914). */
static dns_ede_t
explain(const dns_server_call_t *call, const dns_query_t *query, int rcode)
{
    if (rcode == DNS_RCODE_SERVFAIL) {
        return DNS_EDE_NOT_READY;
    }
    return query->qclass == DNS_CLASS_IN ? dns_server_refusal(call)
                                         : DNS_EDE_NOT_SUPPORTED;
}


size_t
dns_server_failure(const dns_server_call_t *call, const dns_query_t *query,
                   dns_ede_t why)
{
    const size_t size =
        dns_query_error_explained(query, DNS_RCODE_SERVFAIL, why, call->out);
    if (dns_server_recurses(call)) {
        call->out[DNS_HEADER_FLAGS_AT + 1] |= DNS_FLAG_RA;
    }
    return size;
}


size_t
dns_server_refuse(const dns_server_call_t *call, int rcode)
{
    const dns_query_t *query = call->query;
    const size_t size =
        rcode == DNS_RCODE_REFUSED || rcode == DNS_RCODE_SERVFAIL
            ? dns_query_error_explained(query, rcode,
                                        explain(call, query, rcode), call->out)
            : dns_query_error(query, rcode, call->out);
    if (dns_server_recurses(call)) {
        call->out[DNS_HEADER_FLAGS_AT + 1] |= DNS_FLAG_RA;
    }
    return size;
}


static dns_server_verdict_t
send_error(dns_server_call_t *call, int rcode)
{
    call->size = dns_server_refuse(call, rcode);
    dns_counts[DNS_COUNT_ERRORS]++;
    return DNS_SERVER_SEND;
}


/* A database (of the zone apex) or an upstream (NULL) has to be asked. */
static dns_server_verdict_t
ask_in_turn(dns_server_call_t *call, const dns_name_t *apex)
{
    const ngx_int_t rc =
        dns_fairness_admit(&call->query->qname, apex, &call->share);
    if (rc == NGX_OK || call->transport != DNS_OVER_UDP) {
        return DNS_SERVER_ASK;
    }
    dns_counts[DNS_COUNT_SHED]++;
    return DNS_SERVER_DROP;
}


static dns_server_verdict_t
answer_from_cache(dns_server_call_t *call, const dns_answer_options_t *options,
                  const dns_name_t *apex)
{
    call->size =
        dns_server_cache_get(dns_server_view(call), call, call->query, options);
    call->may_keep = 1;
    if (call->size == 0 && dns_server_cache_has_stale()) {
        call->size = dns_server_ask_stale(call, call->query);
    }
    return call->size > 0 ? DNS_SERVER_SEND : ask_in_turn(call, apex);
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
dns_server_zones(const dns_server_call_t *call, const dns_query_t *query,
                 dns_remote_t *fetch, const dns_answer_t **answer)
{
    uint8_t octets[DNS_EDNS_OPTIONS_MAX];
    dns_answer_options_t options;
    if (!has_source()) {
        return DNS_ESTORE;
    }
    const dns_source_t source = dns_remote_source(fetch, &worker.source);
    dns_server_options(call, query, octets, &options);
    *answer = &worker.answer;
    return dns_answer(query, &source, &options, call->out,
                      dns_query_response_limit(query, call->conf->udp_size),
                      &worker.answer);
}


static dns_server_verdict_t
answer_from_zones(dns_server_call_t *call)
{
    const dns_server_conf_t *conf = call->conf;
    uint8_t octets[DNS_EDNS_OPTIONS_MAX];
    dns_answer_options_t options;
    dns_server_options(call, call->query, octets, &options);
    const size_t limit = dns_query_response_limit(call->query, conf->udp_size);
    const dns_name_t *apex = NULL;
    if (dns_remote_count > 0 && is_remote(call->query, &apex)) {
        return answer_from_cache(call, &options, apex);
    }
    const dns_status_t status =
        dns_answer(call->query, &worker.source, &options, call->out, limit,
                   &worker.answer);
    if (status == DNS_ENOTFOUND) {
        call->no_zone = dns_remote_count == 0;
        return dns_remote_count > 0 || dns_server_may_forward(call, call->query)
                   ? answer_from_cache(call, &options, NULL)
                   : send_error(call, DNS_RCODE_REFUSED);
    }
    if (status != DNS_OK) {
        return send_error(call, DNS_RCODE_SERVFAIL);
    }
    if (dns_server_asks_parent(call, call->query, &worker.answer)) {
        call->no_zone = dns_remote_count == 0;
        return answer_from_cache(call, &options, NULL);
    }
    if (worker.answer.leaves_zones &&
        (dns_remote_count > 0 || dns_server_may_forward(call, call->query))) {
        return DNS_SERVER_ASK;
    }
    call->size = worker.answer.size;
    dns_counts[DNS_COUNT_ZONE]++;
    return DNS_SERVER_SEND;
}


static dns_server_verdict_t
answer_with_hooks(dns_server_call_t *call)
{
    if (call->conf->hook_keeps) {
        uint8_t octets[DNS_EDNS_OPTIONS_MAX];
        dns_answer_options_t options;
        dns_server_options(call, call->query, octets, &options);
        call->size = dns_server_cache_get(call->conf->hook_view, call,
                                          call->query, &options);
        if (call->size > 0) {
            return DNS_SERVER_SEND;
        }
    }
    return dns_server_hooked(call);
}


/* Before anything else is done for it. */
static ngx_uint_t
is_turned_away(const dns_server_call_t *call)
{
    return dns_fairness_is_flooded() && call->transport == DNS_OVER_UDP &&
           call->query->qclass == DNS_CLASS_IN &&
           dns_fairness_turns_away(&call->query->qname);
}


dns_server_verdict_t
dns_server_answer(dns_server_call_t *call)
{
    if (dns_server_has_hooks(call->conf) && !call->skip_hooks) {
        return answer_with_hooks(call);
    }
    if (is_turned_away(call)) {
        dns_counts[DNS_COUNT_SHED]++;
        return DNS_SERVER_DROP;
    }
    return has_source() ? answer_from_zones(call)
                        : send_error(call, DNS_RCODE_SERVFAIL);
}
