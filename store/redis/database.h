#ifndef STORE_REDIS_DATABASE_H
#define STORE_REDIS_DATABASE_H

/* Redis for who may block: connect.c finds the server that has a zone,
   io.c sends and receives, database.c reads and writes. */

#include <hiredis.h>

#include "store/buffer.h"
#include "store/private/database.h"
#include "store/redis/names.h"

enum {
    REDIS_ADDRESS_SIZE = 256, /* bytes of a host's name and its NUL */
    REDIS_NODES_MAX = 64,     /* masters of a cluster */
};

typedef struct {
    char address[REDIS_ADDRESS_SIZE];
    uint16_t port;
    redisContext *redis; /* owned */
    struct ssl_st *ssl;  /* owned; NULL: no TLS */
} redis_node_t;

/* A field of which a part cannot be read, which stays. */
typedef struct {
    char field[DNS_NAME_TEXT_SIZE];
    char *json; /* owned */
} redis_kept_t;

typedef struct {
    redis_node_t *node;                  /* in use */
    redis_node_t nodes[REDIS_NODES_MAX]; /* one without a cluster */
    unsigned node_count;
    buffer_t commands; /* of the transaction, formatted */
    size_t command_count;
    bool is_cleared;    /* of the zone's fields only those stay: */
    redis_kept_t *kept; /* owned */
    size_t kept_count;
    char *apex; /* owned: the apex's JSON as the transaction found it; NULL:
                   none */
    bool writes_apex; /* as another text than that */
    bool is_dropped;
    char key[STORE_REDIS_KEY_SIZE];
} redis_link_t;

/* What is kept of a transaction. */
void redis_forget_transaction(redis_link_t *link);

static inline redisContext *
redis_of(store_database_t *db)
{
    return ((redis_link_t *) db->link)->node->redis;
}

/* A command to the node in use, and its reply; NULL: see redis_of()->errstr. */
redisReply *redis_call(store_database_t *db, const char *format, ...);

/* The next reply, after what was appended is sent. */
redisReply *redis_next_reply(store_database_t *db);

/* After it has been connected. */
bool redis_set_nonblocking(const redis_node_t *node);

/* After a call of TLS that gave result: waits for what it wants.  false: it has
   failed, or the deadline is over. */
bool redis_tls_wait(const redis_node_t *node, int result);

/* TLS over the node's connection, with the server's certificate checked. */
dns_status_t redis_tls_open(store_database_t *db, redis_node_t *node);
void redis_tls_close(redis_node_t *node);

dns_status_t redis_connect(store_database_t *db, const char *host,
                           uint16_t port);
void redis_close(store_database_t *db);

/* The node of the cluster that has the link's key is the one in use from now
   on. */
dns_status_t redis_route(store_database_t *db);

/* Calls visit() with each master of the cluster in use. */
dns_status_t redis_each_master(store_database_t *db,
                               dns_status_t (*visit)(store_database_t *db,
                                                     void *data),
                               void *data);

/* The reply of the type; otherwise NULL, and why in the error. */
redisReply *redis_check_reply(store_database_t *db, redisReply *reply,
                              int type);
dns_status_t redis_expect(store_database_t *db, redisReply *reply, int type);

/* The zone that is read or written next, at the node that has it. */
dns_status_t redis_use_zone(store_database_t *db, const dns_name_t *apex);

/* The field of a name; NULL: the store failed. */
redisReply *redis_get_field(store_database_t *db, const dns_name_t *name);
dns_status_t redis_read_name(store_database_t *db, const dns_name_t *name,
                             store_nodes_t *out);

/* By the apex's field. */
uint64_t redis_generation_of(const redisReply *apex);

/* Of the driver (private/database.h): write.c. */
dns_status_t redis_begin(store_database_t *db, const dns_name_t *apex,
                         uint64_t *generation);
dns_status_t redis_read_names(store_database_t *db, const uint8_t *const *names,
                              size_t count, store_nodes_t *out);
dns_status_t redis_create(store_database_t *db);
dns_status_t redis_clear(store_database_t *db);
dns_status_t redis_drop(store_database_t *db);
dns_status_t redis_write_node(store_database_t *db, const dns_name_t *name,
                              const dns_node_t *old, const dns_node_t *node);
dns_status_t redis_write_parked(store_database_t *db, const store_nodes_t *old,
                                const store_nodes_t *nodes);
dns_status_t redis_commit(store_database_t *db, uint64_t *generation);
void redis_abort(store_database_t *db);

#endif
