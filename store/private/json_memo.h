#ifndef STORE_PRIVATE_JSON_MEMO_H
#define STORE_PRIVATE_JSON_MEMO_H

/* What JSON texts were found to mean: the same text comes again and again, and
   parsing it costs more than fetching it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/node.h"

typedef struct json_memo_slot_s json_memo_slot_t;

/* Starts as {0}; its memory comes with the first put. */
typedef struct {
    json_memo_slot_t *slots; /* owned */
} json_memo_t;

/* A text as it was parsed; serial: for a SOA without one. */
typedef struct {
    const char *text; /* borrowed */
    size_t size;
    uint32_t serial;
} json_memo_key_t;

void json_memo_free(json_memo_t *memo);

/* *node: borrowed until the next put. */
bool json_memo_find(const json_memo_t *memo, const json_memo_key_t *key,
                    dns_node_t *node);

/* Remembers, in the place of another one; not what is large. */
void json_memo_put(json_memo_t *memo, const json_memo_key_t *key,
                   const dns_node_t *node);

#endif
