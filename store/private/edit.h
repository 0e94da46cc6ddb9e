#ifndef STORE_PRIVATE_EDIT_H
#define STORE_PRIVATE_EDIT_H

/*
 * What stores do with an edit: sort it, take the changes of one owner after
 * another, apply them to its node, check the node.
 */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "dns/name.h"
#include "dns/node.h"
#include "store/edit.h"

typedef enum {
    CHANGE_ADD,
    CHANGE_LOAD,                 /* of several TTLs the lowest */
    CHANGE_REMOVE,               /* a set */
    CHANGE_REMOVE_RECORD,        /* of a set */
    CHANGE_REMOVE_IF_ANY,        /* a set */
    CHANGE_REMOVE_RECORD_IF_ANY, /* of a set */
} change_kind_t;

/* One call of the editor; offsets are into the edit's octets. */
typedef struct {
    size_t key_at; /* of the key below the apex */
    size_t rdata_at;
    uint32_t order; /* as they came */
    uint32_t ttl;
    uint16_t key_size;
    uint16_t rdata_size;
    uint16_t type;
    uint8_t kind; /* change_kind_t */
} change_t;

enum { TTLS_MAX = 16 }; /* sets with several TTLs that are told */

struct store_edit_s {
    dns_name_t apex;
    bool replaces;
    bool deletes;
    bool may_lack_ns;
    bool sets_soa;
    bool has_serial_rule;
    store_serial_rule_t serial_rule;
    bool expects;         /* a generation */
    uint64_t generation;  /* 0: no zone */
    dns_status_t failure; /* of the first call that failed */
    char reason[STORE_ERROR_SIZE];
    uint8_t *octets; /* owned: keys and rdata */
    size_t size;
    size_t capacity;
    change_t *changes; /* owned */
    size_t change_count;
    size_t change_capacity;
    size_t last_key_at; /* the key of the last change, which the next one
                           shares when it has the same owner */
    uint16_t last_key_size;
    bool is_sorted; /* changes came in the order of their keys */
    store_edit_result_t result;
    store_edit_t *parked;    /* owned; NULL: what is parked stays as it is */
    store_edit_ttls_t *ttls; /* owned; NULL before there is one */
    size_t ttls_count;
};

/* A try of a commit begins: nothing was done yet. */
void store_edit_begin(store_edit_t *edit);

/* Brings the changes into the order of their owners.  A failure of a call
   before, with its reason in error. */
DNS_MUST_USE dns_status_t store_edit_sort(store_edit_t *edit, char *error);

/* The end of the changes that have the owner of change number first. */
size_t store_edit_group_end(const store_edit_t *edit, size_t first);

/* Applies the changes [first, end) of one owner to its node in b and checks the
   result. */
DNS_MUST_USE dns_status_t store_edit_apply(store_edit_t *edit, size_t first,
                                           size_t end, dns_node_builder_t *b,
                                           char *error);

/* As store_edit_apply(), of a node that is not served: nothing is checked. */
DNS_MUST_USE dns_status_t store_edit_change(store_edit_t *edit, size_t first,
                                            size_t end, dns_node_builder_t *b,
                                            char *error);

/* A zone that was signed elsewhere is not edited: the new serial alone would
   break a signature.  apex: its node.  DNS_ECONFLICT. */
DNS_MUST_USE dns_status_t store_edit_check_unsigned(const store_edit_t *edit,
                                                    const dns_node_t *apex,
                                                    char *error);

/* The SOA's serial; 0: there is none. */
uint32_t store_node_serial(const dns_node_t *apex);

/* The owner's name in wire form: DNS_NAME_MAX octets. */
void store_edit_owner(const store_edit_t *edit, const change_t *change,
                      uint8_t *name);

/* Gives the SOA the serial that the edit's rule says, or the next one. */
void store_raise_serial(const store_edit_t *edit, dns_node_builder_t *b);

static inline bool
store_is_same_node(const dns_node_t *a, const dns_node_t *b)
{
    return a->size == b->size &&
           (a->size == 0 || memcmp(a->octets, b->octets, a->size) == 0);
}

/* Does the node have this very set, TTL and all? */
static inline bool
store_has_same_set(const dns_node_t *node, const dns_rrset_t *set)
{
    dns_rrset_t other;

    return dns_node_find(node, set->type, &other) && other.ttl == set->ttl &&
           other.size == set->size &&
           memcmp(other.rdata, set->rdata, set->size) == 0;
}

/* error = "NAME: reason"; gives status. */
dns_status_t store_fail_at(char *error, dns_status_t status,
                           const uint8_t *name, const char *reason);

#endif
