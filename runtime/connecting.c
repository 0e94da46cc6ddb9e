#include "runtime/connecting.h"

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_thread_pool.h>

struct resolua_connecting_s {
    resolua_connector_t connector;
    ngx_uint_t is_abandoned;
};

static ngx_str_t pool_name = ngx_string("default");


/* On the other thread. */
static void
connect_there(void *data, ngx_log_t *log)
{
    const resolua_connecting_t *connecting = data;
    (void) log;
    connecting->connector.connect(connecting->connector.object);
}


static void
on_done(ngx_event_t *ev)
{
    ngx_thread_task_t *task = ev->data;
    const resolua_connecting_t connecting = *(resolua_connecting_t *) task->ctx;
    ngx_free(task);
    if (connecting.is_abandoned) {
        connecting.connector.free(connecting.connector.object);
    } else {
        connecting.connector.done(connecting.connector.data);
    }
}


resolua_connecting_t *
resolua_connecting_begin(const resolua_connector_t *connector)
{
    ngx_thread_pool_t *pool =
        ngx_thread_pool_get((ngx_cycle_t *) ngx_cycle, &pool_name);
    ngx_thread_task_t *task = ngx_calloc(
        sizeof(*task) + sizeof(resolua_connecting_t), ngx_cycle->log);
    if (task == NULL) {
        return NULL;
    }
    resolua_connecting_t *connecting = (resolua_connecting_t *) (task + 1);
    connecting->connector = *connector;
    task->ctx = connecting;
    task->handler = connect_there;
    task->event.handler = on_done;
    task->event.data = task;
    task->event.log = (ngx_log_t *) ngx_cycle->log;
    if (pool == NULL || ngx_thread_task_post(pool, task) != NGX_OK) {
        ngx_free(task);
        return NULL;
    }
    return connecting;
}


void
resolua_connecting_abandon(resolua_connecting_t *connecting)
{
    connecting->is_abandoned = 1;
}
