#ifndef STORE_RECORDS_H
#define STORE_RECORDS_H

/*
 * Records from what databases hold: rows with a type and its text, and JSON
 * objects as the CoreDNS plugins for Redis and MySQL keep them.  What comes
 * from a database is untrusted: it is bounded, parsed and checked here, and
 * what does not parse comes back with a reason, so that the rest of a zone can
 * be served.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/node.h"
#include "dns/status.h"

enum {
    STORE_CONTENT_MAX = 65535,  /* bytes of one row's text */
    STORE_JSON_MAX = 1 << 20,   /* bytes of one JSON value */
    STORE_JSON_TTL = 360,       /* seconds: where the JSON has none */
    STORE_ROW_TTL = 3600,       /* seconds: where the row has none */
    STORE_TTL_MAX = 0x7fffffff, /* RFC 2181 section 8 */
};

/* Memory for parsing; one per worker. */
typedef struct store_records_s store_records_t;

DNS_EXPORT DNS_MUST_USE dns_status_t store_records_new(store_records_t **out);
DNS_EXPORT void store_records_free(store_records_t *records);

typedef struct {
    uint16_t type;
    uint32_t ttl;
    dns_rdata_t rdata; /* borrowed until the next call */
} store_record_t;

/* A row.  Texts are borrowed and need no NUL. */
typedef struct {
    const char *type; /* mnemonic, TYPE123 or a number; NULL: SQL's NULL */
    size_t type_size;
    const char *content; /* NULL: SQL's NULL */
    size_t content_size;
    bool has_ttl;
    int64_t ttl; /* seconds */
    bool has_prio;
    int64_t prio;        /* goes before the content of MX and SRV */
    bool is_master_text; /* the content may be \# SIZE OCTETS for types of which
                            PowerDNS reads that as text */
} store_row_t;

/*
 * The content is read as PowerDNS reads it.  Names in it are absolute, with or
 * without the final dot.  A TXT or SPF content that does not begin with a quote
 * is one text; in it and in quoted ones a backslash escapes, and what is longer
 * than 255 octets is cut into strings of 255.
 *
 * DNS_ENOTFOUND: nothing to serve and nothing wrong: a row without type, which
 * marks an empty non-terminal.  DNS_EUNKNOWN: a type that is made by the other
 * server when it is asked (LUA, ALIAS).  DNS_EMALFORMED, DNS_ELIMIT: *reason
 * (static) says why.
 */
DNS_MUST_USE dns_status_t store_records_from_row(store_records_t *records,
                                                 const store_row_t *row,
                                                 store_record_t *out,
                                                 const char **reason);

/* What is found in a JSON value, or with record NULL why a part of it is left
   out.  reason: borrowed for the call. */
typedef void (*store_record_visit_t)(void *data, const store_record_t *record,
                                     const char *reason);

typedef struct {
    const char *text; /* borrowed */
    size_t size;
    uint32_t serial; /* for a SOA without one */
    store_record_visit_t visit;
    void *data;
} store_json_t;

/*
 * A field of a zone's hash in Redis: {"a":[{"ip":"192.0.2.1","ttl":300}], ...},
 * and types that have no members of their own in
 * "rr":[{"type":"TLSA","ttl":300,"data":"3 1 1 ..."}].
 * DNS_EMALFORMED: not a JSON object; visit was told.
 */
DNS_MUST_USE dns_status_t store_records_from_json(store_records_t *records,
                                                  const store_json_t *json);

/* A row of the CoreDNS MySQL plugin: type_and_ttl of its columns, one object in
   json.  DNS_EMALFORMED, DNS_EUNKNOWN: visit was told. */
DNS_MUST_USE dns_status_t store_records_from_json_row(store_records_t *records,
                                                      const store_row_t *row,
                                                      const store_json_t *json);

/* What of a field cannot be read, as JSON: all of it where it is no object.
 *out: owned by the caller, free(); NULL: all of it can. */
DNS_MUST_USE dns_status_t store_records_unread_json(store_records_t *records,
                                                    const char *text,
                                                    size_t size, char **out);

/* A field's JSON and what its node was and is to be; all borrowed. */
typedef struct {
    const char *text; /* NULL: there was none */
    size_t size;
    const dns_node_t *old;
    const dns_node_t *node;
    /* Is the whole set replaced or removed?  If not, members of its type that
       cannot be read stay.  NULL: each set is. */
    bool (*resets)(const void *data, uint16_t type);
    const void *data;
} store_json_change_t;

/*
 * The JSON with the record sets that differ; members that hold none of them
 * stay.  *out: owned by the caller, free(); NULL: nothing is left.
 * DNS_ECONFLICT: the text is no JSON object, and would be lost.  A SOA that
 * has no serial in the JSON does not get one by its serial's change alone.
 */
DNS_MUST_USE dns_status_t store_records_change_json(
    store_records_t *records, const store_json_change_t *change, char **out);

#endif
