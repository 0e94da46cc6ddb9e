/* require "resolua.program": ngx.print and ngx.say of `resolua run`, where the
   process is a program of its own and writes to standard output.  A request of
   a server in its configuration writes to its client as ever. */

#include <stdio.h>

#include "runtime/private/api.h"
#include "runtime/text.h"
#include "runtime/vm.h"


static int
put(lua_State *L, int ends_line)
{
    const int count = lua_gettop(L);
    size_t size = (size_t) ends_line;
    for (int i = 1; i <= count; i++) {
        size += resolua_text_size(L, i);
    }
    u_char *text = lua_newuserdata(L, size + 1);
    u_char *end = text;
    for (int i = 1; i <= count; i++) {
        end = resolua_text_copy(L, i, end);
    }
    if (ends_line) {
        *end = '\n';
    }
    if (fwrite(text, 1, size, stdout) != size) {
        lua_pushnil(L);
        lua_pushstring(L, strerror(errno));
        return 2;
    }
    lua_pushinteger(L, 1);
    return 1;
}


static int
print(lua_State *L)
{
    const resolua_request_t *r = resolua_running;
    return r != NULL && r->host->print != NULL ? r->host->print(L) : put(L, 0);
}


static int
say(lua_State *L)
{
    const resolua_request_t *r = resolua_running;
    return r != NULL && r->host->say != NULL ? r->host->say(L) : put(L, 1);
}


static int
open_program(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"print", print},
        {"say", say},
        {NULL, NULL},
    };
    lua_createtable(L, 0, 2);
    luaL_register(L, NULL, functions);
    return 1;
}


void
resolua_program_setup(lua_State *L)
{
    resolua_vm_preload(L, "resolua.program", open_program);
}
