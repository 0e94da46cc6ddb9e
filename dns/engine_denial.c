#include <string.h>

#include "dns/nsec3.h"
#include "dns/octets.h"
#include "dns/private/engine.h"

enum {
    NSEC3_SHA1 = 1,             /* RFC 5155 section 11 */
    NSEC3_ITERATIONS_MAX = 500, /* more only cost time: RFC 9276 section 3.2 */
    NSEC3_PASSED_MAX = 10000,   /* records of other chains in one search */
};

typedef enum { PROOF_NONE, PROOF_NSEC, PROOF_NSEC3 } proof_kind_t;

/* How a->zone proves what it does not have. */
typedef struct {
    proof_kind_t kind;
    dns_rdata_t parameters; /* NSEC3PARAM */
} proof_t;

/* The first NSEC3PARAM whose chain can be used: RFC 5155 section 4.1.2 (other
   flags than 0 have to be ignored) and section 7.2 (one chain is complete). */
static bool
find_parameters(const dns_node_t *apex, dns_rdata_t *out)
{
    dns_rrset_t rrset;
    size_t at = 0;

    if (!dns_node_find(apex, DNS_TYPE_NSEC3PARAM, &rrset)) {
        return false;
    }

    while (dns_rrset_next(&rrset, &at, out)) {
        if (out->size >= DNS_NSEC3_SALT_AT && out->octets[0] == NSEC3_SHA1 &&
            out->octets[1] == 0 &&
            get16(out->octets + 2) <= NSEC3_ITERATIONS_MAX) {
            return true;
        }
    }

    return false;
}

static dns_status_t
find_proof(answering_t *a, proof_t *proof)
{
    dns_lookup_t apex;
    dns_rrset_t rrset;

    proof->kind = PROOF_NONE;

    if (!a->dnssec_ok || a->is_full || a->source->ops->find_covering == NULL) {
        return DNS_OK;
    }

    dns_status_t status = engine_lookup(a, &a->zone.apex, &apex);

    if (status != DNS_OK || apex.kind != DNS_LOOKUP_NODE) {
        return status;
    }

    if (dns_node_find(&apex.node, DNS_TYPE_NSEC, &rrset)) {
        proof->kind = PROOF_NSEC;
    } else if (find_parameters(&apex.node, &proof->parameters)) {
        proof->kind = PROOF_NSEC3;
    }

    return DNS_OK;
}

/* Puts one NSEC or NSEC3 with its signatures. */
static void
put_proof(answering_t *a, const uint8_t *owner, const dns_node_t *node,
          uint16_t type)
{
    dns_rrset_t rrset;

    if (!dns_node_find(node, type, &rrset) || a->proof_count == PROOFS_MAX) {
        return;
    }

    uint8_t *kept = a->proofs[a->proof_count++];

    memcpy(kept, owner, dns_name_size(owner));
    engine_put_needed(a, DNS_AUTHORITY, kept, node, &rrset);
}

/* The NSEC at or before a name. */
static dns_status_t
put_nsec(answering_t *a, const dns_name_t *name)
{
    dns_name_t owner;
    dns_node_t node;
    dns_status_t status =
        engine_find_covering(a, name, DNS_TYPE_NSEC, &owner, &node);

    if (status == DNS_OK) {
        put_proof(a, owner.octets, &node, DNS_TYPE_NSEC);
    }

    return status == DNS_ENOTFOUND ? DNS_OK : status;
}

/* The owner that a name's NSEC3 would have: RFC 5155 section 3.3.  false: the
   zone's name leaves no room for it. */
static bool
hashed_owner(const answering_t *a, const proof_t *proof, const dns_name_t *name,
             dns_name_t *out)
{
    uint8_t hash[DNS_NSEC3_HASH_SIZE];
    uint8_t owner[DNS_NAME_MAX];
    const dns_name_t *apex = &a->zone.apex;

    if (1 + DNS_NSEC3_LABEL_SIZE + apex->size > DNS_NAME_MAX) {
        return false;
    }

    dns_nsec3_hash(&proof->parameters, name, hash);
    owner[0] = DNS_NSEC3_LABEL_SIZE;

    dns_nsec3_label(hash, owner + 1);
    memcpy(owner + 1 + DNS_NSEC3_LABEL_SIZE, apex->octets, apex->size);
    dns_name_set(out, owner);
    return true;
}

/* The node's NSEC3 belongs to the chain that NSEC3PARAM names: algorithm,
   iterations and salt are the same (RFC 5155 section 3.1). */
static bool
is_in_chain(const proof_t *proof, const dns_node_t *node)
{
    const dns_rdata_t *parameters = &proof->parameters;
    size_t compared = DNS_NSEC3_SALT_AT - 2u + parameters->octets[4];
    dns_rrset_t rrset;
    dns_rdata_t rdata;

    if (!dns_node_find(node, DNS_TYPE_NSEC3, &rrset)) {
        return false;
    }

    for (size_t at = 0; dns_rrset_next(&rrset, &at, &rdata);) {
        if (rdata.size >= 2 + compared && parameters->size >= 2 + compared &&
            rdata.octets[0] == parameters->octets[0] &&
            memcmp(rdata.octets + 2, parameters->octets + 2, compared) == 0) {
            return true;
        }
    }

    return false;
}

/* The owner whose hash is one less; the lowest is followed by the highest, as
   the chain is closed. */
static void
step_back(dns_name_t *owner)
{
    uint8_t name[DNS_NAME_MAX];

    memcpy(name, owner->octets, owner->size);

    for (unsigned i = DNS_NSEC3_LABEL_SIZE; i > 0; i--) {
        uint8_t digit = name[i];

        if (digit != '0') {
            name[i] = (uint8_t) (digit == 'a' ? '9' : digit - 1);
            break;
        }

        name[i] = 'v';
    }

    dns_name_set(owner, name);
}

/* The NSEC3 at or before a name's hash.  While the zone's parameters change it
   holds the records of two chains, which lie between one another. */
static dns_status_t
find_nsec3(answering_t *a, const proof_t *proof, const dns_name_t *name,
           dns_name_t *owner, dns_node_t *node, bool *is_match)
{
    dns_name_t wanted;
    dns_name_t at;

    *is_match = false;

    if (!hashed_owner(a, proof, name, &wanted)) {
        return DNS_ENOTFOUND;
    }

    at = wanted;

    for (unsigned i = 0; i < NSEC3_PASSED_MAX; i++) {
        dns_status_t status =
            engine_find_covering(a, &at, DNS_TYPE_NSEC3, owner, node);

        if (status != DNS_OK || is_in_chain(proof, node)) {
            *is_match = status == DNS_OK &&
                        dns_name_equal(owner->octets, wanted.octets);
            return status;
        }

        if (owner->octets[0] != DNS_NSEC3_LABEL_SIZE) {
            return DNS_ENOTFOUND;
        }

        at = *owner;
        step_back(&at);
    }

    return DNS_ENOTFOUND;
}

static dns_status_t
put_nsec3(answering_t *a, const proof_t *proof, const dns_name_t *name,
          bool *is_match)
{
    dns_name_t owner;
    dns_node_t node;
    dns_status_t status = find_nsec3(a, proof, name, &owner, &node, is_match);

    if (status == DNS_OK) {
        put_proof(a, owner.octets, &node, DNS_TYPE_NSEC3);
    }

    return status == DNS_ENOTFOUND ? DNS_OK : status;
}

/* A proof is looked for although another one of the answer needs something, so
   that what both need is asked for at once. */
static bool
is_over(dns_status_t status)
{
    return status != DNS_OK && status != DNS_NEEDS;
}

/* The NSEC3 of the closest encloser that has one (with opt-out some have
   none), and the one that covers the next closer name: RFC 5155 section
   7.2.1.  Gives the encloser's labels. */
static dns_status_t
put_encloser_proof(answering_t *a, const proof_t *proof, const dns_name_t *name,
                   unsigned *encloser_labels)
{
    dns_name_t ancestor;
    dns_name_t owner;
    dns_node_t node;
    dns_status_t status;
    bool is_match = false;

    for (;; (*encloser_labels)--) {
        dns_name_ancestor(&ancestor, name, *encloser_labels);
        status = find_nsec3(a, proof, &ancestor, &owner, &node, &is_match);

        if (status != DNS_OK || is_match ||
            *encloser_labels == a->zone.apex.label_count) {
            break;
        }
    }

    if (is_over(status)) {
        return status == DNS_ENOTFOUND ? DNS_OK : status;
    }

    if (is_match) {
        put_proof(a, owner.octets, &node, DNS_TYPE_NSEC3);
    }

    if (*encloser_labels == name->label_count) {
        return status;
    }

    dns_name_ancestor(&ancestor, name, *encloser_labels + 1);

    dns_status_t other = put_nsec3(a, proof, &ancestor, &is_match);

    return status == DNS_OK ? other : status;
}

/* "*" below the encloser of the name that is looked up. */
static bool
wildcard_of(const answering_t *a, unsigned encloser_labels, dns_name_t *out)
{
    return dns_name_wildcard(out, dns_name_suffix(a->name, encloser_labels)) ==
           DNS_OK;
}

static dns_status_t
deny_by_nsec(answering_t *a, const found_t *found)
{
    dns_name_t wildcard;
    dns_status_t status = put_nsec(a, a->name);
    bool exists = found->kind != FOUND_NOTHING && !found->is_wildcard;

    if (is_over(status) || exists ||
        !wildcard_of(a, found->encloser_labels, &wildcard)) {
        return status;
    }

    dns_status_t other = put_nsec(a, &wildcard);

    return status == DNS_OK ? other : status;
}

static dns_status_t
deny_by_nsec3(answering_t *a, const proof_t *proof, const found_t *found)
{
    unsigned labels = found->encloser_labels;
    dns_name_t wildcard;
    dns_name_t owner;
    dns_node_t node;
    bool is_match = false;

    if (found->kind != FOUND_NOTHING && !found->is_wildcard) {
        /* RFC 5155 sections 7.2.3 and 7.2.4: without a match the delegation
           is in an opt-out span. */
        dns_status_t status =
            find_nsec3(a, proof, a->name, &owner, &node, &is_match);

        if (status != DNS_OK) {
            return status == DNS_ENOTFOUND ? DNS_OK : status;
        }

        if (is_match) {
            put_proof(a, owner.octets, &node, DNS_TYPE_NSEC3);
            return DNS_OK;
        }

        return put_encloser_proof(a, proof, a->name, &labels);
    }

    dns_status_t status = put_encloser_proof(a, proof, a->name, &labels);

    if (is_over(status) || !wildcard_of(a, labels, &wildcard)) {
        return status;
    }

    dns_status_t other = put_nsec3(a, proof, &wildcard, &is_match);

    return status == DNS_OK ? other : status;
}

dns_status_t
engine_put_denial(answering_t *a, const found_t *found)
{
    proof_t proof;
    dns_status_t status = find_proof(a, &proof);

    if (status != DNS_OK || proof.kind == PROOF_NONE) {
        return status;
    }

    return proof.kind == PROOF_NSEC ? deny_by_nsec(a, found)
                                    : deny_by_nsec3(a, &proof, found);
}

dns_status_t
engine_put_wildcard_proof(answering_t *a, const dns_name_t *name,
                          unsigned encloser_labels)
{
    dns_name_t closer;
    bool is_match;
    proof_t proof;
    dns_status_t status = find_proof(a, &proof);

    if (status != DNS_OK || proof.kind == PROOF_NONE) {
        return status;
    }

    if (proof.kind == PROOF_NSEC) {
        return put_nsec(a, name);
    }

    /* RFC 5155 section 7.2.6: the next closer name. */
    dns_name_ancestor(&closer, name, encloser_labels + 1);
    return put_nsec3(a, &proof, &closer, &is_match);
}

dns_status_t
engine_put_insecure(answering_t *a, const found_t *cut)
{
    dns_name_t name;
    proof_t proof;
    dns_status_t status = find_proof(a, &proof);

    if (status != DNS_OK || proof.kind == PROOF_NONE) {
        return status;
    }

    dns_name_ancestor(&name, a->name, cut->owner_labels);

    if (proof.kind == PROOF_NSEC) {
        return put_nsec(a, &name);
    }

    unsigned labels = cut->owner_labels;
    dns_name_t owner;
    dns_node_t node;
    bool is_match;

    status = find_nsec3(a, &proof, &name, &owner, &node, &is_match);

    if (status == DNS_OK && is_match) {
        put_proof(a, owner.octets, &node, DNS_TYPE_NSEC3);
        return DNS_OK;
    }

    return put_encloser_proof(a, &proof, &name, &labels);
}
