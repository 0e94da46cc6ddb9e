#ifndef STREAM_VARIABLE_H
#define STREAM_VARIABLE_H

/* ngx.var of a session, and the directive lua_add_variable. */

#include "stream/context.h"

ngx_int_t variable_find(const resolua_request_t *r, const ngx_str_t *name,
                        ngx_str_t *value);
int variable_get(lua_State *L);
int variable_set(lua_State *L);

char *variable_add(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

#endif
