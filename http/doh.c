/* dns_over_https: queries in GET's ?dns= and in POST's body (RFC 8484). */

#include "http/private/doh.h"

#include "dns/response.h"
#include "http/private/conf.h"
#include "server/explain.h"
#include "server/handle.h"
#include "server/statistics.h"

enum {
    MESSAGE_MAX = 65535, /* octets */
    CACHE_CONTROL_SIZE = sizeof("max-age=") + NGX_INT32_LEN,
};

static ngx_str_t message_type = ngx_string("application/dns-message");
static ngx_str_t json_type = ngx_string("application/dns-json");

typedef struct {
    ngx_http_request_t *request;
    dns_server_pending_t *pending; /* NULL: it does not wait */
    const uint8_t *packet;         /* in the request's pool */
    size_t packet_size;
    ngx_uint_t is_json;
} doh_t;


static ngx_int_t
set_header(ngx_http_request_t *r, const char *name, ngx_str_t value)
{
    ngx_table_elt_t *h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }
    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->lowcase_key = (u_char *) name;
    h->value = value;
    return NGX_OK;
}


/* How long a cache on the way may keep the answer (RFC 8484 section 5.1). */
static ngx_int_t
set_lifetime(const doh_t *doh, const uint8_t *answer, size_t size)
{
    ngx_http_request_t *r = doh->request;
    dns_query_t query;
    dns_response_t response;
    int rcode;
    uint32_t ttl = 0;
    ngx_str_t value = {0, ngx_pnalloc(r->pool, CACHE_CONTROL_SIZE)};
    if (value.data == NULL) {
        return NGX_ERROR;
    }
    if (dns_query_parse(&query, doh->packet, doh->packet_size, DNS_OVER_HTTPS,
                        &rcode) == DNS_OK &&
        dns_response_scan(&response, &query, answer, size) == DNS_OK &&
        response.may_be_kept) {
        ttl = response.ttl;
    }
    value.len =
        (size_t) (ngx_sprintf(value.data, "max-age=%uD", ttl) - value.data);
    return set_header(r, "Cache-Control", value);
}


static ngx_int_t
send_answer(const doh_t *doh, const uint8_t *answer, size_t size)
{
    ngx_http_request_t *r = doh->request;
    if (size == 0) { /* nothing that a name server would answer */
        return NGX_HTTP_BAD_REQUEST;
    }
    ngx_str_t body = {size, (u_char *) answer};
    if (set_lifetime(doh, answer, size) != NGX_OK ||
        (doh->is_json &&
         doh_json_write(r->pool, answer, size, &body) != NGX_OK)) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    ngx_buf_t *b = ngx_create_temp_buf(r->pool, body.len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    b->last = ngx_cpymem(b->last, body.data, body.len);
    b->last_buf = r == r->main;
    b->last_in_chain = 1;
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = (off_t) body.len;
    r->headers_out.content_type = doh->is_json ? json_type : message_type;
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    const ngx_int_t rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }
    ngx_chain_t out = {.buf = b, .next = NULL};
    return ngx_http_output_filter(r, &out);
}


/* The end of a pending query. */
static void
on_answer(void *data, const uint8_t *answer, size_t size)
{
    doh_t *doh = data;
    ngx_http_request_t *r = doh->request;
    ngx_connection_t *c = r->connection;
    doh->pending = NULL;
    if (answer == NULL) { /* the request is over */
        return;
    }
    dns_statistics_flush();
    ngx_http_finalize_request(r, send_answer(doh, answer, size));
    ngx_http_run_posted_requests(c);
}


static void
on_request_end(void *data)
{
    doh_t *doh = data;
    if (doh->pending != NULL) {
        dns_server_cancel(doh->pending);
    }
}


/* The rc for ngx_http_finalize_request; NGX_DONE: that is under way. */
static ngx_int_t
answer(doh_t *doh)
{
    static uint8_t out[MESSAGE_MAX + DNS_EDNS_OPTIONS_MAX];
    ngx_http_request_t *r = doh->request;
    dns_server_request_t request = {
        .conf = &http_loc_conf(r)->dns,
        .client = dns_server_client(r->connection->sockaddr),
        .packet = doh->packet,
        .packet_size = doh->packet_size,
        .log = r->connection->log,
        .transport = DNS_OVER_HTTPS,
        .out = out,
    };
    const dns_handled_t handled = dns_server_handle(&request);
    dns_statistics_flush();
    if (handled == DNS_ANSWERED) {
        return send_answer(doh, out, request.size);
    }
    doh->pending = request.pending;
    r->main->count++;                              /* on_answer's */
    r->read_event_handler = ngx_http_test_reading; /* the client may go */
    dns_server_wait(request.pending, on_answer, doh);
    return NGX_DONE;
}


static doh_t *
doh_new(ngx_http_request_t *r)
{
    ngx_http_cleanup_t *cleanup = ngx_http_cleanup_add(r, sizeof(doh_t));
    if (cleanup == NULL) {
        return NULL;
    }
    doh_t *doh = cleanup->data;
    ngx_memzero(doh, sizeof(*doh));
    doh->request = r;
    cleanup->handler = on_request_end;
    return doh;
}


static ngx_int_t
answer_json(ngx_http_request_t *r)
{
    ngx_str_t packet;
    doh_t *doh = doh_new(r);
    const ngx_int_t rc = doh_json_query(r, &packet);
    if (doh == NULL || rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_HTTP_BAD_REQUEST
                                  : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    doh->is_json = 1;
    doh->packet = packet.data;
    doh->packet_size = packet.len;
    return answer(doh);
}


static ngx_int_t
answer_get(ngx_http_request_t *r)
{
    ngx_str_t text;
    const ngx_int_t rc = doh_argument(r, "dns", &text);
    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? answer_json(r)
                                  : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (text.len > ngx_base64_encoded_length(MESSAGE_MAX)) {
        return NGX_HTTP_REQUEST_URI_TOO_LARGE;
    }
    ngx_str_t packet = {
        0, ngx_pnalloc(r->pool, ngx_base64_decoded_length(text.len) + 1)};
    doh_t *doh = doh_new(r);
    if (packet.data == NULL || doh == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (ngx_decode_base64url(&packet, &text) != NGX_OK) {
        return NGX_HTTP_BAD_REQUEST;
    }
    doh->packet = packet.data;
    doh->packet_size = packet.len;
    return answer(doh);
}


/* A body without a length ends with a buffer that is neither in memory nor in
   a file: it has nothing but marks. */
static ngx_int_t
append_part(doh_t *doh, uint8_t *packet, ngx_buf_t *part)
{
    const size_t size = (size_t) ngx_buf_size(part);
    if (size == 0) {
        return NGX_OK;
    }
    if (ngx_buf_in_memory(part)) {
        ngx_memcpy(packet + doh->packet_size, part->pos, size);
    } else if (ngx_read_file(part->file, packet + doh->packet_size, size,
                             part->file_pos) != (ssize_t) size) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    doh->packet_size += size;
    return NGX_OK;
}


/* The body, which nginx may have put into a file.  NGX_OK or a status. */
static ngx_int_t
take_body(ngx_http_request_t *r, doh_t *doh)
{
    const ngx_chain_t *cl =
        r->request_body != NULL ? r->request_body->bufs : NULL;
    off_t size = 0;
    for (const ngx_chain_t *at = cl; at != NULL; at = at->next) {
        size += ngx_buf_size(at->buf);
    }
    if (size == 0 || size > MESSAGE_MAX) {
        return size == 0 ? NGX_HTTP_BAD_REQUEST
                         : NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }
    uint8_t *packet = ngx_pnalloc(r->pool, (size_t) size);
    ngx_int_t rc = packet != NULL ? NGX_OK : NGX_HTTP_INTERNAL_SERVER_ERROR;
    doh->packet = packet;
    for (; cl != NULL && rc == NGX_OK; cl = cl->next) {
        rc = append_part(doh, packet, cl->buf);
    }
    return rc;
}


static void
on_body(ngx_http_request_t *r)
{
    doh_t *doh = doh_new(r);
    ngx_int_t rc =
        doh != NULL ? take_body(r, doh) : NGX_HTTP_INTERNAL_SERVER_ERROR;
    ngx_http_finalize_request(r, rc == NGX_OK ? answer(doh) : rc);
}


/* Parameters may follow the type. */
static ngx_uint_t
is_message_type(const ngx_table_elt_t *type)
{
    const size_t size = message_type.len;
    return type != NULL && type->value.len >= size &&
           ngx_strncasecmp(type->value.data, message_type.data, size) == 0 &&
           (type->value.len == size || type->value.data[size] == ';' ||
            type->value.data[size] == ' ');
}


static ngx_int_t
answer_post(ngx_http_request_t *r)
{
    if (!is_message_type(r->headers_in.content_type)) {
        return NGX_HTTP_UNSUPPORTED_MEDIA_TYPE;
    }
    if (r->headers_in.content_length_n > MESSAGE_MAX) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }
    r->request_body_in_single_buf = 1;
    const ngx_int_t rc = ngx_http_read_client_request_body(r, on_body);
    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


static ngx_int_t
handler(ngx_http_request_t *r)
{
    if (r->method == NGX_HTTP_POST) {
        return answer_post(r);
    }
    if (r->method == NGX_HTTP_GET || r->method == NGX_HTTP_HEAD) {
        const ngx_int_t rc = ngx_http_discard_request_body(r);
        return rc == NGX_OK ? answer_get(r) : rc;
    }
    const ngx_str_t allowed = ngx_string("GET, HEAD, POST");
    (void) set_header(r, "Allow", allowed);
    return NGX_HTTP_NOT_ALLOWED;
}


/* dns_over_https on | off */
char *
doh_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *data)
{
    http_loc_conf_t *conf = data;
    char *rc = ngx_conf_set_flag_slot(cf, cmd, data);
    if (rc != NGX_CONF_OK || !conf->dns_over_https) {
        return rc;
    }
    ngx_http_core_loc_conf_t *clcf =
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = handler;
    return dns_statistics_conf(cf) == NGX_OK &&
                   dns_explain_add_server(cf, &conf->dns) == NGX_OK
               ? NGX_CONF_OK
               : NGX_CONF_ERROR;
}
