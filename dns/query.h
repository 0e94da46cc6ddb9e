#ifndef DNS_QUERY_H
#define DNS_QUERY_H

/*
 * One question as it came from the network, parsed once and then handed from
 * room to room: the cache, the engine, the Lua hooks and the forwarder all
 * read this.  The struct borrows the packet; nothing in it is allocated.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/edns.h"
#include "dns/name.h"
#include "dns/status.h"

/* EDNS as the client sent it (RFC 6891). */
typedef struct {
    bool is_present;
    bool dnssec_ok; /* the DO flag, RFC 3225 */
    uint8_t version;
    uint16_t udp_size;      /* octets, as sent */
    const uint8_t *options; /* borrowed from the packet */
    uint16_t options_size;
} dns_query_edns_t;

/* How a query came; the engine's limits depend on it. */
typedef enum {
    DNS_OVER_UDP,
    DNS_OVER_TCP,
    DNS_OVER_TLS,
    DNS_OVER_HTTPS,
} dns_transport_t;

typedef struct {
    const uint8_t *packet; /* borrowed */
    uint16_t packet_size;  /* octets */
    uint16_t id;
    uint16_t flags; /* the header's second 16 bits, host order */
    uint16_t qtype;
    uint16_t qclass;
    uint16_t question_size; /* octets of the question section; 0: none */
    uint16_t tsig_at;       /* offset of the TSIG record; 0: none (RFC 8945) */
    bool has_no_question;   /* of a query that is right but for that */
    dns_transport_t transport;
    dns_query_edns_t edns;
    dns_name_t qname; /* lower case; the packet holds the case as sent */
} dns_query_t;

/*
 * Parses a packet that should be a query.
 *
 * DNS_OK: answer it.  Otherwise *rcode says what to do:
 *   DNS_EMALFORMED with *rcode -1: send nothing (less than a header, or QR
 *   set); with an rcode (FORMERR, NOTIMP, REFUSED, BADVERS): send that error,
 *   built by dns_query_error().  query->id, flags and, where it could be read,
 *   the question are set in that case too.
 *
 * What is checked: one question, its name without pointers; every record that
 * the header counts lies inside the packet; at most one OPT, in the additional
 * section, owned by the root, its options complete and as RFC 7871 and 7873
 * have them; TSIG whole and last.  Octets behind the last record are ignored.
 * There are no keys, so a query with a TSIG gets NOTAUTH (RFC 8945 5.2.1).
 * NOTIFY and UPDATE are refused, other opcodes not implemented.
 */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_query_parse(dns_query_t *query,
                                                     const uint8_t *packet,
                                                     size_t packet_size,
                                                     dns_transport_t transport,
                                                     int *rcode);

/* A copy that borrows from packet, which has the octets of from->packet. */
DNS_EXPORT void dns_query_copy(dns_query_t *to, const dns_query_t *from,
                               const uint8_t *packet);

/*
 * The largest response that may go back to the client, in octets: 65535 over
 * streams; over UDP the client's EDNS size (at least 512), at most
 * server_limit; 512 without EDNS.
 */
DNS_EXPORT size_t dns_query_response_limit(const dns_query_t *query,
                                           size_t server_limit);

/*
 * Builds a response without records: header, question where there is one, OPT
 * where the query had one, and with NOTAUTH a TSIG that says BADKEY where it
 * had that.  rcode may be over 15 (BADVERS 16, BADCOOKIE 23: needs EDNS,
 * otherwise its low bits).  Gives its size; out has room for
 * DNS_QUERY_ERROR_MAX octets.
 */
enum {
    DNS_QUERY_TSIG_MAX = DNS_NAME_MAX + 10 + DNS_NAME_MAX + 16,
    DNS_QUERY_ERROR_MAX = 12 + DNS_NAME_MAX + 4 + 11 + 6 + DNS_QUERY_TSIG_MAX,
};
enum {
    DNS_UDP_SIZE = 1232
}; /* octets that we say we take in the OPT of errors
      (DNS flag day 2020) */
DNS_EXPORT size_t dns_query_error(const dns_query_t *query, int rcode,
                                  uint8_t *out);

/* The same with an extended error (RFC 8914), where the query had an OPT. */
DNS_EXPORT size_t dns_query_error_explained(const dns_query_t *query, int rcode,
                                            dns_ede_t why, uint8_t *out);

#endif
