#include "stream/socket_filter.h"

#include <ngx_stream.h>

#include <stdio.h>

#include "server/flood_filter.h"
#include "server/statistics.h"
#include "stream/accept.h"
#include "stream/datagram.h"

/* One that may have a filter. */
typedef struct {
    ngx_socket_t fd;   /* the listener's */
    ngx_socket_t held; /* our own while there is a filter: a graceful end closes
                          the listener before it tells us; or -1 */
} filtered_t;

static ngx_array_t sockets;
static size_t current; /* instructions of the filter; 0: there is none */
static ngx_uint_t is_counting;
static uint64_t overflows; /* the kernel's number at the last count */


/* The column of a line of /proc/net/snmp that a line of names before says. */
static uint64_t
read_column(FILE *file, const char *row, const char *column)
{
    char names[1024];
    char numbers[1024];
    while (fgets(names, sizeof(names), file) != NULL &&
           fgets(numbers, sizeof(numbers), file) != NULL) {
        char *rest = NULL;
        char *rest_of_numbers = NULL;
        const char *name = strtok_r(names, " \n", &rest);
        const char *number = strtok_r(numbers, " \n", &rest_of_numbers);
        if (name == NULL || ngx_strcmp(name, row) != 0) {
            continue;
        }
        while (name != NULL && number != NULL &&
               ngx_strcmp(name, column) != 0) {
            name = strtok_r(NULL, " \n", &rest);
            number = strtok_r(NULL, " \n", &rest_of_numbers);
        }
        return name != NULL && number != NULL ? strtoull(number, NULL, 10) : 0;
    }
    return 0;
}


/* /proc/net/snmp6 has one line for each number. */
static uint64_t
read_line(FILE *file, const char *name)
{
    char line[256];
    while (fgets(line, sizeof(line), file) != NULL) {
        char *rest = NULL;
        const char *first = strtok_r(line, " \t\n", &rest);
        const char *number = strtok_r(NULL, " \t\n", &rest);
        if (first != NULL && number != NULL && ngx_strcmp(first, name) == 0) {
            return strtoull(number, NULL, 10);
        }
    }
    return 0;
}


/* How many datagrams have found no room in any receive buffer of the system's
   (or the container's) sockets. */
static uint64_t
count_overflows(void)
{
    uint64_t count = 0;
    FILE *file = fopen("/proc/self/net/snmp", "re");
    if (file != NULL) {
        count = read_column(file, "Udp:", "RcvbufErrors");
        (void) fclose(file);
    }
    file = fopen("/proc/self/net/snmp6", "re");
    if (file != NULL) {
        count += read_line(file, "Udp6RcvbufErrors");
        (void) fclose(file);
    }
    return count;
}


static ngx_uint_t
count_drops(void)
{
    const filtered_t *s = sockets.elts;
    datagram_queue_t queue;
    ngx_uint_t count = 0;
    for (ngx_uint_t i = 0; i < sockets.nelts; i++) {
        const ngx_socket_t fd =
            s[i].held != (ngx_socket_t) -1 ? s[i].held : s[i].fd;
        if (datagram_queue(fd, &queue)) {
            count += dns_statistics_drops(fd, queue.dropped);
        }
    }
    return count;
}


/* A socket has one number for both kinds of drops.  What has overflowed
   meanwhile, anywhere, is taken to be ours. */
static ngx_uint_t
count(void)
{
    if (!is_counting) {
        return 0;
    }
    const uint64_t now = count_overflows();
    const ngx_uint_t drops = count_drops();
    const ngx_uint_t lost = ngx_min(drops, (ngx_uint_t) (now - overflows));
    overflows = now;
    is_counting = current > 0;
    dns_counts[DNS_COUNT_KERNEL_DROPPED] += lost;
    dns_counts[DNS_COUNT_FILTERED] += drops - lost;
    return drops - lost;
}


static void
detach_from(ngx_socket_t fd)
{
    int none = 0;
    (void) setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none));
}


static void
detach(void)
{
    filtered_t *s = sockets.elts;
    for (ngx_uint_t i = 0; i < sockets.nelts; i++) {
        if (s[i].held != (ngx_socket_t) -1) {
            detach_from(s[i].held);
            (void) ngx_close_socket(s[i].held);
            s[i].held = (ngx_socket_t) -1;
        }
    }
    current = 0;
}


static ngx_uint_t
is_stream_udp(const ngx_listening_t *ls)
{
    return ls->type == SOCK_DGRAM && ls->fd != (ngx_socket_t) -1 &&
           ls->handler == ngx_stream_init_connection;
}


static void
detach_everywhere(void)
{
    const ngx_listening_t *ls = ngx_cycle->listening.elts;
    for (ngx_uint_t i = 0; i < ngx_cycle->listening.nelts; i++) {
        if (is_stream_udp(&ls[i])) {
            detach_from(ls[i].fd);
        }
    }
}


/* The system counts the old and the new filter together until the old one has
   gone. */
static ngx_err_t
attach_to(ngx_socket_t fd, const struct sock_fprog *program)
{
    for (ngx_uint_t i = 0; i < 2; i++) {
        if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, program,
                       sizeof(*program)) == 0) {
            return 0;
        }
        if (ngx_socket_errno != NGX_ENOMEM) {
            break;
        }
        detach_from(fd);
    }
    return ngx_socket_errno;
}


static ngx_err_t
hold_and_attach(filtered_t *s, const struct sock_fprog *program)
{
    if (s->held == (ngx_socket_t) -1) {
        s->held = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
    }
    return s->held == (ngx_socket_t) -1 ? ngx_errno
                                        : attach_to(s->held, program);
}


static ngx_int_t
fail(ngx_err_t error)
{
    static time_t logged_at;
    detach();
    if (error == NGX_ENOMEM) {
        return NGX_DECLINED;
    }
    if (accept_may_log(&logged_at)) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, error,
                      "the system takes no filter for a UDP socket: the worker "
                      "itself drops the names of a flood, which takes some of "
                      "its time");
    }
    return NGX_ERROR;
}


static ngx_int_t
attach(struct sock_filter *program, size_t size)
{
    const struct sock_fprog wanted = {.len = (unsigned short) size,
                                      .filter = program};
    filtered_t *s = sockets.elts;
    if (!is_counting) {
        dns_counts[DNS_COUNT_KERNEL_DROPPED] += count_drops();
        overflows = count_overflows();
        is_counting = 1;
    }
    for (ngx_uint_t i = 0; i < sockets.nelts; i++) {
        const ngx_err_t error = hold_and_attach(&s[i], &wanted);
        if (error != 0) {
            return fail(error);
        }
    }
    current = size;
    return NGX_OK;
}


/* Its instructions; 0: it has none. */
static size_t
filter_of(ngx_socket_t fd)
{
    socklen_t size = 0;
    return getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &size) == 0 ? size
                                                                       : 0;
}


static ngx_uint_t
is_attached(void)
{
    const filtered_t *s = sockets.elts;
    for (ngx_uint_t i = 0; i < sockets.nelts; i++) {
        if (filter_of(s[i].held) != current) {
            return 0;
        }
    }
    return 1;
}


static const dns_flood_sockets_t operations = {
    attach, detach, detach_everywhere, is_attached, count};


void
socket_filter_open(void)
{
    if (sockets.nelts > 0) {
        dns_flood_filter_open(&operations);
    }
}


void
socket_filter_close(void)
{
    dns_flood_filter_close();
}


void
socket_filter_clean(ngx_socket_t fd)
{
    detach_from(fd);
}


ngx_int_t
socket_filter_add(ngx_cycle_t *cycle, ngx_socket_t fd)
{
    if (sockets.elts == NULL && ngx_array_init(&sockets, cycle->pool, 4,
                                               sizeof(filtered_t)) != NGX_OK) {
        return NGX_ERROR;
    }
    filtered_t *s = ngx_array_push(&sockets);
    if (s == NULL) {
        return NGX_ERROR;
    }
    s->fd = fd;
    s->held = (ngx_socket_t) -1;
    return NGX_OK;
}


ngx_uint_t
socket_filter_counts(ngx_socket_t fd)
{
    const filtered_t *s = sockets.elts;
    for (ngx_uint_t i = 0; is_counting && i < sockets.nelts; i++) {
        if (s[i].fd == fd) {
            return 1;
        }
    }
    return 0;
}


void
socket_filter_check(ngx_socket_t fd)
{
    if (current == 0 && filter_of(fd) > 0) {
        detach_from(fd);
    }
}
