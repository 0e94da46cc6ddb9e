/* ngx.on_abort: a callback for when the client has gone, as a light thread. */

#include <ngx_event.h>

#include "runtime/private/api.h"
#include "runtime/private/thread.h"
#include "runtime/run.h"
#include "runtime/vm.h"
#include "runtime/wait.h"


ngx_uint_t
resolua_client_is_gone(ngx_connection_t *c)
{
    u_char octet;
    if (c->error || c->read->eof) {
        return 1;
    }
#if (NGX_HAVE_EPOLLRDHUP)
    if ((ngx_event_flags & NGX_USE_EPOLL_EVENT) && ngx_use_epoll_rdhup) {
        return c->read->pending_eof;
    }
#endif
    const ssize_t n = recv(c->fd, &octet, 1, MSG_PEEK);
    return n == 0 || (n < 0 && ngx_socket_errno != NGX_EAGAIN);
}


ngx_int_t
resolua_run_client_gone(resolua_request_t *r)
{
    resolua_thread_t *t = r->on_abort;
    if (t == NULL || t->is_collected) {
        return t == NULL ? NGX_DECLINED : NGX_OK;
    }
    t->is_collected = 1; /* it runs once */
    r->live++;
    resolua_thread_wake(t, 0);
    return NGX_OK;
}


/* ngx.on_abort(callback) */
static int
on_abort(lua_State *L)
{
    resolua_request_t *r = resolua_request(L);
    if (r->host->watches_client == NULL) {
        resolua_check_phase(L, 0);
    }
    resolua_thread_t *self = resolua_thread(L);
    if (!r->host->watches_client(r)) {
        return resolua_fail(L, "lua_check_client_abort is off");
    }
    if (r->on_abort != NULL) {
        return resolua_fail(L, "duplicate call");
    }
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    resolua_thread_t *t = thread_new(L, self->request);
    if (t == NULL) {
        return resolua_fail(L, "no memory");
    }
    lua_pop(L, 1); /* the registry keeps it */
    lua_xmove(L, t->L, 1);
    t->is_light = 1;
    r->on_abort = t;
    lua_pushinteger(L, 1);
    return 1;
}


void
resolua_abort_setup(lua_State *L)
{
    lua_pushcfunction(L, on_abort);
    lua_setfield(L, -2, "on_abort");
}
