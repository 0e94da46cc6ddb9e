/* A worker has died while it wrote to a dict: its values are copied out, and
   all that holds them together, nginx's allocator too, is made anew. */

#include "runtime/private/dict.h"

/* A value in the copy: its key follows, then the value or, for a list, so many
   values with heads of their own and no keys. */
typedef struct {
    uint64_t expires;
    uint64_t count; /* of a list */
    uint32_t flags;
    uint32_t size; /* octets of the value */
    uint16_t key_size;
    uint8_t type;
} saved_t;

typedef struct {
    u_char *end;     /* the copy is written from its end on; NULL: measured */
    size_t size;     /* octets of it */
    uint64_t values; /* count */
} copy_t;


static ngx_uint_t
lies_within(const resolua_dict_t *dict, const void *memory, size_t size)
{
    const u_char *start = memory;
    return start >= dict->slab->start && start < dict->slab->end &&
           size <= (size_t) (dict->slab->end - start) &&
           (uintptr_t) start % sizeof(void *) == 0;
}


static ngx_uint_t
has_size_of(uint8_t type, uint32_t size)
{
    switch (type) {
    case RESOLUA_DICT_BOOLEAN:
        return size == 1;
    case RESOLUA_DICT_NUMBER:
        return size == sizeof(double);
    case RESOLUA_DICT_STRING:
        return 1;
    case RESOLUA_DICT_LIST:
        return size == sizeof(dict_list_t);
    default:
        return 0;
    }
}


static ngx_uint_t
is_node(const resolua_dict_t *dict, const dict_node_t *node)
{
    return lies_within(dict, node, sizeof(*node)) &&
           lies_within(dict, node,
                       sizeof(*node) + node->key_size + node->size) &&
           has_size_of(node->type, node->size) &&
           node->tree.key ==
               ngx_crc32_short((u_char *) node->data, node->key_size);
}


static ngx_uint_t
is_element(const resolua_dict_t *dict, const dict_element_t *element)
{
    return lies_within(dict, element, sizeof(*element)) &&
           lies_within(dict, element, sizeof(*element) + element->size) &&
           element->type != RESOLUA_DICT_LIST &&
           has_size_of(element->type, element->size);
}


/* Before what was copied last: the list is read from its most recent value on,
   and the copy from the oldest. */
static void
add_octets(copy_t *copy, const void *octets, size_t size)
{
    copy->size += size;
    if (copy->end != NULL) {
        ngx_memcpy(copy->end - copy->size, octets, size);
    }
}


static ngx_int_t
copy_elements(const resolua_dict_t *dict, dict_node_t *node, copy_t *copy,
              uint64_t *count)
{
    dict_list_t list;
    size_t left = dict->size / sizeof(dict_element_t);
    ngx_memcpy(&list, dict_value_of(node), sizeof(list));
    if (!lies_within(dict, list.head, sizeof(*list.head))) {
        return NGX_ERROR;
    }
    for (const ngx_queue_t *q = list.head->next; q != list.head; q = q->next) {
        const dict_element_t *element = (const dict_element_t *) q;
        if (left-- == 0 || !is_element(dict, element)) {
            return NGX_ERROR;
        }
        const saved_t saved = {.size = element->size, .type = element->type};
        add_octets(copy, element->data, element->size);
        add_octets(copy, &saved, sizeof(saved));
        (*count)++;
    }
    return NGX_OK;
}


static ngx_int_t
copy_node(const resolua_dict_t *dict, dict_node_t *node, copy_t *copy)
{
    saved_t saved = {.expires = node->expires,
                     .flags = node->flags,
                     .size = node->size,
                     .key_size = node->key_size,
                     .type = node->type};
    if (node->type != RESOLUA_DICT_LIST) {
        add_octets(copy, dict_value_of(node), node->size);
    } else if (copy_elements(dict, node, copy, &saved.count) != NGX_OK) {
        return NGX_ERROR;
    }
    add_octets(copy, node->data, node->key_size);
    add_octets(copy, &saved, sizeof(saved));
    copy->values++;
    return NGX_OK;
}


/* A damaged link may be any number, with which no pointer is to be computed. */
static dict_node_t *
node_of_link(const ngx_queue_t *q)
{
    return (dict_node_t *) ((uintptr_t) q - offsetof(dict_node_t, recent));
}


/* All values but one that was being overwritten; NGX_ERROR: they cannot be
   told. */
static ngx_int_t
copy_all(const resolua_dict_t *dict, copy_t *copy)
{
    const dict_shared_t *shared = dict->shared;
    dict_node_t *moved = shared->moved;
    size_t left = dict->size / sizeof(dict_node_t);
    for (ngx_queue_t *q = shared->recent.next; q != &shared->recent;
         q = q->next) {
        dict_node_t *node = node_of_link(q);
        if (left-- == 0 || !is_node(dict, node)) {
            return NGX_ERROR;
        }
        moved = node == moved ? NULL : moved;
        if (node != shared->torn && copy_node(dict, node, copy) != NGX_OK) {
            return NGX_ERROR;
        }
    }
    return moved == NULL          ? NGX_OK
           : is_node(dict, moved) ? copy_node(dict, moved, copy)
                                  : NGX_ERROR;
}


static const u_char *
take_saved(const u_char *at, saved_t *saved, ngx_str_t *key,
           resolua_dict_value_t *value)
{
    ngx_memcpy(saved, at, sizeof(*saved));
    at += sizeof(*saved);
    key->data = (u_char *) at;
    key->len = saved->key_size;
    at += saved->key_size;
    value->type = (resolua_dict_type_t) saved->type;
    value->flags = saved->flags;
    if (saved->type == RESOLUA_DICT_LIST) {
        return at;
    }
    if (saved->type == RESOLUA_DICT_NUMBER) {
        ngx_memcpy(&value->number, at, sizeof(value->number));
    } else if (saved->type == RESOLUA_DICT_BOOLEAN) {
        value->boolean = *at;
    }
    value->text.data = (u_char *) at;
    value->text.len = saved->size;
    return at + saved->size;
}


/* The copy was written from its end on, so a list's last element is first. */
static const u_char *
put_saved(resolua_dict_t *dict, const u_char *at)
{
    saved_t saved;
    saved_t head;
    ngx_str_t key;
    ngx_str_t none;
    ngx_uint_t ignored;
    resolua_dict_value_t value;
    at = take_saved(at, &saved, &key, &value);
    if (saved.type != RESOLUA_DICT_LIST) {
        (void) dict_put(dict, &key, &value, 0, 0, &ignored);
    }
    for (uint64_t i = 0; i < saved.count; i++) {
        at = take_saved(at, &head, &none, &value);
        (void) dict_push(dict, &key, &value, 1, &ignored);
    }
    dict_node_t *node = dict_find(dict, &key);
    if (node != NULL) {
        node->expires = saved.expires;
    }
    return at;
}


/* All anew, with the copied values. */
static void
rebuild(resolua_dict_t *dict, const copy_t *copy)
{
    const u_char *at = copy->end - copy->size;
    dict->shared->state = DICT_REBUILDING;
    dict_in_order();
    ngx_slab_init(dict->slab);
    /* The first of the pool, where it has been: the others know that place. */
    dict->shared = ngx_slab_alloc_locked(dict->slab, sizeof(*dict->shared));
    dict->slab->data = dict->shared;
    dict_init_empty(dict);
    for (uint64_t i = 0; i < copy->values; i++) {
        at = put_saved(dict, at);
    }
}


void
dict_recover(resolua_dict_t *dict)
{
    copy_t measured = {.end = NULL};
    copy_t copy = {.end = NULL};
    u_char *memory = NULL;
    if (dict->shared->state == DICT_WRITING &&
        copy_all(dict, &measured) == NGX_OK) {
        memory = ngx_alloc(measured.size + 1, ngx_cycle->log);
    }
    if (memory != NULL) {
        copy.end = memory + measured.size;
        (void) copy_all(dict, &copy);
    }
    rebuild(dict, &copy);
    if (memory != NULL) {
        ngx_free(memory);
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "a worker process died while it wrote to the shared "
                      "dict \"%V\": its values are whole and were kept",
                      &dict->name);
        return;
    }
    ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                  "a worker process died while it wrote to the shared dict "
                  "\"%V\" and left it damaged: the dict has been emptied",
                  &dict->name);
}
