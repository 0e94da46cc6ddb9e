/* The zones of the embedded store: a worker's reader, and the step that answers
   from them in place. */

#include "dns/engine.h"
#include "dns/type.h"
#include "ffi/store.h"
#include "ffi/store_ffi.h"
#include "server/cache.h"
#include "server/options.h"
#include "server/private/pending.h"
#include "server/statistics.h"

/* The worker's own. */
static struct {
    struct dns_ffi_store *store; /* NULL: none is configured, or it failed */
    store_lmdb_reader_t *reader;
    dns_source_t source;
    unsigned depth;           /* of begin */
    ngx_uint_t is_read;       /* the snapshot is there */
    ngx_uint_t is_configured; /* there should be a store */
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
dns_server_holds(const dns_name_t *name)
{
    const dns_name_t *apex;
    dns_zone_t zone;
    if (dns_remote_count > 0 &&
        (dns_remote_is_starting() ||
         dns_remote_find(name, &apex) == DNS_REMOTE_YES)) {
        return 1;
    }
    dns_server_begin();
    const ngx_uint_t holds =
        has_source() &&
        worker.source.ops->find_zone(worker.source.data, name,
                                     DNS_NAME_LABELS_MAX + 1, &zone) == DNS_OK;
    dns_server_end();
    return holds;
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


static dns_status_t
run_engine(const dns_server_request_t *request, const dns_source_t *source,
           dns_answer_t *answer)
{
    const dns_query_t *query = request->query;
    uint8_t octets[DNS_EDNS_OPTIONS_MAX];
    dns_answer_options_t options;
    dns_server_options(request, octets, &options);
    return dns_answer(query, source, &options, request->out,
                      dns_query_response_limit(query, request->conf->udp_size),
                      answer);
}


dns_status_t
dns_server_zones(const dns_server_request_t *request, dns_remote_t *fetch,
                 dns_answer_t *answer)
{
    if (!has_source()) {
        return DNS_ESTORE;
    }
    const dns_source_t source = dns_remote_source(fetch, &worker.source);
    return run_engine(request, &source, answer);
}


/* Others are asked, unless the cache has their answer. */
static step_t
leave_to_others(dns_server_request_t *request, const dns_name_t *apex)
{
    request->zone = apex;
    request->may_keep = 1;
    return STEP_NEXT;
}


/* The answer so far ends in an alias that leads out of the zones. */
static step_t
continue_chain(dns_server_request_t *request, size_t size)
{
    if (dns_remote_count > 0) { /* with which it is made anew */
        return STEP_NEXT;
    }
    dns_server_pending_t *pending = pending_take(request);
    if (pending == NULL) {
        return step_error(request, DNS_RCODE_SERVFAIL);
    }
    pending->zones_size = size;
    return STEP_NEXT;
}


static step_t
take_answer(dns_server_request_t *request, const dns_answer_t *answer)
{
    if (dns_server_asks_parent(request, answer)) {
        return leave_to_others(request, NULL);
    }
    if (answer->leaves_zones &&
        (dns_remote_count > 0 || dns_server_may_forward(request))) {
        return continue_chain(request, answer->size);
    }
    request->size = answer->size;
    dns_counts[DNS_COUNT_ZONE]++;
    return STEP_ANSWER;
}


step_t
step_zones(dns_server_request_t *request)
{
    const dns_query_t *query = request->query;
    dns_answer_t answer;
    const dns_name_t *apex = NULL;
    if (!has_source()) {
        return step_error(request, DNS_RCODE_SERVFAIL);
    }
    if (dns_remote_count > 0 && is_remote(query, &apex)) {
        return leave_to_others(request, apex);
    }
    switch (run_engine(request, &worker.source, &answer)) {
    case DNS_OK:
        return take_answer(request, &answer);
    case DNS_ENOTFOUND:
        return dns_remote_count > 0 || dns_server_may_forward(request)
                   ? leave_to_others(request, NULL)
                   : step_error(request, DNS_RCODE_REFUSED);
    default:
        return step_error(request, DNS_RCODE_SERVFAIL);
    }
}
