#ifndef RESOLUA_RUNTIME_REQUEST_H
#define RESOLUA_RUNTIME_REQUEST_H

/* What the runtime knows of a request: a few fields and the host's table of
   operations.  An adapter (stream, http, the runtime's own timers) embeds a
   resolua_request_t in its own context, fills host, data, pool and log by
   resolua_request_init(), runs chunks with it (run.h) and ends it with
   resolua_request_end() before its pool goes. */

#include <ngx_config.h>
#include <ngx_core.h>

#include <lauxlib.h>
#include <lua.h>

/* Octets of a pool that holds an address or a connection's TLS. */
enum { RESOLUA_SMALL_POOL = 256 };

enum {
    RESOLUA_INIT = 1 << 0,
    RESOLUA_INIT_WORKER = 1 << 1,
    RESOLUA_EXIT_WORKER = 1 << 2,
    RESOLUA_TIMER = 1 << 3,
    RESOLUA_SET = 1 << 4,
    RESOLUA_SERVER_REWRITE = 1 << 5,
    RESOLUA_REWRITE = 1 << 6,
    RESOLUA_ACCESS = 1 << 7,
    RESOLUA_PRECONTENT = 1 << 8,
    RESOLUA_CONTENT = 1 << 9,
    RESOLUA_HEADER_FILTER = 1 << 10,
    RESOLUA_BODY_FILTER = 1 << 11,
    RESOLUA_LOG = 1 << 12,
    RESOLUA_BALANCER = 1 << 13,
    RESOLUA_PREREAD = 1 << 14,
    RESOLUA_SSL_CERTIFICATE = 1 << 15,
    RESOLUA_SSL_SESSION_FETCH = 1 << 16,
    RESOLUA_SSL_SESSION_STORE = 1 << 17,
    RESOLUA_SSL_CLIENT_HELLO = 1 << 18,
    RESOLUA_PROXY_SSL_CERTIFICATE = 1 << 19,
    RESOLUA_PROXY_SSL_VERIFY = 1 << 20,
    RESOLUA_DNS_QUERY = 1 << 21,
    RESOLUA_DNS_ANSWER = 1 << 22,
    RESOLUA_DNS_LOG = 1 << 23,
    RESOLUA_WORKER_THREAD = 1 << 24
};

typedef struct resolua_request_s resolua_request_t;
typedef struct resolua_thread_s resolua_thread_t;
typedef struct resolua_cleanup_s resolua_cleanup_t;
typedef struct resolua_socket_conf_s resolua_socket_conf_t;

/* Each member may be NULL: the API then is disabled for that host.  The
   lua_CFunctions find the request with resolua_request() (vm.h). */
typedef struct {
    const char *subsystem; /* "stream" or "http", ngx.config.subsystem */
    lua_CFunction print;   /* ngx.print(...) */
    lua_CFunction say;     /* ngx.say(...) */
    lua_CFunction flush;   /* ngx.flush(wait?) */
    lua_CFunction eof;     /* ngx.eof() */
    lua_CFunction var_get; /* (ngx.var, name): one value */
    lua_CFunction var_set; /* (ngx.var, name, value): none */
    /* Variable's value, borrowed, as var_get gives it.  NGX_DECLINED: it has
       none; NGX_ERROR: var_get says what is wrong. */
    ngx_int_t (*variable)(const resolua_request_t *r, const ngx_str_t *name,
                          ngx_str_t *value);
    lua_CFunction req_socket; /* ngx.req.socket(raw?) */
    lua_CFunction index;      /* (ngx, name): a field that ngx has not */
    lua_CFunction newindex;   /* (ngx, name, value) */
    ngx_connection_t *(*connection)(const resolua_request_t *r); /* client's */
    void *(*nginx)(const resolua_request_t *r); /* nginx's own object of it */
    /* To the upstream that it is proxied to; NULL: there is none. */
    ngx_connection_t *(*upstream)(const resolua_request_t *r);
    /* Will resolua_run_client_gone() be called?  For ngx.on_abort. */
    ngx_uint_t (*watches_client)(const resolua_request_t *r);
    /* The chunk has returned: its values stand on L from 1 up.  Must not end
       the request. */
    void (*results)(resolua_request_t *r, lua_State *L);
    /* A run that gave NGX_AGAIN has ended with rc (as resolua_run would have
       returned it).  May end the request. */
    void (*resumed)(resolua_request_t *r, ngx_int_t rc);
    /* After each wake-up, given the request's owner: the request itself may be
       gone. */
    void (*settle)(void *owner);
} resolua_host_t;

struct resolua_cleanup_s {
    void (*handler)(void *data);
    void *data;
    resolua_cleanup_t *next;
    resolua_cleanup_t **link; /* what points here */
};

struct resolua_request_s {
    int ctx_ref; /* ngx.ctx in the registry, or LUA_NOREF; scripts read it here
                    (runtime/runtime_ffi.h) */
    const resolua_host_t *host; /* borrowed */
    void *data;                 /* the adapter's own, borrowed */
    void *owner;                /* for settle(), outlives the request */
    ngx_pool_t *pool;        /* borrowed, outlives the request; NULL: a timer */
    ngx_log_t *log;          /* borrowed */
    ngx_uint_t phase;        /* the one bit of the running phase */
    resolua_thread_t *entry; /* NULL between runs */
    resolua_thread_t *threads;  /* all that belong to the running chunk */
    resolua_thread_t *on_abort; /* of ngx.on_abort, among threads, or NULL */
    ngx_queue_t ready;          /* threads that wait for their turn */
    resolua_cleanup_t *cleanups;
    const resolua_socket_conf_t *sockets; /* borrowed (socket.h) */
    int globals_ref;          /* in the registry: lua_code_cache is off */
    ngx_int_t exit_code;      /* what ngx.exit was given */
    ngx_uint_t live;          /* light threads that have not ended */
    ngx_uint_t napping;       /* threads that wait for nginx's next round */
    ngx_int_t entry_rc;       /* how the entry has ended ... */
    unsigned entry_ended : 1; /* ... while light threads go on */
    unsigned exited : 1;
    unsigned resuming : 1; /* Lua is on the C stack */
    unsigned aborted : 1;  /* meanwhile: it ends when Lua returns */
    unsigned ended : 1;
};

void resolua_request_init(resolua_request_t *r, const resolua_host_t *host,
                          void *data, ngx_pool_t *pool, ngx_log_t *log);

/* Aborts what runs, calls the clean-up handlers, last added first, and lets go
   of ngx.ctx.  Harmless when called again. */
void resolua_request_end(resolua_request_t *r);

/* The next use of ngx.ctx begins with an empty one. */
void resolua_request_forget_ctx(resolua_request_t *r);

/* to takes over ngx.ctx from from. */
void resolua_request_move_ctx(resolua_request_t *to, resolua_request_t *from);

/* A handler to run at the request's end; c stays the caller's, who takes it out
   again when it is not needed any more. */
void resolua_request_cleanup_link(resolua_request_t *r, resolua_cleanup_t *c);
void resolua_request_cleanup_remove(resolua_cleanup_t *c);

/* "content", "init_worker" ...: the name in *_by_lua and in ngx.get_phase. */
const char *resolua_phase_name(ngx_uint_t phase);

#endif
