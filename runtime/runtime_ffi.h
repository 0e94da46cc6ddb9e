#ifndef RUNTIME_RUNTIME_FFI_H
#define RUNTIME_RUNTIME_FFI_H

/*
 * The runtime's hot functions, for loops that LuaJIT compiles
 * (lua/resolua/).  After RESOLUA_FFI_OTHER the function of the same name
 * that is C of Lua's is called: it does the work, or says what is wrong.
 */

#include <stddef.h>
#include <stdint.h>

#ifndef RESOLUA_EXPORT
#define RESOLUA_EXPORT __attribute__((visibility("default")))
#endif

enum {
    RESOLUA_FFI_OK = 0,
    RESOLUA_FFI_NONE = 1,
    RESOLUA_FFI_OTHER = 2,
    RESOLUA_FFI_TEXT_MAX = 16384, /* octets of a text that comes back */
    RESOLUA_FFI_CAPTURES_MAX = 32 /* of an expression, with the whole */
};

/* Kinds of values in a shared dict: those of runtime/dict.h. */
enum {
    RESOLUA_FFI_NIL = 0,
    RESOLUA_FFI_BOOLEAN = 1,
    RESOLUA_FFI_NUMBER = 2,
    RESOLUA_FFI_STRING = 3
};

struct resolua_ffi_value {
    double number; /* a boolean's: 0 or 1 */
    uint32_t kind;
    uint32_t flags;
    uint32_t size; /* octets of a string */
    uint32_t padding;
};

/* dict: the pointer that ngx.shared.NAME has.  text: RESOLUA_FFI_TEXT_MAX
   octets, where a string is copied to.  NONE: there is no such key. */
RESOLUA_EXPORT int resolua_ffi_dict_get(void *dict, const char *key,
                                        size_t key_size,
                                        struct resolua_ffi_value *out,
                                        char *text);

/* For ever.  text: a string's octets. */
RESOLUA_EXPORT int resolua_ffi_dict_set(void *dict, const char *key,
                                        size_t key_size,
                                        const struct resolua_ffi_value *value,
                                        const char *text);

/* *number: what is added, then the sum. */
RESOLUA_EXPORT int resolua_ffi_dict_incr(void *dict, const char *key,
                                         size_t key_size, double *number);

/* ends: two offsets for each capture, -1 where it has none. */
RESOLUA_EXPORT int resolua_ffi_regex_match(const void *regex,
                                           const char *subject, size_t size,
                                           size_t from, int32_t *ends);

/* What resolua_ffi_regex_replace() is given and gives. */
struct resolua_ffi_replace {
    const char *subject;
    size_t subject_size;
    const char *by; /* taken as it is */
    size_t by_size;
    char *out;
    size_t room;  /* octets of out */
    size_t size;  /* of the new text in out */
    uint32_t max; /* matches */
    uint32_t count;
};

/* The subject with its matches replaced.  NONE: nothing matches; OTHER also:
   there is not enough room. */
RESOLUA_EXPORT int resolua_ffi_regex_replace(const void *regex,
                                             struct resolua_ffi_replace *work);

RESOLUA_EXPORT double resolua_ffi_now(void);  /* seconds, of nginx's clock */
RESOLUA_EXPORT double resolua_ffi_time(void); /* whole ones */

/* nginx's own object of the running request, or NULL. */
RESOLUA_EXPORT void *resolua_ffi_request(void);

/* Seconds that no change of the wall clock moves (runtime/clock.h). */
RESOLUA_EXPORT double resolua_ffi_monotonic(void);

/* What scripts read of a request without a call. */
struct resolua_ffi_request {
    int32_t context; /* the registry's index of its ngx.ctx; below 0: it has
                        none yet */
};

/* Where the pointer to the running request is, or NULL while none runs; of the
   calling thread.  (Not const: LuaJIT would take what it reads for constant.)
 */
RESOLUA_EXPORT struct resolua_ffi_request **resolua_ffi_running(void);

struct resolua_ffi_text {
    const char *octets; /* borrowed, till the request goes on */
    size_t size;
};

/* A variable of the running request. */
RESOLUA_EXPORT int resolua_ffi_variable(const char *name, size_t size,
                                        struct resolua_ffi_text *out);

/* Texts into out; the size comes back.  Room: 32 octets for md5 in hex (16 in
   binary), 20 for sha1, 4/3 and 3 more for base64, 3 times for escape_uri. */
RESOLUA_EXPORT void resolua_ffi_md5(const char *text, size_t size, int in_hex,
                                    char *out);
RESOLUA_EXPORT void resolua_ffi_sha1(const char *text, size_t size, char *out);
RESOLUA_EXPORT uint32_t resolua_ffi_crc32(const char *text, size_t size,
                                          int is_long);
RESOLUA_EXPORT size_t resolua_ffi_encode_base64(const char *text, size_t size,
                                                int no_padding, char *out);
/* -1: it is none */
RESOLUA_EXPORT int64_t resolua_ffi_decode_base64(const char *text, size_t size,
                                                 char *out);
RESOLUA_EXPORT size_t resolua_ffi_escape_uri(const char *text, size_t size,
                                             int type, char *out);
RESOLUA_EXPORT size_t resolua_ffi_unescape_uri(const char *text, size_t size,
                                               char *out);

#endif
