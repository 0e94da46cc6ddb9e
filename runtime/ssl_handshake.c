/* Drives a handshake with chunks in it: see ssl.h. */

#include "runtime/private/ssl.h"

#include "runtime/private/ssl_watch.h"

static BIO_METHOD *nothing;


static int
read_nothing(BIO *bio, char *buffer, int size)
{
    (void) buffer;
    (void) size;
    BIO_set_retry_read(bio);
    return -1;
}


static long
control_nothing(BIO *bio, int command, long number, void *data)
{
    (void) bio;
    (void) number;
    (void) data;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_PUSH;
}


static int
create_nothing(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}


/* A source in which nothing ever comes. */
static BIO *
new_nothing(void)
{
    if (nothing == NULL) {
        nothing = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
                               "nothing to read yet");
        if (nothing == NULL) {
            return NULL;
        }
        BIO_meth_set_read(nothing, read_nothing);
        BIO_meth_set_ctrl(nothing, control_nothing);
        BIO_meth_set_create(nothing, create_nothing);
    }
    return BIO_new(nothing);
}


/* The end of what we have to do with this connection, however it ends. */
static void
stop(resolua_handshake_t *h)
{
    if (h->event.posted) {
        ngx_delete_posted_event(&h->event);
    }
    if (h->host->end != NULL && !h->request.ended) {
        h->host->end(&h->request, h->connection);
    }
    h->asleep = 0;
    if (h->is_server && h->request.ctx_ref != LUA_NOREF) {
        h->ctx_ref = h->request.ctx_ref; /* for the connection's requests */
        h->request.ctx_ref = LUA_NOREF;
        h->vm = resolua_vm;
    }
    resolua_request_end(&h->request);
}


void
resolua_ssl_push_ctx(lua_State *L, const resolua_request_t *r)
{
    const ngx_connection_t *c =
        r->host->connection != NULL ? r->host->connection(r) : NULL;
    const resolua_handshake_t *h = c != NULL && c->ssl != NULL
                                       ? resolua_handshake(c->ssl->connection)
                                       : NULL;
    lua_newtable(L);
    if (h == NULL || h->ctx_ref == LUA_NOREF || h->vm != resolua_vm) {
        return;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, h->ctx_ref);
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -5);
    }
    lua_pop(L, 1);
}


/* The SSL object is freed. */
void
resolua_handshake_free(resolua_handshake_t *h)
{
    stop(h);
    if (h->ctx_ref != LUA_NOREF && h->vm == resolua_vm) {
        luaL_unref(resolua_vm, LUA_REGISTRYINDEX, h->ctx_ref);
    }
    SSL_SESSION_free(h->session);
    X509_free(h->peer);
    ngx_free(h);
}


/* nginx's handler drives the handshake on, or sees that it is over. */
static void
give_back(resolua_handshake_t *h)
{
    ngx_connection_t *c = h->connection;
    stop(h);
    h->is_ours = 0;
    c->read->handler = c->write->handler = h->handler;
    h->handler(c->read);
}


/* The handler that nginx calls for an ended handshake finds it not done. */
static void
give_up(resolua_handshake_t *h)
{
    ngx_connection_t *c = h->connection;
    stop(h);
    h->is_ours = 0;
    ERR_clear_error();
    c->read->handler = c->write->handler = h->handler;
    c->ssl->no_wait_shutdown = 1;
    c->ssl->no_send_shutdown = 1;
    c->ssl->handler(c);
}


static void
fail(resolua_handshake_t *h, int error)
{
    ngx_connection_t *c = h->connection;
    if (error == SSL_ERROR_ZERO_RETURN || ERR_peek_error() == 0) {
        ngx_connection_error(c, error == SSL_ERROR_SYSCALL ? ngx_errno : 0,
                             "peer closed connection in SSL handshake");
    } else {
        ngx_ssl_error(h->is_server ? NGX_LOG_INFO : NGX_LOG_ERR, c->log, 0,
                      "SSL_do_handshake() failed");
    }
    c->read->error = 1;
    give_up(h);
}


static void
await(resolua_handshake_t *h, int error)
{
    ngx_connection_t *c = h->connection;
    if (error == SSL_ERROR_WANT_READ) {
        c->read->ready = 0;
    } else {
        c->write->ready = 0;
    }
    if (ngx_handle_read_event(c->read, 0) != NGX_OK ||
        ngx_handle_write_event(c->write, 0) != NGX_OK) {
        give_up(h);
    }
}


static void
phase_ended(resolua_handshake_t *h, ngx_uint_t phase, ngx_int_t rc)
{
    h->done |= phase;
    if (phase == RESOLUA_SSL_SESSION_FETCH) {
        if (rc != NGX_OK) { /* a full handshake does without the session */
            SSL_SESSION_free(h->session);
            h->session = NULL;
        }
        return;
    }
    if (rc != NGX_OK || (h->result_is_set && h->verify_result != X509_V_OK)) {
        h->failed = 1;
    }
}


/* Runs the chunk that OpenSSL waits for.  NGX_AGAIN: it sleeps. */
static ngx_int_t
run_wanted(resolua_handshake_t *h)
{
    const ngx_uint_t phase = h->wanted;
    const resolua_ssl_codes_t *codes = h->host->codes(h->connection);
    const ngx_int_t rc =
        resolua_run(&h->request, resolua_ssl_codes_find(codes, phase), phase);
    if (rc == NGX_AGAIN) {
        h->asleep = 1;
        return NGX_AGAIN;
    }
    phase_ended(h, phase, rc);
    return NGX_OK;
}


/* Is there no chunk any more that may want to run? */
static int
is_over(const resolua_handshake_t *h)
{
    const ngx_uint_t last =
        h->is_server ? RESOLUA_SSL_CERTIFICATE : RESOLUA_PROXY_SSL_CERTIFICATE;
    return (h->done & last) != 0;
}


/* A handshake that nginx has begun as one with early data, which we refuse,
   has to go on so.  As SSL_do_handshake(). */
static int
do_handshake(const resolua_handshake_t *h)
{
    ngx_ssl_connection_t *c = h->connection->ssl;
    char octet;
    size_t size;
    if (c->try_early_data) {
        const int n = SSL_read_early_data(h->ssl, &octet, 1, &size);
        if (n != SSL_READ_EARLY_DATA_FINISH) {
            return 0;
        }
        c->try_early_data = 0;
    }
    return SSL_do_handshake(h->ssl);
}


static void
drive(resolua_handshake_t *h)
{
    for (;;) {
        h->wanted = 0;
        ERR_clear_error();
        const int n = do_handshake(h);
        const int error = n == 1 ? SSL_ERROR_NONE : SSL_get_error(h->ssl, n);
        if (h->wanted != 0) {
            if (run_wanted(h) == NGX_AGAIN) {
                return;
            }
            if (h->failed && !h->is_server) {
                give_up(h); /* OpenSSL might go on with a peer not verified */
                return;
            }
        } else if (error == SSL_ERROR_WANT_READ ||
                   error == SSL_ERROR_WANT_WRITE) {
            if (is_over(h)) {
                give_back(h);
            } else {
                await(h, error);
            }
            return;
        } else if (error == SSL_ERROR_NONE) {
            give_back(h);
            return;
        } else {
            fail(h, error);
            return;
        }
    }
}


void
resolua_ssl_resumed(resolua_request_t *r, ngx_int_t rc)
{
    resolua_handshake_t *h = (resolua_handshake_t *) r;
    h->asleep = 0;
    phase_ended(h, r->phase, rc);
    if (h->failed && !h->is_server) {
        give_up(h);
    } else {
        drive(h);
    }
}


static void
on_event(ngx_event_t *ev)
{
    ngx_connection_t *c = ev->data;
    resolua_handshake_t *h = resolua_handshake(c->ssl->connection);
    if (ev->timedout || c->close || (h->asleep && c->read->pending_eof)) {
        give_up(h);
    } else if (!h->asleep) {
        drive(h);
    } else if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        give_up(h);
    }
}


static void
take_over(ngx_event_t *ev)
{
    resolua_handshake_t *h = ev->data;
    ngx_connection_t *c = h->connection;
    BIO *bio = SSL_get_wbio(h->ssl);
    BIO_up_ref(bio);
    SSL_set0_rbio(h->ssl, bio);
    h->handler = c->read->handler;
    h->is_ours = 1;
    c->read->handler = c->write->handler = on_event;
    drive(h);
}


ngx_int_t
resolua_handshake_begin(SSL *ssl, ngx_connection_t *c,
                        const resolua_ssl_host_t *host)
{
    BIO *bio = new_nothing();
    resolua_handshake_t *h = ngx_calloc(sizeof(*h), c->log);
    if (bio != NULL && h != NULL) {
        resolua_request_init(&h->request, host->host, c, c->pool, c->log);
    }
    if (bio == NULL || h == NULL || host->begin(&h->request, c) != NGX_OK ||
        resolua_handshake_set(ssl, h) != NGX_OK) {
        BIO_free(bio);
        ngx_free(h);
        return NGX_ERROR;
    }
    SSL_set0_rbio(ssl, bio);
    (void) SSL_set_max_early_data(ssl, 0);
    h->host = host;
    h->connection = c;
    h->ssl = ssl;
    h->ctx_ref = LUA_NOREF;
    h->is_server = SSL_is_server(ssl) ? 1 : 0;
    h->event.handler = take_over;
    h->event.data = h;
    h->event.log = c->log;
    ngx_post_event(&h->event, &ngx_posted_events);
    return NGX_OK;
}
