#ifndef STORE_PRIVATE_JSON_SHAPE_H
#define STORE_PRIVATE_JSON_SHAPE_H

/* Which types have JSON members of their own, and which. */

#include <jansson.h>
#include <stdint.h>

enum { JSON_FIELDS_MAX = 7 };

/* One part of the text of a type's rdata. */
typedef struct {
    const char *names[2]; /* the second: as some programs write it */
    enum {
        JSON_WORD,
        JSON_NUMBER, /* 0 where the JSON has none */
        JSON_STRINGS,
        JSON_SERIAL,
    } kind;
} json_field_t;

typedef struct {
    uint16_t type;
    json_field_t fields[JSON_FIELDS_MAX];
} json_shape_t;

/* NULL: the type is written as "rr". */
const json_shape_t *json_find_shape(uint16_t type);

/* NULL: there is none, or it is null.  Letter case of members' names does not
   count: the plugins' own data differ in it.  name NULL: none. */
json_t *json_member(json_t *object, const char *name);

#endif
