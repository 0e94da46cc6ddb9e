#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "dns/rdata_text.h"
#include "dns/type.h"
#include "store/private/parked.h"

dns_status_t
store_edit_parked(store_edit_t *edit, store_edit_t **out)
{
    dns_status_t status = edit->parked == NULL
                              ? store_edit_new(edit->apex.octets, &edit->parked)
                              : DNS_OK;

    *out = edit->parked;
    return status;
}

/* Texts. */

static uint16_t
type_of(const json_t *type, const json_t *disabled)
{
    const char *text = json_string_value(type);
    uint16_t number = 0;

    if (text == NULL) {
        return 0;
    }

    if (strcmp(text, "ALIAS") == 0) {
        return json_is_true(disabled) ? STORE_TYPE_DISABLED_ALIAS
                                      : STORE_TYPE_ALIAS;
    }

    return dns_type_from_text(&number, text, strlen(text)) == DNS_OK ? number
                                                                     : 0;
}

/* A record that does not parse is none. */
static dns_status_t
read_record(const json_t *object, uint8_t *rdata, store_nodes_t *nodes)
{
    const json_t *name = json_object_get(object, "name");
    const json_t *data = json_object_get(object, "data");
    const uint16_t type = type_of(json_object_get(object, "type"),
                                  json_object_get(object, "disabled"));
    uint8_t owner[DNS_NAME_MAX];
    dns_rdata_t found = {.octets = rdata};

    if (type == 0 || !json_is_string(name) || !json_is_string(data) ||
        dns_name_from_text(owner, json_string_value(name),
                           json_string_length(name), NULL, NULL) != DNS_OK) {
        return DNS_OK;
    }

    const dns_rdata_input_t input = {
        .type = store_parked_text_type(type),
        .text = json_string_value(data),
        .size = json_string_length(data),
    };

    if (dns_rdata_from_text(&input, rdata, &found.size, NULL) != DNS_OK) {
        return DNS_OK;
    }

    const dns_rrset_t set = {
        .type = type,
        .ttl = (uint32_t) json_integer_value(json_object_get(object, "ttl")),
    };
    dns_status_t status = store_nodes_add(nodes, owner, &set, &found);

    return status == DNS_ENOMEM ? status : DNS_OK;
}

dns_status_t
store_parked_read(const char *text, size_t size, store_nodes_t *nodes)
{
    json_t *root = json_loadb(text, size, 0, NULL);
    uint8_t *rdata = malloc(DNS_RDATA_MAX);
    dns_status_t status = rdata == NULL ? DNS_ENOMEM : DNS_OK;

    for (size_t i = 0; status == DNS_OK && i < json_array_size(root); i++) {
        status = read_record(json_array_get(root, i), rdata, nodes);
    }

    free(rdata);
    json_decref(root);
    return status == DNS_OK ? store_nodes_sort(nodes) : status;
}

static json_t *
object_of(const char *owner, const dns_rrset_t *set, const char *data)
{
    char type[DNS_MNEMONIC_SIZE] = "ALIAS";
    const bool is_alias = store_parked_text_type(set->type) != set->type;

    if (!is_alias) {
        dns_type_to_text(type, set->type);
    }

    json_t *object =
        json_pack("{s:s, s:s, s:I, s:s}", "name", owner, "type", type, "ttl",
                  (json_int_t) set->ttl, "data", data);

    if (object != NULL && is_alias) {
        json_object_set_new(
            object, "disabled",
            json_boolean(set->type == STORE_TYPE_DISABLED_ALIAS));
    }

    return object;
}

static dns_status_t
write_node(json_t *root, const store_named_node_t *named, char *text)
{
    const dns_node_t node = dns_node_builder_node(&named->builder);
    char owner[DNS_NAME_TEXT_SIZE];
    dns_rrset_t set;
    dns_rdata_t rdata;
    size_t size;
    dns_status_t status = DNS_OK;

    dns_name_to_text(owner, named->name.octets);

    for (size_t at = 0; dns_node_next(&node, &at, &set);) {
        for (size_t r = 0;
             status == DNS_OK && dns_rrset_next(&set, &r, &rdata);) {
            status = dns_rdata_to_text(store_parked_text_type(set.type), &rdata,
                                       text, DNS_RDATA_TEXT_MAX, &size);

            if (status == DNS_OK &&
                json_array_append_new(root, object_of(owner, &set, text)) < 0) {
                status = DNS_ENOMEM;
            }
        }
    }

    return status;
}

dns_status_t
store_parked_write(const store_nodes_t *nodes, char **out)
{
    json_t *root = json_array();
    char *text = malloc(DNS_RDATA_TEXT_MAX);
    dns_status_t status = root == NULL || text == NULL ? DNS_ENOMEM : DNS_OK;

    *out = NULL;

    for (size_t i = 0; status == DNS_OK && i < nodes->count; i++) {
        status = write_node(root, &nodes->nodes[i], text);
    }

    if (status == DNS_OK && json_array_size(root) > 0) {
        *out = json_dumps(root, JSON_COMPACT);
        status = *out == NULL ? DNS_ENOMEM : DNS_OK;
    }

    free(text);
    json_decref(root);
    return status;
}

/* Changes. */

static dns_status_t
add_node(store_nodes_t *nodes, const dns_name_t *name, const dns_node_t *node)
{
    dns_rrset_t set;
    dns_rdata_t rdata;
    dns_status_t status = DNS_OK;

    for (size_t at = 0; dns_node_next(node, &at, &set);) {
        for (size_t r = 0;
             status == DNS_OK && dns_rrset_next(&set, &r, &rdata);) {
            status = store_nodes_add(nodes, name->octets, &set, &rdata);
        }
    }

    return status;
}

/* One owner's changes; what is new goes to added.  Seven arguments: the walk's
   state is its caller's. */
static dns_status_t
/* NOLINTNEXTLINE(readability-function-size) */
apply_group(store_edit_t *parked, size_t first, size_t end,
            store_nodes_t *nodes, store_nodes_t *added, bool *is_changed,
            char *error)
{
    dns_node_builder_t builder = {0};
    uint8_t owner[DNS_NAME_MAX];
    dns_name_t name;

    store_edit_owner(parked, &parked->changes[first], owner);
    dns_name_set(&name, owner);

    store_named_node_t *named = store_nodes_find_named(nodes, &name);
    const dns_node_t old = store_nodes_find(nodes, &name);
    dns_status_t status = dns_node_builder_reset(&builder, &old);

    if (status == DNS_OK) {
        status = store_edit_change(parked, first, end, &builder, error);
    }

    if (status == DNS_OK) {
        const dns_node_t node = dns_node_builder_node(&builder);

        *is_changed = *is_changed || !store_is_same_node(&old, &node);
        status = named == NULL ? add_node(added, &name, &node)
                               : dns_node_builder_reset(&named->builder, &node);
    }

    dns_node_builder_free(&builder);
    return status;
}

static dns_status_t
apply_groups(store_edit_t *parked, store_nodes_t *nodes, store_nodes_t *added,
             bool *is_changed, char *error)
{
    dns_status_t status = DNS_OK;
    size_t end;

    for (size_t i = 0; status == DNS_OK && i < parked->change_count; i = end) {
        end = store_edit_group_end(parked, i);
        status = apply_group(parked, i, end, nodes, added, is_changed, error);
    }

    for (size_t i = 0; status == DNS_OK && i < added->count; i++) {
        const dns_node_t node = dns_node_builder_node(&added->nodes[i].builder);

        status = add_node(nodes, &added->nodes[i].name, &node);
    }

    return status == DNS_OK ? store_nodes_sort(nodes) : status;
}

dns_status_t
store_parked_apply(store_edit_t *edit, store_nodes_t *nodes, bool *is_changed,
                   char *error)
{
    store_edit_t *parked = edit->parked;
    store_nodes_t added = {0};
    dns_status_t status = store_edit_sort(parked, error);

    *is_changed = false;

    if (parked->replaces) {
        for (size_t i = 0; i < nodes->count; i++) {
            *is_changed |= nodes->nodes[i].builder.size > 0;
            nodes->nodes[i].builder.size = 0;
        }
    }

    if (status == DNS_OK) {
        status = apply_groups(parked, nodes, &added, is_changed, error);
    }

    store_nodes_free(&added);
    return status;
}
