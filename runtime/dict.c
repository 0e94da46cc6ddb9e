#include "runtime/dict.h"

#include "runtime/clock.h"
#include "runtime/conf.h"
#include "runtime/private/dict.h"

extern ngx_module_t ngx_resolua_core_module;

enum {
    SIZE_MIN = 8192, /* octets of a dict */
    EVICTIONS = 30,  /* tries to make room for one value */
    SWEEP = 2,       /* expired ones that each set frees */
    SPINS = 1000,    /* tries before the lock's owner is looked at */
};

static ngx_int_t
compare(const ngx_str_t *key, const dict_node_t *node)
{
    return ngx_memn2cmp(key->data, (u_char *) node->data, key->len,
                        node->key_size);
}


static void
insert(ngx_rbtree_node_t *root, ngx_rbtree_node_t *added,
       ngx_rbtree_node_t *sentinel)
{
    const dict_node_t *node = (const dict_node_t *) added;
    const ngx_str_t key = {node->key_size, (u_char *) node->data};
    ngx_rbtree_node_t **place;
    for (;;) {
        const int left = added->key != root->key
                             ? added->key < root->key
                             : compare(&key, (const dict_node_t *) root) < 0;
        place = left ? &root->left : &root->right;
        if (*place == sentinel) {
            break;
        }
        root = *place;
    }
    *place = added;
    added->parent = root;
    added->left = sentinel;
    added->right = sentinel;
    ngx_rbt_red(added);
}


dict_node_t *
dict_find(const resolua_dict_t *dict, const ngx_str_t *key)
{
    const ngx_rbtree_key_t hash = ngx_crc32_short(key->data, key->len);
    ngx_rbtree_node_t *at = dict->shared->tree.root;
    while (at != &dict->shared->sentinel) {
        const ngx_int_t rc = hash != at->key
                                 ? (hash < at->key ? -1 : 1)
                                 : compare(key, (const dict_node_t *) at);
        if (rc == 0) {
            return (dict_node_t *) at;
        }
        at = rc < 0 ? at->left : at->right;
    }
    return NULL;
}


static ngx_uint_t
is_expired(const dict_node_t *node, uint64_t now)
{
    return node->expires != 0 && node->expires <= now;
}


static dict_node_t *
find_valid(const resolua_dict_t *dict, const ngx_str_t *key)
{
    dict_node_t *node = dict_find(dict, key);
    const ngx_uint_t may_expire = node != NULL && node->expires != 0;
    return may_expire && is_expired(node, resolua_clock_ms()) ? NULL : node;
}


static void
free_list(resolua_dict_t *dict, dict_node_t *node)
{
    dict_list_t list;
    ngx_memcpy(&list, dict_value_of(node), sizeof(list));
    while (!ngx_queue_empty(list.head)) {
        ngx_queue_t *first = ngx_queue_head(list.head);
        ngx_queue_remove(first);
        ngx_slab_free_locked(dict->slab,
                             ngx_queue_data(first, dict_element_t, queue));
    }
    ngx_slab_free_locked(dict->slab, list.head);
}


static void
drop(resolua_dict_t *dict, dict_node_t *node)
{
    ngx_queue_remove(&node->recent);
    if (node->type == RESOLUA_DICT_LIST) {
        free_list(dict, node);
    }
    ngx_rbtree_delete(&dict->shared->tree, &node->tree);
    ngx_slab_free_locked(dict->slab, node);
}


static void
touch(resolua_dict_t *dict, dict_node_t *node)
{
    dict_shared_t *shared = dict->shared;
    if (ngx_queue_head(&shared->recent) != &node->recent) {
        shared->moved = node;
        dict_in_order();
        ngx_queue_remove(&node->recent);
        dict_link_after(&shared->recent, &node->recent);
        shared->moved = NULL;
    }
}


/* Expired ones among those used least recently. */
static void
sweep(resolua_dict_t *dict)
{
    const uint64_t now = resolua_clock_ms();
    for (int i = 0; i < SWEEP && !ngx_queue_empty(&dict->shared->recent); i++) {
        ngx_queue_t *last = ngx_queue_last(&dict->shared->recent);
        dict_node_t *node = ngx_queue_data(last, dict_node_t, recent);
        if (!is_expired(node, now)) {
            return;
        }
        drop(dict, node);
    }
}


/* Memory, for which others go unless how says SAFE. */
static void *
allocate(resolua_dict_t *dict, size_t size, ngx_uint_t how,
         ngx_uint_t *forcible)
{
    void *memory = ngx_slab_alloc_locked(dict->slab, size);
    for (int i = 0; memory == NULL && !(how & RESOLUA_DICT_SAFE) &&
                    i < EVICTIONS && !ngx_queue_empty(&dict->shared->recent);
         i++) {
        ngx_queue_t *last = ngx_queue_last(&dict->shared->recent);
        dict_node_t *node = ngx_queue_data(last, dict_node_t, recent);
        *forcible |= !is_expired(node, resolua_clock_ms());
        drop(dict, node);
        memory = ngx_slab_alloc_locked(dict->slab, size);
    }
    return memory;
}


static size_t
size_of(const resolua_dict_value_t *value)
{
    switch (value->type) {
    case RESOLUA_DICT_BOOLEAN:
        return 1;
    case RESOLUA_DICT_NUMBER:
        return sizeof(double);
    case RESOLUA_DICT_STRING:
        return value->text.len;
    case RESOLUA_DICT_LIST:
        return sizeof(dict_list_t);
    default:
        return 0;
    }
}


static void
write_value(u_char *to, const resolua_dict_value_t *value)
{
    if (value->type == RESOLUA_DICT_BOOLEAN) {
        *to = (u_char) value->boolean;
    } else if (value->type == RESOLUA_DICT_NUMBER) {
        ngx_memcpy(to, &value->number, sizeof(double));
    } else if (value->type == RESOLUA_DICT_STRING) {
        ngx_memcpy(to, value->text.data, value->text.len);
    }
}


static ngx_int_t
read_value(uint8_t type, const u_char *from, size_t size,
           resolua_dict_value_t *out)
{
    ngx_str_null(&out->text);
    out->type = type;
    if (type == RESOLUA_DICT_BOOLEAN) {
        out->boolean = *from;
    } else if (type == RESOLUA_DICT_NUMBER) {
        ngx_memcpy(&out->number, from, sizeof(double));
    } else if (type == RESOLUA_DICT_STRING) {
        out->text.data = ngx_alloc(size + 1, ngx_cycle->log);
        if (out->text.data == NULL) {
            return NGX_ERROR;
        }
        ngx_memcpy(out->text.data, from, size);
        out->text.len = size;
    }
    return NGX_OK;
}


static dict_node_t *
node_new(resolua_dict_t *dict, const ngx_str_t *key,
         const resolua_dict_value_t *value, ngx_uint_t how,
         ngx_uint_t *forcible)
{
    const size_t size = size_of(value);
    dict_node_t *node =
        allocate(dict, sizeof(*node) + key->len + size, how, forcible);
    if (node == NULL) {
        return NULL;
    }
    node->tree.key = ngx_crc32_short(key->data, key->len);
    node->expires = 0;
    node->flags = value->flags;
    node->type = (uint8_t) value->type;
    node->size = (uint32_t) size;
    node->key_size = (uint16_t) key->len;
    ngx_memcpy(node->data, key->data, key->len);
    write_value(dict_value_of(node), value);
    return node;
}


/* The new one, all of it written, is a value of the dict's from now on. */
static void
add_node(resolua_dict_t *dict, dict_node_t *node)
{
    ngx_rbtree_insert(&dict->shared->tree, &node->tree);
    dict_in_order();
    dict_link_after(&dict->shared->recent, &node->recent);
}


/* A value in the place of another of the same size. */
static void
overwrite(resolua_dict_t *dict, dict_node_t *node,
          const resolua_dict_value_t *value, uint64_t expires)
{
    dict->shared->torn = node;
    dict_in_order();
    node->type = (uint8_t) value->type;
    node->flags = value->flags;
    node->expires = expires;
    write_value(dict_value_of(node), value);
    dict_in_order();
    dict->shared->torn = NULL;
}


ngx_int_t
dict_put(resolua_dict_t *dict, const ngx_str_t *key,
         const resolua_dict_value_t *value, uint64_t ttl_ms, ngx_uint_t how,
         ngx_uint_t *forcible)
{
    const uint64_t now = resolua_clock_ms();
    const uint64_t expires = ttl_ms > 0 ? now + ttl_ms : 0;
    sweep(dict);
    dict_node_t *node = dict_find(dict, key);
    const ngx_uint_t is_there = node != NULL && !is_expired(node, now);
    if (((how & RESOLUA_DICT_ADD) && is_there) ||
        ((how & RESOLUA_DICT_REPLACE) && !is_there)) {
        return NGX_DECLINED;
    }
    if (node != NULL && node->type != RESOLUA_DICT_LIST &&
        value->type != RESOLUA_DICT_NIL && node->size == size_of(value)) {
        overwrite(dict, node, value, expires);
        touch(dict, node);
    } else {
        if (node != NULL) {
            drop(dict, node);
        }
        if (value->type == RESOLUA_DICT_NIL) {
            return NGX_OK;
        }
        node = node_new(dict, key, value, how, forcible);
        if (node == NULL) {
            return NGX_ERROR;
        }
        node->expires = expires;
        add_node(dict, node);
    }
    return NGX_OK;
}


/* Another has the lock.  The master unlocks for a worker that has died, unless
   a reload has taken the dict out of the configuration: then it is done here.
 */
static void
wait_for_lock(ngx_shmtx_t *mutex)
{
    for (ngx_uint_t i = 1; !ngx_shmtx_trylock(mutex); i++) {
        ngx_cpu_pause();
        if (i % SPINS != 0) {
            continue;
        }
        const ngx_pid_t owner = (ngx_pid_t) *mutex->lock;
        if (owner > 0 && kill(owner, 0) == -1 && ngx_errno == NGX_ESRCH) {
            (void) ngx_shmtx_force_unlock(mutex, owner);
        }
        ngx_sched_yield();
    }
}


static void
lock(resolua_dict_t *dict)
{
    if (!ngx_shmtx_trylock(&dict->slab->mutex)) {
        wait_for_lock(&dict->slab->mutex);
    }
    dict->shared = dict->slab->data;
    /* Whoever had set the mark has died without its unlock(). */
    if (dict->shared->state != DICT_WHOLE) {
        dict_recover(dict);
    }
    dict->shared->state = DICT_WRITING;
    dict_in_order();
}


static void
unlock(resolua_dict_t *dict)
{
    dict_in_order();
    dict->shared->state = DICT_WHOLE;
    ngx_shmtx_unlock(&dict->slab->mutex);
}


ngx_int_t
resolua_dict_get(resolua_dict_t *dict, const ngx_str_t *key, ngx_uint_t stale,
                 resolua_dict_value_t *out)
{
    ngx_int_t rc = NGX_DECLINED;
    lock(dict);
    dict_node_t *node = dict_find(dict, key);
    out->is_stale = node != NULL && is_expired(node, resolua_clock_ms());
    if (node != NULL && (stale || !out->is_stale)) {
        if (!out->is_stale) {
            touch(dict, node);
        }
        out->flags = node->flags;
        rc = read_value(node->type, dict_value_of(node), node->size, out);
    }
    unlock(dict);
    return rc;
}


ngx_int_t
resolua_dict_get_into(resolua_dict_t *dict, const ngx_str_t *key,
                      resolua_dict_value_t *out, const ngx_str_t *room)
{
    ngx_int_t rc = NGX_OK;
    lock(dict);
    dict_node_t *node = find_valid(dict, key);
    if (node == NULL) {
        rc = NGX_DECLINED;
    } else if (node->type == RESOLUA_DICT_LIST) {
        rc = NGX_ABORT;
    } else if (node->type != RESOLUA_DICT_STRING) {
        rc = read_value(node->type, dict_value_of(node), node->size, out);
    } else if (node->size > room->len) {
        rc = NGX_AGAIN;
    } else {
        out->type = RESOLUA_DICT_STRING;
        out->text.data = room->data;
        out->text.len = node->size;
        ngx_memcpy(room->data, dict_value_of(node), node->size);
    }
    if (rc == NGX_OK) {
        touch(dict, node);
        out->flags = node->flags;
    }
    unlock(dict);
    return rc;
}


ngx_int_t
resolua_dict_set(resolua_dict_t *dict, const ngx_str_t *key,
                 const resolua_dict_value_t *value, uint64_t ttl_ms,
                 ngx_uint_t how, ngx_uint_t *forcible)
{
    *forcible = 0;
    lock(dict);
    const ngx_int_t rc = dict_put(dict, key, value, ttl_ms, how, forcible);
    unlock(dict);
    return rc;
}


ngx_int_t
resolua_dict_add_number(resolua_dict_t *dict, const ngx_str_t *key,
                        double *number, const double *init,
                        uint64_t init_ttl_ms, ngx_uint_t *forcible)
{
    ngx_int_t rc = NGX_OK;
    *forcible = 0;
    lock(dict);
    dict_node_t *node = find_valid(dict, key);
    if (node == NULL && init == NULL) {
        rc = NGX_DECLINED;
    } else if (node == NULL) {
        const resolua_dict_value_t value = {.type = RESOLUA_DICT_NUMBER,
                                            .number = *init + *number};
        *number = value.number;
        rc = dict_put(dict, key, &value, init_ttl_ms, 0, forcible);
    } else if (node->type != RESOLUA_DICT_NUMBER) {
        rc = NGX_ABORT;
    } else {
        double sum;
        ngx_memcpy(&sum, dict_value_of(node), sizeof(sum));
        *number += sum;
        ngx_memcpy(dict_value_of(node), number, sizeof(*number));
        touch(dict, node);
    }
    unlock(dict);
    return rc;
}


/* The key's list, made where there is none. */
static dict_node_t *
list_for(resolua_dict_t *dict, const ngx_str_t *key)
{
    const resolua_dict_value_t value = {.type = RESOLUA_DICT_LIST};
    ngx_uint_t forcible;
    dict_node_t *node = dict_find(dict, key);
    if (node != NULL && !is_expired(node, resolua_clock_ms())) {
        return node;
    }
    if (node != NULL) {
        drop(dict, node);
    }
    /* No others are given up for a list. */
    dict_list_t list = {.head = allocate(dict, sizeof(*list.head),
                                         RESOLUA_DICT_SAFE, &forcible)};
    if (list.head == NULL) {
        return NULL;
    }
    ngx_queue_init(list.head);
    node = node_new(dict, key, &value, RESOLUA_DICT_SAFE, &forcible);
    if (node == NULL) {
        ngx_slab_free_locked(dict->slab, list.head);
        return NULL;
    }
    ngx_memcpy(dict_value_of(node), &list, sizeof(list));
    add_node(dict, node);
    return node;
}


ngx_int_t
dict_push(resolua_dict_t *dict, const ngx_str_t *key,
          const resolua_dict_value_t *value, ngx_uint_t at_start,
          ngx_uint_t *count)
{
    const size_t size = size_of(value);
    dict_list_t list;
    sweep(dict);
    dict_node_t *node = list_for(dict, key);
    if (node == NULL) {
        return NGX_ERROR;
    }
    if (node->type != RESOLUA_DICT_LIST) {
        return NGX_ABORT;
    }
    ngx_memcpy(&list, dict_value_of(node), sizeof(list));
    touch(dict, node);
    dict_element_t *element =
        ngx_slab_alloc_locked(dict->slab, sizeof(*element) + size);
    if (element == NULL) {
        if (list.count == 0) {
            drop(dict, node);
        }
        return NGX_ERROR;
    }
    element->type = (uint8_t) value->type;
    element->size = (uint32_t) size;
    write_value(element->data, value);
    dict_link_after(at_start ? list.head : list.head->prev, &element->queue);
    *count = (ngx_uint_t) ++list.count;
    ngx_memcpy(dict_value_of(node), &list, sizeof(list));
    return NGX_OK;
}


ngx_int_t
resolua_dict_push(resolua_dict_t *dict, const ngx_str_t *key,
                  const resolua_dict_value_t *value, ngx_uint_t at_start,
                  ngx_uint_t *count)
{
    lock(dict);
    const ngx_int_t rc = dict_push(dict, key, value, at_start, count);
    unlock(dict);
    return rc;
}


static ngx_int_t
pop_locked(resolua_dict_t *dict, dict_node_t *node, ngx_uint_t at_start,
           resolua_dict_value_t *out)
{
    dict_list_t list;
    ngx_memcpy(&list, dict_value_of(node), sizeof(list));
    ngx_queue_t *q =
        at_start ? ngx_queue_head(list.head) : ngx_queue_last(list.head);
    dict_element_t *element = ngx_queue_data(q, dict_element_t, queue);
    if (read_value(element->type, element->data, element->size, out) !=
        NGX_OK) {
        return NGX_ERROR;
    }
    ngx_queue_remove(q);
    ngx_slab_free_locked(dict->slab, element);
    list.count--;
    ngx_memcpy(dict_value_of(node), &list, sizeof(list));
    touch(dict, node);
    if (list.count == 0) {
        drop(dict, node);
    }
    return NGX_OK;
}


ngx_int_t
resolua_dict_pop(resolua_dict_t *dict, const ngx_str_t *key,
                 ngx_uint_t at_start, resolua_dict_value_t *out)
{
    lock(dict);
    dict_node_t *node = find_valid(dict, key);
    const ngx_int_t rc = node == NULL ? NGX_DECLINED
                         : node->type != RESOLUA_DICT_LIST
                             ? NGX_ABORT
                             : pop_locked(dict, node, at_start, out);
    unlock(dict);
    return rc;
}


ngx_int_t
resolua_dict_count(resolua_dict_t *dict, const ngx_str_t *key,
                   ngx_uint_t *count)
{
    ngx_int_t rc = NGX_OK;
    *count = 0;
    lock(dict);
    dict_node_t *node = find_valid(dict, key);
    if (node != NULL && node->type != RESOLUA_DICT_LIST) {
        rc = NGX_ABORT;
    } else if (node != NULL) {
        dict_list_t list;
        ngx_memcpy(&list, dict_value_of(node), sizeof(list));
        *count = (ngx_uint_t) list.count;
    }
    unlock(dict);
    return rc;
}


ngx_int_t
resolua_dict_ttl(resolua_dict_t *dict, const ngx_str_t *key, int64_t *ttl_ms)
{
    lock(dict);
    const dict_node_t *node = find_valid(dict, key);
    if (node != NULL) {
        *ttl_ms = node->expires > 0
                      ? (int64_t) (node->expires - resolua_clock_ms())
                      : 0;
    }
    unlock(dict);
    return node != NULL ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
resolua_dict_expire(resolua_dict_t *dict, const ngx_str_t *key, uint64_t ttl_ms)
{
    lock(dict);
    dict_node_t *node = find_valid(dict, key);
    if (node != NULL) {
        node->expires = ttl_ms > 0 ? resolua_clock_ms() + ttl_ms : 0;
    }
    unlock(dict);
    return node != NULL ? NGX_OK : NGX_DECLINED;
}


void
resolua_dict_flush(resolua_dict_t *dict)
{
    lock(dict);
    for (ngx_queue_t *q = ngx_queue_head(&dict->shared->recent);
         q != ngx_queue_sentinel(&dict->shared->recent);
         q = ngx_queue_next(q)) {
        dict_node_t *node = ngx_queue_data(q, dict_node_t, recent);
        node->expires = 1;
    }
    unlock(dict);
}


ngx_uint_t
resolua_dict_free_expired(resolua_dict_t *dict, ngx_uint_t max)
{
    ngx_uint_t freed = 0;
    lock(dict);
    const uint64_t now = resolua_clock_ms();
    ngx_queue_t *q = ngx_queue_last(&dict->shared->recent);
    while (q != ngx_queue_sentinel(&dict->shared->recent) &&
           (max == 0 || freed < max)) {
        ngx_queue_t *before = ngx_queue_prev(q);
        dict_node_t *node = ngx_queue_data(q, dict_node_t, recent);
        if (is_expired(node, now)) {
            drop(dict, node);
            freed++;
        }
        q = before;
    }
    unlock(dict);
    return freed;
}


void
resolua_dict_each_key(resolua_dict_t *dict, ngx_uint_t max,
                      void (*visit)(void *data, const ngx_str_t *key),
                      void *data)
{
    ngx_uint_t count = 0;
    lock(dict);
    const uint64_t now = resolua_clock_ms();
    for (ngx_queue_t *q = ngx_queue_last(&dict->shared->recent);
         q != ngx_queue_sentinel(&dict->shared->recent) &&
         (max == 0 || count < max);
         q = ngx_queue_prev(q)) {
        dict_node_t *node = ngx_queue_data(q, dict_node_t, recent);
        if (!is_expired(node, now)) {
            const ngx_str_t key = {node->key_size, node->data};
            visit(data, &key);
            count++;
        }
    }
    unlock(dict);
}


size_t
resolua_dict_capacity(const resolua_dict_t *dict)
{
    return dict->size;
}


size_t
resolua_dict_free_space(resolua_dict_t *dict)
{
    lock(dict);
    const size_t octets = dict->slab->pfree * ngx_pagesize;
    unlock(dict);
    return octets;
}


void
dict_init_empty(resolua_dict_t *dict)
{
    dict_shared_t *shared = dict->shared;
    dict->slab->log_nomem = 0;
    ngx_rbtree_init(&shared->tree, &shared->sentinel, insert);
    ngx_queue_init(&shared->recent);
    shared->torn = NULL;
    shared->moved = NULL;
}


/* A reload keeps what is there. */
static ngx_int_t
init_zone(ngx_shm_zone_t *zone, void *before)
{
    resolua_dict_t *dict = zone->data;
    const resolua_dict_t *old = before;
    dict->slab = (ngx_slab_pool_t *) zone->shm.addr;
    dict->size = zone->shm.size;
    if (old != NULL) {
        dict->shared = old->shared;
        return NGX_OK;
    }
    if (zone->shm.exists) {
        dict->shared = dict->slab->data;
        return NGX_OK;
    }
    dict->shared = ngx_slab_calloc(dict->slab, sizeof(*dict->shared));
    if (dict->shared == NULL) {
        return NGX_ERROR;
    }
    dict->slab->data = dict->shared;
    dict_init_empty(dict);
    return NGX_OK;
}


resolua_dict_t *
resolua_dict_of(const ngx_shm_zone_t *zone)
{
    return zone->data;
}


static ngx_shm_zone_t *
find_zone(const ngx_array_t *dicts, const ngx_str_t *name)
{
    ngx_shm_zone_t **zones = dicts->elts;
    for (ngx_uint_t i = 0; i < dicts->nelts; i++) {
        if (zones[i]->shm.name.len == name->len &&
            ngx_memcmp(zones[i]->shm.name.data, name->data, name->len) == 0) {
            return zones[i];
        }
    }
    return NULL;
}


char *
resolua_dict_conf(ngx_conf_t *cf, ngx_str_t *name, size_t size)
{
    ngx_array_t *dicts = &resolua_core_conf(cf->cycle)->dicts;
    const ngx_shm_zone_t *same = find_zone(dicts, name);
    if (same != NULL) {
        return same->shm.size == size
                   ? NGX_CONF_OK
                   : "names a dict of another size: stream and http share them";
    }
    if (size < SIZE_MIN) {
        return "is too small: at least 8k";
    }
    ngx_shm_zone_t **place = ngx_array_push(dicts);
    ngx_shm_zone_t *zone =
        ngx_shared_memory_add(cf, name, size, &ngx_resolua_core_module);
    resolua_dict_t *dict = ngx_pcalloc(cf->pool, sizeof(*dict));
    if (place == NULL || zone == NULL || dict == NULL) {
        return NGX_CONF_ERROR;
    }
    dict->name = *name;
    zone->init = init_zone;
    zone->data = dict;
    *place = zone;
    return NGX_CONF_OK;
}
