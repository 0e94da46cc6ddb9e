#include <ngx_config.h>
#include <ngx_core.h>

/* The list that nginx reads when it loads this file (auto/module writes such a
   list for modules that are configured into nginx's own build).  The DNS
   module stands first: init_worker_by_lua finds its store open. */

#define EXPORT __attribute__((visibility("default")))

extern ngx_module_t ngx_resolua_core_module;
extern ngx_module_t ngx_resolua_dns_module;
extern ngx_module_t ngx_stream_resolua_module;
extern ngx_module_t ngx_http_resolua_module;

EXPORT ngx_module_t *ngx_modules[] = {
    &ngx_resolua_dns_module,
    &ngx_resolua_core_module,
    &ngx_stream_resolua_module,
    &ngx_http_resolua_module,
    NULL,
};
EXPORT char *ngx_module_names[] = {
    "ngx_resolua_dns_module",
    "ngx_resolua_core_module",
    "ngx_stream_resolua_module",
    "ngx_http_resolua_module",
    NULL,
};
/* Our filters run behind nginx's copy filter, which gives them memory. */
EXPORT char *ngx_module_order[] = {
    "ngx_http_resolua_module",
    "ngx_http_copy_filter_module",
    NULL,
};
