#define OPENSSL_SUPPRESS_DEPRECATED /* SHA1_*: the new calls allocate */

#include <openssl/sha.h>

#include "dns/nsec3.h"
#include "dns/octets.h"

void
dns_nsec3_hash(const dns_rdata_t *parameters, const dns_name_t *name,
               uint8_t hash[DNS_NSEC3_HASH_SIZE])
{
    const uint8_t *p = parameters->octets;
    unsigned iterations = get16(p + 2);
    size_t salt_size = p[4];
    SHA_CTX context;

    if (salt_size > (size_t) parameters->size - DNS_NSEC3_SALT_AT) {
        salt_size = 0;
    }

    SHA1_Init(&context);
    SHA1_Update(&context, name->octets, name->size);

    for (;;) {
        SHA1_Update(&context, p + DNS_NSEC3_SALT_AT, salt_size);
        SHA1_Final(hash, &context);

        if (iterations-- == 0) {
            return;
        }

        SHA1_Init(&context);
        SHA1_Update(&context, hash, DNS_NSEC3_HASH_SIZE);
    }
}

void
dns_nsec3_label(const uint8_t hash[DNS_NSEC3_HASH_SIZE],
                uint8_t label[DNS_NSEC3_LABEL_SIZE])
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";

    for (unsigned i = 0; i < DNS_NSEC3_LABEL_SIZE; i++) {
        unsigned bit = 5 * i;
        unsigned pair =
            (unsigned) hash[bit / 8] << 8 |
            (bit / 8 + 1 < DNS_NSEC3_HASH_SIZE ? hash[bit / 8 + 1] : 0u);

        label[i] = (uint8_t) digits[pair >> (11 - bit % 8) & 31];
    }
}
