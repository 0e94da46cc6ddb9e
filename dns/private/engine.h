#ifndef DNS_PRIVATE_ENGINE_H
#define DNS_PRIVATE_ENGINE_H

/*
 * One answer under construction.  engine.c goes along the chain of names,
 * engine_find.c says what the zone holds for a name, engine_sections.c writes
 * what was found, engine_denial.c proves what was not.
 *
 * Functions return DNS_OK and go on even if the message is full: nothing more
 * is written then.  DNS_NEEDS, DNS_ENOTFOUND and DNS_ESTORE end the answer.
 */

#include "dns/engine.h"
#include "dns/type.h"
#include "dns/writer.h"

enum {
    TARGET_SETS_MAX = 8, /* sets whose targets' addresses are added */
    PROOFS_MAX = 8,      /* NSEC or NSEC3 in one answer */
    PUT_SETS_MAX = 64,   /* sets remembered so that none is put twice */
};

typedef enum {
    FOUND_NODE,     /* the name's own node, or its wildcard's */
    FOUND_EMPTY,    /* it exists without records */
    FOUND_NOTHING,  /* it does not exist */
    FOUND_CUT,      /* delegated at an ancestor or itself */
    FOUND_REDIRECT, /* below a DNAME */
} found_kind_t;

typedef struct {
    found_kind_t kind;
    bool is_wildcard;        /* NODE and EMPTY: of "*" below the encloser */
    uint8_t owner_labels;    /* CUT and REDIRECT: of the node's owner */
    uint8_t encloser_labels; /* of the closest encloser */
    dns_node_t node;         /* NODE, CUT and REDIRECT */
} found_t;

/* A set that the message holds, by where it lies in the source. */
typedef struct {
    const uint8_t *rdata; /* borrowed from the source */
    const uint8_t *owner; /* borrowed from the source, packet or names */
} put_set_t;

/* A set whose rdata names hosts. */
typedef struct {
    dns_rrset_t rrset;
    const uint8_t *owner;
} target_set_t;

/* A name of the chain whose CNAME came from a wildcard. */
typedef struct {
    const uint8_t *name;
    uint8_t encloser_labels;
} wildcard_step_t;

typedef struct {
    const dns_query_t *query;
    const dns_source_t *source;
    const dns_answer_options_t *options;
    dns_answer_t *answer;
    const dns_name_t *name; /* that is looked up: the question's, then each
                               target of the chain */
    const uint8_t *owner;   /* the same with its letters as they came */
    uint16_t owner_at;      /* where the message holds it; 0: not known */
    bool dnssec_ok;
    bool is_full; /* a set that the answer needs did not fit */
    bool is_authoritative;
    bool has_answer;         /* something stands in the answer section */
    unsigned steps;          /* of the chain */
    unsigned wildcard_count; /* CNAMEs of wildcards in the chain */
    unsigned proof_count;
    unsigned put_count;
    unsigned target_count;
    bool has_cut; /* the answer is a referral at cut */
    found_t cut;
    dns_zone_t zone; /* of name */
    dns_name_t chain_name;
    put_set_t put[PUT_SETS_MAX];
    target_set_t targets[TARGET_SETS_MAX];
    uint8_t chain[DNS_CHAIN_MAX + 1][DNS_NAME_MAX]; /* its names so far */
    wildcard_step_t wildcards[DNS_CHAIN_MAX + 1];
    uint8_t proofs[PROOFS_MAX][DNS_NAME_MAX]; /* their owners */
    dns_writer_t writer;
} answering_t;

/* The ancestor of the name that is looked up, with its letters as they
   came. */
static inline const uint8_t *
engine_owner(const answering_t *a, unsigned label_count)
{
    return a->owner + a->name->label_at[a->name->label_count - label_count];
}

/* engine_find.c */

/* What a->zone holds for a name in it. */
dns_status_t engine_find(answering_t *a, const dns_name_t *name, bool is_ds,
                         found_t *out);

/* The zone for a name, into a->zone; the parent's for DS if it is served. */
dns_status_t engine_find_zone(answering_t *a, const dns_name_t *name,
                              bool is_ds);

/* A node as it is, cuts or not; what is missing is noted as needed. */
dns_status_t engine_lookup(answering_t *a, const dns_name_t *name,
                           dns_lookup_t *out);

/* The source's find_covering(), which it has; what is missing is noted as
   needed. */
dns_status_t engine_find_covering(answering_t *a, const dns_name_t *name,
                                  uint16_t type, dns_name_t *owner,
                                  dns_node_t *node);

/* engine_sections.c */

/* As engine_put(), for what the answer cannot do without. */
void engine_put_needed(answering_t *a, dns_section_t section,
                       const uint8_t *owner, const dns_node_t *node,
                       const dns_rrset_t *rrset);

/* The type that was asked for, at a node; DNS_ENOTFOUND: it has none. */
dns_status_t engine_put_answer(answering_t *a, const dns_node_t *node);

/* The SOA of a->zone for what does not exist (RFC 2308 section 3). */
dns_status_t engine_put_soa(answering_t *a);

/* The delegation at a found cut, but for the glue. */
dns_status_t engine_put_referral(answering_t *a, const found_t *cut);

/* Glue, and addresses of the hosts that the answer names. */
dns_status_t engine_put_additional(answering_t *a);

/* engine_denial.c: for zones that were signed before they were loaded.  All do
   nothing unless the client wants DNSSEC and the zone has a chain of NSEC or
   NSEC3. */

/* Proves that the name, or its type, does not exist (RFC 4035 section 3.1.3.1,
   3.1.3.2 and 3.1.3.4, RFC 5155 section 7.2). */
dns_status_t engine_put_denial(answering_t *a, const found_t *found);

/* Proves that a wildcard was used rightly (RFC 4035 section 3.1.3.3). */
dns_status_t engine_put_wildcard_proof(answering_t *a, const dns_name_t *name,
                                       unsigned encloser_labels);

/* Proves that a delegation has no DS (RFC 4035 section 3.1.4). */
dns_status_t engine_put_insecure(answering_t *a, const found_t *cut);

#endif
