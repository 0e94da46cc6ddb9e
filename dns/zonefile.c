#include "dns/zonefile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dns/name.h"
#include "dns/octets.h"
#include "dns/private/generate.h"
#include "dns/private/rdata_reader.h"
#include "dns/private/zonefile_input.h"
#include "dns/rdata.h"
#include "dns/type.h"

/* A file or a text that is being read; $INCLUDE stacks them. */
typedef struct {
    lexer_t lexer;
    char *name;   /* owned */
    char *buffer; /* owned; NULL: the text is the caller's */
    uint8_t origin[DNS_NAME_MAX];
    uint8_t owner[DNS_NAME_MAX]; /* of the last record */
    bool has_owner;
} frame_t;

struct dns_zonefile {
    frame_t frames[DNS_ZONEFILE_DEPTH_MAX];
    unsigned depth;             /* frames in use */
    zonefile_folders_t folders; /* where $INCLUDE may look */
    uint32_t default_ttl;       /* $TTL */
    uint32_t last_ttl;
    bool has_default_ttl;
    bool has_last_ttl;
    bool is_generating;
    generate_t generate;
    unsigned generated_count;
    unsigned line; /* where the last record began */
    char error[DNS_ZONEFILE_ERROR_SIZE];
    char warning[DNS_ZONEFILE_ERROR_SIZE];
    char generated[GENERATE_LINE_MAX];
    uint8_t rdata[DNS_RDATA_MAX];
};

static frame_t *
top(dns_zonefile_t *file)
{
    return &file->frames[file->depth - 1];
}

const char *
dns_zonefile_error(const dns_zonefile_t *file)
{
    return file->error;
}

const char *
dns_zonefile_warning(const dns_zonefile_t *file)
{
    return file->warning;
}

const char *
dns_zonefile_name(const dns_zonefile_t *file)
{
    return file->depth > 0 ? file->frames[file->depth - 1].name
                           : file->frames[0].name;
}

unsigned
dns_zonefile_line(const dns_zonefile_t *file)
{
    return file->line;
}

/* What stands at an error, for its message. */
static int
found_size(const lexer_t *lexer)
{
    int size = 0;

    while (size < 40 && lexer->error_at + size < lexer->end &&
           strchr(" \t\r\n", lexer->error_at[size]) == NULL) {
        size++;
    }

    return size;
}

static void
set_error(dns_zonefile_t *file, const char *at, const lexer_t *lexer)
{
    const frame_t *frame = top(file);
    const char *line_start = frame->lexer.text;
    unsigned line = 1;
    int found = found_size(lexer);
    bool is_end = found == 0;

    for (const char *p = line_start; p < at; p++) {
        if (*p == '\n') {
            line_start = p + 1;
            line++;
        }
    }

    snprintf(file->error, sizeof(file->error),
             "%s:%u:%u: expected %s, found %s%.*s%s", frame->name, line,
             (unsigned) (at - line_start) + 1, lexer->error,
             is_end ? "the end of the line" : "\"", found, lexer->error_at,
             is_end ? "" : "\"");

    /* Zero bytes and the like must not reach a terminal or a log. */
    for (char *p = file->error; *p != '\0'; p++) {
        if ((unsigned char) *p < ' ' || *p == 0x7f) {
            *p = '?';
        }
    }
}

/* Turns the lexer's error into the message. */
static dns_status_t
fail(dns_zonefile_t *file)
{
    const lexer_t *lexer = &top(file)->lexer;

    if (file->error[0] == '\0') {
        set_error(file, lexer->error_at, lexer);
    }

    return DNS_EMALFORMED;
}

static dns_status_t
fail_at(dns_zonefile_t *file, const char *at, const char *expected)
{
    lexer_fail(&top(file)->lexer, at, expected);
    return fail(file);
}

/* Puts a text on the stack; takes over buffer. */
static dns_status_t
push(dns_zonefile_t *file, const char *name, char *buffer,
     const zonefile_text_t *text, const uint8_t *origin)
{
    char *name_copy = strdup(name);

    if (name_copy == NULL) {
        free(buffer);
        return DNS_ENOMEM;
    }

    frame_t *frame = &file->frames[file->depth++];
    bool has_mark =
        text->size >= 3 && memcmp(text->bytes, "\xef\xbb\xbf", 3) == 0;

    frame->name = name_copy;
    frame->buffer = buffer;
    frame->has_owner = false;
    lexer_init(&frame->lexer, text->bytes, text->size);
    frame->lexer.at += has_mark ? 3 : 0;
    memcpy(frame->origin, origin, dns_name_size(origin));
    return DNS_OK;
}

static void
pop(dns_zonefile_t *file)
{
    frame_t *frame = &file->frames[--file->depth];

    free(frame->buffer);
    frame->buffer = NULL;

    if (file->depth > 0) {
        free(frame->name);
        frame->name = NULL;
    }
}

static dns_status_t
open_path(dns_zonefile_t *file, const char *path, const uint8_t *origin)
{
    zonefile_text_t text;
    char *buffer;

    if (!zonefile_read(path, &buffer, &text)) {
        snprintf(file->error, sizeof(file->error), "%s: %s", path,
                 strerror(errno));
        return DNS_ENOTFOUND;
    }

    return push(file, path, buffer, &text, origin);
}

dns_status_t
dns_zonefile_open(dns_zonefile_t **out, const dns_zonefile_options_t *options)
{
    static const uint8_t root[] = {0};
    const uint8_t *origin = options->origin != NULL ? options->origin : root;
    dns_zonefile_t *file = calloc(1, sizeof(*file));

    *out = file;

    if (file == NULL) {
        return DNS_ENOMEM;
    }

    file->last_ttl = options->ttl;
    file->has_last_ttl = options->ttl > 0;

    if (options->path == NULL) {
        zonefile_text_t text = {options->text, options->size};

        return push(file, options->name != NULL ? options->name : "line", NULL,
                    &text, origin);
    }

    if (options->allows_include &&
        !zonefile_folders_init(&file->folders, options->path,
                               options->include_folder)) {
        snprintf(file->error, sizeof(file->error), "%s: %s",
                 options->include_folder, strerror(errno));
        return DNS_ENOTFOUND;
    }

    return open_path(file, options->path, origin);
}

void
dns_zonefile_free(dns_zonefile_t *file)
{
    if (file == NULL) {
        return;
    }

    while (file->depth > 0) {
        pop(file);
    }

    free(file->frames[0].name);
    zonefile_folders_deinit(&file->folders);
    free(file);
}

static dns_status_t
expect_line_end(dns_zonefile_t *file)
{
    return lexer_expect_line_end(&top(file)->lexer) ? DNS_OK : fail(file);
}

static dns_status_t
read_name(dns_zonefile_t *file, const token_t *token, const uint8_t *origin,
          uint8_t *out)
{
    size_t at;

    if (dns_name_from_text(out, token->text, token->size, origin, &at) !=
        DNS_OK) {
        return fail_at(file, token->text + at,
                       "a valid domain name (labels of 1 to 63 octets, 255 in "
                       "all)");
    }

    return DNS_OK;
}

static dns_status_t
read_origin(dns_zonefile_t *file)
{
    frame_t *frame = top(file);
    uint8_t name[DNS_NAME_MAX];
    token_t token;

    if (!lexer_next_value(&frame->lexer, &token, "a domain name")) {
        return fail(file);
    }

    dns_status_t status = read_name(file, &token, frame->origin, name);

    if (status != DNS_OK) {
        return status;
    }

    memcpy(frame->origin, name, dns_name_size(name));
    return expect_line_end(file);
}

/* A TTL; one with the highest bit set counts as 0 (RFC 2181 section 8). */
static bool
read_ttl(dns_zonefile_t *file, lexer_t *lexer, const token_t *token,
         uint32_t *out)
{
    if (!rdata_duration(token->text, token->size, UINT32_MAX, out)) {
        return lexer_fail(lexer, token->text,
                          "a TTL of 0 to 2147483647 seconds");
    }

    if (*out > DNS_TTL_MAX) {
        if (file->warning[0] == '\0') {
            snprintf(file->warning, sizeof(file->warning),
                     "%s:%u: warning: the TTL %u is above 2147483647 and "
                     "counts as 0",
                     top(file)->name, file->line, *out);
        }
        *out = 0;
    }

    return true;
}

static dns_status_t
read_default_ttl(dns_zonefile_t *file)
{
    lexer_t *lexer = &top(file)->lexer;
    token_t token;

    if (!lexer_next_value(lexer, &token, "a TTL")) {
        return fail(file);
    }

    if (!read_ttl(file, lexer, &token, &file->default_ttl)) {
        return fail(file);
    }

    file->has_default_ttl = true;
    return expect_line_end(file);
}

static dns_status_t
include(dns_zonefile_t *file, const token_t *name, const uint8_t *origin)
{
    if (file->folders.own == NULL) {
        return fail_at(file, name->text, "no $INCLUDE here");
    }

    if (file->depth == DNS_ZONEFILE_DEPTH_MAX) {
        return fail_at(file, name->text, "at most 8 files inside one another");
    }

    char *path = zonefile_find(&file->folders, name->text, name->size);

    if (path == NULL) {
        return fail_at(file, name->text,
                       "a file that is there, in the zone file's own folder "
                       "or one that is allowed");
    }

    dns_status_t status = open_path(file, path, origin);

    if (status == DNS_OK) {
        /* RFC 1035 section 5.1: the owner is not reset by the file. */
        frame_t *frame = top(file);

        memcpy(frame->owner, frame[-1].owner, DNS_NAME_MAX);
        frame->has_owner = frame[-1].has_owner;
    }

    free(path);
    return status == DNS_ENOTFOUND ? DNS_EMALFORMED : status;
}

static dns_status_t
read_include(dns_zonefile_t *file)
{
    frame_t *frame = top(file);
    uint8_t origin[DNS_NAME_MAX];
    token_t name;
    token_t token;
    bool is_end;

    memcpy(origin, frame->origin, dns_name_size(frame->origin));

    if (!lexer_next_value(&frame->lexer, &name, "a file name") ||
        !lexer_next_optional(&frame->lexer, &token, &is_end)) {
        return fail(file);
    }

    dns_status_t status = DNS_OK;

    if (!is_end) {
        status = read_name(file, &token, frame->origin, origin);
    }

    if (status == DNS_OK) {
        status = expect_line_end(file);
    }

    return status == DNS_OK ? include(file, &name, origin) : status;
}

static dns_status_t
read_generate(dns_zonefile_t *file)
{
    lexer_t *lexer = &top(file)->lexer;
    generate_t *g = &file->generate;
    token_t token;

    if (!lexer_next_value(lexer, &token, "a range such as 1-10")) {
        return fail(file);
    }

    if (!generate_parse_range(g, token.text, token.size)) {
        return fail_at(file, token.text,
                       "a range START-STOP or "
                       "START-STOP/STEP");
    }

    const char *end =
        memchr(lexer->at, '\n', (size_t) (lexer->end - lexer->at));

    end = end != NULL ? end : lexer->end;
    g->pattern = lexer->at;
    g->pattern_size = (size_t) (end - lexer->at);
    lexer->at = end;

    while (g->pattern_size > 0 && strchr(" \t", g->pattern[0]) != NULL) {
        g->pattern++;
        g->pattern_size--;
    }

    file->is_generating = true;
    return expect_line_end(file);
}

static dns_status_t
read_directive(dns_zonefile_t *file, const token_t *token)
{
    static const struct {
        const char *text;
        dns_status_t (*read)(dns_zonefile_t *file);
    } directives[] = {
        {"$ORIGIN", read_origin},
        {"$TTL", read_default_ttl},
        {"$INCLUDE", read_include},
        {"$GENERATE", read_generate},
    };

    for (size_t i = 0; i < sizeof(directives) / sizeof(directives[0]); i++) {
        if (strlen(directives[i].text) == token->size &&
            strncasecmp(directives[i].text, token->text, token->size) == 0) {
            return directives[i].read(file);
        }
    }

    return fail_at(file, token->text, "$ORIGIN, $TTL, $INCLUDE or $GENERATE");
}

/* What stands between the owner and the rdata. */
typedef struct {
    uint32_t ttl;
    uint16_t type;
    uint16_t class_;
    bool has_ttl;
    bool has_class;
} head_t;

static bool
is_class(const token_t *token, uint16_t *out)
{
    return dns_class_from_text(out, token->text, token->size) == DNS_OK &&
           *out != DNS_CLASS_ANY && *out != DNS_CLASS_NONE;
}

/* TTL and class in any order, then the type (RFC 1035 section 5.1). */
static bool
read_head(dns_zonefile_t *file, lexer_t *lexer, head_t *head)
{
    token_t token;

    *head = (head_t){.class_ = DNS_CLASS_IN};

    for (;;) {
        if (!lexer_next_value(lexer, &token, "a TTL, a class or a type")) {
            return false;
        }

        if (!head->has_ttl && token.size > 0 && token.text[0] >= '0' &&
            token.text[0] <= '9') {
            head->has_ttl = true;
            if (!read_ttl(file, lexer, &token, &head->ttl)) {
                return false;
            }
            continue;
        }

        if (!head->has_class && is_class(&token, &head->class_)) {
            head->has_class = true;
            continue;
        }

        break;
    }

    if (dns_type_from_text(&head->type, token.text, token.size) != DNS_OK) {
        return lexer_fail(lexer, token.text, "a record type");
    }

    return !dns_type_is_meta(head->type) ||
           lexer_fail(lexer, token.text, "a record type that a zone can hold");
}

/* RFC 2308 section 4: the record's own TTL, that of $TTL, that of the record
   before; RFC 1035: MINIMUM, for the SOA that begins a zone. */
static bool
decide_ttl(dns_zonefile_t *file, head_t *head, const rdata_reader_t *r)
{
    if (head->has_ttl) {
        file->last_ttl = head->ttl;
        file->has_last_ttl = true;
    } else if (file->has_default_ttl) {
        head->ttl = file->default_ttl;
    } else if (file->has_last_ttl) {
        head->ttl = file->last_ttl;
    } else if (head->type == DNS_TYPE_SOA) {
        head->ttl = get32(r->out + r->size - 4) & DNS_TTL_MAX;
        file->last_ttl = head->ttl;
        file->has_last_ttl = true;
    } else {
        return false;
    }

    return true;
}

/* Behind $GENERATE's type the whole rdata may stand as one quoted string, as
   BIND reads it: MX "0 ." and TXT "\"one string\"".  Its text takes the place
   of the rest of the line, which lies in file->generated. */
static bool
unquote_rdata(dns_zonefile_t *file, lexer_t *lexer)
{
    token_t first;
    token_t second;
    bool is_end;
    size_t size = 0;

    if (!lexer_next_optional(lexer, &first, &is_end)) {
        return false;
    }

    lexer_unread(lexer, &first);

    if (first.kind != TOKEN_QUOTED || first.size == 0) {
        return true;
    }

    lexer_t ahead = *lexer;

    ahead.has_unread = false;

    if (!lexer_next_optional(&ahead, &second, &is_end) || !is_end) {
        return true;
    }

    for (size_t i = 0; i < first.size; i++) {
        bool is_quote = first.text[i] == '\\' && i + 1 < first.size &&
                        first.text[i + 1] == '"';

        i += is_quote;
        file->generated[size++] = first.text[i];
    }

    lexer_init(lexer, file->generated, size);
    return true;
}

/* A record behind its owner, by a lexer that may be on generated text. */
static bool
read_record(dns_zonefile_t *file, lexer_t *lexer, dns_record_t *record)
{
    frame_t *frame = top(file);
    rdata_reader_t r = {
        .lexer = lexer, .origin = frame->origin, .out = file->rdata};
    const char *start = lexer->at;
    head_t head;

    if (!read_head(file, lexer, &head) ||
        (file->is_generating && !unquote_rdata(file, lexer)) ||
        !rdata_read(&r, head.type)) {
        return false;
    }

    if (!decide_ttl(file, &head, &r)) {
        return lexer_fail(lexer, start, "a TTL, or $TTL before it");
    }

    *record = (dns_record_t){.owner = frame->owner,
                             .type = head.type,
                             .class_ = head.class_,
                             .ttl = head.ttl,
                             .rdata_size = (uint16_t) r.size,
                             .rdata = file->rdata};
    return true;
}

/* Reads the owner in front, or keeps the last one. */
static dns_status_t
read_line(dns_zonefile_t *file, const token_t *first, dns_record_t *record)
{
    frame_t *frame = top(file);
    bool is_omitted = first->follows_blank;

    if (is_omitted) {
        if (!frame->has_owner) {
            return fail_at(file, first->text,
                           "an owner name, as there is none before it");
        }
        lexer_unread(&frame->lexer, first);
    } else {
        uint8_t owner[DNS_NAME_MAX];
        dns_status_t status = read_name(file, first, frame->origin, owner);

        if (status != DNS_OK) {
            return status;
        }

        memcpy(frame->owner, owner, dns_name_size(owner));
        frame->has_owner = true;
    }

    return read_record(file, &frame->lexer, record) ? DNS_OK : fail(file);
}

/* Reads a line that $GENERATE made. */
static bool
read_generated(dns_zonefile_t *file, lexer_t *lexer, dns_record_t *record)
{
    frame_t *frame = top(file);
    token_t token;
    size_t at;

    if (!lexer_next_value(lexer, &token, "an owner name")) {
        return false;
    }

    if (dns_name_from_text(frame->owner, token.text, token.size, frame->origin,
                           &at) != DNS_OK) {
        return lexer_fail(lexer, token.text + at, "a valid domain name");
    }

    frame->has_owner = true;
    return read_record(file, lexer, record);
}

static dns_status_t
generate_next(dns_zonefile_t *file, dns_record_t *record)
{
    generate_t *g = &file->generate;
    lexer_t lexer;
    size_t size;

    if (++file->generated_count > DNS_ZONEFILE_GENERATE_MAX) {
        fail_at(file, g->pattern, "at most 1048576 records by $GENERATE");
        return DNS_ELIMIT;
    }

    if (!generate_line(g, file->generated, &size)) {
        return fail_at(file, g->pattern,
                       "text with $ or ${OFFSET,WIDTH,BASE} in it");
    }

    lexer_init(&lexer, file->generated, size);

    if (!read_generated(file, &lexer, record)) {
        set_error(file, g->pattern, &lexer);
        return DNS_EMALFORMED;
    }

    file->is_generating = g->stop - g->at >= g->step;
    g->at += g->step;
    return DNS_OK;
}

/* The next line: a record, or something else with *is_record false. */
static dns_status_t
next_line(dns_zonefile_t *file, dns_record_t *record, bool *is_record)
{
    lexer_t *lexer = &top(file)->lexer;
    token_t token;

    *is_record = false;
    file->line = lexer->line;

    if (!lexer_next(lexer, &token)) {
        return fail(file);
    }

    switch (token.kind) {
    case TOKEN_END:
        pop(file);
        return DNS_OK;
    case TOKEN_LINE_END:
        return DNS_OK;
    default:
        break;
    }

    if (token.kind == TOKEN_WORD && !token.follows_blank &&
        token.text[0] == '$') {
        return read_directive(file, &token);
    }

    *is_record = true;
    return read_line(file, &token, record);
}

dns_status_t
dns_zonefile_next(dns_zonefile_t *file, dns_record_t *record)
{
    if (file->error[0] != '\0') {
        return DNS_EMALFORMED;
    }

    file->warning[0] = '\0';

    while (file->depth > 0) {
        bool is_record;

        if (file->is_generating) {
            return generate_next(file, record);
        }

        dns_status_t status = next_line(file, record, &is_record);

        if (status != DNS_OK || is_record) {
            return status;
        }
    }

    return DNS_ENOTFOUND;
}
