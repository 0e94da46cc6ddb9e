#ifndef DNS_NAME_H
#define DNS_NAME_H

/*
 * Domain names in wire form (RFC 1035 section 3.1): labels of 1 to 63 octets,
 * each behind its length, the root label last, at most 255 octets in all.
 * All 256 octet values may stand in a label.  Letters compare without case
 * (RFC 4343).
 *
 * `const uint8_t *name` is such a name, uncompressed and checked; its size is
 * dns_name_size().  dns_name_t is a name with its labels already found, for
 * code that walks up and down the tree.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dns/status.h"

enum {
    DNS_LABEL_MAX = 63,        /* octets, RFC 1035 2.3.4 */
    DNS_NAME_MAX = 255,        /* octets with all lengths and the root */
    DNS_NAME_LABELS_MAX = 127, /* labels besides the root */
    DNS_NAME_TEXT_SIZE = 1009, /* bytes of the longest text and its NUL:
                                  4 labels, 250 octets as \DDD, 4 dots */
    DNS_KEY_MAX = 504,         /* bytes of the longest node key */
};

typedef struct {
    uint8_t size;        /* octets, root included: 1 to 255 */
    uint8_t label_count; /* without the root: 0 to 127 */
    uint8_t label_at[DNS_NAME_LABELS_MAX + 1]; /* offset of each label's length
                                                  octet, the root's last */
    uint8_t octets[DNS_NAME_MAX];
} dns_name_t;

/* Size in octets of a checked name. */
DNS_EXPORT size_t dns_name_size(const uint8_t *name);

/*
 * Checks that an uncompressed name stands at octets[0 .. size - 1], and gives
 * its size, which may be less.  DNS_EMALFORMED: cut short, a label type that
 * is not 00, or over 255 octets.
 */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_name_check(const uint8_t *octets,
                                                    size_t size,
                                                    size_t *name_size);

/* Copies a checked name, letters in lower case, and finds its labels. */
DNS_EXPORT void dns_name_set(dns_name_t *out, const uint8_t *name);

/* As dns_name_set(), letters as they are. */
DNS_EXPORT void dns_name_set_exact(dns_name_t *out, const uint8_t *name);

/* out = the ancestor of name that has label_count labels; 0 is the root.
   label_count <= name->label_count; out may be name. */
DNS_EXPORT void dns_name_ancestor(dns_name_t *out, const dns_name_t *name,
                                  unsigned label_count);

/* Where the wire form of the ancestor with label_count labels starts inside
   name->octets: no copy. */
static inline const uint8_t *
dns_name_suffix(const dns_name_t *name, unsigned label_count)
{
    return name->octets + name->label_at[name->label_count - label_count];
}

/* out = "*." under name (RFC 4592).  DNS_ENOSPACE: over 255 octets. */
DNS_MUST_USE dns_status_t dns_name_wildcard(dns_name_t *out,
                                            const uint8_t *name);

/* Same name, letter case aside. */
DNS_EXPORT bool dns_name_equal(const uint8_t *a, const uint8_t *b);

/* name is suffix or lies below it. */
bool dns_name_is_within(const uint8_t *name, const uint8_t *suffix);

/* The same for two names that are in lower case. */
static inline bool
dns_name_has_suffix(const dns_name_t *name, const dns_name_t *suffix)
{
    return name->label_count >= suffix->label_count &&
           name->label_at[name->label_count - suffix->label_count] +
                   suffix->size ==
               name->size &&
           memcmp(name->octets + name->size - suffix->size, suffix->octets,
                  suffix->size) == 0;
}

/* Canonical order, RFC 4034 section 6.1: below 0, 0, above 0. */
DNS_EXPORT int dns_name_compare(const uint8_t *a, const uint8_t *b);

/* Lower-cases letters in place. */
DNS_EXPORT void dns_name_lower(uint8_t *name);

/*
 * Reads presentation form (RFC 1035 section 5.1: \. and \DDD escapes).  A name
 * without a final dot is completed with origin (checked wire form); with
 * origin NULL it is taken as absolute.  "@" alone is the origin.  out has room
 * for DNS_NAME_MAX octets.
 *
 * DNS_EMALFORMED: an empty label, a bad escape, a label over 63 octets or a
 * name over 255; *error_at is then the offset of what is wrong (error_at may
 * be NULL).
 */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_name_from_text(uint8_t *out,
                                                        const char *text,
                                                        size_t text_size,
                                                        const uint8_t *origin,
                                                        size_t *error_at);

/*
 * Writes presentation form with the final dot and a NUL; gives the length
 * without the NUL.  out has room for DNS_NAME_TEXT_SIZE bytes.  Escapes
 * " ( ) . ; @ \ $ with a backslash and what is not printable as \DDD, so that
 * the text can be read back anywhere in a master file.
 */
DNS_EXPORT size_t dns_name_to_text(char *out, const uint8_t *name);

/*
 * The node key: labels from the one nearest to the root outwards, lower case,
 * octets 0 and 1 written as 01 01 and 01 02, each label closed by 00.  memcmp
 * of keys is canonical order, and a key is a prefix of another just if its
 * name is an ancestor.  The first skip labels (counted from the root) are left
 * out: a zone's nodes skip the labels of its apex.
 *
 * out has room for DNS_KEY_MAX bytes; returns the size.
 */
size_t dns_name_key(uint8_t *out, const dns_name_t *name, unsigned skip);

/* The inverse of dns_name_key() under an apex (checked wire form; "" for the
   root is one 0 octet).  DNS_EMALFORMED: not such a key. */
DNS_MUST_USE dns_status_t dns_name_from_key(uint8_t *out, const uint8_t *key,
                                            size_t key_size,
                                            const uint8_t *apex);

#endif
