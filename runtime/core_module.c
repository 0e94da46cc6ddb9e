#include <ngx_config.h>
#include <ngx_core.h>

static ngx_core_module_t core_module_ctx = {
    ngx_string("resolua"),
    NULL,
    NULL,
};

ngx_module_t ngx_resolua_core_module = {
    NGX_MODULE_V1,
    &core_module_ctx,
    NULL,
    NGX_CORE_MODULE,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NGX_MODULE_V1_PADDING,
};
