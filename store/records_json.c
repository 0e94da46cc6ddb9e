#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dns/type.h"
#include "store/private/json_shape.h"
#include "store/private/records.h"

enum {
    TYPE_SIZE = 16,    /* bytes of a type's mnemonic and its NUL */
    REASON_SIZE = 256, /* bytes */
};

/* Of a number with a fraction: none of a record's is larger. */
static const double number_max = 1e15;

static const json_shape_t shapes[] = {
    {DNS_TYPE_A, {{{"ip"}, JSON_WORD}}},
    {DNS_TYPE_AAAA, {{{"ip"}, JSON_WORD}}},
    {DNS_TYPE_TXT, {{{"text"}, JSON_STRINGS}}},
    {DNS_TYPE_CNAME, {{{"host"}, JSON_WORD}}},
    {DNS_TYPE_NS, {{{"host"}, JSON_WORD}}},
    {DNS_TYPE_PTR, {{{"host"}, JSON_WORD}}},
    {DNS_TYPE_MX,
     {{{"preference", "priority"}, JSON_NUMBER}, {{"host"}, JSON_WORD}}},
    {DNS_TYPE_SRV,
     {{{"priority"}, JSON_NUMBER},
      {{"weight"}, JSON_NUMBER},
      {{"port"}, JSON_NUMBER},
      {{"target", "host"}, JSON_WORD}}},
    {DNS_TYPE_CAA,
     {{{"flag"}, JSON_NUMBER},
      {{"tag"}, JSON_WORD},
      {{"value"}, JSON_STRINGS}}},
    {DNS_TYPE_SOA,
     {{{"ns"}, JSON_WORD},
      {{"mbox"}, JSON_WORD},
      {{"serial"}, JSON_SERIAL},
      {{"refresh"}, JSON_NUMBER},
      {{"retry"}, JSON_NUMBER},
      {{"expire"}, JSON_NUMBER},
      {{"minttl"}, JSON_NUMBER}}},
};

static void
complain(const store_json_t *json, const char *where, const char *what)
{
    char reason[REASON_SIZE];

    snprintf(reason, sizeof(reason), "%.40s: %s", where, what);
    json->visit(json->data, NULL, reason);
}

const json_shape_t *
json_find_shape(uint16_t type)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        if (shapes[i].type == type) {
            return &shapes[i];
        }
    }

    return NULL;
}

json_t *
json_member(json_t *object, const char *name)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        if (name != NULL && strcasecmp(key, name) == 0 &&
            !json_is_null(value)) {
            return value;
        }
    }

    return NULL;
}

static void
put_number(store_records_t *r, int64_t number)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "%" PRId64, number);

    records_put(r, text, (size_t) size);
}

/* A word has no spaces, so that no field can become two. */
static bool
put_word(store_records_t *r, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!isgraph((unsigned char) text[i]) || strchr("\"();", text[i])) {
            return false;
        }
    }

    records_put(r, text, size);
    return size > 0;
}

/* A number, also as a text or with a fraction of 0. */
static bool
number_of(const json_t *value, int64_t *out)
{
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return true;
    }

    if (json_is_real(value)) {
        const double real = json_real_value(value);

        *out = real > -number_max && real < number_max ? (int64_t) real : -1;
        return (double) *out == real;
    }

    const char *text = json_string_value(value);
    char *end = NULL;

    if (text == NULL) {
        return false;
    }

    errno = 0;
    *out = strtoll(text, &end, 10);

    const size_t size = (size_t) (end - text);

    return end != text && errno == 0 &&
           size + strspn(end, " \t\n") == json_string_length(value);
}

/* One text, or several of which each is a string of its own. */
static bool
put_texts(store_records_t *r, const json_t *value)
{
    const size_t count = json_is_array(value) ? json_array_size(value) : 1;

    for (size_t i = 0; i < count; i++) {
        const json_t *one =
            json_is_array(value) ? json_array_get(value, i) : value;

        if (!json_is_string(one) ||
            json_string_length(one) > STORE_CONTENT_MAX) {
            return false;
        }

        records_put_strings(r, json_string_value(one), json_string_length(one));
        records_put(r, " ", 1);
    }

    return count > 0;
}

static bool
put_value(store_records_t *r, const json_field_t *field, const json_t *value)
{
    int64_t number;

    if (field->kind == JSON_STRINGS && !json_is_number(value)) {
        return put_texts(r, value);
    }

    if ((field->kind != JSON_WORD || json_is_number(value)) &&
        number_of(value, &number)) {
        put_number(r, number);
        return true;
    }

    return json_is_string(value) &&
           put_word(r, json_string_value(value), json_string_length(value));
}

/* What stands for a member that is not there; false: it must be. */
static bool
put_missing(store_records_t *r, const json_field_t *field, uint32_t serial)
{
    if (field->kind == JSON_WORD || field->kind == JSON_STRINGS) {
        return false;
    }

    put_number(r, field->kind == JSON_SERIAL ? serial : 0);
    return true;
}

/* The member that is wrong, or NULL. */
static const char *
put_fields(store_records_t *r, const json_shape_t *shape, json_t *object,
           uint32_t serial)
{
    records_rewind(r);

    for (const json_field_t *f = shape->fields;
         f < shape->fields + JSON_FIELDS_MAX && f->names[0] != NULL; f++) {
        json_t *value = json_member(object, f->names[0]);

        if (value == NULL) {
            value = json_member(object, f->names[1]);
        }

        if (value == NULL ? !put_missing(r, f, serial)
                          : !put_value(r, f, value)) {
            return f->names[0];
        }

        records_put(r, " ", 1);
    }

    return NULL;
}

/* One that cannot be read is told, and the record served all the same. */
static int64_t
ttl_of(const store_json_t *json, const char *where, json_t *object,
       int64_t otherwise)
{
    const json_t *ttl = json_member(object, "ttl");
    int64_t number;

    if (ttl == NULL || number_of(ttl, &number)) {
        return ttl == NULL ? otherwise : number;
    }

    complain(json, where, "ttl");
    return otherwise;
}

static void
give(store_records_t *r, const store_json_t *json, uint16_t type,
     const char *where, int64_t ttl)
{
    store_record_t record;
    const char *reason;

    if (records_parse(r, type, &record, &reason) != DNS_OK) {
        complain(json, where, reason);
        return;
    }

    record.ttl = records_ttl(ttl);
    json->visit(json->data, &record, NULL);
}

static void
read_object(store_records_t *r, const store_json_t *json, uint16_t type,
            json_t *object, int64_t ttl)
{
    const json_shape_t *shape = json_find_shape(type);
    char where[TYPE_SIZE];

    if (json_is_null(object)) {
        return;
    }

    dns_type_to_text(where, type);

    /* As the plugin: such a zone gets the SOA that it makes up. */
    if (type == DNS_TYPE_SOA && json_is_object(object) &&
        json_member(object, "ns") == NULL) {
        return;
    }

    if (shape == NULL || !json_is_object(object)) {
        complain(json, where,
                 shape == NULL ? "no such type here; use rr" : "not an object");
        return;
    }

    const char *wrong = put_fields(r, shape, object, json->serial);

    if (wrong != NULL) {
        complain(json, where, wrong);
        return;
    }

    give(r, json, type, where, ttl_of(json, where, object, ttl));
}

/* {"type":"TLSA","ttl":300,"data":"3 1 1 ..."} */
static void
read_other(store_records_t *r, const store_json_t *json, json_t *object)
{
    json_t *type = json_member(object, "type");
    json_t *data = json_member(object, "data");
    store_record_t record;
    const char *reason = NULL;

    if (!json_is_string(type) || !json_is_string(data)) {
        complain(json, "rr", "type and data are texts");
        return;
    }

    store_row_t row = {.type = json_string_value(type),
                       .type_size = json_string_length(type),
                       .content = json_string_value(data),
                       .content_size = json_string_length(data),
                       .is_master_text = true,
                       .has_ttl = true,
                       .ttl = ttl_of(json, "rr", object, STORE_JSON_TTL)};

    if (store_records_from_row(r, &row, &record, &reason) != DNS_OK) {
        complain(json, "rr", reason != NULL ? reason : "no type");
        return;
    }

    json->visit(json->data, &record, NULL);
}

static void
read_entry(store_records_t *r, const store_json_t *json, const char *key,
           json_t *object)
{
    uint16_t type;

    if (strcasecmp(key, "rr") == 0 && json_is_null(object)) {
        return;
    }

    if (strcasecmp(key, "rr") == 0) {
        read_other(r, json, object);
    } else if (dns_type_from_text(&type, key, strlen(key)) == DNS_OK) {
        read_object(r, json, type, object, STORE_JSON_TTL);
    } else {
        complain(json, key, "no such type");
    }
}

json_t *
records_load_json(const char *text, size_t size, json_error_t *error)
{
    return json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
                      error);
}

static json_t *
load(const store_json_t *json)
{
    json_error_t error;

    if (json->size > STORE_JSON_MAX) {
        complain(json, "JSON", "too long");
        return NULL;
    }

    json_t *root = records_load_json(json->text, json->size, &error);

    if (root == NULL) {
        complain(json, "JSON", error.text);
    } else if (!json_is_object(root)) {
        complain(json, "JSON", "not an object");
        json_decref(root);
        return NULL;
    }

    return root;
}

dns_status_t
store_records_from_json(store_records_t *r, const store_json_t *json)
{
    json_t *root = load(json);
    const char *key;
    json_t *value;

    if (root == NULL) {
        return DNS_EMALFORMED;
    }

    json_object_foreach(root, key, value)
    {
        size_t count = json_is_array(value) ? json_array_size(value) : 1;

        for (size_t i = 0; i < count; i++) {
            read_entry(r, json, key,
                       json_is_array(value) ? json_array_get(value, i) : value);
        }
    }

    json_decref(root);
    return DNS_OK;
}

static void
note_unread(void *data, const store_record_t *record, const char *reason)
{
    (void) reason;
    *(bool *) data |= record == NULL;
}

bool
records_can_read(store_records_t *r, const char *key, json_t *entry)
{
    bool is_unread = false;
    const store_json_t json = {.visit = note_unread, .data = &is_unread};

    read_entry(r, &json, key, entry);
    return !is_unread;
}

/* Leaves the entries that cannot be read; true: there are some. */
static bool
drop_read(store_records_t *r, const char *key, json_t *value)
{
    if (!json_is_array(value)) {
        return !records_can_read(r, key, value);
    }

    for (size_t i = json_array_size(value); i-- > 0;) {
        if (records_can_read(r, key, json_array_get(value, i))) {
            json_array_remove(value, i);
        }
    }

    return json_array_size(value) > 0;
}

dns_status_t
store_records_unread_json(store_records_t *r, const char *text, size_t size,
                          char **out)
{
    json_t *root = records_load_json(text, size, NULL);
    const char *key;
    json_t *value;
    void *next;

    if (!json_is_object(root)) {
        json_decref(root);
        *out = strndup(text, size);
        return *out == NULL ? DNS_ENOMEM : DNS_OK;
    }

    json_object_foreach_safe(root, next, key, value)
    {
        if (!drop_read(r, key, value)) {
            json_object_del(root, key);
        }
    }

    const bool has_unread = json_object_size(root) > 0;

    *out = has_unread ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return has_unread && *out == NULL ? DNS_ENOMEM : DNS_OK;
}

dns_status_t
store_records_from_json_row(store_records_t *r, const store_row_t *row,
                            const store_json_t *json)
{
    uint16_t type;

    if (row->type == NULL ||
        dns_type_from_text(&type, row->type, row->type_size) != DNS_OK) {
        complain(json, "record_type", "no such type");
        return DNS_EUNKNOWN;
    }

    json_t *root = load(json);

    if (root == NULL) {
        return DNS_EMALFORMED;
    }

    read_object(r, json, type, root,
                row->has_ttl && row->ttl != 0 ? row->ttl : STORE_JSON_TTL);
    json_decref(root);
    return DNS_OK;
}
