#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

/* What the configuration and the client's address say about an answer. */

#include "dns/engine.h"
#include "server/handle.h"

/* octets: room for DNS_EDNS_OPTIONS_MAX, which *options then refers to. */
void dns_server_options(const dns_server_request_t *request,
                        const dns_query_t *query, uint8_t *octets,
                        dns_answer_options_t *options);

#endif
