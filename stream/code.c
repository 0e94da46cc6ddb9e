#include "stream/code.h"

#include "runtime/conf.h"
#include "runtime/vm.h"
#include "stream/context.h"


static char *
compile_file(ngx_conf_t *cf, ngx_str_t *name, stream_code_t *code)
{
    if (ngx_stream_script_variables_count(name) == 0) {
        return NGX_CONF_OK;
    }
    code->file = ngx_pcalloc(cf->pool, sizeof(*code->file));
    if (code->file == NULL) {
        return NGX_CONF_ERROR;
    }
    ngx_stream_compile_complex_value_t compile = {
        .cf = cf, .value = name, .complex_value = code->file};
    return ngx_stream_compile_complex_value(&compile) == NGX_OK
               ? NGX_CONF_OK
               : NGX_CONF_ERROR;
}


char *
stream_code_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    stream_code_t **place = (void *) ((char *) conf + cmd->offset);
    ngx_str_t *value = cf->args->elts;
    if (*place != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }
    stream_code_t *code = ngx_pcalloc(cf->pool, sizeof(*code));
    if (code == NULL) {
        return NGX_CONF_ERROR;
    }
    *place = code;
    char *rc = resolua_conf_read_code(cf, cmd, &code->code);
    return rc == NGX_CONF_OK && code->code->path.len > 0
               ? compile_file(cf, &value[1], code)
               : rc;
}


/* The file's name with its variables filled in, under the prefix. */
static ngx_int_t
find_path(ngx_stream_session_t *s, const stream_code_t *code, ngx_str_t *name)
{
    ngx_pool_t *pool = s->connection->pool;
    if (ngx_stream_complex_value(s, code->file, name) == NGX_OK &&
        ngx_get_full_name(pool, (ngx_str_t *) &ngx_cycle->prefix, name) ==
            NGX_OK) {
        u_char *path = ngx_pnalloc(pool, name->len + 1);
        if (path != NULL) {
            *ngx_cpymem(path, name->data, name->len) = '\0';
            name->data = path;
            return NGX_OK;
        }
    }
    lua_pushliteral(resolua_vm, "no memory");
    return NGX_ERROR;
}


static ngx_int_t
push(ngx_stream_session_t *s, const stream_code_t *code)
{
    const stream_conf_t *conf =
        ngx_stream_get_module_srv_conf(s, ngx_stream_resolua_module);
    stream_context_t *context = stream_context(s);
    ngx_str_t name = ngx_null_string;
    if (code->file != NULL && find_path(s, code, &name) != NGX_OK) {
        return NGX_ERROR;
    }
    const char *path = (const char *) name.data;
    if (!conf->code_cache && context != NULL) {
        return resolua_code_push_fresh(resolua_vm, &context->request,
                                       code->code, path);
    }
    return path != NULL
               ? resolua_code_push_file(resolua_vm, path, code->code->cache)
               : resolua_code_push(resolua_vm, code->code);
}


ngx_int_t
stream_code_push(ngx_stream_session_t *s, const stream_code_t *code)
{
    const ngx_int_t rc = push(s, code);
    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, s->connection->log, 0,
                      "failed to load Lua code: %s",
                      resolua_error_text(resolua_vm));
        lua_pop(resolua_vm, 1);
    }
    return rc;
}
