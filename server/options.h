#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

/* What the configuration and the client's address say about an answer. */

#include "dns/engine.h"
#include "server/handle.h"

/* octets: room for DNS_EDNS_OPTIONS_MAX, which *options then refers to. */
void dns_server_options(const dns_server_request_t *request, uint8_t *octets,
                        dns_answer_options_t *options);

/* Gives the size octets of a response in request->out the OPT that this client
   is due, as dns_response_put_opt(); its size with that. */
size_t dns_server_put_opt(const dns_server_request_t *request, uint16_t rcode,
                          size_t size);

#endif
