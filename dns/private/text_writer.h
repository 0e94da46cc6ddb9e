#ifndef DNS_PRIVATE_TEXT_WRITER_H
#define DNS_PRIVATE_TEXT_WRITER_H

/* Text into a bounded buffer; what does not fit is dropped and noted. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/base_n.h"

typedef struct {
    char *out;   /* borrowed */
    size_t room; /* bytes, one of them for the NUL */
    size_t size;
    bool is_full;
} text_writer_t;

void text_put(text_writer_t *w, const char *text, size_t size);
void text_put_string(text_writer_t *w, const char *text);
void text_put_number(text_writer_t *w, uint64_t number);

/* A name with its final dot. */
void text_put_name(text_writer_t *w, const uint8_t *name);

void text_put_base(text_writer_t *w, base_t base, const uint8_t *octets,
                   size_t size);

/* Octets with escapes for what is not printable and for the special
   characters; quoted: inside quotes. */
void text_put_quoted(text_writer_t *w, const uint8_t *octets, size_t size);
void text_put_escaped(text_writer_t *w, const uint8_t *octets, size_t size,
                      const char *special);

/* Closes with a NUL; false if something did not fit. */
bool text_finish(text_writer_t *w);

/* Service parameters, RFC 9460 section 2.1. */
void text_put_parameters(text_writer_t *w, const uint8_t *octets, size_t size);

/* RFC 4025, RFC 8777; RFC 3123 and RFC 1876: false for an address family or a
   version that has no text. */
void text_put_ipseckey(text_writer_t *w, const uint8_t *octets, size_t size);
void text_put_amtrelay(text_writer_t *w, const uint8_t *octets);
bool text_put_apl(text_writer_t *w, const uint8_t *octets, size_t size);
bool text_put_loc(text_writer_t *w, const uint8_t *octets, size_t size);

/* Rdata as ldns prints it; false if it does not know the type. */
bool text_put_by_ldns(text_writer_t *w, uint16_t type, const uint8_t *octets,
                      size_t size);

#endif
