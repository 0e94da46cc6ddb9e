#include "runtime/sampler.h"

#include <luajit.h>
#include <sys/un.h>

#include <ngx_event.h>

#include "runtime/private/api.h"
#include "runtime/vm.h"

enum {
    STACKS_MAX = 50000, /* different ones; others are counted together */
    DEPTH_MAX = 100,    /* frames */
    FRAMES_SIZE = 8192, /* octets of a stack */
    COMMAND_SIZE = 64,
    INTERVAL_MAX = 1000, /* ms */
    POOL_SIZE = 65536,
};

typedef struct {
    ngx_str_node_t node;
    uint64_t count;
} frames_t;

typedef struct {
    ngx_connection_t *client;
    ngx_pool_t *pool;
    ngx_rbtree_t tree;
    ngx_rbtree_node_t sentinel;
    ngx_uint_t stacks;
    uint64_t others;
    u_char command[COMMAND_SIZE];
    size_t command_size;
    u_char *report; /* of the pool; NULL while it samples */
    size_t report_at;
    size_t report_size;
    unsigned is_running : 1; /* LuaJIT's profiler */
    unsigned is_mapping : 1; /* resolua.jit_map */
} sampler_t;

static ngx_connection_t *listener;
static sampler_t *sampler; /* NULL: nobody asks */

static void close_client(void);


static void
count_stack(const ngx_str_t *frames, int samples)
{
    const uint32_t hash = ngx_crc32_long(frames->data, frames->len);
    frames_t *stack = (frames_t *) ngx_str_rbtree_lookup(
        &sampler->tree, (ngx_str_t *) (uintptr_t) frames, hash);
    if (stack == NULL && sampler->stacks < STACKS_MAX) {
        stack = ngx_pcalloc(sampler->pool, sizeof(*stack));
        u_char *copy = ngx_pnalloc(sampler->pool, frames->len);
        if (stack == NULL || copy == NULL) {
            return;
        }
        ngx_memcpy(copy, frames->data, frames->len);
        stack->node.str.data = copy;
        stack->node.str.len = frames->len;
        stack->node.node.key = hash;
        ngx_rbtree_insert(&sampler->tree, &stack->node.node);
        sampler->stacks++;
    }
    if (stack != NULL) {
        stack->count += (uint64_t) samples;
    } else {
        sampler->others += (uint64_t) samples;
    }
}


static const char *
state_frame(int state)
{
    return state == 'G'   ? ";(garbage collector)"
           : state == 'J' ? ";(JIT compiler)"
           : state == 'C' ? ";(C code)"
                          : "";
}


/* LuaJIT calls this where its stacks are whole. */
static void
on_sample(void *data, lua_State *L, int samples, int state)
{
    static u_char text[FRAMES_SIZE];
    size_t size = 0;
    (void) data;
    const char *stack = luaJIT_profile_dumpstack(L, "f@lZ;", -DEPTH_MAX, &size);
    const ngx_uint_t phase =
        resolua_running != NULL ? resolua_running->phase : resolua_vm_phase;
    const char *where = phase == RESOLUA_TIMER ? "ngx.timer"
                        : phase != 0           ? resolua_phase_directive(phase)
                                               : "(no request)";
    const u_char *end = ngx_snprintf(text, sizeof(text), "%s;%*s%s", where,
                                     size, stack, state_frame(state));
    for (u_char *p = text; p < end; p++) {
        if (*p < ' ') {
            *p = ' '; /* a line is a stack */
        }
    }
    const ngx_str_t frames = {(size_t) (end - text), text};
    count_stack(&frames, samples);
}


/* Calls a function of lua/resolua/jit_map.lua; its result lies on the stack. */
static ngx_int_t
call_jit_map(const char *chunk)
{
    lua_State *L = resolua_vm;
    if (luaL_loadstring(L, chunk) == 0 && lua_pcall(L, 0, 1, 0) == 0) {
        return NGX_OK;
    }
    const char *reason = lua_tostring(L, -1);
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "resolua.jit_map: %s",
                  reason != NULL ? reason : "unknown reason");
    lua_pop(L, 1);
    return NGX_ERROR;
}


static void
start_map(void)
{
    if (call_jit_map("require('resolua.jit_map').begin()") != NGX_OK) {
        close_client();
        return;
    }
    lua_pop(resolua_vm, 1);
    sampler->is_mapping = 1;
}


static ngx_int_t
make_map(void)
{
    size_t size;
    sampler->is_mapping = 0;
    if (call_jit_map("return require('resolua.jit_map').finish()") != NGX_OK) {
        return NGX_ERROR;
    }
    const char *text = lua_tolstring(resolua_vm, -1, &size);
    sampler->report = ngx_pnalloc(sampler->pool, size + 1);
    if (text != NULL && sampler->report != NULL) {
        ngx_memcpy(sampler->report, text, size);
        sampler->report_size = size;
    }
    lua_pop(resolua_vm, 1);
    return sampler->report != NULL ? NGX_OK : NGX_ERROR;
}


static void
stop(void)
{
    if (sampler->is_running) {
        sampler->is_running = 0;
        luaJIT_profile_stop(resolua_vm);
    }
}


static void
close_client(void)
{
    stop();
    if (sampler->is_mapping) {
        (void) make_map(); /* ends it */
    }
    ngx_close_connection(sampler->client);
    ngx_destroy_pool(sampler->pool);
    sampler = NULL;
}


static ngx_int_t
make_report(void)
{
    if (sampler->is_mapping) {
        return make_map();
    }
    ngx_rbtree_t *tree = &sampler->tree;
    size_t room = sizeof("(others) ") + NGX_INT64_LEN;
    const ngx_uint_t has_any = tree->root != tree->sentinel;
    ngx_rbtree_node_t *first =
        has_any ? ngx_rbtree_min(tree->root, tree->sentinel) : NULL;
    for (ngx_rbtree_node_t *n = first; n != NULL;
         n = ngx_rbtree_next(tree, n)) {
        room += ((ngx_str_node_t *) n)->str.len + NGX_INT64_LEN + 2;
    }
    u_char *end = sampler->report = ngx_pnalloc(sampler->pool, room);
    if (end == NULL) {
        return NGX_ERROR;
    }
    for (ngx_rbtree_node_t *n = first; n != NULL;
         n = ngx_rbtree_next(tree, n)) {
        const frames_t *stack = (const frames_t *) n;
        end = ngx_sprintf(end, "%V %uL\n", &stack->node.str, stack->count);
    }
    if (sampler->others > 0) {
        end = ngx_sprintf(end, "(others) %uL\n", sampler->others);
    }
    sampler->report_size = (size_t) (end - sampler->report);
    return NGX_OK;
}


static void
send_report(ngx_event_t *ev)
{
    ngx_connection_t *c = sampler->client;
    (void) ev;
    while (sampler->report != NULL &&
           sampler->report_at < sampler->report_size) {
        const ssize_t n = send(c->fd, sampler->report + sampler->report_at,
                               sampler->report_size - sampler->report_at, 0);
        if (n < 0 && ngx_socket_errno == NGX_EAGAIN) {
            return;
        }
        if (n <= 0) {
            break;
        }
        sampler->report_at += (size_t) n;
    }
    if (sampler->report != NULL) {
        close_client();
    }
}


static void
start(void)
{
    if (sampler->command_size == sizeof("map\n") - 1 &&
        ngx_strncmp(sampler->command, "map\n", sizeof("map\n") - 1) == 0) {
        start_map();
        return;
    }
    char mode[sizeof("li") + NGX_INT_T_LEN];
    const ngx_int_t ms = ngx_atoi(sampler->command + sizeof("sample ") - 1,
                                  sampler->command_size - sizeof("sample "));
    if (ngx_strncmp(sampler->command, "sample ", sizeof("sample ") - 1) != 0 ||
        ms < 1 || ms > INTERVAL_MAX) {
        close_client();
        return;
    }
    *ngx_snprintf((u_char *) mode, sizeof(mode) - 1, "li%i", ms) = 0;
    sampler->is_running = 1;
    luaJIT_profile_start(resolua_vm, mode, on_sample, NULL);
}


/* The command, and then the end of the client's side. */
static void
on_client(ngx_event_t *ev)
{
    sampler_t *s = sampler;
    (void) ev;
    for (;;) {
        const ssize_t n = recv(s->client->fd, s->command + s->command_size,
                               sizeof(s->command) - s->command_size, 0);
        if (n < 0 && ngx_socket_errno == NGX_EAGAIN) {
            return;
        }
        if (n <= 0) {
            stop();
            if (s->report == NULL && make_report() != NGX_OK) {
                close_client();
                return;
            }
            send_report(ev);
            return;
        }
        s->command_size += (size_t) n;
        if (s->command[s->command_size - 1] == '\n' && !s->is_running &&
            !s->is_mapping) {
            start();
        }
        if (sampler == NULL || s->command_size == sizeof(s->command)) {
            break;
        }
    }
    if (sampler != NULL) {
        close_client();
    }
}


/* Who may look into this process. */
static ngx_uint_t
is_ours(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}


static ngx_connection_t *
watch(int fd, ngx_event_handler_pt on_read, ngx_event_handler_pt on_write)
{
    ngx_connection_t *c = ngx_get_connection(fd, ngx_cycle->log);
    if (c == NULL) {
        return NULL;
    }
    c->read->handler = on_read;
    c->write->handler = on_write;
    c->read->log = c->write->log = ngx_cycle->log;
    c->read->channel = 1; /* no complaint that it is open at the end */
    if (ngx_add_event(c->read, NGX_READ_EVENT, NGX_CLEAR_EVENT) != NGX_OK ||
        (on_write != NULL &&
         ngx_add_event(c->write, NGX_WRITE_EVENT, NGX_CLEAR_EVENT) != NGX_OK)) {
        ngx_free_connection(c);
        c->fd = (ngx_socket_t) -1;
        return NULL;
    }
    return c;
}


static void
serve(int fd)
{
    ngx_pool_t *pool = ngx_create_pool(POOL_SIZE, ngx_cycle->log);
    sampler_t *s = pool != NULL ? ngx_pcalloc(pool, sizeof(*s)) : NULL;
    if (s != NULL) {
        s->pool = pool;
        ngx_rbtree_init(&s->tree, &s->sentinel, ngx_str_rbtree_insert_value);
        s->client = watch(fd, on_client, send_report);
    }
    if (s == NULL || s->client == NULL) {
        if (pool != NULL) {
            ngx_destroy_pool(pool);
        }
        (void) close(fd);
        return;
    }
    sampler = s;
}


static void
on_accept(ngx_event_t *ev)
{
    const ngx_connection_t *c = ev->data;
    if (c->close) { /* the worker exits */
        resolua_sampler_exit();
        return;
    }
    for (;;) {
        const int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        if (sampler != NULL || !is_ours(fd)) {
            (void) close(fd);
        } else {
            serve(fd);
        }
    }
}


void
resolua_sampler_init(ngx_cycle_t *cycle)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const u_char *end = ngx_snprintf((u_char *) address.sun_path + 1,
                                     sizeof(address.sun_path) - 1,
                                     "resolua-worker-%P", ngx_pid);
    const socklen_t size = (socklen_t) ((uintptr_t) end - (uintptr_t) &address);
    const int fd =
        socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *) &address, size) != 0 ||
        listen(fd, 4) != 0) {
        ngx_log_error(NGX_LOG_NOTICE, cycle->log, ngx_socket_errno,
                      "no control socket: resolua flame cannot be used");
        if (fd >= 0) {
            (void) close(fd);
        }
        return;
    }
    listener = watch(fd, on_accept, NULL);
    if (listener == NULL) {
        (void) close(fd);
        return;
    }
    listener->idle = 1;
}


void
resolua_sampler_exit(void)
{
    if (sampler != NULL) {
        close_client();
    }
    if (listener != NULL) {
        ngx_close_connection(listener);
        listener = NULL;
    }
}
