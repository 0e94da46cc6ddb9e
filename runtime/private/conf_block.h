#ifndef RESOLUA_RUNTIME_PRIVATE_CONF_BLOCK_H
#define RESOLUA_RUNTIME_PRIVATE_CONF_BLOCK_H

#include <ngx_config.h>
#include <ngx_core.h>

/* Reads on behind the opening brace, past the closing one.  NGX_DECLINED: the
   file ends before it. */
ngx_int_t resolua_conf_read_block(ngx_conf_t *cf, ngx_str_t *text);

#endif
