/* Connecting with TLS.  libmariadb blocks in the handshake, also where its
   calls do not block otherwise; it does so on a thread of nginx's pool. */

#include "runtime/private/mysql.h"

#include <ngx_thread_pool.h>

/* Stands for the session in the socket while the thread has that. */
typedef struct {
    tcp_session_t base;
    mysql_session_t *session; /* owned */
    tcp_t *tcp;               /* NULL: it does not wait any more */
    unsigned timeout;         /* ms, of the whole connecting */
    client_step_t step;       /* what it has come to */
} connecting_t;

static ngx_str_t pool_name = ngx_string("default");

/* The socket is closed before the thread is done. */
static void
abandon(tcp_session_t *base)
{
    connecting_t *connecting = (connecting_t *) base;
    ngx_event_t *timer = &connecting->tcp->queue_timer;
    if (timer->timer_set) {
        ngx_del_timer(timer);
    }
    connecting->tcp = NULL;
}


static int
push_nothing(tcp_session_t *base, lua_State *L)
{
    (void) base;
    (void) L;
    return 0;
}


/* On the other thread. */
static void
connect_there(void *data, ngx_log_t *log)
{
    connecting_t *connecting = data;
    (void) log;
    connecting->step =
        client_mysql_connect(connecting->session->client, connecting->timeout);
}


static void
on_done(ngx_event_t *ev)
{
    ngx_thread_task_t *task = ev->data;
    connecting_t *connecting = task->ctx;
    mysql_session_t *s = connecting->session;
    const client_step_t step = connecting->step;
    tcp_t *tcp = connecting->tcp;
    if (tcp == NULL) {
        s->base.free(&s->base);
        ngx_free(task);
        return;
    }
    abandon(&connecting->base);
    ngx_free(task);
    tcp->link.session = &s->base;
    tcp_connect_again(tcp, mysql_connect_state(tcp, s, step));
}


static void
on_timeout(ngx_event_t *ev)
{
    tcp_t *tcp = ev->data;
    tcp_connect_again(tcp, mysql_refuse(tcp, "timeout"));
}


static ngx_thread_task_t *
task_new(tcp_t *tcp, mysql_session_t *s)
{
    ngx_thread_task_t *task =
        ngx_calloc(sizeof(*task) + sizeof(connecting_t), ngx_cycle->log);
    if (task == NULL) {
        return NULL;
    }
    connecting_t *connecting = (connecting_t *) (task + 1);
    connecting->base.free = abandon;
    connecting->base.push_error = push_nothing;
    connecting->session = s;
    connecting->tcp = tcp;
    connecting->timeout = (unsigned) ngx_max(tcp->connect_timeout, 1);
    task->ctx = connecting;
    task->handler = connect_there;
    task->event.handler = on_done;
    task->event.data = task;
    task->event.log = (ngx_log_t *) ngx_cycle->log;
    return task;
}


ngx_int_t
mysql_connect_on_thread(tcp_t *tcp, mysql_session_t *s)
{
    ngx_thread_pool_t *pool =
        ngx_thread_pool_get((ngx_cycle_t *) ngx_cycle, &pool_name);
    ngx_thread_task_t *task = pool != NULL ? task_new(tcp, s) : NULL;
    if (task == NULL || ngx_thread_task_post(pool, task) != NGX_OK) {
        if (task != NULL) {
            ngx_free(task);
        }
        s->base.free(&s->base);
        return mysql_refuse(tcp, "no thread to connect on");
    }
    connecting_t *connecting = task->ctx;
    tcp->link.session = &connecting->base;
    tcp->queue_timer.handler = on_timeout;
    tcp->queue_timer.data = tcp;
    tcp->queue_timer.log = (ngx_log_t *) ngx_cycle->log;
    ngx_add_timer(&tcp->queue_timer, tcp->connect_timeout);
    return NGX_AGAIN;
}
