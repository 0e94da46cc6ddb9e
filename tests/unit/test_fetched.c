#include "engine_fixture.h"

#include "dns/fetched.h"

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

static void
want_needs(dns_fetched_t *set, const dns_answer_t *answer)
{
    for (unsigned i = 0; known != NULL && i < answer->need_count; i++) {
        assert_int_equal(dns_fetched_want(set, &answer->needs[i], known),
                         DNS_OK);
    }

    if (known == NULL) {
        assert_int_equal(
            dns_fetched_want_all(set, answer->needs, answer->need_count),
            DNS_OK);
    }
}

static unsigned
guess_encloser(void *source, const dns_zone_t *zone, const dns_name_t *name)
{
    (void) source;
    (void) zone;
    return dns_ancestors_encloser(known, name);
}

static void
fetch_round(const memory_t *m, dns_fetched_t *set, const dns_answer_t *answer)
{
    dns_want_t want;
    unsigned wanted = 0;

    want_needs(set, answer);

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
    question_t q = {.name = name, .type = type, .transport = DNS_OVER_TCP};
    dns_query_t query;
    dns_source_t memory = {&memory_ops, m};
    dns_zone_list_t *zones = list_zones(m);
    dns_fetched_t *set;
    dns_status_t status;
    unsigned rounds = 0;
    int rcode;

    assert_int_equal(dns_query_parse(&query, packet, make_query(&q, packet),
                                     q.transport, &rcode),
                     DNS_OK);
    assert_int_equal(
        dns_answer(&query, &memory, &options, whole, sizeof(whole), &a),
        DNS_OK);
    assert_int_equal(dns_fetched_new(&set, zones), DNS_OK);

    dns_source_t source = dns_fetched_source(set);
    dns_source_ops_t ops = *source.ops;

    ops.guess_encloser = known == NULL ? NULL : guess_encloser;
    source.ops = &ops;

    while ((status = dns_answer(&query, &source, &options, fetched,
                                sizeof(fetched), &b)) == DNS_NEEDS) {
        fetch_round(m, set, &b);
        assert_true(++rounds < 20);
    }

    assert_int_equal(status, DNS_OK);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(whole, fetched, a.size);
    dns_fetched_free(set);
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
    assert_true(rounds_until_same(m, "x.b.b.b.b.b.b.b.b.b.b." Z, "A") <= 6);
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
            }
        }
    }

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
        TEST(finds_the_deepest_zone_without_asking),
        TEST(finds_each_of_many_zones),
        TEST(leaves_out_what_was_not_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
