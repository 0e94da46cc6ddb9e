#ifndef CLIENT_REDIS_H
#define CLIENT_REDIS_H

/*
 * A connection to Redis as a machine that never waits (client/wait.h): it asks
 * a sentinel where the master is, if the host is a sentinel, connects to the
 * master, by TLS or not, logs in, sends commands and takes their replies, all
 * with hiredis's formatter and parser.
 *
 *     redis_client_open(r, host, port, now, deadline);
 *     while ((step = redis_client_step(r, ready, now, &wait)) == CLIENT_WAIT) {
 *         wait; ready = ...
 *     }
 *
 * CLIENT_DONE: it is logged in, and every reply has come; further commands may
 * be put, and the steps go on.  CLIENT_ERROR: the connection is of no use any
 * more; it may be opened again.
 */

#include <hiredis.h>

#include "client/transport.h"

enum {
    REDIS_CLIENT_ERROR_SIZE = 256, /* bytes of an error text and its NUL */
    REDIS_CLIENT_HOST_SIZE = 256,  /* of a host's name and its NUL */
};

typedef enum {
    REDIS_CLOSED,
    REDIS_CONNECTING_SENTINEL,
    REDIS_ASKING_SENTINEL,
    REDIS_CONNECTING,
    REDIS_LOGGING_IN,
    REDIS_READY,
    REDIS_BROKEN, /* error says why */
} redis_client_state_t;

/* Texts are borrowed as long as the connection; NULL: none. */
typedef struct {
    const char *unix_socket; /* where no host is given */
    const char *user;
    const char *password;
    unsigned database;
    bool reads_replicas;  /* of a cluster */
    const char *sentinel; /* the master's name: the host is a sentinel */
    const char *sentinel_password;
    struct ssl_ctx_st *tls; /* borrowed; NULL: no TLS */
    const char *tls_name;
    bool looks_up;       /* as transport_target_t has it */
    unsigned connect_ms; /* the same */
    size_t reply_max;    /* octets of one reply */
    /* Takes a reply; called by a step, in the order of the commands.  May put
       commands. */
    void (*take)(void *data, redisReply *reply);
    void *data;
} redis_client_settings_t;

typedef struct {
    redis_client_settings_t settings;
    redis_client_state_t state;
    transport_t transport;
    redisReader *reader; /* owned */
    char *output;        /* owned */
    size_t output_size;
    size_t output_sent;
    size_t output_capacity;
    size_t awaited;       /* replies */
    bool has_more;        /* to read, than one step has read */
    bool is_pushed;       /* replies come without a command as well */
    size_t received;      /* octets since the last reply */
    uint64_t moved;       /* octets, both ways */
    uint64_t deadline_ms; /* until it is ready */
    char master[REDIS_CLIENT_HOST_SIZE]; /* as the sentinel says */
    uint16_t master_port;
    char error[REDIS_CLIENT_ERROR_SIZE];
} redis_client_t;

void redis_client_init(redis_client_t *r,
                       const redis_client_settings_t *settings);
void redis_client_deinit(redis_client_t *r);

/* Begins to connect to the host, or to the Unix socket (NULL).  deadline_ms:
   it is ready by then, or it fails; or CLIENT_NO_DEADLINE. */
void redis_client_open(redis_client_t *r, const char *host, uint16_t port,
                       uint64_t now_ms, uint64_t deadline_ms);

client_step_t redis_client_step(redis_client_t *r, int ready, uint64_t now_ms,
                                client_wait_t *wait);

/* Puts octets with so many commands, to be sent with the next step.  false: no
   memory. */
CLIENT_MUST_USE bool redis_client_put(redis_client_t *r, const char *octets,
                                      size_t size, size_t commands);

/* The same with one command that hiredis has formatted, which is freed. */
CLIENT_MUST_USE bool redis_client_put_command(redis_client_t *r, char *command,
                                              long long size);

/* The connection fails, for the caller's reason. */
void redis_client_fail(redis_client_t *r, const char *error);

#endif
