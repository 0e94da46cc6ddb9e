/* Connecting with TLS, on a thread: a session that stands in the socket for its
   time. */

#include "runtime/private/mysql.h"


static mysql_session_t *
session_of(tcp_session_t *stand_in)
{
    return (mysql_session_t *) ((u_char *) stand_in -
                                offsetof(mysql_session_t, stand_in));
}


static void
end_waiting(const mysql_session_t *s)
{
    ngx_event_t *timer = &s->tcp->queue_timer;
    if (timer->timer_set) {
        ngx_del_timer(timer);
    }
}


/* The socket is closed before the thread is done. */
static void
abandon(tcp_session_t *stand_in)
{
    const mysql_session_t *s = session_of(stand_in);
    end_waiting(s);
    resolua_connecting_abandon(s->connecting);
}


static int
push_nothing(tcp_session_t *stand_in, lua_State *L)
{
    (void) stand_in;
    (void) L;
    return 0;
}


/* On the other thread. */
static void
connect_there(void *object)
{
    mysql_session_t *s = object;
    s->step = client_mysql_connect(s->client, s->timeout);
}


static void
free_abandoned(void *object)
{
    mysql_session_t *s = object;
    s->base.free(&s->base);
}


static void
on_done(void *data)
{
    mysql_session_t *s = data;
    tcp_t *tcp = s->tcp;
    end_waiting(s);
    tcp->link.session = &s->base;
    tcp_connect_again(tcp, mysql_connect_state(tcp, s, s->step));
}


static void
on_timeout(ngx_event_t *ev)
{
    tcp_t *tcp = ev->data;
    tcp_connect_again(tcp, mysql_refuse(tcp, "timeout"));
}


ngx_int_t
mysql_connect_on_thread(tcp_t *tcp, mysql_session_t *s)
{
    const resolua_connector_t connector = {
        .object = s,
        .connect = connect_there,
        .free = free_abandoned,
        .done = on_done,
        .data = s,
    };
    s->stand_in.free = abandon;
    s->stand_in.push_error = push_nothing;
    s->tcp = tcp;
    s->timeout = (unsigned) ngx_max(tcp->connect_timeout, 1);
    s->connecting = resolua_connecting_begin(&connector);
    if (s->connecting == NULL) {
        s->base.free(&s->base);
        return mysql_refuse(tcp, "no thread to connect on");
    }
    tcp->link.session = &s->stand_in;
    tcp->queue_timer.handler = on_timeout;
    tcp->queue_timer.data = tcp;
    tcp->queue_timer.log = (ngx_log_t *) ngx_cycle->log;
    ngx_add_timer(&tcp->queue_timer, tcp->connect_timeout);
    return NGX_AGAIN;
}
