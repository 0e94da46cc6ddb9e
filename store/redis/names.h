#ifndef STORE_REDIS_NAMES_H
#define STORE_REDIS_NAMES_H

/* Zones as keys and names as fields: PREFIX zone. SUFFIX, "@", "www", "*.x". */

#include <hiredis.h>
#include <stdbool.h>
#include <stddef.h>

#include "dns/name.h"
#include "dns/type.h"
#include "store/redis.h"

enum {
    STORE_REDIS_KEY_SIZE = DNS_NAME_TEXT_SIZE + 2 * STORE_REDIS_AFFIX_MAX + 1,
    STORE_REDIS_PATTERN_SIZE = 4 * STORE_REDIS_AFFIX_MAX + 4,
}; /* bytes, each with its NUL */

enum {
    STORE_REDIS_SCAN_COUNT = 1000, /* keys that SCAN is asked for */
    STORE_REDIS_SCAN_MAX = 10 * STORE_REDIS_SCAN_COUNT,
};

/* prefix, suffix: NULL: none. */
void store_redis_key(const char *prefix, const char *suffix,
                     const dns_name_t *apex, char *key);

/* The zone of a key; false: it is no zone's. */
bool store_redis_apex(const char *prefix, const char *suffix, const char *key,
                      size_t size, dns_name_t *apex);

/* What SCAN matches the zones' keys with. */
void store_redis_pattern(const char *prefix, const char *suffix, char *pattern);

/* What is wrong with a reply to SCAN; NULL: nothing.  A server gives about as
   many keys as it was asked for; one that gives any number at once would keep
   the worker from its queries. */
const char *store_redis_scan_fault(const redisReply *reply);

/* name: at or below apex; field: DNS_NAME_TEXT_SIZE bytes. */
void store_redis_field(const dns_name_t *name, const dns_name_t *apex,
                       char *field);

/* The name of a field, in wire form; false: it is no name, or one that is
   written otherwise than store_redis_field() writes it ("WWW"), so that no
   look-up finds it. */
bool store_redis_name(const char *field, size_t size, const dns_name_t *apex,
                      uint8_t *name);

#endif
