/* ngx.req: the request's headers. */

#include "http/private/api.h"
#include "http/private/headers.h"


static int
get_headers(lua_State *L)
{
    const ngx_http_request_t *r = http_lua_request(L, HTTP_ANY);
    const http_headers_want_t want = {
        .max = luaL_optinteger(L, 1, HTTP_HEADERS_MAX),
        .raw = lua_toboolean(L, 2),
    };
    lua_createtable(L, 0, 16);
    const ngx_int_t rc = http_headers_push(L, &r->headers_in.headers, &want);
    if (!want.raw) {
        http_headers_set_meta(L);
    }
    if (rc == NGX_DECLINED) {
        lua_pushliteral(L, "truncated");
        return 2;
    }
    return 1;
}


/* nginx's place for a header of this name in headers_in, or NULL. */
static ngx_http_header_t *
find_known(ngx_http_request_t *r, const ngx_str_t *name, u_char *low)
{
    ngx_http_core_main_conf_t *cmcf =
        ngx_http_get_module_main_conf(r, ngx_http_core_module);
    const ngx_uint_t hash = ngx_hash_strlow(low, name->data, name->len);
    ngx_http_header_t *known =
        ngx_hash_find(&cmcf->headers_in_hash, hash, low, name->len);
    return known;
}


static int
is_array(const ngx_http_header_t *known)
{
    return known->offset == offsetof(ngx_http_headers_in_t, cookies) ||
           known->offset == offsetof(ngx_http_headers_in_t, x_forwarded_for);
}


/* headers_in.MEMBER for a header that has come into the list. */
static ngx_int_t
note_header(ngx_http_request_t *r, const ngx_http_header_t *known,
            ngx_table_elt_t *h)
{
    char *place = (char *) &r->headers_in + known->offset;
    if (!is_array(known)) {
        ngx_table_elt_t **member = (ngx_table_elt_t **) place;
        if (*member == NULL) {
            *member = h;
        }
        return NGX_OK;
    }
    ngx_array_t *array = (ngx_array_t *) place;
    if (array->elts == NULL &&
        ngx_array_init(array, r->pool, 1, sizeof(ngx_table_elt_t *)) !=
            NGX_OK) {
        return NGX_ERROR;
    }
    ngx_table_elt_t **member = ngx_array_push(array);
    if (member == NULL) {
        return NGX_ERROR;
    }
    *member = h;
    return NGX_OK;
}


static void
forget_header(ngx_http_request_t *r, const ngx_http_header_t *known)
{
    char *place = (char *) &r->headers_in + known->offset;
    if (is_array(known)) {
        ((ngx_array_t *) place)->nelts = 0;
    } else {
        *(ngx_table_elt_t **) place = NULL;
    }
}


static void
note_user_agent(ngx_http_headers_in_t *in, const ngx_str_t *value)
{
    static const struct {
        const char *word;
        int browser;
    } words[] = {
        {"Gecko/", 0}, {"Chrome/", 1}, {"Safari/", 2}, {"Konqueror", 3}};
    const int found_opera =
        value->len > 0 && ngx_strstrn(value->data, "Opera", 4);
    in->msie = in->msie6 = in->gecko = in->chrome = in->safari = in->konqueror =
        0;
    in->opera = found_opera ? 1 : 0;
    if (value->len == 0 || found_opera) {
        return;
    }
    if (ngx_strstrn(value->data, "MSIE ", 4) != NULL) {
        in->msie = 1;
        return;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (ngx_strstrn(value->data, (char *) words[i].word,
                        ngx_strlen(words[i].word) - 1) != NULL) {
            in->gecko = words[i].browser == 0;
            in->chrome = words[i].browser == 1;
            in->safari = words[i].browser == 2;
            in->konqueror = words[i].browser == 3;
            return;
        }
    }
}


static void
note_connection(ngx_http_headers_in_t *in, const ngx_str_t *value)
{
    in->connection_type = 0;
    if (value->len == 0) {
        return;
    }
    if (ngx_strcasestrn(value->data, "close", 4) != NULL) {
        in->connection_type = NGX_HTTP_CONNECTION_CLOSE;
    } else if (ngx_strcasestrn(value->data, "keep-alive", 9) != NULL) {
        in->connection_type = NGX_HTTP_CONNECTION_KEEP_ALIVE;
    }
}


/* The size of the name at the beginning of a Host header, without port and dot
   at the end, as nginx has it.  NGX_DECLINED: it is no host's. */
static ngx_int_t
find_host(const ngx_str_t *value, size_t *size)
{
    const int is_literal = value->len > 0 && value->data[0] == '[';
    size_t end = value->len; /* of the name */
    for (size_t i = 0; i < value->len; i++) {
        const u_char c = value->data[i];
        if (c == '/' || (c == '.' && i > 0 && value->data[i - 1] == '.')) {
            return NGX_DECLINED;
        }
        if (end == value->len && c == (is_literal ? ']' : ':')) {
            end = is_literal ? i + 1 : i;
        }
    }
    if (end > 0 && value->data[end - 1] == '.') {
        end--;
    }
    *size = end;
    return end > 0 ? NGX_OK : NGX_DECLINED;
}


/* $host, in lower case */
static void
note_host(ngx_http_request_t *r, const ngx_str_t *value)
{
    ngx_str_t *host = &r->headers_in.server;
    size_t size;
    ngx_str_null(host);
    if (find_host(value, &size) != NGX_OK) {
        return;
    }
    u_char *name = ngx_pnalloc(r->pool, size);
    if (name != NULL) {
        ngx_strlow(name, value->data, size);
        host->data = name;
        host->len = size;
    }
}


/* What nginx keeps besides the header itself; value is empty when it goes. */
static void
note_value(ngx_http_request_t *r, size_t offset, const ngx_str_t *value)
{
    ngx_http_headers_in_t *in = &r->headers_in;
    if (offset == offsetof(ngx_http_headers_in_t, content_length)) {
        in->content_length_n =
            value->len > 0 ? ngx_atoof(value->data, value->len) : -1;
    } else if (offset == offsetof(ngx_http_headers_in_t, host)) {
        note_host(r, value);
    } else if (offset == offsetof(ngx_http_headers_in_t, user_agent)) {
        note_user_agent(in, value);
    } else if (offset == offsetof(ngx_http_headers_in_t, connection)) {
        note_connection(in, value);
    }
}


/* A list of the request's own with all headers but those named. */
static ngx_int_t
copy_without(ngx_http_request_t *r, const ngx_str_t *name)
{
    const ngx_list_t old = r->headers_in.headers;
    u_char low[HTTP_HEADER_NAME_MAX];
    ngx_list_t *list = &r->headers_in.headers;
    if (ngx_list_init(list, r->pool, 20, sizeof(ngx_table_elt_t)) != NGX_OK) {
        return NGX_ERROR;
    }
    for (const ngx_list_part_t *part = &old.part; part; part = part->next) {
        const ngx_table_elt_t *h = part->elts;
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            const ngx_http_header_t *known = h[i].key.len <= sizeof(low)
                                                 ? find_known(r, &h[i].key, low)
                                                 : NULL;
            if (known != NULL) {
                forget_header(r, known);
            }
        }
    }
    r->headers_in.x_forwarded_for.elts = NULL; /* may be a parent request's */
    r->headers_in.cookies.elts = NULL;
    for (const ngx_list_part_t *part = &old.part; part; part = part->next) {
        const ngx_table_elt_t *h = part->elts;
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            if (name != NULL && http_headers_same_name(&h[i].key, name)) {
                continue;
            }
            ngx_table_elt_t *copy = ngx_list_push(list);
            const ngx_http_header_t *known = h[i].key.len <= sizeof(low)
                                                 ? find_known(r, &h[i].key, low)
                                                 : NULL;
            if (copy == NULL) {
                return NGX_ERROR;
            }
            *copy = h[i];
            if (known != NULL && note_header(r, known, copy) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }
    return NGX_OK;
}


ngx_int_t
http_req_remove_header(ngx_http_request_t *r, const ngx_str_t *name)
{
    u_char low[HTTP_HEADER_NAME_MAX];
    const ngx_str_t none = ngx_null_string;
    if (copy_without(r, name) != NGX_OK) {
        return NGX_ERROR;
    }
    const ngx_http_header_t *known =
        name->len <= sizeof(low) ? find_known(r, name, low) : NULL;
    if (known != NULL) {
        forget_header(r, known);
        note_value(r, known->offset, &none);
    }
    return NGX_OK;
}


ngx_int_t
http_req_add_header(ngx_http_request_t *r, const ngx_str_t *name,
                    const ngx_str_t *value)
{
    u_char low[HTTP_HEADER_NAME_MAX];
    ngx_table_elt_t *h = ngx_list_push(&r->headers_in.headers);
    if (h == NULL || name->len > sizeof(low)) {
        return NGX_ERROR;
    }
    const ngx_http_header_t *known = find_known(r, name, low);
    h->key = *name;
    h->value = *value;
    h->lowcase_key = ngx_pnalloc(r->pool, name->len + 1);
    if (h->lowcase_key == NULL) {
        return NGX_ERROR;
    }
    h->hash = ngx_hash_strlow(h->lowcase_key, name->data, name->len);
    if (known == NULL) {
        return NGX_OK;
    }
    note_value(r, known->offset, value);
    return note_header(r, known, h);
}


static ngx_uint_t
count_header(const ngx_http_request_t *r, const ngx_str_t *name)
{
    ngx_uint_t count = 0;
    for (const ngx_list_part_t *part = &r->headers_in.headers.part; part;
         part = part->next) {
        const ngx_table_elt_t *h = part->elts;
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            count += http_headers_same_name(&h[i].key, name) ? 1 : 0;
        }
    }
    return count;
}


/* Is the variable http_NAME of the header? */
static int
is_of_header(const ngx_str_t *variable, const ngx_str_t *header)
{
    enum { PREFIX_SIZE = sizeof("http_") - 1 };
    if (variable->len != PREFIX_SIZE + header->len ||
        ngx_strncmp(variable->data, "http_", PREFIX_SIZE) != 0) {
        return 0;
    }
    const u_char *rest = variable->data + PREFIX_SIZE;
    for (size_t i = 0; i < header->len; i++) {
        const u_char c = ngx_tolower(header->data[i]);
        if (rest[i] != (c == '-' ? '_' : c)) {
            return 0;
        }
    }
    return 1;
}


/* Is it another variable that nginx makes of the header? */
static int
is_made_of(const ngx_str_t *variable, const ngx_str_t *header)
{
    static const struct {
        ngx_str_t header;
        ngx_str_t variable; /* or its beginning, up to "_" */
    } all[] = {
        {ngx_string("Host"), ngx_string("host")},
        {ngx_string("Cookie"), ngx_string("cookie_")},
        {ngx_string("Content-Type"), ngx_string("content_type")},
        {ngx_string("Content-Length"), ngx_string("content_length")},
        {ngx_string("Authorization"), ngx_string("remote_user")},
        {ngx_string("X-Forwarded-For"),
         ngx_string("proxy_add_x_forwarded_for")},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        const ngx_str_t *name = &all[i].variable;
        const int is_prefix = name->data[name->len - 1] == '_';
        if (http_headers_same_name(&all[i].header, header)) {
            return variable->len >= name->len &&
                   (is_prefix || variable->len == name->len) &&
                   ngx_strncmp(variable->data, name->data, name->len) == 0;
        }
    }
    return 0;
}


/* nginx keeps the values of variables that the configuration names: those of
   the header are made anew. */
static void
forget_variables(ngx_http_request_t *r, const ngx_str_t *header)
{
    const ngx_http_core_main_conf_t *cmcf =
        ngx_http_get_module_main_conf(r, ngx_http_core_module);
    const ngx_http_variable_t *v = cmcf->variables.elts;
    for (ngx_uint_t i = 0; i < cmcf->variables.nelts; i++) {
        ngx_http_variable_value_t *value = &r->variables[i];
        if ((value->valid || value->not_found) &&
            (v[i].flags & NGX_HTTP_VAR_CHANGEABLE) == 0 &&
            (is_of_header(&v[i].name, header) ||
             is_made_of(&v[i].name, header))) {
            value->valid = 0;
            value->not_found = 0;
        }
    }
}


/* HTTP/0.9 has no headers, and of a request line that nginx refuses none are
   read: there is no list that one could be put into. */
static int
has_headers(const ngx_http_request_t *r)
{
    return r->headers_in.headers.last != NULL;
}


static int
is_host(const ngx_str_t *name)
{
    static const ngx_str_t host = ngx_string("Host");
    return http_headers_same_name(name, &host);
}


/* Puts the value on top.  An empty one is put only where keep is set: else it
   is as if there were none. */
static void
put_value(lua_State *L, ngx_http_request_t *r, const ngx_str_t *name, int keep)
{
    const ngx_str_t value = http_headers_copy_value(L, r, -1);
    size_t size;
    if (value.len == 0 && !keep) {
        return;
    }
    if (is_host(name) && find_host(&value, &size) != NGX_OK) {
        luaL_error(L, "failed to set header");
    }
    if (http_req_add_header(r, name, &value) != NGX_OK) {
        luaL_error(L, "no memory");
    }
}


/* Replaces the headers of the name by the value at index 2, a string, number or
   array of these, or adds to them if keep is set. */
static int
put_header(lua_State *L, int keep)
{
    ngx_http_request_t *r = http_lua_request(L, HTTP_ANY & ~RESOLUA_LOG);
    const ngx_str_t given = http_headers_check_name(L, 1);
    const int many = lua_istable(L, 2);
    const size_t count = lua_isnoneornil(L, 2) ? 0
                         : many                ? lua_objlen(L, 2)
                                               : 1;
    if (!has_headers(r)) {
        return 0;
    }
    const ngx_str_t name = http_headers_copy_name(L, r, &given);
    if (!keep && (count_header(r, &name) > 0) &&
        http_req_remove_header(r, &name) != NGX_OK) {
        return luaL_error(L, "no memory");
    }
    if (r != r->main && copy_without(r, NULL) != NGX_OK) { /* it is shared */
        return luaL_error(L, "no memory");
    }
    for (size_t i = 1; i <= count; i++) {
        if (many) {
            lua_rawgeti(L, 2, (int) i);
        } else {
            lua_pushvalue(L, 2);
        }
        put_value(L, r, &name, keep);
        lua_pop(L, 1);
    }
    forget_variables(r, &name);
    return 0;
}


static int
set_header(lua_State *L)
{
    return put_header(L, 0);
}


static int
add_header(lua_State *L)
{
    if (lua_isnoneornil(L, 2)) {
        return luaL_error(L, "bad 'value' argument: string or table expected, "
                             "got nil");
    }
    if (lua_istable(L, 2) && lua_objlen(L, 2) == 0) {
        return luaL_error(L, "bad 'value' argument: non-empty table expected");
    }
    return put_header(L, 1);
}


static int
clear_header(lua_State *L)
{
    lua_settop(L, 1);
    return put_header(L, 0);
}


void
http_headers_setup(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"get_headers", get_headers},        {"set_header", set_header},
        {"add_header", add_header},          {"clear_header", clear_header},
        {"raw_header", http_req_raw_header}, {NULL, NULL},
    };
    luaL_register(L, NULL, functions);
}
