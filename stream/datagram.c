#include "stream/datagram.h"

#include <linux/sock_diag.h>
#include <poll.h>

#include "server/statistics.h"

enum {
    CONTROL_SIZE = CMSG_SPACE(sizeof(struct in6_pktinfo)),
    /* Buffers a multiple of the page size apart would share cache sets. */
    RECEIVE_STRIDE = DATAGRAM_SIZE_MAX + 1 + 5 * 64,
    REPLY_STRIDE = DATAGRAM_REPLY_MAX + 3 * 64,
    SEND_WAIT = 1,   /* ms: a full send buffer gets this long to drain */
    SEND_PAUSE = 50, /* ms: and does not for so long if that was in vain */
};

/* Only the pages that are used become resident. */
static uint8_t received[DATAGRAM_BATCH][RECEIVE_STRIDE];
static uint8_t replies[DATAGRAM_BATCH][REPLY_STRIDE];
static ngx_sockaddr_t clients[DATAGRAM_BATCH];
static union {
    struct cmsghdr align;
    uint8_t octets[CONTROL_SIZE];
} controls[DATAGRAM_BATCH];
static struct iovec in_vectors[DATAGRAM_BATCH];
static struct iovec out_vectors[DATAGRAM_BATCH];
static struct mmsghdr in[DATAGRAM_BATCH];
static struct mmsghdr out[DATAGRAM_BATCH];
static unsigned in_count; /* of the last batch: their headers were changed */
static unsigned out_count;


static void
reset(unsigned i, ngx_uint_t is_wildcard)
{
    struct msghdr *m = &in[i].msg_hdr;
    in_vectors[i].iov_base = received[i];
    in_vectors[i].iov_len = DATAGRAM_SIZE_MAX;
    m->msg_name = &clients[i];
    m->msg_namelen = sizeof(clients[i]);
    m->msg_iov = &in_vectors[i];
    m->msg_iovlen = 1;
    m->msg_control = is_wildcard ? &controls[i] : NULL;
    m->msg_controllen = is_wildcard ? CONTROL_SIZE : 0;
}


/* Headers that the last call left as they were need no reset. */
static void
prepare(ngx_uint_t is_wildcard)
{
    static ngx_uint_t was_wildcard;
    static ngx_uint_t is_ready;
    unsigned count = in_count;
    if (!is_ready || was_wildcard != is_wildcard) {
        count = DATAGRAM_BATCH;
        is_ready = 1;
        was_wildcard = is_wildcard;
    }
    for (unsigned i = 0; i < count; i++) {
        reset(i, is_wildcard);
    }
    in_count = 0;
    out_count = 0;
}


unsigned
datagram_receive(ngx_socket_t fd, ngx_uint_t is_wildcard, ngx_log_t *log)
{
    prepare(is_wildcard);
    const int count = recvmmsg(fd, in, DATAGRAM_BATCH, MSG_DONTWAIT, NULL);
    if (count < 0) {
        const ngx_err_t error = ngx_socket_errno;
        if (error != NGX_EAGAIN && error != NGX_EINTR) {
            ngx_log_error(NGX_LOG_ALERT, log, error, "recvmmsg() failed");
        }
        return 0;
    }
    in_count = (unsigned) count;
    return in_count;
}


void
datagram_get(unsigned i, datagram_t *d)
{
    const struct msghdr *m = &in[i].msg_hdr;
    d->octets = received[i];
    d->size = in[i].msg_len;
    d->client = m->msg_name;
    d->client_size = m->msg_namelen;
    d->is_cut = (m->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
                m->msg_namelen == 0 || m->msg_namelen > sizeof(ngx_sockaddr_t);
}


ngx_uint_t
datagram_queue(ngx_socket_t fd, datagram_queue_t *queue)
{
    uint32_t values[SK_MEMINFO_VARS];
    socklen_t size = sizeof(values);
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, values, &size) == -1 ||
        size <= SK_MEMINFO_DROPS * sizeof(values[0])) {
        return 0;
    }
    *queue = (datagram_queue_t){.waiting = values[SK_MEMINFO_RMEM_ALLOC],
                                .room = values[SK_MEMINFO_RCVBUF],
                                .dropped = values[SK_MEMINFO_DROPS]};
    return 1;
}


static struct cmsghdr *
find_control(struct msghdr *m, int level, int type)
{
    struct cmsghdr *c = m->msg_controllen > 0 ? CMSG_FIRSTHDR(m) : NULL;
    while (c != NULL && (c->cmsg_level != level || c->cmsg_type != type)) {
        c = CMSG_NXTHDR(m, c);
    }
    return c;
}


void
datagram_local(unsigned i, struct sockaddr *local)
{
    struct msghdr *m = &in[i].msg_hdr;
    const struct cmsghdr *c;
    if (local->sa_family == AF_INET6) {
        c = find_control(m, IPPROTO_IPV6, IPV6_PKTINFO);
        if (c != NULL) {
            const struct in6_pktinfo *info = (const void *) CMSG_DATA(c);
            ((struct sockaddr_in6 *) local)->sin6_addr = info->ipi6_addr;
        }
    } else {
        c = find_control(m, IPPROTO_IP, IP_PKTINFO);
        if (c != NULL) {
            const struct in_pktinfo *info = (const void *) CMSG_DATA(c);
            ((struct sockaddr_in *) local)->sin_addr = info->ipi_addr;
        }
    }
}


/* The reply leaves from the address that was asked, by whatever interface the
   routes say. */
static void
turn_around(struct msghdr *m)
{
    struct cmsghdr *c = find_control(m, IPPROTO_IP, IP_PKTINFO);
    if (c != NULL) {
        ((struct in_pktinfo *) CMSG_DATA(c))->ipi_ifindex = 0;
        return;
    }
    c = find_control(m, IPPROTO_IPV6, IPV6_PKTINFO);
    if (c != NULL) {
        struct in6_pktinfo *info = (void *) CMSG_DATA(c);
        if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr)) {
            info->ipi6_ifindex = 0;
        }
        if (IN6_IS_ADDR_MULTICAST(&info->ipi6_addr)) {
            m->msg_controllen = 0;
        }
    }
}


uint8_t *
datagram_reply_room(void)
{
    return replies[out_count];
}


void
datagram_reply(unsigned i, size_t size)
{
    struct msghdr *from = &in[i].msg_hdr;
    struct msghdr *to = &out[out_count].msg_hdr;
    out_vectors[out_count].iov_base = replies[out_count];
    out_vectors[out_count].iov_len = size;
    to->msg_name = from->msg_name;
    to->msg_namelen = from->msg_namelen;
    to->msg_iov = &out_vectors[out_count];
    to->msg_iovlen = 1;
    to->msg_control = from->msg_control;
    to->msg_controllen = from->msg_controllen;
    to->msg_flags = 0;
    if (to->msg_controllen > 0) {
        turn_around(to);
    }
    out_count++;
}


/* A full buffer drains in microseconds; a reply that still does not fit is
   lost, as a datagram may be.  Where the wait was for nothing, the next replies
   are not waited for: others wait for this worker. */
static ngx_uint_t
is_writable_soon(ngx_socket_t fd)
{
    static ngx_msec_t waits_again_at;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    const ngx_uint_t may_wait =
        (ngx_msec_int_t) (ngx_current_msec - waits_again_at) >= 0;
    if (poll(&p, 1, may_wait ? SEND_WAIT : 0) > 0) {
        return 1;
    }
    if (may_wait) {
        waits_again_at = ngx_current_msec + SEND_PAUSE;
    }
    return 0;
}


static void
send_all(ngx_socket_t fd, struct mmsghdr *messages, unsigned count,
         ngx_log_t *log)
{
    unsigned done = 0;
    ngx_uint_t waited = 0;
    while (done < count) {
        const int sent =
            sendmmsg(fd, messages + done, count - done, MSG_DONTWAIT);
        if (sent > 0) {
            done += (unsigned) sent;
            waited = 0;
            continue;
        }
        const ngx_err_t error = ngx_socket_errno;
        if (error == NGX_EINTR) {
            continue;
        }
        if (error == NGX_EAGAIN) {
            if (!waited++ && is_writable_soon(fd)) {
                continue;
            }
            dns_counts[DNS_COUNT_SEND_ERRORS] += count - done;
            break;
        }
        /* This one cannot be sent (no route, filtered, size); the next may. */
        ngx_log_error(NGX_LOG_INFO, log, error, "sendmmsg() failed");
        dns_counts[DNS_COUNT_SEND_ERRORS]++;
        done++;
    }
}


unsigned
datagram_send(ngx_socket_t fd, ngx_log_t *log)
{
    const unsigned count = out_count;
    send_all(fd, out, count, log);
    out_count = 0;
    return count;
}


static void
put_source(struct msghdr *m, const struct sockaddr *local)
{
    struct cmsghdr *c = m->msg_control;
    if (local->sa_family == AF_INET6) {
        struct in6_pktinfo info = {
            .ipi6_addr = ((const struct sockaddr_in6 *) local)->sin6_addr};
        c->cmsg_level = IPPROTO_IPV6;
        c->cmsg_type = IPV6_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(info));
        m->msg_controllen = CMSG_SPACE(sizeof(info));
        memcpy(CMSG_DATA(c), &info, sizeof(info));
    } else {
        struct in_pktinfo info = {
            .ipi_spec_dst = ((const struct sockaddr_in *) local)->sin_addr};
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(info));
        m->msg_controllen = CMSG_SPACE(sizeof(info));
        memcpy(CMSG_DATA(c), &info, sizeof(info));
    }
}


/* Replies that are late, for one descriptor. */
static struct {
    ngx_socket_t fd;
    unsigned count;
    struct mmsghdr messages[DATAGRAM_BATCH];
    struct iovec vectors[DATAGRAM_BATCH];
    ngx_sockaddr_t clients[DATAGRAM_BATCH];
    union {
        struct cmsghdr align;
        uint8_t octets[CONTROL_SIZE];
    } controls[DATAGRAM_BATCH];
    uint8_t octets[DATAGRAM_BATCH][REPLY_STRIDE];
} late;


void
datagram_late_send(ngx_log_t *log)
{
    send_all(late.fd, late.messages, late.count, log);
    late.count = 0;
}


void
datagram_late_put(const datagram_address_t *to, const uint8_t *octets,
                  size_t size, ngx_log_t *log)
{
    if (late.count == DATAGRAM_BATCH || (late.count > 0 && late.fd != to->fd)) {
        datagram_late_send(log);
    }
    const unsigned i = late.count++;
    struct msghdr *m = &late.messages[i].msg_hdr;
    late.fd = to->fd;
    ngx_memcpy(late.octets[i], octets, size);
    ngx_memcpy(&late.clients[i], to->client, to->client_size);
    late.vectors[i].iov_base = late.octets[i];
    late.vectors[i].iov_len = size;
    ngx_memzero(m, sizeof(*m));
    m->msg_name = &late.clients[i];
    m->msg_namelen = to->client_size;
    m->msg_iov = &late.vectors[i];
    m->msg_iovlen = 1;
    if (to->local != NULL) {
        ngx_memzero(&late.controls[i], sizeof(late.controls[i]));
        m->msg_control = &late.controls[i];
        put_source(m, to->local);
    }
}


ngx_int_t
datagram_send_one(ngx_socket_t fd, const struct sockaddr *client,
                  socklen_t client_size, const struct sockaddr *local,
                  const void *octets, size_t size)
{
    union {
        struct cmsghdr align;
        uint8_t octets[CONTROL_SIZE];
    } control;
    struct iovec vector = {.iov_base = (void *) octets, .iov_len = size};
    struct msghdr m = {.msg_name = (void *) client,
                       .msg_namelen = client_size,
                       .msg_iov = &vector,
                       .msg_iovlen = 1};
    if (local != NULL) {
        ngx_memzero(&control, sizeof(control));
        m.msg_control = &control;
        put_source(&m, local);
    }
    ssize_t sent;
    do {
        sent = sendmsg(fd, &m, MSG_DONTWAIT);
    } while (sent == -1 && ngx_socket_errno == NGX_EINTR);
    if (sent >= 0) {
        return NGX_OK;
    }
    return ngx_socket_errno == NGX_EAGAIN ? NGX_AGAIN : NGX_ERROR;
}
