#ifndef STREAM_BALANCER_H
#define STREAM_BALANCER_H

/* balancer_by_lua* in upstream {}, and the upstreams as ngx.upstream has
   them. */

#include "stream/conf.h"

/* ngx_command_t set handler of balancer_by_lua*. */
char *balancer_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

void stream_upstream_register(void);

#endif
