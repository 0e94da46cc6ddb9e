#ifndef FFI_DNS_FFI_H
#define FFI_DNS_FFI_H

/*
 * What Lua sees of dns/: numbers and their names, domain names, record data
 * and whole messages.  Lua never parses wire bytes: it asks here.
 *
 * Functions that can fail give 0 or a count, or a negative dns_status_t.
 * Names are uncompressed wire form.  Integers are in the machine's order.
 */

#include <stddef.h>
#include <stdint.h>

#include "dns/status.h"

enum {
    RESOLUA_FFI_ABI = 2, /* raised by each change of ffi/ that breaks Lua */

    DNS_FFI_NAME_MAX = 255,
    DNS_FFI_NAME_TEXT_SIZE = 1009,
    DNS_FFI_MNEMONIC_SIZE = 16,
    DNS_FFI_RDATA_MAX = 65535,
    DNS_FFI_RDATA_TEXT_SIZE = 1048576,
    DNS_FFI_MESSAGE_MAX = 65535,
    DNS_FFI_ERROR_SIZE = 512, /* bytes for a reason and its NUL */

    DNS_FFI_ENOSPACE = -1,
    DNS_FFI_EMALFORMED = -2,
    DNS_FFI_ENOTFOUND = -3,
    DNS_FFI_ENOMEM = -4,
    DNS_FFI_EEXIST = -5,
    DNS_FFI_ECONFLICT = -6,
    DNS_FFI_ESTORE = -7,
    DNS_FFI_ELIMIT = -8,
    DNS_FFI_EUNKNOWN = -9,

    DNS_FFI_QUESTION = 0,
    DNS_FFI_ANSWER = 1,
    DNS_FFI_AUTHORITY = 2,
    DNS_FFI_ADDITIONAL = 3,

    DNS_FFI_QR = 0x8000,
    DNS_FFI_AA = 0x0400,
    DNS_FFI_TC = 0x0200,
    DNS_FFI_RD = 0x0100,
    DNS_FFI_RA = 0x0080,
    DNS_FFI_AD = 0x0020,
    DNS_FFI_CD = 0x0010,
};

/* RESOLUA_FFI_ABI of the library: the caller compares it with its own. */
DNS_EXPORT uint32_t resolua_ffi_abi(void);

/* A short sentence for a negative return value; static. */
DNS_EXPORT const char *dns_ffi_status_text(int status);

/* Cryptographically strong random octets (getrandom). */
DNS_EXPORT void dns_ffi_random(uint8_t *out, size_t size);

/* SHA-256 of data; out: 32 octets. */
DNS_EXPORT void dns_ffi_sha256(const uint8_t *data, size_t size, uint8_t *out);

/*
 * Numbers and mnemonics.  from_text: the number, or DNS_FFI_EUNKNOWN.
 * to_text: out has room for DNS_FFI_MNEMONIC_SIZE bytes; gives the length.
 */
DNS_EXPORT int dns_ffi_type_from_text(const char *text, size_t size);
DNS_EXPORT int dns_ffi_class_from_text(const char *text, size_t size);
DNS_EXPORT int dns_ffi_rcode_from_text(const char *text, size_t size);
DNS_EXPORT int dns_ffi_opcode_from_text(const char *text, size_t size);
DNS_EXPORT size_t dns_ffi_type_to_text(uint16_t type, char *out);
DNS_EXPORT size_t dns_ffi_class_to_text(uint16_t class_code, char *out);
DNS_EXPORT size_t dns_ffi_rcode_to_text(uint16_t rcode, char *out);
DNS_EXPORT size_t dns_ffi_opcode_to_text(uint16_t opcode, char *out);

/* 1: no zone can hold records of the type (OPT, ANY, AXFR ...); 0: it can. */
DNS_EXPORT int dns_ffi_type_is_meta(uint16_t type);

/*
 * Names.  from_text: a text without final dot is completed with origin, or
 * taken as absolute if origin is NULL; out has room for DNS_FFI_NAME_MAX
 * octets; gives the size.  to_text: checks the name; out has room for
 * DNS_FFI_NAME_TEXT_SIZE bytes; gives the length, final dot included.
 */
DNS_EXPORT int dns_ffi_name_from_text(const char *text, size_t size,
                                      const uint8_t *origin, uint8_t *out);
DNS_EXPORT int dns_ffi_name_to_text(const uint8_t *name, size_t size,
                                    char *out);

/* 1: name is the ancestor or lies below it; 0: not.  Both checked names. */
DNS_EXPORT int dns_ffi_name_is_within(const uint8_t *name,
                                      const uint8_t *ancestor);

/* Canonical order (RFC 4034 section 6.1) of two names in wire form: below,
   equal to or above 0. */
DNS_EXPORT int dns_ffi_name_compare(const uint8_t *a, const uint8_t *b);

/*
 * Record data.  from_text: relative names in it are completed with origin
 * (NULL: absolute); out has room for DNS_FFI_RDATA_MAX octets; gives the size;
 * error takes the reason, DNS_FFI_ERROR_SIZE bytes.  to_text: out has room for
 * DNS_FFI_RDATA_TEXT_SIZE bytes; gives the length.
 */
DNS_EXPORT int dns_ffi_rdata_from_text(uint16_t type, const char *text,
                                       size_t size, const uint8_t *origin,
                                       uint8_t *out, char *error);
DNS_EXPORT int dns_ffi_rdata_to_text(uint16_t type, const uint8_t *rdata,
                                     size_t size, char *out);

/* One record, or a question (ttl and rdata_size 0). */
struct dns_ffi_record {
    uint8_t section; /* DNS_FFI_QUESTION ... */
    uint16_t type;
    uint16_t class_code;
    uint32_t ttl; /* seconds */
    uint16_t name_size;
    uint16_t rdata_size;
    uint8_t name[255];
    uint8_t rdata[65535]; /* names in it uncompressed */
};

/* A message under decoding: its header, and where the next record stands. */
struct dns_ffi_message {
    const uint8_t *wire; /* borrowed: outlives the decoding */
    uint32_t size;
    uint32_t at;
    uint16_t id;
    uint16_t flags; /* the header's second 16 bits */
    uint16_t counts[4];
    uint16_t left; /* records of the section not read yet */
    uint8_t section;
    uint8_t has_edns;
    uint8_t edns_version;
    uint8_t dnssec_ok;
    uint16_t rcode; /* all 12 bits */
    uint16_t udp_size;
    uint16_t options_size;
    uint32_t options_at; /* offset of the EDNS options */
};

/* Reads the header and checks that every record lies inside the message and
   decodes.  0 or DNS_FFI_EMALFORMED. */
DNS_EXPORT int dns_ffi_message_parse(struct dns_ffi_message *message,
                                     const uint8_t *wire, size_t size);

/* The next question or record; an OPT is skipped.  1, or 0 at the end. */
DNS_EXPORT int dns_ffi_message_next(struct dns_ffi_message *message,
                                    struct dns_ffi_record *out);

/* 1 if TC is set; -1: shorter than a header. */
DNS_EXPORT int dns_ffi_message_is_truncated(const uint8_t *wire, size_t size);

/* All 12 bits; -1: shorter than a header.  Of a message that is cut short, what
   could be read. */
DNS_EXPORT int dns_ffi_message_rcode(const uint8_t *wire, size_t size);

/*
 * A message under construction; it keeps its own buffer.  A writer is used
 * again and again by dns_ffi_writer_start().
 */
struct dns_ffi_writer;

/* NULL: no memory. */
DNS_EXPORT struct dns_ffi_writer *dns_ffi_writer_new(void);
DNS_EXPORT void dns_ffi_writer_free(struct dns_ffi_writer *writer);

/* limit: octets that the message may have, 512 to 65535. */
DNS_EXPORT void dns_ffi_writer_start(struct dns_ffi_writer *writer,
                                     size_t limit, uint16_t id, uint16_t flags);

/* With EDNS: keeps room for an OPT, which finish writes. */
DNS_EXPORT int dns_ffi_writer_use_edns(struct dns_ffi_writer *writer,
                                       uint16_t udp_size, uint8_t dnssec_ok,
                                       const uint8_t *options,
                                       size_t options_size);

/*
 * Appends a question or a record (its section, in ascending order); rdata is
 * checked.  0; DNS_FFI_ENOSPACE: it does not fit: the whole record set that it
 * belongs to is taken out again, and TC is set unless it is additional data;
 * DNS_FFI_EMALFORMED.
 */
DNS_EXPORT int dns_ffi_writer_put(struct dns_ffi_writer *writer,
                                  const struct dns_ffi_record *record);

/* Writes the OPT with the extended rcode; gives the size of the message, which
   lies in dns_ffi_writer_message() until the next start. */
DNS_EXPORT int dns_ffi_writer_finish(struct dns_ffi_writer *writer,
                                     uint16_t rcode);
DNS_EXPORT const uint8_t *
dns_ffi_writer_message(const struct dns_ffi_writer *writer);

/*
 * A query for the network, from a question that was already parsed: name with
 * random letter case (the 0x20 bits), its own id, RD, CD and AD as given, EDNS
 * with udp_size (0: without EDNS).  out has room for 512 octets; gives the
 * size.
 */
struct dns_ffi_ask {
    uint16_t id;
    uint16_t type;
    uint16_t class_code;
    uint16_t udp_size;
    uint8_t recursion_desired;
    uint8_t checking_disabled;
    uint8_t dnssec_ok;
    uint8_t mix_case;
    uint8_t authentic_data;
    uint16_t name_size;
    uint8_t name[255]; /* in and out: as it went onto the wire */
};

DNS_EXPORT int dns_ffi_ask_write(struct dns_ffi_ask *ask, uint8_t *out);

/* 1: wire is a response to ask: QR, opcode, id and the question octet by octet
   (letter case too); 2: only the letter case is another; 3: it has the id and
   says FORMERR or NOTIMP, and has no question, as some servers answer what they
   do not understand; 0: not. */
DNS_EXPORT int dns_ffi_ask_is_answered_by(const struct dns_ffi_ask *ask,
                                          const uint8_t *wire, size_t size);

/* A client's query, as far as Lua needs to know it. */
struct dns_ffi_query {
    int16_t rcode; /* 0: well formed; -1: send nothing; else send this error */
    uint16_t id;
    uint16_t flags;
    uint16_t type;
    uint16_t class_code;
    uint16_t limit; /* octets that the response may have */
    uint8_t dnssec_ok;
    uint8_t name_size;
    uint8_t name[255]; /* lower case */
};

/* transport: 0 UDP, 1 TCP, 2 TLS, 3 HTTPS; udp_limit: the server's own. */
DNS_EXPORT void dns_ffi_query_parse(struct dns_ffi_query *query,
                                    const uint8_t *packet, size_t size,
                                    int transport, uint16_t udp_limit);

/* A response without records to a packet that could be parsed; flags are added
   to its header (RA); why: an extended error's code (RFC 8914), -1: none.  out
   has room for 1024 octets; gives the size. */
DNS_EXPORT int dns_ffi_query_error(const uint8_t *packet, size_t size,
                                   uint16_t rcode, uint16_t flags, int why,
                                   uint8_t *out);

/*
 * Sends a packet to a name server and waits up to five seconds for the
 * response with the same id; blocks, for programs outside the server.
 * address: IPv4 or IPv6.  out has room for DNS_FFI_MESSAGE_MAX octets; gives
 * the size, or DNS_FFI_ENOTFOUND: no answer (errno says why),
 * DNS_FFI_EMALFORMED: not an address.
 */
DNS_EXPORT int dns_ffi_client_exchange(const char *address, uint16_t port,
                                       int use_tcp, const uint8_t *packet,
                                       size_t size, uint8_t *out);

#endif
