#ifndef DNS_EDNS_H
#define DNS_EDNS_H

/*
 * EDNS options (RFC 6891 section 6.1.2): reading those of a query, building
 * those of a response, and DNS cookies.  dns_query_parse() has checked that a
 * query's options are complete; the functions here check all the same.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/status.h"

/* IANA "DNS EDNS0 Option Codes". */
enum {
    DNS_OPTION_NSID = 3,            /* RFC 5001 */
    DNS_OPTION_SUBNET = 8,          /* RFC 7871 */
    DNS_OPTION_EXPIRE = 9,          /* RFC 7314 */
    DNS_OPTION_COOKIE = 10,         /* RFC 7873, 9018 */
    DNS_OPTION_KEEPALIVE = 11,      /* RFC 7828 */
    DNS_OPTION_PADDING = 12,        /* RFC 7830 */
    DNS_OPTION_EXTENDED_ERROR = 15, /* RFC 8914 */
    DNS_OPTION_HEADER_SIZE = 4,     /* octets: code, size */
};

/* Extended DNS errors, RFC 8914 section 4. */
typedef enum {
    DNS_EDE_OTHER = 0,
    DNS_EDE_STALE_ANSWER = 3,
    DNS_EDE_FORGED_ANSWER = 4,
    DNS_EDE_DNSSEC_BOGUS = 6,
    DNS_EDE_NOT_READY = 14,
    DNS_EDE_BLOCKED = 15,
    DNS_EDE_CENSORED = 16,
    DNS_EDE_FILTERED = 17,
    DNS_EDE_PROHIBITED = 18,
    DNS_EDE_STALE_NXDOMAIN = 19,
    DNS_EDE_NOT_AUTHORITATIVE = 20,
    DNS_EDE_NOT_SUPPORTED = 21,
    DNS_EDE_NO_REACHABLE_AUTHORITY = 22,
    DNS_EDE_NETWORK_ERROR = 23,
    DNS_EDE_INVALID_DATA = 24,
} dns_ede_t;

typedef struct {
    uint16_t code;
    uint16_t size;       /* octets of data */
    const uint8_t *data; /* borrowed */
} dns_option_t;

/* Iteration: *at starts as 0; false at the end, or at an option that is cut
   short. */
bool dns_option_next(const uint8_t *options, size_t size, size_t *at,
                     dns_option_t *out);

/* The first option of a code; false if there is none. */
DNS_EXPORT bool dns_option_find(const uint8_t *options, size_t size,
                                uint16_t code, dns_option_t *out);

/* Client subnet, RFC 7871 section 6. */
typedef struct {
    uint8_t family;        /* 4 or 6; 0: none was given */
    uint8_t source_prefix; /* bits */
    uint8_t scope_prefix;  /* bits */
    uint8_t address[16];   /* network order, zero behind the prefix */
} dns_subnet_t;

DNS_MUST_USE dns_status_t dns_subnet_parse(dns_subnet_t *out,
                                           const uint8_t *data, size_t size);

/* Options under construction in the caller's memory.  A put that fails
   (DNS_ENOSPACE) writes nothing. */
typedef struct {
    uint8_t *octets; /* borrowed */
    size_t room;     /* octets */
    size_t size;     /* octets so far */
} dns_options_t;

DNS_EXPORT DNS_MUST_USE dns_status_t dns_options_put(dns_options_t *o,
                                                     uint16_t code,
                                                     const void *data,
                                                     size_t size);

DNS_EXPORT DNS_MUST_USE dns_status_t
dns_options_put_subnet(dns_options_t *o, const dns_subnet_t *subnet);

/* text: a short explanation for people, or NULL. */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_options_put_extended_error(
    dns_options_t *o, dns_ede_t code, const char *text);

/* The idle timeout that the server grants, in milliseconds (sent in tenths of
   a second, at most 6553.5 s). */
DNS_EXPORT DNS_MUST_USE dns_status_t
dns_options_put_keepalive(dns_options_t *o, uint32_t timeout_ms);

/*
 * Pads a message to a multiple of block octets (RFC 8467: 468 for responses,
 * 128 for queries), to be put last.  message_size: all of the message with the
 * OPT and the options so far.  limit: octets that the message may have; the
 * padding is shortened to it.
 */
enum {
    DNS_PADDING_BLOCK_RESPONSE = 468,
    DNS_PADDING_BLOCK_QUERY = 128,
};
DNS_MUST_USE dns_status_t dns_options_put_padding(dns_options_t *o,
                                                  size_t message_size,
                                                  size_t block, size_t limit);

/*
 * DNS cookies (RFC 7873) in the interoperable form (RFC 9018).  All servers
 * behind one address share the secret.
 */
enum {
    DNS_COOKIE_CLIENT_SIZE = 8,  /* octets, RFC 7873 section 4.1 */
    DNS_COOKIE_SERVER_SIZE = 16, /* octets, RFC 9018 section 4 */
    DNS_COOKIE_SIZE = 24,
    DNS_COOKIE_SECRET_SIZE = 16,
};

/* What cookies are made of besides the client's own. */
typedef struct {
    const uint8_t *secret;  /* borrowed; DNS_COOKIE_SECRET_SIZE octets */
    const uint8_t *address; /* borrowed; the client's, network order */
    size_t address_size;    /* 4 or 16 octets */
    uint32_t now;           /* seconds since 1970 */
} dns_cookie_context_t;

typedef enum {
    DNS_COOKIE_ABSENT,      /* no option, or one that is malformed */
    DNS_COOKIE_CLIENT_ONLY, /* the client does not know ours yet */
    DNS_COOKIE_GOOD,        /* ours, not over an hour old */
    DNS_COOKIE_BAD,         /* not ours, or expired */
} dns_cookie_state_t;

/* Judges a query's cookie option (data of DNS_OPTION_COOKIE, NULL if there is
   none). */
DNS_EXPORT dns_cookie_state_t dns_cookie_check(
    const dns_cookie_context_t *context, const uint8_t *data, size_t size);

/* The cookie for the response to a client cookie of 8 octets: out has room for
   DNS_COOKIE_SIZE octets. */
DNS_EXPORT void dns_cookie_make(const dns_cookie_context_t *context,
                                const uint8_t *client, uint8_t *out);

#endif
