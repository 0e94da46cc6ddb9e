#ifndef STREAM_REST_H
#define STREAM_REST_H

/* Octets of a connection that did not go through at once; zeroed at first. */

#include <ngx_config.h>
#include <ngx_core.h>

#include <stdint.h>

typedef struct {
    uint8_t *octets; /* owned; NULL: none */
    size_t at;       /* those before have gone */
    size_t size;
} rest_t;

void rest_drop(rest_t *rest);

/* Only these; they may lie in rest.  NGX_ERROR: no memory; rest stays. */
ngx_int_t rest_keep(rest_t *rest, const uint8_t *octets, size_t size,
                    ngx_log_t *log);

/* Behind what is there. */
ngx_int_t rest_append(rest_t *rest, const uint8_t *octets, size_t size,
                      ngx_log_t *log);

#endif
