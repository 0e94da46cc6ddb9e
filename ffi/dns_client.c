#include "ffi/dns_ffi.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dns/octets.h"
#include "dns/type.h"

enum { TIMEOUT_MS = 5000 };

static int64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits until the socket is ready; false with errno after the deadline. */
static bool
wait_ready(int fd, short events, int64_t deadline)
{
    struct pollfd p = {.fd = fd, .events = events};
    int64_t left = deadline - now_ms();

    if (left <= 0 || poll(&p, 1, (int) left) <= 0) {
        errno = ETIMEDOUT;
        return false;
    }

    return true;
}

static int
connect_to(const struct addrinfo *to, int64_t deadline)
{
    int fd = socket(to->ai_family, to->ai_socktype | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -1;
    }

    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0) {
        return fd;
    }

    int error = errno;
    socklen_t size = sizeof(error);

    if (error == EINPROGRESS && wait_ready(fd, POLLOUT, deadline) &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
        error == 0) {
        return fd;
    }

    close(fd);
    errno = error == EINPROGRESS ? ETIMEDOUT : error;
    return -1;
}

static bool
send_all(int fd, const uint8_t *octets, size_t size, int64_t deadline)
{
    while (size > 0) {
        ssize_t n = send(fd, octets, size, MSG_NOSIGNAL);

        if (n >= 0) {
            octets += n;
            size -= (size_t) n;
        } else if (errno != EAGAIN || !wait_ready(fd, POLLOUT, deadline)) {
            return false;
        }
    }

    return true;
}

static bool
receive_all(int fd, uint8_t *out, size_t size, int64_t deadline)
{
    while (size > 0) {
        if (!wait_ready(fd, POLLIN, deadline)) {
            return false;
        }

        ssize_t n = recv(fd, out, size, 0);

        if (n <= 0) {
            errno = n == 0 ? ECONNRESET : errno;
            return false;
        }

        out += n;
        size -= (size_t) n;
    }

    return true;
}

static int
exchange_tcp(int fd, const uint8_t *packet, size_t size, uint8_t *out,
             int64_t deadline)
{
    uint8_t prefix[2];

    put16(prefix, (unsigned) size);

    if (!send_all(fd, prefix, 2, deadline) ||
        !send_all(fd, packet, size, deadline) ||
        !receive_all(fd, prefix, 2, deadline) ||
        !receive_all(fd, out, get16(prefix), deadline)) {
        return DNS_ENOTFOUND;
    }

    return get16(prefix);
}

/* Datagrams with another id are somebody else's. */
static int
exchange_udp(int fd, const uint8_t *packet, size_t size, uint8_t *out,
             int64_t deadline)
{
    if (!send_all(fd, packet, size, deadline)) {
        return DNS_ENOTFOUND;
    }

    while (wait_ready(fd, POLLIN, deadline)) {
        ssize_t n = recv(fd, out, DNS_FFI_MESSAGE_MAX, 0);

        if (n < 0) {
            return DNS_ENOTFOUND;
        }

        if (n >= DNS_HEADER_SIZE && memcmp(out, packet, 2) == 0) {
            return (int) n;
        }
    }

    return DNS_ENOTFOUND;
}

int
dns_ffi_client_exchange(const char *address, uint16_t port, int use_tcp,
                        const uint8_t *packet, size_t size, uint8_t *out)
{
    if (size < DNS_HEADER_SIZE || size > DNS_FFI_MESSAGE_MAX) {
        return DNS_EMALFORMED;
    }

    struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
        .ai_socktype = use_tcp ? SOCK_STREAM : SOCK_DGRAM,
    };
    struct addrinfo *to;
    char service[8];

    snprintf(service, sizeof(service), "%u", port);

    if (getaddrinfo(address, service, &hints, &to) != 0) {
        return DNS_EMALFORMED;
    }

    int64_t deadline = now_ms() + TIMEOUT_MS;
    int fd = connect_to(to, deadline);

    freeaddrinfo(to);

    if (fd < 0) {
        return DNS_ENOTFOUND;
    }

    int n = use_tcp ? exchange_tcp(fd, packet, size, out, deadline)
                    : exchange_udp(fd, packet, size, out, deadline);

    close(fd);
    return n;
}
