#ifndef CLIENT_TRANSPORT_H
#define CLIENT_TRANSPORT_H

/*
 * A connection to a server, by TCP or a Unix socket, with TLS or without, for
 * protocol machines that never wait: what would have to, gives
 * TRANSPORT_WAIT, and the caller is called again when the descriptor is ready.
 *
 *     transport_open(&t, &target, now);
 *     while (transport_connect(&t, ready, now) == TRANSPORT_WAIT) {
 *         wait until t.fd is ready for t.connect_events, or the time is
 *         t.deadline_ms
 *     }
 *     transport_send(), transport_receive()
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/tls.h"

struct addrinfo;

enum { TRANSPORT_ERROR_SIZE = 256 }; /* bytes of an error text and its NUL */

typedef enum {
    TRANSPORT_CLOSED,
    TRANSPORT_CONNECTING,
    TRANSPORT_SHAKING_HANDS,
    TRANSPORT_OPEN,
    TRANSPORT_BROKEN, /* error says why */
} transport_state_t;

typedef struct {
    const char *host; /* NULL: unix_socket */
    uint16_t port;
    const char *unix_socket;
    bool looks_up; /* host may be a name, for which the call waits: for threads
                      alone; else it is an address */
    struct ssl_ctx_st *tls; /* borrowed while it connects; NULL: no TLS */
    const char *tls_name;   /* NULL: any certificate of the authorities' */
    unsigned connect_ms;    /* for each address; 0: no bound */
} transport_target_t;

typedef struct {
    transport_state_t state;
    int fd;                     /* owned; -1: none */
    struct ssl_st *ssl;         /* owned; NULL: no TLS */
    struct addrinfo *addresses; /* owned: of a host; from address on untried */
    const struct addrinfo *address;
    transport_target_t target; /* while it connects */
    uint64_t deadline_ms;      /* of the address, or CLIENT_NO_DEADLINE */
    /* What of CLIENT_READ and CLIENT_WRITE the next call of each needs. */
    int connect_events;
    int send_events; /* 0: may be called at once */
    int receive_events;
    char error[TRANSPORT_ERROR_SIZE];
} transport_t;

typedef enum {
    TRANSPORT_DONE,
    TRANSPORT_WAIT,
    TRANSPORT_FAILED, /* the state is TRANSPORT_BROKEN from now on */
} transport_result_t;

/* Closed, before anything else. */
void transport_init(transport_t *transport);

/* Begins to connect to the first of the host's addresses; what was open is
   closed, after the new descriptor is there: they differ.  target's texts are
   borrowed until the connection is open. */
void transport_open(transport_t *transport, const transport_target_t *target,
                    uint64_t now_ms);

/* The next address is tried where one cannot be reached.  ready: what the
   descriptor is ready for. */
transport_result_t transport_connect(transport_t *transport, int ready,
                                     uint64_t now_ms);

/* Moves some octets, *moved of them; TRANSPORT_FAILED: the end as well. */
transport_result_t transport_send(transport_t *transport, const char *octets,
                                  size_t size, size_t *moved);
transport_result_t transport_receive(transport_t *transport, char *octets,
                                     size_t size, size_t *moved);

void transport_close(transport_t *transport);

#endif
