#ifndef STORE_PRIVATE_RECORDS_H
#define STORE_PRIVATE_RECORDS_H

#include "dns/fetched.h"
#include "dns/rdata.h"
#include "store/nodes.h"
#include "store/private/json_memo.h"
#include "store/records.h"

enum {
    RECORDS_STRING_MAX = 255, /* octets of a character string, RFC 1035 3.3 */
    /* Every octet of the longest text as \DDD, with quotes and spaces. */
    RECORDS_TEXT_SIZE = 4 * STORE_CONTENT_MAX + 4096,
};

struct store_records_s {
    char text[RECORDS_TEXT_SIZE];
    size_t text_size;
    bool is_full; /* something did not fit text */
    uint8_t rdata[DNS_RDATA_MAX];
    json_memo_t memo;
};

struct json_t;
struct json_error_t;

/* The JSON of a field, by the one rule that whatever is served of it and
   whatever an edit keeps of it go by; NULL: it is none. */
struct json_t *records_load_json(const char *text, size_t size,
                                 struct json_error_t *error);

/* Can the entry of a member be read? */
bool records_can_read(store_records_t *r, const char *key,
                      struct json_t *entry);

void records_rewind(store_records_t *r);
void records_put(store_records_t *r, const char *text, size_t size);

/* An octet of a quoted string, escaped if need be. */
void records_put_octet(store_records_t *r, unsigned char octet);

/* Adds the content of a row as PowerDNS reads it. */
void records_put_content(store_records_t *r, uint16_t type,
                         const store_row_t *row);

/* One text as quoted strings of at most 255 octets, each octet as it is. */
void records_put_strings(store_records_t *r, const char *text, size_t size);

/* Makes rdata of the text so far. */
DNS_MUST_USE dns_status_t records_parse(store_records_t *r, uint16_t type,
                                        store_record_t *out,
                                        const char **reason);

/* Zones in the layouts of CoreDNS need no SOA: the SOA that its plugin makes up
   for those whose apex is wanted and has none.  DNS_ENOMEM. */
DNS_MUST_USE dns_status_t records_put_soa(dns_fetched_t *set, uint32_t serial);

/* The same for the nodes that were read of one zone. */
DNS_MUST_USE dns_status_t records_put_soa_node(store_nodes_t *nodes,
                                               const dns_name_t *apex,
                                               uint32_t serial);

/* The TTL of a row or of JSON; a negative or too large one is 0 (RFC 2181
   section 8). */
uint32_t records_ttl(int64_t ttl);

#endif
