/* ngx.socket.tcp: timeouts, options, bind, shutdown. */

#include "runtime/private/tcp.h"
#include "runtime/vm.h"

#include <netinet/tcp.h>


static ngx_msec_t
check_timeout(lua_State *L, int arg, ngx_msec_t usual)
{
    /* What is no number counts as 0: libraries rely on it. */
    const lua_Number ms = lua_tonumber(L, arg);
    if (ms < 0 || ms > 0x7fffffff) {
        luaL_error(L, "bad timeout value");
    }
    return ms > 0 ? (ngx_msec_t) ms : usual;
}


static void
check_count(lua_State *L, const char *name, int count)
{
    if (lua_gettop(L) != count) {
        luaL_error(L,
                   "ngx.socket %s: expecting %d arguments (including the "
                   "object) but seen %d",
                   name, count, lua_gettop(L));
    }
}


int
tcp_settimeout(lua_State *L)
{
    check_count(L, "settimeout", 2);
    tcp_t *tcp = tcp_check(L);
    const resolua_socket_conf_t *conf = tcp_conf(tcp);
    tcp->connect_timeout = check_timeout(L, 2, conf->connect_timeout);
    tcp->send_timeout = check_timeout(L, 2, conf->send_timeout);
    tcp->read_timeout = check_timeout(L, 2, conf->read_timeout);
    return 0;
}


int
tcp_settimeouts(lua_State *L)
{
    check_count(L, "settimeouts", 4);
    tcp_t *tcp = tcp_check(L);
    const resolua_socket_conf_t *conf = tcp_conf(tcp);
    tcp->connect_timeout = check_timeout(L, 2, conf->connect_timeout);
    tcp->send_timeout = check_timeout(L, 3, conf->send_timeout);
    tcp->read_timeout = check_timeout(L, 4, conf->read_timeout);
    return 0;
}


int
tcp_shutdown(lua_State *L)
{
    const tcp_t *tcp = tcp_check(L);
    const char *direction = luaL_checkstring(L, 2);
    luaL_argcheck(L, ngx_strcmp(direction, "send") == 0, 2,
                  "bad shutdown argument");
    if (tcp->link.connection == NULL) {
        return resolua_fail(L, "closed");
    }
    if (ngx_shutdown_socket(tcp->link.connection->fd, NGX_WRITE_SHUTDOWN) ==
        -1) {
        return resolua_fail(L, "closed");
    }
    return tcp_succeed(L);
}


/* bind(address): what later connects come from. */
int
tcp_bind(lua_State *L)
{
    tcp_t *tcp = tcp_check(L);
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);
    ngx_addr_t address;
    struct {
        ngx_addr_t address;
        ngx_sockaddr_t sockaddr;
    } * local;
    ngx_pool_t *pool = ngx_create_pool(RESOLUA_SMALL_POOL, ngx_cycle->log);
    if (pool == NULL) {
        return resolua_fail(L, "no memory");
    }
    const ngx_int_t rc = ngx_parse_addr(pool, &address, (u_char *) text, size);
    local = rc == NGX_OK ? ngx_calloc(sizeof(*local), ngx_cycle->log) : NULL;
    if (local != NULL) {
        ngx_memcpy(&local->sockaddr, address.sockaddr, address.socklen);
        local->address.sockaddr = &local->sockaddr.sockaddr;
        local->address.socklen = address.socklen;
    }
    ngx_destroy_pool(pool);
    if (local == NULL) {
        return resolua_fail(L, "bad address");
    }
    if (tcp->local != NULL) {
        ngx_free(tcp->local);
    }
    tcp->local = &local->address;
    lua_pushboolean(L, 1);
    return 1;
}


static const struct {
    const char *name;
    int level;
    int option;
} options[] = {
    {"keepalive", SOL_SOCKET, SO_KEEPALIVE},
    {"reuseaddr", SOL_SOCKET, SO_REUSEADDR},
    {"tcp-nodelay", IPPROTO_TCP, TCP_NODELAY},
    {"keepidle", IPPROTO_TCP, TCP_KEEPIDLE}, /* s */
    {"keepintvl", IPPROTO_TCP, TCP_KEEPINTVL},
    {"keepcnt", IPPROTO_TCP, TCP_KEEPCNT},
    {"sndbuf", SOL_SOCKET, SO_SNDBUF},
    {"rcvbuf", SOL_SOCKET, SO_RCVBUF},
};


static int
find_option(lua_State *L, size_t *found)
{
    const char *name = luaL_checkstring(L, 2);
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (ngx_strcmp(options[i].name, name) == 0) {
            *found = i;
            return 1;
        }
    }
    return 0;
}


int
tcp_setoption(lua_State *L)
{
    const tcp_t *tcp = tcp_check(L);
    size_t i;
    if (lua_gettop(L) < 3) {
        return resolua_fail(L, lua_gettop(L) < 2
                                   ? "missing the \"option\" argument"
                                   : "missing the \"value\" argument");
    }
    if (tcp->link.connection == NULL) {
        return resolua_fail(L, "closed");
    }
    if (!find_option(L, &i)) {
        lua_pushnil(L);
        lua_pushfstring(L, "unsupported option %s", lua_tostring(L, 2));
        return 2;
    }
    const int value = lua_isboolean(L, 3) ? lua_toboolean(L, 3)
                                          : (int) luaL_checkinteger(L, 3);
    if (setsockopt(tcp->link.connection->fd, options[i].level,
                   options[i].option, &value, sizeof(value)) == -1) {
        return resolua_fail(L, strerror(ngx_socket_errno));
    }
    lua_pushboolean(L, 1);
    return 1;
}


int
tcp_getoption(lua_State *L)
{
    const tcp_t *tcp = tcp_check(L);
    size_t i;
    int value = 0;
    socklen_t size = sizeof(value);
    if (tcp->link.connection == NULL) {
        return resolua_fail(L, "closed");
    }
    if (!find_option(L, &i)) {
        lua_pushnil(L);
        lua_pushfstring(L, "unsupported option %s", lua_tostring(L, 2));
        return 2;
    }
    if (getsockopt(tcp->link.connection->fd, options[i].level,
                   options[i].option, &value, &size) == -1) {
        return resolua_fail(L, strerror(ngx_socket_errno));
    }
    lua_pushinteger(L, value);
    return 1;
}
