#ifndef RESOLUA_HTTP_PRIVATE_SET_H
#define RESOLUA_HTTP_PRIVATE_SET_H

#include "http/private/conf.h"

/* The set handler of set_by_lua $VARIABLE CODE|FILE|{} [ARGUMENT ...] */
char *http_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

#endif
