/* Redis, blocking: listings, whole zones, transactions (WATCH, MULTI, EXEC). */

#include "store/private/redis_database.h"
#include "store/private/records.h"

#include "store/private/parked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void
set_key(store_database_t *db, const dns_name_t *apex)
{
    redis_link_t *link = db->link;

    db->apex = *apex;
    store_redis_key(db->options.prefix, db->options.suffix, apex, link->key);
}

enum { REPLICAS_WAIT_MS = 300 };

/* The zone that is read or written next, at the node that has it. */
static dns_status_t
use_zone(store_database_t *db, const dns_name_t *apex)
{
    set_key(db, apex);
    return redis_route(db);
}

static dns_status_t
take_field(store_database_t *db, const uint8_t *name, const redisReply *value,
           store_nodes_t *out)
{
    database_taking_t taking = {db, out, name, DNS_OK};

    if (value->type != REDIS_REPLY_STRING) {
        return DNS_OK;
    }

    const store_json_t json = {.text = value->str,
                               .size = value->len,
                               .serial = (uint32_t) time(NULL),
                               .visit = database_take_record,
                               .data = &taking};

    (void) !store_records_from_json(db->records, &json);
    return taking.status;
}

static uint64_t
generation_of(const redisReply *apex)
{
    return database_generation(
        apex->type == REDIS_REPLY_STRING ? apex->str : NULL, apex->len);
}

/* The whole hash tells the zone's state. */
static dns_status_t
mark_fields(store_database_t *db, uint64_t *generation)
{
    const redis_link_t *link = db->link;
    redisReply *reply = redis_check_reply(
        db, redis_call(db, "DUMP %s", link->key), REDIS_REPLY_STRING);

    if (reply == NULL) {
        return DNS_ESTORE;
    }

    *generation = database_generation(reply->str, reply->len);
    freeReplyObject(reply);
    return DNS_OK;
}

/* The apex's field tells the zone's serial and state. */
static dns_status_t
list_zone(store_database_t *db, const dns_name_t *apex, store_listing_t *out)
{
    store_nodes_t nodes = {0};

    set_key(db, apex);

    const redis_link_t *link = db->link;
    redisReply *reply = redis_call(db, "HGET %s @", link->key);

    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        return redis_expect(db, reply, REDIS_REPLY_STRING);
    }

    dns_status_t status = take_field(db, apex->octets, reply, &nodes);

    if (status == DNS_OK) {
        status = records_put_soa_node(&nodes, apex, (uint32_t) time(NULL));
    }

    uint64_t generation = generation_of(reply);

    if (status == DNS_OK && db->options.marks_rows) {
        status = mark_fields(db, &generation);
    }

    if (status == DNS_OK) {
        const dns_node_t node = store_nodes_find(&nodes, apex);

        status = database_list_zone(out, apex->octets, store_node_serial(&node),
                                    generation);
    }

    store_nodes_free(&nodes);
    freeReplyObject(reply);
    return status;
}

static dns_status_t
list_keys(store_database_t *db, const redisReply *keys, store_listing_t *out)
{
    dns_status_t status = DNS_OK;
    dns_name_t apex;

    for (size_t i = 0; status == DNS_OK && i < keys->elements; i++) {
        const redisReply *key = keys->element[i];

        if (key->type == REDIS_REPLY_STRING &&
            store_redis_apex(db->options.prefix, db->options.suffix, key->str,
                             key->len, &apex)) {
            status = list_zone(db, &apex, out);
        }
    }

    return status;
}

/* The zones of the node in use. */
static dns_status_t
list_node(store_database_t *db, void *data)
{
    store_listing_t *out = data;
    char pattern[STORE_REDIS_PATTERN_SIZE];
    char cursor[32] = "0";
    dns_status_t status = DNS_OK;

    store_redis_pattern(db->options.prefix, db->options.suffix, pattern);

    do {
        redisReply *reply = redis_check_reply(
            db,
            redis_call(db, "SCAN %s MATCH %s COUNT 1000 TYPE hash", cursor,
                       pattern),
            REDIS_REPLY_ARRAY);

        if (reply == NULL || reply->elements != 2) {
            freeReplyObject(reply);
            return DNS_ESTORE;
        }

        snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        status = list_keys(db, reply->element[1], out);
        freeReplyObject(reply);
    } while (status == DNS_OK && strcmp(cursor, "0") != 0);

    return status;
}

static dns_status_t
list(store_database_t *db, const dns_name_t *only, store_listing_t *out)
{
    const redis_link_t *link = db->link;

    if (only == NULL) { /* duplicates are dropped by the caller */
        return redis_each_master(db, list_node, out);
    }

    dns_status_t status = use_zone(db, only);

    if (status != DNS_OK) {
        return status;
    }

    redisReply *exists = redis_check_reply(
        db, redis_call(db, "EXISTS %s", link->key), REDIS_REPLY_INTEGER);

    if (exists == NULL) {
        return DNS_ESTORE;
    }

    bool is_there = exists->integer != 0;

    freeReplyObject(exists);
    return is_there ? list_zone(db, only, out) : DNS_OK;
}

static redisReply *
get_field(store_database_t *db, const dns_name_t *name)
{
    const redis_link_t *link = db->link;
    char field[DNS_NAME_TEXT_SIZE];

    store_redis_field(name, &db->apex, field);

    redisReply *reply = redis_call(db, "HGET %s %s", link->key, field);

    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        (void) !redis_expect(db, reply, REDIS_REPLY_STRING);
        return NULL;
    }

    return reply;
}

static dns_status_t
read_name(store_database_t *db, const dns_name_t *name, store_nodes_t *out)
{
    redisReply *reply = get_field(db, name);

    if (reply == NULL) {
        return DNS_ESTORE;
    }

    dns_status_t status = take_field(db, name->octets, reply, out);

    freeReplyObject(reply);
    return status;
}

static dns_status_t
take_fields(store_database_t *db, const redisReply *reply, store_nodes_t *out)
{
    dns_status_t status = reply->elements == 0 ? DNS_ENOTFOUND : DNS_OK;
    uint8_t name[DNS_NAME_MAX];

    for (size_t i = 0; status == DNS_OK && i + 1 < reply->elements; i += 2) {
        const redisReply *field = reply->element[i];

        if (store_redis_name(field->str, field->len, &db->apex, name)) {
            status = take_field(db, name, reply->element[i + 1], out);
        } else if (strcmp(field->str, STORE_PARKED_FIELD) != 0) {
            db->skipped++;
        }
    }

    return status;
}

static dns_status_t
read_zone(store_database_t *db, const dns_name_t *apex, const dns_name_t *name,
          store_nodes_t *out)
{
    const redis_link_t *link = db->link;
    dns_status_t status = use_zone(db, apex);

    if (status != DNS_OK || name != NULL) {
        return status == DNS_OK ? read_name(db, name, out) : status;
    }

    redisReply *reply = redis_check_reply(
        db, redis_call(db, "HGETALL %s", link->key), REDIS_REPLY_ARRAY);

    if (reply == NULL) {
        return DNS_ESTORE;
    }

    status = take_fields(db, reply, out);
    freeReplyObject(reply);
    return status;
}

/* All of them, whoever they are wanted for. */
static dns_status_t
read_parked(store_database_t *db, const store_edit_t *only, store_nodes_t *out)
{
    const redis_link_t *link = db->link;
    redisReply *reply =
        redis_call(db, "HGET %s %s", link->key, STORE_PARKED_FIELD);

    (void) only;

    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        return redis_expect(db, reply, REDIS_REPLY_STRING);
    }

    dns_status_t status = reply->type == REDIS_REPLY_STRING
                              ? store_parked_read(reply->str, reply->len, out)
                              : DNS_OK;

    freeReplyObject(reply);
    return status;
}

static dns_status_t
begin(store_database_t *db, const dns_name_t *apex, uint64_t *generation)
{
    redis_link_t *link = db->link;

    buffer_clear(&link->commands);
    link->command_count = 0;
    link->is_cleared = false;

    dns_status_t status = use_zone(db, apex);

    if (status == DNS_OK) {
        status = redis_expect(db, redis_call(db, "WATCH %s", link->key),
                              REDIS_REPLY_STATUS);
    }

    if (status != DNS_OK) {
        return status;
    }

    redisReply *exists = redis_check_reply(
        db, redis_call(db, "EXISTS %s", link->key), REDIS_REPLY_INTEGER);

    if (exists == NULL) {
        return DNS_ESTORE;
    }

    status = exists->integer == 0 ? DNS_ENOTFOUND : DNS_OK;
    freeReplyObject(exists);

    redisReply *soa = redis_call(db, "HGET %s @", link->key);

    if (soa == NULL || soa->type == REDIS_REPLY_ERROR) {
        return redis_expect(db, soa, REDIS_REPLY_STRING);
    }

    *generation = generation_of(soa);
    freeReplyObject(soa);
    return status;
}

static dns_status_t
read_names(store_database_t *db, const uint8_t *const *names, size_t count,
           store_nodes_t *out)
{
    dns_status_t status = DNS_OK;

    for (size_t i = 0; status == DNS_OK && i < count; i++) {
        dns_name_t name;

        dns_name_set(&name, names[i]);
        status = read_name(db, &name, out);

        if (status == DNS_OK && dns_name_equal(name.octets, db->apex.octets)) {
            status =
                records_put_soa_node(out, &db->apex, (uint32_t) time(NULL));
        }
    }

    return status;
}

/* The commands are sent between MULTI and EXEC. */
static dns_status_t
put_command(store_database_t *db, int count, const char **words,
            const size_t *sizes)
{
    redis_link_t *link = db->link;
    char *command = NULL;
    const long long size =
        redisFormatCommandArgv(&command, count, words, sizes);

    if (size >= 0) {
        buffer_put_octets(&link->commands, command, (size_t) size);
        redisFreeCommand(command);
        link->command_count++;
    }

    return size < 0 || link->commands.failed
               ? database_fail(db, DNS_ENOMEM, "no memory for a command")
               : DNS_OK;
}

static dns_status_t
create(store_database_t *db)
{
    redis_link_t *link = db->link;

    link->is_cleared = true; /* the key comes with its first field */
    return DNS_OK;
}

static dns_status_t
drop(store_database_t *db)
{
    redis_link_t *link = db->link;
    const char *words[] = {"DEL", link->key};
    const size_t sizes[] = {3, strlen(link->key)};

    link->is_cleared = true;
    return put_command(db, 2, words, sizes);
}

/* json NULL: the zone parks nothing. */
static dns_status_t
put_parked(store_database_t *db, const char *json)
{
    const redis_link_t *link = db->link;
    const char *words[] = {json == NULL ? "HDEL" : "HSET", link->key,
                           STORE_PARKED_FIELD, json};

    return put_command(db, json == NULL ? 3 : 4, words, NULL);
}

static dns_status_t
write_parked(store_database_t *db, const store_nodes_t *old,
             const store_nodes_t *nodes)
{
    char *json;
    dns_status_t status = store_parked_write(nodes, &json);

    (void) old;

    if (status == DNS_OK) {
        status = put_parked(db, json);
    }

    free(json);
    return status;
}

/* Parked records stay (store/parked.h). */
static dns_status_t
clear(store_database_t *db)
{
    store_nodes_t parked = {0};
    dns_status_t status = read_parked(db, NULL, &parked);

    if (status == DNS_OK) {
        status = drop(db);
    }

    if (status == DNS_OK && parked.count > 0) {
        status = write_parked(db, NULL, &parked);
    }

    store_nodes_free(&parked);
    return status;
}

/* The field's own JSON with the sets that have changed; other members of it are
   left as they are. */
static dns_status_t
write_node(store_database_t *db, const dns_name_t *name, const dns_node_t *old,
           const dns_node_t *node)
{
    const redis_link_t *link = db->link;
    char field[DNS_NAME_TEXT_SIZE];
    redisReply *before = NULL;
    char *json = NULL;

    store_redis_field(name, &db->apex, field);

    if (!link->is_cleared) {
        before = get_field(db, name);

        if (before == NULL) {
            return DNS_ESTORE;
        }
    }

    const store_json_change_t change = {
        .text = before != NULL && before->type == REDIS_REPLY_STRING
                    ? before->str
                    : NULL,
        .size = before == NULL ? 0 : before->len,
        .old = old,
        .node = node,
    };
    dns_status_t status =
        store_records_change_json(db->records, &change, &json);

    if (before != NULL) {
        freeReplyObject(before);
    }

    if (status != DNS_OK) {
        return database_fail(db, status, dns_status_text(status));
    }

    const char *words[] = {json == NULL ? "HDEL" : "HSET", link->key, field,
                           json};
    const size_t sizes[] = {4, strlen(link->key), strlen(field),
                            json == NULL ? 0 : strlen(json)};

    status = put_command(db, json == NULL ? 3 : 4, words, sizes);
    free(json);
    return status;
}

/* Other servers are told with the commit. */
static dns_status_t
put_message(store_database_t *db)
{
    char zone[DNS_NAME_TEXT_SIZE];
    const char *words[] = {"PUBLISH", db->options.channel, zone};

    if (db->options.channel == NULL) {
        return DNS_OK;
    }

    dns_name_to_text(zone, db->apex.octets);
    return put_command(db, 3, words, NULL);
}

/* So that the transaction tells what it has made of the zone. */
static dns_status_t
put_question(store_database_t *db)
{
    const redis_link_t *link = db->link;
    const char *words[] = {"HGET", link->key, "@"};

    return put_command(db, 3, words, NULL);
}

static dns_status_t
append_all(store_database_t *db)
{
    redis_link_t *link = db->link;

    if (redisAppendCommand(redis_of(db), "MULTI") != REDIS_OK ||
        redisAppendFormattedCommand(redis_of(db), link->commands.octets,
                                    link->commands.size) != REDIS_OK ||
        redisAppendCommand(redis_of(db), "EXEC") != REDIS_OK) {
        return database_fail(db, DNS_ESTORE, redis_of(db)->errstr);
    }

    return DNS_OK;
}

/* nil: the zone's key was changed since WATCH.  The last result is the apex as
   the transaction leaves it. */
static dns_status_t
check_exec(store_database_t *db, redisReply *reply, uint64_t *generation)
{
    if (reply != NULL && reply->type == REDIS_REPLY_NIL) {
        freeReplyObject(reply);
        db->is_overtaken = true;
        return database_fail(db, DNS_ESTORE, "too many edits at once");
    }

    redisReply *results = redis_check_reply(db, reply, REDIS_REPLY_ARRAY);
    dns_status_t status = results == NULL ? DNS_ESTORE : DNS_OK;

    for (size_t i = 0; status == DNS_OK && i < results->elements; i++) {
        if (results->element[i]->type == REDIS_REPLY_ERROR) {
            status = database_fail(db, DNS_ESTORE, results->element[i]->str);
        }
    }

    if (status == DNS_OK && results->elements > 0) {
        const redisReply *apex = results->element[results->elements - 1];

        *generation =
            apex->type == REDIS_REPLY_STRING ? generation_of(apex) : 0;
    }

    if (results != NULL) {
        freeReplyObject(results);
    }

    return status;
}

/* Who asks a replica next is to see the edit; one that is down is not waited
   for long.  The edit stands either way. */
static void
wait_for_replicas(store_database_t *db)
{
    redisReply *reply = redis_call(db, "WAIT %u %d", db->options.replica_count,
                                   REPLICAS_WAIT_MS);

    if (reply != NULL) {
        freeReplyObject(reply);
    }
}

static dns_status_t
commit(store_database_t *db, uint64_t *generation)
{
    const redis_link_t *link = db->link;
    dns_status_t status = put_message(db);

    if (status == DNS_OK) {
        status = put_question(db);
    }

    if (status == DNS_OK) {
        status = append_all(db);
    }

    db->is_committing = true;

    /* MULTI's OK, QUEUED for each command. */
    for (size_t i = 0; status == DNS_OK && i <= link->command_count; i++) {
        status = redis_expect(db, redis_next_reply(db), REDIS_REPLY_STATUS);
    }

    /* A command that is refused (the server is a replica by now, or another
       node has the zone) means that EXEC does nothing. */
    if (status != DNS_OK && redis_of(db)->err == 0) {
        db->is_committing = false;
    }

    if (status == DNS_OK) {
        status = check_exec(db, redis_next_reply(db), generation);
    }

    if (status == DNS_OK && db->options.replica_count > 0) {
        wait_for_replicas(db);
    }

    return status;
}

static void
abort_transaction(store_database_t *db)
{
    char error[STORE_ERROR_SIZE];

    memcpy(error, db->error, sizeof(error));

    if (redis_expect(db, redis_call(db, "UNWATCH"), REDIS_REPLY_STATUS) !=
        DNS_OK) {
        database_close(db);
    }

    memcpy(db->error, error, sizeof(error));
}

const database_driver_t database_redis = {
    .connect = redis_connect,
    .close = redis_close,
    .list = list,
    .find = use_zone,
    .read = read_zone,
    .begin = begin,
    .read_names = read_names,
    .create = create,
    .clear = clear,
    .drop = drop,
    .write = write_node,
    .read_parked = read_parked,
    .write_parked = write_parked,
    .commit = commit,
    .abort = abort_transaction,
};
