#include "runtime/conf.h"

#include "runtime/dict.h"
#include "runtime/private/conf_block.h"

static int
ends_with(const ngx_str_t *name, const char *end)
{
    const size_t size = ngx_strlen(end);
    return name->len > size &&
           ngx_memcmp(name->data + name->len - size, end, size) == 0;
}


static char *
make_name(ngx_conf_t *cf, const ngx_str_t *directive, ngx_uint_t line)
{
    const ngx_str_t *file = &cf->conf_file->file.name;
    size_t base = file->len;
    while (base > 0 && file->data[base - 1] != '/') {
        base--;
    }
    const size_t stem =
        directive->len - (ends_with(directive, "_block") ? 6 : 0);
    const size_t size = stem + file->len + NGX_INT_T_LEN + sizeof("=(:)");
    u_char *name = ngx_pnalloc(cf->pool, size);
    if (name != NULL) {
        *ngx_snprintf(name, size - 1, "=%*s(%*s:%ui)", stem, directive->data,
                      file->len - base, file->data + base, line) = 0;
    }
    return (char *) name;
}


char *
resolua_conf_read_code(ngx_conf_t *cf, ngx_command_t *cmd,
                       resolua_code_t **result)
{
    ngx_str_t *value = cf->args->elts;
    const ngx_uint_t line = cf->conf_file->line;
    resolua_code_t *code = ngx_pcalloc(cf->pool, sizeof(*code));
    if (code == NULL) {
        return NGX_CONF_ERROR;
    }
    code->ref = LUA_NOREF;
    code->cache = resolua_core_conf(cf->cycle)->code_cache;
    if (ends_with(&cmd->name, "_block")) {
        if (resolua_conf_read_block(cf, &code->source) != NGX_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "no closing brace for the Lua code of line %ui",
                               line);
            return NGX_CONF_ERROR;
        }
    } else if (ends_with(&cmd->name, "_file")) {
        code->path = value[1];
        if (ngx_conf_full_name(cf->cycle, &code->path, 0) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    } else {
        code->source = value[1];
    }
    code->chunk_name = make_name(cf, &cmd->name, line);
    *result = code;
    return code->chunk_name != NULL ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
resolua_conf_code(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    resolua_code_t **code = (void *) ((char *) conf + cmd->offset);
    if (*code != NULL && *code != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }
    return resolua_conf_read_code(cf, cmd, code);
}


char *
resolua_conf_init(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    (void) conf;
    resolua_core_conf_t *core = resolua_core_conf(cf->cycle);
    resolua_code_t *code;
    char *rc = resolua_conf_read_code(cf, cmd, &code);
    if (rc != NGX_CONF_OK) {
        return rc;
    }
    ngx_array_t *list = cmd->name.data[0] == 'e' ? &core->exit_worker
                        : cmd->name.data[4] == '_' && cmd->name.data[5] == 'w'
                            ? &core->init_worker
                            : &core->init;
    resolua_code_t **place = ngx_array_push(list);
    if (place == NULL) {
        return NGX_CONF_ERROR;
    }
    *place = code;
    return NGX_CONF_OK;
}


static ngx_uint_t
has_default(const ngx_str_t *path)
{
    return ngx_strnstr(path->data, ";;", path->len) != NULL;
}


/* What came first is looked in first.  The default comes twice then, which only
   makes a failing require slower. */
static char *
append_path(ngx_conf_t *cf, ngx_str_t *path, const ngx_str_t *more)
{
    const ngx_uint_t ends = path->data[path->len - 1] == ';';
    u_char *both = ngx_pnalloc(cf->pool, path->len + 1 + more->len);
    if (both == NULL) {
        return NGX_CONF_ERROR;
    }
    u_char *end = ngx_cpymem(both, path->data, path->len);
    if (!ends) {
        *end++ = ';';
    }
    end = ngx_cpymem(end, more->data, more->len);
    path->data = both;
    path->len = (size_t) (end - both);
    return NGX_CONF_OK;
}


char *
resolua_conf_path(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    (void) conf;
    const ngx_str_t *value = cf->args->elts;
    resolua_core_conf_t *core = resolua_core_conf(cf->cycle);
    ngx_str_t *path = cmd->name.len == sizeof("lua_package_path") - 1
                          ? &core->path
                          : &core->cpath;
    if (path->len == 0) {
        *path = value[1];
        return NGX_CONF_OK;
    }
    if (path->len == value[1].len &&
        ngx_memcmp(path->data, value[1].data, path->len) == 0) {
        return NGX_CONF_OK;
    }
    if (has_default(path) != has_default(&value[1])) {
        return "contradicts an earlier one, only one of them has \";;\": "
               "stream "
               "and http share one Lua VM";
    }
    return append_path(cf, path, &value[1]);
}


static char *
warn_of_no_cache(ngx_conf_t *cf, void *post, void *flag)
{
    (void) post;
    if (*(const ngx_flag_t *) flag == 0) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, 0,
                           "lua_code_cache is off; this will hurt performance");
    }
    return NGX_CONF_OK;
}

ngx_conf_post_t resolua_conf_code_cache_post = {warn_of_no_cache};


char *
resolua_conf_code_cache(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_flag_t *cache = &resolua_core_conf(cf->cycle)->code_cache;
    const ngx_str_t *value = cf->args->elts;
    (void) cmd;
    (void) conf;
    *cache = value[1].len == 2;
    return warn_of_no_cache(cf, NULL, cache);
}


/* lua_shared_dict NAME SIZE */
char *
resolua_conf_dict(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t *value = cf->args->elts;
    const ssize_t size = ngx_parse_size(&value[2]);
    (void) cmd;
    (void) conf;
    if (size == NGX_ERROR || size <= 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid lua shared dict size \"%V\"", &value[2]);
        return NGX_CONF_ERROR;
    }
    return resolua_dict_conf(cf, &value[1], (size_t) size);
}


static char *
set_number(ngx_conf_t *cf, const ngx_command_t *cmd, ssize_t number)
{
    char *core = (char *) resolua_core_conf(cf->cycle);
    ssize_t *place = (ssize_t *) (core + cmd->offset);
    if (*place != NGX_CONF_UNSET && *place != number) {
        return "contradicts an earlier one: stream and http share one Lua VM";
    }
    *place = number;
    return NGX_CONF_OK;
}


/* A size or count at cmd->offset of the core module's configuration. */
char *
resolua_conf_number(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    (void) conf;
    ngx_str_t *value = cf->args->elts;
    const ssize_t number = ngx_parse_size(&value[1]);
    return number == NGX_ERROR ? "invalid value" : set_number(cf, cmd, number);
}


char *
resolua_conf_flag(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    (void) conf;
    const ngx_str_t *value = cf->args->elts;
    const ngx_uint_t is_on =
        ngx_strcasecmp(value[1].data, (u_char *) "on") == 0;
    const ngx_uint_t is_off =
        ngx_strcasecmp(value[1].data, (u_char *) "off") == 0;
    return is_on || is_off ? set_number(cf, cmd, (ssize_t) is_on)
                           : "must be \"on\" or \"off\"";
}
