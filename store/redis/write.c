/* Redis: edits as transactions (WATCH, MULTI, EXEC). */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "store/private/parked.h"
#include "store/private/records.h"
#include "store/redis/database.h"

enum { REPLICAS_WAIT_MS = 300 };

void
redis_forget_transaction(redis_link_t *link)
{
    for (size_t i = 0; i < link->kept_count; i++) {
        free(link->kept[i].json);
    }

    free(link->kept);
    free(link->apex);
    buffer_clear(&link->commands);
    link->command_count = 0;
    link->kept = NULL;
    link->kept_count = 0;
    link->apex = NULL;
    link->is_cleared = link->is_dropped = link->writes_apex = false;
}

dns_status_t
redis_begin(store_database_t *db, const dns_name_t *apex, uint64_t *generation)
{
    redis_link_t *link = db->link;

    redis_forget_transaction(link);

    dns_status_t status = redis_use_zone(db, apex);

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

    *generation = redis_generation_of(soa);
    link->apex =
        soa->type == REDIS_REPLY_STRING ? strndup(soa->str, soa->len) : NULL;
    freeReplyObject(soa);
    return status;
}

dns_status_t
redis_read_names(store_database_t *db, const uint8_t *const *names,
                 size_t count, store_nodes_t *out)
{
    dns_status_t status = DNS_OK;

    for (size_t i = 0; status == DNS_OK && i < count; i++) {
        dns_name_t name;

        dns_name_set(&name, names[i]);
        status = redis_read_name(db, &name, out);

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

dns_status_t
redis_create(store_database_t *db)
{
    redis_link_t *link = db->link;

    link->is_cleared = true; /* the key comes with its first field */
    return DNS_OK;
}

static dns_status_t
put_field(store_database_t *db, const char *field, const char *json)
{
    const redis_link_t *link = db->link;
    const char *words[] = {json == NULL ? "HDEL" : "HSET", link->key, field,
                           json};

    return put_command(db, json == NULL ? 3 : 4, words, NULL);
}

dns_status_t
redis_drop(store_database_t *db)
{
    redis_link_t *link = db->link;
    const char *words[] = {"DEL", link->key};

    link->is_dropped = true;
    return put_command(db, 2, words, NULL);
}

static dns_status_t
keep_field(store_database_t *db, const char *field, char *json)
{
    redis_link_t *link = db->link;
    redis_kept_t *kept =
        realloc(link->kept, (link->kept_count + 1) * sizeof(*kept));
    dns_status_t status =
        kept == NULL ? DNS_ENOMEM : put_field(db, field, json);

    link->kept = kept == NULL ? link->kept : kept;

    /* What is too long for a name is no name that the edit could set. */
    if (status != DNS_OK || strlen(field) >= sizeof(kept->field)) {
        free(json);
        return status;
    }

    kept += link->kept_count++;
    strcpy(kept->field, field);
    kept->json = json;
    return DNS_OK;
}

/* What of a field could not be shown to whoever replaces the zone. */
static dns_status_t
keep_unread(store_database_t *db, const redisReply *field,
            const redisReply *value)
{
    uint8_t name[DNS_NAME_MAX];
    char *json = NULL;
    dns_status_t status;

    if (field->type != REDIS_REPLY_STRING ||
        value->type != REDIS_REPLY_STRING) {
        return database_fail(db, DNS_ESTORE, "not a reply to HGETALL");
    }

    if (store_redis_name(field->str, field->len, &db->apex, name)) {
        status = store_records_unread_json(db->records, value->str, value->len,
                                           &json);
    } else {
        json = strndup(value->str, value->len);
        status = json == NULL ? DNS_ENOMEM : DNS_OK;
    }

    return status == DNS_OK && json != NULL ? keep_field(db, field->str, json)
                                            : status;
}

dns_status_t
redis_clear(store_database_t *db)
{
    redis_link_t *link = db->link;
    const char *words[] = {"DEL", link->key};

    link->is_cleared = true;

    redisReply *fields = redis_check_reply(
        db, redis_call(db, "HGETALL %s", link->key), REDIS_REPLY_ARRAY);
    dns_status_t status =
        fields == NULL ? DNS_ESTORE : put_command(db, 2, words, NULL);

    for (size_t i = 0; status == DNS_OK && i + 1 < fields->elements; i += 2) {
        status = keep_unread(db, fields->element[i], fields->element[i + 1]);
    }

    if (fields != NULL) {
        freeReplyObject(fields);
    }

    return status == DNS_ENOMEM ? database_fail(db, status, "no memory")
                                : status;
}

/* The JSON of a field before the change, as far as it stays; owned by the
   caller.  DNS_OK with NULL: none. */
static dns_status_t
text_before(store_database_t *db, const dns_name_t *name, const char *field,
            char **out)
{
    const redis_link_t *link = db->link;
    const char *kept = NULL;

    *out = NULL;

    for (size_t i = 0; i < link->kept_count; i++) {
        kept =
            strcmp(link->kept[i].field, field) == 0 ? link->kept[i].json : kept;
    }

    if (link->is_cleared) {
        *out = kept == NULL ? NULL : strdup(kept);
        return kept != NULL && *out == NULL ? DNS_ENOMEM : DNS_OK;
    }

    redisReply *reply = redis_get_field(db, name);

    if (reply == NULL) {
        return DNS_ESTORE;
    }

    const bool is_there = reply->type == REDIS_REPLY_STRING;

    *out = is_there ? strndup(reply->str, reply->len) : NULL;
    freeReplyObject(reply);
    return is_there && *out == NULL ? DNS_ENOMEM : DNS_OK;
}

static size_t
size_without_blanks(const char *json)
{
    size_t size = strlen(json);

    while (size > 0 && strchr(" \t\r\n", json[size - 1]) != NULL) {
        size--;
    }

    return size;
}

/* The apex's text tells one state of the zone from another.  Where an edit
   leaves the SOA as it was it gets other blanks behind it, which JSON allows.
 */
static dns_status_t
put_apex(store_database_t *db, const char *json)
{
    redis_link_t *link = db->link;
    const size_t size = size_without_blanks(json);
    const bool is_same = link->apex != NULL &&
                         size == size_without_blanks(link->apex) &&
                         memcmp(json, link->apex, size) == 0;
    uint32_t bits = 0;
    buffer_t text = {0};

    link->writes_apex = true;

    if (!is_same) {
        return put_field(db, "@", json);
    }

    if (getrandom(&bits, sizeof(bits), 0) != (ssize_t) sizeof(bits)) {
        bits = (uint32_t) time(NULL);
    }

    buffer_put_octets(&text, json, size);

    for (unsigned i = 0; i < 32; i++) {
        buffer_put_octets(&text, (bits >> i & 1) != 0 ? "\t" : " ", 1);
    }

    dns_status_t status =
        text.failed ? DNS_ENOMEM : put_field(db, "@", text.octets);

    buffer_free(&text);
    return status;
}

static bool
resets(const void *data, uint16_t type)
{
    return database_resets(data, type);
}

/* The field's own JSON with the sets that have changed; other members of it are
   left as they are. */
dns_status_t
redis_write_node(store_database_t *db, const dns_name_t *name,
                 const dns_node_t *old, const dns_node_t *node)
{
    char field[DNS_NAME_TEXT_SIZE];
    char *before = NULL;
    char *json = NULL;

    store_redis_field(name, &db->apex, field);

    dns_status_t status = text_before(db, name, field, &before);
    const store_json_change_t change = {
        .text = before,
        .size = before == NULL ? 0 : strlen(before),
        .old = old,
        .node = node,
        .resets = resets,
        .data = db,
    };

    if (status == DNS_OK) {
        status = store_records_change_json(db->records, &change, &json);
    }

    free(before);

    if (status == DNS_ECONFLICT) {
        return store_fail_at(db->error, status, name->octets,
                             "its field in Redis is no JSON object, and would "
                             "be lost: mend it or delete it there");
    }

    if (status == DNS_ESTORE) {
        return status;
    }

    if (status != DNS_OK) {
        return database_fail(db, status, dns_status_text(status));
    }

    status = json != NULL && strcmp(field, "@") == 0
                 ? put_apex(db, json)
                 : put_field(db, field, json);
    free(json);
    return status;
}

dns_status_t
redis_write_parked(store_database_t *db, const store_nodes_t *old,
                   const store_nodes_t *nodes)
{
    char *json;
    dns_status_t status = store_parked_write(nodes, &json);

    (void) old;

    /* NULL: the zone parks nothing. */
    if (status == DNS_OK) {
        status = put_field(db, STORE_PARKED_FIELD, json);
    }

    free(json);
    return status;
}

/* Other servers are told with the commit. */
static dns_status_t
put_message(store_database_t *db)
{
    char zone[DNS_NAME_TEXT_SIZE];
    const char *words[] = {"PUBLISH", db->options->channel, zone};

    if (db->options->channel == NULL) {
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

/* MULTI, the commands, EXEC. */
static dns_status_t
put_all(store_database_t *db)
{
    static const char multi[] = "*1\r\n$5\r\nMULTI\r\n";
    static const char exec[] = "*1\r\n$4\r\nEXEC\r\n";
    redis_link_t *link = db->link;
    redis_client_t *client = &link->node->client;

    return redis_client_put(client, multi, sizeof(multi) - 1, 1) &&
                   redis_client_put(client, link->commands.octets,
                                    link->commands.size, link->command_count) &&
                   redis_client_put(client, exec, sizeof(exec) - 1, 1)
               ? DNS_OK
               : database_fail(db, DNS_ESTORE, "no memory for a transaction");
}

/* MULTI's OK, QUEUED for each command, and what EXEC gives, which is kept.  A
   command that is refused (the server is a replica by now, or another node has
   the zone) means that EXEC does nothing. */
static void
take_transaction(store_database_t *db, redisReply *reply)
{
    redis_link_t *link = db->link;

    if (link->is_refused) { /* the first reason is told */
        freeReplyObject(reply);
    } else if (link->reply_count++ <= link->command_count) {
        link->is_refused =
            redis_expect(db, reply, REDIS_REPLY_STATUS) != DNS_OK;
    } else {
        link->reply = reply;
    }
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
            apex->type == REDIS_REPLY_STRING ? redis_generation_of(apex) : 0;
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
    redisReply *reply = redis_call(
        db, "WAIT %u %d", db->options->replicas.count, REPLICAS_WAIT_MS);

    if (reply != NULL) {
        freeReplyObject(reply);
    }
}

/* Sends it all.  A transaction that was not refused may have been done, though
   its end is not known. */
static dns_status_t
run_transaction(store_database_t *db, uint64_t *generation)
{
    redis_link_t *link = db->link;
    dns_status_t status = put_all(db);

    if (status != DNS_OK) {
        return status;
    }

    link->reply = NULL;
    link->reply_count = 0;
    link->is_refused = false;
    (void) redis_exchange(db, take_transaction); /* a reply that came is one */
    db->is_committing = !link->is_refused;
    return link->is_refused ? DNS_ESTORE
                            : check_exec(db, link->reply, generation);
}

dns_status_t
redis_commit(store_database_t *db, uint64_t *generation)
{
    const redis_link_t *link = db->link;
    const bool writes = link->command_count > 0;
    dns_status_t status = DNS_OK;

    if (writes && !link->writes_apex && !link->is_dropped &&
        link->apex != NULL) {
        status = put_apex(db, link->apex);
    }

    if (status == DNS_OK && writes) {
        status = put_message(db);
    }

    if (status == DNS_OK) {
        status = put_question(db);
    }

    if (status == DNS_OK) {
        status = run_transaction(db, generation);
    }

    if (status == DNS_OK && db->options->replicas.count > 0) {
        wait_for_replicas(db);
    }

    return status;
}

void
redis_abort(store_database_t *db)
{
    char error[STORE_ERROR_SIZE];

    memcpy(error, db->error, sizeof(error));

    if (redis_expect(db, redis_call(db, "UNWATCH"), REDIS_REPLY_STATUS) !=
        DNS_OK) {
        database_close(db);
    }

    memcpy(db->error, error, sizeof(error));
}
