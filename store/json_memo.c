#include <stdlib.h>
#include <string.h>

#include "dns/siphash.h"
#include "dns/type.h"
#include "store/private/json_memo.h"

enum {
    SLOTS = 8192,     /* a power of two */
    SIZE_MAX_ = 1024, /* octets of a text and its node */
};

struct json_memo_slot_s {
    uint64_t hash;
    uint32_t text_size;
    uint32_t node_size;
    uint32_t serial;
    bool has_serial; /* a SOA that took it */
    uint32_t room;
    uint8_t *octets; /* owned: the text, then the node */
};

void
json_memo_free(json_memo_t *memo)
{
    for (size_t i = 0; memo->slots != NULL && i < SLOTS; i++) {
        free(memo->slots[i].octets);
    }

    free(memo->slots);
    memo->slots = NULL;
}

static uint64_t
hash_of(const json_memo_key_t *key)
{
    static const uint8_t hash_key[DNS_SIPHASH_KEY_SIZE] = {0};

    return dns_siphash(hash_key, (const uint8_t *) key->text, key->size);
}

bool
json_memo_find(const json_memo_t *memo, const json_memo_key_t *key,
               dns_node_t *node)
{
    if (memo->slots == NULL || key->size > SIZE_MAX_) {
        return false;
    }

    const uint64_t hash = hash_of(key);
    const json_memo_slot_t *slot = &memo->slots[hash % SLOTS];

    if (slot->octets == NULL || slot->hash != hash ||
        slot->text_size != key->size ||
        (slot->has_serial && slot->serial != key->serial) ||
        memcmp(slot->octets, key->text, key->size) != 0) {
        return false;
    }

    *node = (dns_node_t){slot->octets + slot->text_size, slot->node_size};
    return true;
}

void
json_memo_put(json_memo_t *memo, const json_memo_key_t *key,
              const dns_node_t *node)
{
    dns_rrset_t soa;

    if (key->size + node->size > SIZE_MAX_ || node->size == 0) {
        return;
    }

    if (memo->slots == NULL) {
        memo->slots = calloc(SLOTS, sizeof(*memo->slots));
    }

    if (memo->slots == NULL) {
        return;
    }

    const uint64_t hash = hash_of(key);
    const uint32_t size = (uint32_t) (key->size + node->size);
    json_memo_slot_t *slot = &memo->slots[hash % SLOTS];

    if (slot->room < size) {
        uint8_t *octets = realloc(slot->octets, size);

        if (octets == NULL) {
            return;
        }

        slot->octets = octets;
        slot->room = size;
    }

    memcpy(slot->octets, key->text, key->size);
    memcpy(slot->octets + key->size, node->octets, node->size);
    slot->hash = hash;
    slot->text_size = (uint32_t) key->size;
    slot->node_size = node->size;
    slot->serial = key->serial;
    slot->has_serial = dns_node_find(node, DNS_TYPE_SOA, &soa);
}
