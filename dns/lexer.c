#include "dns/private/lexer.h"

void
lexer_init(lexer_t *lexer, const char *text, size_t size)
{
    *lexer = (lexer_t){.text = text,
                       .at = text,
                       .end = text + size,
                       .line_start = text,
                       .line = 1};
}

bool
lexer_fail(lexer_t *lexer, const char *at, const char *expected)
{
    if (lexer->error == NULL) {
        lexer->error = expected;
        lexer->error_at = at;
    }

    return false;
}

void
lexer_unread(lexer_t *lexer, const token_t *token)
{
    lexer->unread = *token;
    lexer->has_unread = true;
}

static bool
pass_comment(lexer_t *lexer)
{
    if (lexer->refuses_comments) {
        return lexer_fail(lexer, lexer->at,
                          "no \";\" outside of quotes, where it begins a "
                          "comment");
    }

    while (lexer->at < lexer->end && *lexer->at != '\n') {
        lexer->at++;
    }

    return true;
}

static void
pass_line_end(lexer_t *lexer)
{
    lexer->at++;
    lexer->line++;
    lexer->line_start = lexer->at;
}

static bool
pass_parenthesis(lexer_t *lexer)
{
    bool is_open = *lexer->at == '(';

    if (is_open == (lexer->depth == 1)) {
        return lexer_fail(lexer, lexer->at,
                          is_open ? "no parenthesis inside parentheses"
                                  : "no \")\" without \"(\"");
    }

    lexer->depth = is_open;
    lexer->at++;
    return true;
}

/* Stops at what a token begins with, a line end that counts, or the end. */
static bool
skip_blanks(lexer_t *lexer)
{
    while (lexer->at < lexer->end) {
        switch (*lexer->at) {
        case ' ':
        case '\t':
        case '\r':
            lexer->at++;
            break;
        case ';':
            if (!pass_comment(lexer)) {
                return false;
            }
            break;
        case '(':
        case ')':
            if (!pass_parenthesis(lexer)) {
                return false;
            }
            break;
        case '\n':
            if (lexer->depth == 0) {
                return true;
            }
            pass_line_end(lexer);
            break;
        default:
            return true;
        }
    }

    return true;
}

/* Passes a quoted string; at stands behind its first quote. */
static bool
pass_quoted(lexer_t *lexer)
{
    const char *start = lexer->at - 1;

    while (lexer->at < lexer->end && *lexer->at != '\n') {
        if (*lexer->at == '"') {
            lexer->at++;
            return true;
        }

        lexer->at += *lexer->at == '\\' && lexer->end - lexer->at > 1 &&
                             lexer->at[1] != '\n'
                         ? 2
                         : 1;
    }

    return lexer_fail(lexer, start, "a closing quote on the same line");
}

static bool
ends_word(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ';' ||
           c == '(' || c == ')' || c == '"';
}

static bool
pass_word(lexer_t *lexer)
{
    const char *start = lexer->at;

    while (lexer->at < lexer->end) {
        if (*lexer->at == '"' && lexer->has_pairs && lexer->at > start &&
            lexer->at[-1] == '=') {
            lexer->at++;
            return pass_quoted(lexer);
        }

        if (ends_word(*lexer->at)) {
            return true;
        }

        bool is_escape = *lexer->at == '\\' && lexer->end - lexer->at > 1 &&
                         lexer->at[1] != '\n';

        lexer->at += is_escape ? 2 : 1;
    }

    return true;
}

static bool
read_value(lexer_t *lexer, token_t *token)
{
    if (*lexer->at == '"') {
        token->kind = TOKEN_QUOTED;
        token->text = ++lexer->at;

        if (!pass_quoted(lexer)) {
            return false;
        }

        token->size = (size_t) (lexer->at - token->text) - 1;
        return true;
    }

    token->kind = TOKEN_WORD;

    if (!pass_word(lexer)) {
        return false;
    }

    token->size = (size_t) (lexer->at - token->text);
    return true;
}

bool
lexer_next(lexer_t *lexer, token_t *token)
{
    if (lexer->has_unread) {
        lexer->has_unread = false;
        *token = lexer->unread;
        return true;
    }

    const char *start = lexer->at;

    if (!skip_blanks(lexer)) {
        return false;
    }

    *token = (token_t){.text = lexer->at,
                       .follows_blank = lexer->at > start &&
                                        (*start == ' ' || *start == '\t')};

    if (lexer->at == lexer->end) {
        token->kind = TOKEN_END;
        return lexer->depth == 0 ||
               lexer_fail(lexer, lexer->at, "a closing parenthesis");
    }

    if (*lexer->at == '\n') {
        token->kind = TOKEN_LINE_END;
        pass_line_end(lexer);
        return true;
    }

    return read_value(lexer, token);
}

bool
lexer_next_optional(lexer_t *lexer, token_t *token, bool *is_end)
{
    if (!lexer_next(lexer, token)) {
        return false;
    }

    *is_end = token->kind == TOKEN_LINE_END || token->kind == TOKEN_END;

    if (*is_end) {
        lexer_unread(lexer, token);
    }

    return true;
}

bool
lexer_next_value(lexer_t *lexer, token_t *token, const char *expected)
{
    bool is_end;

    if (!lexer_next_optional(lexer, token, &is_end)) {
        return false;
    }

    return !is_end || lexer_fail(lexer, token->text, expected);
}

bool
lexer_expect_line_end(lexer_t *lexer)
{
    token_t token;

    if (!lexer_next(lexer, &token)) {
        return false;
    }

    return token.kind == TOKEN_LINE_END || token.kind == TOKEN_END ||
           lexer_fail(lexer, token.text, "the end of the record");
}
