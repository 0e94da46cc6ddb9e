#ifndef RESOLUA_HTTP_PRIVATE_ARG_H
#define RESOLUA_HTTP_PRIVATE_ARG_H

/* ngx.arg: the arguments of set_by_lua*, and the piece of the body in
   body_filter_by_lua*.  It is a window on what the running chunk was given:
   text that a filter does not look at is never made into a string.

       http_arg_t arg = {.in = chain, .last = 1};
       http_arg_t *before = http_arg_enter(&arg);
       ... run the chunk ...
       http_arg_leave(before); */

#include "http/private/ctx.h"

typedef struct {
    const ngx_http_variable_value_t *values; /* of set_by_lua */
    ngx_uint_t count;
    ngx_chain_t *in; /* of body_filter_by_lua */
    unsigned last : 1;
    unsigned last_is_set : 1; /* by the chunk */
    unsigned is_kept : 1;     /* [1] as a Lua value */
    unsigned is_replaced : 1; /* by the chunk */
} http_arg_t;

/* Gives the one before, for http_arg_leave(). */
http_arg_t *http_arg_enter(http_arg_t *arg);
void http_arg_leave(http_arg_t *before);

/* Pushes [1] as it stands now.  Before http_arg_leave(). */
void http_arg_push_text(lua_State *L, http_arg_t *arg);

#endif
