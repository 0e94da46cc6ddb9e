/* TLS for who may block, under hiredis, which formats and parses: this version
   of it reads and writes sockets alone. */

#include "store/private/redis_database.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { READ_SIZE = 16 * 1024 }; /* octets: a record of TLS */

static void
set_error(redisContext *redis, const char *text)
{
    redis->err = REDIS_ERR_IO;
    snprintf(redis->errstr, sizeof(redis->errstr), "%s", text);
}

static dns_status_t
check_certificate(store_database_t *db, SSL *ssl)
{
    const long result = SSL_get_verify_result(ssl);

    return result == X509_V_OK
               ? DNS_OK
               : database_fail(db, DNS_ESTORE,
                               X509_verify_cert_error_string(result));
}

static dns_status_t
connect_ssl(store_database_t *db, redis_node_t *node)
{
    const char *name = db->options.tls_name;

    if (name != NULL && (SSL_set_tlsext_host_name(node->ssl, name) != 1 ||
                         SSL_set1_host(node->ssl, name) != 1)) {
        return database_fail(db, DNS_ESTORE, "tls_name is no name");
    }

    SSL_set_verify(node->ssl, SSL_VERIFY_PEER, NULL);

    if (SSL_set_fd(node->ssl, node->redis->fd) != 1 ||
        SSL_connect(node->ssl) != 1) {
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
    } else if (SSL_CTX_load_verify_locations(context, db->options.ca_file,
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

static bool
write_all(const redis_node_t *node)
{
    redisContext *redis = node->redis;
    const size_t size = sdslen(redis->obuf);
    size_t written;

    if (size == 0) {
        return true;
    }

    ERR_clear_error();

    if (SSL_write_ex(node->ssl, redis->obuf, size, &written) != 1 ||
        written != size) {
        set_error(redis, "writing over TLS failed");
        return false;
    }

    sdsclear(redis->obuf);
    return true;
}

static bool
read_some(const redis_node_t *node)
{
    redisContext *redis = node->redis;
    char octets[READ_SIZE];
    size_t size;

    errno = 0;
    ERR_clear_error();

    if (SSL_read_ex(node->ssl, octets, sizeof(octets), &size) != 1) {
        set_error(redis,
                  errno == EAGAIN ? "timeout" : "the connection is lost");
        return false;
    }

    redisReaderFeed(redis->reader, octets, size);
    return true;
}

redisReply *
redis_next_reply(store_database_t *db)
{
    const redis_node_t *node = ((redis_link_t *) db->link)->node;
    redisContext *redis = node->redis;
    void *reply = NULL;

    if (node->ssl == NULL) {
        return redisGetReply(redis, &reply) == REDIS_OK ? reply : NULL;
    }

    for (bool is_good = redis->err == 0 && write_all(node); is_good;
         is_good = read_some(node)) {
        if (redisReaderGetReply(redis->reader, &reply) != REDIS_OK) {
            set_error(redis, redis->reader->errstr);
            return NULL;
        }

        if (reply != NULL) {
            return reply;
        }
    }

    return NULL;
}

redisReply *
redis_call(store_database_t *db, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);

    const int status = redisvAppendCommand(redis_of(db), format, arguments);

    va_end(arguments);
    return status == REDIS_OK ? redis_next_reply(db) : NULL;
}
