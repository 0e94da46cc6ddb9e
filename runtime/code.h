#ifndef RESOLUA_RUNTIME_CODE_H
#define RESOLUA_RUNTIME_CODE_H

/* A chunk of Lua that the configuration names: inline text or a file. */

#include "runtime/request.h"

typedef struct {
    ngx_str_t source; /* inline text; empty for a file */
    ngx_str_t path;   /* absolute file name, zero-terminated, or empty */
    char *chunk_name; /* "=content_by_lua(nginx.conf:25)" or "@/path" */
    int ref;          /* the loaded function in the VM, LUA_NOREF before */
    ngx_flag_t cache; /* lua_code_cache: off loads files anew each time */
} resolua_code_t;

/* Pushes the chunk as a function.  NGX_ERROR: pushes the message instead. */
ngx_int_t resolua_code_push(lua_State *L, resolua_code_t *code);

/* Loads the chunk, or the file of that path in its place; pushes as above. */
ngx_int_t resolua_code_load(lua_State *L, const resolua_code_t *code,
                            const char *path);

/* The same with the request's own globals, for lua_code_cache off: made by its
   first chunk, gone with it. */
ngx_int_t resolua_code_push_fresh(lua_State *L, resolua_request_t *r,
                                  const resolua_code_t *code, const char *path);

/* Another file of the same directive (a name with variables); path is
   zero-terminated.  Pushes as above; the function is kept by its path. */
ngx_int_t resolua_code_push_file(lua_State *L, const char *path,
                                 ngx_flag_t cache);

#endif
