#include "stream/tcp.h"

#include <ngx_event.h>

#include "dns/type.h"
#include "runtime/ssl.h"
#include "server/handle.h"
#include "server/statistics.h"
#include "stream/context.h"
#include "stream/rest.h"
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

/* A query that Lua answers; lives until it has. */
typedef struct pending_s pending_t;
struct pending_s {
    tcp_t *tcp;
    dns_server_pending_t *query;
    pending_t *next;
    pending_t **link; /* what points here */
};

struct tcp_s {
    tcp_place_t place;
    ngx_stream_session_t *session;
    const stream_conf_t *conf;
    ngx_event_t handshake;    /* the deadline of TLS's */
    rest_t query;             /* the beginning of a query ... */
    ngx_msec_t query_since;   /* ... and when its first octet had come */
    rest_t answers;           /* what the client has not taken yet ... */
    ngx_msec_t answers_since; /* ... and when as much as an answer can have was
                                 taken last ... */
    size_t answers_taken;     /* ... octets since then */
    pending_t *pending;
    unsigned pending_count;
    unsigned is_ended : 1; /* the client sends no more */
    unsigned has_asked : 1;
    unsigned is_served : 1; /* else other phases have it: TLS, preread */
};

/* The process's own; nothing stays there between two events. */
static uint8_t in[IN_ROOM];
static uint8_t out[OUT_ROOM];
static size_t out_size;

static void on_event(ngx_event_t *ev);


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
    rest_drop(&t->query);
    rest_drop(&t->answers);
    while (t->pending != NULL) {
        dns_server_cancel(t->pending->query); /* on_answer() removes it */
    }
    if (t->handshake.timer_set) {
        ngx_del_timer(&t->handshake);
    }
    tcp_clients_leave(&t->place);
}


static void
finish(tcp_t *t)
{
    tcp_clients_leave(&t->place);
    ngx_stream_finalize_session(t->session, NGX_STREAM_OK);
}


/* Without the client's help: it gets no farewell that it could leave unread. */
static void
cut_off(tcp_t *t)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    ngx_connection_t *c = t->session->connection;
    c->timedout = 1;
    if (t->answers.octets != NULL) {
        (void) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    }
    finish(t);
}


static ngx_uint_t
is_shaking_hands(const tcp_t *t)
{
    const ngx_connection_t *c = t->session->connection;
    return t->session->ssl && (c->ssl == NULL || !c->ssl->handshaked);
}


static ngx_uint_t
close_for_another(tcp_place_t *place)
{
    tcp_t *t = (tcp_t *) ((uint8_t *) place - offsetof(tcp_t, place));
    const ngx_uint_t may =
        t->is_served ? t->pending == NULL : is_shaking_hands(t);
    if (may) {
        cut_off(t);
    }
    return may;
}


/* Sends from octets; gives how many went, or NGX_ERROR. */
static ssize_t
send_some(ngx_connection_t *c, uint8_t *octets, size_t size)
{
    size_t done = 0;
    resolua_ssl_rest_may_move(c);
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


static ngx_int_t
append_answers(tcp_t *t, const uint8_t *octets, size_t size)
{
    if (t->answers.octets == NULL) {
        t->answers_since = ngx_current_msec;
        t->answers_taken = 0;
    }
    return rest_append(&t->answers, octets, size, t->session->connection->log);
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
    return append_answers(t, out + sent, size - (size_t) sent);
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
    t->answers_taken += (size_t) sent;
    if (t->answers_taken >= MESSAGE_MAX) {
        t->answers_since = ngx_current_msec;
        t->answers_taken = 0;
    }
    if (rest->at == rest->size) {
        rest_drop(rest);
        tcp_clients_use(&t->place);
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
    if (size > 0 && (append_answers(t, prefix, PREFIX_SIZE) != NGX_OK ||
                     append_answers(t, octets, size) != NGX_OK)) {
        t->is_ended = 1;
    }
    ngx_post_event(c->write, &ngx_posted_events);
}


/* The end of a pending query. */
static void
on_answer(void *data, const uint8_t *octets, size_t size)
{
    pending_t *p = data;
    tcp_t *t = p->tcp;
    pending_remove(p);
    ngx_free(p);
    if (octets != NULL) {
        put_late_answer(t, octets, size);
    }
}


/* NGX_ERROR: no memory. */
static ngx_int_t
wait_for_answer(tcp_t *t, dns_server_pending_t *query)
{
    pending_t *p = ngx_calloc(sizeof(*p), t->session->connection->log);
    if (p == NULL) {
        dns_server_cancel(query);
        return NGX_ERROR;
    }
    p->tcp = t;
    p->query = query;
    pending_add(t, p);
    dns_server_wait(query, on_answer, p);
    return NGX_OK;
}


/* One query; its answer goes to the end of out, which has room. */
static void
answer(tcp_t *t, const uint8_t *packet, size_t size)
{
    const ngx_connection_t *c = t->session->connection;
    t->has_asked = 1;
    tcp_clients_use(&t->place);
    dns_server_request_t request = {
        .conf = &t->conf->dns,
        .client = dns_server_client(c->sockaddr),
        .packet = packet,
        .packet_size = size,
        .log = c->log,
        .transport = c->ssl != NULL ? DNS_OVER_TLS : DNS_OVER_TCP,
        .idle_timeout_ms = (uint32_t) t->conf->tcp_idle_timeout,
        .out = out + out_size + PREFIX_SIZE,
    };
    if (dns_server_handle(&request) == DNS_ANSWERED) {
        put_answer(request.out, request.size);
    } else if (wait_for_answer(t, request.pending) != NGX_OK) {
        put_answer(request.out, dns_server_error(&request, DNS_RCODE_SERVFAIL));
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


/* Keeps what was not used up of in: the beginning of a query, which has its
   time from when that came, or from when it was looked at again. */
static ngx_int_t
keep_query(tcp_t *t, size_t used, size_t size)
{
    if (used > 0 || t->query.octets == NULL) {
        t->query_since = ngx_current_msec;
    }
    return rest_keep(&t->query, in + used, size - used,
                     t->session->connection->log);
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
    return used == 0 ? NGX_OK : keep_query(t, (size_t) used, size);
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
    t->session->received += n;
    const size_t size = held + (size_t) n;
    const ssize_t used = answer_all(t, in, size);
    if (used < 0) {
        return NGX_ERROR;
    }
    return keep_query(t, (size_t) used, size);
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


/* What the client has to do within which time. */
static ngx_msec_t
deadline(const tcp_t *t)
{
    if (t->answers.octets != NULL) {
        return t->answers_since + t->conf->tcp_send_timeout;
    }
    if (t->query.octets != NULL && !is_held_up(t)) {
        return t->query_since +
               ngx_min(t->conf->tcp_read_timeout, t->conf->tcp_idle_timeout);
    }
    return t->place.used_at + t->conf->tcp_idle_timeout;
}


/* Octets that are no whole query, or an answer, do not put it off. */
static ngx_msec_t
time_left(const tcp_t *t)
{
    const ngx_msec_int_t left =
        (ngx_msec_int_t) (deadline(t) - ngx_current_msec);
    return left > 0 ? (ngx_msec_t) left : 0;
}


/* What the connection waits for now; it may be closed when idle. */
static void
wait_for_more(tcp_t *t)
{
    ngx_connection_t *c = t->session->connection;
    /* Who has connected and not yet asked is not turned away by a reload. */
    const ngx_uint_t idle = is_idle(t) && t->has_asked;
    if (t->answers.octets == NULL && t->pending == NULL &&
        (t->is_ended || (idle && ngx_exiting) || (is_idle(t) && c->close))) {
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
    ngx_add_timer(c->read, time_left(t));
}


/* The timer of the connection, which may have been set for a time that has been
   put off since. */
static ngx_uint_t
is_overdue(tcp_t *t)
{
    ngx_connection_t *c = t->session->connection;
    if (!c->read->timedout) {
        return 0;
    }
    c->read->timedout = 0;
    if (time_left(t) > 0) {
        return 0;
    }
    if (t->answers.octets != NULL || t->query.octets != NULL) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "TCP connection closed: the client %s",
                      t->answers.octets != NULL
                          ? "does not take its answers in time"
                          : "does not send the rest of a query in time");
    }
    return 1;
}


static void
on_event(ngx_event_t *ev)
{
    ngx_connection_t *c = ev->data;
    const ngx_stream_session_t *s = c->data;
    tcp_t *t = stream_context_if_any(s)->content;
    if (is_overdue(t)) {
        cut_off(t);
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
    t->place.close = close_for_another;
    context->content = t;
    return t;
}


static void
on_handshake_timeout(ngx_event_t *ev)
{
    tcp_t *t = ev->data;
    if (is_shaking_hands(t)) {
        ngx_log_error(NGX_LOG_INFO, t->session->connection->log, NGX_ETIMEDOUT,
                      "TLS connection closed: its handshake takes too long");
        cut_off(t);
    }
}


ngx_int_t
tcp_admit(ngx_stream_session_t *s, const stream_conf_t *conf)
{
    ngx_connection_t *c = s->connection;
    const tcp_limits_t limits = {
        .in_all = conf->tcp_max_connections,
        .per_client = conf->tcp_max_per_client,
    };
    tcp_t *t = tcp_new(s, conf);
    if (t == NULL) {
        return NGX_ERROR;
    }
    const ngx_int_t rc =
        tcp_clients_enter(&t->place, c->sockaddr, &limits, c->log);
    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "TCP connection refused: over dns_tcp_max_connections "
                      "or dns_tcp_max_per_client");
        return NGX_STREAM_SERVICE_UNAVAILABLE;
    }
    if (s->ssl) {
        t->handshake.handler = on_handshake_timeout;
        t->handshake.data = t;
        t->handshake.log = c->log;
        ngx_add_timer(&t->handshake, conf->tls_handshake_timeout);
    }
    return NGX_DECLINED;
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
    stream_count_preread(t->session);
    const size_t size = (size_t) (b->last - b->pos);
    const ngx_int_t rc = size <= IN_ROOM
                             ? rest_keep(&t->query, b->pos, size, c->log)
                             : NGX_ERROR;
    b->pos = b->last;
    return rc;
}


/* From here on what the client does is seen in on_event(). */
void
tcp_serve(ngx_stream_session_t *s)
{
    ngx_connection_t *c = s->connection;
    tcp_t *t = stream_context_if_any(s)->content;
    if (t->handshake.timer_set) {
        ngx_del_timer(&t->handshake);
    }
    if (take_preread(t) != NGX_OK) {
        ngx_stream_finalize_session(s, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }
    if (c->ssl != NULL) {
        c->ssl->no_wait_shutdown = 1;
    }
    t->is_served = 1;
    tcp_clients_use(&t->place);
    t->query_since = ngx_current_msec;
    c->read->handler = c->write->handler = on_event;
    on_event(c->read);
}
