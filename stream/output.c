#include "stream/output.h"

#include <ngx_event.h>

#include "runtime/ssl.h"
#include "runtime/text.h"
#include "runtime/vm.h"
#include "runtime/wait.h"

enum { PHASES = RESOLUA_PREREAD | RESOLUA_ACCESS | RESOLUA_CONTENT };


void
output_send(stream_context_t *context)
{
    ngx_connection_t *c = context->session->connection;
    if (context->in_handshake && !context->output_failed) {
        return;
    }
    resolua_ssl_rest_may_move(c);
    while (context->output_at < context->output_size && c->write->ready) {
        const ssize_t n = c->send(c, context->output + context->output_at,
                                  context->output_size - context->output_at);
        if (n == NGX_AGAIN) {
            break;
        }
        if (n < 0) {
            context->output_failed = 1;
            break;
        }
        context->output_at += (size_t) n;
    }
    if (context->output_at == context->output_size || context->output_failed) {
        ngx_free(context->output);
        context->output = NULL;
        context->output_at = context->output_size = 0;
    }
}


int
output_push_result(const stream_context_t *context, lua_State *L, size_t result)
{
    if (context->output_failed) {
        lua_pushnil(L);
        lua_pushliteral(L, "closed");
        return 2;
    }
    lua_pushinteger(L, (lua_Integer) result);
    return 1;
}


/* One datagram, at once. */
static int
send_datagram(ngx_connection_t *c, lua_State *L, u_char *octets, size_t size)
{
    const ssize_t n = c->send(c, octets, size);
    if (n == (ssize_t) size) {
        lua_pushinteger(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, n == NGX_AGAIN ? "again" : strerror(ngx_socket_errno));
    return 2;
}


/* Room for size octets more behind those that wait, which move to the front:
   as seldom as it doubles, or as half of them have gone. */
static ngx_int_t
make_room(stream_context_t *context, size_t size)
{
    const size_t waiting = context->output_size - context->output_at;
    u_char *octets = context->output;
    if (octets == NULL || waiting + size > context->output_capacity ||
        context->output_at < waiting) {
        context->output_capacity = octets == NULL ? size : 2 * (waiting + size);
        octets = ngx_alloc(context->output_capacity + 1, context->request.log);
        if (octets == NULL) {
            return NGX_ERROR;
        }
    }
    if (waiting > 0) {
        ngx_memcpy(octets, context->output + context->output_at, waiting);
    }
    if (context->output != NULL && context->output != octets) {
        ngx_free(context->output);
    }
    context->output = octets;
    context->output_at = 0;
    context->output_size = waiting;
    return NGX_OK;
}


/* Appends size octets; gives where to write them. */
static u_char *
add_room(stream_context_t *context, size_t size)
{
    if ((context->output == NULL ||
         context->output_size + size > context->output_capacity) &&
        make_room(context, size) != NGX_OK) {
        return NULL;
    }
    u_char *octets = context->output + context->output_size;
    context->output_size += size;
    return octets;
}


/* To the output; what the client does not take at once goes later. */
static ngx_int_t
send_stream(stream_context_t *context)
{
    ngx_connection_t *c = context->session->connection;
    output_send(context);
    if (context->output == NULL || context->output_failed) {
        return context->output_failed ? NGX_ERROR : NGX_OK;
    }
    if (context->in_handshake) { /* its end sends on */
        return NGX_OK;
    }
    c->write->handler = stream_on_event;
    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        context->output_failed = 1;
        return NGX_ERROR;
    }
    ngx_add_timer(c->write, context->send_timeout);
    return NGX_OK;
}


static u_char *
copy_all(lua_State *L, int first, int last, u_char *to)
{
    for (int arg = first; arg <= last; arg++) {
        to = resolua_text_copy(L, arg, to);
    }
    return to;
}


/* The arguments first to last, and a newline if there is one, to the client.
   Pushes what the call returns to Lua. */
static int
send_arguments(lua_State *L, int first, int last, size_t newline)
{
    stream_context_t *context = stream_context_of(L);
    ngx_connection_t *c = context->session->connection;
    size_t size = newline;
    resolua_check_phase(L, PHASES);
    for (int arg = first; arg <= last; arg++) {
        size += resolua_text_size(L, arg);
    }
    if (context->output_failed) {
        return output_push_result(context, L, 1);
    }
    if (c->type == SOCK_DGRAM) {
        u_char *octets = lua_newuserdata(L, size + 1);
        *copy_all(L, first, last, octets) = '\n';
        return send_datagram(c, L, octets, size);
    }
    u_char *octets = add_room(context, size);
    if (octets == NULL) {
        return luaL_error(L, "no memory");
    }
    octets = copy_all(L, first, last, octets);
    if (newline > 0) {
        *octets = '\n';
    }
    (void) send_stream(context);
    return output_push_result(context, L, 1);
}


/* Pushes why nothing more goes out; 0: it may. */
static int
push_refusal(lua_State *L)
{
    const stream_context_t *context = stream_context_of(L);
    resolua_check_phase(L, PHASES);
    if (!context->eof) {
        return 0;
    }
    lua_pushnil(L);
    lua_pushliteral(L, "seen eof");
    return 2;
}


int
output_print(lua_State *L)
{
    const int last = lua_gettop(L);
    const int refused = push_refusal(L);
    return refused > 0 ? refused : send_arguments(L, 1, last, 0);
}


int
output_say(lua_State *L)
{
    const int last = lua_gettop(L);
    const int refused = push_refusal(L);
    return refused > 0 ? refused : send_arguments(L, 1, last, 1);
}


static void
stop_waiting(void *data)
{
    stream_context_t *context = data;
    context->writer = NULL;
}


/* Sleeps until the output has gone. */
static int
wait_for_output(lua_State *L, stream_context_t *context, size_t result)
{
    resolua_thread_t *t = resolua_thread(L);
    if (context->writer != NULL) {
        lua_pushnil(L);
        lua_pushliteral(L, "socket busy writing");
        return 2;
    }
    context->writer = t;
    context->writer_result = result;
    return resolua_thread_sleep(t, stop_waiting, context);
}


/* ngx.flush(wait?) */
int
output_flush(lua_State *L)
{
    stream_context_t *context = stream_context_of(L);
    const int waits = lua_toboolean(L, 1);
    const int refused = push_refusal(L);
    if (refused > 0) {
        return refused;
    }
    if (context->output != NULL && waits) {
        return wait_for_output(L, context, 1);
    }
    return output_push_result(context, L, 1);
}


/* ngx.eof(): what was sent is all that there is. */
int
output_eof(lua_State *L)
{
    stream_context_t *context = stream_context_of(L);
    const int refused = push_refusal(L);
    if (refused > 0) {
        return refused;
    }
    context->eof = 1;
    return output_push_result(context, L, 1);
}


int
output_socket_send(lua_State *L, int arg)
{
    stream_context_t *context = stream_context_of(L);
    const size_t size = resolua_text_size(L, arg);
    if (context->writer != NULL) {
        lua_pushnil(L);
        lua_pushliteral(L, "socket busy writing");
        return 2;
    }
    const int count = send_arguments(L, arg, arg, 0);
    if (context->session->connection->type == SOCK_DGRAM ||
        context->output_failed) {
        return count;
    }
    if (context->output != NULL) {
        return wait_for_output(L, context, size);
    }
    lua_pushinteger(L, (lua_Integer) size);
    return 1;
}
