/* Connections to MySQL: options, what a new one is, how it ends. */

#include "runtime/private/mysql.h"
#include "runtime/vm.h"

#include <errmsg.h>
#include <sys/socket.h>

enum { FINISH_ROUNDS_MAX = 100 /* of a call that is told of a timeout */ };


/* A call that waits is ended first, as by a timeout, so that libmariadb frees
   what it holds.  A broken connection is cut: the farewell could block. */
static void
session_free(tcp_session_t *base)
{
    mysql_session_t *s = (mysql_session_t *) base;
    const my_socket fd = mysql_get_socket(s->link);
    const int is_broken =
        s->op != MYSQL_OP_NONE || mysql_is_own_error(mysql_errno(s->link));
    if (is_broken && fd >= 0) {
        shutdown(fd, SHUT_RDWR);
    }
    for (int i = 0; s->events != 0 && i < FINISH_ROUNDS_MAX; i++) {
        s->events = mysql_resume(s, MYSQL_WAIT_TIMEOUT);
    }
    mysql_free_result(s->rows);
    mysql_close(s->link);
    mysql_free_text(&s->statement);
    mysql_free_text(&s->name);
    mysql_free_text(&s->user);
    mysql_free_text(&s->password);
    mysql_free_text(&s->database);
    ngx_free(s);
}


/* connect(): the server's code; none for what the network said. */
static int
push_code(tcp_session_t *base, lua_State *L)
{
    const mysql_session_t *s = (mysql_session_t *) base;
    const unsigned code = mysql_errno(s->link);
    if (code == 0 || mysql_is_lost(code) || code == CR_CONNECTION_ERROR ||
        code == CR_CONN_HOST_ERROR) {
        return 0;
    }
    lua_pushinteger(L, (lua_Integer) code);
    lua_pushstring(L, mysql_sqlstate(s->link));
    return 2;
}


/* The connection for the events of libmariadb's descriptor. */
static ngx_int_t
watch(tcp_t *tcp, mysql_session_t *s)
{
    const my_socket fd = mysql_get_socket(s->link);
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


/* Host and port, as libmariadb wants them: an address, so that it looks
   nothing up; or the path. */
static void
get_target(tcp_t *tcp, char *host, size_t size, const char **path)
{
    const ngx_sockaddr_t *address = &tcp->peer.address;
    *path = NULL;
    if (address->sockaddr.sa_family == AF_UNIX) {
        *path = address->sockaddr_un.sun_path;
        return;
    }
    const size_t length =
        ngx_sock_ntop((struct sockaddr *) &address->sockaddr,
                      tcp->peer.address_size, (u_char *) host, size - 1, 0);
    host[length] = '\0';
    if (host[0] == '[') { /* IPv6 */
        ngx_memmove(host, host + 1, length);
        host[strcspn(host, "]")] = '\0';
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
fail_connect(tcp_t *tcp, mysql_session_t *s)
{
    const char *text = mysql_error(s->link);
    const unsigned code = mysql_errno(s->link);
    const char *refusal = NULL;
    /* The server's side of this process knows what it does not send. */
    (void) mysql_get_optionv(s->link, MARIADB_OPT_USERDATA,
                             (void *) MYSQL_REFUSAL, &refusal);
    if (refusal != NULL) {
        text = refusal;
    } else if (mysql_is_lost(code)) {
        text = "closed";
    } else if (code == CR_PLUGIN_NOT_ALLOWED) {
        /* libmariadb's text quotes what is in its buffer by then. */
        text = "the server asks for the password in clear text";
    } else if ((code == CR_CONNECTION_ERROR || code == CR_CONN_HOST_ERROR) &&
               errno_of(text) > 0) {
        resolua_peer_errno(&tcp->peer, errno_of(text));
        return NGX_ERROR;
    }
    return mysql_refuse(tcp, text);
}


ngx_int_t
mysql_connect_state(tcp_t *tcp, mysql_session_t *s)
{
    const int is_over = s->events == 0 && s->connected == NULL;
    if (tcp->link.connection == NULL && !is_over && watch(tcp, s) != NGX_OK) {
        return mysql_refuse(tcp, "no free connection");
    }
    if (s->events != 0) {
        return NGX_AGAIN;
    }
    s->op = MYSQL_OP_NONE;
    if (s->connected == NULL) {
        return fail_connect(tcp, s);
    }
    /* libmariadb goes on in the clear where the server has no TLS, unless it
       verifies. */
    if (s->wants_tls && mysql_get_ssl_cipher(s->link) == NULL) {
        return mysql_refuse(tcp, "ssl disabled on server");
    }
    return NGX_OK;
}


/* tcp_t.open: a new connection to tcp->peer. */
static ngx_int_t
open_session(tcp_t *tcp)
{
    mysql_session_t *s = (mysql_session_t *) tcp->session;
    const char *path;
    tcp->session = NULL;
    get_target(tcp, s->host, sizeof(s->host), &path);
    if (s->wants_tls) {
        return mysql_connect_on_thread(tcp, s, path);
    }
    tcp->link.session = &s->base;
    s->op = MYSQL_OP_CONNECT;
    s->events = mysql_real_connect_start(
        &s->connected, s->link, path != NULL ? NULL : s->host,
        (char *) s->user.data, (char *) s->password.data,
        (char *) s->database.data, tcp->port, path, MYSQL_CLIENT_FLAGS);
    const ngx_int_t rc = mysql_connect_state(tcp, s);
    if (rc == NGX_AGAIN) {
        ngx_add_timer(tcp->link.connection->read, tcp->connect_timeout);
    }
    return rc;
}


void
mysql_go_on_connecting(tcp_t *tcp, mysql_session_t *s, int ready)
{
    if ((ready & MYSQL_WAIT_TIMEOUT) != 0) {
        tcp_connect_again(tcp, mysql_refuse(tcp, "timeout"));
        return;
    }
    s->events = mysql_resume(s, ready);
    tcp_connect_again(tcp, mysql_connect_state(tcp, s));
}


/* A copy of the string at index, with a NUL; none: data NULL. */
static ngx_str_t
copy_text(lua_State *L, int index)
{
    ngx_str_t copy = ngx_null_string;
    if (lua_isstring(L, index)) {
        const char *text = lua_tolstring(L, index, &copy.len);
        copy.data = ngx_alloc(copy.len + 1, ngx_cycle->log);
        if (copy.data != NULL) {
            ngx_memcpy(copy.data, text, copy.len + 1);
        }
    }
    return copy;
}


static ngx_str_t
copy_field(lua_State *L, int options, const char *name)
{
    lua_getfield(L, options, name);
    const ngx_str_t copy = copy_text(L, lua_gettop(L));
    lua_pop(L, 1);
    return copy;
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


static mysql_session_t *
session_new(lua_State *L, int options, const resolua_socket_conf_t *conf)
{
    mysql_session_t *s = ngx_calloc(sizeof(*s), ngx_cycle->log);
    if (s == NULL) {
        return NULL;
    }
    s->base.free = session_free;
    s->base.push_error = push_code;
    s->link = mysql_link_new(L, options, conf);
    if (s->link == NULL) {
        ngx_free(s);
        return NULL;
    }
    lua_getfield(L, options, "ssl");
    s->wants_tls = lua_toboolean(L, -1) ? 1 : 0;
    lua_getfield(L, options, "ssl_verify");
    s->verifies = s->wants_tls && lua_toboolean(L, -1) ? 1 : 0;
    lua_pop(L, 2);
    s->user = copy_field(L, options, "user");
    s->password = copy_field(L, options, "password");
    s->database = copy_field(L, options, "database");
    return s;
}


/* connect(socket, host, port, options); a path: "unix:PATH", nil */
int
mysql_lua_connect(lua_State *L)
{
    int count = 0;
    luaL_checkstring(L, 2);
    luaL_checktype(L, 4, LUA_TTABLE);
    tcp_t *tcp = mysql_check_free(L, &count);
    if (tcp == NULL) {
        return count;
    }
    mysql_session_t *s = session_new(L, 4, tcp_conf(tcp));
    if (s == NULL) {
        return resolua_fail(L, "no memory");
    }
    if (s->verifies && is_name(lua_tostring(L, 2))) {
        s->name = copy_text(L, 2);
        lua_pushliteral(L, "0.0.0.0"); /* libmariadb looks the name up */
        lua_replace(L, 2);
    }
    return tcp_connect_by(L, tcp, open_session, &s->base);
}
