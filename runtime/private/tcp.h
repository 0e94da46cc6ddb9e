#ifndef RESOLUA_RUNTIME_PRIVATE_TCP_H
#define RESOLUA_RUNTIME_PRIVATE_TCP_H

/* ngx.socket.tcp: a userdata of Lua's that owns a connection while it has one.
   tcp.c connects, tcp_io.c sends and receives, tcp_pool.c keeps connections
   for later, tcp_ssl.c speaks TLS. */

#include <ngx_event_connect.h>

#include "runtime/private/peer.h"
#include "runtime/reader.h"
#include "runtime/wait.h"

enum {
    /* Phases in which a coroutine may sleep on a socket. */
    RESOLUA_SOCKET_PHASES =
        RESOLUA_TIMER | RESOLUA_SERVER_REWRITE | RESOLUA_REWRITE |
        RESOLUA_ACCESS | RESOLUA_PRECONTENT | RESOLUA_CONTENT |
        RESOLUA_PREREAD | RESOLUA_SSL_CERTIFICATE | RESOLUA_SSL_SESSION_FETCH |
        RESOLUA_SSL_CLIENT_HELLO | RESOLUA_PROXY_SSL_CERTIFICATE |
        RESOLUA_PROXY_SSL_VERIFY | RESOLUA_DNS_QUERY | RESOLUA_DNS_ANSWER |
        RESOLUA_EXIT_WORKER
};

typedef struct tcp_pool_s tcp_pool_t;

/* What another protocol's client keeps for a connection, as long as it lives;
   the connection then has a descriptor of its own for the same socket. */
typedef struct tcp_session_s tcp_session_t;
struct tcp_session_s {
    /* Called before the connection is closed. */
    void (*free)(tcp_session_t *session);
    /* What connect() returns after nil and the reason, as so many values. */
    int (*push_error)(tcp_session_t *session, lua_State *L);
};

/* What lives as long as the connection, over its stay in a pool too. */
typedef struct {
    ngx_connection_t *connection;
    u_char *buffer; /* owned: octets read and not yet taken */
    size_t room;
    size_t at;
    size_t end;
    tcp_session_t *session;   /* owned, or NULL */
    tcp_pool_t *pool;         /* that counts it, or NULL */
    ngx_uint_t reused;        /* times */
    unsigned is_borrowed : 1; /* the client's (client_socket.h): others close it
                                 and handle its events */
} tcp_link_t;

/* Reads replies of another protocol in the place of the reader.  It is fed
   octets as they come, may stay unfinished over a timeout, and goes with the
   connection. */
typedef struct tcp_parser_s tcp_parser_t;
struct tcp_parser_s {
    /* NGX_OK: whole, *used octets were taken; NGX_AGAIN: all were taken and
       more are needed; NGX_ERROR: error says why. */
    ngx_int_t (*feed)(tcp_parser_t *parser, const u_char *octets, size_t size,
                      size_t *used);
    /* After NGX_OK: what the reply is to Lua, as so many values. */
    int (*push)(tcp_parser_t *parser, lua_State *L);
    void (*free)(tcp_parser_t *parser);
    const char *error;
    unsigned is_final : 1; /* a failure closes the connection: what comes late
                              would be taken for the next reply */
};

typedef struct tcp_s tcp_t;
struct tcp_s {
    tcp_link_t link;
    resolua_request_t *request; /* whose it is; NULL: ended */
    resolua_cleanup_t cleanup;
    resolua_peer_t peer;
    ngx_int_t (*open)(tcp_t *tcp); /* connects to peer, see tcp_open() */
    tcp_session_t *session;        /* owned: for open(), or NULL */
    ngx_str_t host;                /* owned: what connect() was given */
    in_port_t port;
    ngx_str_t server_name;         /* owned: of the handshake */
    STACK_OF(X509) * client_chain; /* owned: for the handshake, or NULL */
    EVP_PKEY *client_key;          /* owned: with client_chain */
    X509_STORE *trusted;           /* owned, or NULL */
    ngx_str_t pool_name;           /* owned */
    ngx_addr_t *local;             /* of bind(); owned */
    ngx_msec_t connect_timeout;    /* ms */
    ngx_msec_t send_timeout;
    ngx_msec_t read_timeout;
    ngx_msec_t read_deadline; /* while reading */
    resolua_reader_t reader;
    tcp_parser_t *parser; /* owned: reads instead, or NULL */
    off_t *rest;  /* borrowed: octets that may be read; NULL: any number */
    off_t *taken; /* borrowed: octets that have been, where there is a rest */
    int self_ref; /* of a client's socket, in the registry */
    resolua_thread_t *reading; /* the coroutine that sleeps, or NULL */
    resolua_thread_t *writing; /* also while connecting and in a handshake */
    u_char *output;            /* owned: not yet sent */
    size_t output_at;
    size_t output_size;
    size_t sent;       /* what send() will return */
    ngx_queue_t queue; /* among those that wait for a pool's slot */
    ngx_event_t queue_timer;
    const char *failed;      /* why nothing more can be read, or NULL */
    unsigned is_waiting : 1; /* in a pool's queue */
    unsigned reads_next : 1; /* after what is being sent */
    unsigned verifies : 1;
    unsigned wants_session : 1;
    unsigned has_link : 1; /* its turn has come with a connection */
};

/* Pushes a socket of the request's. */
tcp_t *tcp_push(lua_State *L, resolua_request_t *r, const char *name);

/* A metatable of sockets with these methods. */
void tcp_register(lua_State *L, const char *name, const luaL_Reg *methods);

/* The client's socket at index, or NULL: there is none. */
tcp_t *client_socket_at(lua_State *L, int index);

/* The socket at 1, of the running request; raises "bad request". */
tcp_t *tcp_check(lua_State *L);

/* Raises an error unless there are so many arguments, with the object. */
void tcp_check_count(lua_State *L, int least, int most);

/* 1 */
int tcp_succeed(lua_State *L);

const resolua_socket_conf_t *tcp_conf(const tcp_t *tcp);

/* Lets the connection go; sleeping coroutines are not woken. */
void tcp_close(tcp_t *tcp);

/* Events back to the idle handler, and no timers. */
void tcp_rest(tcp_t *tcp);
void tcp_on_idle(ngx_event_t *ev);

/* connect(self, host, port, options) with the values at 2 to 4 as the method
   has them; open() connects if no pool has a connection.  Takes session, which
   may be NULL.  Use as `return tcp_connect_by(...)`. */
int tcp_connect_by(lua_State *L, tcp_t *tcp, ngx_int_t (*open)(tcp_t *tcp),
                   tcp_session_t *session);

/* Why the socket cannot be used now; NULL: it can. */
const char *tcp_busy(const tcp_t *tcp);

/* Ends a connect that slept, unless rc is NGX_AGAIN. */
void tcp_connect_again(tcp_t *tcp, ngx_int_t rc);

/* The turn of a connect that waited for its pool has come. */
void tcp_connect_turn(tcp_t *tcp);

/* The socket at 1 with a connection that can be read from or written to; NULL:
   the reason is pushed, *count values. */
tcp_t *tcp_check_readable(lua_State *L, int *count);
tcp_t *tcp_check_writable(lua_State *L, int *count);

/* Reads, or sleeps until it can.  Use as `return tcp_read(...)`. */
int tcp_read(lua_State *L, tcp_t *tcp);

/* Sends octets, of ngx_alloc() or malloc(), and frees them.  Use as `return
   tcp_write(...)`: Lua gets the size, or nil and why not. */
int tcp_write(lua_State *L, tcp_t *tcp, u_char *octets, size_t size);

/* The same for octets that stay the caller's: what does not go at once is
   copied. */
int tcp_write_borrowed(lua_State *L, tcp_t *tcp, const u_char *octets,
                       size_t size);

/* Sends octets, which stay the caller's, and reads what the parser takes for
   the reply; takes the parser.  A failure to send closes the connection.  Use
   as `return tcp_exchange(...)`. */
int tcp_exchange(lua_State *L, tcp_t *tcp, const u_char *octets, size_t size,
                 tcp_parser_t *parser);

void tcp_parser_free(tcp_t *tcp);

/* Handles an event of the connection's while something is being sent. */
void tcp_on_write_event(ngx_event_t *ev);

/* tcp->reading sleeps till its reply comes; it may be there already. */
void tcp_wait_for_reply(tcp_t *tcp);

/* An event of the connection that somebody waits for. */
void tcp_on_readable(tcp_t *tcp);
void tcp_on_writable(tcp_t *tcp);

/* Methods of tcp.c, tcp_io.c, tcp_ssl.c and tcp_pool.c. */
int tcp_settimeout(lua_State *L);
int tcp_settimeouts(lua_State *L);
int tcp_shutdown(lua_State *L);
int tcp_bind(lua_State *L);
int tcp_setoption(lua_State *L);
int tcp_getoption(lua_State *L);
int tcp_send(lua_State *L);
int tcp_receive(lua_State *L);
int tcp_receiveany(lua_State *L);
int tcp_receiveuntil(lua_State *L);
int tcp_peek(lua_State *L);
int tcp_setkeepalive(lua_State *L);
int tcp_getreusedtimes(lua_State *L);
int tcp_sslhandshake(lua_State *L);
int tcp_setclientcert(lua_State *L);
int tcp_settrustedstore(lua_State *L);
int tcp_getsslpointer(lua_State *L);
int tcp_getsslctx(lua_State *L);
int tcp_getsslsession(lua_State *L);
int tcp_getfd(lua_State *L);

/* What those have kept. */
void tcp_ssl_free(tcp_t *tcp);

/* A kept connection of the pool, or a slot in it.  size and backlog < 0: not
   given.  NGX_OK: tcp->link is connected; NGX_DECLINED: connect a new one;
   NGX_AGAIN: it waits for its turn; NGX_BUSY: too many wait. */
ngx_int_t tcp_pool_take(tcp_t *tcp, const ngx_str_t *name, lua_Integer size,
                        lua_Integer backlog);

/* A link of a pool has been closed: who waits may connect. */
void tcp_pool_release(tcp_pool_t *pool);

/* Out of the queue of a pool. */
void tcp_pool_leave(tcp_t *tcp);

/* Lets go of what a link holds. */
void tcp_link_close(tcp_link_t *link);

#endif
