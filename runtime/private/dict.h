#ifndef RESOLUA_RUNTIME_PRIVATE_DICT_H
#define RESOLUA_RUNTIME_PRIVATE_DICT_H

/* What lies in a shared dict's memory.  A worker may be killed in the middle of
   a write, so that the list of values, followed by `next`, is right after each
   single store: dict_recover() makes all the rest anew from it. */

#include "runtime/dict.h"

typedef struct {
    ngx_rbtree_node_t tree; /* by the key's hash */
    ngx_queue_t recent;
    uint64_t expires; /* ms of resolua_clock_ms(); 0: never */
    uint32_t flags;
    uint32_t size; /* octets of the value */
    uint16_t key_size;
    uint8_t type;
    u_char data[]; /* key, then value */
} dict_node_t;

/* The value of a list; memcpy'd, as it may lie anywhere. */
typedef struct {
    ngx_queue_t *head; /* allocated */
    uint64_t count;
} dict_list_t;

typedef struct {
    ngx_queue_t queue;
    uint32_t size;
    uint8_t type;
    u_char data[];
} dict_element_t;

enum {
    DICT_WHOLE,
    DICT_WRITING,    /* who holds the lock may be writing */
    DICT_REBUILDING, /* dict_recover() is at work */
};

typedef struct {
    ngx_rbtree_t tree;
    ngx_rbtree_node_t sentinel;
    ngx_queue_t recent; /* the last used first */
    ngx_uint_t state;
    dict_node_t *torn;  /* its value is being overwritten, or NULL */
    dict_node_t *moved; /* is on its way to the list's start, or NULL */
} dict_shared_t;

struct resolua_dict_s {
    ngx_slab_pool_t *slab;
    dict_shared_t *shared;
    size_t size;
    ngx_str_t name;
};


/* What stands before it is stored before what stands behind it. */
static inline void
dict_in_order(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}


static inline void
dict_link_after(ngx_queue_t *before, ngx_queue_t *added)
{
    added->next = before->next;
    added->prev = before;
    added->next->prev = added;
    dict_in_order();
    before->next = added;
}


static inline u_char *
dict_value_of(dict_node_t *node)
{
    return node->data + node->key_size;
}


/* In an empty slab pool: a dict without values. */
void dict_init_empty(resolua_dict_t *dict);

/* Under the lock: resolua_dict_set() and resolua_dict_push(). */
ngx_int_t dict_put(resolua_dict_t *dict, const ngx_str_t *key,
                   const resolua_dict_value_t *value, uint64_t ttl_ms,
                   ngx_uint_t how, ngx_uint_t *forcible);
ngx_int_t dict_push(resolua_dict_t *dict, const ngx_str_t *key,
                    const resolua_dict_value_t *value, ngx_uint_t at_start,
                    ngx_uint_t *count);
dict_node_t *dict_find(const resolua_dict_t *dict, const ngx_str_t *key);

/* Under the lock, whose owner before has died: makes the dict whole again with
   the values that it has, or empty where they cannot be told. */
void dict_recover(resolua_dict_t *dict);

#endif
