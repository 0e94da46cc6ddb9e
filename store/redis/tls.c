/* TLS for who may block, under hiredis, which formats and parses. */

#include "store/redis/database.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>

#include "client/deadline.h"

static dns_status_t
check_certificate(store_database_t *db, SSL *ssl)
{
    const long result = SSL_get_verify_result(ssl);

    return result == X509_V_OK
               ? DNS_OK
               : database_fail(db, DNS_ESTORE,
                               X509_verify_cert_error_string(result));
}

bool
redis_tls_wait(const redis_node_t *node, int result)
{
    switch (SSL_get_error(node->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return deadline_wait(node->redis->fd, POLLIN);
    case SSL_ERROR_WANT_WRITE:
        return deadline_wait(node->redis->fd, POLLOUT);
    default:
        return false;
    }
}

static bool
shake_hands(const redis_node_t *node)
{
    int result;

    do {
        ERR_clear_error();
        result = SSL_connect(node->ssl);
    } while (result != 1 && redis_tls_wait(node, result));

    return result == 1;
}

static dns_status_t
connect_ssl(store_database_t *db, redis_node_t *node)
{
    const char *name = db->options->tls_name;

    if (name != NULL && (SSL_set_tlsext_host_name(node->ssl, name) != 1 ||
                         SSL_set1_host(node->ssl, name) != 1)) {
        return database_fail(db, DNS_ESTORE, "tls_name is no name");
    }

    SSL_set_verify(node->ssl, SSL_VERIFY_PEER, NULL);

    if (SSL_set_fd(node->ssl, node->redis->fd) != 1 || !shake_hands(node)) {
        dns_status_t status = check_certificate(db, node->ssl);

        return status == DNS_OK
                   ? database_fail(db, DNS_ESTORE, "the TLS handshake failed")
                   : status;
    }

    return DNS_OK;
}

dns_status_t
redis_tls_open(store_database_t *db, redis_node_t *node)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    dns_status_t status = DNS_ESTORE;

    ERR_clear_error();

    if (context == NULL ||
        SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
        (void) !database_fail(db, status, "no memory for TLS");
    } else if (SSL_CTX_load_verify_locations(context, db->options->ca_file,
                                             NULL) != 1) {
        (void) !database_fail(db, status, "ca_file cannot be read");
    } else if ((node->ssl = SSL_new(context)) == NULL) {
        (void) !database_fail(db, status, "no memory for TLS");
    } else {
        status = connect_ssl(db, node);
    }

    SSL_CTX_free(context); /* the connection keeps it */
    ERR_clear_error();
    return status;
}

void
redis_tls_close(redis_node_t *node)
{
    SSL_free(node->ssl);
    node->ssl = NULL;
}
