/* The scheduler.  resume and yield of user coroutines (coroutine.c) go through
   go_on(), so that a sleep in the innermost returns to nginx. */

#include "runtime/private/thread.h"
#include "runtime/private/api.h"
#include "runtime/run.h"
#include "runtime/vm.h"
#include "runtime/wait.h"

enum { FREE_MAX = 1024 }; /* unless the configuration says otherwise */

/* Coroutines for the next chunks; of one VM. */
static resolua_thread_t *free_entries;
static ngx_uint_t free_count;
static ngx_uint_t free_max = FREE_MAX;
static const lua_State *free_vm;

void
resolua_thread_limit(ngx_int_t cached)
{
    free_max = cached < 0 ? FREE_MAX : (ngx_uint_t) cached;
}


/* Phases that others of the same kind may follow. */
enum {
    DECLINABLE = RESOLUA_SERVER_REWRITE | RESOLUA_REWRITE | RESOLUA_ACCESS |
                 RESOLUA_PRECONTENT | RESOLUA_PREREAD
};

/* Phases that have no end of their own to choose. */
enum {
    NO_EXIT = RESOLUA_INIT_WORKER | RESOLUA_EXIT_WORKER | RESOLUA_SET |
              RESOLUA_BODY_FILTER | RESOLUA_LOG
};


resolua_thread_t *
resolua_thread(lua_State *L)
{
    resolua_thread_t *t = lua_getexdata(L);
    if (t == NULL) {
        luaL_error(L, "API disabled in the context of %s",
                   resolua_phase_directive(resolua_running != NULL
                                               ? resolua_running->phase
                                               : resolua_vm_phase));
    }
    return t;
}


lua_State *
resolua_thread_state(resolua_thread_t *t)
{
    return t->L;
}


ngx_uint_t
thread_may_yield(const resolua_thread_t *t)
{
    return !t->is_nested && lua_isyieldable(t->L);
}


resolua_thread_t *
resolua_thread_checked(lua_State *L)
{
    resolua_thread_t *t = resolua_thread(L);
    if (!thread_may_yield(t)) {
        luaL_error(L, "attempt to yield across C-call boundary");
    }
    return t;
}


/* The whole stack is yielded, so that the collector sees what the function was
   called with: after a tail call nothing else may refer to the object that it
   waits for. */
int
resolua_thread_sleep(resolua_thread_t *t, void (*cancel)(void *), void *data)
{
    if (!thread_may_yield(t)) {
        t->is_pinned = 0;
        if (cancel != NULL) {
            cancel(data);
        }
        (void) resolua_thread_checked(t->L); /* raises */
    }
    t->op = OP_SLEEP;
    t->cancel = cancel;
    t->cancel_data = data;
    return lua_yield(t->L, lua_gettop(t->L));
}


void
resolua_thread_pin(resolua_thread_t *t)
{
    t->is_pinned = 1;
}


static void
thread_link(resolua_thread_t *t, resolua_request_t *r)
{
    t->request = r;
    t->next = r->threads;
    t->link = &r->threads;
    if (t->next != NULL) {
        t->next->link = &t->next;
    }
    r->threads = t;
}


void
thread_free(resolua_thread_t *t, resolua_thread_t *as)
{
    *t->link = t->next;
    if (t->next != NULL) {
        t->next->link = t->link;
    }
    if (t->is_ready) {
        ngx_queue_remove(&t->ready);
    }
    lua_setexdata(t->L, as);
    luaL_unref(resolua_vm, LUA_REGISTRYINDEX, t->ref);
    ngx_free(t);
}


resolua_thread_t *
thread_new(lua_State *L, resolua_request_t *r)
{
    resolua_thread_t *t = ngx_calloc(sizeof(*t), r->log);
    if (t == NULL) {
        return NULL;
    }
    t->L = lua_newthread(L);
    lua_setexdata(t->L, t);
    lua_pushvalue(L, -1);
    t->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    thread_link(t, r);
    return t;
}


/* A coroutine for a chunk, recycled where there is one. */
static resolua_thread_t *
entry_new(resolua_request_t *r)
{
    resolua_thread_t *t = free_entries;
    if (t != NULL && free_vm == resolua_vm) {
        free_entries = t->next;
        free_count--;
        thread_link(t, r);
        return t;
    }
    t = thread_new(resolua_vm, r);
    if (t != NULL) {
        lua_pop(resolua_vm, 1);
    }
    return t;
}


/* A chunk that has returned leaves its coroutine for the next. */
static ngx_uint_t
entry_keep(resolua_thread_t *t)
{
    const int ref = t->ref;
    lua_State *L = t->L;
    if (free_vm != resolua_vm) { /* those of an older VM went with it */
        free_vm = resolua_vm;
        free_entries = NULL;
        free_count = 0;
    }
    if (!t->has_returned || free_count >= free_max ||
        t->request->globals_ref != LUA_NOREF) {
        return 0;
    }
    lua_settop(L, 0);
    ngx_memzero(t, sizeof(*t));
    t->L = L;
    t->ref = ref;
    t->next = free_entries;
    free_entries = t;
    free_count++;
    return 1;
}


void
resolua_run_abort(resolua_request_t *r)
{
    if (r->resuming) {
        r->aborted = 1;
        return;
    }
    r->aborted = 0;
    while (r->threads != NULL) {
        resolua_thread_t *t = r->threads;
        if (t->cancel != NULL) {
            t->cancel(t->cancel_data);
        }
        resolua_thread_t *next = t->next;
        if (!entry_keep(t)) {
            thread_free(t, NULL);
            continue;
        }
        r->threads = next;
        if (next != NULL) {
            next->link = &r->threads;
        }
    }
    ngx_queue_init(&r->ready);
    r->entry = NULL;
    r->on_abort = NULL;
    r->live = 0;
    r->entry_ended = 0;
}


const char *
resolua_error_text(lua_State *L)
{
    const char *text = lua_tostring(L, -1);
    return text != NULL ? text : "unknown reason";
}


int
resolua_fail(lua_State *L, const char *reason)
{
    lua_pushnil(L);
    lua_pushstring(L, reason);
    return 2;
}


void
thread_log_error(const resolua_thread_t *t, const char *what)
{
    lua_State *L = resolua_vm;
    luaL_traceback(L, t->L, resolua_error_text(t->L), 0);
    ngx_log_error(NGX_LOG_ERR, t->request->log, 0,
                  "lua %s thread aborted: runtime error: %s", what,
                  lua_tostring(L, -1));
    lua_pop(L, 1);
}


enum { YIELDS_MAX = 100 }; /* then nginx's events have their turn */

/* Whose turn it is. */
typedef struct {
    resolua_thread_t *thread; /* NULL: the first that is ready */
    int nargs;                /* on its stack */
    ngx_uint_t yields;        /* since the last event */
    ngx_int_t result;         /* of the run; NGX_AGAIN: it goes on */
} turn_t;


/* Its turn comes after those that are ready already. */
static void
add_ready(resolua_thread_t *t, int nargs)
{
    t->is_ready = 1;
    t->ready_args = nargs;
    ngx_queue_insert_tail(&t->request->ready, &t->ready);
}


/* NGX_DECLINED: all sleep. */
static ngx_int_t
take_ready(resolua_request_t *r, turn_t *turn)
{
    if (ngx_queue_empty(&r->ready)) {
        return NGX_DECLINED;
    }
    ngx_queue_t *first = ngx_queue_head(&r->ready);
    resolua_thread_t *t = ngx_queue_data(first, resolua_thread_t, ready);
    ngx_queue_remove(first);
    t->is_ready = 0;
    turn->thread = t;
    turn->nargs = t->ready_args;
    return NGX_OK;
}


/* A child has ended or yielded: its values go to the parent, which goes on. */
static void
give_back(turn_t *turn, int rc)
{
    resolua_thread_t *t = turn->thread;
    resolua_thread_t *parent = t->parent;
    const int failed = rc != 0 && rc != LUA_YIELD;
    const int n = failed ? 1 : lua_gettop(t->L);
    t->done = rc != LUA_YIELD;
    t->parent = NULL;
    turn->thread = parent;
    turn->nargs = 1;
    lua_pushboolean(parent->L, !failed);
    if (lua_checkstack(parent->L, n + 1)) {
        lua_xmove(t->L, parent->L, n);
        turn->nargs = n + 1;
    } else {
        lua_settop(t->L, 0);
    }
    if (t->done) {
        thread_free(t, NULL);
    }
}


/* coroutine.yield() without one that has resumed it: all others run first,
   other requests too. */
static void
let_others_run(turn_t *turn)
{
    resolua_thread_t *t = turn->thread;
    lua_settop(t->L, 0);
    if (ngx_queue_empty(&t->request->ready) || turn->yields++ >= YIELDS_MAX) {
        thread_yield(t);
    } else {
        add_ready(t, 0);
    }
    turn->thread = NULL;
}


static void
after_yield(turn_t *turn)
{
    resolua_thread_t *t = turn->thread;
    switch (t->op) {
    case OP_SLEEP:
        turn->thread = NULL;
        return;
    case OP_NAP:
        turn->nargs = 0;
        if (!ngx_queue_empty(&t->request->ready)) {
            add_ready(t, 0);
            turn->thread = NULL;
        }
        return;
    case OP_EXIT:
        turn->result = t->request->exit_code;
        return;
    case OP_RESUME:
        turn->nargs = lua_gettop(t->L);
        turn->thread = t->target;
        t->target->parent = t;
        lua_xmove(t->L, t->target->L, turn->nargs);
        return;
    case OP_SPAWN:
        lua_rawgeti(t->L, LUA_REGISTRYINDEX, t->target->ref);
        add_ready(t, 1);
        turn->thread = t->target;
        turn->nargs = t->target_args;
        return;
    default:
        if (t->parent != NULL) {
            give_back(turn, LUA_YIELD);
        } else {
            let_others_run(turn);
        }
    }
}


static void
entry_ended(turn_t *turn, int rc)
{
    resolua_thread_t *t = turn->thread;
    resolua_request_t *r = t->request;
    turn->thread = NULL;
    if (rc != 0) {
        thread_log_error(t, "entry");
        turn->result = NGX_ERROR;
        return;
    }
    if (r->host->results != NULL) {
        r->host->results(r, t->L);
    }
    t->has_returned = 1;
    if (r->live > 0) { /* light threads go on */
        r->entry_ended = 1;
        r->entry_rc = NGX_OK;
    } else {
        turn->result = NGX_OK;
    }
}


static void
after_end(turn_t *turn, int rc)
{
    resolua_thread_t *t = turn->thread;
    resolua_request_t *r = t->request;
    if (t->parent != NULL) {
        give_back(turn, rc);
    } else if (t->is_light) {
        turn->thread = light_ended(t, rc, &turn->nargs);
        if (turn->thread == NULL && r->entry_ended && r->live == 0) {
            turn->result = r->entry_rc;
        }
    } else {
        entry_ended(turn, rc);
    }
}


static void
take_turn(resolua_request_t *r, turn_t *turn)
{
    resolua_thread_t *t = turn->thread;
    const unsigned resuming = r->resuming;
    t->op = OP_NONE;
    r->resuming = 1;
    const int rc = lua_resume(t->L, turn->nargs);
    r->resuming = resuming & 1;
    if (r->aborted) {
        turn->result = NGX_ERROR;
    } else if (rc == LUA_YIELD) {
        after_yield(turn);
    } else {
        after_end(turn, rc);
    }
}


/* Runs t and all that become ready by it, till the run ends or all sleep. */
static ngx_int_t
go_on(resolua_thread_t *t, int nargs)
{
    resolua_request_t *r = t->request;
    resolua_request_t *before = resolua_running;
    turn_t turn = {.thread = t, .nargs = nargs, .result = NGX_AGAIN};

    resolua_running = r;
    while (turn.result == NGX_AGAIN &&
           (turn.thread != NULL || take_ready(r, &turn) == NGX_OK)) {
        take_turn(r, &turn);
    }
    resolua_running = before;
    if (turn.result != NGX_AGAIN) {
        resolua_run_abort(r);
    }
    return turn.result;
}


void
resolua_thread_wake(resolua_thread_t *t, int nresults)
{
    resolua_request_t *r = t->request;
    const resolua_host_t *host = r->host;
    void *owner = r->owner;
    t->cancel = NULL;
    t->is_pinned = 0;
    const ngx_int_t rc = go_on(t, nresults);
    if (rc != NGX_AGAIN && host->resumed != NULL) {
        host->resumed(r, rc);
    }
    if (host->settle != NULL) {
        host->settle(owner);
    }
}


ngx_int_t
resolua_run_function(resolua_request_t *r, int nargs, ngx_uint_t phase)
{
    resolua_thread_t *t = entry_new(r);
    if (t == NULL) {
        lua_pop(resolua_vm, nargs + 1);
        return NGX_ERROR;
    }
    lua_xmove(resolua_vm, t->L, nargs + 1);
    if (r->globals_ref != LUA_NOREF) {
        lua_rawgeti(t->L, LUA_REGISTRYINDEX, r->globals_ref);
        lua_replace(t->L, LUA_GLOBALSINDEX);
    }
    r->phase = phase;
    r->entry = t;
    r->exited = 0;
    return go_on(t, nargs);
}


ngx_int_t
resolua_run(resolua_request_t *r, resolua_code_t *code, ngx_uint_t phase)
{
    if (resolua_code_push(resolua_vm, code) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->log, 0, "failed to load Lua code: %s",
                      resolua_error_text(resolua_vm));
        lua_pop(resolua_vm, 1);
        return NGX_ERROR;
    }
    return resolua_run_function(r, 0, phase);
}


/* The request may end with what runs for it: its connection is closed. */
static int
ends_everything(ngx_int_t code)
{
    enum { REQUEST_TIMEOUT = 408, CLOSE = 444, CLIENT_CLOSED = 499 };
    return code < NGX_OK || code == REQUEST_TIMEOUT || code == CLOSE ||
           code == CLIENT_CLOSED;
}


static int
has_pinned(const resolua_request_t *r)
{
    for (const resolua_thread_t *t = r->threads; t != NULL; t = t->next) {
        if (t->is_pinned) {
            return 1;
        }
    }
    return 0;
}


void
resolua_run_check_exit(lua_State *L, ngx_int_t code)
{
    if (lua_getexdata(L) != NULL && !ends_everything(code) &&
        has_pinned(resolua_request(L))) {
        luaL_error(L, "attempt to abort with pending subrequests");
    }
}


int
resolua_run_exit(lua_State *L, ngx_int_t code)
{
    resolua_request_t *r = resolua_request(L);
    resolua_thread_t *t = lua_getexdata(L);
    resolua_run_check_exit(L, code);
    if (t != NULL) {
        (void) resolua_thread_checked(L);
    }
    const ngx_uint_t declines = code == NGX_DECLINED && (r->phase & DECLINABLE);
    r->exit_code =
        code < NGX_OK && !declines ? NGX_ERROR : code; /* never NGX_AGAIN */
    r->exited = 1;
    if (t == NULL) {
        lua_pushnil(L);
        return lua_error(L);
    }
    t->op = OP_EXIT;
    return lua_yield(L, 0);
}


/* ngx.exit(code) */
static int
thread_exit(lua_State *L)
{
    const lua_Integer code = luaL_checkinteger(L, 1);
    if (resolua_running != NULL) {
        resolua_check_phase(L, ~(ngx_uint_t) NO_EXIT);
    }
    if (code == NGX_AGAIN || code == NGX_DONE) {
        return luaL_error(L, "bad argument to 'ngx.exit': does not accept "
                             "NGX_AGAIN or NGX_DONE");
    }
    return resolua_run_exit(L, (ngx_int_t) code);
}


void
resolua_thread_setup(lua_State *L)
{
    lua_pushcfunction(L, thread_exit);
    lua_setfield(L, -2, "exit");
}
