#ifndef STORE_REDIS_DATABASE_H
#define STORE_REDIS_DATABASE_H

/* Redis for who may block: connect.c finds the server that has a zone and asks
   it, database.c reads, write.c edits. */

#include "client/redis.h"
#include "store/buffer.h"
#include "store/private/database.h"
#include "store/redis/names.h"

enum { REDIS_NODES_MAX = 64 }; /* masters of a cluster */

typedef struct {
    char address[REDIS_CLIENT_HOST_SIZE]; /* "": the Unix socket */
    uint16_t port;
    bool is_visited; /* by redis_each_master() */
    redis_client_t client;
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
    struct ssl_ctx_st *tls; /* owned; NULL: no TLS */
    redisReply *reply;      /* to the last command; its caller's */
    size_t reply_count;     /* to a transaction */
    bool is_refused;        /* the transaction */
    void (*take)(store_database_t *db, redisReply *reply);
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

/* A command to the node in use, and its reply; NULL: the connection is lost. */
redisReply *redis_call(store_database_t *db, const char *format, ...);

/* Commands that were put; take() is given each reply.  false: the connection is
   lost. */
bool redis_exchange(store_database_t *db,
                    void (*take)(store_database_t *db, redisReply *reply));

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
