#ifndef RESOLUA_RUNTIME_TEXT_H
#define RESOLUA_RUNTIME_TEXT_H

/* The octets of what a script gives to print, say, send ...: strings, numbers,
   booleans, nil, null and arrays of these, nested.  First the size of each
   argument, which raises a Lua error where one is of no such kind, then the
   copy, which cannot fail. */

#include <ngx_config.h>
#include <ngx_core.h>

#include <lauxlib.h>
#include <lua.h>

enum { RESOLUA_TEXT_DEPTH_MAX = 32 }; /* tables in tables */

/* The argument's octets, where anything is taken: nil as nothing, the rest as
   tostring() has it.  They stay at the argument. */
ngx_str_t resolua_text_any(lua_State *L, int arg);

size_t resolua_text_size(lua_State *L, int arg);

/* Gives the end of what it wrote. */
u_char *resolua_text_copy(lua_State *L, int arg, u_char *to);

#endif
