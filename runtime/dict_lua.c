/* ngx.shared */

#include "runtime/conf.h"
#include "runtime/dict.h"
#include "runtime/private/api.h"
#include "runtime/vm.h"

enum { KEYS_MAX = 1024 }; /* of get_keys() */


static resolua_dict_t *
check_dict(lua_State *L)
{
    if (lua_istable(L, 1)) {
        lua_rawgeti(L, 1, 1);
        resolua_dict_t *dict = lua_touserdata(L, -1);
        lua_pop(L, 1);
        if (dict != NULL) {
            return dict;
        }
    }
    luaL_error(L, "bad \"zone\" argument");
    return NULL;
}


/* The key at 2; otherwise the reason is pushed and NULL given. */
static const char *
check_key(lua_State *L, ngx_str_t *key)
{
    if (lua_isnoneornil(L, 2)) {
        return "nil key";
    }
    key->data = (u_char *) luaL_checklstring(L, 2, &key->len);
    if (key->len == 0) {
        return "empty key";
    }
    return key->len > RESOLUA_DICT_KEY_MAX ? "key too long" : NULL;
}


static uint64_t
check_ttl(lua_State *L, int arg, const char *name)
{
    const lua_Number seconds = luaL_optnumber(L, arg, 0);
    if (!(seconds >= 0)) {
        luaL_error(L, "bad \"%s\" argument", name);
    }
    /* What is asked to expire does not live for ever. */
    return seconds > 0 && seconds < 0.001 ? 1 : (uint64_t) (seconds * 1000);
}


/* false: not of a kind that a dict holds. */
static int
read_value(lua_State *L, int arg, resolua_dict_value_t *value)
{
    ngx_memzero(value, sizeof(*value));
    switch (lua_type(L, arg)) {
    case LUA_TNONE:
    case LUA_TNIL:
        value->type = RESOLUA_DICT_NIL;
        return 1;
    case LUA_TBOOLEAN:
        value->type = RESOLUA_DICT_BOOLEAN;
        value->boolean = lua_toboolean(L, arg);
        return 1;
    case LUA_TNUMBER:
        value->type = RESOLUA_DICT_NUMBER;
        value->number = lua_tonumber(L, arg);
        return 1;
    case LUA_TSTRING:
        value->type = RESOLUA_DICT_STRING;
        value->text.data = (u_char *) lua_tolstring(L, arg, &value->text.len);
        return 1;
    default:
        return 0;
    }
}


static void
push_value(lua_State *L, resolua_dict_value_t *value)
{
    if (value->type == RESOLUA_DICT_BOOLEAN) {
        lua_pushboolean(L, value->boolean);
    } else if (value->type == RESOLUA_DICT_NUMBER) {
        lua_pushnumber(L, value->number);
    } else {
        lua_pushlstring(L, (char *) value->text.data, value->text.len);
        ngx_free(value->text.data);
    }
}


static int
get_value(lua_State *L, ngx_uint_t stale)
{
    resolua_dict_t *dict = check_dict(L);
    resolua_dict_value_t value;
    ngx_str_t key;
    const char *wrong = check_key(L, &key);
    if (wrong != NULL) {
        return resolua_fail(L, wrong);
    }
    const ngx_int_t rc = resolua_dict_get(dict, &key, stale, &value);
    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? (lua_pushnil(L), 1)
                                  : resolua_fail(L, "no memory");
    }
    if (value.type == RESOLUA_DICT_LIST) {
        return resolua_fail(L, "value is a list");
    }
    push_value(L, &value);
    if (value.flags != 0) {
        lua_pushinteger(L, (lua_Integer) value.flags);
    } else {
        lua_pushnil(L);
    }
    if (!stale) {
        return value.flags != 0 ? 2 : (lua_pop(L, 1), 1);
    }
    lua_pushboolean(L, (int) value.is_stale);
    return 3;
}


static int
dict_get(lua_State *L)
{
    return get_value(L, 0);
}


static int
dict_get_stale(lua_State *L)
{
    return get_value(L, 1);
}


static int
put(lua_State *L, ngx_uint_t how)
{
    resolua_dict_t *dict = check_dict(L);
    resolua_dict_value_t value;
    ngx_str_t key;
    ngx_uint_t forcible;
    const char *wrong = check_key(L, &key);
    if (wrong == NULL && !read_value(L, 3, &value)) {
        wrong = "bad value type";
    }
    if (wrong != NULL) {
        return resolua_fail(L, wrong);
    }
    if (value.type == RESOLUA_DICT_NIL &&
        (how & (RESOLUA_DICT_ADD | RESOLUA_DICT_REPLACE))) {
        lua_pushboolean(L, 0);
        lua_pushliteral(L, "attempt to add or replace nil values");
        lua_pushboolean(L, 0);
        return 3;
    }
    value.flags = (uint32_t) luaL_optinteger(L, 5, 0);
    const ngx_int_t rc = resolua_dict_set(
        dict, &key, &value, check_ttl(L, 4, "exptime"), how, &forcible);
    lua_pushboolean(L, rc == NGX_OK);
    if (rc == NGX_OK) {
        lua_pushnil(L);
    } else if (rc == NGX_DECLINED) {
        lua_pushstring(L, how & RESOLUA_DICT_ADD ? "exists" : "not found");
    } else {
        lua_pushliteral(L, "no memory");
    }
    lua_pushboolean(L, (int) forcible);
    return 3;
}


static int
dict_set(lua_State *L)
{
    return put(L, 0);
}


static int
dict_safe_set(lua_State *L)
{
    return put(L, RESOLUA_DICT_SAFE);
}


static int
dict_add(lua_State *L)
{
    return put(L, RESOLUA_DICT_ADD);
}


static int
dict_safe_add(lua_State *L)
{
    return put(L, RESOLUA_DICT_ADD | RESOLUA_DICT_SAFE);
}


static int
dict_replace(lua_State *L)
{
    return put(L, RESOLUA_DICT_REPLACE);
}


static int
dict_delete(lua_State *L)
{
    lua_settop(L, 2);
    return put(L, 0);
}


static double
check_init(lua_State *L, int arg, const char *name)
{
    if (!lua_isnumber(L, arg)) {
        luaL_error(L, "bad %s arg: number expected, got %s", name,
                   luaL_typename(L, arg));
    }
    return lua_tonumber(L, arg);
}


/* incr(key, number, init?, init_ttl?) */
static int
dict_incr(lua_State *L)
{
    resolua_dict_t *dict = check_dict(L);
    double number = luaL_checknumber(L, 3);
    const int has_init = !lua_isnoneornil(L, 4);
    const double init = has_init ? check_init(L, 4, "init") : 0;
    ngx_str_t key;
    ngx_uint_t forcible;
    const char *wrong = check_key(L, &key);
    if (wrong != NULL) {
        return resolua_fail(L, wrong);
    }
    if (!lua_isnoneornil(L, 5)) {
        (void) check_init(L, 5, "init_ttl");
    }
    if (!has_init && !lua_isnoneornil(L, 5)) {
        return luaL_error(L, "must provide \"init\" when providing "
                             "\"init_ttl\"");
    }
    const ngx_int_t rc =
        resolua_dict_add_number(dict, &key, &number, has_init ? &init : NULL,
                                check_ttl(L, 5, "init_ttl"), &forcible);
    if (rc != NGX_OK) {
        return resolua_fail(L, rc == NGX_DECLINED ? "not found"
                               : rc == NGX_ABORT  ? "not a number"
                                                  : "no memory");
    }
    lua_pushnumber(L, number);
    if (!has_init) {
        return 1;
    }
    lua_pushnil(L);
    lua_pushboolean(L, (int) forcible);
    return 3;
}


static int
push_element(lua_State *L, ngx_uint_t at_start)
{
    resolua_dict_t *dict = check_dict(L);
    resolua_dict_value_t value;
    ngx_str_t key;
    ngx_uint_t count = 0;
    const char *wrong = check_key(L, &key);
    if (wrong == NULL &&
        (!read_value(L, 3, &value) || (value.type != RESOLUA_DICT_STRING &&
                                       value.type != RESOLUA_DICT_NUMBER))) {
        wrong = "bad value type";
    }
    if (wrong != NULL) {
        return resolua_fail(L, wrong);
    }
    const ngx_int_t rc =
        resolua_dict_push(dict, &key, &value, at_start, &count);
    if (rc != NGX_OK) {
        return resolua_fail(L,
                            rc == NGX_ABORT ? "value not a list" : "no memory");
    }
    lua_pushinteger(L, (lua_Integer) count);
    return 1;
}


static int
dict_lpush(lua_State *L)
{
    return push_element(L, 1);
}


static int
dict_rpush(lua_State *L)
{
    return push_element(L, 0);
}


static int
pop_element(lua_State *L, ngx_uint_t at_start)
{
    resolua_dict_t *dict = check_dict(L);
    resolua_dict_value_t value;
    ngx_str_t key;
    const char *wrong = check_key(L, &key);
    if (wrong != NULL) {
        return resolua_fail(L, wrong);
    }
    const ngx_int_t rc = resolua_dict_pop(dict, &key, at_start, &value);
    if (rc == NGX_DECLINED) {
        lua_pushnil(L);
        return 1;
    }
    if (rc != NGX_OK) {
        return resolua_fail(L,
                            rc == NGX_ABORT ? "value not a list" : "no memory");
    }
    push_value(L, &value);
    return 1;
}


static int
dict_lpop(lua_State *L)
{
    return pop_element(L, 1);
}


static int
dict_rpop(lua_State *L)
{
    return pop_element(L, 0);
}


static int
dict_llen(lua_State *L)
{
    resolua_dict_t *dict = check_dict(L);
    ngx_str_t key;
    ngx_uint_t count;
    const char *wrong = check_key(L, &key);
    if (wrong != NULL) {
        return resolua_fail(L, wrong);
    }
    if (resolua_dict_count(dict, &key, &count) != NGX_OK) {
        return resolua_fail(L, "value not a list");
    }
    lua_pushinteger(L, (lua_Integer) count);
    return 1;
}


static int
dict_ttl(lua_State *L)
{
    resolua_dict_t *dict = check_dict(L);
    ngx_str_t key;
    int64_t ms;
    const char *wrong = check_key(L, &key);
    if (wrong == NULL && resolua_dict_ttl(dict, &key, &ms) != NGX_OK) {
        wrong = "not found";
    }
    if (wrong != NULL) {
        return resolua_fail(L, wrong);
    }
    lua_pushnumber(L, (lua_Number) ms / 1000.0);
    return 1;
}


static int
dict_expire(lua_State *L)
{
    resolua_dict_t *dict = check_dict(L);
    ngx_str_t key;
    if (lua_isnoneornil(L, 3)) {
        return luaL_error(L, "bad \"exptime\" argument");
    }
    const char *wrong = check_key(L, &key);
    if (wrong == NULL &&
        resolua_dict_expire(dict, &key, check_ttl(L, 3, "exptime")) != NGX_OK) {
        wrong = "not found";
    }
    if (wrong != NULL) {
        return resolua_fail(L, wrong);
    }
    lua_pushboolean(L, 1);
    return 1;
}


static int
dict_flush_all(lua_State *L)
{
    resolua_dict_flush(check_dict(L));
    return 0;
}


static int
dict_flush_expired(lua_State *L)
{
    resolua_dict_t *dict = check_dict(L);
    const lua_Integer max = luaL_optinteger(L, 2, 0);
    lua_pushinteger(L, (lua_Integer) resolua_dict_free_expired(
                           dict, max > 0 ? (ngx_uint_t) max : 0));
    return 1;
}


typedef struct {
    u_char *octets; /* size u16 and key, one after the other */
    size_t size;
    size_t room;
} keys_t;


/* Under the dict's lock nothing of Lua's may run: it could fail. */
static void
note_key(void *data, const ngx_str_t *key)
{
    keys_t *keys = data;
    const size_t size = sizeof(uint16_t) + key->len;
    if (keys->room - keys->size < size) {
        const size_t room = 2 * keys->room + size;
        u_char *more = ngx_alloc(room, ngx_cycle->log);
        if (more == NULL) {
            return;
        }
        if (keys->size > 0) {
            ngx_memcpy(more, keys->octets, keys->size);
            ngx_free(keys->octets);
        }
        keys->octets = more;
        keys->room = room;
    }
    const uint16_t key_size = (uint16_t) key->len;
    ngx_memcpy(keys->octets + keys->size, &key_size, sizeof(key_size));
    ngx_memcpy(keys->octets + keys->size + sizeof(key_size), key->data,
               key->len);
    keys->size += size;
}


static int
dict_get_keys(lua_State *L)
{
    resolua_dict_t *dict = check_dict(L);
    const lua_Integer max = luaL_optinteger(L, 2, KEYS_MAX);
    keys_t keys = {0};
    int count = 0;
    resolua_dict_each_key(dict, max > 0 ? (ngx_uint_t) max : 0, note_key,
                          &keys);
    lua_newtable(L);
    for (size_t at = 0; at < keys.size;) {
        uint16_t size;
        ngx_memcpy(&size, keys.octets + at, sizeof(size));
        at += sizeof(size);
        lua_pushlstring(L, (char *) keys.octets + at, size);
        lua_rawseti(L, -2, ++count);
        at += size;
    }
    if (keys.octets != NULL) {
        ngx_free(keys.octets);
    }
    return 1;
}


static int
dict_capacity(lua_State *L)
{
    lua_pushnumber(L, (lua_Number) resolua_dict_capacity(check_dict(L)));
    return 1;
}


static int
dict_free_space(lua_State *L)
{
    lua_pushnumber(L, (lua_Number) resolua_dict_free_space(check_dict(L)));
    return 1;
}


void
resolua_dict_setup(lua_State *L, ngx_cycle_t *cycle)
{
    static const luaL_Reg methods[] = {
        {"get", dict_get},
        {"get_stale", dict_get_stale},
        {"set", dict_set},
        {"safe_set", dict_safe_set},
        {"add", dict_add},
        {"safe_add", dict_safe_add},
        {"replace", dict_replace},
        {"delete", dict_delete},
        {"incr", dict_incr},
        {"lpush", dict_lpush},
        {"rpush", dict_rpush},
        {"lpop", dict_lpop},
        {"rpop", dict_rpop},
        {"llen", dict_llen},
        {"ttl", dict_ttl},
        {"expire", dict_expire},
        {"flush_all", dict_flush_all},
        {"flush_expired", dict_flush_expired},
        {"get_keys", dict_get_keys},
        {"capacity", dict_capacity},
        {"free_space", dict_free_space},
        {NULL, NULL},
    };
    const ngx_array_t *dicts = &resolua_core_conf(cycle)->dicts;
    ngx_shm_zone_t **zones = dicts->elts;
    lua_createtable(L, 0, (int) dicts->nelts);
    lua_createtable(L, 0, 1);
    lua_newtable(L);
    luaL_register(L, NULL, methods);
    lua_setfield(L, -2, "__index");
    for (ngx_uint_t i = 0; i < dicts->nelts; i++) {
        lua_pushlstring(L, (char *) zones[i]->shm.name.data,
                        zones[i]->shm.name.len);
        lua_createtable(L, 1, 0);
        lua_pushlightuserdata(L, resolua_dict_of(zones[i]));
        lua_rawseti(L, -2, 1);
        lua_pushvalue(L, -3);
        lua_setmetatable(L, -2);
        lua_rawset(L, -4);
    }
    lua_pop(L, 1);
    lua_setfield(L, -2, "shared");
}
