#ifndef RESOLUA_RUNTIME_PRIVATE_REGEX_H
#define RESOLUA_RUNTIME_PRIVATE_REGEX_H

#include <ngx_config.h>
#include <ngx_core.h>

#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include <pcre2.h>

#include "runtime/vm.h"

/* A compiled expression: a userdata. */
typedef struct {
    pcre2_code *code;
    pcre2_match_data *data;
    uint32_t match_options;
    uint32_t captures;
    uint32_t names;
    uint32_t name_size;
    const uint8_t *name_table;
    unsigned is_dfa : 1;
    unsigned is_cached : 1;
    unsigned wants_jit : 1;
    unsigned dup_names : 1; /* names stand for arrays */
    unsigned is_utf : 1;
    unsigned is_plain_jit : 1; /* needs no checks of pcre2_match() */
} regex_t;

/* The expression at an argument, on top of the stack; NULL: *failed values say
   why not. */
regex_t *regex_check(lua_State *L, int pattern_arg, int options_arg,
                     int *failed);

/* pcre2_match() from an offset: the captures set, or a negative error. */
int regex_run(const regex_t *re, const ngx_str_t *subject, size_t from);

/* The offset at which the search goes on after the match that was found: behind
   it, and after an empty one a character further. */
size_t regex_next(const regex_t *re, const ngx_str_t *subject);

/* Fills the table on top with the captures of a match that gave rc. */
void regex_push_captures(lua_State *L, const regex_t *re,
                         const ngx_str_t *subject, int rc);

/* The argument as text: what is no string, as tostring() has it. */
ngx_str_t regex_text(lua_State *L, int arg);

/* nil and the reason */
int regex_push_error(lua_State *L, int rc);

int regex_sub(lua_State *L);
int regex_gsub(lua_State *L);

#endif
