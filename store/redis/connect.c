/* The way to Redis for who may block: sentinels, the log-in, a cluster's
   masters. */

#include "store/redis/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "client/deadline.h"
#include "store/redis/reader.h"

enum { CONNECTING_MS_MAX = 2000 }; /* another host may be there */

static redis_link_t *
link_of(store_database_t *db)
{
    return db->link;
}

static void
close_node(redis_node_t *node)
{
    redis_tls_close(node);

    if (node->redis != NULL) {
        redisFree(node->redis);
        node->redis = NULL;
    }
}

void
redis_close(store_database_t *db)
{
    redis_link_t *link = link_of(db);

    for (unsigned i = 0; i < link->node_count; i++) {
        close_node(&link->nodes[i]);
    }

    redis_forget_transaction(link);
    buffer_free(&link->commands);
    free(link);
}

redisReply *
redis_check_reply(store_database_t *db, redisReply *reply, int type)
{
    if (reply != NULL && reply->type == type) {
        return reply;
    }

    const char *reason = reply == NULL ? redis_of(db)->errstr
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

/* A sentinel may have told of a master that is none any more. */
static dns_status_t
check_role(store_database_t *db)
{
    redisReply *reply =
        redis_check_reply(db, redis_call(db, "ROLE"), REDIS_REPLY_ARRAY);

    if (reply == NULL) {
        return DNS_ESTORE;
    }

    const bool is_master = reply->elements > 0 &&
                           reply->element[0]->type == REDIS_REPLY_STRING &&
                           strcmp(reply->element[0]->str, "master") == 0;

    freeReplyObject(reply);
    return is_master ? DNS_OK
                     : database_fail(db, DNS_ESTORE, "it is not the master");
}

static struct timeval
timeval_of(unsigned ms)
{
    return (struct timeval){.tv_sec = ms / 1000,
                            .tv_usec = (suseconds_t) (ms % 1000) * 1000};
}

static dns_status_t
log_in(store_database_t *db)
{
    const store_options_t *o = db->options;
    dns_status_t status = DNS_OK;

    if (o->password != NULL) {
        redisReply *reply =
            o->user == NULL
                ? redis_call(db, "AUTH %s", o->password)
                : redis_call(db, "AUTH %s %s", o->user, o->password);

        status = redis_expect(db, reply, REDIS_REPLY_STATUS);
    }

    if (status == DNS_OK && o->database_number != 0 && !o->is_cluster) {
        status = redis_expect(db, redis_call(db, "SELECT %s", o->database),
                              REDIS_REPLY_STATUS);
    }

    if (status == DNS_OK && o->sentinel != NULL) {
        status = check_role(db);
    }

    return status;
}

/* The node is the one in use from now on. */
static dns_status_t
open_node(store_database_t *db, redis_node_t *node)
{
    const store_options_t *o = db->options;
    const int left = deadline_left();
    const struct timeval timeout =
        timeval_of(left >= 0 && left < CONNECTING_MS_MAX ? (unsigned) left + 1
                                                         : CONNECTING_MS_MAX);

    node->redis =
        node->address[0] == '\0'
            ? redisConnectUnixWithTimeout(o->unix_socket, timeout)
            : redisConnectWithTimeout(node->address, node->port, timeout);
    link_of(db)->node = node;

    if (node->redis == NULL) {
        return database_fail(db, DNS_ESTORE, "no memory for a connection");
    }

    if (node->redis->err != 0) {
        return database_fail(db, DNS_ESTORE, node->redis->errstr);
    }

    if (!redis_set_nonblocking(node) ||
        !redis_bound_reader(node->redis->reader)) {
        return database_fail(db, DNS_ESTORE, "no connection without blocking");
    }

    return o->is_tls ? redis_tls_open(db, node) : DNS_OK;
}

static dns_status_t
set_address(store_database_t *db, redis_node_t *node, const char *address,
            uint16_t port)
{
    if (strlen(address) >= sizeof(node->address)) {
        return database_fail(db, DNS_ESTORE, "too long a host's name");
    }

    strcpy(node->address, address);
    node->port = port;
    return DNS_OK;
}

static dns_status_t
read_master(store_database_t *db, redis_node_t *node, redisReply *reply)
{
    dns_status_t status = DNS_ESTORE;

    if (reply != NULL && reply->type == REDIS_REPLY_NIL) {
        (void) !database_fail(db, status, "the sentinel knows no such master");
    } else if (redis_check_reply(db, reply, REDIS_REPLY_ARRAY) == NULL) {
        return DNS_ESTORE;
    } else if (reply->elements != 2 ||
               reply->element[0]->type != REDIS_REPLY_STRING ||
               reply->element[1]->type != REDIS_REPLY_STRING ||
               reply->element[0]->len == 0) {
        (void) !database_fail(db, status, "not the address of a master");
    } else {
        const long port = strtol(reply->element[1]->str, NULL, 10);

        status = set_address(db, node, reply->element[0]->str,
                             (uint16_t) (port > 0 && port < 65536 ? port : 0));
    }

    freeReplyObject(reply);
    return status;
}

/* The node, a sentinel so far, becomes the master. */
static dns_status_t
ask_sentinel(store_database_t *db, redis_node_t *node)
{
    const store_options_t *o = db->options;
    dns_status_t status = DNS_OK;

    if (o->sentinel_password != NULL) {
        status =
            redis_expect(db, redis_call(db, "AUTH %s", o->sentinel_password),
                         REDIS_REPLY_STATUS);
    }

    if (status == DNS_OK) {
        status = read_master(
            db, node,
            redis_call(db, "SENTINEL get-master-addr-by-name %s", o->sentinel));
    }

    if (status != DNS_OK) {
        return status;
    }

    close_node(node);
    return open_node(db, node);
}

dns_status_t
redis_connect(store_database_t *db, const char *host, uint16_t port)
{
    redis_link_t *link = calloc(1, sizeof(*link));

    if (link == NULL) {
        return database_fail(db, DNS_ENOMEM, "no memory for a connection");
    }

    db->link = link;
    link->node_count = 1;

    dns_status_t status =
        set_address(db, &link->nodes[0], host == NULL ? "" : host, port);

    if (status == DNS_OK) {
        status = open_node(db, &link->nodes[0]);
    }

    if (status == DNS_OK && db->options->sentinel != NULL) {
        status = ask_sentinel(db, &link->nodes[0]);
    }

    if (status == DNS_OK) {
        status = log_in(db);
    }

    if (status != DNS_OK) {
        database_close(db);
    }

    return status;
}

/* Connected if need be; the one in use from now on. */
static dns_status_t
use_node(store_database_t *db, const redisReply *who)
{
    redis_link_t *link = link_of(db);
    const char *address = who->element[0]->str;
    const uint16_t port = (uint16_t) who->element[1]->integer;

    for (unsigned i = 0; i < link->node_count; i++) {
        redis_node_t *node = &link->nodes[i];

        if (node->port == port && strcmp(node->address, address) == 0) {
            link->node = node;
            return DNS_OK;
        }
    }

    if (link->node_count == REDIS_NODES_MAX) {
        return database_fail(db, DNS_ESTORE, "too many nodes in the cluster");
    }

    redis_node_t *node = &link->nodes[link->node_count];
    dns_status_t status = set_address(db, node, address, port);

    if (status == DNS_OK) {
        link->node_count++;
        status = open_node(db, node);
    }

    return status == DNS_OK ? log_in(db) : status;
}

/* first slot, last slot, the master's address and port, replicas */
static bool
is_range(const redisReply *range)
{
    if (range->type != REDIS_REPLY_ARRAY || range->elements < 3 ||
        range->element[0]->type != REDIS_REPLY_INTEGER ||
        range->element[1]->type != REDIS_REPLY_INTEGER) {
        return false;
    }

    const redisReply *master = range->element[2];

    return master->type == REDIS_REPLY_ARRAY && master->elements >= 2 &&
           master->element[0]->type == REDIS_REPLY_STRING &&
           master->element[0]->len > 0 &&
           master->element[1]->type == REDIS_REPLY_INTEGER;
}

static dns_status_t
route_by(store_database_t *db, const redisReply *slots, long long slot)
{
    for (size_t i = 0; i < slots->elements; i++) {
        const redisReply *range = slots->element[i];

        if (is_range(range) && range->element[0]->integer <= slot &&
            slot <= range->element[1]->integer) {
            return use_node(db, range->element[2]);
        }
    }

    return database_fail(db, DNS_ESTORE, "no node has the zone's slot");
}

/* Asked each time: edits are few, and nodes may have changed. */
static redisReply *
ask_slots(store_database_t *db)
{
    return redis_check_reply(db, redis_call(db, "CLUSTER SLOTS"),
                             REDIS_REPLY_ARRAY);
}

dns_status_t
redis_route(store_database_t *db)
{
    const redis_link_t *link = link_of(db);

    if (!db->options->is_cluster) {
        return DNS_OK;
    }

    redisReply *slot =
        redis_check_reply(db, redis_call(db, "CLUSTER KEYSLOT %s", link->key),
                          REDIS_REPLY_INTEGER);

    if (slot == NULL) {
        return DNS_ESTORE;
    }

    redisReply *slots = ask_slots(db);
    dns_status_t status = DNS_ESTORE;

    if (slots != NULL) {
        status = route_by(db, slots, slot->integer);
        freeReplyObject(slots);
    }

    freeReplyObject(slot);
    return status;
}

/* Ranges of one master may be several. */
static bool
is_first_of(const redisReply *slots, size_t number)
{
    const redisReply *master = slots->element[number]->element[2];

    for (size_t i = 0; i < number; i++) {
        const redisReply *range = slots->element[i];

        if (is_range(range) &&
            range->element[2]->element[1]->integer ==
                master->element[1]->integer &&
            strcmp(range->element[2]->element[0]->str,
                   master->element[0]->str) == 0) {
            return false;
        }
    }

    return true;
}

dns_status_t
redis_each_master(store_database_t *db,
                  dns_status_t (*visit)(store_database_t *db, void *data),
                  void *data)
{
    dns_status_t status = DNS_OK;

    if (!db->options->is_cluster) {
        return visit(db, data);
    }

    redisReply *slots = ask_slots(db);

    if (slots == NULL) {
        return DNS_ESTORE;
    }

    for (size_t i = 0; status == DNS_OK && i < slots->elements; i++) {
        if (is_range(slots->element[i]) && is_first_of(slots, i)) {
            status = use_node(db, slots->element[i]->element[2]);
            status = status == DNS_OK ? visit(db, data) : status;
        }
    }

    freeReplyObject(slots);
    return status;
}
