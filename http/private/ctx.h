#ifndef RESOLUA_HTTP_PRIVATE_CTX_H
#define RESOLUA_HTTP_PRIVATE_CTX_H

/* What a request (or a subrequest) carries.  It is made when the first chunk
   runs for it, and anew after an internal redirect; what sleeps ends with the
   request, ngx.ctx with its pool (the log phase still sees it). */

#include "http/private/conf.h"
#include "runtime/client_socket.h"
#include "runtime/run.h"
#include "runtime/vm.h"
#include "runtime/wait.h"

enum {
    /* Phases that may sleep and write a response. */
    HTTP_RESPONDING = RESOLUA_SERVER_REWRITE | RESOLUA_REWRITE |
                      RESOLUA_ACCESS | RESOLUA_PRECONTENT | RESOLUA_CONTENT,
    HTTP_FILTERING = RESOLUA_HEADER_FILTER | RESOLUA_BODY_FILTER,
    /* Phases that have a request at all. */
    HTTP_ANY = RESOLUA_SET | HTTP_RESPONDING | HTTP_FILTERING | RESOLUA_LOG |
               RESOLUA_BALANCER | RESOLUA_PROXY_SSL_CERTIFICATE |
               RESOLUA_PROXY_SSL_VERIFY
};

typedef struct {
    ngx_chain_t *first; /* not yet given to nginx's filters */
    ngx_chain_t **end;
    size_t size;
    ngx_buf_t *last;     /* of the gathered, where there are any */
    ngx_chain_t *free;   /* buffers of ours to use again */
    ngx_chain_t *busy;   /* given to the filters, not yet written */
    ngx_queue_t waiters; /* in ngx.flush(true), the first one first */
    ngx_queue_t idle;    /* memory of waiters to use again */
    unsigned eof : 1;
} http_output_t;

/* ngx.exec's target, kept till its chunk has ended. */
typedef struct {
    ngx_str_t uri;
    ngx_str_t args;
} http_exec_t;

typedef struct {
    resolua_request_t base;
    ngx_http_request_t *request;
    http_output_t output;
    http_exec_t exec;
    resolua_client_socket_t *socket; /* of ngx.req.socket, or NULL */
    resolua_thread_t *body_waiter;   /* of ngx.req.read_body */
    ngx_queue_t captured;            /* groups of subrequests that are done */
    ngx_uint_t ended_phase;          /* a sleeping phase that has ended ... */
    ngx_int_t ended_rc;              /* ... and how */
    off_t body_size;                 /* of the body that a script writes */
    off_t socket_rest; /* of the client's, meanwhile, for the socket to read */
    ngx_chain_t *filter_free; /* the body filter's buffers */
    ngx_chain_t *filter_busy;
    unsigned filter_ended : 1; /* the script has ended the response */
    unsigned is_replaced : 1;  /* the header filter's chunk has sent another */
    unsigned asleep : 1;
    unsigned is_raw : 1;       /* the script has the connection (socket) */
    unsigned type_cleared : 1; /* ngx.header.content_type = nil */
    unsigned reading_body : 1; /* for lua_need_request_body */
    unsigned body_pending : 1; /* nginx still reads it */
    unsigned body_discarded : 1;
    unsigned body_gathers : 1; /* between init_body and finish_body */
    unsigned body_to_file : 1;
    unsigned
        was_keepalive : 1; /* before the rest of the body was left unread */
} http_ctx_t;

extern const resolua_host_t http_host;

/* Of proxy_ssl_*_by_lua*: a request of its own with the same data. */
extern const resolua_host_t http_proxy_ssl_host;

/* The request's context, made if there is none; NULL: no memory. */
http_ctx_t *http_ctx(ngx_http_request_t *r);

/* For C functions: the running request's, where it is HTTP's and in one of the
   allowed phases; a Lua error otherwise. */
http_ctx_t *http_lua_ctx(lua_State *L, ngx_uint_t allowed);

static inline http_ctx_t *
http_ctx_find(ngx_http_request_t *r)
{
    return ngx_http_get_module_ctx(r, ngx_http_resolua_module);
}

static inline ngx_http_request_t *
http_lua_request(lua_State *L, ngx_uint_t allowed)
{
    return http_lua_ctx(L, allowed)->request;
}

/* A copy in the request's pool, NUL-terminated.  Raises "no memory". */
u_char *http_lua_copy(lua_State *L, ngx_http_request_t *r, const char *text,
                      size_t size);

#endif
