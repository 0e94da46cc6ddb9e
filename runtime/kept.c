#include "runtime/kept.h"


static ngx_int_t
check_tls(SSL *ssl)
{
    char octet;
    if (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) { /* with a reply */
        return NGX_DONE;
    }
    ERR_clear_error();
    const int n = SSL_peek(ssl, &octet, 1);
    const int error = n > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl, n);
    ERR_clear_error();
    return n > 0                            ? NGX_BUSY
           : error == SSL_ERROR_WANT_READ   ? NGX_OK
           : error == SSL_ERROR_ZERO_RETURN ? NGX_DONE
                                            : NGX_ERROR;
}


ngx_int_t
resolua_kept_check(ngx_connection_t *c)
{
    char octet;
    if (c->read->error || c->write->error || c->error) {
        return NGX_ERROR;
    }
    if (c->read->eof) {
        return NGX_DONE;
    }
    if (c->ssl != NULL) {
        return c->ssl->handshaked ? check_tls(c->ssl->connection) : NGX_ERROR;
    }
    const ssize_t n = recv(c->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT);
    return n > 0                            ? NGX_BUSY
           : n == 0                         ? NGX_DONE
           : ngx_socket_errno == NGX_EAGAIN ? NGX_OK
                                            : NGX_ERROR;
}


ngx_int_t
resolua_kept_on_event(ngx_connection_t *c)
{
    if (c->close || c->read->timedout) {
        return NGX_DONE;
    }
    const ngx_int_t rc = resolua_kept_check(c);
    if (rc != NGX_OK) {
        return rc;
    }
    c->read->ready = 0;
    return ngx_handle_read_event(c->read, 0) == NGX_OK ? NGX_OK : NGX_ERROR;
}
