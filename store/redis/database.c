/* Redis, blocking: listings and whole zones. */

#include "store/redis/database.h"
#include "store/private/parked.h"
#include "store/private/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void
set_key(store_database_t *db, const dns_name_t *apex)
{
    redis_link_t *link = db->link;

    db->apex = *apex;
    store_redis_key(db->options->prefix, db->options->suffix, apex, link->key);
}

/* The zone that is read or written next, at the node that has it. */
dns_status_t
redis_use_zone(store_database_t *db, const dns_name_t *apex)
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

uint64_t
redis_generation_of(const redisReply *apex)
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

    uint64_t generation = redis_generation_of(reply);

    if (status == DNS_OK && db->marks_rows) {
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
            store_redis_apex(db->options->prefix, db->options->suffix, key->str,
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

    store_redis_pattern(db->options->prefix, db->options->suffix, pattern);

    do {
        redisReply *reply = redis_check_reply(
            db,
            redis_call(db, "SCAN %s MATCH %s COUNT %d TYPE hash", cursor,
                       pattern, STORE_REDIS_SCAN_COUNT),
            REDIS_REPLY_ARRAY);

        if (reply == NULL) {
            return DNS_ESTORE;
        }

        const char *fault = store_redis_scan_fault(reply);

        if (fault != NULL) {
            status = database_fail(db, DNS_ESTORE, fault);
            freeReplyObject(reply);
            return status;
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

    dns_status_t status = redis_use_zone(db, only);

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

redisReply *
redis_get_field(store_database_t *db, const dns_name_t *name)
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

dns_status_t
redis_read_name(store_database_t *db, const dns_name_t *name,
                store_nodes_t *out)
{
    redisReply *reply = redis_get_field(db, name);

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

        if (field->type == REDIS_REPLY_STRING &&
            store_redis_name(field->str, field->len, &db->apex, name)) {
            status = take_field(db, name, reply->element[i + 1], out);
        } else if (strcmp(field->str, STORE_PARKED_FIELD) != 0) {
            database_leave_out(db, "a field", "not a name of the zone");
        }
    }

    return status;
}

static dns_status_t
read_zone(store_database_t *db, const dns_name_t *apex, const dns_name_t *name,
          store_nodes_t *out)
{
    const redis_link_t *link = db->link;
    dns_status_t status = redis_use_zone(db, apex);

    if (status != DNS_OK || name != NULL) {
        return status == DNS_OK ? redis_read_name(db, name, out) : status;
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

const database_driver_t database_redis = {
    .connect = redis_connect,
    .close = redis_close,
    .list = list,
    .find = redis_use_zone,
    .read = read_zone,
    .begin = redis_begin,
    .read_names = redis_read_names,
    .create = redis_create,
    .clear = redis_clear,
    .drop = redis_drop,
    .write = redis_write_node,
    .read_parked = read_parked,
    .write_parked = redis_write_parked,
    .reads_without_locks = true,
    .commit = redis_commit,
    .abort = redis_abort,
};
