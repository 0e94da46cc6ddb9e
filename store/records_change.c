/* Record sets into the JSON of a field. */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dns/name.h"
#include "dns/octets.h"
#include "dns/rdata_text.h"
#include "dns/type.h"
#include "store/private/edit.h"
#include "store/private/json_shape.h"
#include "store/private/records.h"

enum {
    STRING_MAX = 255, /* octets, RFC 1035 3.3 */
    TEXT_SIZE = 4 * DNS_RDATA_MAX + 1024,
};

static void
set_ttl(json_t *object, uint32_t ttl)
{
    json_object_set_new(object, "ttl", json_integer((json_int_t) ttl));
}

/* Strings as one text, where reading it cuts it into the same strings. */
static json_t *
text_of_strings(const dns_rdata_t *rdata)
{
    char text[DNS_RDATA_MAX];
    size_t used = 0;

    for (size_t at = 0; at < rdata->size;) {
        size_t size = rdata->octets[at];

        if (size != STRING_MAX && at + 1 + size != rdata->size) {
            return NULL;
        }

        memcpy(text + used, rdata->octets + at + 1, size);
        used += size;
        at += 1 + size;
    }

    return json_stringn(text, used); /* NULL: it is not UTF-8 */
}

/* The next word of text, without its quotes; *text goes behind it. */
static json_t *
next_word(char **text)
{
    char *word = *text;
    size_t size = strcspn(word, " ");
    bool is_number = size > 0 && size < 11;

    for (size_t i = 0; i < size; i++) {
        is_number = is_number && isdigit((unsigned char) word[i]);
    }

    *text = word + size + (word[size] == ' ');
    return is_number ? json_integer((json_int_t) strtoull(word, NULL, 10))
                     : json_stringn(word, size);
}

/* CAA's value: flags, size of the tag, tag, value. */
static json_t *
value_of_caa(const dns_rdata_t *rdata)
{
    size_t at = 2u + rdata->octets[1];

    return json_stringn((const char *) rdata->octets + at, rdata->size - at);
}

static json_t *
value_of(const json_field_t *field, uint16_t type, const dns_rdata_t *rdata,
         char **text)
{
    if (field->kind != JSON_STRINGS) {
        return next_word(text);
    }

    return type == DNS_TYPE_CAA ? value_of_caa(rdata) : text_of_strings(rdata);
}

/* NULL: it does not fit the type's members. */
static json_t *
object_of(const json_shape_t *shape, const dns_rdata_t *rdata, char *text)
{
    json_t *object = json_object();

    for (const json_field_t *f = shape->fields;
         f < shape->fields + JSON_FIELDS_MAX && f->names[0] != NULL; f++) {
        json_t *value = value_of(f, shape->type, rdata, &text);

        if (value == NULL || json_object_set_new(object, f->names[0], value)) {
            json_decref(object);
            return NULL;
        }
    }

    return object;
}

/* {"type":"TLSA","ttl":300,"data":"3 1 1 ..."} */
static json_t *
other_of(uint16_t type, const char *text)
{
    char mnemonic[DNS_MNEMONIC_SIZE];
    json_t *object = json_object();

    dns_type_to_text(mnemonic, type);
    json_object_set_new(object, "type", json_string(mnemonic));
    json_object_set_new(object, "data", json_string(text));
    return object;
}

/* The array of a key, made if there is none. */
static json_t *
array_of(json_t *root, const char *key)
{
    json_t *array = json_object_get(root, key);

    if (!json_is_array(array)) {
        array = json_array();
        json_object_set_new(root, key, array);
    }

    return array;
}

static void
key_of(uint16_t type, char *key)
{
    dns_type_to_text(key, type);

    for (; *key != '\0'; key++) {
        *key = (char) lower((uint8_t) *key);
    }
}

static dns_status_t
put_record(json_t *root, const dns_rrset_t *set, const dns_rdata_t *rdata,
           char *text)
{
    const json_shape_t *shape = json_find_shape(set->type);
    char key[DNS_MNEMONIC_SIZE];
    size_t size;
    dns_status_t status =
        dns_rdata_to_text(set->type, rdata, text, TEXT_SIZE, &size);

    if (status != DNS_OK) {
        return status;
    }

    json_t *object = shape == NULL ? NULL : object_of(shape, rdata, text);

    key_of(set->type, key);

    if (object == NULL) {
        object = other_of(set->type, text);
        strcpy(key, "rr");
    }

    set_ttl(object, set->ttl);

    if (set->type == DNS_TYPE_SOA) { /* the plugin wants one object */
        json_object_set_new(root, key, object);
    } else {
        json_array_append_new(array_of(root, key), object);
    }

    return DNS_OK;
}

static bool
is_of_type(json_t *object, uint16_t type)
{
    const json_t *text = json_member(object, "type");
    uint16_t other;

    return json_is_string(text) &&
           dns_type_from_text(&other, json_string_value(text),
                              json_string_length(text)) == DNS_OK &&
           other == type;
}

/* What a change works on. */
typedef struct {
    store_records_t *records;
    const store_json_change_t *change;
    json_t *root;
} changing_t;

/* Takes a member's records of a type away, but for what stays. */
static void
drop_entries(const changing_t *c, const char *key, json_t *array, uint16_t type,
             bool keeps_unread)
{
    const bool is_other = strcasecmp(key, "rr") == 0;

    for (size_t i = json_array_size(array); i-- > 0;) {
        json_t *entry = json_array_get(array, i);

        if ((!is_other || is_of_type(entry, type)) &&
            (!keeps_unread || records_can_read(c->records, key, entry))) {
            json_array_remove(array, i);
        }
    }
}

/* All records of a type, in whatever letters they stand there. */
static void
drop_set(const changing_t *c, uint16_t type)
{
    const store_json_change_t *change = c->change;
    const bool keeps_unread =
        change->resets != NULL && !change->resets(change->data, type);
    char mnemonic[DNS_MNEMONIC_SIZE];
    const char *key;
    json_t *value;
    void *next;

    dns_type_to_text(mnemonic, type);

    json_object_foreach_safe(c->root, next, key, value)
    {
        const bool is_of_key = strcasecmp(key, mnemonic) == 0;

        if (json_is_array(value) && (is_of_key || strcasecmp(key, "rr") == 0)) {
            drop_entries(c, key, value, type, keeps_unread);
        }

        if (is_of_key &&
            (!json_is_array(value) || json_array_size(value) == 0)) {
            json_object_del(c->root, key);
        }
    }
}

/* The served serial of such a zone is not of the data. */
static bool
keeps_soa(json_t *root, const dns_rrset_t *set, const dns_node_t *old)
{
    json_t *soa = json_member(root, "soa");
    json_t *first = json_is_array(soa) ? json_array_get(soa, 0) : soa;
    dns_rrset_t before;

    /* A SOA that was made up is none of the data, either. */
    if (set->type != DNS_TYPE_SOA || (soa != NULL && !json_is_object(first)) ||
        (soa != NULL && json_member(first, "serial") != NULL) ||
        !dns_node_find(old, DNS_TYPE_SOA, &before) || before.ttl != set->ttl ||
        before.size != set->size) {
        return false;
    }

    /* Two octets of a size, two names, then the serial. */
    size_t at = 2u + dns_name_size(set->rdata + 2);

    at += dns_name_size(set->rdata + at);
    return memcmp(before.rdata, set->rdata, at) == 0 &&
           memcmp(before.rdata + at + 4, set->rdata + at + 4,
                  set->size - at - 4) == 0;
}

static dns_status_t
put_sets(const changing_t *c, char *text)
{
    const store_json_change_t *change = c->change;
    dns_rrset_t set;
    dns_rdata_t rdata;
    dns_status_t status = DNS_OK;

    for (size_t at = 0;
         status == DNS_OK && dns_node_next(change->node, &at, &set);) {
        if (store_has_same_set(change->old, &set) ||
            keeps_soa(c->root, &set, change->old)) {
            continue;
        }

        drop_set(c, set.type);

        for (size_t r = 0;
             status == DNS_OK && dns_rrset_next(&set, &r, &rdata);) {
            dns_rrset_t row = set;

            row.ttl = dns_node_ttl(change->node, &set, &rdata);
            status = put_record(c->root, &row, &rdata, text);
        }
    }

    return status;
}

static bool
is_empty(json_t *root)
{
    const char *key;
    json_t *value;

    json_object_foreach(root, key, value)
    {
        if (!json_is_array(value) || json_array_size(value) > 0) {
            return false;
        }
    }

    return true;
}

dns_status_t
store_records_change_json(store_records_t *records,
                          const store_json_change_t *change, char **out)
{
    json_t *root = change->text == NULL
                       ? NULL
                       : records_load_json(change->text, change->size, NULL);
    char *text = malloc(TEXT_SIZE);
    dns_rrset_t set;
    dns_rrset_t other;
    dns_status_t status = DNS_ENOMEM;

    *out = NULL;

    if (change->text != NULL && !json_is_object(root)) {
        json_decref(root);
        free(text);
        return DNS_ECONFLICT;
    }

    if (root == NULL) {
        root = json_object();
    }

    const changing_t c = {records, change, root};

    if (root != NULL && text != NULL) {
        for (size_t at = 0; dns_node_next(change->old, &at, &set);) {
            if (!dns_node_find(change->node, set.type, &other)) {
                drop_set(&c, set.type);
            }
        }

        status = put_sets(&c, text);
    }

    if (status == DNS_OK && !is_empty(root)) {
        *out = json_dumps(root, JSON_COMPACT);
        status = *out == NULL ? DNS_ENOMEM : DNS_OK;
    }

    free(text);
    json_decref(root);
    return status;
}
