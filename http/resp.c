/* ngx.header and ngx.resp: the response's headers. */

#include "http/private/api.h"
#include "http/private/headers.h"

typedef ngx_http_headers_out_t out_t;

/* Headers that nginx keeps a pointer to. */
static const struct {
    ngx_str_t name;
    size_t offset;
} single[] = {
    {ngx_string("Server"), offsetof(out_t, server)},
    {ngx_string("Date"), offsetof(out_t, date)},
    {ngx_string("Content-Encoding"), offsetof(out_t, content_encoding)},
    {ngx_string("Location"), offsetof(out_t, location)},
    {ngx_string("Refresh"), offsetof(out_t, refresh)},
    {ngx_string("Last-Modified"), offsetof(out_t, last_modified)},
    {ngx_string("Content-Range"), offsetof(out_t, content_range)},
    {ngx_string("Accept-Ranges"), offsetof(out_t, accept_ranges)},
    {ngx_string("WWW-Authenticate"), offsetof(out_t, www_authenticate)},
    {ngx_string("Expires"), offsetof(out_t, expires)},
    {ngx_string("ETag"), offsetof(out_t, etag)},
};

/* And to all of the name. */
static const struct {
    ngx_str_t name;
    size_t offset;
} many[] = {
    {ngx_string("Cache-Control"), offsetof(out_t, cache_control)},
    {ngx_string("Link"), offsetof(out_t, link)},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const ngx_str_t content_type = ngx_string("Content-Type");
static const ngx_str_t content_length = ngx_string("Content-Length");


static ngx_table_elt_t **
find_single(ngx_http_request_t *r, const ngx_str_t *name)
{
    for (size_t i = 0; i < COUNT(single); i++) {
        if (http_headers_same_name(&single[i].name, name)) {
            return (ngx_table_elt_t **) ((char *) &r->headers_out +
                                         single[i].offset);
        }
    }
    return NULL;
}


static ngx_array_t *
find_many(ngx_http_request_t *r, const ngx_str_t *name)
{
    for (size_t i = 0; i < COUNT(many); i++) {
        if (http_headers_same_name(&many[i].name, name)) {
            return (ngx_array_t *) ((char *) &r->headers_out + many[i].offset);
        }
    }
    return NULL;
}


/* nginx writes Server and Date itself where it finds none of ours. */
static int
is_written_by_nginx(const ngx_str_t *name)
{
    return http_headers_same_name(name, &single[0].name) ||
           http_headers_same_name(name, &single[1].name);
}


static void
clear_type(http_ctx_t *ctx)
{
    out_t *out = &ctx->request->headers_out;
    ngx_str_null(&out->content_type);
    ngx_str_null(&out->charset);
    out->content_type_len = 0;
    out->content_type_lowcase = NULL;
    ctx->type_cleared = 1;
}


/* All headers of the name go. */
static void
clear(http_ctx_t *ctx, const ngx_str_t *name)
{
    ngx_http_request_t *r = ctx->request;
    ngx_table_elt_t **known = find_single(r, name);
    ngx_array_t *array = find_many(r, name);
    for (ngx_list_part_t *part = &r->headers_out.headers.part; part != NULL;
         part = part->next) {
        ngx_table_elt_t *h = part->elts;
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            if (http_headers_same_name(&h[i].key, name)) {
                h[i].hash = 0;
            }
        }
    }
    if (known != NULL) {
        *known = NULL;
    }
    if (array != NULL) {
        array->nelts = 0;
    }
    if (http_headers_same_name(name, &content_type)) {
        clear_type(ctx);
    } else if (http_headers_same_name(name, &content_length)) {
        ngx_http_clear_content_length(r);
    } else if (known == &r->headers_out.last_modified) {
        r->headers_out.last_modified_time = -1;
    }
}


/* The type and, behind charset=, the character set, which nginx keeps apart. */
static void
set_type(http_ctx_t *ctx, const ngx_str_t *value)
{
    out_t *out = &ctx->request->headers_out;
    ctx->type_cleared = value->len == 0;
    out->content_type = *value;
    out->content_type_len = value->len;
    out->content_type_lowcase = NULL;
    ngx_str_null(&out->charset);
    u_char *mark = ngx_strlchr(value->data, value->data + value->len, ';');
    if (mark != NULL) {
        out->content_type_len = (size_t) (mark - value->data);
    }
}


static ngx_int_t
set_length(ngx_http_request_t *r, const ngx_str_t *value)
{
    const off_t size = ngx_atoof(value->data, value->len);
    if (size == NGX_ERROR) {
        return NGX_DECLINED;
    }
    r->headers_out.content_length_n = size;
    return NGX_OK;
}


static ngx_table_elt_t *
push(ngx_http_request_t *r, const ngx_str_t *name, const ngx_str_t *value)
{
    ngx_table_elt_t *h = ngx_list_push(&r->headers_out.headers);
    if (h != NULL) {
        h->hash = 1;
        h->key = *name;
        h->value = *value;
        h->lowcase_key = ngx_pnalloc(r->pool, name->len);
        if (h->lowcase_key == NULL) {
            h->hash = 0;
            return NULL;
        }
        ngx_strlow(h->lowcase_key, name->data, name->len);
    }
    return h;
}


/* nginx's own notes of a header that has come into the list. */
static ngx_int_t
note(ngx_http_request_t *r, const ngx_str_t *name, ngx_table_elt_t *h)
{
    ngx_table_elt_t **known = find_single(r, name);
    ngx_array_t *array = find_many(r, name);
    if (known == &r->headers_out.location && h->value.len > 0 &&
        h->value.data[0] == '/') {
        return NGX_OK; /* nginx would make it absolute */
    }
    if (known == &r->headers_out.last_modified) {
        r->headers_out.last_modified_time =
            ngx_parse_http_time(h->value.data, h->value.len);
    }
    if (known != NULL) {
        *known = h;
    }
    if (array == NULL) {
        return NGX_OK;
    }
    if (array->elts == NULL &&
        ngx_array_init(array, r->pool, 2, sizeof(ngx_table_elt_t *)) !=
            NGX_OK) {
        return NGX_ERROR;
    }
    ngx_table_elt_t **place = ngx_array_push(array);
    if (place == NULL) {
        return NGX_ERROR;
    }
    *place = h;
    return NGX_OK;
}


/* nginx writes Connection itself. */
static int
is_connection(const ngx_str_t *name)
{
    static const ngx_str_t connection = ngx_string("Connection");
    return http_headers_same_name(name, &connection);
}


static int
set_connection(ngx_http_request_t *r, const ngx_str_t *value)
{
    static const ngx_str_t close = ngx_string("close");
    static const ngx_str_t keep = ngx_string("keep-alive");
    static const ngx_str_t upgrade = ngx_string("upgrade");
    if (http_headers_same_name(value, &close)) {
        r->keepalive = 0;
        return 1;
    }
    return http_headers_same_name(value, &keep) ||
           (http_headers_same_name(value, &upgrade) &&
            r->headers_out.status == NGX_HTTP_SWITCHING_PROTOCOLS);
}


/* Adds the value at index. */
static void
add(lua_State *L, http_ctx_t *ctx, const ngx_str_t *name, int index)
{
    ngx_http_request_t *r = ctx->request;
    const ngx_str_t value = http_headers_copy_value(L, r, index);
    if (http_headers_same_name(name, &content_type)) {
        set_type(ctx, &value);
        return;
    }
    if (http_headers_same_name(name, &content_length)) {
        if (set_length(r, &value) != NGX_OK) {
            luaL_error(L, "bad Content-Length: %s", value.data);
        }
        return;
    }
    if (value.len == 0 || name->len == 0 ||
        (is_connection(name) && set_connection(r, &value))) {
        return;
    }
    ngx_table_elt_t *h = push(r, name, &value);
    if (h == NULL || note(r, name, h) != NGX_OK) {
        luaL_error(L, "no memory");
    }
}


/* Replaces by the value at index: a string, number, array, or nil for none. */
static void
set(lua_State *L, http_ctx_t *ctx, const ngx_str_t *name, int index)
{
    const int is_array = lua_istable(L, index);
    const int is_none = lua_isnil(L, index) ||
                        (lua_isstring(L, index) && lua_objlen(L, index) == 0);
    const int count = is_none ? 0 : is_array ? (int) lua_objlen(L, index) : 1;
    clear(ctx, name);
    for (int i = 1; i <= count; i++) {
        if (is_array) {
            lua_rawgeti(L, index, i);
        } else {
            lua_pushvalue(L, index);
        }
        add(L, ctx, name, lua_gettop(L));
        lua_pop(L, 1);
    }
    if (count == 0 && is_written_by_nginx(name)) {
        const ngx_str_t none = ngx_null_string;
        ngx_table_elt_t *h = push(ctx->request, name, &none);
        if (h != NULL) {
            h->hash = 0; /* nginx sees that there is one, and skips it */
            *find_single(ctx->request, name) = h;
        }
    }
}


/* The name as it stands in the response: '_' is '-' in Lua's fields. */
static ngx_str_t
check_name(lua_State *L, ngx_http_request_t *r, int arg)
{
    const ngx_str_t given = http_headers_check_name(L, arg);
    ngx_str_t name = http_headers_copy_name(L, r, &given);
    if (http_loc_conf(r)->transform_underscores) {
        for (size_t i = 0; i < name.len; i++) {
            if (name.data[i] == '_') {
                name.data[i] = '-';
            }
        }
    }
    return name;
}


/* Have the headers been sent?  Logs that, too. */
static int
refuse_header(const http_ctx_t *ctx)
{
    if (!ctx->request->header_sent) {
        return 0;
    }
    ngx_log_error(NGX_LOG_ERR, ctx->base.log, 0,
                  "attempt to set ngx.header.HEADER after sending out "
                  "response headers");
    return 1;
}


/* ngx.header[name] = value */
static int
header_set(lua_State *L)
{
    http_ctx_t *ctx = http_lua_ctx(L, HTTP_ANY);
    if (refuse_header(ctx)) {
        return 0;
    }
    const ngx_str_t name = check_name(L, ctx->request, 2);
    set(L, ctx, &name, 3);
    return 0;
}


/* What nginx does not keep in its list. */
static int
push_special(lua_State *L, ngx_http_request_t *r, const ngx_str_t *name)
{
    const out_t *out = &r->headers_out;
    if (http_headers_same_name(name, &content_type)) {
        if (out->content_type.len == 0) {
            return 0;
        }
        lua_pushlstring(L, (char *) out->content_type.data,
                        out->content_type.len);
        if (out->content_type_len == out->content_type.len &&
            out->charset.len > 0) {
            lua_pushliteral(L, "; charset=");
            lua_pushlstring(L, (char *) out->charset.data, out->charset.len);
            lua_concat(L, 3);
        }
        return 1;
    }
    if (http_headers_same_name(name, &content_length) &&
        out->content_length == NULL && out->content_length_n >= 0) {
        u_char text[NGX_OFF_T_LEN];
        const u_char *end = ngx_sprintf(text, "%O", out->content_length_n);
        lua_pushlstring(L, (char *) text, (size_t) (end - text));
        return 1;
    }
    return 0;
}


/* ngx.header[name]: a string, an array where there are several, or nil. */
static int
header_get(lua_State *L)
{
    ngx_http_request_t *r = http_lua_request(L, HTTP_ANY);
    const ngx_str_t name = check_name(L, r, 2);
    if (push_special(L, r, &name) > 0) {
        return 1;
    }
    lua_newtable(L);
    int count = 0;
    for (const ngx_list_part_t *part = &r->headers_out.headers.part;
         part != NULL; part = part->next) {
        const ngx_table_elt_t *h = part->elts;
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            if (h[i].hash != 0 && http_headers_same_name(&h[i].key, &name)) {
                lua_pushlstring(L, (char *) h[i].value.data, h[i].value.len);
                lua_rawseti(L, -2, ++count);
            }
        }
    }
    if (count == 1) {
        lua_rawgeti(L, -1, 1);
    } else if (count == 0) {
        lua_pushnil(L);
    }
    return 1;
}


static void
push_field(lua_State *L, const char *name, const char *value, int raw,
           int table)
{
    const ngx_str_t text = {ngx_strlen(name), (u_char *) name};
    http_headers_push_name(L, &text, raw);
    lua_pushstring(L, value);
    http_headers_add(L, table);
}


/* What nginx keeps besides its list, into the table. */
static void
push_specials(lua_State *L, ngx_http_request_t *r, int raw, int table)
{
    if (push_special(L, r, &content_type) > 0) {
        push_field(L, "Content-Type", lua_tostring(L, -1), raw, table);
    }
    lua_settop(L, table);
    if (push_special(L, r, &content_length) > 0) {
        push_field(L, "Content-Length", lua_tostring(L, -1), raw, table);
    }
    lua_settop(L, table);
}


void
http_resp_push_headers(lua_State *L, ngx_http_request_t *r)
{
    const ngx_http_headers_out_t *out = &r->headers_out;
    const http_headers_want_t want = {.raw = 1, .skip_cleared = 1};
    const int table = lua_gettop(L);
    push_specials(L, r, want.raw, table);
    if (out->last_modified == NULL && out->last_modified_time != -1) {
        char text[sizeof("Mon, 28 Sep 1970 06:00:00 GMT")];
        *ngx_http_time((u_char *) text, out->last_modified_time) = '\0';
        push_field(L, "Last-Modified", text, want.raw, table);
    }
    (void) http_headers_push(L, &out->headers, &want);
}


/* ngx.resp.get_headers(max?, raw?) */
static int
get_headers(lua_State *L)
{
    ngx_http_request_t *r = http_lua_request(L, HTTP_ANY);
    const http_headers_want_t want = {
        .max = luaL_optinteger(L, 1, HTTP_HEADERS_MAX),
        .raw = lua_toboolean(L, 2),
        .skip_cleared = 1,
    };
    lua_createtable(L, 0, 16);
    const int table = lua_gettop(L);
    push_specials(L, r, want.raw, table);
    push_field(L, "connection", r->keepalive ? "keep-alive" : "close", want.raw,
               table);
    const ngx_int_t rc = http_headers_push(L, &r->headers_out.headers, &want);
    if (!want.raw) {
        http_headers_set_meta(L);
    }
    if (rc == NGX_DECLINED) {
        lua_pushliteral(L, "truncated");
        return 2;
    }
    return 1;
}


/* ngx.resp.add_header(name, value) */
static int
add_header(lua_State *L)
{
    http_ctx_t *ctx = http_lua_ctx(L, HTTP_ANY & ~RESOLUA_LOG);
    if (lua_isnoneornil(L, 2)) {
        return luaL_error(L, "invalid header value");
    }
    if (refuse_header(ctx)) {
        return 0;
    }
    const ngx_str_t name = check_name(L, ctx->request, 1);
    const int is_array = lua_istable(L, 2);
    const int count = is_array ? (int) lua_objlen(L, 2) : 1;
    for (int i = 1; i <= count; i++) {
        if (is_array) {
            lua_rawgeti(L, 2, i);
        } else {
            lua_pushvalue(L, 2);
        }
        add(L, ctx, &name, lua_gettop(L));
        lua_pop(L, 1);
    }
    return 0;
}


ngx_int_t
http_resp_default_type(ngx_http_request_t *r)
{
    const http_ctx_t *ctx = http_ctx_find(r);
    if (r->headers_out.content_type.len > 0 ||
        r->headers_out.status == NGX_HTTP_NOT_MODIFIED ||
        !http_loc_conf(r)->use_default_type ||
        (ctx != NULL && ctx->type_cleared)) {
        return NGX_OK;
    }
    return ngx_http_set_content_type(r);
}


void
http_resp_setup(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"get_headers", get_headers},
        {"add_header", add_header},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {
        {"__index", header_get},
        {"__newindex", header_set},
        {NULL, NULL},
    };
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    lua_setfield(L, -2, "resp");
    lua_newtable(L);
    lua_newtable(L);
    luaL_register(L, NULL, meta);
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "header");
}
