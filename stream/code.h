#ifndef STREAM_CODE_H
#define STREAM_CODE_H

/* The chunks of a server {} of stream {}: code in the configuration, or a file
   whose name may have variables, filled in for each session. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_stream.h>

#include "runtime/code.h"

typedef struct {
    resolua_code_t *code;
    ngx_stream_complex_value_t *file; /* a name with variables, or NULL */
} stream_code_t;

/* An ngx_command_t set handler: reads a stream_code_t to cmd->offset of conf.
 */
char *stream_code_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* Pushes the chunk on resolua_vm as a function.  NGX_ERROR: nothing is pushed,
   and the reason is in the log. */
ngx_int_t stream_code_push(ngx_stream_session_t *s, const stream_code_t *code);

#endif
