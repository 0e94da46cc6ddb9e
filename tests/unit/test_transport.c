/* A connection with TLS, against a server that the test steps itself. */

#include "redis_peer.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>

#include "client/transport.h"

enum { NOW = 1000, DAY = 24 * 60 * 60, LARGE = 1 << 20 };

static peer_t peer;
static transport_t transport;
static EVP_PKEY *key;
static X509 *certificate;
static char ca_file[64];
static SSL_CTX *server_context;
static SSL *server;

/* Signed by itself, for redis.test and 127.0.0.1. */
static X509 *
make_certificate(void)
{
    X509 *made = X509_new();
    X509_NAME *name = X509_get_subject_name(made);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(
        NULL, NULL, NID_subject_alt_name, "DNS:redis.test,IP:127.0.0.1");

    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), -DAY);
    X509_gmtime_adj(X509_getm_notAfter(made), DAY);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const unsigned char *) "redis.test", -1, -1, 0);
    X509_set_issuer_name(made, name);
    X509_set_pubkey(made, key);
    X509_add_ext(made, names, -1);
    X509_EXTENSION_free(names);
    assert_true(X509_sign(made, key, EVP_sha256()) > 0);
    return made;
}

static void
write_certificate(X509 *what)
{
    const int fd = mkstemp(strcpy(ca_file, "/tmp/resolua-ca-XXXXXX"));
    FILE *file = fdopen(fd, "w");

    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, what), 1);
    fclose(file);
}

static int
setup(void **state)
{
    (void) state;
    signal(SIGPIPE, SIG_IGN); /* as nginx has it */
    key = EVP_EC_gen("P-256");
    certificate = make_certificate();
    write_certificate(certificate);
    server_context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(server_context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server_context, key), 1);
    SSL_CTX_set_mode(server_context, SSL_MODE_ENABLE_PARTIAL_WRITE);
    peer_listen_tcp(&peer);
    return 0;
}

static int
teardown(void **state)
{
    (void) state;
    peer_close(&peer);
    SSL_CTX_free(server_context);
    X509_free(certificate);
    EVP_PKEY_free(key);
    unlink(ca_file);
    return 0;
}

static transport_target_t
target(SSL_CTX *context, const char *name)
{
    return (transport_target_t){.host = "127.0.0.1",
                                .port = peer.port,
                                .tls = context,
                                .tls_name = name};
}

/* Connected, and the server is about to shake hands. */
static void
begin(SSL_CTX *context, const char *name)
{
    const transport_target_t to = target(context, name);

    transport_init(&transport);
    transport_open(&transport, &to, NOW);
    assert_int_equal(transport.state, TRANSPORT_CONNECTING);
    wait_until(transport.fd, POLLOUT);
    peer_accept(&peer);
    server = SSL_new(server_context);
    assert_int_equal(SSL_set_fd(server, peer.fd), 1);
}

static void
end(void)
{
    transport_close(&transport);
    assert_int_equal(transport.state, TRANSPORT_CLOSED);
    SSL_free(server);
    peer_hang_up(&peer);
}

/* The server's turn whenever the client has to wait for it.  The handshake is
   two turns of the server's at the most, so that it blocks in none. */
static transport_result_t
shake_hands(void)
{
    transport_result_t result =
        transport_connect(&transport, CLIENT_WRITE, NOW);

    assert_int_equal(result, TRANSPORT_WAIT);
    assert_int_equal(transport.state, TRANSPORT_SHAKING_HANDS);
    assert_int_equal(transport.connect_events, CLIENT_READ);
    assert_int_equal(transport_connect(&transport, CLIENT_WRITE, NOW),
                     TRANSPORT_WAIT);
    SSL_set_accept_state(server);
    assert_int_equal(fcntl(peer.fd, F_SETFL, O_NONBLOCK), 0);

    while (result == TRANSPORT_WAIT) {
        (void) SSL_do_handshake(server);
        wait_until(transport.fd, POLLIN);
        result = transport_connect(&transport, CLIENT_READ, NOW);
    }

    return result;
}

static SSL_CTX *
trusting(const char *file)
{
    SSL_CTX *context = tls_context_new(file);

    assert_non_null(context);
    return context;
}

static void
a_server_with_the_name_is_trusted(void **state)
{
    static const char *const names[] = {"redis.test", "127.0.0.1", NULL};
    SSL_CTX *context = trusting(ca_file);

    (void) state;

    for (size_t i = 0; i < 3; i++) {
        begin(context, names[i]);
        assert_int_equal(shake_hands(), TRANSPORT_DONE);
        assert_int_equal(transport.state, TRANSPORT_OPEN);
        end();
    }

    tls_context_release(context);
}

static void
one_with_another_name_is_not(void **state)
{
    SSL_CTX *context = trusting(ca_file);

    (void) state;
    begin(context, "other.test");
    assert_int_equal(shake_hands(), TRANSPORT_FAILED);
    assert_string_equal(transport.error,
                        "the certificate is not one of tls_name");
    assert_int_equal(transport.state, TRANSPORT_BROKEN);
    end();
    tls_context_release(context);
}

static void
one_of_another_authority_is_not(void **state)
{
    EVP_PKEY *own = key;
    char own_file[sizeof(ca_file)];

    (void) state;
    strcpy(own_file, ca_file);
    key = EVP_EC_gen("P-256");

    X509 *stranger = make_certificate();

    write_certificate(stranger);

    SSL_CTX *context = trusting(ca_file);

    begin(context, "redis.test");
    assert_int_equal(shake_hands(), TRANSPORT_FAILED);
    assert_non_null(strstr(transport.error, "certificate"));
    end();
    tls_context_release(context);
    X509_free(stranger);
    EVP_PKEY_free(key);
    unlink(ca_file);
    strcpy(ca_file, own_file);
    key = own;
}

static void
who_does_not_speak_tls_is_told(void **state)
{
    SSL_CTX *context = trusting(ca_file);

    (void) state;
    begin(context, "redis.test");
    assert_int_equal(transport_connect(&transport, CLIENT_WRITE, NOW),
                     TRANSPORT_WAIT);
    peer_say(&peer, "-ERR unknown command\r\n");
    wait_until(transport.fd, POLLIN);
    assert_int_equal(transport_connect(&transport, CLIENT_READ, NOW),
                     TRANSPORT_FAILED);
    assert_string_equal(transport.error, "the TLS handshake failed");
    end();
    tls_context_release(context);
}

static void
a_handshake_that_is_left_is_told(void **state)
{
    SSL_CTX *context = trusting(ca_file);

    (void) state;
    begin(context, "redis.test");
    assert_int_equal(transport_connect(&transport, CLIENT_WRITE, NOW),
                     TRANSPORT_WAIT);
    peer_hang_up(&peer);
    wait_until(transport.fd, POLLIN);
    assert_int_equal(transport_connect(&transport, CLIENT_READ, NOW),
                     TRANSPORT_FAILED);
    assert_string_equal(transport.error, "the TLS handshake failed");
    end();
    tls_context_release(context);
}

static void
no_file_is_no_context(void **state)
{
    (void) state;
    assert_null(tls_context_new("/nowhere/ca.pem"));
}

/* More than sockets hold, so that each side waits for the other; what waits is
   sent again from a place that has moved. */
static void
much_crosses_both_ways(void **state)
{
    static char out[LARGE], in[LARGE], echo[LARGE];
    SSL_CTX *context = trusting(ca_file);
    size_t sent = 0, heard = 0, said = 0, received = 0;
    size_t moved;
    const int few = 16 * 1024;
    int waits = 0;

    (void) state;
    begin(context, NULL);
    assert_int_equal(shake_hands(), TRANSPORT_DONE);
    setsockopt(transport.fd, SOL_SOCKET, SO_SNDBUF, &few, sizeof(few));
    setsockopt(peer.fd, SOL_SOCKET, SO_SNDBUF, &few, sizeof(few));

    for (size_t i = 0; i < LARGE; i++) {
        out[i] = (char) (i * 7 + i / 251);
    }

    while (received < LARGE) {
        char *copy = malloc(LARGE - sent + 1);

        memcpy(copy, out + sent, LARGE - sent);

        if (sent < LARGE) {
            switch (transport_send(&transport, copy, LARGE - sent, &moved)) {
            case TRANSPORT_DONE:
                assert_int_equal(transport.send_events, 0);
                sent += moved;
                break;
            case TRANSPORT_WAIT:
                assert_int_equal(transport.send_events, CLIENT_WRITE);
                waits++;
                break;
            default:
                fail();
            }
        }

        free(copy);

        if (waits > 0 &&
            SSL_read_ex(server, in + heard, LARGE - heard, &moved)) {
            heard += moved;
        }

        if (said < heard &&
            SSL_write_ex(server, in + said, heard - said, &moved)) {
            said += moved;
        }

        if (transport_receive(&transport, echo + received, LARGE - received,
                              &moved) == TRANSPORT_DONE) {
            received += moved;
        } else {
            assert_int_equal(transport.state, TRANSPORT_OPEN);
            assert_int_equal(transport.receive_events, CLIENT_READ);
        }
    }

    assert_true(waits > 0);
    assert_memory_equal(out, echo, LARGE);
    end();
    tls_context_release(context);
}

static void
an_end_is_no_octets(void **state)
{
    SSL_CTX *context = trusting(ca_file);
    char octets[16];
    size_t moved;

    (void) state;

    for (int is_polite = 0; is_polite < 2; is_polite++) {
        begin(context, NULL);
        assert_int_equal(shake_hands(), TRANSPORT_DONE);
        assert_int_equal(SSL_write(server, "abc", 3), 3);

        if (is_polite) {
            (void) SSL_shutdown(server);
        }

        peer_hang_up(&peer);
        wait_until(transport.fd, POLLIN);
        assert_int_equal(
            transport_receive(&transport, octets, sizeof(octets), &moved),
            TRANSPORT_DONE);
        assert_int_equal(moved, 3);

        while (transport_receive(&transport, octets, sizeof(octets), &moved) ==
               TRANSPORT_WAIT) {
            wait_until(transport.fd, POLLIN);
        }

        assert_int_equal(transport.state, TRANSPORT_BROKEN);
        assert_string_equal(transport.error, "the connection is lost");
        end();
    }

    tls_context_release(context);
}

/* A name is looked up where that is allowed, and its addresses are tried in
   turn: nobody listens at ::1. */
static void
a_name_has_its_addresses(void **state)
{
    transport_target_t to = target(NULL, NULL);

    (void) state;
    to.host = "localhost";
    transport_init(&transport);
    transport_open(&transport, &to, NOW);
    assert_int_equal(transport.state, TRANSPORT_BROKEN);
    assert_string_equal(transport.error,
                        "a name stands where an address is needed");
    to.looks_up = true;
    transport_open(&transport, &to, NOW);

    while (transport_connect(&transport, CLIENT_WRITE, NOW) == TRANSPORT_WAIT) {
        wait_until(transport.fd, POLLOUT);
    }

    assert_int_equal(transport.state, TRANSPORT_OPEN);
    assert_int_equal(transport_connect(&transport, 0, NOW), TRANSPORT_DONE);
    transport_close(&transport);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_with_the_name_is_trusted),
        cmocka_unit_test(one_with_another_name_is_not),
        cmocka_unit_test(one_of_another_authority_is_not),
        cmocka_unit_test(who_does_not_speak_tls_is_told),
        cmocka_unit_test(a_handshake_that_is_left_is_told),
        cmocka_unit_test(no_file_is_no_context),
        cmocka_unit_test(much_crosses_both_ways),
        cmocka_unit_test(an_end_is_no_octets),
        cmocka_unit_test(a_name_has_its_addresses),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
