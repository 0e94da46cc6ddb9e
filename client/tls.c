#include "client/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { CHAIN_DEPTH = 9 }; /* certificates between the server's and its root */

struct ssl_ctx_st *
tls_context_new(const char *ca_file)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (context == NULL) {
        return NULL;
    }

    /* What waits to be sent lies in a buffer that may move. */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(context,
                        SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_verify_depth(context, CHAIN_DEPTH);

    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_load_verify_locations(context, ca_file, NULL) != 1) {
        SSL_CTX_free(context);
        context = NULL;
    }

    ERR_clear_error();
    return context;
}

void
tls_context_release(struct ssl_ctx_st *context)
{
    SSL_CTX_free(context);
}

struct ssl_st *
tls_new(struct ssl_ctx_st *context, int fd, const char *name)
{
    SSL *ssl = SSL_new(context);

    if (ssl == NULL) {
        return NULL;
    }

    if (SSL_set_fd(ssl, fd) != 1 ||
        (name != NULL && (SSL_set_tlsext_host_name(ssl, name) != 1 ||
                          SSL_set1_host(ssl, name) != 1))) {
        SSL_free(ssl);
        ssl = NULL;
    }

    ERR_clear_error();
    return ssl;
}

void
tls_free(struct ssl_st *ssl)
{
    SSL_free(ssl);
}

/* What the result of a call of OpenSSL means.  The queue of errors, which all
   sessions of a thread share, is empty before and after it. */
static tls_result_t
tls_result(SSL *ssl, int result, int *events)
{
    if (result == 1) {
        return TLS_DONE;
    }

    const int error = SSL_get_error(ssl, result);

    ERR_clear_error();

    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        return TLS_FAILED;
    }

    *events = error == SSL_ERROR_WANT_READ ? CLIENT_READ : CLIENT_WRITE;
    return TLS_WAIT;
}

static void
tell_handshake_error(const SSL *ssl, char *error)
{
    const long result = SSL_get_verify_result(ssl);
    const char *reason = "the TLS handshake failed";

    if (result == X509_V_ERR_HOSTNAME_MISMATCH ||
        result == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        reason = "the certificate is not one of tls_name";
    } else if (result != X509_V_OK) {
        reason = X509_verify_cert_error_string(result);
    }

    snprintf(error, TLS_ERROR_SIZE, "%s", reason);
}

tls_result_t
tls_connect(struct ssl_st *ssl, int *events, char *error)
{
    ERR_clear_error(); /* what others left there is not of this session */

    const tls_result_t result = tls_result(ssl, SSL_connect(ssl), events);

    if (result == TLS_FAILED) {
        tell_handshake_error(ssl, error);
    }

    return result;
}

tls_result_t
tls_send(struct ssl_st *ssl, const char *octets, size_t size, size_t *moved,
         int *events)
{
    ERR_clear_error();
    return tls_result(ssl, SSL_write_ex(ssl, octets, size, moved), events);
}

tls_result_t
tls_receive(struct ssl_st *ssl, char *octets, size_t size, size_t *moved,
            int *events)
{
    ERR_clear_error();
    return tls_result(ssl, SSL_read_ex(ssl, octets, size, moved), events);
}
