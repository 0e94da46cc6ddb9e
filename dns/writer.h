#ifndef DNS_WRITER_H
#define DNS_WRITER_H

/*
 * Writes a message into the caller's buffer, names compressed (RFC 1035
 * section 4.1.4).  Nothing is allocated and nothing needs freeing.  A put that
 * fails leaves the message as it was; to take back what succeeded, note a
 * dns_writer_mark() first and rewind to it.
 *
 *     dns_writer_t w;
 *     dns_writer_init(&w, out, limit);
 *     dns_writer_put_header(&w, query->id, flags);
 *     dns_writer_put_question(&w, query->packet + DNS_HEADER_SIZE, ...);
 *     dns_writer_reserve(&w, DNS_OPT_SIZE);
 *     if (dns_writer_put_rrset(&w, DNS_ANSWER, name, DNS_QUESTION_AT,
 *                              &rrset) != DNS_OK) {
 *         dns_writer_truncate(&w);
 *     }
 *     dns_writer_release(&w, DNS_OPT_SIZE);
 *     dns_writer_put_opt(&w, &opt);
 *     size = w.used;
 *
 * Owner names and the rdata names of the RFC 1035 types use pointers and serve
 * as their targets; other rdata names do neither (RFC 3597 section 4).  The
 * counts in the header are right after each put.  The cost is linear in what
 * is written: names are found by hash, and the work for one look-up is bounded
 * (over the bound a name is written in full).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/node.h"
#include "dns/status.h"
#include "dns/type.h"

enum {
    DNS_POINTER_MAX = 0x3fff,    /* highest offset that a pointer can hold */
    DNS_MESSAGE_MAX = 65535,     /* octets */
    DNS_QUESTION_AT = 12,        /* offset of the question's name */
    DNS_RECORD_HEADER_SIZE = 10, /* octets between owner name and rdata */
    DNS_OPT_SIZE = 11,           /* octets of an OPT without options */
    DNS_WRITER_TARGETS = 2048,   /* labels remembered as pointer targets */
    DNS_WRITER_BUCKETS_FEW = 64,
    DNS_WRITER_BUCKETS = 1024,
};

typedef enum {
    DNS_QUESTION,
    DNS_ANSWER,
    DNS_AUTHORITY,
    DNS_ADDITIONAL,
} dns_section_t;

typedef enum {
    DNS_COMPRESS, /* owner names, and rdata of the RFC 1035 types only */
    DNS_LITERAL,  /* every other rdata name */
} dns_compress_t;

/* A label that a pointer may name; its suffix has this hash. */
typedef struct {
    uint32_t hash;
    uint16_t at;
    uint16_t next; /* in its bucket: index + 1; 0: the last */
} dns_writer_target_t;

/* About 18 KiB, of which a small message touches only the beginning. */
typedef struct {
    uint8_t *message; /* borrowed; octet 0 is the header's id */
    uint32_t used;    /* octets written, header included */
    uint32_t limit;   /* octets that may be written */
    uint16_t target_count;
    uint16_t bucket_count;      /* FEW at first */
    bool has_unhashed_question; /* its labels become targets on demand */
    uint16_t buckets[DNS_WRITER_BUCKETS]; /* index + 1 of the newest target */
    dns_writer_target_t targets[DNS_WRITER_TARGETS];
} dns_writer_t;

/* A record as it is written; owner and rdata are read, not kept. */
typedef struct {
    const uint8_t *owner; /* checked wire form */
    uint16_t owner_at; /* where the message holds owner already; 0: unknown */
    uint16_t type;
    uint16_t class_;
    uint16_t rdata_size;
    uint32_t ttl;         /* seconds */
    const uint8_t *rdata; /* accepted by dns_rdata_check() */
} dns_writer_record_t;

/* Where a message was, to go back to. */
typedef struct {
    uint32_t used;
    uint16_t target_count;
    bool has_unhashed_question;
    uint8_t counts[8]; /* the header's four, as in the message */
} dns_writer_mark_t;

/* Starts with a header of zeros.  DNS_HEADER_SIZE <= limit; a limit over
   DNS_MESSAGE_MAX counts as that. */
DNS_EXPORT void dns_writer_init(dns_writer_t *w, uint8_t *message,
                                size_t limit);

/* Sets id and flags (DNS_FLAG_*, opcode and rcode in host order). */
DNS_EXPORT void dns_writer_put_header(dns_writer_t *w, uint16_t id,
                                      uint16_t flags);

/* Adds bits to the flags: DNS_FLAG_AA, an rcode over none. */
void dns_writer_add_flags(dns_writer_t *w, uint16_t flags);

/*
 * The question, before any record.  name: checked wire form, its letters kept
 * as they are.  DNS_ENOSPACE.
 */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_writer_put_question(
    dns_writer_t *w, const uint8_t *name, uint16_t type, uint16_t class_);

/*
 * Appends a name alone.  name: checked wire form.  Letter case may change
 * where a pointer replaces labels (RFC 4343 section 4.1).  DNS_ENOSPACE.
 */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_writer_put_name(dns_writer_t *w,
                                                         const uint8_t *name,
                                                         dns_compress_t mode);

/* Appends one record; sections in ascending order.  DNS_ENOSPACE. */
DNS_MUST_USE dns_status_t dns_writer_put_record(
    dns_writer_t *w, dns_section_t section, const dns_writer_record_t *record);

/*
 * Appends a record set of class IN, all of it or nothing.  owner_at: offset
 * where the message holds the owner name already (DNS_QUESTION_AT for the
 * question's), 0 if that is not known.  DNS_ENOSPACE.
 */
DNS_MUST_USE dns_status_t dns_writer_put_rrset(dns_writer_t *w,
                                               dns_section_t section,
                                               const uint8_t *owner,
                                               uint16_t owner_at,
                                               const dns_rrset_t *rrset);

/* An OPT record, RFC 6891 section 6.1. */
typedef struct {
    uint16_t udp_size; /* octets that the sender can take */
    uint16_t rcode;    /* all 12 bits; the low 4 belong in the header */
    uint8_t version;
    bool dnssec_ok;
    uint16_t options_size;
    const uint8_t *options; /* may be NULL if options_size is 0 */
} dns_writer_opt_t;

/* Appends OPT to the additional section.  DNS_ENOSPACE. */
DNS_EXPORT DNS_MUST_USE dns_status_t
dns_writer_put_opt(dns_writer_t *w, const dns_writer_opt_t *opt);

/* Keeps octets free for what must come last, and gives them back.
   DNS_ENOSPACE: there are not so many. */
DNS_MUST_USE dns_status_t dns_writer_reserve(dns_writer_t *w, size_t octets);
void dns_writer_release(dns_writer_t *w, size_t octets);

dns_writer_mark_t dns_writer_mark(const dns_writer_t *w);

/* Drops all that was written after the mark was taken. */
void dns_writer_rewind(dns_writer_t *w, const dns_writer_mark_t *mark);

/* Sets TC (RFC 2181 section 9: only when a set that the answer needs did not
   fit). */
void dns_writer_truncate(dns_writer_t *w);

/* Records in a section so far. */
DNS_EXPORT unsigned dns_writer_count(const dns_writer_t *w,
                                     dns_section_t section);

#endif
