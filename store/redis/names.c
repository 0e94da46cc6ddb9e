#include "store/redis/names.h"

#include <stdio.h>
#include <string.h>

static const char *
or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

void
store_redis_key(const char *prefix, const char *suffix, const dns_name_t *apex,
                char *key)
{
    char text[DNS_NAME_TEXT_SIZE];

    dns_name_to_text(text, apex->octets);
    snprintf(key, STORE_REDIS_KEY_SIZE, "%s%s%s", or_empty(prefix), text,
             or_empty(suffix));
}

bool
store_redis_apex(const char *prefix, const char *suffix, const char *key,
                 size_t size, dns_name_t *apex)
{
    size_t before = strlen(or_empty(prefix));
    size_t behind = strlen(or_empty(suffix));
    uint8_t name[DNS_NAME_MAX];

    if (size <= before + behind ||
        dns_name_from_text(name, key + before, size - before - behind, NULL,
                           NULL) != DNS_OK) {
        return false;
    }

    dns_name_set(apex, name);
    return true;
}

/* In a pattern these are not themselves. */
static void
put_glob(char *out, const char *text)
{
    size_t used = strlen(out);

    for (; *text != '\0'; text++) {
        if (strchr("*?[]\\", *text) != NULL) {
            out[used++] = '\\';
        }

        out[used++] = *text;
    }

    out[used] = '\0';
}

void
store_redis_pattern(const char *prefix, const char *suffix, char *pattern)
{
    pattern[0] = '\0';
    put_glob(pattern, or_empty(prefix));
    strcat(pattern, "*.");
    put_glob(pattern, or_empty(suffix));
}

void
store_redis_field(const dns_name_t *name, const dns_name_t *apex, char *field)
{
    dns_name_t relative = {0};
    unsigned labels = name->label_count - apex->label_count;
    size_t size = name->label_at[labels];

    if (labels == 0) {
        strcpy(field, "@");
        return;
    }

    memcpy(relative.octets, name->octets, size);
    relative.octets[size] = 0;
    field[dns_name_to_text(field, relative.octets) - 1] = '\0';
}

bool
store_redis_name(const char *field, size_t size, const dns_name_t *apex,
                 uint8_t *name)
{
    char sought[DNS_NAME_TEXT_SIZE];
    dns_name_t found;

    if (size == 1 && field[0] == '@') {
        memcpy(name, apex->octets, apex->size);
        return true;
    }

    if (dns_name_from_text(name, field, size, apex->octets, NULL) != DNS_OK ||
        !dns_name_is_within(name, apex->octets)) {
        return false;
    }

    dns_name_set(&found, name);
    store_redis_field(&found, apex, sought);
    return strlen(sought) == size && memcmp(sought, field, size) == 0;
}

const char *
store_redis_scan_fault(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        return reply->str;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_ARRAY) {
        return "not a reply to SCAN";
    }

    return reply->element[1]->elements > STORE_REDIS_SCAN_MAX
               ? "a reply to SCAN with over 10000 keys, where 1000 were asked "
                 "for"
               : NULL;
}
