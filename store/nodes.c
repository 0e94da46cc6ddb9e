#include "store/nodes.h"

#include <stdlib.h>
#include <string.h>

void
store_nodes_free(store_nodes_t *nodes)
{
    for (size_t i = 0; i < nodes->count; i++) {
        dns_node_builder_free(&nodes->nodes[i].builder);
    }

    free(nodes->nodes);
    *nodes = (store_nodes_t){0};
}

static bool
is_same_name(const dns_name_t *a, const dns_name_t *b)
{
    return a->size == b->size && memcmp(a->octets, b->octets, a->size) == 0;
}

static store_named_node_t *
push(store_nodes_t *nodes, const dns_name_t *name)
{
    if (nodes->count == nodes->capacity) {
        size_t capacity = nodes->capacity == 0 ? 16 : 2 * nodes->capacity;
        store_named_node_t *more =
            realloc(nodes->nodes, capacity * sizeof(*more));

        if (more == NULL) {
            return NULL;
        }

        nodes->nodes = more;
        nodes->capacity = capacity;
    }

    store_named_node_t *node = &nodes->nodes[nodes->count++];

    node->name = *name;
    node->builder = (dns_node_builder_t){0};
    return node;
}

dns_status_t
store_nodes_add(store_nodes_t *nodes, const uint8_t *name,
                const dns_rrset_t *type_and_ttl, const dns_rdata_t *rdata)
{
    dns_name_t lower;

    dns_name_set(&lower, name);

    store_named_node_t *node =
        nodes->count > 0 &&
                is_same_name(&nodes->nodes[nodes->count - 1].name, &lower)
            ? &nodes->nodes[nodes->count - 1]
            : push(nodes, &lower);

    if (node == NULL) {
        return DNS_ENOMEM;
    }

    return dns_node_builder_add_lowest(&node->builder, type_and_ttl->type,
                                       type_and_ttl->ttl, rdata->octets,
                                       rdata->size);
}

static int
compare(const void *left, const void *right)
{
    const store_named_node_t *a = left;
    const store_named_node_t *b = right;

    return dns_name_compare(a->name.octets, b->name.octets);
}

static dns_status_t
merge(store_named_node_t *into, store_named_node_t *from)
{
    dns_node_t node = dns_node_builder_node(&from->builder);
    dns_rrset_t set;
    dns_rdata_t rdata;

    for (size_t at = 0; dns_node_next(&node, &at, &set);) {
        for (size_t r = 0; dns_rrset_next(&set, &r, &rdata);) {
            dns_status_t status = dns_node_builder_add_lowest(
                &into->builder, set.type, set.ttl, rdata.octets, rdata.size);

            if (status == DNS_ENOMEM) {
                return status;
            }
        }
    }

    return DNS_OK;
}

dns_status_t
store_nodes_sort(store_nodes_t *nodes)
{
    size_t kept = 0;
    dns_status_t status = DNS_OK;

    if (nodes->count > 1) {
        qsort(nodes->nodes, nodes->count, sizeof(*nodes->nodes), compare);
    }

    for (size_t i = 0; i < nodes->count; i++) {
        store_named_node_t *node = &nodes->nodes[i];

        if (kept > 0 &&
            is_same_name(&nodes->nodes[kept - 1].name, &node->name)) {
            dns_status_t merged = merge(&nodes->nodes[kept - 1], node);

            status = merged == DNS_OK ? status : merged;
            dns_node_builder_free(&node->builder);
        } else {
            nodes->nodes[kept++] = *node;
        }
    }

    nodes->count = kept;
    return status;
}

store_named_node_t *
store_nodes_find_named(const store_nodes_t *nodes, const dns_name_t *name)
{
    const store_named_node_t wanted = {.name = *name};

    return nodes->count == 0 ? NULL
                             : bsearch(&wanted, nodes->nodes, nodes->count,
                                       sizeof(wanted), compare);
}

dns_node_t
store_nodes_find(const store_nodes_t *nodes, const dns_name_t *name)
{
    const store_named_node_t *found = store_nodes_find_named(nodes, name);

    return found == NULL ? (dns_node_t){NULL, 0}
                         : dns_node_builder_node(&found->builder);
}
