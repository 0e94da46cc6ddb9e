#include "dns/engine.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "dns/edns.h"
#include "dns/octets.h"
#include "dns/private/engine.h"
#include "dns/private/opt.h"

enum {
    CHAOS_TTL = 0,        /* seconds */
    CHAOS_TEXT_MAX = 255, /* octets of one character string */
};

/* Header, question, and room for OPT. */
static dns_status_t
begin(answering_t *a, uint8_t *out, size_t limit, opt_options_t *opt)
{
    const dns_query_t *query = a->query;
    unsigned kept = query->flags & (DNS_OPCODE_MASK | DNS_FLAG_RD);
    unsigned flags = DNS_FLAG_QR | kept;

    if (a->options->recursion_available) {
        flags |= DNS_FLAG_RA;
    }

    dns_writer_init(&a->writer, out, limit);
    dns_writer_put_header(&a->writer, query->id, (uint16_t) flags);

    dns_status_t status =
        dns_writer_put_question(&a->writer, query->packet + DNS_HEADER_SIZE,
                                query->qtype, query->qclass);

    if (status != DNS_OK || !query->edns.is_present) {
        return status;
    }

    opt_collect(opt, query, a->options);
    return dns_writer_reserve(&a->writer, DNS_OPT_SIZE + opt->list.size);
}

static void
put_opt(answering_t *a, opt_options_t *opt)
{
    dns_writer_t *w = &a->writer;

    dns_writer_release(w, DNS_OPT_SIZE + opt->list.size);
    opt_pad(opt, a->query, w->used + DNS_OPT_SIZE + opt->list.size);

    dns_writer_opt_t record = {
        .udp_size = a->options->udp_size,
        .dnssec_ok = a->dnssec_ok,
        .options_size = (uint16_t) opt->list.size,
        .options = opt->octets,
    };

    /* Cannot fail: just as much was reserved, and padding keeps the limit. */
    dns_status_t status = dns_writer_put_opt(w, &record);

    assert(status == DNS_OK);
    (void) status;
}

static void
finish(answering_t *a, int rcode, opt_options_t *opt)
{
    dns_answer_t *answer = a->answer;

    if (a->is_full) {
        dns_writer_truncate(&a->writer);
        answer->is_truncated = true;
    }

    dns_writer_add_flags(&a->writer,
                         (uint16_t) ((a->is_authoritative ? DNS_FLAG_AA : 0) |
                                     (rcode & DNS_RCODE_MASK)));

    if (a->query->edns.is_present) {
        put_opt(a, opt);
    }

    if (a->put_count == 0 || a->is_full) {
        answer->ttl = 0;
    }

    answer->rcode = rcode;
    answer->size = a->writer.used;
}

/* An answer without records, with an explanation for people. */
static dns_status_t
refuse(answering_t *a, int rcode, dns_ede_t reason, opt_options_t *opt)
{
    if (a->query->edns.is_present) {
        size_t before = opt->list.size;

        if (dns_options_put_extended_error(&opt->list, reason, NULL) ==
                DNS_OK &&
            dns_writer_reserve(&a->writer, opt->list.size - before) != DNS_OK) {
            opt->list.size = before;
        }
    }

    a->is_authoritative = false;
    finish(a, rcode, opt);
    return DNS_OK;
}

static bool
is_name(const dns_query_t *query, const char *wire, size_t size)
{
    return query->qname.size == size &&
           memcmp(query->qname.octets, wire, size) == 0;
}

/* The names of class CH that have a text; NULL: not these, or not told. */
static const char *
chaos_text(const answering_t *a)
{
    static const char version_bind[] = "\7version\4bind";
    static const char version_server[] = "\7version\6server";
    static const char hostname_bind[] = "\10hostname\4bind";
    static const char id_server[] = "\2id\6server";
    const dns_query_t *query = a->query;

    if (is_name(query, version_bind, sizeof(version_bind)) ||
        is_name(query, version_server, sizeof(version_server))) {
        return a->options->version;
    }

    if (is_name(query, hostname_bind, sizeof(hostname_bind)) ||
        is_name(query, id_server, sizeof(id_server))) {
        return a->options->hostname;
    }

    return NULL;
}

/* RFC 4892. */
static dns_status_t
answer_chaos(answering_t *a, opt_options_t *opt)
{
    const char *text = chaos_text(a);
    size_t size = text == NULL ? 0 : strlen(text);

    if (text == NULL || size > CHAOS_TEXT_MAX) {
        return refuse(a, DNS_RCODE_REFUSED, DNS_EDE_NOT_AUTHORITATIVE, opt);
    }

    if (a->query->qtype == DNS_TYPE_TXT || a->query->qtype == DNS_TYPE_ANY) {
        uint8_t rdata[1 + CHAOS_TEXT_MAX];
        dns_writer_record_t record = {
            .owner = a->owner,
            .owner_at = DNS_QUESTION_AT,
            .type = DNS_TYPE_TXT,
            .class_ = DNS_CLASS_CH,
            .rdata_size = (uint16_t) (1 + size),
            .ttl = CHAOS_TTL,
            .rdata = rdata,
        };

        rdata[0] = (uint8_t) size;
        memcpy(rdata + 1, text, size);
        a->is_full =
            dns_writer_put_record(&a->writer, DNS_ANSWER, &record) != DNS_OK;
    }

    finish(a, DNS_RCODE_NOERROR, opt);
    return DNS_OK;
}

/* Goes on with another name.  false: the chain is too long, or closed. */
static bool
follow(answering_t *a, const uint8_t *target)
{
    if (a->steps == DNS_CHAIN_MAX) {
        return false;
    }

    for (unsigned i = 0; i <= a->steps; i++) {
        if (dns_name_equal(a->chain[i], target)) {
            return false;
        }
    }

    uint8_t *owner = a->chain[++a->steps];

    memcpy(owner, target, dns_name_size(target));
    dns_name_set(&a->chain_name, owner);
    a->name = &a->chain_name;
    a->owner = owner;
    a->owner_at = 0;
    return true;
}

/* The only record of a set. */
static const uint8_t *
only_name(const dns_node_t *node, uint16_t type, dns_rrset_t *rrset)
{
    dns_rdata_t rdata;
    size_t at = 0;

    if (!dns_node_find(node, type, rrset) ||
        !dns_rrset_next(rrset, &at, &rdata)) {
        return NULL;
    }

    return rdata.octets;
}

/* RFC 1034 section 4.3.2 step 3a.  *is_followed: there is a name to go on
   with. */
static void
answer_cname(answering_t *a, const found_t *found, const uint8_t *target,
             const dns_rrset_t *rrset, bool *is_followed)
{
    engine_put_needed(a, DNS_ANSWER, a->owner, &found->node, rrset);
    a->has_answer = true;
    *is_followed = !a->is_full && follow(a, target);
}

/* RFC 6672 section 2.2: the labels in front of the DNAME's owner, in front of
   its target.  false: over 255 octets. */
static bool
substitute(const answering_t *a, unsigned owner_labels, const uint8_t *target,
           uint8_t *out)
{
    size_t kept = (size_t) (engine_owner(a, owner_labels) - a->owner);
    size_t size = dns_name_size(target);

    if (kept + size > DNS_NAME_MAX) {
        return false;
    }

    memcpy(out, a->owner, kept);
    memcpy(out + kept, target, size);
    return true;
}

/* RFC 6672 section 3.1: a CNAME for clients that know no DNAME. */
static void
put_synthesized_cname(answering_t *a, const uint8_t *target, uint32_t ttl)
{
    dns_writer_record_t record = {
        .owner = a->owner,
        .owner_at = a->owner_at,
        .type = DNS_TYPE_CNAME,
        .class_ = DNS_CLASS_IN,
        .rdata_size = (uint16_t) dns_name_size(target),
        .ttl = ttl,
        .rdata = target,
    };

    if (!a->is_full &&
        dns_writer_put_record(&a->writer, DNS_ANSWER, &record) != DNS_OK) {
        a->is_full = true;
    }
}

static dns_status_t
answer_dname(answering_t *a, const found_t *found, int *rcode,
             bool *is_followed)
{
    uint8_t name[DNS_NAME_MAX];
    dns_rrset_t rrset;
    const uint8_t *target = only_name(&found->node, DNS_TYPE_DNAME, &rrset);

    if (target == NULL) {
        return DNS_ESTORE;
    }

    engine_put_needed(a, DNS_ANSWER, engine_owner(a, found->owner_labels),
                      &found->node, &rrset);
    a->has_answer = true;

    if (!substitute(a, found->owner_labels, target, name)) {
        *rcode = DNS_RCODE_YXDOMAIN;
        return DNS_OK;
    }

    put_synthesized_cname(a, name, rrset.ttl);
    *is_followed =
        !a->is_full && a->query->qtype != DNS_TYPE_CNAME && follow(a, name);
    return DNS_OK;
}

/* The name has a node: the type, a CNAME, or neither. */
static dns_status_t
answer_node(answering_t *a, const found_t *found, bool *is_followed)
{
    dns_rrset_t rrset;
    dns_status_t status = engine_put_answer(a, &found->node);

    if (status == DNS_OK) {
        return found->is_wildcard ? engine_put_wildcard_proof(
                                        a, a->name, found->encloser_labels)
                                  : DNS_OK;
    }

    const uint8_t *target = only_name(&found->node, DNS_TYPE_CNAME, &rrset);

    if (target == NULL) {
        status = engine_put_soa(a);
        return status == DNS_OK ? engine_put_denial(a, found) : status;
    }

    if (found->is_wildcard) { /* proved when the answer section is done */
        a->wildcards[a->wildcard_count++] = (wildcard_step_t){
            .name = a->chain[a->steps],
            .encloser_labels = found->encloser_labels,
        };
    }

    answer_cname(a, found, target, &rrset, is_followed);
    return DNS_OK;
}

static dns_status_t
answer_nothing(answering_t *a, const found_t *found)
{
    dns_status_t status = engine_put_soa(a);

    return status == DNS_OK ? engine_put_denial(a, found) : status;
}

/* One name of the chain. */
static dns_status_t
answer_name(answering_t *a, int *rcode, bool *is_followed)
{
    found_t found;
    dns_status_t status =
        engine_find(a, a->name, a->query->qtype == DNS_TYPE_DS, &found);

    *is_followed = false;

    if (status != DNS_OK) {
        return status;
    }

    switch (found.kind) {
    case FOUND_NODE:
        return answer_node(a, &found, is_followed);
    case FOUND_CUT:
        return engine_put_referral(a, &found);
    case FOUND_REDIRECT:
        return answer_dname(a, &found, rcode, is_followed);
    case FOUND_NOTHING:
        *rcode = DNS_RCODE_NXDOMAIN; /* RFC 6604: of the last name */
        return answer_nothing(a, &found);
    default:
        return answer_nothing(a, &found);
    }
}

/* The wildcards on the way are proved each by the chain of its own zone, which
   has been found before.  a->zone stays that of the last name. */
static dns_status_t
prove_wildcards(answering_t *a)
{
    const dns_zone_t last = a->zone;
    dns_status_t status = DNS_OK;

    for (unsigned i = 0;
         a->dnssec_ok && i < a->wildcard_count && status == DNS_OK; i++) {
        const wildcard_step_t *step = &a->wildcards[i];
        dns_name_t name;

        dns_name_set(&name, step->name);
        status = engine_find_zone(a, &name, false);

        if (status == DNS_OK) {
            status = engine_put_wildcard_proof(a, &name, step->encloser_labels);
        }
    }

    a->zone = last;
    return status == DNS_ENOTFOUND ? DNS_ESTORE : status;
}

/* The zone of the next name of the chain.  DNS_ENOTFOUND: there is none, and
   the last zone stays a->zone, for the proofs that are still to be made. */
static dns_status_t
find_next_zone(answering_t *a)
{
    const dns_zone_t last = a->zone;

    /* A chain that comes to the apex of its own zone ends there: as the peers
       do, it is not taken up to the parent for DS. */
    dns_status_t status = engine_find_zone(
        a, a->name,
        a->query->qtype == DNS_TYPE_DS &&
            !dns_name_equal(last.apex.octets, a->name->octets));

    if (status == DNS_ENOTFOUND) {
        a->zone = last;
    }

    return status;
}

/* Along the CNAMEs, through all zones that are served. */
static dns_status_t
answer_chain(answering_t *a, int *rcode)
{
    bool is_followed;

    for (;;) {
        dns_status_t status = answer_name(a, rcode, &is_followed);

        if (status != DNS_OK || !is_followed) {
            return status;
        }

        status = find_next_zone(a);

        if (status == DNS_ENOTFOUND) {
            a->answer->leaves_zones = true;
            return DNS_OK;
        }

        if (status != DNS_OK) {
            return status;
        }
    }
}

static dns_status_t
answer_question(answering_t *a, opt_options_t *opt)
{
    dns_answer_t *answer = a->answer;
    int rcode = DNS_RCODE_NOERROR;
    dns_status_t status =
        engine_find_zone(a, a->name, a->query->qtype == DNS_TYPE_DS);

    if (status != DNS_OK) {
        return status;
    }

    answer->in_zone = true;
    answer->asks_parent = a->query->qtype == DNS_TYPE_DS &&
                          a->name->label_count > 0 &&
                          a->zone.apex.label_count == a->name->label_count;
    answer->zone_id = a->zone.id;
    answer->generation = a->zone.generation;
    status = answer_chain(a, &rcode);

    if (status == DNS_OK) {
        status = prove_wildcards(a);
    }

    if (status == DNS_OK) {
        status = engine_put_additional(a);
    }

    if (status == DNS_OK) {
        finish(a, rcode, opt);
    }

    return status;
}

/* Types that no record has, and that are not asked for either; the peers do
   not agree on them, ours is BIND's way.  -1: an ordinary one. */
static int
refused_type(uint16_t type)
{
    switch (type) {
    case DNS_TYPE_ANY:
    case DNS_TYPE_MAILA:
    case DNS_TYPE_MAILB:
        return -1;
    default:
        return dns_type_is_meta(type) ? DNS_RCODE_FORMERR : -1;
    }
}

static bool
is_transfer(uint16_t type)
{
    return type == DNS_TYPE_AXFR || type == DNS_TYPE_IXFR;
}

/* The engine transfers nothing: who may have a zone asks elsewhere.  RFC 5936
   section 2.2.1 and 4.2 (AXFR over UDP is not defined). */
static dns_status_t
refuse_transfer(answering_t *a, opt_options_t *opt)
{
    bool is_udp = a->query->transport == DNS_OVER_UDP;

    if (is_udp && a->query->qtype == DNS_TYPE_AXFR) {
        return refuse(a, DNS_RCODE_NOTIMP, DNS_EDE_NOT_SUPPORTED, opt);
    }

    dns_status_t status = engine_find_zone(a, a->name, false);

    if (status == DNS_OK && a->zone.apex.label_count == a->name->label_count) {
        return refuse(a, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED, opt);
    }

    return status == DNS_OK || status == DNS_ENOTFOUND
               ? refuse(a, DNS_RCODE_NOTAUTH, DNS_EDE_NOT_AUTHORITATIVE, opt)
               : status;
}

static void
clear_answer(dns_answer_t *answer)
{
    answer->size = 0;
    answer->rcode = 0;
    answer->ttl = UINT32_MAX;
    answer->generation = 0;
    answer->zone_id = 0;
    answer->is_truncated = false;
    answer->in_zone = false;
    answer->leaves_zones = false;
    answer->need_count = 0;
}

dns_status_t
dns_answer(const dns_query_t *query, const dns_source_t *source,
           const dns_answer_options_t *options, uint8_t *out, size_t limit,
           dns_answer_t *answer)
{
    answering_t a; /* large: each part is set when it is first used */
    opt_options_t opt;

    clear_answer(answer);
    a.query = query;
    a.source = source;
    a.options = options;
    a.answer = answer;
    a.name = &query->qname;
    a.owner = query->packet + DNS_HEADER_SIZE;
    a.owner_at = DNS_QUESTION_AT;
    a.dnssec_ok = query->edns.is_present && query->edns.dnssec_ok;
    a.is_full = false;
    a.is_authoritative = true;
    a.has_answer = false;
    a.has_cut = false;
    a.steps = 0;
    a.wildcard_count = 0;
    a.proof_count = 0;
    a.put_count = 0;
    a.target_count = 0;
    memcpy(a.chain[0], query->qname.octets, query->qname.size);

    dns_status_t status = begin(&a, out, limit, &opt);

    if (status != DNS_OK) {
        return DNS_ESTORE; /* a limit below 512 octets */
    }

    if (query->qclass == DNS_CLASS_CH) {
        return answer_chaos(&a, &opt);
    }

    int rcode = query->qclass == DNS_CLASS_IN ? refused_type(query->qtype)
                                              : DNS_RCODE_REFUSED;

    if (query->qclass == DNS_CLASS_IN && is_transfer(query->qtype)) {
        return refuse_transfer(&a, &opt);
    }

    if (rcode >= 0) {
        return refuse(&a, rcode, DNS_EDE_NOT_SUPPORTED, &opt);
    }

    return answer_question(&a, &opt);
}
