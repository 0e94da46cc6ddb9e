#ifndef STREAM_PHASES_H
#define STREAM_PHASES_H

/* Lua in the phases of a session. */

#include "stream/conf.h"

/* Puts the handlers into stream's phases. */
ngx_int_t phases_postconfiguration(ngx_conf_t *cf, ngx_flag_t no_postpone);

/* When all handlers are in their places. */
void phases_init_module(ngx_cycle_t *cycle);

/* A server's content handler: content_by_lua. */
void phases_content(ngx_stream_session_t *s);

#endif
