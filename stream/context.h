#ifndef STREAM_CONTEXT_H
#define STREAM_CONTEXT_H

/*
 * What this module keeps of a session that runs Lua: the runtime's request,
 * and the octets that Lua gave to send and that have not gone yet.  Lives in
 * the session's pool.
 */

#include "runtime/run.h"
#include "stream/conf.h"

typedef struct {
    resolua_request_t request;
    ngx_stream_session_t *session;
    /* What goes on when the running chunk has ended with rc. */
    void (*ended)(ngx_stream_session_t *s, ngx_int_t rc);

    u_char *output; /* owned: what the client has not taken */
    size_t output_at;
    size_t output_size;
    size_t output_capacity;   /* octets of its memory */
    resolua_thread_t *writer; /* sleeps until the output is gone */
    size_t writer_result;     /* what it returns then */
    resolua_thread_t *reader; /* sleeps until there is something to read */
    /* The reader's next step; true: it may go on, with the pushed values. */
    int (*read_step)(void *data, lua_State *L);
    void *read_data;
    /* Of the reader.  nginx deletes the connection's own where a preread
       handler returns. */
    ngx_event_t read_timer;
    ngx_msec_t preread_end; /* when preread_timeout is over, or 0 */
    ngx_msec_t send_timeout;
    size_t datagram_at; /* octets of the datagram that Lua has read */
    unsigned datagram_is_read : 1;
    unsigned eof : 1; /* ngx.eof: nothing follows on the output */
    unsigned output_failed : 1;
    unsigned in_handshake : 1; /* that a script has begun: output waits */
    unsigned finishing : 1;    /* with finish_status when the output is gone */
    ngx_uint_t finish_status;
    void *content; /* the content handler's own */
} stream_context_t;

/* Of proxy_ssl_*_by_lua*: a request of its own with the same data. */
extern const resolua_host_t stream_proxy_ssl_host;

/* The session's; made when there is none.  NULL: no memory. */
stream_context_t *stream_context(ngx_stream_session_t *s);

/* The session's, or NULL. */
static inline stream_context_t *
stream_context_if_any(const ngx_stream_session_t *s)
{
    return ngx_stream_get_module_ctx(s, ngx_stream_resolua_module);
}

/* The session whose Lua runs. */
stream_context_t *stream_context_of(lua_State *L);

/* Runs code; ended() follows later if it gives NGX_AGAIN. */
ngx_int_t stream_run(ngx_stream_session_t *s, const stream_code_t *code,
                     ngx_uint_t phase,
                     void (*ended)(ngx_stream_session_t *, ngx_int_t));

/* Octets that nginx's preread handlers have read count as received. */
void stream_count_preread(ngx_stream_session_t *s);

/* The reader sleeps for at most timeout ms, in preread for what is left of
   preread_timeout. */
void stream_start_read_timer(stream_context_t *context, ngx_msec_t timeout);

/* While a chunk sleeps: sees the client's end where that is wanted. */
void stream_watch_client(const stream_context_t *context);

/* Ends the session with status when its output has gone. */
void stream_finish(ngx_stream_session_t *s, ngx_uint_t status);

/* The handler of both of the connection's events while Lua has it. */
void stream_on_event(ngx_event_t *ev);

#endif
