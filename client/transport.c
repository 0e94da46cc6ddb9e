#include "client/transport.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char connection_lost[] = "the connection is lost";

void
transport_init(transport_t *t)
{
    *t = (transport_t){.fd = -1};
}

static transport_result_t
break_transport(transport_t *t, const char *error)
{
    t->state = TRANSPORT_BROKEN;

    if (error != t->error) {
        snprintf(t->error, sizeof(t->error), "%s", error);
    }

    return TRANSPORT_FAILED;
}

static void
forget_addresses(transport_t *t)
{
    if (t->addresses != NULL) {
        freeaddrinfo(t->addresses);
        t->addresses = NULL;
        t->address = NULL;
    }
}

/* The descriptor becomes another one, or -1. */
static void
replace_descriptor(transport_t *t, int fd)
{
    tls_free(t->ssl);
    t->ssl = NULL;

    if (t->fd != -1) {
        close(t->fd);
    }

    t->fd = fd;
}

void
transport_close(transport_t *t)
{
    replace_descriptor(t, -1);
    forget_addresses(t);
    t->state = TRANSPORT_CLOSED;
}

/* As an errno. */
static int
begin_connect(transport_t *t, const struct sockaddr *to, socklen_t size)
{
    const int yes = 1;
    const int fd =
        socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd == -1) {
        return errno;
    }

    replace_descriptor(t, fd);

    if (to->sa_family != AF_UNIX) {
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    }

    /* What is there at once is ready for writing, as what comes later. */
    return connect(fd, to, size) == 0 || errno == EINPROGRESS ? 0 : errno;
}

/* From the next address on, the first that is not refused at once. */
static void
try_addresses(transport_t *t, uint64_t now_ms)
{
    int error = 0;

    for (; t->address != NULL; t->address = t->address->ai_next) {
        error = begin_connect(t, t->address->ai_addr, t->address->ai_addrlen);

        if (error == 0) {
            t->state = TRANSPORT_CONNECTING;
            t->connect_events = CLIENT_WRITE;
            t->deadline_ms = t->target.connect_ms == 0
                                 ? CLIENT_NO_DEADLINE
                                 : now_ms + t->target.connect_ms;
            t->address = t->address->ai_next;
            return;
        }
    }

    (void) break_transport(t, error == 0 ? t->error : strerror(error));
}

static void
open_host(transport_t *t, uint64_t now_ms)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV | (t->target.looks_up ? 0 : AI_NUMERICHOST),
    };
    char port[sizeof("65535")];

    snprintf(port, sizeof(port), "%u", (unsigned) t->target.port);

    const int status = getaddrinfo(t->target.host, port, &hints, &t->addresses);

    if (status != 0) {
        t->addresses = NULL;
        (void) break_transport(t,
                               status == EAI_NONAME && !t->target.looks_up
                                   ? "a name stands where an address is needed"
                                   : gai_strerror(status));
        return;
    }

    t->address = t->addresses;
    try_addresses(t, now_ms);
}

static void
open_unix_socket(transport_t *t)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    snprintf(to.sun_path, sizeof(to.sun_path), "%s", t->target.unix_socket);

    const int error =
        begin_connect(t, (const struct sockaddr *) &to, sizeof(to));

    if (error != 0) {
        (void) break_transport(t, strerror(error));
        return;
    }

    t->state = TRANSPORT_CONNECTING;
    t->connect_events = CLIENT_WRITE;
    t->deadline_ms = CLIENT_NO_DEADLINE;
}

void
transport_open(transport_t *t, const transport_target_t *target,
               uint64_t now_ms)
{
    forget_addresses(t);
    t->target = *target;
    t->error[0] = '\0';
    t->send_events = 0;
    t->receive_events = CLIENT_READ;

    if (target->host == NULL) {
        open_unix_socket(t);
    } else {
        open_host(t, now_ms);
    }
}

static transport_result_t
finish_opening(transport_t *t)
{
    forget_addresses(t);
    t->state = TRANSPORT_OPEN;
    return TRANSPORT_DONE;
}

static transport_result_t
shake_hands(transport_t *t)
{
    switch (tls_connect(t->ssl, &t->connect_events, t->error)) {
    case TLS_DONE:
        return finish_opening(t);
    case TLS_WAIT:
        return TRANSPORT_WAIT;
    case TLS_FAILED:
    default:
        return break_transport(t, t->error);
    }
}

/* The socket is connected. */
static transport_result_t
begin_session(transport_t *t)
{
    t->deadline_ms = CLIENT_NO_DEADLINE;

    if (t->target.tls == NULL) {
        return finish_opening(t);
    }

    t->ssl = tls_new(t->target.tls, t->fd, t->target.tls_name);

    if (t->ssl == NULL) {
        return break_transport(t, "no memory for TLS, or tls_name is no name");
    }

    t->state = TRANSPORT_SHAKING_HANDS;
    return shake_hands(t);
}

/* The address in use cannot be reached. */
static transport_result_t
pass_over(transport_t *t, int error, uint64_t now_ms)
{
    snprintf(t->error, sizeof(t->error), "%s", strerror(error));
    try_addresses(t, now_ms);
    return t->state == TRANSPORT_CONNECTING ? TRANSPORT_WAIT : TRANSPORT_FAILED;
}

transport_result_t
transport_connect(transport_t *t, int ready, uint64_t now_ms)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (t->state == TRANSPORT_SHAKING_HANDS) {
        return (ready & t->connect_events) != 0 ? shake_hands(t)
                                                : TRANSPORT_WAIT;
    }

    if (t->state != TRANSPORT_CONNECTING) {
        return t->state == TRANSPORT_OPEN ? TRANSPORT_DONE : TRANSPORT_FAILED;
    }

    if ((ready & CLIENT_WRITE) == 0) {
        return now_ms >= t->deadline_ms ? pass_over(t, ETIMEDOUT, now_ms)
                                        : TRANSPORT_WAIT;
    }

    if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1) {
        error = errno;
    }

    return error == 0 ? begin_session(t) : pass_over(t, error, now_ms);
}

static transport_result_t
move_result(transport_t *t, tls_result_t result)
{
    return result == TLS_DONE   ? TRANSPORT_DONE
           : result == TLS_WAIT ? TRANSPORT_WAIT
                                : break_transport(t, connection_lost);
}

/* Of send() and recv(), which no signal interrupts where they do not wait. */
static transport_result_t
count_result(transport_t *t, ssize_t count, size_t *moved)
{
    if (count > 0) {
        *moved = (size_t) count;
        return TRANSPORT_DONE;
    }

    return count < 0 && errno == EAGAIN ? TRANSPORT_WAIT
                                        : break_transport(t, connection_lost);
}

transport_result_t
transport_send(transport_t *t, const char *octets, size_t size, size_t *moved)
{
    if (t->ssl != NULL) {
        t->send_events = 0;
        return move_result(
            t, tls_send(t->ssl, octets, size, moved, &t->send_events));
    }

    const transport_result_t result =
        count_result(t, send(t->fd, octets, size, MSG_NOSIGNAL), moved);

    t->send_events = result == TRANSPORT_WAIT ? CLIENT_WRITE : 0;
    return result;
}

transport_result_t
transport_receive(transport_t *t, char *octets, size_t size, size_t *moved)
{
    if (t->ssl != NULL) {
        t->receive_events = CLIENT_READ;
        return move_result(
            t, tls_receive(t->ssl, octets, size, moved, &t->receive_events));
    }

    return count_result(t, recv(t->fd, octets, size, 0), moved);
}
