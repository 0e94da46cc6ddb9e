#include "server/ask.h"

#include "dns/type.h"
#include "dns/writer.h"
#include "runtime/job.h"
#include "runtime/run.h"
#include "runtime/vm.h"
#include "server/cache.h"
#include "server/options.h"

enum {
    POOL_SIZE = 1024, /* bytes: a query and what its cosockets note */
    ANSWER_MAX = 65535
};

struct dns_server_ask_s {
    resolua_request_t request;
    dns_server_call_t call;  /* packet and out are ours */
    dns_query_t query;
    dns_cache_ticket_t ticket; /* of the time before the upstream was asked */
    dns_server_answered_pt answered;
    void *data;
};

static int answer_ref = LUA_NOREF; /* dns.service.answer */

/* From results() to ended(), between which nothing else runs. */
static struct {
    uint8_t octets[ANSWER_MAX + DNS_EDNS_OPTIONS_MAX];
    size_t size;
} answer;


/* What dns.service.answer returned: octets or nil. */
static void
results(resolua_request_t *r, lua_State *L)
{
    (void) r;
    size_t size = 0;
    const char *octets = lua_tolstring(L, 1, &size);
    answer.size = octets != NULL && size <= ANSWER_MAX ? size : 0;
    if (answer.size > 0) {
        ngx_memcpy(answer.octets, octets, answer.size);
    }
}


static void
destroy(dns_server_ask_t *ask)
{
    resolua_request_end(&ask->request);
    ngx_destroy_pool(ask->request.pool);
}


/* Keeps the answer for others and gives it the OPT that this client is due. */
static void
complete(const dns_server_ask_t *ask)
{
    const dns_query_t *query = &ask->query;
    const dns_server_conf_t *conf = ask->call.conf;
    uint8_t octets[DNS_EDNS_OPTIONS_MAX];
    dns_answer_options_t options;
    dns_response_t response;
    if (answer.size == 0 ||
        dns_response_scan(&response, query, answer.octets, answer.size) !=
            DNS_OK) {
        return;
    }
    if (ask->call.may_keep) {
        dns_server_cache_put(conf, query, &ask->ticket, &response,
                             answer.octets);
    }
    if (query->edns.is_present &&
        answer.size - response.size == DNS_OPT_SIZE) {
        answer.octets[DNS_HEADER_ARCOUNT_AT] =
            (uint8_t) (response.additional_count >> 8);
        answer.octets[DNS_HEADER_ARCOUNT_AT + 1] =
            (uint8_t) response.additional_count;
        dns_server_options(&ask->call, query, octets, &options);
        answer.size = dns_response_put_opt(
            query, &options, response.rcode, answer.octets, response.size,
            dns_query_response_limit(query, conf->udp_size));
    }
}


static void
ended(resolua_request_t *r, ngx_int_t rc)
{
    dns_server_ask_t *ask = r->data;
    const dns_server_answered_pt answered = ask->answered;
    void *data = ask->data;
    if (rc != NGX_OK) {
        ask->call.out = answer.octets;
        answer.size = dns_server_error(&ask->call, DNS_RCODE_SERVFAIL);
    } else {
        complete(ask);
    }
    destroy(ask);
    answered(data, answer.octets, answer.size);
}


static const resolua_host_t host = {
    .subsystem = "stream",
    .results = results,
    .resumed = ended,
};


static dns_server_ask_t *
ask_new(const dns_server_call_t *call, ngx_log_t *log)
{
    ngx_pool_t *pool = ngx_create_pool(POOL_SIZE, log);
    if (pool == NULL) {
        return NULL;
    }
    dns_server_ask_t *ask = ngx_pcalloc(pool, sizeof(*ask));
    uint8_t *packet = ngx_pnalloc(pool, call->packet_size);
    if (ask == NULL || packet == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }
    ngx_memcpy(packet, call->packet, call->packet_size);
    ask->call = *call;
    ask->call.packet = packet;
    int rcode;
    if (dns_query_parse(&ask->query, packet, call->packet_size,
                        call->transport, &rcode) != DNS_OK) {
        ask->call.may_keep = 0; /* a hook's business */
    } else if (dns_server_cache != NULL) {
        ask->ticket = dns_cache_ticket(dns_server_cache, &ask->query, NULL, 0);
    }
    resolua_request_init(&ask->request, &host, ask, pool, log);
    return ask;
}


static ngx_int_t
run(dns_server_ask_t *ask)
{
    lua_State *L = resolua_vm;
    const dns_server_call_t *call = &ask->call;
    const ngx_str_t *forward = &call->conf->forward;
    if (answer_ref == LUA_NOREF) {
        return NGX_ERROR;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, answer_ref);
    lua_pushlstring(L, (const char *) call->packet, call->packet_size);
    lua_pushinteger(L, call->transport);
    lua_pushlstring(L, (const char *) forward->data, forward->len);
    return resolua_run_function(&ask->request, 3, RESOLUA_DNS_QUERY);
}


dns_server_ask_t *
dns_server_ask(const dns_server_call_t *call, ngx_log_t *log,
               dns_server_answered_pt answered, void *data)
{
    dns_server_ask_t *ask = ask_new(call, log);
    if (ask == NULL) {
        answered(data, NULL, 0);
        return NULL;
    }
    ask->answered = answered;
    ask->data = data;
    const ngx_int_t rc = run(ask);
    if (rc == NGX_AGAIN) {
        return ask;
    }
    ended(&ask->request, rc);
    return NULL;
}


void
dns_server_ask_cancel(dns_server_ask_t *ask)
{
    destroy(ask);
}


static void
set_string(lua_State *L, const char *name, const ngx_str_t *text)
{
    if (text->len > 0) {
        lua_pushlstring(L, (const char *) text->data, text->len);
        lua_setfield(L, -2, name);
    }
}


/* dns.service.configure{...}; gives its answer(), or raises. */
static int
load_service(lua_State *L)
{
    const dns_main_conf_t *conf = lua_touserdata(L, 1);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "dns.store");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "set_runner");
    lua_pushcfunction(L, resolua_job_run);
    lua_call(L, 1, 0);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "dns.service");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "configure");
    lua_createtable(L, 0, 2);
    set_string(L, "store", &conf->lmdb_folder);
    set_string(L, "forward", &conf->forward);
    lua_call(L, 1, 0);
    lua_getfield(L, -1, "answer");
    return 1;
}


void
dns_server_ask_open(ngx_cycle_t *cycle)
{
    const dns_main_conf_t *conf = dns_main_conf(cycle);
    lua_State *L = resolua_vm;
    answer_ref = LUA_NOREF;
    if (L == NULL || (conf->stores.nelts == 0 && conf->forward.len == 0)) {
        return;
    }
    lua_pushcfunction(L, load_service);
    lua_pushlightuserdata(L, (void *) conf);
    if (lua_pcall(L, 1, 1, 0) != 0) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "the Lua module dns.service cannot be used, which "
                      "forwards queries and edits zones: %s",
                      lua_tostring(L, -1));
        lua_pop(L, 1);
        return;
    }
    answer_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}
