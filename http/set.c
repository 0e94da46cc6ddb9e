/* set_by_lua*: a variable's value from a chunk, among the directives of the
   rewrite module.  The NDK puts the chunk there; it is a weak reference, so
   that a server without the NDK misses these directives only. */

#include "http/private/set.h"

#include <ndk_set_var.h>

#include "http/private/api.h"
#include "http/private/arg.h"
#include "http/private/phases.h"

#pragma weak ndk_set_var_multi_value_core

typedef struct {
    http_code_t code;
    ngx_uint_t arg_count;
    unsigned is_args : 1; /* $args, which goes into request lines */
} set_t;


static ngx_int_t
take_result(lua_State *L, ngx_http_request_t *r, ngx_str_t *out)
{
    size_t size = 0;
    const char *text = lua_isboolean(L, -1)
                           ? (lua_toboolean(L, -1) ? "true" : "false")
                           : lua_tolstring(L, -1, &size);
    if (lua_isboolean(L, -1)) {
        size = ngx_strlen(text);
    }
    out->len = size;
    out->data = ngx_pnalloc(r->pool, size + 1);
    if (out->data == NULL) {
        return NGX_ERROR;
    }
    if (size > 0) {
        ngx_memcpy(out->data, text, size);
    }
    return NGX_OK;
}


/* An ndk_set_var_value_data_pt. */
static ngx_int_t
run(ngx_http_request_t *r, ngx_str_t *out, ngx_http_variable_value_t *values,
    void *data)
{
    set_t *set = data;
    http_ctx_t *ctx = http_ctx(r);
    lua_State *L = resolua_vm;
    if (ctx == NULL) {
        return NGX_ERROR;
    }
    if (http_code_push(ctx, &set->code) != NGX_OK) {
        return NGX_ERROR;
    }
    http_arg_t arg = {.values = values, .count = set->arg_count};
    http_arg_t *before = http_arg_enter(&arg);
    ngx_int_t rc = resolua_run_function_sync(&ctx->base, 0, RESOLUA_SET, 1);
    http_arg_leave(before);
    if (rc != NGX_OK) {
        return NGX_ERROR;
    }
    rc = take_result(L, r, out);
    if (rc == NGX_OK && set->is_args) {
        rc = http_args_escape(r, out);
    }
    lua_pop(L, 1);
    return rc;
}


/* Reads the code, which stands behind the variable's name. */
static char *
read_code(ngx_conf_t *cf, ngx_command_t *cmd, http_code_t *code)
{
    ngx_str_t *value = cf->args->elts;
    cf->args->elts = value + 1;
    char *rc = resolua_conf_read_code(cf, cmd, &code->code);
    cf->args->elts = value;
    return rc == NGX_CONF_OK && code->code->path.len > 0
               ? http_conf_file(cf, &value[2], code)
               : rc;
}


char *
http_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t *value = cf->args->elts;
    const ngx_uint_t has_block = cmd->type & NGX_CONF_BLOCK ? 1 : 0;
    set_t *set = ngx_pcalloc(cf->pool, sizeof(*set));
    ngx_str_t name = value[1];
    (void) conf;
    if (set == NULL) {
        return NGX_CONF_ERROR;
    }
    if (ndk_set_var_multi_value_core == NULL) {
        return "needs ndk_http_module.so, loaded before this module";
    }
    set->is_args =
        name.len == sizeof("$args") - 1 &&
        ngx_strncasecmp(name.data, (u_char *) "$args", name.len) == 0;
    set->arg_count = has_block ? 0 : cf->args->nelts - 3;
    ndk_set_var_t filter = {
        .type = NDK_SET_VAR_MULTI_VALUE_DATA,
        .func = (void *) run,
        .size = set->arg_count,
        .data = set,
    };
    ngx_str_t *args = has_block ? value : value + 3;
    char *rc = ndk_set_var_multi_value_core(cf, &name, args, &filter);
    return rc == NGX_CONF_OK ? read_code(cf, cmd, &set->code) : rc;
}
