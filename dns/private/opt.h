#ifndef DNS_PRIVATE_OPT_H
#define DNS_PRIVATE_OPT_H

/* The options of a response's OPT record. */

#include "dns/edns.h"
#include "dns/engine.h"

typedef struct {
    uint8_t octets[DNS_EDNS_OPTIONS_MAX + DNS_OPTION_HEADER_SIZE +
                   DNS_PADDING_BLOCK_RESPONSE];
    dns_options_t list;
} opt_options_t;

/* What the server's configuration and the query ask for, padding apart. */
void opt_collect(opt_options_t *o, const dns_query_t *query,
                 const dns_answer_options_t *options);

/* Over TLS and HTTPS, where the query is padded (RFC 7830 section 4): pads the
   message, message_size octets with its OPT and the options so far. */
void opt_pad(opt_options_t *o, const dns_query_t *query, size_t message_size);

#endif
