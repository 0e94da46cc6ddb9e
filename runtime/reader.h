#ifndef RESOLUA_RUNTIME_READER_H
#define RESOLUA_RUNTIME_READER_H

/*
 * What a socket's receive functions wait for, without any I/O: it is fed octets
 * as they come and says when the wanted piece is whole.
 *
 *     resolua_reader_start(&r, RESOLUA_READ_LINE, 0);
 *     while (resolua_reader_feed(&r, octets, size, &used) == NGX_AGAIN) ...
 *     r.octets[0 .. r.count - 1] is the piece
 *
 * The reader owns its octets; resolua_reader_free() lets them go.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include <lua.h>

typedef enum {
    RESOLUA_READ_LINE,  /* to a newline; CR and LF are left out */
    RESOLUA_READ_SIZE,  /* so many octets */
    RESOLUA_READ_ALL,   /* to the end */
    RESOLUA_READ_ANY,   /* what there is, at most so many octets */
    RESOLUA_READ_UNTIL, /* to a pattern, at most so many octets (0: any) */
} resolua_read_t;

/* For RESOLUA_READ_UNTIL; lives as long as its iterator. */
typedef struct {
    size_t size;
    size_t matched; /* octets of it that have come */
    unsigned inclusive : 1;
    unsigned is_found : 1; /* the last piece ended at it */
    unsigned by_size : 1;  /* the last read was piecewise */
    u_char *octets;        /* borrowed */
    size_t *fallback;      /* borrowed, size + 1: how much is still matched when
                              the next octet does not fit */
} resolua_pattern_t;

typedef struct {
    resolua_read_t kind;
    size_t size;
    resolua_pattern_t *pattern;
    u_char *octets; /* owned */
    size_t count;   /* of the piece so far */
    size_t room;
} resolua_reader_t;

/* Pushes a pattern as a userdata, which owns a copy of the octets. */
resolua_pattern_t *resolua_pattern_push(lua_State *L, const char *octets,
                                        size_t size, int inclusive);

/* Begins a piece; the memory of the last is used again. */
void resolua_reader_start(resolua_reader_t *r, resolua_read_t kind,
                          size_t size);
void resolua_reader_start_until(resolua_reader_t *r, resolua_pattern_t *pattern,
                                size_t size);

/* NGX_OK: the piece is whole; NGX_AGAIN: all of octets was taken and more is
   needed; NGX_ERROR: no memory.  *used: octets taken. */
ngx_int_t resolua_reader_feed(resolua_reader_t *r, const u_char *octets,
                              size_t size, size_t *used);

/* At the end of the stream: is what came the whole piece? */
ngx_uint_t resolua_reader_is_whole_at_end(const resolua_reader_t *r);

void resolua_reader_free(resolua_reader_t *r);

#endif
