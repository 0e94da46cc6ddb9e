#include "store/redis.h"

#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum { IDLE, LOGIN, ZONES, FETCH } state_t;

struct store_redis_s {
    char prefix[STORE_REDIS_AFFIX_MAX + 1];
    char suffix[STORE_REDIS_AFFIX_MAX + 1];
    store_redis_skip_t skip;
    void *skip_data;
    store_records_t *records; /* borrowed */
    redisReader *reader;      /* owned */
    char *output;             /* owned */
    size_t output_size;
    size_t output_sent;
    state_t state;
    dns_status_t status;
    char error[STORE_REDIS_ERROR_SIZE];
    size_t received;
    size_t replies_left; /* of LOGIN and FETCH */
    uint32_t serial;
    uint64_t skipped;
    uint32_t zone_count;
    dns_zone_list_t *zones; /* borrowed */
    dns_fetched_t *set;     /* borrowed */
    dns_want_t want; /* whose field is being read: replies come in order */
    size_t want_at;
};

/*
 * The fields of names, in Redis itself so that it is one round trip: a text,
 * 1 if there is something below the name only, or nil.  Only where a field is
 * missing are all names of the zone walked over.
 */
static const char fetch_script[] =
    "local v = redis.call('HMGET', KEYS[1], unpack(ARGV)) "
    "local missing = false "
    "for i = 1, #ARGV do missing = missing or not v[i] end "
    "if missing then "
    "local below = {} "
    "for _, f in ipairs(redis.call('HKEYS', KEYS[1])) do "
    "local at = f:find('.', 1, true) "
    "while at do "
    "f = f:sub(at + 1) below[f] = true at = f:find('.', 1, true) "
    "end end "
    "for i = 1, #ARGV do "
    "if not v[i] and below[ARGV[i]] then v[i] = 1 end end end "
    "return v";

dns_status_t
store_redis_new(store_redis_t **out, const store_redis_options_t *options,
                store_records_t *records)
{
    const char *prefix = options->prefix == NULL ? "" : options->prefix;
    const char *suffix = options->suffix == NULL ? "" : options->suffix;

    if (strlen(prefix) > STORE_REDIS_AFFIX_MAX ||
        strlen(suffix) > STORE_REDIS_AFFIX_MAX) {
        return DNS_ELIMIT;
    }

    store_redis_t *db = calloc(1, sizeof(*db));

    if (db == NULL) {
        return DNS_ENOMEM;
    }

    db->reader = redisReaderCreate();

    if (db->reader == NULL) {
        free(db);
        return DNS_ENOMEM;
    }

    strcpy(db->prefix, prefix);
    strcpy(db->suffix, suffix);
    db->skip = options->skip;
    db->skip_data = options->skip_data;
    db->records = records;
    *out = db;
    return DNS_OK;
}

void
store_redis_free(store_redis_t *db)
{
    if (db != NULL) {
        redisReaderFree(db->reader);
        free(db->output);
        free(db);
    }
}

void
store_redis_set_serial(store_redis_t *db, uint32_t serial)
{
    db->serial = serial;
}

uint64_t
store_redis_skipped(const store_redis_t *db)
{
    return db->skipped;
}

dns_status_t
store_redis_status(const store_redis_t *db)
{
    return db->status;
}

const char *
store_redis_error(const store_redis_t *db)
{
    return db->error;
}

const char *
store_redis_output(const store_redis_t *db, size_t *size)
{
    *size = db->output_size - db->output_sent;
    return db->output + db->output_sent;
}

void
store_redis_sent(store_redis_t *db, size_t size)
{
    db->output_sent += size;
}

static void
end(store_redis_t *db, dns_status_t status, const char *error)
{
    db->state = IDLE;
    db->status = status;
    snprintf(db->error, sizeof(db->error), "%s", error);
}

static void
begin(store_redis_t *db, state_t state)
{
    db->state = state;
    db->status = DNS_OK;
    db->error[0] = '\0';
    db->received = 0;
    db->replies_left = 0;
    db->output_size = 0;
    db->output_sent = 0;
}

/* Takes what hiredis formatted. */
static void
put(store_redis_t *db, char *command, int size)
{
    char *output =
        size < 0 ? NULL
                 : realloc(db->output, db->output_size + (size_t) size + 1);

    if (output == NULL) {
        end(db, DNS_ENOMEM, "no memory for a command");
    } else {
        db->output = output;
        memcpy(output + db->output_size, command, (size_t) size);
        db->output_size += (size_t) size;
        db->replies_left++;
    }

    if (size >= 0) {
        redisFreeCommand(command);
    }
}

void
store_redis_begin_login(store_redis_t *db, const char *user,
                        const char *password, unsigned database)
{
    char *command = NULL;
    int size;

    begin(db, LOGIN);

    if (password != NULL) {
        size = user == NULL
                   ? redisFormatCommand(&command, "AUTH %s", password)
                   : redisFormatCommand(&command, "AUTH %s %s", user, password);
        put(db, command, size);
    }

    if (database != 0) {
        size = redisFormatCommand(&command, "SELECT %u", database);
        put(db, command, size);
    }

    if (db->state == LOGIN && db->replies_left == 0) {
        end(db, DNS_OK, "");
    }
}

/* In a pattern of SCAN these are not themselves. */
static void
put_glob(char *out, const char *text)
{
    size_t used = strlen(out);

    for (; *text != '\0'; text++) {
        if (strchr("*?[]\\", *text) != NULL) {
            out[used++] = '\\';
        }

        out[used++] = *text;
    }

    out[used] = '\0';
}

static void
put_scan(store_redis_t *db, const char *cursor)
{
    char pattern[4 * STORE_REDIS_AFFIX_MAX + 4] = "";
    char *command = NULL;

    put_glob(pattern, db->prefix);
    strcat(pattern, "*.");
    put_glob(pattern, db->suffix);

    /* The types of keys are told apart by the server. */
    int size = redisFormatCommand(
        &command, "SCAN %s MATCH %s COUNT 1000 TYPE hash", cursor, pattern);

    put(db, command, size);
}

void
store_redis_begin_zones(store_redis_t *db, dns_zone_list_t *zones)
{
    begin(db, ZONES);
    db->zones = zones;
    db->zone_count = 0;
    put_scan(db, "0");
}

/* The field of a name: "@" or the labels above the apex, no final dot. */
static void
field_of(char *out, const dns_want_t *want)
{
    dns_name_t relative = {0};
    unsigned labels = want->name->label_count - want->apex->label_count;
    size_t size = want->name->label_at[labels];

    if (labels == 0) {
        strcpy(out, "@");
        return;
    }

    memcpy(relative.octets, want->name->octets, size);
    relative.octets[size] = 0;
    out[dns_name_to_text(out, relative.octets) - 1] = '\0';
}

static void
put_fetch(store_redis_t *db, const dns_want_t *want)
{
    char apex[DNS_NAME_TEXT_SIZE];
    char key[DNS_NAME_TEXT_SIZE + 2 * STORE_REDIS_AFFIX_MAX + 1];
    char field[DNS_NAME_TEXT_SIZE];
    char *command = NULL;

    dns_name_to_text(apex, want->apex->octets);
    snprintf(key, sizeof(key), "%s%s%s", db->prefix, apex, db->suffix);
    field_of(field, want);

    int size = redisFormatCommand(&command, "EVAL %s 1 %s %s", fetch_script,
                                  key, field);

    put(db, command, size);
}

void
store_redis_begin_fetch(store_redis_t *db, dns_fetched_t *set)
{
    dns_want_t want;

    begin(db, FETCH);
    db->set = set;
    db->want_at = 0;

    for (size_t at = 0;
         db->state == FETCH && dns_fetched_next_wanted(set, &at, &want);) {
        put_fetch(db, &want);
    }

    if (db->state == FETCH && db->replies_left == 0) {
        end(db, DNS_OK, "");
    }
}

static void
add_zone(store_redis_t *db, const redisReply *key)
{
    size_t prefix = strlen(db->prefix);
    size_t suffix = strlen(db->suffix);
    uint8_t name[DNS_NAME_MAX];
    dns_zone_t zone = {.id = ++db->zone_count};

    if (key->type != REDIS_REPLY_STRING || key->len <= prefix + suffix ||
        dns_name_from_text(name, key->str + prefix, key->len - prefix - suffix,
                           NULL, NULL) != DNS_OK) {
        return;
    }

    dns_name_set(&zone.apex, name);

    /* SCAN may give a key twice. */
    dns_status_t status = dns_zone_list_add(db->zones, &zone);

    if (status != DNS_OK && status != DNS_EEXIST) {
        end(db, status, dns_status_text(status));
    }
}

static void
read_zones(store_redis_t *db, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_ARRAY) {
        end(db, DNS_ESTORE, "not a reply to SCAN");
        return;
    }

    const redisReply *keys = reply->element[1];

    for (size_t i = 0; db->state == ZONES && i < keys->elements; i++) {
        add_zone(db, keys->element[i]);
    }

    if (db->state != ZONES) {
        return;
    }

    if (strcmp(reply->element[0]->str, "0") == 0) {
        end(db, DNS_OK, "");
        return;
    }

    db->output_size = 0;
    db->output_sent = 0;
    put_scan(db, reply->element[0]->str);
}

static void
skip(store_redis_t *db, const char *reason)
{
    char name[DNS_NAME_TEXT_SIZE];

    db->skipped++;

    if (db->skip != NULL) {
        dns_name_to_text(name, db->want.name->octets);
        db->skip(db->skip_data, name, reason);
    }
}

static void
visit(void *data, const store_record_t *record, const char *reason)
{
    store_redis_t *db = data;

    if (record == NULL) {
        skip(db, reason);
        return;
    }

    dns_rrset_t set = {.type = record->type, .ttl = record->ttl};
    dns_status_t status = dns_fetched_add(
        db->set, db->want.zone_id, db->want.name->octets, &set, &record->rdata);

    if (status == DNS_ELIMIT) {
        skip(db, "too many records at one name");
    } else if (status == DNS_ENOMEM) {
        end(db, status, dns_status_text(status));
    }
}

static void
read_field(store_redis_t *db, const redisReply *field)
{
    if (field->type == REDIS_REPLY_INTEGER) {
        dns_fetched_mark(db->set, db->want.zone_id, db->want.name->octets);
        return;
    }

    if (field->type != REDIS_REPLY_STRING) {
        return;
    }

    store_json_t json = {.text = field->str,
                         .size = field->len,
                         .serial = db->serial,
                         .visit = visit,
                         .data = db};

    dns_fetched_mark(db->set, db->want.zone_id, db->want.name->octets);
    /* visit() was told of what is wrong. */
    (void) !store_records_from_json(db->records, &json);
}

static void
read_fetch(store_redis_t *db, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 1 ||
        !dns_fetched_next_wanted(db->set, &db->want_at, &db->want)) {
        end(db, DNS_ESTORE, "not a reply to EVAL");
        return;
    }

    read_field(db, reply->element[0]);

    if (db->state == FETCH && --db->replies_left == 0) {
        dns_fetched_settle(db->set);
        end(db, DNS_OK, "");
    }
}

static void
read_reply(store_redis_t *db, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        end(db, DNS_ESTORE, reply->str);
        return;
    }

    switch (db->state) {
    case LOGIN:
        if (--db->replies_left == 0) {
            end(db, DNS_OK, "");
        }

        break;
    case ZONES:
        read_zones(db, reply);
        break;
    case FETCH:
        read_fetch(db, reply);
        break;
    case IDLE:
        break;
    }
}

store_redis_step_t
store_redis_feed(store_redis_t *db, const char *octets, size_t size)
{
    db->received += size;

    if (db->state != IDLE && db->received > STORE_REDIS_REPLY_MAX) {
        end(db, DNS_ELIMIT, "the reply is too large");
    }

    if (db->state == IDLE) {
        return STORE_REDIS_DONE;
    }

    if (size > 0) {
        redisReaderFeed(db->reader, octets, size);
    }

    while (db->state != IDLE) {
        void *reply = NULL;

        if (redisReaderGetReply(db->reader, &reply) != REDIS_OK) {
            end(db, DNS_ESTORE, db->reader->errstr);
            break;
        }

        if (reply == NULL) {
            return STORE_REDIS_WAITS;
        }

        read_reply(db, reply);
        freeReplyObject(reply);
    }

    return STORE_REDIS_DONE;
}
