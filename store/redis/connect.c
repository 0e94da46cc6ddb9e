/* The way to Redis for who may block: the server, a cluster's masters, commands
   and their replies. */

#include "store/redis/database.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client/deadline.h"
#include "store/redis/cluster.h"
#include "store/redis/settings.h"

enum {
    CONNECTING_MS_MAX = 2000, /* another host may be there */
    REPLY_MAX = 1 << 30,      /* octets: a whole zone */
};

static redis_link_t *
link_of(store_database_t *db)
{
    return db->link;
}

void
redis_close(store_database_t *db)
{
    redis_link_t *link = link_of(db);

    for (unsigned i = 0; i < link->node_count; i++) {
        redis_client_deinit(&link->nodes[i].client);
    }

    redis_forget_transaction(link);
    buffer_free(&link->commands);
    tls_context_release(link->tls);
    free(link);
}

/* Why the connection to the node in use was lost. */
static const char *
lost(const store_database_t *db)
{
    const redis_link_t *link = db->link;

    return link->node->client.error;
}

/* Until the node has replied to everything, or the thread's time is over. */
static bool
run(redis_client_t *client)
{
    client_wait_t wait;
    int ready = 0;

    for (;;) {
        const uint64_t moved = client->moved;
        const client_step_t step =
            redis_client_step(client, ready, client_now_ms(), &wait);

        deadline_moved(client->moved - moved);

        if (step != CLIENT_WAIT) {
            return step == CLIENT_DONE;
        }

        ready = client_wait_poll(&wait);

        if (deadline_left() == 0) {
            redis_client_fail(client, "timeout");
        }
    }
}

bool
redis_exchange(store_database_t *db,
               void (*take)(store_database_t *db, redisReply *reply))
{
    redis_link_t *link = link_of(db);

    link->take = take;
    return run(&link->node->client);
}

static void
take_reply(void *data, redisReply *reply)
{
    store_database_t *db = data;

    link_of(db)->take(db, reply);
}

static void
keep_reply(store_database_t *db, redisReply *reply)
{
    link_of(db)->reply = reply;
}

redisReply *
redis_call(store_database_t *db, const char *format, ...)
{
    redis_link_t *link = link_of(db);
    redis_client_t *client = &link->node->client;
    char *command = NULL;
    va_list arguments;

    va_start(arguments, format);

    const int size = redisvFormatCommand(&command, format, arguments);

    va_end(arguments);
    link->reply = NULL;

    if (!redis_client_put_command(client, command, size)) {
        redis_client_fail(client, "no memory for a command");
        return NULL;
    }

    (void) redis_exchange(db, keep_reply); /* a reply that came is one */
    return link->reply;
}

redisReply *
redis_check_reply(store_database_t *db, redisReply *reply, int type)
{
    if (reply != NULL && reply->type == type) {
        return reply;
    }

    const char *reason = reply == NULL ? lost(db)
                         : reply->type == REDIS_REPLY_ERROR
                             ? reply->str
                             : "not a reply to the command";

    (void) !database_fail(db, DNS_ESTORE, reason);

    if (reply != NULL) {
        freeReplyObject(reply);
    }

    return NULL;
}

dns_status_t
redis_expect(store_database_t *db, redisReply *reply, int type)
{
    redisReply *checked = redis_check_reply(db, reply, type);

    if (checked == NULL) {
        return DNS_ESTORE;
    }

    freeReplyObject(checked);
    return DNS_OK;
}

/* A node more, which is the one in use from now on, logged in.  address: "":
   the Unix socket. */
static dns_status_t
open_node(store_database_t *db, const char *address, uint16_t port)
{
    redis_link_t *link = link_of(db);
    redis_client_settings_t settings = redis_settings_of(db->options);

    if (link->node_count == REDIS_NODES_MAX) {
        return database_fail(db, DNS_ESTORE, "too many nodes in the cluster");
    }

    redis_node_t *node = &link->nodes[link->node_count];

    if (strlen(address) >= sizeof(node->address)) {
        return database_fail(db, DNS_ESTORE, "too long a host's name");
    }

    settings.tls = link->tls;
    settings.looks_up = true;
    settings.connect_ms = CONNECTING_MS_MAX;
    settings.reply_max = REPLY_MAX;
    settings.take = take_reply;
    settings.data = db;
    strcpy(node->address, address);
    node->port = port;
    link->node = node;
    link->node_count++;

    redis_client_init(&node->client, &settings);
    redis_client_open(&node->client, address[0] == '\0' ? NULL : node->address,
                      port, client_now_ms(), CLIENT_NO_DEADLINE);
    return run(&node->client) ? DNS_OK
                              : database_fail(db, DNS_ESTORE, lost(db));
}

static dns_status_t
prepare_tls(store_database_t *db)
{
    if (!db->options->is_tls) {
        return DNS_OK;
    }

    link_of(db)->tls = tls_context_new(db->options->ca_file);
    return link_of(db)->tls != NULL
               ? DNS_OK
               : database_fail(db, DNS_ESTORE, "ca_file cannot be read");
}

dns_status_t
redis_connect(store_database_t *db, const char *host, uint16_t port)
{
    db->link = calloc(1, sizeof(redis_link_t));

    if (db->link == NULL) {
        return database_fail(db, DNS_ENOMEM, "no memory for a connection");
    }

    dns_status_t status = prepare_tls(db);

    if (status == DNS_OK) {
        status = open_node(db, host == NULL ? "" : host, port);
    }

    if (status != DNS_OK) {
        database_close(db);
    }

    return status;
}

/* The node, connected if need be, is the one in use from now on. */
static dns_status_t
use_node(store_database_t *db, const redis_slots_t *slots)
{
    redis_link_t *link = link_of(db);

    for (unsigned i = 0; i < link->node_count; i++) {
        redis_node_t *node = &link->nodes[i];

        if (node->port == slots->port &&
            strcmp(node->address, slots->address) == 0) {
            link->node = node;
            return DNS_OK;
        }
    }

    return open_node(db, slots->address, slots->port);
}

/* Asked each time: edits are few, and nodes may have changed. */
static redisReply *
ask_slots(store_database_t *db)
{
    return redis_check_reply(db, redis_call(db, "CLUSTER SLOTS"),
                             REDIS_REPLY_ARRAY);
}

static bool
is_master(const redis_slots_t *slots)
{
    return slots->is_master && slots->address[0] != '\0';
}

/* The search for the master that has a slot. */
typedef struct {
    store_database_t *db;
    long long slot;
    dns_status_t status; /* DNS_ENOTFOUND: not yet */
} search_t;

static bool
visit_slots(void *data, const redis_slots_t *slots)
{
    search_t *search = data;

    if (is_master(slots) && slots->first <= search->slot &&
        search->slot <= slots->last) {
        search->status = use_node(search->db, slots);
    }

    return search->status == DNS_ENOTFOUND;
}

static dns_status_t
find_master(store_database_t *db, long long slot)
{
    search_t search = {db, slot, DNS_ENOTFOUND};
    redisReply *reply = ask_slots(db);

    if (reply == NULL) {
        return DNS_ESTORE;
    }

    redis_each_slots(reply, visit_slots, &search);
    freeReplyObject(reply);
    return search.status == DNS_ENOTFOUND
               ? database_fail(db, DNS_ESTORE, "no node has the zone's slot")
               : search.status;
}

dns_status_t
redis_route(store_database_t *db)
{
    if (!db->options->is_cluster) {
        return DNS_OK;
    }

    redisReply *slot = redis_check_reply(
        db, redis_call(db, "CLUSTER KEYSLOT %s", link_of(db)->key),
        REDIS_REPLY_INTEGER);

    if (slot == NULL) {
        return DNS_ESTORE;
    }

    const long long number = slot->integer;

    freeReplyObject(slot);
    return find_master(db, number);
}

/* A walk over the masters. */
typedef struct {
    store_database_t *db;
    dns_status_t (*visit)(store_database_t *db, void *data);
    void *data;
    dns_status_t status;
} walk_t;

/* Ranges of one master may be several. */
static bool
visit_master(void *data, const redis_slots_t *slots)
{
    walk_t *walk = data;

    if (is_master(slots)) {
        walk->status = use_node(walk->db, slots);
    } else {
        return true;
    }

    redis_node_t *node = link_of(walk->db)->node;

    if (walk->status == DNS_OK && !node->is_visited) {
        node->is_visited = true;
        walk->status = walk->visit(walk->db, walk->data);
    }

    return walk->status == DNS_OK;
}

dns_status_t
redis_each_master(store_database_t *db,
                  dns_status_t (*visit)(store_database_t *db, void *data),
                  void *data)
{
    walk_t walk = {db, visit, data, DNS_OK};

    if (!db->options->is_cluster) {
        return visit(db, data);
    }

    redisReply *reply = ask_slots(db);

    if (reply == NULL) {
        return DNS_ESTORE;
    }

    for (unsigned i = 0; i < link_of(db)->node_count; i++) {
        link_of(db)->nodes[i].is_visited = false;
    }

    redis_each_slots(reply, visit_master, &walk);
    freeReplyObject(reply);
    return walk.status;
}
