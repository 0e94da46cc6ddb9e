#ifndef HOOK_FFI_H
#define HOOK_FFI_H

/*
 * What a hook (dns_query_by_lua* and its like) sees of a query and says about
 * it.  The server owns and recycles it; it is good until the query is answered.
 * Scripts never hold it: they hold a handle, which knows when that is over.
 */

#include <stddef.h>
#include <stdint.h>

#include "dns/status.h"

enum {
    DNS_FFI_HOOK_NONE = 0,   /* go on as without the hook */
    DNS_FFI_HOOK_ANSWER = 1, /* out is the response */
    DNS_FFI_HOOK_DROP = 2,   /* send nothing */
    DNS_FFI_HOOK_ASK = 3,    /* ask upstreams (forward) or for another name */
    DNS_FFI_HOOK_FORWARD_MAX = 256,
    DNS_FFI_HOOK_TAG_MAX = 64
};

struct dns_ffi_hook {
    /* The query. */
    const uint8_t *packet;
    uint32_t packet_size; /* octets */
    uint32_t limit;       /* octets that the response may have */
    uint16_t id;
    uint16_t flags; /* of the header, host order */
    uint16_t type;
    uint16_t class_code;
    uint16_t client_port;
    uint16_t udp_size; /* octets that the client takes; 0: no EDNS */
    uint8_t transport; /* 0 UDP, 1 TCP, 2 TLS, 3 HTTPS */
    uint8_t dnssec_ok;
    uint8_t client_family; /* 4 or 6 */
    uint8_t qname_size;
    uint8_t client_octets[16]; /* network order */
    uint8_t qname[256];        /* wire form, lower case */
    /* The decision. */
    uint8_t *out;      /* the response, without OPT */
    uint32_t out_room; /* 0: it is too late for an answer */
    uint32_t out_size;
    uint32_t cache_seconds;
    uint32_t started;  /* milliseconds of the server's clock */
    uint32_t duration; /* milliseconds, for the log hook */
    uint16_t rcode;    /* of the response, 12 bits */
    uint8_t action;
    uint8_t tag_size;
    uint16_t additional_count; /* of a whole response that was set */
    uint16_t forward_size;
    uint16_t new_name_size; /* 0: the question's own */
    char tag[64];
    char forward_to[256];  /* upstreams with spaces between */
    uint8_t new_name[256]; /* wire form, to be looked up instead */
};

/* The queries that are one after another in the same memory, told apart; never
   freed. */
struct dns_ffi_hook_life {
    struct dns_ffi_hook *hook;
    double serial; /* of the query that is there now */
};

/* A script's own view of one query: over when the serials differ. */
struct dns_ffi_hook_handle {
    struct dns_ffi_hook_life *life;
    double serial;
};

/* Starts a response with rcode to the query; its records are dropped.  Without
   room for it nothing changes. */
DNS_EXPORT void dns_ffi_hook_begin(struct dns_ffi_hook *hook, uint16_t rcode);

/*
 * Adds a record to the response, which begins if it has not.  section: 1
 * answer, 2 authority, 3 additional, in this order.  owner: text, or NULL for
 * the question's name.  text: the rdata.  0; DNS_FFI_EMALFORMED with *what: 1
 * the owner, 2 the rdata, 3 the section; DNS_FFI_ENOSPACE.
 */
DNS_EXPORT int dns_ffi_hook_add(struct dns_ffi_hook *hook, int section,
                                const char *owner, size_t owner_size,
                                uint16_t type, uint32_t ttl, const char *text,
                                size_t text_size, int *what);

/* Takes a whole response; its id and question become the query's.  0, or
   DNS_FFI_EMALFORMED. */
DNS_EXPORT int dns_ffi_hook_set(struct dns_ffi_hook *hook, const uint8_t *wire,
                                size_t size);

/* The client's address and the question's name as text: the size, without NUL.
   out: 64 octets, and DNS_FFI_NAME_TEXT_SIZE. */
DNS_EXPORT int dns_ffi_hook_client_text(const struct dns_ffi_hook *hook,
                                        char *out);
DNS_EXPORT int dns_ffi_hook_name_text(const struct dns_ffi_hook *hook,
                                      char *out);

/* 1: the client's address lies in address/bits (network order). */
DNS_EXPORT int dns_ffi_hook_client_in(const struct dns_ffi_hook *hook,
                                      int family, const uint8_t *address,
                                      int bits);

/* The client subnet that the query carries (RFC 7871): its family (4 or 6), or
   0.  address: 16 octets. */
DNS_EXPORT int dns_ffi_hook_subnet(const struct dns_ffi_hook *hook,
                                   uint8_t *address, uint8_t *bits);

#endif
