#ifndef STREAM_ACCESS_H
#define STREAM_ACCESS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_stream.h>

/* allow and deny of a server: what ngx_stream_access_module has read, or NULL
   where there are no rules. */
const void *stream_access_rules(const ngx_conf_t *cf,
                                const ngx_stream_conf_ctx_t *ctx);

/* Do the rules let the client in?  As the module itself decides. */
ngx_uint_t stream_access_allows(const void *rules,
                                const struct sockaddr *client);

#endif
