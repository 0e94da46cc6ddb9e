#ifndef DNS_ZONEFILE_H
#define DNS_ZONEFILE_H

/*
 * Reads master files (RFC 1035 section 5, RFC 2308 section 4, RFC 3597
 * section 5), record by record.  What a zone as a whole must be is not checked
 * here.
 *
 *     dns_zonefile_options_t options = {.path = path, .origin = apex,
 *                                       .allows_include = true};
 *     dns_zonefile_t *file;
 *     dns_record_t record;
 *     dns_status_t status = dns_zonefile_open(&file, &options);
 *     while (status == DNS_OK &&
 *            (status = dns_zonefile_next(file, &record)) == DNS_OK) {
 *         ... record is valid until the next call ...
 *     }
 *     if (status != DNS_ENOTFOUND) {
 *         fprintf(stderr, "%s\n", dns_zonefile_error(file));
 *     }
 *     dns_zonefile_free(file);
 *
 * Understood: $ORIGIN, $TTL, $INCLUDE FILE [ORIGIN], $GENERATE; parentheses;
 * relative names; owner, TTL and class left out, TTL and class in either
 * order; a TTL of 2^31 or more as 0, with a warning (RFC 2181 section 8); @;
 * escapes; units in TTLs (1h30m); TYPE123, CLASS123 and \#; a byte order mark;
 * lines that end in CR LF.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/record.h"
#include "dns/status.h"

enum {
    DNS_ZONEFILE_DEPTH_MAX = 8,          /* $INCLUDE inside $INCLUDE */
    DNS_ZONEFILE_GENERATE_MAX = 1 << 20, /* records by $GENERATE, in all */
    DNS_ZONEFILE_SIZE_MAX = 1 << 30,     /* bytes of one file */
    DNS_ZONEFILE_ERROR_SIZE = 1024,      /* bytes of the message and its NUL */
    DNS_TTL_MAX = 0x7fffffff,            /* seconds, RFC 2181 section 8 */
};

/* Where the text comes from: path, or text under a name for messages. */
typedef struct {
    const char *path;      /* a file to read; NULL: text */
    const char *name;      /* what messages call the text; NULL: "line" */
    const char *text;      /* borrowed until dns_zonefile_free() */
    size_t size;           /* bytes of text */
    const uint8_t *origin; /* checked wire form; NULL: the root */
    uint32_t ttl;          /* of records before any TTL is stated; 0: then the
                              MINIMUM of the SOA, or an error */
    bool allows_include;   /* $INCLUDE of files in the file's own folder and
                              below; never for text */
    const char *include_folder; /* with allows_include: a folder whose files
                                   may be named too; NULL: none */
} dns_zonefile_options_t;

typedef struct dns_zonefile dns_zonefile_t;

/*
 * Begins.  DNS_ENOMEM: *out is NULL.  DNS_ENOTFOUND: the file can't be read;
 * dns_zonefile_error() says why, and *out is to be freed all the same.
 */
DNS_EXPORT DNS_MUST_USE dns_status_t
dns_zonefile_open(dns_zonefile_t **out, const dns_zonefile_options_t *options);

/*
 * The next record; what it borrows is valid until the next call.
 * DNS_ENOTFOUND: there are no more.  DNS_EMALFORMED, DNS_ELIMIT, DNS_ENOMEM:
 * dns_zonefile_error() says where and what; there is no going on.
 */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_zonefile_next(dns_zonefile_t *file,
                                                       dns_record_t *record);

/* "FILE:LINE:COLUMN: expected ..., found ..."; owned by file, empty before an
   error. */
DNS_EXPORT const char *dns_zonefile_error(const dns_zonefile_t *file);

/*
 * "FILE:LINE: warning: ...": what the last dns_zonefile_next() read in another
 * way than it stands there, and why; owned by file.  Empty: nothing.
 */
const char *dns_zonefile_warning(const dns_zonefile_t *file);

/* Where the last record began, for the caller's own messages. */
const char *dns_zonefile_name(const dns_zonefile_t *file);
unsigned dns_zonefile_line(const dns_zonefile_t *file);

/* file may be NULL. */
DNS_EXPORT void dns_zonefile_free(dns_zonefile_t *file);

#endif
