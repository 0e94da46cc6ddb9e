/* Handlers of the *_by_lua directives. */

#include "http/private/conf.h"

#include "http/private/phases.h"


/* A file name with variables is put together for each request. */
char *
http_conf_file(ngx_conf_t *cf, ngx_str_t *name, http_code_t *code)
{
    if (ngx_http_script_variables_count(name) == 0) {
        return NGX_CONF_OK;
    }
    code->file = ngx_pcalloc(cf->pool, sizeof(*code->file));
    if (code->file == NULL) {
        return NGX_CONF_ERROR;
    }
    ngx_http_compile_complex_value_t compile = {
        .cf = cf, .value = name, .complex_value = code->file};
    return ngx_http_compile_complex_value(&compile) == NGX_OK ? NGX_CONF_OK
                                                              : NGX_CONF_ERROR;
}


char *
http_conf_code(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    http_code_t **place = (void *) ((char *) conf + cmd->offset);
    ngx_str_t *value = cf->args->elts;
    if (*place != NULL) {
        return "is duplicate";
    }
    http_code_t *code = ngx_pcalloc(cf->pool, sizeof(*code));
    if (code == NULL) {
        return NGX_CONF_ERROR;
    }
    char *rc = resolua_conf_read_code(cf, cmd, &code->code);
    if (rc == NGX_CONF_OK && code->code->path.len > 0) {
        rc = http_conf_file(cf, &value[1], code);
    }
    if (rc != NGX_CONF_OK) {
        return rc;
    }
    http_main_conf_t *main_conf =
        ngx_http_conf_get_module_main_conf(cf, ngx_http_resolua_module);
    main_conf->used |= (ngx_uint_t) (uintptr_t) cmd->post;
    *place = code;
    return NGX_CONF_OK;
}


char *
http_conf_content(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char *rc = http_conf_code(cf, cmd, conf);
    if (rc == NGX_CONF_OK) {
        ngx_http_core_loc_conf_t *clcf =
            ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
        clcf->handler = http_content_handler;
    }
    return rc;
}
