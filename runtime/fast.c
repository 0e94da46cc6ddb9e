/* What lua/resolua/ calls through the FFI: runtime/runtime_ffi.h. */

#include <ngx_md5.h>
#include <ngx_sha1.h>

#include "runtime/args.h"
#include "runtime/clock.h"
#include "runtime/dict.h"
#include "runtime/private/regex.h"
#include "runtime/runtime_ffi.h"
#include "runtime/vm.h"

enum { MD5_SIZE = 16 }; /* octets */

_Static_assert((int) RESOLUA_FFI_BOOLEAN == (int) RESOLUA_DICT_BOOLEAN &&
                   (int) RESOLUA_FFI_NUMBER == (int) RESOLUA_DICT_NUMBER &&
                   (int) RESOLUA_FFI_STRING == (int) RESOLUA_DICT_STRING,
               "the kinds are the same");


static u_char *
octets(const char *text)
{
    return (u_char *) (uintptr_t) text;
}


int
resolua_ffi_dict_get(void *dict, const char *key, size_t key_size,
                     struct resolua_ffi_value *out, char *text)
{
    resolua_dict_value_t value;
    const ngx_str_t name = {key_size, octets(key)};
    const ngx_str_t room = {RESOLUA_FFI_TEXT_MAX, (u_char *) text};
    if (key_size == 0 || key_size > RESOLUA_DICT_KEY_MAX) {
        return RESOLUA_FFI_OTHER;
    }
    const ngx_int_t rc = resolua_dict_get_into(dict, &name, &value, &room);
    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? RESOLUA_FFI_NONE : RESOLUA_FFI_OTHER;
    }
    out->kind = (uint32_t) value.type;
    out->flags = value.flags;
    out->number = value.type == RESOLUA_DICT_BOOLEAN ? (double) value.boolean
                                                     : value.number;
    out->size = (uint32_t) value.text.len;
    return RESOLUA_FFI_OK;
}


int
resolua_ffi_dict_set(void *dict, const char *key, size_t key_size,
                     const struct resolua_ffi_value *from, const char *text)
{
    const ngx_str_t name = {key_size, octets(key)};
    const resolua_dict_value_t value = {
        .type = (resolua_dict_type_t) from->kind,
        .boolean = from->number > 0,
        .number = from->number,
        .text = {from->size, octets(text)},
    };
    ngx_uint_t forcible = 0;
    if (key_size == 0 || key_size > RESOLUA_DICT_KEY_MAX) {
        return RESOLUA_FFI_OTHER;
    }
    const ngx_int_t rc =
        resolua_dict_set(dict, &name, &value, 0, RESOLUA_DICT_SAFE, &forcible);
    return rc == NGX_OK ? RESOLUA_FFI_OK : RESOLUA_FFI_OTHER;
}


int
resolua_ffi_dict_incr(void *dict, const char *key, size_t key_size,
                      double *number)
{
    const ngx_str_t name = {key_size, octets(key)};
    ngx_uint_t forcible;
    if (key_size == 0 || key_size > RESOLUA_DICT_KEY_MAX) {
        return RESOLUA_FFI_OTHER;
    }
    return resolua_dict_add_number(dict, &name, number, NULL, 0, &forcible) ==
                   NGX_OK
               ? RESOLUA_FFI_OK
               : RESOLUA_FFI_OTHER;
}


int
resolua_ffi_regex_match(const void *regex, const char *subject, size_t size,
                        size_t from, int32_t *ends)
{
    const regex_t *re = regex;
    const ngx_str_t text = {size, octets(subject)};
    if (size > INT32_MAX || from > size) {
        return RESOLUA_FFI_OTHER;
    }
    const int rc = regex_run(re, &text, from);
    if (rc < 0) {
        return rc == PCRE2_ERROR_NOMATCH ? RESOLUA_FFI_NONE : RESOLUA_FFI_OTHER;
    }
    const size_t *found = pcre2_get_ovector_pointer(re->data);
    for (uint32_t i = 0; i < 2 * (re->captures + 1); i++) {
        ends[i] = i < 2 * (uint32_t) rc && found[i] != PCRE2_UNSET
                      ? (int32_t) found[i]
                      : -1;
    }
    return RESOLUA_FFI_OK;
}


/* Appends to the text that is being made.  0: there is no room. */
static int
append(struct resolua_ffi_replace *work, const char *from, size_t size)
{
    if (size > work->room - work->size) {
        return 0;
    }
    ngx_memcpy(work->out + work->size, from, size);
    work->size += size;
    return 1;
}


int
resolua_ffi_regex_replace(const void *regex, struct resolua_ffi_replace *work)
{
    const regex_t *re = regex;
    const ngx_str_t text = {work->subject_size, octets(work->subject)};
    size_t from = 0; /* where the search goes on */
    size_t at = 0;   /* in the subject: what is before has been taken over */
    work->size = 0;
    work->count = 0;
    while (work->count < work->max && from <= text.len) {
        const int rc = regex_run(re, &text, from);
        if (rc == PCRE2_ERROR_NOMATCH) {
            break;
        }
        const size_t *ends = pcre2_get_ovector_pointer(re->data);
        if (rc < 0 || ends[0] < at ||
            !append(work, work->subject + at, ends[0] - at) ||
            !append(work, work->by, work->by_size)) {
            return RESOLUA_FFI_OTHER;
        }
        at = ends[1];
        from = regex_next(re, &text);
        work->count++;
    }
    if (work->count == 0) {
        return RESOLUA_FFI_NONE;
    }
    return append(work, work->subject + at, text.len - at) ? RESOLUA_FFI_OK
                                                           : RESOLUA_FFI_OTHER;
}


double
resolua_ffi_now(void)
{
    const ngx_time_t *t = ngx_timeofday();
    return (double) t->sec + (double) t->msec / 1000.0;
}


double
resolua_ffi_monotonic(void)
{
    return (double) resolua_clock_ms() / 1000.0;
}


double
resolua_ffi_time(void)
{
    return (double) ngx_time();
}


void *
resolua_ffi_request(void)
{
    const resolua_request_t *r = resolua_running;
    return r == NULL                ? NULL
           : r->host->nginx != NULL ? r->host->nginx(r)
                                    : r->data;
}


_Static_assert(offsetof(resolua_request_t, ctx_ref) ==
                       offsetof(struct resolua_ffi_request, context) &&
                   sizeof(int) == sizeof(int32_t),
               "a request begins with what scripts read of it");

struct resolua_ffi_request **
resolua_ffi_running(void)
{
    return (struct resolua_ffi_request **) &resolua_running;
}


int
resolua_ffi_variable(const char *name, size_t size,
                     struct resolua_ffi_text *out)
{
    const resolua_request_t *r = resolua_running;
    const ngx_str_t text = {size, octets(name)};
    ngx_str_t value;
    if (r == NULL || r->host->variable == NULL) {
        return RESOLUA_FFI_OTHER;
    }
    const ngx_int_t rc = r->host->variable(r, &text, &value);
    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? RESOLUA_FFI_NONE : RESOLUA_FFI_OTHER;
    }
    out->octets = (const char *) value.data;
    out->size = value.len;
    return RESOLUA_FFI_OK;
}


void
resolua_ffi_md5(const char *text, size_t size, int in_hex, char *out)
{
    u_char digest[MD5_SIZE];
    ngx_md5_t state;
    ngx_md5_init(&state);
    ngx_md5_update(&state, text, size);
    ngx_md5_final(digest, &state);
    if (in_hex) {
        (void) ngx_hex_dump((u_char *) out, digest, MD5_SIZE);
    } else {
        ngx_memcpy(out, digest, MD5_SIZE);
    }
}


void
resolua_ffi_sha1(const char *text, size_t size, char *out)
{
    ngx_sha1_t state;
    ngx_sha1_init(&state);
    ngx_sha1_update(&state, text, size);
    ngx_sha1_final((u_char *) out, &state);
}


uint32_t
resolua_ffi_crc32(const char *text, size_t size, int is_long)
{
    return is_long ? ngx_crc32_long(octets(text), size)
                   : ngx_crc32_short(octets(text), size);
}


size_t
resolua_ffi_encode_base64(const char *text, size_t size, int no_padding,
                          char *out)
{
    ngx_str_t from = {size, octets(text)};
    ngx_str_t to = {0, (u_char *) out};
    ngx_encode_base64(&to, &from);
    while (no_padding && to.len > 0 && to.data[to.len - 1] == '=') {
        to.len--;
    }
    return to.len;
}


int64_t
resolua_ffi_decode_base64(const char *text, size_t size, char *out)
{
    ngx_str_t from = {size, octets(text)};
    ngx_str_t to = {0, (u_char *) out};
    return ngx_decode_base64(&to, &from) == NGX_OK ? (int64_t) to.len : -1;
}


size_t
resolua_ffi_escape_uri(const char *text, size_t size, int type, char *out)
{
    u_char *to = (u_char *) out;
    return (size_t) (resolua_args_escape(to, octets(text), size,
                                         (ngx_uint_t) type) -
                     to);
}


size_t
resolua_ffi_unescape_uri(const char *text, size_t size, char *out)
{
    u_char *to = (u_char *) out;
    return (size_t) (resolua_args_unescape(to, octets(text), size) - to);
}
