/* Connections to MySQL: options, what a new one is, how it ends. */

#include "runtime/private/mysql.h"
#include "runtime/vm.h"

#include <errmsg.h>

enum {
    HOST = 2, /* arguments of connect() */
    OPTIONS = 4,
    PACKET_SIZE_MAX = 1024 * 1024, /* octets, unless a script says so */
};


static void
session_free(tcp_session_t *base)
{
    mysql_session_t *s = (mysql_session_t *) base;
    client_mysql_free(s->client);
    for (ngx_uint_t i = 0; i < s->text_count; i++) {
        ngx_free(s->texts[i]);
    }
    ngx_free(s);
}


/* connect(): the server's code; none for what the network said. */
static int
push_code(tcp_session_t *base, lua_State *L)
{
    const mysql_session_t *s = (mysql_session_t *) base;
    const unsigned code = client_mysql_code(s->client);
    if (code == 0 || mysql_is_lost(code) || code == CR_CONNECTION_ERROR ||
        code == CR_CONN_HOST_ERROR) {
        return 0;
    }
    lua_pushinteger(L, (lua_Integer) code);
    lua_pushstring(L, client_mysql_state(s->client));
    return 2;
}


/* The connection for the events of the client's descriptor. */
static ngx_int_t
watch(tcp_t *tcp, const mysql_session_t *s)
{
    const int fd = client_mysql_socket(s->client);
    const int own = fd >= 0 ? dup(fd) : -1;
    ngx_connection_t *c =
        own >= 0 ? ngx_get_connection(own, (ngx_log_t *) ngx_cycle->log) : NULL;
    if (c == NULL) {
        if (own >= 0) {
            close(own);
        }
        return NGX_ERROR;
    }
    c->data = tcp;
    c->log = c->read->log = c->write->log = (ngx_log_t *) ngx_cycle->log;
    c->read->handler = c->write->handler = mysql_on_event;
    c->recv = ngx_recv;
    c->send = ngx_send;
    tcp->link.connection = c;
    return ngx_add_conn(c);
}


/* An address, so that nothing is looked up, or a path, into s->target. */
static void
set_target(tcp_t *tcp, mysql_session_t *s)
{
    ngx_sockaddr_t *address = &tcp->peer.address;
    char *target = s->target;
    if (address->sockaddr.sa_family == AF_UNIX) {
        ngx_cpystrn((u_char *) target, (u_char *) address->sockaddr_un.sun_path,
                    sizeof(s->target));
        s->options.address = NULL;
        s->options.unix_socket = target;
        return;
    }
    const size_t length =
        ngx_sock_ntop(&address->sockaddr, tcp->peer.address_size,
                      (u_char *) target, sizeof(s->target) - 1, 0);
    target[length] = '\0';
    if (target[0] == '[') { /* IPv6 */
        ngx_memmove(target, target + 1, length);
        target[strcspn(target, "]")] = '\0';
    }
    if (s->options.address == NULL) { /* no name that the system looks up */
        s->options.address = target;
    }
}


ngx_int_t
mysql_refuse(tcp_t *tcp, const char *reason)
{
    ngx_cpystrn((u_char *) tcp->peer.error, (u_char *) reason,
                sizeof(tcp->peer.error));
    return NGX_ERROR;
}


/* The errno in "... (111)"; 0: there is none. */
static int
errno_of(const char *text)
{
    const char *bracket = strrchr(text, '(');
    const long code = bracket != NULL ? strtol(bracket + 1, NULL, 10) : 0;
    return code > 0 && code <= INT_MAX ? (int) code : 0;
}


/* What the server or the network said into peer.error. */
static ngx_int_t
fail_connect(tcp_t *tcp, const mysql_session_t *s)
{
    const char *text = client_mysql_error(s->client);
    const unsigned code = client_mysql_code(s->client);
    if (mysql_is_lost(code)) {
        text = "closed";
    } else if ((code == CR_CONNECTION_ERROR || code == CR_CONN_HOST_ERROR) &&
               errno_of(text) > 0) {
        resolua_peer_errno(&tcp->peer, errno_of(text));
        return NGX_ERROR;
    }
    return mysql_refuse(tcp, text);
}


ngx_int_t
mysql_connect_state(tcp_t *tcp, mysql_session_t *s, client_step_t step)
{
    if (step == CLIENT_ERROR) {
        return fail_connect(tcp, s);
    }
    if (tcp->link.connection == NULL && watch(tcp, s) != NGX_OK) {
        return mysql_refuse(tcp, "no free connection");
    }
    return step == CLIENT_WAIT ? NGX_AGAIN : NGX_OK;
}


static ngx_int_t
go_on(tcp_t *tcp, mysql_session_t *s, int ready)
{
    return mysql_connect_state(
        tcp, s,
        client_mysql_step(s->client, ready, ngx_current_msec, &s->wait));
}


/* tcp_t.open: a new connection to tcp->peer. */
static ngx_int_t
open_session(tcp_t *tcp)
{
    mysql_session_t *s = (mysql_session_t *) tcp->session;
    set_target(tcp, s);
    s->options.port = tcp->port;
    s->client = client_mysql_new(&s->options);
    if (s->client == NULL) {
        return mysql_refuse(tcp, "no memory");
    }
    tcp->session = NULL;
    if (s->options.tls != CLIENT_MYSQL_PLAIN) {
        return mysql_connect_on_thread(tcp, s);
    }
    tcp->link.session = &s->base;
    client_mysql_begin_connect(s->client,
                               ngx_current_msec + tcp->connect_timeout);
    const ngx_int_t rc = go_on(tcp, s, 0);
    if (rc == NGX_AGAIN) {
        ngx_add_timer(tcp->link.connection->read, tcp->connect_timeout);
    }
    return rc;
}


void
mysql_go_on_connecting(tcp_t *tcp, mysql_session_t *s, int ready)
{
    tcp_connect_again(tcp, go_on(tcp, s, ready));
}


/* A copy of the string at index; none: NULL. */
static const char *
keep_text(lua_State *L, int index, mysql_session_t *s)
{
    size_t size;
    const char *text =
        lua_isstring(L, index) ? lua_tolstring(L, index, &size) : NULL;
    char *copy = text != NULL ? ngx_alloc(size + 1, ngx_cycle->log) : NULL;
    if (copy != NULL) {
        ngx_memcpy(copy, text, size + 1);
        s->texts[s->text_count++] = copy;
    }
    return copy;
}


static const char *
keep_field(lua_State *L, const char *name, mysql_session_t *s)
{
    lua_getfield(L, OPTIONS, name);
    const char *copy = keep_text(L, -1, s);
    lua_pop(L, 1);
    return copy;
}


static int
is_set(lua_State *L, const char *name)
{
    lua_getfield(L, OPTIONS, name);
    const int value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}


static unsigned long
packet_max(lua_State *L)
{
    lua_getfield(L, OPTIONS, "max_packet_size");
    const lua_Number wanted = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return wanted >= 1 && wanted <= 0x40000000 ? (unsigned long) wanted
                                               : PACKET_SIZE_MAX;
}


static int
is_name(const char *host)
{
    const size_t size = strlen(host);
    u_char ipv6[16];
    return host[0] != '[' && strncmp(host, "unix:", 5) != 0 &&
           ngx_inet_addr((u_char *) host, size) == INADDR_NONE &&
           ngx_inet6_addr((u_char *) host, size, ipv6) != NGX_OK;
}


/* The certificate is to have the host's name. */
static void
set_verified(lua_State *L, const resolua_socket_conf_t *conf,
             mysql_session_t *s)
{
    s->options.tls = CLIENT_MYSQL_VERIFIED;
    if (conf->ssl_trusted.len > 0) {
        lua_pushlstring(L, (char *) conf->ssl_trusted.data,
                        conf->ssl_trusted.len);
        s->options.ca_file = keep_text(L, -1, s);
        lua_pop(L, 1);
    }
    if (is_name(lua_tostring(L, HOST))) {
        s->options.address = keep_text(L, HOST, s);
        lua_pushliteral(L, "0.0.0.0"); /* libmariadb looks the name up */
        lua_replace(L, HOST);
    }
}


static mysql_session_t *
session_new(lua_State *L, const resolua_socket_conf_t *conf)
{
    mysql_session_t *s = ngx_calloc(sizeof(*s), ngx_cycle->log);
    if (s == NULL) {
        return NULL;
    }
    s->base.free = session_free;
    s->base.push_error = push_code;
    s->options.user = keep_field(L, "user", s);
    s->options.password = keep_field(L, "password", s);
    s->options.database = keep_field(L, "database", s);
    s->options.charset = keep_field(L, "charset", s);
    s->options.server_public_key = keep_field(L, "server_public_key", s);
    s->options.packet_max = packet_max(L);
    s->options.has_many_statements = true;
    if (is_set(L, "ssl") && is_set(L, "ssl_verify")) {
        set_verified(L, conf, s);
    } else if (is_set(L, "ssl")) {
        s->options.tls = CLIENT_MYSQL_ENCRYPTED;
    }
    return s;
}


/* connect(socket, host, port, options); a path: "unix:PATH", nil */
int
mysql_lua_connect(lua_State *L)
{
    int count = 0;
    luaL_checkstring(L, HOST);
    luaL_checktype(L, OPTIONS, LUA_TTABLE);
    tcp_t *tcp = mysql_check_free(L, &count);
    if (tcp == NULL) {
        return count;
    }
    mysql_session_t *s = session_new(L, tcp_conf(tcp));
    if (s == NULL) {
        return resolua_fail(L, "no memory");
    }
    return tcp_connect_by(L, tcp, open_session, &s->base);
}
