#include "server/options.h"

#include "dns/edns.h"
#include "dns/response.h"
#include "server/private/answer.h"


/* The client's cookie with ours behind it (RFC 7873 section 5.2). */
static void
put_cookie(const dns_server_request_t *request, const dns_query_edns_t *edns,
           dns_options_t *options)
{
    const struct sockaddr *client = request->client;
    dns_option_t asked;
    uint8_t cookie[DNS_COOKIE_SIZE];
    if (!dns_option_find(edns->options, edns->options_size, DNS_OPTION_COOKIE,
                         &asked)) {
        return;
    }
    dns_cookie_context_t context = {
        .secret = request->conf->cookie_secret.data,
        .now = (uint32_t) ngx_time(),
    };
    if (client->sa_family == AF_INET6) {
        context.address =
            (void *) &((const struct sockaddr_in6 *) client)->sin6_addr;
        context.address_size = sizeof(struct in6_addr);
    } else {
        context.address =
            (void *) &((const struct sockaddr_in *) client)->sin_addr;
        context.address_size = sizeof(struct in_addr);
    }
    dns_cookie_make(&context, asked.data, cookie);
    if (dns_options_put(options, DNS_OPTION_COOKIE, cookie, sizeof(cookie)) !=
        DNS_OK) {
        return; /* no room: the client does without */
    }
}


static void
put_options(const dns_server_request_t *request, const dns_query_edns_t *edns,
            dns_options_t *options)
{
    dns_option_t asked;
    if (edns->options_size == 0) {
        return;
    }
    if (request->conf->cookie_secret.len > 0 && request->client != NULL) {
        put_cookie(request, edns, options);
    }
    if (request->idle_timeout_ms > 0 &&
        dns_option_find(edns->options, edns->options_size, DNS_OPTION_KEEPALIVE,
                        &asked) &&
        dns_options_put_keepalive(options, request->idle_timeout_ms) !=
            DNS_OK) {
        return; /* no room */
    }
}


static const char *
text_or_null(const ngx_str_t *text)
{
    return text->len > 0 ? (const char *) text->data : NULL;
}


void
dns_server_options(const dns_server_request_t *request, uint8_t *octets,
                   dns_answer_options_t *options)
{
    const dns_server_conf_t *conf = request->conf;
    dns_options_t extra = {.octets = octets, .room = DNS_EDNS_OPTIONS_MAX};
    put_options(request, &request->query->edns, &extra);
    *options = (dns_answer_options_t){
        .udp_size = (uint16_t) conf->udp_size,
        .recursion_available = dns_server_recurses(request),
        .nsid = conf->nsid.len > 0 ? conf->nsid.data : NULL,
        .nsid_size = (uint16_t) conf->nsid.len,
        .edns_options = octets,
        .edns_options_size = (uint16_t) extra.size,
        .version = text_or_null(&conf->version),
        .hostname = text_or_null(&conf->hostname),
    };
}


size_t
dns_server_put_opt(const dns_server_request_t *request, uint16_t rcode,
                   size_t size)
{
    const dns_query_t *query = request->query;
    uint8_t octets[DNS_EDNS_OPTIONS_MAX];
    dns_answer_options_t options;
    dns_server_options(request, octets, &options);
    return dns_response_put_opt(
        query, &options, rcode, request->out, size,
        dns_query_response_limit(query, request->conf->udp_size));
}
