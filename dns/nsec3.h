#ifndef DNS_NSEC3_H
#define DNS_NSEC3_H

#include "dns/name.h"
#include "dns/node.h"

enum {
    DNS_NSEC3_HASH_SIZE = 20,  /* octets: SHA-1, the only one that there is */
    DNS_NSEC3_LABEL_SIZE = 32, /* octets of its base32hex */
    DNS_NSEC3_SALT_AT = 5,     /* octets of NSEC3PARAM before the salt */
    DNS_NSEC3_OPT_OUT = 1,     /* of the flags, RFC 5155 section 3.1.2.1 */
};

/* RFC 5155 section 5.  parameters: checked rdata of NSEC3PARAM, or of NSEC3,
   which begins alike. */
void dns_nsec3_hash(const dns_rdata_t *parameters, const dns_name_t *name,
                    uint8_t hash[DNS_NSEC3_HASH_SIZE]);

/* The hash as the label of its NSEC3, without the length: RFC 5155 section 3,
   in small letters. */
void dns_nsec3_label(const uint8_t hash[DNS_NSEC3_HASH_SIZE],
                     uint8_t label[DNS_NSEC3_LABEL_SIZE]);

#endif
