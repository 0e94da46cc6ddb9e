#ifndef STREAM_DATAGRAM_H
#define STREAM_DATAGRAM_H

/*
 * Datagrams in batches: one recvmmsg() takes up to DATAGRAM_BATCH of them, one
 * sendmmsg() sends the replies from the addresses that were asked.  The
 * buffers are the process's own; one batch is in use at a time.
 *
 *     const unsigned count = datagram_receive(fd, is_wildcard);
 *     for (i = 0; i < count; i++) {
 *         const datagram_t *d = datagram_get(i);
 *         size = ... write to datagram_reply_room() ...
 *         datagram_reply(i, size);
 *     }
 *     datagram_send(fd, log);
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include <stdint.h>

enum {
    DATAGRAM_BATCH = 64,
    DATAGRAM_SIZE_MAX = 65535, /* octets of one that is received */
    DATAGRAM_REPLY_MAX = 4096, /* octets of one reply */
};

typedef struct {
    uint8_t *octets; /* until the next receive */
    size_t size;
    struct sockaddr *client;
    socklen_t client_size;
    unsigned is_cut; /* address or data did not fit: ignore it */
} datagram_t;

/* How many came; 0: none waits (or an error, logged). */
unsigned datagram_receive(ngx_socket_t fd, ngx_uint_t is_wildcard,
                          ngx_log_t *log);

void datagram_get(unsigned i, datagram_t *d);

/* What the kernel says of a socket's datagrams; 0: it could not be asked. */
typedef struct {
    uint32_t waiting; /* octets of memory of those that wait ... */
    uint32_t room;    /* ... of so many */
    uint32_t dropped; /* datagrams, since the socket was made */
} datagram_queue_t;

ngx_uint_t datagram_queue(ngx_socket_t fd, datagram_queue_t *queue);

/* The address that datagram i was sent to: fills in the IP address of *local,
   the listener's own wildcard address. */
void datagram_local(unsigned i, struct sockaddr *local);

/* Room for DATAGRAM_REPLY_MAX octets, then the reply to datagram i. */
uint8_t *datagram_reply_room(void);
void datagram_reply(unsigned i, size_t size);

/* Sends what was put since the receive; gives how many these were. */
unsigned datagram_send(ngx_socket_t fd, ngx_log_t *log);

/* Where a late reply goes; local NULL: from the socket's own address. */
typedef struct {
    ngx_socket_t fd;
    const struct sockaddr *client;
    socklen_t client_size;
    const struct sockaddr *local;
} datagram_address_t;

/* Replies out of the order of receiving: copied, and sent together by
   datagram_late_send() or when there are many.  size: at most
   DATAGRAM_REPLY_MAX. */
void datagram_late_put(const datagram_address_t *to, const uint8_t *octets,
                       size_t size, ngx_log_t *log);
void datagram_late_send(ngx_log_t *log);

/* One datagram outside of a batch; local NULL: from the socket's address.
   NGX_OK, NGX_AGAIN or NGX_ERROR (errno). */
ngx_int_t datagram_send_one(ngx_socket_t fd, const struct sockaddr *client,
                            socklen_t client_size, const struct sockaddr *local,
                            const void *octets, size_t size);

#endif
