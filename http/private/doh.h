#ifndef HTTP_PRIVATE_DOH_H
#define HTTP_PRIVATE_DOH_H

#include <ngx_config.h>
#include <ngx_core.h>

/* Set handler of dns_over_https: makes the location answer DNS (RFC 8484). */
char *doh_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

#endif
