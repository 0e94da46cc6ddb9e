#ifndef TESTS_REDIS_PEER_H
#define TESTS_REDIS_PEER_H

/* A server of which a test says what it does and when: it listens on the
   loopback address, or on a Unix socket, and one connection at a time is
   accepted.  Nothing waits longer than for what the kernel has to do. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { PEER_SOON_MS = 60000 }; /* what is certain to come, has come by then */

typedef struct {
    int listener;
    int fd; /* -1: nobody is connected */
    uint16_t port;
    char path[64]; /* of the Unix socket */
} peer_t;

static inline void
peer_listen_tcp(peer_t *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);

    memset(peer, 0, sizeof(*peer));
    peer->fd = -1;
    peer->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(peer->listener, (void *) &address, size), 0);
    assert_int_equal(listen(peer->listener, 16), 0);
    assert_int_equal(getsockname(peer->listener, (void *) &address, &size), 0);
    peer->port = ntohs(address.sin_port);
}

static inline void
peer_listen_unix(peer_t *peer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memset(peer, 0, sizeof(*peer));
    peer->fd = -1;
    snprintf(peer->path, sizeof(peer->path), "/tmp/resolua-peer-%ld",
             (long) getpid());
    unlink(peer->path);
    strcpy(address.sun_path, peer->path);
    peer->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(peer->listener, (void *) &address, sizeof(address)),
                     0);
    assert_int_equal(listen(peer->listener, 16), 0);
}

static inline void
peer_hang_up(peer_t *peer)
{
    if (peer->fd != -1) {
        close(peer->fd);
        peer->fd = -1;
    }
}

static inline void
peer_accept(peer_t *peer)
{
    const int yes = 1;

    peer_hang_up(peer);
    peer->fd = accept(peer->listener, NULL, NULL);
    assert_true(peer->fd >= 0);
    (void) setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

static inline void
peer_close(peer_t *peer)
{
    peer_hang_up(peer);
    close(peer->listener);

    if (peer->path[0] != '\0') {
        unlink(peer->path);
    }
}

static inline void
peer_send(const peer_t *peer, const char *octets, size_t size)
{
    assert_int_equal(send(peer->fd, octets, size, MSG_NOSIGNAL),
                     (ssize_t) size);
}

static inline void
peer_say(const peer_t *peer, const char *text)
{
    peer_send(peer, text, strlen(text));
}

/* Reads as many octets as have come, with a NUL behind them. */
static inline size_t
peer_hear(const peer_t *peer, char *out, size_t size)
{
    const ssize_t count = recv(peer->fd, out, size - 1, MSG_DONTWAIT);

    out[count > 0 ? count : 0] = '\0';
    return count > 0 ? (size_t) count : 0;
}

/* Waits for one of the events of poll() that is certain to come. */
static inline void
wait_until(int fd, short events)
{
    struct pollfd wanted = {.fd = fd, .events = events};

    assert_int_equal(poll(&wanted, 1, PEER_SOON_MS), 1);
}

#endif
