/* A connection's options, as libmariadb takes them. */

#include "runtime/private/mysql.h"

enum { PACKET_SIZE_MAX = 1024 * 1024 }; /* octets, unless a script says so */


static void
set_charset(lua_State *L, int index, MYSQL *link)
{
    lua_getfield(L, index, "charset");
    mysql_options(link, MYSQL_SET_CHARSET_NAME,
                  lua_isstring(L, -1) ? lua_tostring(L, -1) : "utf8mb4");
    lua_pop(L, 1);
}


static void
set_packet_size(lua_State *L, int index, MYSQL *link)
{
    lua_getfield(L, index, "max_packet_size");
    const lua_Number wanted = lua_tonumber(L, -1);
    unsigned long size = wanted >= 1 && wanted <= 0x40000000
                             ? (unsigned long) wanted
                             : PACKET_SIZE_MAX;
    mysql_options(link, MYSQL_OPT_MAX_ALLOWED_PACKET, &size);
    lua_pop(L, 1);
}


/* The file of the server's RSA key, where a log-in needs it without TLS. */
static void
set_public_key(lua_State *L, int index, MYSQL *link)
{
    lua_getfield(L, index, "server_public_key");
    if (lua_isstring(L, -1)) {
        mysql_options(link, MYSQL_SERVER_PUBLIC_KEY, lua_tostring(L, -1));
    }
    lua_pop(L, 1);
}


static int
is_set(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    const int value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}


static void
set_tls(lua_State *L, int index, MYSQL *link, const resolua_socket_conf_t *conf)
{
    my_bool yes = 1;
    if (!is_set(L, index, "ssl")) {
        return;
    }
    const int verifies = is_set(L, index, "ssl_verify");
    mysql_ssl_set(link, NULL, NULL,
                  verifies && conf->ssl_trusted.len > 0
                      ? (char *) conf->ssl_trusted.data
                      : NULL,
                  NULL, NULL);
    mysql_options(link, MYSQL_OPT_SSL_ENFORCE, &yes);
    if (verifies) {
        mysql_options(link, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
    }
}


MYSQL *
mysql_link_new(lua_State *L, int index, const resolua_socket_conf_t *conf)
{
    unsigned no = 0;
    MYSQL *link = mysql_init(NULL);
    if (link == NULL) {
        return NULL;
    }
    mysql_options(link, MYSQL_OPT_NONBLOCK, NULL);
    /* A server could else ask for any file of ours. */
    mysql_options(link, MYSQL_OPT_LOCAL_INFILE, &no);
    set_charset(L, index, link);
    set_packet_size(L, index, link);
    set_public_key(L, index, link);
    set_tls(L, index, link, conf);
    return link;
}
