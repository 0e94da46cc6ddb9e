#include "engine_fixture.h"

#include "dns/covering.h"
#include "dns/fetched.h"
#include "names.h"

#define Z "example.test."

static const uint8_t hash_key[DNS_SIPHASH_KEY_SIZE] = "a key for a test";

/* Gives every record of the zone that lies at a wanted name, and what tells
   an empty non-terminal, as a statement over a table of records would. */
static void
fetch_rows(const memory_t *m, dns_fetched_t *set, const dns_want_t *want)
{
    const memory_zone_t *z = &m->zones[want->zone_id - 1];

    for (unsigned i = 0; i < z->node_count; i++) {
        const memory_node_t *n = &z->nodes[i];
        dns_node_t node = dns_node_builder_node(&n->builder);
        dns_rrset_t rrset;
        dns_rdata_t rdata;

        if (want->below &&
            dns_name_is_within(n->owner.octets, want->name->octets)) {
            dns_fetched_mark(set, want->zone_id, want->name->octets);
        }

        if (!dns_name_equal(n->owner.octets, want->name->octets)) {
            continue;
        }

        for (size_t at = 0; dns_node_next(&node, &at, &rrset);) {
            for (size_t r = 0; dns_rrset_next(&rrset, &r, &rdata);) {
                assert_int_equal(dns_fetched_add(set, want->zone_id,
                                                 n->owner.octets, &rrset,
                                                 &rdata),
                                 DNS_OK);
            }
        }
    }
}

/* A round that ends in the middle, with records that are gone later. */
static void
fetch_and_restart(dns_fetched_t *set)
{
    dns_rrset_t a = {.type = DNS_TYPE_A, .ttl = 1};
    dns_rdata_t rdata = {(const uint8_t *) "\1\2\3\4", 4};
    dns_want_t want;

    for (size_t at = 0; dns_fetched_next_wanted(set, &at, &want);) {
        if (want.below) {
            dns_fetched_mark(set, want.zone_id, want.name->octets);
        } else {
            assert_int_equal(dns_fetched_add(set, want.zone_id,
                                             want.name->octets, &a, &rdata),
                             DNS_OK);
        }
    }

    dns_fetched_restart(set);
}

static bool restarts;         /* each round is made twice */
static unsigned names_wanted; /* in all rounds */
static dns_ancestors_t
    *known; /* the names of the first zone; NULL: not known */

static unsigned
guess_encloser(void *source, const dns_zone_t *zone, const dns_name_t *name)
{
    (void) source;
    (void) zone;
    return dns_ancestors_encloser(known, name);
}

static bool dnssec_ok;

/* A set, and the order of a zone's names once that has been asked for. */
typedef struct {
    dns_fetched_t *set;
    dns_order_t *order;
    uint32_t ordered; /* the zone */
} partial_t;

static dns_status_t
partial_find_zone(void *source, const dns_name_t *name, unsigned above,
                  dns_zone_t *out)
{
    const partial_t *p = source;
    const dns_source_t fetched = dns_fetched_source(p->set);

    return fetched.ops->find_zone(fetched.data, name, above, out);
}

static dns_status_t
partial_lookup(void *source, const dns_zone_t *zone, const dns_name_t *name,
               dns_lookup_t *out)
{
    const partial_t *p = source;
    const dns_source_t fetched = dns_fetched_source(p->set);

    return fetched.ops->lookup(fetched.data, zone, name, out);
}

static dns_status_t
partial_find_covering(void *source, const dns_zone_t *zone,
                      const dns_name_t *name, uint16_t type, dns_name_t *owner,
                      dns_node_t *node)
{
    const partial_t *p = source;
    const dns_covering_t where = {p->set, p->order, zone, type};

    if (p->order == NULL || p->ordered != zone->id) {
        owner->size = 0;
        return DNS_NEEDS;
    }

    dns_status_t status = dns_covering_find(&where, name, owner, node);

    if (status == DNS_OK) {
        assert_true(dns_covering_reaches(&where, name, owner, node));
    }

    return status;
}

static const dns_source_ops_t partial_ops = {
    .find_zone = partial_find_zone,
    .lookup = partial_lookup,
    .find_covering = partial_find_covering,
};

static dns_order_t *
order_of(const memory_zone_t *z)
{
    dns_order_t *order;

    assert_int_equal(dns_order_new(&order, &z->zone.apex), DNS_OK);

    for (unsigned i = 0; i < z->node_count; i++) {
        assert_int_equal(dns_order_add(order, &z->nodes[i].owner), DNS_OK);
    }

    assert_int_equal(dns_order_sort(order), DNS_OK);
    return order;
}

static void
fetch_order(const memory_t *m, partial_t *p, const dns_need_t *need)
{
    dns_order_free(p->order);
    p->order = order_of(&m->zones[need->zone.id - 1]);
    p->ordered = need->zone.id;
}

static void
fetch_round(const memory_t *m, partial_t *p, const dns_answer_t *answer)
{
    dns_fetched_t *set = p->set;
    dns_want_t want;
    unsigned wanted = 0;

    for (unsigned i = 0; i < answer->need_count; i++) {
        if (answer->needs[i].is_order) {
            fetch_order(m, p, &answer->needs[i]);
            wanted++;
        } else {
            assert_int_equal(dns_fetched_want(set, &answer->needs[i], known),
                             DNS_OK);
        }
    }

    if (restarts) {
        fetch_and_restart(set);
    }

    for (size_t at = 0; dns_fetched_next_wanted(set, &at, &want); wanted++) {
        fetch_rows(m, set, &want);
    }

    assert_true(wanted > 0);
    names_wanted += wanted;
    dns_fetched_settle(set);
}

static dns_zone_list_t *
list_zones(const memory_t *m)
{
    dns_zone_list_t *list;

    assert_int_equal(dns_zone_list_new(&list, hash_key), DNS_OK);

    for (unsigned i = 0; i < m->zone_count; i++) {
        assert_int_equal(dns_zone_list_add(list, &m->zones[i].zone), DNS_OK);
    }

    return list;
}

/* The question asked of the whole source and of the fetched set. */
static unsigned
rounds_until_same(memory_t *m, const char *name, const char *type)
{
    static const dns_answer_options_t options = {.udp_size = 1232};
    static uint8_t whole[65535], fetched[65535];
    static dns_answer_t a, b;
    uint8_t packet[1024];
    question_t q = {.name = name,
                    .type = type,
                    .transport = DNS_OVER_TCP,
                    .udp_size = dnssec_ok ? 4096 : 0,
                    .dnssec_ok = dnssec_ok};
    dns_query_t query;
    dns_source_t memory = {&memory_ops, m};
    dns_zone_list_t *zones = list_zones(m);
    partial_t partial = {0};
    dns_status_t status;
    unsigned rounds = 0;
    int rcode;

    assert_int_equal(dns_query_parse(&query, packet, make_query(&q, packet),
                                     q.transport, &rcode),
                     DNS_OK);
    assert_int_equal(
        dns_answer(&query, &memory, &options, whole, sizeof(whole), &a),
        DNS_OK);
    assert_int_equal(dns_fetched_new(&partial.set, zones), DNS_OK);

    dns_source_ops_t ops = partial_ops;
    dns_source_t source = {&ops, &partial};

    ops.guess_encloser = known == NULL ? NULL : guess_encloser;

    while ((status = dns_answer(&query, &source, &options, fetched,
                                sizeof(fetched), &b)) == DNS_NEEDS) {
        fetch_round(m, &partial, &b);
        assert_true(++rounds < 20);
    }

    assert_int_equal(status, DNS_OK);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(whole, fetched, a.size);
    dns_fetched_free(partial.set);
    dns_order_free(partial.order);
    dns_zone_list_free(zones);
    return rounds;
}

static void
load(memory_t *m)
{
    memory_load(m, Z,
                APEX "www A 192.0.2.1\n"
                     "alias CNAME www\n"
                     "first CNAME alias\n"
                     "loop CNAME loop\n"
                     "out CNAME www.other.test.\n"
                     "a.b.c TXT deep\n"
                     "*.w A 192.0.2.2\n"
                     "sub NS ns.sub\n"
                     "ns.sub A 192.0.2.3\n"
                     "d DNAME www\n"
                     "mail MX 10 www\n");
    memory_load(m, "other.test.", APEX "www A 192.0.2.9\n");
}

static void
gives_the_answers_of_a_complete_source(void **state)
{
    static const char *const names[] = {
        Z,          "www." Z,          "WWW." Z,        "alias." Z, "first." Z,
        "loop." Z,  "out." Z,          "c." Z,          "b.c." Z,   "a.b.c." Z,
        "x.b.c." Z, "x.y.z." Z,        "w." Z,          "q.w." Z,   "p.q.w." Z,
        "*.w." Z,   "sub." Z,          "x.sub." Z,      "d." Z,     "x.d." Z,
        "mail." Z,  "www.other.test.", "no.other.test."};
    static const char *const types[] = {"A", "TXT", "MX", "NS", "DS", "ANY"};

    load(*state);

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (size_t k = 0; k < sizeof(types) / sizeof(types[0]); k++) {
            rounds_until_same(*state, names[i], types[k]);
        }
    }
}

static void
a_restart_leaves_nothing_of_what_came_before(void **state)
{
    restarts = true;
    gives_the_answers_of_a_complete_source(state);
    restarts = false;
}

static void
fetches_once_for_what_exists_and_once_more_for_absence_or_a_link(void **state)
{
    load(*state);
    assert_int_equal(rounds_until_same(*state, "www." Z, "TXT"), 1);
    assert_int_equal(rounds_until_same(*state, "a.b.c." Z, "TXT"), 1);
    assert_int_equal(rounds_until_same(*state, "x.y.z." Z, "A"), 2);
    assert_int_equal(rounds_until_same(*state, "b.c." Z, "A"), 2);
    assert_int_equal(rounds_until_same(*state, "q.w." Z, "A"), 2);
    assert_int_equal(rounds_until_same(*state, "first." Z, "TXT"), 3);
}

/* A name in front of suffix, of so many labels. */
static const char *
long_name(unsigned labels, const char *suffix)
{
    static char name[600];

    name[0] = '\0';

    for (unsigned i = 0; i < labels; i++) {
        strcat(name, "a.");
    }

    return strcat(name, suffix);
}

/* What lies below a name that is absent is absent: of a long name only the
   first part is asked for, and of an existing one no part twice. */
static void
a_long_name_costs_little_more_than_a_short_one(void **state)
{
    memory_t *m = *state;

    memory_load(m, Z,
                "@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n"
                "*.w A 192.0.2.2\nx.b.b.b.b.b.b.b.b.b.b A 192.0.2.3\n");

    static const char *const suffixes[] = {Z, "no." Z, "w." Z, "b.b.b." Z};

    for (unsigned i = 0; i < 4; i++) {
        names_wanted = 0;
        assert_true(rounds_until_same(m, long_name(105, suffixes[i]), "A") <=
                    4);
        assert_true(names_wanted <= 32);
    }

    names_wanted = 0;
    assert_true(rounds_until_same(m, "x.b.b.b.b.b.b.b.b.b.b." Z, "A") <= 2);
    assert_true(names_wanted <= 32);
}

static dns_ancestors_t *
list_names(const memory_zone_t *zone)
{
    dns_ancestors_t *names;

    assert_int_equal(dns_ancestors_new(&names, &zone->zone.apex, hash_key),
                     DNS_OK);

    for (unsigned i = 0; i < zone->node_count; i++) {
        assert_int_equal(dns_ancestors_add(names, &zone->nodes[i].owner),
                         DNS_OK);
    }

    return names;
}

/* Of the names above one only those that have records may be cuts. */
static void
empty_names_above_one_are_not_asked_for(void **state)
{
    memory_t *m = *state;
    char zone[1200] = "@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n"
                      "link CNAME c.b.b.b.b.b.b.b\nb.b.b TXT b\n"
                      "c.c.c.c NS ns.c.c.c.c\nns.c.c.c.c A 192.0.2.4\n";

    strcat(strcat(zone, long_name(105, "x")), " A 192.0.2.2\n");
    strcat(strcat(zone, long_name(40, "b.b.b.b")), " A 192.0.2.3\n");
    strcat(strcat(zone, long_name(40, "c.c.c.c")), " A 192.0.2.3\n");
    memory_load(m, Z, zone);
    /* Not listed: with the name itself the first of them, then the others. */
    assert_int_equal(rounds_until_same(m, long_name(105, "x." Z), "A"), 2);
    known = list_names(&m->zones[0]);

    static const struct {
        const char *suffix;
        unsigned labels, rounds;
    } cases[] = {
        {"x." Z, 105, 1}, {"x." Z, 104, 2},      {"b.b.b.b." Z, 40, 1},
        {"b.b." Z, 0, 2}, {"c.c.c.c." Z, 40, 2}, {"c.c.c.c." Z, 50, 3},
        {"x." Z, 107, 2}, {"link." Z, 0, 3},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *name = long_name(cases[i].labels, cases[i].suffix);

        names_wanted = 0;
        assert_int_equal(rounds_until_same(m, name, "A"), cases[i].rounds);
        assert_true(names_wanted <= 8);
    }

    dns_ancestors_free(known);
    known = NULL;
}

/* A zone with NSEC at all names that have one. */
#define NSEC_ZONE                                                              \
    "@ SOA ns h 1 2 3 4 5\n@ NS ns\n@ NSEC a.ent NS SOA RRSIG NSEC\n"          \
    "a.ent A 192.0.2.1\na.ent NSEC cut A RRSIG NSEC\n"                         \
    "cut NS ns.cut\ncut NSEC d NS RRSIG NSEC\n"                                \
    "d DNAME ns\nd NSEC ns DNAME RRSIG NSEC\n"                                 \
    "ns A 192.0.2.2\nns NSEC safe A RRSIG NSEC\n"                              \
    "safe NS ns.out.\nsafe NSEC *.w NS RRSIG NSEC\n"                           \
    "*.w TXT x\n*.w NSEC *.z TXT RRSIG NSEC\n"                                 \
    "*.z CNAME x.w\n*.z NSEC @ CNAME RRSIG NSEC\n"

static const char *const proved_names[] = {
    Z,        "ent." Z,     "a.ent." Z,  "b.ent." Z, "x.a.ent." Z, "aa." Z,
    "cut." Z, "x.cut." Z,   "cuu." Z,    "d." Z,     "x.d." Z,     "da." Z,
    "ns." Z,  "safe." Z,    "x.safe." Z, "x.w." Z,   "x.y.w." Z,   "x.z." Z,
    "zz." Z,  "sub.cut." Z, "!." Z,      "\\000." Z, "NSA." Z,     "w." Z};

static void
assert_all_proved(memory_t *m, unsigned rounds_max)
{
    static const char *const types[] = {"A", "TXT", "DS", "NSEC", "ANY"};

    dnssec_ok = true;

    for (size_t i = 0; i < sizeof(proved_names) / sizeof(proved_names[0]);
         i++) {
        for (size_t k = 0; k < sizeof(types) / sizeof(types[0]); k++) {
            assert_true(rounds_until_same(m, proved_names[i], types[k]) <=
                        rounds_max);
        }
    }

    dnssec_ok = false;
}

static void
gives_the_nsec_of_a_complete_source(void **state)
{
    memory_load(*state, Z, NSEC_ZONE "ns.cut A 192.0.2.3\n");
    assert_all_proved(*state, 6);
}

/* What lies below a delegation is passed over at once, however much it is; new
   names that have no NSEC yet are passed one by one. */
static void
passes_over_names_without_nsec(void **state)
{
    static char text[1 << 15];
    size_t size = (size_t) snprintf(text, sizeof(text),
                                    "%sns.cut A 192.0.2.3\n"
                                    "zzy A 192.0.2.4\n"
                                    "zzz A 192.0.2.5\n",
                                    NSEC_ZONE);

    for (unsigned i = 0; i < 300; i++) {
        size += (size_t) snprintf(text + size, sizeof(text) - size,
                                  "n%u.sub.cut A 192.0.2.6\n", i);
    }

    memory_load(*state, Z, text);
    names_wanted = 0;
    dnssec_ok = true;
    assert_true(rounds_until_same(*state, "cuu." Z, "A") <= 4);
    assert_true(names_wanted < 20);
    dnssec_ok = false;
    assert_all_proved(*state, 8);
}

/* Two chains as of RFC 5155 appendix A, and names that look like hashes. */
static void
gives_the_nsec3_of_a_complete_source(void **state)
{
    static const char zone[] =
        "@ SOA ns h 1 2 3 4 5\n@ NS ns\n@ NSEC3PARAM 1 0 12 aabbccdd\n"
        "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 1 12 aabbccdd "
        "b4um86eghhds6nea196smvmlo4ors995 NS SOA\n"
        "b4um86eghhds6nea196smvmlo4ors995 NSEC3 1 1 12 aabbccdd "
        "t4um86eghhds6nea196smvmlo4ors995 A\n"
        "k4um86eghhds6nea196smvmlo4ors995 NSEC3 1 0 1 - "
        "q4um86eghhds6nea196smvmlo4ors995 A\n"
        "q4um86eghhds6nea196smvmlo4ors995 NSEC3 1 0 1 - "
        "k4um86eghhds6nea196smvmlo4ors995 A\n"
        "t4um86eghhds6nea196smvmlo4ors995 NSEC3 1 1 12 aabbccdd "
        "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A\n"
        "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv A 192.0.2.1\n"
        "00000000000000000000000000000000 A 192.0.2.2\n"
        "a.b4um86eghhds6nea196smvmlo4ors995 A 192.0.2.2\n"
        "*.w TXT x\nzzz A 192.0.2.3\ncut NS ns\nns A 192.0.2.4\n";
    memory_t *m = *state;

    memory_load(m, Z, zone);
    dnssec_ok = true;

    for (unsigned i = 0; i < 200; i++) {
        char name[64];

        snprintf(name, sizeof(name), "absent%u." Z, i);
        assert_true(rounds_until_same(m, name, "A") <= 12);
    }

    rounds_until_same(m, "cut." Z, "DS");
    rounds_until_same(m, "x.cut." Z, "A");
    rounds_until_same(m, "x.w." Z, "TXT");
    rounds_until_same(m, "x.w." Z, "A");
    dnssec_ok = false;
}

static void
no_nsec_at_all_is_not_found(void **state)
{
    memory_t *m = *state;
    dns_zone_list_t *zones;
    partial_t p = {0};
    dns_name_t owner;
    dns_node_t node;

    memory_load(m, Z, "@ SOA ns h 1 2 3 4 5\n@ NS ns\na A 192.0.2.1\n");
    zones = list_zones(m);
    assert_int_equal(dns_fetched_new(&p.set, zones), DNS_OK);
    p.order = order_of(&m->zones[0]);

    const dns_zone_t *zone = &m->zones[0].zone;
    const uint16_t types[] = {DNS_TYPE_NSEC, DNS_TYPE_NSEC3};

    for (unsigned i = 0; i < 2; i++) {
        const dns_covering_t where = {p.set, p.order, zone, types[i]};
        dns_status_t status;
        dns_want_t want;

        while ((status = dns_covering_find(&where, &m->zones[0].nodes[1].owner,
                                           &owner, &node)) == DNS_NEEDS) {
            size_t at = 0;

            assert_true(dns_fetched_next_wanted(p.set, &at, &want));
            dns_fetched_settle(p.set);
        }

        assert_int_equal(status, DNS_ENOTFOUND);
    }

    dns_order_free(p.order);
    dns_fetched_free(p.set);
    dns_zone_list_free(zones);
}

/* How far the NSEC of "a" or the NSEC3 of a hash reaches. */
static bool
reaches(memory_t *m, uint16_t type, const char *text)
{
    const memory_node_t *n = &m->zones[0].nodes[1];
    const dns_covering_t where = {.zone = &m->zones[0].zone, .type = type};
    const dns_node_t node = dns_node_builder_node(&n->builder);
    const dns_name_t name = name_of(text);

    return dns_covering_reaches(&where, &name, &n->owner, &node);
}

static void
an_owner_that_the_order_does_not_know_is_noticed(void **state)
{
    memory_t *m = *state;

    memory_load(m, Z,
                "@ SOA ns h 1 2 3 4 5\na NSEC m A NSEC\n"
                "b4um86eghhds6nea196smvmlo4ors995 NSEC3 1 1 12 aabbccdd "
                "t4um86eghhds6nea196smvmlo4ors995 A\n");
    assert_true(reaches(m, DNS_TYPE_NSEC, "a." Z));
    assert_true(reaches(m, DNS_TYPE_NSEC, "x.a." Z));
    assert_false(reaches(m, DNS_TYPE_NSEC, "m." Z));
    assert_false(reaches(m, DNS_TYPE_NSEC, "z." Z));
    assert_false(reaches(m, DNS_TYPE_NSEC, Z));
    assert_false(reaches(m, DNS_TYPE_NSEC3, "a." Z));
}

static void
the_last_of_a_chain_reaches_around_to_the_first(void **state)
{
    memory_t *m = *state;
    static const char h[] = "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh." Z;
    static const char z[] = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv." Z;
    static const char a[] = "00000000000000000000000000000000." Z;

    memory_load(m, Z,
                "@ SOA ns h 1 2 3 4 5\n"
                "t4um86eghhds6nea196smvmlo4ors995 NSEC3 1 1 12 aabbccdd "
                "b4um86eghhds6nea196smvmlo4ors995 A\n");
    assert_true(reaches(m, DNS_TYPE_NSEC3, z));
    assert_true(reaches(m, DNS_TYPE_NSEC3, a));
    assert_false(reaches(m, DNS_TYPE_NSEC3, h));
    assert_false(reaches(m, DNS_TYPE_NSEC3, "short." Z));
}

static void
finds_the_deepest_zone_without_asking(void **state)
{
    memory_t *m = *state;
    dns_name_t name;
    uint8_t wire[DNS_NAME_MAX];

    load(m);
    memory_load(m, "deep.example.test.", APEX);

    dns_zone_list_t *list = list_zones(m);

    assert_int_equal(
        dns_name_from_text(wire, "a.DEEP.example.test.", 20, NULL, NULL),
        DNS_OK);
    dns_name_set(&name, wire);
    assert_int_equal(dns_zone_list_find(list, &name, 256)->id, 3);
    assert_int_equal(dns_zone_list_find(list, &name, 3)->id, 1);
    assert_null(dns_zone_list_find(list, &name, 2));
    assert_null(dns_zone_list_find(list, &name, 0));
    assert_null(dns_zone_list_get(list, name.octets));
    assert_int_equal(dns_zone_list_add(list, &m->zones[2].zone), DNS_EEXIST);
    assert_int_equal(dns_zone_list_count(list), 3);
    dns_zone_list_free(list);
}

static void
finds_each_of_many_zones(void **state)
{
    dns_zone_list_t *list;
    dns_zone_t zone = {.generation = 1};
    char text[32];
    uint8_t wire[DNS_NAME_MAX];

    (void) state;
    assert_int_equal(dns_zone_list_new(&list, hash_key), DNS_OK);
    assert_null(dns_zone_list_get(list, (const uint8_t *) ""));

    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < 3000; i++) {
            int size = snprintf(text, sizeof(text), "z%u.test.", i);

            assert_int_equal(
                dns_name_from_text(wire, text, (size_t) size, NULL, NULL),
                DNS_OK);
            dns_name_set(&zone.apex, wire);
            zone.id = i;

            if (pass == 0) {
                assert_int_equal(dns_zone_list_add(list, &zone), DNS_OK);
            } else {
                assert_int_equal(dns_zone_list_get(list, wire)->id, i);
                assert_false(dns_zone_list_has_below(list, &zone.apex));
            }
        }
    }

    dns_name_ancestor(&zone.apex, &zone.apex, 1);
    assert_true(dns_zone_list_has_below(list, &zone.apex));

    dns_zone_list_free(list);
}

static void
leaves_out_what_was_not_wanted(void **state)
{
    static const uint8_t name[] = "\1a\4test";
    dns_zone_list_t *list = list_zones(*state);
    dns_fetched_t *set;
    dns_rrset_t a = {.type = DNS_TYPE_A, .ttl = 1};
    dns_rdata_t rdata = {(const uint8_t *) "\1\2\3\4", 4};

    assert_int_equal(dns_fetched_new(&set, list), DNS_OK);
    assert_int_equal(dns_fetched_add(set, 1, name, &a, &rdata), DNS_ENOTFOUND);
    dns_fetched_free(set);
    dns_zone_list_free(list);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_the_answers_of_a_complete_source),
        TEST(a_restart_leaves_nothing_of_what_came_before),
        TEST(fetches_once_for_what_exists_and_once_more_for_absence_or_a_link),
        TEST(a_long_name_costs_little_more_than_a_short_one),
        TEST(empty_names_above_one_are_not_asked_for),
        TEST(gives_the_nsec_of_a_complete_source),
        TEST(passes_over_names_without_nsec),
        TEST(gives_the_nsec3_of_a_complete_source),
        TEST(no_nsec_at_all_is_not_found),
        TEST(an_owner_that_the_order_does_not_know_is_noticed),
        TEST(the_last_of_a_chain_reaches_around_to_the_first),
        TEST(finds_the_deepest_zone_without_asking),
        TEST(finds_each_of_many_zones),
        TEST(leaves_out_what_was_not_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
