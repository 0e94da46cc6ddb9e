/* Descriptors that protocol machines and client libraries own, among nginx's
   events. */

#include "server/private/remote.h"


void
remote_descriptor_forget(ngx_connection_t **connection)
{
    ngx_connection_t *c = *connection;
    if (c == NULL) {
        return;
    }
    *connection = NULL;
    /* Its owner has closed it, or does so at once. */
    if (ngx_del_conn != NULL) {
        ngx_del_conn(c, NGX_CLOSE_EVENT);
    } else {
        ngx_del_event(c->read, NGX_READ_EVENT, NGX_CLOSE_EVENT);
        ngx_del_event(c->write, NGX_WRITE_EVENT, NGX_CLOSE_EVENT);
    }
    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }
    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }
    ngx_free_connection(c);
    c->fd = (ngx_socket_t) -1;
}


ngx_int_t
remote_descriptor_watch(ngx_connection_t **connection, ngx_socket_t fd,
                        ngx_event_handler_pt handler, void *data)
{
    remote_descriptor_forget(connection);
    ngx_connection_t *c = ngx_get_connection(fd, ngx_cycle->log);
    if (c == NULL) {
        return NGX_ERROR;
    }
    *connection = c;
    c->data = data;
    c->read->handler = c->write->handler = handler;
    c->read->log = c->write->log = ngx_cycle->log;
    return ngx_add_conn != NULL
               ? ngx_add_conn(c)
               : (ngx_add_event(c->read, NGX_READ_EVENT, 0) == NGX_OK
                      ? ngx_add_event(c->write, NGX_WRITE_EVENT, 0)
                      : NGX_ERROR);
}
