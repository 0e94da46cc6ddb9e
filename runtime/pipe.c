/* require "resolua.pipe": processes and the ends of their pipes, for ngx.pipe
   (lua/ngx/pipe.lua), which makes reading by lines, sizes and so on of it. */

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <ngx_event.h>

#include "runtime/private/api.h"
#include "runtime/vm.h"
#include "runtime/wait.h"

enum {
    STDIN,
    STDOUT,
    STDERR,
    ENDS,
    EXIT = ENDS, /* waiting for the end of the process */
    WAITS,
    READ_MAX = 65536, /* octets at once */
};

static const char metatable[] = "resolua.pipe";

typedef struct process_s process_t;

/* One light thread may sleep on each. */
typedef struct {
    ngx_connection_t *connection; /* of an end; NULL: closed */
    ngx_event_t timer;            /* of EXIT */
    resolua_thread_t *waiting;
} wait_t;

/* A child that has not been waited for; outlives its Lua object. */
typedef struct {
    ngx_queue_t queue;
    pid_t pid;
    process_t *process; /* NULL: collected */
} child_t;

struct process_s {
    pid_t pid;
    child_t *child; /* NULL: it has ended with status */
    int status;     /* of waitpid() */
    wait_t waits[WAITS];
};

static ngx_queue_t children;
static int ended_pipe[2] = {-1, -1}; /* an octet for each SIGCHLD */


/* In a worker nginx would reap our children; it has none there. */
void
resolua_pipe_init_process(void)
{
    (void) signal(SIGCHLD, SIG_DFL);
    ngx_queue_init(&children);
}


static void
wake(wait_t *wait, const char *failed)
{
    resolua_thread_t *t = wait->waiting;
    if (t == NULL) {
        return;
    }
    wait->waiting = NULL;
    lua_State *L = resolua_thread_state(t);
    if (wait->timer.timer_set) {
        ngx_del_timer(&wait->timer);
    }
    if (wait->connection != NULL && wait->connection->read->timer_set) {
        ngx_del_timer(wait->connection->read);
    }
    if (failed == NULL) {
        lua_pushboolean(L, 1);
        resolua_thread_wake(t, 1);
    } else {
        lua_pushnil(L);
        lua_pushstring(L, failed);
        resolua_thread_wake(t, 2);
    }
}


static void
on_sigchld(int number)
{
    const int saved = errno;
    (void) number;
    /* A full pipe is read soon anyway. */
    if (write(ended_pipe[1], "", 1) < 0) {
        errno = saved;
    }
    errno = saved;
}


static void
reap(child_t *child, int status)
{
    process_t *process = child->process;
    ngx_queue_remove(&child->queue);
    ngx_free(child);
    if (process != NULL) {
        process->child = NULL;
        process->status = status;
        wake(&process->waits[EXIT], NULL);
    }
}


static void
on_children(ngx_event_t *ev)
{
    char octets[64];
    (void) ev;
    while (read(ended_pipe[0], octets, sizeof(octets)) > 0) {
    }
    /* A woken thread may change the list. */
    for (ngx_uint_t found = 1; found;) {
        found = 0;
        for (ngx_queue_t *q = ngx_queue_head(&children);
             q != ngx_queue_sentinel(&children); q = ngx_queue_next(q)) {
            child_t *child = ngx_queue_data(q, child_t, queue);
            int status;
            if (waitpid(child->pid, &status, WNOHANG) == child->pid) {
                reap(child, status);
                found = 1;
                break;
            }
        }
    }
}


/* A connection for one of our descriptors: as with its channel to the master,
   an exiting worker does not complain that it is still open. */
static ngx_connection_t *
get_connection(int fd, ngx_event_handler_pt handler)
{
    ngx_connection_t *c = ngx_get_connection(fd, ngx_cycle->log);
    if (c != NULL) {
        c->read->handler = c->write->handler = handler;
        c->read->log = c->write->log = ngx_cycle->log;
        c->read->channel = c->write->channel = 1;
    }
    return c;
}


/* Once in each worker. */
static ngx_int_t
watch_children(void)
{
    if (ended_pipe[0] >= 0) {
        return NGX_OK;
    }
    if (pipe2(ended_pipe, O_NONBLOCK | O_CLOEXEC) != 0) {
        return NGX_ERROR;
    }
    const ngx_connection_t *c = get_connection(ended_pipe[0], on_children);
    struct sigaction action = {.sa_handler = on_sigchld,
                               .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    if (c == NULL || ngx_add_event(c->read, NGX_READ_EVENT, 0) != NGX_OK) {
        return NGX_ERROR;
    }
    return sigaction(SIGCHLD, &action, NULL) == 0 ? NGX_OK : NGX_ERROR;
}


static void
close_end(wait_t *wait)
{
    ngx_connection_t *c = wait->connection;
    if (c != NULL) {
        wait->connection = NULL;
        ngx_close_connection(c);
    }
}


static process_t *
check_process(lua_State *L)
{
    return luaL_checkudata(L, 1, metatable);
}


static void
let_go(process_t *p)
{
    for (ngx_uint_t i = 0; i < ENDS; i++) {
        close_end(&p->waits[i]);
    }
    if (p->child != NULL) {
        p->child->process = NULL;
        (void) kill(p->pid, SIGKILL);
        p->child = NULL;
    }
}


static int
collect(lua_State *L)
{
    let_go(check_process(L));
    return 0;
}


/* The VM is closed later, when events are gone and our signal handler is about
   to be unloaded. */
void
resolua_pipe_exit_process(void)
{
    (void) signal(SIGCHLD, SIG_DFL);
    for (ngx_queue_t *q = ngx_queue_head(&children);
         q != ngx_queue_sentinel(&children); q = ngx_queue_next(q)) {
        const child_t *child = ngx_queue_data(q, child_t, queue);
        if (child->process != NULL) {
            let_go(child->process);
        }
    }
}


static void
on_io(ngx_event_t *ev)
{
    const ngx_connection_t *c = ev->data;
    wait_t *wait = c->data;
    const unsigned timed_out = c->read->timedout;
    c->read->timedout = 0;
    wake(wait, timed_out ? "timeout" : NULL);
}


static void
on_exit_timer(ngx_event_t *ev)
{
    wake(ev->data, "timeout");
}


static ngx_int_t
open_end(wait_t *wait, int fd, int direction)
{
    ngx_connection_t *c = get_connection(fd, on_io);
    if (c == NULL) {
        return NGX_ERROR;
    }
    wait->connection = c;
    c->data = wait;
    ngx_event_t *ev = direction == STDIN ? c->write : c->read;
    return ngx_add_event(ev,
                         direction == STDIN ? NGX_WRITE_EVENT : NGX_READ_EVENT,
                         NGX_CLEAR_EVENT);
}


/* The strings of an array at index; freed by the caller. */
static char **
make_list(lua_State *L, int index)
{
    const int count = (int) lua_objlen(L, index);
    char **list =
        ngx_calloc((size_t) (count + 1) * sizeof(char *), ngx_cycle->log);
    for (int i = 0; list != NULL && i < count; i++) {
        lua_rawgeti(L, index, i + 1);
        list[i] = (char *) (uintptr_t) lua_tostring(L, -1); /* kept there */
        lua_pop(L, 1);
    }
    return list;
}


/* 0 or an errno. */
static int
start_child(pid_t *pid, const int fds[3], char **args, char **environment)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all;
    sigset_t none;
    (void) sigfillset(&all);
    (void) sigemptyset(&none);
    (void) posix_spawn_file_actions_init(&actions);
    (void) posix_spawnattr_init(&attributes);
    for (int i = 0; i < ENDS; i++) {
        (void) posix_spawn_file_actions_adddup2(&actions, fds[i], i);
    }
    (void) posix_spawn_file_actions_addclosefrom_np(&actions, ENDS);
    (void) posix_spawnattr_setsigdefault(&attributes, &all);
    (void) posix_spawnattr_setsigmask(&attributes, &none);
    (void) posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF |
                                                     POSIX_SPAWN_SETSIGMASK);
    const int err =
        posix_spawnp(pid, args[0], &actions, &attributes, args, environment);
    (void) posix_spawnattr_destroy(&attributes);
    (void) posix_spawn_file_actions_destroy(&actions);
    return err;
}


typedef struct {
    int ours[ENDS];
    int theirs[ENDS];
} pipes_t;


static void
close_all(const int *fds)
{
    for (int i = 0; i < ENDS; i++) {
        if (fds[i] >= 0 && (i == 0 || fds[i] != fds[i - 1])) {
            (void) close(fds[i]);
        }
    }
}


/* 0 or an errno; with merged errors go where the output goes. */
static int
make_pipes(pipes_t *pipes, int merged)
{
    for (int i = 0; i < ENDS; i++) {
        int fds[2] = {-1, -1};
        pipes->ours[i] = pipes->theirs[i] = -1;
        if (i == STDERR && merged) {
            pipes->theirs[i] = pipes->theirs[STDOUT];
        } else if (pipe2(fds, O_CLOEXEC) != 0) {
            return errno;
        } else {
            pipes->ours[i] = fds[i == STDIN];
            pipes->theirs[i] = fds[i != STDIN];
            (void) fcntl(pipes->ours[i], F_SETFL, O_NONBLOCK);
        }
    }
    return 0;
}


/* Our ends become the process's. */
static ngx_int_t
adopt(process_t *p, pipes_t *pipes)
{
    ngx_int_t rc = NGX_OK;
    for (int i = 0; i < ENDS; i++) {
        if (pipes->ours[i] >= 0) {
            if (open_end(&p->waits[i], pipes->ours[i], i) != NGX_OK) {
                rc = NGX_ERROR;
            }
            if (p->waits[i].connection != NULL) {
                pipes->ours[i] = -1;
            }
        }
    }
    p->child = ngx_calloc(sizeof(*p->child), ngx_cycle->log);
    if (p->child == NULL) {
        (void) kill(p->pid, SIGKILL);
        return NGX_ERROR;
    }
    p->child->pid = p->pid;
    p->child->process = p;
    ngx_queue_insert_tail(&children, &p->child->queue);
    return rc;
}


static process_t *
push_process(lua_State *L)
{
    process_t *p = lua_newuserdata(L, sizeof(*p));
    ngx_memzero(p, sizeof(*p));
    wait_t *ends = &p->waits[EXIT];
    ends->timer.handler = on_exit_timer;
    ends->timer.data = ends;
    ends->timer.log = ngx_cycle->log;
    luaL_getmetatable(L, metatable);
    lua_setmetatable(L, -2);
    return p;
}


/* spawn(arguments, environment or nil, merged): the caller has checked that
   both are arrays of strings. */
static int
spawn(lua_State *L)
{
    pipes_t pipes;
    lua_settop(L, 3);
    resolua_check_phase(L, ~(ngx_uint_t) RESOLUA_INIT);
    if (watch_children() != NGX_OK) {
        return resolua_fail(L, "no memory");
    }
    process_t *p = push_process(L);
    char **args = make_list(L, 1);
    char **environment = lua_istable(L, 2) ? make_list(L, 2) : environ;
    int err = args == NULL || environment == NULL
                  ? ENOMEM
                  : make_pipes(&pipes, lua_toboolean(L, 3));
    if (err == 0) {
        err = start_child(&p->pid, pipes.theirs, args, environment);
        close_all(pipes.theirs);
        if (err == 0 && adopt(p, &pipes) != NGX_OK) {
            err = ENOMEM;
        }
        close_all(pipes.ours);
    }
    ngx_free(args);
    if (lua_istable(L, 2)) {
        ngx_free(environment);
    }
    return err == 0 ? 1 : resolua_fail(L, strerror(err));
}


/* The end at argument 2, or NULL with the reason why it cannot be used. */
static wait_t *
check_end(lua_State *L, const char **wrong)
{
    process_t *p = check_process(L);
    const int which = (int) luaL_checkinteger(L, 2);
    luaL_argcheck(L, which >= 0 && which < ENDS, 2, "no such end");
    wait_t *wait = &p->waits[which];
    *wrong = wait->connection == NULL ? "closed"
             : wait->waiting == NULL  ? NULL
             : which == STDIN         ? "pipe busy writing"
                                      : "pipe busy reading";
    return *wrong == NULL ? wait : NULL;
}


/* read(end, max): octets, or nil and "again", "closed" or another reason */
static int
read_some(lua_State *L)
{
    const char *wrong;
    const wait_t *wait = check_end(L, &wrong);
    const lua_Integer max = luaL_checkinteger(L, 3);
    if (wait == NULL) {
        return resolua_fail(L, wrong);
    }
    u_char octets[READ_MAX];
    const size_t size = max < READ_MAX ? (size_t) max : READ_MAX;
    const ssize_t n = read(wait->connection->fd, octets, size);
    if (n > 0) {
        lua_pushlstring(L, (char *) octets, (size_t) n);
        return 1;
    }
    return resolua_fail(L, n == 0 ? "closed"
                           : errno == EAGAIN || errno == EINTR
                               ? "again"
                               : strerror(errno));
}


/* write(text, from): octets written, or nil and a reason */
static int
write_some(lua_State *L)
{
    const char *wrong;
    size_t size;
    const char *text = luaL_checklstring(L, 3, &size);
    const size_t from = (size_t) luaL_checkinteger(L, 4);
    const wait_t *wait = check_end(L, &wrong);
    if (wait == NULL) {
        return resolua_fail(L, wrong);
    }
    const ssize_t n = write(wait->connection->fd, text + from, size - from);
    if (n >= 0) {
        lua_pushinteger(L, (lua_Integer) n);
        return 1;
    }
    return resolua_fail(L, errno == EAGAIN || errno == EINTR ? "again"
                           : errno == EPIPE                  ? "closed"
                                                             : strerror(errno));
}


static void
forget_thread(void *data)
{
    wait_t *wait = data;
    wait->waiting = NULL;
    if (wait->timer.timer_set) {
        ngx_del_timer(&wait->timer);
    }
    if (wait->connection != NULL && wait->connection->read->timer_set) {
        ngx_del_timer(wait->connection->read);
    }
}


static int
sleep_on(lua_State *L, wait_t *wait, ngx_event_t *timer, ngx_msec_t ms)
{
    resolua_thread_t *t = resolua_thread(L);
    wait->waiting = t;
    if (ms > 0) {
        ngx_add_timer(timer, ms);
    }
    return resolua_thread_sleep(t, forget_thread, wait);
}


/* wait(end, ms): true when it may be ready, or nil and the reason */
static int
wait_io(lua_State *L)
{
    const char *wrong;
    wait_t *wait = check_end(L, &wrong);
    const lua_Integer ms = luaL_checkinteger(L, 3);
    if (wait == NULL) {
        return resolua_fail(L, wrong);
    }
    return sleep_on(L, wait, wait->connection->read,
                    (ngx_msec_t) (ms > 0 ? ms : 0));
}


/* wait_exit(ms): true, or nil and the reason */
static int
wait_exit(lua_State *L)
{
    process_t *p = check_process(L);
    wait_t *wait = &p->waits[EXIT];
    const lua_Integer ms = luaL_checkinteger(L, 2);
    if (wait->waiting != NULL) {
        return resolua_fail(L, "pipe busy waiting");
    }
    if (p->child == NULL) {
        lua_pushboolean(L, 1);
        return 1;
    }
    return sleep_on(L, wait, &wait->timer, (ngx_msec_t) (ms > 0 ? ms : 0));
}


/* "exit" and the code, "signal" and its number, or nothing while it runs */
static int
get_status(lua_State *L)
{
    const process_t *p = check_process(L);
    if (p->child != NULL) {
        return 0;
    }
    const int by_signal = WIFSIGNALED(p->status);
    lua_pushstring(L, by_signal ? "signal" : "exit");
    lua_pushinteger(L,
                    by_signal ? WTERMSIG(p->status) : WEXITSTATUS(p->status));
    return 2;
}


static int
get_pid(lua_State *L)
{
    lua_pushinteger(L, check_process(L)->pid);
    return 1;
}


static int
kill_process(lua_State *L)
{
    const process_t *p = check_process(L);
    const int number = (int) luaL_checkinteger(L, 2);
    if (p->child == NULL) {
        return resolua_fail(L, "exited");
    }
    if (kill(p->pid, number) != 0) {
        return resolua_fail(L, errno == EINVAL  ? "invalid signal"
                               : errno == ESRCH ? "exited"
                                                : strerror(errno));
    }
    lua_pushboolean(L, 1);
    return 1;
}


/* Who sleeps on the end gets "aborted". */
static int
shut(lua_State *L)
{
    process_t *p = check_process(L);
    const int which = (int) luaL_checkinteger(L, 2);
    luaL_argcheck(L, which >= 0 && which < ENDS, 2, "no such end");
    wait_t *wait = &p->waits[which];
    if (wait->connection == NULL) {
        return resolua_fail(L, "closed");
    }
    close_end(wait);
    wake(wait, "aborted");
    lua_pushboolean(L, 1);
    return 1;
}


static int
open_pipe(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"read", read_some},      {"write", write_some},  {"wait", wait_io},
        {"wait_exit", wait_exit}, {"status", get_status}, {"pid", get_pid},
        {"kill", kill_process},   {"close", shut},        {NULL, NULL},
    };
    luaL_newmetatable(L, metatable);
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_newtable(L);
    luaL_register(L, NULL, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, spawn);
    lua_setfield(L, -2, "spawn");
    return 1;
}


void
resolua_pipe_setup(lua_State *L)
{
    resolua_vm_preload(L, "resolua.pipe", open_pipe);
}
