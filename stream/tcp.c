#include "stream/tcp.h"

#include <ngx_event.h>

#include "dns/type.h"
#include "server/ask.h"
#include "server/statistics.h"
#include "stream/context.h"
#include "stream/tcp_clients.h"

enum {
    PREFIX_SIZE = 2, /* octets, RFC 1035 section 4.2.2 */
    MESSAGE_MAX = 65535,
    IN_ROOM = PREFIX_SIZE + MESSAGE_MAX, /* octets read at once */
    OUT_ROOM = 4 * IN_ROOM,              /* answers written at once */
    READS_MAX = 8,                       /* in one wake-up: others wait too */
    PENDING_MAX = 64, /* queries of a connection that Lua answers:
                         no more are read meanwhile */
};

/* Octets that did not go through; owned, freed when empty. */
typedef struct {
    uint8_t *octets;
    size_t at;
    size_t size;
} rest_t;

/* A query that Lua answers; lives until it has. */
typedef struct pending_s pending_t;
struct pending_s {
    tcp_t *tcp;
    dns_server_ask_t *ask;
    pending_t *next;
    pending_t **link; /* what points here */
};

struct tcp_s {
    ngx_stream_session_t *session;
    const stream_conf_t *conf;
    tcp_client_t *client;
    rest_t query;   /* the beginning of a query */
    rest_t answers; /* what the client has not taken yet */
    pending_t *pending;
    unsigned pending_count;
    unsigned is_ended : 1; /* the client sends no more */
    unsigned has_asked : 1;
};

/* The process's own; nothing stays there between two events. */
static uint8_t in[IN_ROOM];
static uint8_t out[OUT_ROOM];
static size_t out_size;

static void on_event(ngx_event_t *ev);


static void
drop_rest(rest_t *rest)
{
    if (rest->octets != NULL) {
        ngx_free(rest->octets);
    }
    ngx_memzero(rest, sizeof(*rest));
}


static ngx_int_t
keep_rest(rest_t *rest, const uint8_t *octets, size_t size, ngx_log_t *log)
{
    uint8_t *copy = NULL;
    if (size > 0) {
        copy = ngx_alloc(size, log);
        if (copy == NULL) {
            return NGX_ERROR;
        }
        ngx_memcpy(copy, octets, size);
    }
    drop_rest(rest);
    rest->octets = copy;
    rest->size = size;
    return NGX_OK;
}


static ngx_int_t
append_rest(rest_t *rest, const uint8_t *octets, size_t size, ngx_log_t *log)
{
    const size_t before = rest->size - rest->at;
    if (size == 0) {
        return NGX_OK;
    }
    uint8_t *joined = ngx_alloc(before + size, log);
    if (joined == NULL) {
        return NGX_ERROR;
    }
    if (before > 0) {
        ngx_memcpy(joined, rest->octets + rest->at, before);
    }
    ngx_memcpy(joined + before, octets, size);
    drop_rest(rest);
    rest->octets = joined;
    rest->size = before + size;
    return NGX_OK;
}


static void
pending_remove(pending_t *p)
{
    *p->link = p->next;
    if (p->next != NULL) {
        p->next->link = p->link;
    }
    p->tcp->pending_count--;
}


static void
pending_add(tcp_t *t, pending_t *p)
{
    p->next = t->pending;
    p->link = &t->pending;
    if (p->next != NULL) {
        p->next->link = &p->next;
    }
    t->pending = p;
    t->pending_count++;
}


static void
clean_up(void *data)
{
    tcp_t *t = data;
    drop_rest(&t->query);
    drop_rest(&t->answers);
    while (t->pending != NULL) {
        pending_t *p = t->pending;
        pending_remove(p);
        dns_server_ask_cancel(p->ask);
        ngx_free(p);
    }
    if (t->client != NULL) {
        tcp_clients_remove(t->client);
    }
}


static void
finish(tcp_t *t)
{
    ngx_stream_finalize_session(t->session, NGX_STREAM_OK);
}


/* Sends from octets; gives how many went, or NGX_ERROR. */
static ssize_t
send_some(ngx_connection_t *c, uint8_t *octets, size_t size)
{
    size_t done = 0;
    while (done < size && c->write->ready) {
        const ssize_t n = c->send(c, octets + done, size - done);
        if (n == NGX_AGAIN) {
            break;
        }
        if (n < 0) {
            return NGX_ERROR;
        }
        done += (size_t) n;
    }
    return (ssize_t) done;
}


/* Sends what was put into out; what does not go waits with the connection. */
static ngx_int_t
flush(tcp_t *t)
{
    ngx_connection_t *c = t->session->connection;
    const size_t size = out_size;
    out_size = 0;
    if (size == 0) {
        return NGX_OK;
    }
    ssize_t sent = 0;
    if (t->answers.octets == NULL) {
        sent = send_some(c, out, size);
        if (sent < 0) {
            return NGX_ERROR;
        }
    }
    return append_rest(&t->answers, out + sent, size - (size_t) sent, c->log);
}


static ngx_int_t
flush_rest(tcp_t *t)
{
    rest_t *rest = &t->answers;
    if (rest->octets == NULL) {
        return NGX_OK;
    }
    const ssize_t sent = send_some(
        t->session->connection, rest->octets + rest->at, rest->size - rest->at);
    if (sent < 0) {
        return NGX_ERROR;
    }
    rest->at += (size_t) sent;
    if (rest->at == rest->size) {
        drop_rest(rest);
    }
    return NGX_OK;
}


/* At the end of out, which has room. */
static void
put_answer(const uint8_t *octets, size_t size)
{
    uint8_t *at = out + out_size;
    if (size == 0) {
        return;
    }
    at[0] = (uint8_t) (size >> 8);
    at[1] = (uint8_t) size;
    if (octets != at + PREFIX_SIZE) {
        ngx_memcpy(at + PREFIX_SIZE, octets, size);
    }
    out_size += PREFIX_SIZE + size;
}


/* An answer that comes while out may be another connection's. */
static void
put_late_answer(tcp_t *t, const uint8_t *octets, size_t size)
{
    ngx_connection_t *c = t->session->connection;
    const uint8_t prefix[PREFIX_SIZE] = {(uint8_t) (size >> 8), (uint8_t) size};
    if (size > 0 &&
        (append_rest(&t->answers, prefix, PREFIX_SIZE, c->log) != NGX_OK ||
         append_rest(&t->answers, octets, size, c->log) != NGX_OK)) {
        t->is_ended = 1;
    }
    ngx_post_event(c->write, &ngx_posted_events);
}


/* Lua has answered, now or after a while. */
static void
on_answer(void *data, const uint8_t *octets, size_t size)
{
    pending_t *p = data;
    tcp_t *t = p->tcp;
    const ngx_uint_t is_late = p->ask != NULL;
    pending_remove(p);
    ngx_free(p);
    if (is_late) {
        put_late_answer(t, octets, size);
    } else {
        put_answer(octets, size);
    }
}


static void
ask_lua(tcp_t *t, const dns_server_call_t *call)
{
    ngx_log_t *log = t->session->connection->log;
    pending_t *p = ngx_calloc(sizeof(*p), log);
    if (p == NULL) {
        put_answer(call->out, dns_server_error(call, DNS_RCODE_SERVFAIL));
        return;
    }
    p->tcp = t;
    pending_add(t, p);
    dns_server_ask_t *ask = dns_server_ask(call, log, on_answer, p);
    if (ask != NULL) {
        p->ask = ask;
    }
}


/* One query; its answer goes to the end of out, which has room. */
static void
answer(tcp_t *t, const uint8_t *packet, size_t size)
{
    const ngx_connection_t *c = t->session->connection;
    t->has_asked = 1;
    dns_server_call_t call = {
        .conf = &t->conf->dns,
        .client = c->sockaddr,
        .packet = packet,
        .packet_size = size,
        .transport = c->ssl != NULL ? DNS_OVER_TLS : DNS_OVER_TCP,
        .idle_timeout_ms = (uint32_t) t->conf->tcp_idle_timeout,
        .out = out + out_size + PREFIX_SIZE,
    };
    const dns_server_verdict_t verdict = dns_server_answer(&call);
    if (verdict == DNS_SERVER_ASK) {
        ask_lua(t, &call);
    } else if (verdict == DNS_SERVER_SEND) {
        put_answer(call.out, call.size);
    }
}


/* Others must go before more queries are looked at. */
static ngx_uint_t
is_held_up(const tcp_t *t)
{
    return t->answers.octets != NULL || t->pending_count >= PENDING_MAX;
}


/* Answers the whole queries in octets, until the client does not take its
   answers.  Gives how many octets were used up, or NGX_ERROR. */
static ssize_t
answer_all(tcp_t *t, const uint8_t *octets, size_t size)
{
    size_t at = 0;
    dns_server_begin();
    while (size - at >= PREFIX_SIZE && !is_held_up(t)) {
        const size_t query_size = (size_t) octets[at] << 8 | octets[at + 1];
        if (size - at - PREFIX_SIZE < query_size) {
            break;
        }
        answer(t, octets + at + PREFIX_SIZE, query_size);
        at += PREFIX_SIZE + query_size;
        if (OUT_ROOM - out_size < IN_ROOM && flush(t) != NGX_OK) {
            dns_server_end();
            return NGX_ERROR;
        }
    }
    dns_server_end();
    return flush(t) == NGX_OK ? (ssize_t) at : NGX_ERROR;
}


/* Queries that were read while the client did not take answers. */
static ngx_int_t
answer_rest(tcp_t *t)
{
    const size_t size = t->query.size;
    if (size == 0 || is_held_up(t)) {
        return NGX_OK;
    }
    ngx_memcpy(in, t->query.octets, size);
    const ssize_t used = answer_all(t, in, size);
    if (used < 0) {
        return NGX_ERROR;
    }
    return used == 0 ? NGX_OK
                     : keep_rest(&t->query, in + used, size - (size_t) used,
                                 t->session->connection->log);
}


/* One read and what it holds.  NGX_AGAIN: nothing more is there. */
static ngx_int_t
read_some(tcp_t *t)
{
    ngx_connection_t *c = t->session->connection;
    const size_t held = t->query.size;
    if (held > 0) {
        ngx_memcpy(in, t->query.octets, held);
    }
    const ssize_t n = c->recv(c, in + held, IN_ROOM - held);
    if (n == NGX_AGAIN) {
        return NGX_AGAIN;
    }
    if (n <= 0) {
        t->is_ended = 1;
        return n == 0 ? NGX_AGAIN : NGX_ERROR;
    }
    const size_t size = held + (size_t) n;
    const ssize_t used = answer_all(t, in, size);
    if (used < 0) {
        return NGX_ERROR;
    }
    return keep_rest(&t->query, in + used, size - (size_t) used, c->log);
}


static ngx_int_t
read_all(tcp_t *t)
{
    ngx_connection_t *c = t->session->connection;
    for (unsigned i = 0; i < READS_MAX; i++) {
        if (is_held_up(t) || t->is_ended) {
            return NGX_OK;
        }
        const ngx_int_t rc = read_some(t);
        if (rc != NGX_OK) {
            return rc == NGX_AGAIN ? NGX_OK : rc;
        }
    }
    ngx_post_event(c->read, &ngx_posted_next_events);
    return NGX_OK;
}


static ngx_uint_t
is_idle(const tcp_t *t)
{
    return t->answers.octets == NULL && t->query.octets == NULL &&
           t->pending == NULL;
}


/* What the connection waits for now; it may be closed when idle. */
static void
wait_for_more(tcp_t *t)
{
    ngx_connection_t *c = t->session->connection;
    /* Who has connected and not yet asked is not turned away by a reload. */
    const ngx_uint_t idle = is_idle(t) && t->has_asked;
    if (t->answers.octets == NULL && t->pending == NULL &&
        (t->is_ended || (idle && (ngx_exiting || c->close)))) {
        finish(t);
        return;
    }
    if (ngx_handle_read_event(c->read, 0) != NGX_OK ||
        ngx_handle_write_event(c->write, 0) != NGX_OK) {
        finish(t);
        return;
    }
    c->idle = idle ? 1 : 0;
    ngx_reusable_connection(c, is_idle(t));
    ngx_add_timer(c->read, t->conf->tcp_idle_timeout);
}


static void
on_event(ngx_event_t *ev)
{
    ngx_connection_t *c = ev->data;
    const ngx_stream_session_t *s = c->data;
    tcp_t *t = stream_context_if_any(s)->content;
    if (c->read->timedout) {
        finish(t);
        return;
    }
    c->idle = 0;
    if (flush_rest(t) != NGX_OK || answer_rest(t) != NGX_OK ||
        read_all(t) != NGX_OK) {
        finish(t);
        return;
    }
    dns_statistics_flush();
    wait_for_more(t);
}


static tcp_t *
tcp_new(ngx_stream_session_t *s, const stream_conf_t *conf)
{
    ngx_connection_t *c = s->connection;
    stream_context_t *context = stream_context(s);
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(c->pool, sizeof(tcp_t));
    if (cleanup == NULL || context == NULL) {
        return NULL;
    }
    tcp_t *t = cleanup->data;
    ngx_memzero(t, sizeof(*t));
    cleanup->handler = clean_up;
    t->session = s;
    t->conf = conf;
    t->client = tcp_clients_add(c->sockaddr, conf->tcp_max_connections,
                                conf->tcp_max_per_client, c->log);
    context->content = t;
    return t;
}


/* What preread handlers have read is the beginning. */
static ngx_int_t
take_preread(tcp_t *t)
{
    ngx_connection_t *c = t->session->connection;
    ngx_buf_t *b = c->buffer;
    if (b == NULL || b->pos == b->last) {
        return NGX_OK;
    }
    const size_t size = (size_t) (b->last - b->pos);
    const ngx_int_t rc = size <= IN_ROOM
                             ? keep_rest(&t->query, b->pos, size, c->log)
                             : NGX_ERROR;
    b->pos = b->last;
    return rc;
}


void
tcp_serve(ngx_stream_session_t *s, const stream_conf_t *conf)
{
    ngx_connection_t *c = s->connection;
    const tcp_t *t = tcp_new(s, conf);
    if (t == NULL || t->client == NULL) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "TCP connection refused: over dns_tcp_max_connections "
                      "or dns_tcp_max_per_client");
        ngx_stream_finalize_session(s, NGX_STREAM_SERVICE_UNAVAILABLE);
        return;
    }
    if (take_preread((tcp_t *) t) != NGX_OK) {
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }
    c->read->handler = c->write->handler = on_event;
    ngx_add_timer(c->read, conf->tcp_idle_timeout);
    on_event(c->read);
}
