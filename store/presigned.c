#include "store/private/presigned.h"

#include <stdlib.h>
#include <string.h>

#include "dns/nsec3.h"
#include "dns/octets.h"
#include "dns/rdata.h"
#include "dns/rdata_text.h"
#include "dns/type.h"
#include "store/buffer.h"

enum {
    ITERATIONS_MAX = 500, /* of which proofs are given: dns/engine_denial.c */
};

/* A chain of NSEC or NSEC3: the nodes that have a signature of one, in
   canonical order. */
typedef struct {
    store_named_node_t **nodes; /* owned; the nodes are borrowed */
    size_t count;
} chain_t;

/* A name's hash, and the node that it has; NULL: an empty non-terminal. */
typedef struct {
    uint8_t label[DNS_NSEC3_LABEL_SIZE];
    const store_named_node_t *node;
} hashed_t;

typedef struct {
    const dns_name_t *apex;
    const dns_rdata_t *parameters;
    hashed_t *names; /* owned */
    size_t count;
    size_t capacity;
} hashes_t;

presigned_t
presigned_lacks(const store_nodes_t *nodes, const dns_name_t *apex)
{
    const dns_node_t node = store_nodes_find(nodes, apex);
    dns_rrset_t rrset;
    uint32_t ttl;

    if (dns_node_find(&node, DNS_TYPE_NSEC, &rrset) ||
        dns_node_find(&node, DNS_TYPE_NSEC3PARAM, &rrset)) {
        return PRESIGNED_WHOLE;
    }

    return dns_node_has_signature(&node, DNS_TYPE_NSEC, &ttl) ? PRESIGNED_NSEC
           : dns_node_has_signature(&node, DNS_TYPE_NSEC3PARAM, &ttl)
               ? PRESIGNED_NSEC3
               : PRESIGNED_WHOLE;
}

static dns_status_t
find_chain(const store_nodes_t *nodes, uint16_t type, chain_t *chain)
{
    chain->count = 0;
    chain->nodes = calloc(nodes->count + 1, sizeof(store_named_node_t *));

    if (chain->nodes == NULL) {
        return DNS_ENOMEM;
    }

    for (size_t i = 0; i < nodes->count; i++) {
        const dns_node_t node = dns_node_builder_node(&nodes->nodes[i].builder);
        uint32_t ttl;

        if (dns_node_has_signature(&node, type, &ttl)) {
            chain->nodes[chain->count++] = &nodes->nodes[i];
        }
    }

    return DNS_OK;
}

/* Of a delegation only what the zone is the authority of: RFC 4035 section
   2.3. */
static bool
is_in_bitmap(uint16_t type, bool is_cut)
{
    return !is_cut || type == DNS_TYPE_NS || type == DNS_TYPE_DS;
}

/* The types of a name that has records.  is_signed: it has signatures whatever
   they are of: an insecure delegation has one of its NSEC alone. */
static void
put_types(buffer_t *text, const store_named_node_t *named,
          const dns_name_t *apex, bool is_signed)
{
    const dns_node_t node = dns_node_builder_node(&named->builder);
    const bool is_apex = named->name.label_count == apex->label_count;
    char mnemonic[DNS_MNEMONIC_SIZE];
    dns_rrset_t rrset;
    const bool is_cut = !is_apex && dns_node_find(&node, DNS_TYPE_NS, &rrset);

    is_signed =
        is_signed || !is_cut || dns_node_find(&node, DNS_TYPE_DS, &rrset);

    for (size_t at = 0; dns_node_next(&node, &at, &rrset);) {
        if (rrset.type == DNS_TYPE_RRSIG ? is_signed
                                         : is_in_bitmap(rrset.type, is_cut)) {
            (void) dns_type_to_text(mnemonic, rrset.type);
            buffer_put(text, " %s", mnemonic);
        }
    }
}

/* Adds the record that the text is to the node, with the TTL of its
   signature's. */
static dns_status_t
add_text(store_named_node_t *named, uint16_t type, const buffer_t *text)
{
    const dns_node_t node = dns_node_builder_node(&named->builder);
    const dns_rdata_input_t input = {
        .type = type, .text = text->octets, .size = text->size};
    uint8_t rdata[DNS_RDATA_MAX];
    uint16_t size;
    uint32_t ttl = 0;

    if (text->failed) {
        return DNS_ENOMEM;
    }

    if (!dns_node_has_signature(&node, type, &ttl) ||
        dns_rdata_from_text(&input, rdata, &size, NULL) != DNS_OK) {
        return DNS_ECONFLICT;
    }

    return dns_node_builder_add(&named->builder, type, ttl, rdata, size);
}

dns_status_t
presigned_add_nsec(store_nodes_t *nodes, const dns_name_t *apex)
{
    char next[DNS_NAME_TEXT_SIZE];
    buffer_t text = {0};
    chain_t chain;
    dns_status_t status = find_chain(nodes, DNS_TYPE_NSEC, &chain);

    for (size_t i = 0; status == DNS_OK && i < chain.count; i++) {
        (void) dns_name_to_text(
            next, chain.nodes[(i + 1) % chain.count]->name.octets);
        buffer_clear(&text);
        buffer_put(&text, "%s", next);
        put_types(&text, chain.nodes[i], apex, true);
        buffer_put(&text, " NSEC");
        status = add_text(chain.nodes[i], DNS_TYPE_NSEC, &text);
    }

    buffer_free(&text);
    free(chain.nodes);
    return status;
}

static dns_status_t
push_hash(hashes_t *hashes, const dns_name_t *name,
          const store_named_node_t *node)
{
    uint8_t hash[DNS_NSEC3_HASH_SIZE];

    if (hashes->count == hashes->capacity) {
        const size_t capacity =
            hashes->capacity == 0 ? 64 : 2 * hashes->capacity;
        hashed_t *names = realloc(hashes->names, capacity * sizeof(*names));

        if (names == NULL) {
            return DNS_ENOMEM;
        }

        hashes->names = names;
        hashes->capacity = capacity;
    }

    hashed_t *hashed = &hashes->names[hashes->count++];

    dns_nsec3_hash(hashes->parameters, name, hash);
    dns_nsec3_label(hash, hashed->label);
    hashed->node = node;
    return DNS_OK;
}

/* The labels, from the root on, that two names in lower case have in common. */
static unsigned
common_labels(const dns_name_t *a, const dns_name_t *b)
{
    unsigned n =
        a->label_count < b->label_count ? a->label_count : b->label_count;
    dns_name_t ancestor;

    for (; n > 0; n--) {
        dns_name_ancestor(&ancestor, a, n);

        if (dns_name_has_suffix(b, &ancestor)) {
            break;
        }
    }

    return n;
}

/* The name, and the empty non-terminals above it that no name before it, in
   canonical order, is below of. */
static dns_status_t
push_with_ancestors(hashes_t *hashes, const store_named_node_t *node,
                    const dns_name_t *before)
{
    dns_status_t status = push_hash(hashes, &node->name, node);
    unsigned n = before == NULL ? hashes->apex->label_count
                                : common_labels(before, &node->name);

    while (status == DNS_OK && ++n < node->name.label_count) {
        dns_name_t ancestor;

        dns_name_ancestor(&ancestor, &node->name, n);
        status = push_hash(hashes, &ancestor, NULL);
    }

    return status;
}

static int
compare_hashes(const void *left, const void *right)
{
    return memcmp(((const hashed_t *) left)->label,
                  ((const hashed_t *) right)->label, DNS_NSEC3_LABEL_SIZE);
}

/* The hashes of all names of the zone, but for the hashes themselves. */
static dns_status_t
hash_names(const store_nodes_t *nodes, hashes_t *hashes)
{
    const dns_name_t *before = NULL;
    dns_status_t status = DNS_OK;
    uint32_t ttl;

    for (size_t i = 0; status == DNS_OK && i < nodes->count; i++) {
        const store_named_node_t *named = &nodes->nodes[i];
        const dns_node_t node = dns_node_builder_node(&named->builder);

        if (!dns_node_has_signature(&node, DNS_TYPE_NSEC3, &ttl)) {
            status = push_with_ancestors(hashes, named, before);
            before = &named->name;
        }
    }

    if (hashes->count > 0) {
        qsort(hashes->names, hashes->count, sizeof(*hashes->names),
              compare_hashes);
    }

    return status;
}

static const hashed_t *
find_hash(const hashes_t *hashes, const dns_name_t *owner)
{
    hashed_t wanted = {.node = NULL};

    if (hashes->count == 0 || owner->octets[0] != DNS_NSEC3_LABEL_SIZE ||
        owner->label_count != hashes->apex->label_count + 1) {
        return NULL;
    }

    memcpy(wanted.label, owner->octets + 1, sizeof(wanted.label));
    return bsearch(&wanted, hashes->names, hashes->count, sizeof(wanted),
                   compare_hashes);
}

/* A signature whose name is not known would make all of them doubtful. */
static dns_status_t
check_chain(const hashes_t *hashes, const chain_t *chain)
{
    for (size_t i = 0; i < chain->count; i++) {
        if (find_hash(hashes, &chain->nodes[i]->name) == NULL) {
            return DNS_ECONFLICT;
        }
    }

    return chain->count > 0 ? DNS_OK : DNS_ECONFLICT;
}

/* parameters: as text, which the records begin with. */
static dns_status_t
add_chain(const hashes_t *hashes, const chain_t *chain, const char *parameters)
{
    dns_status_t status = check_chain(hashes, chain);
    buffer_t text = {0};

    for (size_t i = 0; status == DNS_OK && i < chain->count; i++) {
        const dns_name_t *next = &chain->nodes[(i + 1) % chain->count]->name;
        const hashed_t *hashed = find_hash(hashes, &chain->nodes[i]->name);

        buffer_clear(&text);
        buffer_put(&text, "%s ", parameters);
        buffer_put_octets(&text, (const char *) next->octets + 1,
                          DNS_NSEC3_LABEL_SIZE);

        if (hashed->node != NULL) {
            put_types(&text, hashed->node, hashes->apex, false);
        }

        status = add_text(chain->nodes[i], DNS_TYPE_NSEC3, &text);
    }

    buffer_free(&text);
    return status;
}

/* NSEC3PARAM has no flags: RFC 5155 section 4.1.2. */
static dns_status_t
add_parameters(store_nodes_t *nodes, const dns_name_t *apex, dns_rdata_t rdata)
{
    store_named_node_t *named = store_nodes_find_named(nodes, apex);
    const dns_node_t node = dns_node_builder_node(&named->builder);
    uint8_t octets[DNS_RDATA_MAX];
    uint32_t ttl = 0;

    (void) dns_node_has_signature(&node, DNS_TYPE_NSEC3PARAM, &ttl);
    memcpy(octets, rdata.octets, rdata.size);
    octets[1] = 0;
    return dns_node_builder_add(&named->builder, DNS_TYPE_NSEC3PARAM, ttl,
                                octets, rdata.size);
}

dns_status_t
presigned_add_nsec3(store_nodes_t *nodes, const dns_name_t *apex,
                    const char *parameters)
{
    const dns_rdata_input_t input = {.type = DNS_TYPE_NSEC3PARAM,
                                     .text = parameters,
                                     .size = strlen(parameters)};
    uint8_t octets[DNS_RDATA_MAX];
    dns_rdata_t rdata = {.octets = octets};
    hashes_t hashes = {.apex = apex, .parameters = &rdata};
    chain_t chain;

    if (dns_rdata_from_text(&input, octets, &rdata.size, NULL) != DNS_OK ||
        get16(octets + 2) > ITERATIONS_MAX) {
        return DNS_ECONFLICT;
    }

    dns_status_t status = find_chain(nodes, DNS_TYPE_NSEC3, &chain);

    if (status == DNS_OK) {
        status = add_parameters(nodes, apex, rdata);
    }

    if (status == DNS_OK) {
        status = hash_names(nodes, &hashes);
    }

    if (status == DNS_OK) {
        status = add_chain(&hashes, &chain, parameters);
    }

    if (status == DNS_ECONFLICT) {
        store_named_node_t *named = store_nodes_find_named(nodes, apex);

        (void) !dns_node_builder_remove(&named->builder, DNS_TYPE_NSEC3PARAM,
                                        NULL, 0);
    }

    free(hashes.names);
    free(chain.nodes);
    return status;
}
