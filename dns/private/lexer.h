#ifndef DNS_PRIVATE_LEXER_H
#define DNS_PRIVATE_LEXER_H

/*
 * Cuts master-file text (RFC 1035 section 5.1) into tokens.  Comments, and
 * line ends inside parentheses, are blanks.  Tokens are slices of the text:
 * their escapes are as they were.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    TOKEN_WORD,
    TOKEN_QUOTED, /* text without its quotes */
    TOKEN_LINE_END,
    TOKEN_END,
} token_kind_t;

typedef struct {
    token_kind_t kind;
    bool follows_blank; /* white space stood before it */
    const char *text;   /* borrowed */
    size_t size;
} token_t;

typedef struct {
    const char *text; /* borrowed */
    const char *at;
    const char *end;
    const char *line_start;
    unsigned line;         /* from 1 */
    unsigned depth;        /* open parentheses: 0 or 1 */
    bool has_pairs;        /* key="va lue" is one word (SVCB) */
    bool refuses_comments; /* the text is one record's: nothing of it is left
                              out */
    bool has_unread;
    token_t unread;
    const char *error;    /* what was expected; static */
    const char *error_at; /* in the text */
} lexer_t;

void lexer_init(lexer_t *lexer, const char *text, size_t size);

/* The next token; false with error and error_at set. */
bool lexer_next(lexer_t *lexer, token_t *token);

/* Gives the token again next time. */
void lexer_unread(lexer_t *lexer, const token_t *token);

/* A word or a quoted string; at the end of the line false, expected being the
   error.  expected: static. */
bool lexer_next_value(lexer_t *lexer, token_t *token, const char *expected);

/* As lexer_next_value(), but the end of the line is no error: *is_end. */
bool lexer_next_optional(lexer_t *lexer, token_t *token, bool *is_end);

/* Notes an error at a place in the text; false, to be returned. */
bool lexer_fail(lexer_t *lexer, const char *at, const char *expected);

/* Skips to the end of the line; false if more stands there. */
bool lexer_expect_line_end(lexer_t *lexer);

#endif
