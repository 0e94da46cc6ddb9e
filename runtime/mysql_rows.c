/* Results of MySQL as Lua values. */

#include <stdlib.h>

#include "runtime/private/mysql.h"
#include "runtime/vm.h"

enum { ROWS_PREPARED_MAX = 65536, FIELDS_MAX = 4096 /* MySQL's own bound */ };

/* What a double can hold exactly. */
static const my_ulonglong integer_max = 1ULL << 53;


/* A column that becomes numbers.  64 bits do not fit into Lua's: such columns
   stay text. */
static int
is_number(const MYSQL_FIELD *field)
{
    switch (field->type) {
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_YEAR:
    case MYSQL_TYPE_FLOAT:
    case MYSQL_TYPE_DOUBLE:
    case MYSQL_TYPE_DECIMAL:
    case MYSQL_TYPE_NEWDECIMAL:
        return 1;
    default:
        return 0;
    }
}


static void
push_value(lua_State *L, const MYSQL_FIELD *field, const char *text,
           unsigned long size)
{
    if (text == NULL) {
        lua_pushlightuserdata(L, NULL); /* ngx.null */
    } else if (is_number(field)) {
        lua_pushnumber(L, strtod(text, NULL));
    } else {
        lua_pushlstring(L, text, size);
    }
}


/* One row; the fields' names stand on the stack from `names` on, 0: an array
   is wanted. */
static void
push_row(lua_State *L, MYSQL_RES *rows, int names)
{
    const unsigned count = mysql_num_fields(rows);
    const MYSQL_FIELD *fields = mysql_fetch_fields(rows);
    MYSQL_ROW row = mysql_fetch_row(rows);
    const unsigned long *sizes = mysql_fetch_lengths(rows);
    lua_createtable(L, names == 0 ? (int) count : 0,
                    names == 0 ? 0 : (int) count);
    for (unsigned i = 0; i < count; i++) {
        if (names == 0) {
            push_value(L, &fields[i], row[i], sizes[i]);
            lua_rawseti(L, -2, (int) i + 1);
        } else {
            lua_pushvalue(L, names + (int) i);
            push_value(L, &fields[i], row[i], sizes[i]);
            lua_rawset(L, -3);
        }
    }
}


/* The names of the fields onto the stack; the index of the first.  0: they are
   too many for it. */
static int
push_names(lua_State *L, MYSQL_RES *rows)
{
    const unsigned count = mysql_num_fields(rows);
    const MYSQL_FIELD *fields = mysql_fetch_fields(rows);
    if (count > FIELDS_MAX || !lua_checkstack(L, (int) count + LUA_MINSTACK)) {
        return 0;
    }
    const int first = lua_gettop(L) + 1;
    for (unsigned i = 0; i < count; i++) {
        lua_pushlstring(L, fields[i].name, fields[i].name_length);
    }
    return first;
}


/* The array of all rows, or nil and why not. */
static int
push_rows(const mysql_session_t *session, lua_State *L, MYSQL_RES *rows)
{
    const my_ulonglong count = mysql_num_rows(rows);
    const int names = session->is_compact ? 0 : push_names(L, rows);
    if (names == 0 && !session->is_compact) {
        return resolua_fail(L, "too many columns");
    }
    lua_createtable(L, (int) ngx_min(count, ROWS_PREPARED_MAX), 0);
    for (my_ulonglong i = 0; i < count; i++) {
        push_row(L, rows, names);
        lua_rawseti(L, -2, (int) i + 1);
    }
    if (names != 0) {
        lua_replace(L, names); /* in the place of the first name */
        lua_settop(L, names);
    }
    return 1;
}


static void
set_count(lua_State *L, const char *name, my_ulonglong count)
{
    char text[32];
    if (count <= integer_max) {
        lua_pushnumber(L, (lua_Number) count);
    } else {
        u_char *end = ngx_sprintf((u_char *) text, "%uL", (uint64_t) count);
        lua_pushlstring(L, text, (size_t) (end - (u_char *) text));
    }
    lua_setfield(L, -2, name);
}


/* Of a statement that gives no rows. */
static int
push_changes(const mysql_session_t *session, lua_State *L)
{
    MYSQL *link = client_mysql_link(session->client);
    const char *message = mysql_info(link);
    lua_createtable(L, 0, 5);
    set_count(L, "insert_id", mysql_insert_id(link));
    set_count(L, "affected_rows", mysql_affected_rows(link));
    set_count(L, "server_status", link->server_status);
    set_count(L, "warning_count", mysql_warning_count(link));
    if (message != NULL) {
        lua_pushstring(L, message);
        lua_setfield(L, -2, "message");
    }
    return 1;
}


int
mysql_push_result(const mysql_session_t *session, lua_State *L)
{
    MYSQL_RES *rows = client_mysql_rows(session->client);
    int count =
        rows != NULL ? push_rows(session, L, rows) : push_changes(session, L);
    client_mysql_drop_rows(session->client);
    if (count == 1 && client_mysql_has_more(session->client)) {
        lua_pushliteral(L, "again");
        count = 2;
    }
    return count;
}
