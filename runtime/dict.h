#ifndef RESOLUA_RUNTIME_DICT_H
#define RESOLUA_RUNTIME_DICT_H

/*
 * Shared dicts: keys and values in memory that all workers share, the least
 * recently used given up when it is full (dict_lua.c is ngx.shared).  Every
 * function takes the dict's lock itself.
 */

#include <ngx_config.h>
#include <ngx_core.h>

typedef struct resolua_dict_s resolua_dict_t;

enum { RESOLUA_DICT_KEY_MAX = 65535 }; /* octets */

typedef enum {
    RESOLUA_DICT_NIL,
    RESOLUA_DICT_BOOLEAN,
    RESOLUA_DICT_NUMBER,
    RESOLUA_DICT_STRING,
    RESOLUA_DICT_LIST,
} resolua_dict_type_t;

typedef struct {
    resolua_dict_type_t type;
    int boolean;
    double number;
    ngx_str_t text; /* in: borrowed; out: owned by the caller, ngx_free */
    uint32_t flags;
    ngx_uint_t is_stale; /* out: it has expired */
} resolua_dict_value_t;

enum {
    RESOLUA_DICT_ADD = 1,     /* only if there is none */
    RESOLUA_DICT_REPLACE = 2, /* only if there is one */
    RESOLUA_DICT_SAFE = 4,    /* others are not given up for it */
};

/* While the configuration is read.  The same name again is the same dict, if
   the size is the same.  NULL or an error. */
char *resolua_dict_conf(ngx_conf_t *cf, ngx_str_t *name, size_t size);

/* The dict of a zone that dict_conf made. */
resolua_dict_t *resolua_dict_of(const ngx_shm_zone_t *zone);

/* NGX_OK, or NGX_DECLINED: none (or expired, unless stale is wanted);
   NGX_ERROR: no memory for a copy.  A list's text is empty. */
ngx_int_t resolua_dict_get(resolua_dict_t *dict, const ngx_str_t *key,
                           ngx_uint_t stale, resolua_dict_value_t *out);

/* The same without an allocation: a string goes into room, where out->text
   points then.  Also NGX_AGAIN: it does not fit; NGX_ABORT: a list. */
ngx_int_t resolua_dict_get_into(resolua_dict_t *dict, const ngx_str_t *key,
                                resolua_dict_value_t *out,
                                const ngx_str_t *room);

/* ttl_ms 0: for ever.  NGX_OK; NGX_DECLINED: exists (ADD), not found (REPLACE);
   NGX_ERROR: no memory.  *forcible: valid ones were given up for it. */
ngx_int_t resolua_dict_set(resolua_dict_t *dict, const ngx_str_t *key,
                           const resolua_dict_value_t *value, uint64_t ttl_ms,
                           ngx_uint_t how, ngx_uint_t *forcible);

/* *number: what is added, then the sum.  init NULL: the key must be there.
   NGX_DECLINED: not found; NGX_ABORT: not a number; NGX_ERROR: no memory. */
ngx_int_t resolua_dict_add_number(resolua_dict_t *dict, const ngx_str_t *key,
                                  double *number, const double *init,
                                  uint64_t init_ttl_ms, ngx_uint_t *forcible);

/* *count: elements then.  NGX_ABORT: not a list; NGX_ERROR: no memory. */
ngx_int_t resolua_dict_push(resolua_dict_t *dict, const ngx_str_t *key,
                            const resolua_dict_value_t *value,
                            ngx_uint_t at_start, ngx_uint_t *count);

/* NGX_DECLINED: empty; NGX_ABORT: not a list. */
ngx_int_t resolua_dict_pop(resolua_dict_t *dict, const ngx_str_t *key,
                           ngx_uint_t at_start, resolua_dict_value_t *out);
ngx_int_t resolua_dict_count(resolua_dict_t *dict, const ngx_str_t *key,
                             ngx_uint_t *count);

/* *ttl_ms: what is left, 0: for ever.  NGX_DECLINED: not found. */
ngx_int_t resolua_dict_ttl(resolua_dict_t *dict, const ngx_str_t *key,
                           int64_t *ttl_ms);
ngx_int_t resolua_dict_expire(resolua_dict_t *dict, const ngx_str_t *key,
                              uint64_t ttl_ms);

/* All expire at once, and stay until their memory is needed. */
void resolua_dict_flush(resolua_dict_t *dict);

/* Frees expired ones, at most max (0: all); gives how many. */
ngx_uint_t resolua_dict_free_expired(resolua_dict_t *dict, ngx_uint_t max);

/* Calls visit with each valid key under the lock, the least recently used
   first, at most max (0: all). */
void resolua_dict_each_key(resolua_dict_t *dict, ngx_uint_t max,
                           void (*visit)(void *data, const ngx_str_t *key),
                           void *data);

size_t resolua_dict_capacity(const resolua_dict_t *dict); /* octets */
size_t resolua_dict_free_space(resolua_dict_t *dict);     /* of free pages */

#endif
