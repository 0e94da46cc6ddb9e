#ifndef TESTS_ENGINE_FIXTURE_H
#define TESTS_ENGINE_FIXTURE_H

/*
 * Zones in memory from master-file text, as a source for the engine; and
 * answers as text:
 *
 *     NOERROR aa
 *     answer
 *     www.example.test. 300 IN A 192.0.2.1
 *
 * Each question is answered twice: from the whole source, and from one that
 * knows nothing at first and is filled with what the engine needs, as a
 * networked store would be.  Both answers must be the same octets.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dns/engine.h"
#include "dns/message.h"
#include "dns/rdata.h"
#include "dns/record.h"
#include "dns/type.h"
#include "dns/writer.h"
#include "dns/zonefile.h"

enum {
    ZONES_MAX = 8,
    NODES_MAX = 512,
    FETCHED_MAX = 512,
    TEXT_SIZE = 1 << 16,
    ROUNDS_MAX = 40,
};

typedef struct {
    dns_name_t owner;
    dns_node_builder_t builder;
} memory_node_t;

typedef struct {
    dns_zone_t zone;
    memory_node_t nodes[NODES_MAX];
    unsigned node_count;
} memory_zone_t;

typedef struct {
    memory_zone_t zones[ZONES_MAX];
    unsigned zone_count;
    bool is_partial; /* only what was fetched is known */
    bool has_order;  /* so is the order of names */
    dns_need_t fetched[FETCHED_MAX];
    unsigned fetched_count;
    unsigned rounds;
} memory_t;

static inline bool
memory_has(const memory_t *m, uint32_t zone_id, const dns_name_t *name)
{
    if (!m->is_partial) {
        return true;
    }

    for (unsigned i = 0; i < m->fetched_count; i++) {
        if (m->fetched[i].zone.id == zone_id &&
            dns_name_equal(m->fetched[i].name.octets, name->octets)) {
            return true;
        }
    }

    return false;
}

static inline dns_status_t
memory_find_zone(void *source, const dns_name_t *name, unsigned above,
                 dns_zone_t *out)
{
    const memory_t *m = source;
    const dns_zone_t *best = NULL;

    if (!memory_has(m, 0, name)) {
        return DNS_NEEDS;
    }

    for (unsigned i = 0; i < m->zone_count; i++) {
        const dns_zone_t *zone = &m->zones[i].zone;

        if (zone->apex.label_count < above &&
            dns_name_is_within(name->octets, zone->apex.octets) &&
            (best == NULL || zone->apex.label_count > best->apex.label_count)) {
            best = zone;
        }
    }

    if (best == NULL) { /* what out holds then means nothing: see source.h */
        memset(out, 0xff, sizeof(*out));
        return DNS_ENOTFOUND;
    }

    *out = *best;
    return DNS_OK;
}

static inline unsigned
memory_common(const dns_name_t *a, const dns_name_t *b)
{
    unsigned common = 0;

    while (common < a->label_count && common < b->label_count &&
           dns_name_equal(dns_name_suffix(a, common + 1),
                          dns_name_suffix(b, common + 1))) {
        common++;
    }

    return common;
}

static inline dns_status_t
memory_lookup(void *source, const dns_zone_t *zone, const dns_name_t *name,
              dns_lookup_t *out)
{
    const memory_t *m = source;
    const memory_zone_t *z = &m->zones[zone->id - 1];

    if (!memory_has(m, zone->id, name)) {
        return DNS_NEEDS;
    }

    out->kind = DNS_LOOKUP_ABSENT;
    out->encloser_labels = 0;
    out->node = (dns_node_t){NULL, 0};

    for (unsigned i = 0; i < z->node_count; i++) {
        unsigned common = memory_common(&z->nodes[i].owner, name);

        if (common > out->encloser_labels) {
            out->encloser_labels = (uint8_t) common;
        }

        if (common == name->label_count && out->kind != DNS_LOOKUP_NODE) {
            out->kind = DNS_LOOKUP_EMPTY;
        }

        if (common == name->label_count &&
            common == z->nodes[i].owner.label_count) {
            out->kind = DNS_LOOKUP_NODE;
            out->node = dns_node_builder_node(&z->nodes[i].builder);
        }
    }

    return DNS_OK;
}

/* Looks through all nodes: the greatest owner that is not above the name, or of
   all. */
static inline const memory_node_t *
memory_covering(const memory_zone_t *z, const dns_name_t *name, uint16_t type)
{
    const memory_node_t *best = NULL;
    bool is_before = false;

    for (unsigned i = 0; i < z->node_count; i++) {
        const memory_node_t *n = &z->nodes[i];
        dns_node_t node = dns_node_builder_node(&n->builder);
        bool here = dns_name_compare(n->owner.octets, name->octets) <= 0;
        dns_rrset_t rrset;

        if (!dns_node_find(&node, type, &rrset) || (is_before && !here)) {
            continue;
        }

        if (best == NULL || here != is_before ||
            dns_name_compare(n->owner.octets, best->owner.octets) > 0) {
            best = n;
            is_before = here;
        }
    }

    return best;
}

static inline dns_status_t
memory_find_covering(void *source, const dns_zone_t *zone,
                     const dns_name_t *name, uint16_t type, dns_name_t *owner,
                     dns_node_t *node)
{
    const memory_t *m = source;
    const memory_node_t *n =
        memory_covering(&m->zones[zone->id - 1], name, type);

    if (m->is_partial && !m->has_order) {
        owner->size = 0;
        return DNS_NEEDS;
    }

    if (n == NULL) {
        return DNS_ENOTFOUND;
    }

    *owner = n->owner;
    *node = dns_node_builder_node(&n->builder);
    return memory_has(m, zone->id, owner) ? DNS_OK : DNS_NEEDS;
}

static const dns_source_ops_t memory_ops = {
    .find_zone = memory_find_zone,
    .lookup = memory_lookup,
    .find_covering = memory_find_covering,
};

static inline memory_node_t *
memory_node(memory_zone_t *z, const uint8_t *owner)
{
    for (unsigned i = 0; i < z->node_count; i++) {
        if (dns_name_equal(z->nodes[i].owner.octets, owner)) {
            return &z->nodes[i];
        }
    }

    assert_true(z->node_count < NODES_MAX);
    dns_name_set(&z->nodes[z->node_count].owner, owner);
    return &z->nodes[z->node_count++];
}

static inline void
memory_load(memory_t *m, const char *apex, const char *text)
{
    memory_zone_t *z = &m->zones[m->zone_count++];
    uint8_t origin[DNS_NAME_MAX];
    dns_zonefile_options_t options = {
        .text = text, .size = strlen(text), .origin = origin, .ttl = 300};
    dns_zonefile_t *file = NULL;
    dns_record_t record;

    assert_int_equal(dns_name_from_text(origin, apex, strlen(apex), NULL, NULL),
                     0);
    dns_name_set(&z->zone.apex, origin);
    z->zone.id = m->zone_count;
    z->zone.generation = 1;

    dns_status_t status = dns_zonefile_open(&file, &options);

    while (status == DNS_OK &&
           (status = dns_zonefile_next(file, &record)) == DNS_OK) {
        assert_int_equal(
            dns_node_builder_add(&memory_node(z, record.owner)->builder,
                                 record.type, record.ttl, record.rdata,
                                 record.rdata_size),
            DNS_OK);
    }

    if (status != DNS_ENOTFOUND) {
        fail_msg("%s", dns_zonefile_error(file));
    }

    dns_zonefile_free(file);
}

static inline int
memory_setup(void **state)
{
    *state = calloc(1, sizeof(memory_t));
    return *state == NULL;
}

static inline int
memory_teardown(void **state)
{
    memory_t *m = *state;

    for (unsigned i = 0; i < m->zone_count; i++) {
        for (unsigned k = 0; k < m->zones[i].node_count; k++) {
            dns_node_builder_free(&m->zones[i].nodes[k].builder);
        }
    }

    free(m);
    return 0;
}

/* How a question is asked. */
typedef struct {
    const char *name;
    const char *type;
    const char *class_; /* NULL: IN */
    dns_transport_t transport;
    uint16_t udp_size; /* 0: no EDNS */
    bool dnssec_ok;
    const uint8_t *options; /* of the query's OPT */
    uint16_t options_size;
} question_t;

static inline size_t
make_query(const question_t *q, uint8_t *packet)
{
    uint16_t type = 0;
    uint16_t class_ = DNS_CLASS_IN;
    dns_writer_t w;

    assert_int_equal(dns_type_from_text(&type, q->type, strlen(q->type)), 0);

    if (q->class_ != NULL) {
        assert_int_equal(
            dns_class_from_text(&class_, q->class_, strlen(q->class_)), 0);
    }

    uint8_t name[DNS_NAME_MAX];

    assert_int_equal(
        dns_name_from_text(name, q->name, strlen(q->name), NULL, NULL), 0);
    dns_writer_init(&w, packet, 1024);
    dns_writer_put_header(&w, 0x1234, 0);
    assert_int_equal(dns_writer_put_question(&w, name, type, class_), 0);

    if (q->udp_size > 0) {
        dns_writer_opt_t opt = {.udp_size = q->udp_size,
                                .dnssec_ok = q->dnssec_ok,
                                .options = q->options,
                                .options_size = q->options_size};

        assert_int_equal(dns_writer_put_opt(&w, &opt), 0);
    }

    return w.used;
}

static inline void
fetch(memory_t *m, const dns_answer_t *answer)
{
    assert_true(answer->need_count > 0);

    for (unsigned i = 0; i < answer->need_count; i++) {
        const dns_need_t *need = &answer->needs[i];

        /* Nothing is asked for twice. */
        if (need->is_order) {
            assert_false(m->has_order);
            m->has_order = true;
            continue;
        }

        assert_false(memory_has(m, need->zone.id, &need->name));
        assert_true(m->fetched_count < FETCHED_MAX);
        m->fetched[m->fetched_count++] = *need;
    }
}

/* Answers from a source that is filled round by round. */
static inline dns_status_t
answer_in_rounds(memory_t *m, const dns_query_t *query,
                 const dns_answer_options_t *options, uint8_t *out,
                 size_t limit, dns_answer_t *answer)
{
    dns_source_t source = {&memory_ops, m};
    dns_status_t status;

    m->is_partial = true;
    m->fetched_count = 0;
    m->has_order = false;
    m->rounds = 0;

    while ((status = dns_answer(query, &source, options, out, limit, answer)) ==
           DNS_NEEDS) {
        fetch(m, answer);
        assert_true(++m->rounds < ROUNDS_MAX);
    }

    m->is_partial = false;
    return status;
}

/* Answers; out has room for 65535 octets. */
static inline dns_status_t
answer_wire(memory_t *m, const question_t *q,
            const dns_answer_options_t *options, uint8_t *out,
            dns_answer_t *answer)
{
    static uint8_t again[65535];
    static dns_answer_t other;
    uint8_t packet[1024];
    dns_query_t query;
    dns_source_t source = {&memory_ops, m};
    int rcode;
    size_t size = make_query(q, packet);

    assert_int_equal(
        dns_query_parse(&query, packet, size, q->transport, &rcode), DNS_OK);

    size_t limit = dns_query_response_limit(&query, options->udp_size);
    dns_status_t status =
        dns_answer(&query, &source, options, out, limit, answer);

    assert_int_equal(answer_in_rounds(m, &query, options, again, limit, &other),
                     status);

    if (status == DNS_OK) {
        assert_true(answer->size <= limit);
        assert_int_equal(answer->size, other.size);
        assert_memory_equal(out, again, answer->size);
    }

    return status;
}

static inline void
print_flags(char *out, uint16_t flags)
{
    dns_rcode_to_text(out, flags & DNS_RCODE_MASK);
    strcat(out, (flags & DNS_FLAG_AA) != 0 ? " aa" : "");
    strcat(out, (flags & DNS_FLAG_TC) != 0 ? " tc" : "");
    strcat(out, "\n");
}

/* A response as text, OPT left out. */
static inline const char *
response_text(const uint8_t *wire, size_t size)
{
    static const char *const sections[] = {"question", "answer", "authority",
                                           "additional"};
    static char text[TEXT_SIZE];
    static uint8_t rdata[DNS_RDATA_MAX];
    unsigned section = DNS_QUESTION;
    dns_message_t m;
    dns_message_record_t record;
    dns_status_t status;

    assert_int_equal(dns_message_open(&m, wire, size), DNS_OK);
    print_flags(text, m.flags);

    while ((status = dns_message_next(&m, &record)) == DNS_OK) {
        if (record.section == DNS_QUESTION || record.type == DNS_TYPE_OPT) {
            continue;
        }

        if (record.section != section) {
            section = record.section;
            strcat(strcat(text, sections[section]), "\n");
        }

        dns_record_t out = {.owner = record.owner,
                            .type = record.type,
                            .class_ = record.class_,
                            .ttl = record.ttl,
                            .rdata = rdata};
        size_t used = strlen(text);
        size_t length;

        assert_int_equal(dns_message_rdata(&m, &record, rdata, &out.rdata_size),
                         DNS_OK);
        assert_int_equal(
            dns_record_to_text(&out, text + used, TEXT_SIZE - used, &length),
            DNS_OK);
    }

    assert_int_equal(status, DNS_ENOTFOUND);

    for (char *p = text; *p != '\0'; p++) {
        *p = *p == '\t' ? ' ' : *p;
    }

    return text;
}

static inline const char *
answer_question_as(memory_t *m, const question_t *q)
{
    static const dns_answer_options_t options = {.udp_size = 1232};
    static uint8_t out[65535];
    static dns_answer_t answer;
    dns_status_t status = answer_wire(m, q, &options, out, &answer);

    return status == DNS_OK ? response_text(out, answer.size)
                            : dns_status_text(status);
}

/* Over UDP without EDNS. */
static inline const char *
ask(memory_t *m, const char *name, const char *type)
{
    question_t q = {.name = name, .type = type};

    return answer_question_as(m, &q);
}

static inline const char *
ask_tcp(memory_t *m, const char *name, const char *type)
{
    question_t q = {.name = name, .type = type, .transport = DNS_OVER_TCP};

    return answer_question_as(m, &q);
}

static inline const char *
ask_dnssec(memory_t *m, const char *name, const char *type)
{
    question_t q = {
        .name = name, .type = type, .udp_size = 1232, .dnssec_ok = true};

    return answer_question_as(m, &q);
}

#define APEX                                                                   \
    "$TTL 300\n"                                                               \
    "@ 3600 SOA ns host 1 3600 600 86400 60\n"                                 \
    "@ 3600 NS ns\n"                                                           \
    "ns 3600 A 192.0.2.53\n"

#define SOA_OF(zone)                                                           \
    "authority\n" zone " 60 IN SOA ns." zone " host." zone                     \
    " 1 3600 600 86400 60\n"

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, memory_setup, memory_teardown)

#endif
