#ifndef RESOLUA_RUNTIME_KEPT_H
#define RESOLUA_RUNTIME_KEPT_H

/* Connections to peers that are kept idle for a later use. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

/* Whether the idle connection can be used.  NGX_OK: it can, nothing has come;
   NGX_DONE: the peer has ended it, by TLS's close_notify too; NGX_BUSY:
   something has come that nobody has asked for; NGX_ERROR: it is broken.  What
   TLS sends for itself, such as tickets of sessions, is taken in. */
ngx_int_t resolua_kept_check(ngx_connection_t *c);

/* The same in an event of an idle connection, which is watched again if it can
   be used.  Its time may be over, or the worker wants it closed: NGX_DONE. */
ngx_int_t resolua_kept_on_event(ngx_connection_t *c);

#endif
