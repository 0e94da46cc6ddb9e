#ifndef RESOLUA_RUNTIME_ARGS_H
#define RESOLUA_RUNTIME_ARGS_H

/* Query strings (application/x-www-form-urlencoded) and percent encoding. */

#include <ngx_config.h>
#include <ngx_core.h>

#include <lauxlib.h>
#include <lua.h>

enum { RESOLUA_ARGS_MAX = 100 }; /* unless the script says otherwise */

/* Puts the arguments of text into the table on top of the stack: a string, true
   where there is no '=', an array where the name comes again; those without a
   name count, but are left out.  max 0: no limit.  NGX_DECLINED: there are more
   than max. */
ngx_int_t resolua_args_decode(lua_State *L, const u_char *text, size_t size,
                              lua_Integer max);

/* The same, but max of those with a name are put. */
ngx_int_t resolua_args_decode_named(lua_State *L, const u_char *text,
                                    size_t size, lua_Integer max);

/* Pushes the query string of the table at arg. */
void resolua_args_encode(lua_State *L, int arg);

/* Writes text with what may not stand for itself as %XX, at most 3 octets for
   each; type: NGX_ESCAPE_URI or NGX_ESCAPE_URI_COMPONENT.  Gives the end. */
u_char *resolua_args_escape(u_char *to, const u_char *text, size_t size,
                            ngx_uint_t type);

/* Writes the octets that text stands for; to may be text.  Gives the end. */
u_char *resolua_args_unescape(u_char *to, const u_char *text, size_t size);

#endif
