/* require for scripts: a module that is loaded is a look-up in a table, in Lua,
   so that a chunk that begins with `local x = require "x"` can be compiled.
   Where a load is under way or has failed, LuaJIT keeps a mark in that table,
   which Lua sees as a number: numbers are left to LuaJIT's require. */

#include "runtime/private/api.h"

static const char source[] =
    "local loaded, load, type = package.loaded, require, type\n"
    "function require(name)\n"
    "    local module = loaded[name]\n"
    "    local kind = type(module)\n"
    "    if module and kind ~= 'number' and kind ~= 'userdata' then\n"
    "        return module\n"
    "    end\n"
    "    return load(name)\n"
    "end\n";


void
resolua_require_setup(lua_State *L)
{
    if (luaL_loadbuffer(L, source, sizeof(source) - 1, "=require") != 0 ||
        lua_pcall(L, 0, 0, 0) != 0) {
        lua_pop(L, 1);
    }
}
