#include "runtime/client_socket.h"

#include "runtime/private/api.h"
#include "runtime/private/tcp.h"
#include "runtime/vm.h"

static const char body_metatable[] = "resolua.client.body";
static const char raw_metatable[] = "resolua.client.raw";


/* Takes what has come before into the socket's buffer. */
static ngx_int_t
take_preread(tcp_t *tcp, const resolua_client_t *client)
{
    ngx_buf_t *b = client->preread;
    tcp_link_t *link = &tcp->link;
    size_t size = (size_t) (b->last - b->pos);
    if (client->rest != NULL && (off_t) size > *client->rest) {
        size = (size_t) *client->rest;
    }
    link->room = ngx_max(size, tcp_conf(tcp)->buffer_size);
    link->buffer = ngx_alloc(link->room, tcp->request->log);
    if (link->buffer == NULL) {
        return NGX_ERROR;
    }
    ngx_memcpy(link->buffer, b->pos, size);
    link->end = size;
    b->pos += size;
    if (client->rest != NULL) {
        *client->rest -= (off_t) size;
        *client->taken += (off_t) size;
    }
    return NGX_OK;
}


resolua_client_socket_t *
resolua_client_socket_push(lua_State *L, resolua_request_t *r,
                           const resolua_client_t *client)
{
    tcp_t *tcp =
        tcp_push(L, r, client->is_raw ? raw_metatable : body_metatable);
    if (take_preread(tcp, client) != NGX_OK) {
        lua_pop(L, 1);
        return NULL;
    }
    tcp->link.connection = client->connection;
    tcp->link.is_borrowed = 1;
    tcp->rest = client->rest;
    tcp->taken = client->taken;
    lua_pushvalue(L, -1);
    tcp->self_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return tcp;
}


void
resolua_client_socket_count(resolua_client_socket_t *socket, off_t *rest)
{
    *rest = *socket->rest;
    socket->rest = rest;
}


ngx_uint_t
resolua_client_socket_reads(const resolua_client_socket_t *socket)
{
    return socket->reading != NULL;
}


ngx_uint_t
resolua_client_socket_writes(const resolua_client_socket_t *socket)
{
    return socket->writing != NULL;
}


void
resolua_client_socket_on_read(resolua_client_socket_t *socket)
{
    tcp_on_readable(socket);
}


void
resolua_client_socket_on_write(resolua_client_socket_t *socket)
{
    tcp_on_writable(socket);
}


void
resolua_client_socket_setup(lua_State *L)
{
    static const luaL_Reg body[] = {
        {"receive", tcp_receive},           {"receiveany", tcp_receiveany},
        {"receiveuntil", tcp_receiveuntil}, {"settimeout", tcp_settimeout},
        {"settimeouts", tcp_settimeouts},   {NULL, NULL},
    };
    static const luaL_Reg raw[] = {
        {"send", tcp_send},
        {"shutdown", tcp_shutdown},
        {"peek", tcp_peek},
        {NULL, NULL},
    };
    tcp_register(L, body_metatable, body);
    tcp_register(L, raw_metatable, body);
    luaL_getmetatable(L, raw_metatable);
    lua_getfield(L, -1, "__index");
    luaL_register(L, NULL, raw);
    lua_pop(L, 2);
}


tcp_t *
client_socket_at(lua_State *L, int index)
{
    void *socket = lua_touserdata(L, index);
    if (socket == NULL || !lua_getmetatable(L, index)) {
        return NULL;
    }
    luaL_getmetatable(L, raw_metatable);
    luaL_getmetatable(L, body_metatable);
    const int is_ours = lua_rawequal(L, -3, -2) || lua_rawequal(L, -3, -1);
    lua_pop(L, 3);
    return is_ours ? socket : NULL;
}
