#include "engine_fixture.h"

#define Z   "example.test."
#define SOA SOA_OF(Z)

/* RFC 4592 section 2.2.1, as it stands there but for the zone's name. */
#define RFC4592                                                                \
    APEX "* TXT \"this is a wildcard\"\n"                                      \
         "* MX 10 host1\n"                                                     \
         "sub.* TXT \"this is not a wildcard\"\n"                              \
         "host1 A 192.0.2.1\n"                                                 \
         "_ssh._tcp.host1 SRV 0 0 22 host1\n"                                  \
         "_ssh._tcp.host2 SRV 0 0 22 host1\n"                                  \
         "subdel NS ns.example.com.\n"                                         \
         "subdel NS ns.example.net.\n"

#define HOST1 "additional\nhost1.example.test. 300 IN A 192.0.2.1\n"

static void
rfc4592_2_2_1_wildcard_examples(void **state)
{
    memory_load(*state, Z, RFC4592);
    assert_string_equal(ask(*state, "host3.example.test.", "MX"),
                        "NOERROR aa\nanswer\n"
                        "host3.example.test. 300 IN MX 10 "
                        "host1.example.test.\n" HOST1);
    assert_string_equal(ask(*state, "host3.example.test.", "A"),
                        "NOERROR aa\n" SOA);
    assert_string_equal(ask(*state, "foo.bar.example.test.", "TXT"),
                        "NOERROR aa\nanswer\n"
                        "foo.bar.example.test. 300 IN TXT \"this is a "
                        "wildcard\"\n");
    assert_string_equal(ask(*state, "host1.example.test.", "MX"),
                        "NOERROR aa\n" SOA);
    assert_string_equal(ask(*state, "sub.*.example.test.", "MX"),
                        "NOERROR aa\n" SOA);
    assert_string_equal(ask(*state, "_telnet._tcp.host1.example.test.", "SRV"),
                        "NXDOMAIN aa\n" SOA);
    assert_string_equal(ask(*state, "host.subdel.example.test.", "A"),
                        "NOERROR\nauthority\n"
                        "subdel.example.test. 300 IN NS ns.example.com.\n"
                        "subdel.example.test. 300 IN NS ns.example.net.\n");
    assert_string_equal(ask(*state, "ghost.*.example.test.", "MX"),
                        "NXDOMAIN aa\n" SOA);
}

static void
rfc4592_3_3_1_only_the_closest_enclosers_wildcard_counts(void **state)
{
    memory_load(*state, Z,
                APEX "* A 192.0.2.1\n*.b A 192.0.2.2\nx.c A 192.0.2.3\n");
    assert_string_equal(ask(*state, "q.b.example.test.", "A"),
                        "NOERROR aa\nanswer\n"
                        "q.b.example.test. 300 IN A 192.0.2.2\n");
    assert_string_equal(ask(*state, "q.c.example.test.", "A"),
                        "NXDOMAIN aa\n" SOA);
    /* *.b makes b an empty non-terminal: no synthesis for b itself. */
    assert_string_equal(ask(*state, "b.example.test.", "A"),
                        "NOERROR aa\n" SOA);
    assert_string_equal(ask(*state, "r.q.example.test.", "A"),
                        "NOERROR aa\nanswer\n"
                        "r.q.example.test. 300 IN A 192.0.2.1\n");
}

static void
rfc4592_4_3_a_wildcard_that_is_empty_gives_no_data(void **state)
{
    memory_load(*state, Z, APEX "a.* A 192.0.2.1\n");
    assert_string_equal(ask(*state, "x.example.test.", "A"),
                        "NOERROR aa\n" SOA);
}

static void
rfc4592_3_3_3_a_wildcard_cname_is_followed(void **state)
{
    memory_load(*state, Z, APEX "* CNAME www.w\nwww.w A 192.0.2.1\n");
    assert_string_equal(ask(*state, "x.example.test.", "A"),
                        "NOERROR aa\nanswer\n"
                        "x.example.test. 300 IN CNAME www.w.example.test.\n"
                        "www.w.example.test. 300 IN A 192.0.2.1\n");
    assert_string_equal(ask(*state, "*.example.test.", "CNAME"),
                        "NOERROR aa\nanswer\n"
                        "*.example.test. 300 IN CNAME www.w.example.test.\n");
}

static void
rfc1034_4_3_2_3b_a_delegation_is_referred_with_glue(void **state)
{
    static const char referral[] =
        "NOERROR\nauthority\n"
        "sub.example.test. 300 IN NS ns.sub.example.test.\n"
        "sub.example.test. 300 IN NS ns.sib.example.test.\n"
        "sub.example.test. 300 IN NS ns.outside.\n"
        "additional\n"
        "ns.sub.example.test. 300 IN A 192.0.2.1\n"
        "ns.sub.example.test. 300 IN AAAA 2001:db8::1\n"
        "ns.sib.example.test. 300 IN A 192.0.2.2\n";
    static const char *const names[] = {
        "sub.example.test.", "a.b.sub.example.test.", "ns.sub.example.test."};

    memory_load(*state, Z,
                APEX "sub NS ns.sub\nsub NS ns.sib\nsub NS ns.outside.\n"
                     "sib NS ns.sib\n"
                     "ns.sub A 192.0.2.1\nns.sub AAAA 2001:db8::1\n"
                     "ns.sib A 192.0.2.2\n");

    for (int i = 0; i < 3; i++) {
        const char *answer = ask(*state, names[i], "A");

        /* NS are in canonical order, which is not that of the text. */
        assert_int_equal(strlen(answer), strlen(referral));
        assert_memory_equal(answer, referral, 18);
        assert_non_null(strstr(answer, "additional\nns.sub.example.test. 300 "
                                       "IN A 192.0.2.1\n"));
        assert_non_null(strstr(answer, "ns.sib.example.test. 300 IN A"));
    }
}

static void
names_below_a_cut_are_occluded(void **state)
{
    memory_load(*state, Z,
                APEX "sub NS ns.outside.\nwww.sub A 192.0.2.1\n"
                     "*.sub A 192.0.2.2\nlow.sub NS ns.other.\n");
    assert_string_equal(ask(*state, "www.sub.example.test.", "A"),
                        "NOERROR\nauthority\n"
                        "sub.example.test. 300 IN NS ns.outside.\n");
    assert_string_equal(ask(*state, "x.sub.example.test.", "A"),
                        "NOERROR\nauthority\n"
                        "sub.example.test. 300 IN NS ns.outside.\n");
    assert_string_equal(ask(*state, "x.low.sub.example.test.", "A"),
                        "NOERROR\nauthority\n"
                        "sub.example.test. 300 IN NS ns.outside.\n");
}

static void
a_chain_that_ends_in_a_delegation_stays_authoritative(void **state)
{
    memory_load(*state, Z, APEX "a CNAME b.sub\nsub NS ns.outside.\n");
    assert_string_equal(ask(*state, "a.example.test.", "A"),
                        "NOERROR aa\nanswer\n"
                        "a.example.test. 300 IN CNAME b.sub.example.test.\n"
                        "authority\n"
                        "sub.example.test. 300 IN NS ns.outside.\n");
}

#define DS_DATA                                                                \
    "12345 13 2 "                                                              \
    "ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB"

static void
rfc4035_3_1_4_1_ds_is_answered_by_the_parent(void **state)
{
    memory_load(*state, Z, APEX "sub NS ns.outside.\nsub DS " DS_DATA "\n");
    memory_load(*state, "sub." Z, APEX);

    const char *answer = ask(*state, "sub.example.test.", "DS");

    assert_non_null(strstr(answer, "NOERROR aa\nanswer\nsub.example.test. "
                                   "300 IN DS 12345 13 2 "));
    /* The apex of the parent, whose own parent is not served. */
    assert_string_equal(ask(*state, "example.test.", "DS"), "NOERROR aa\n" SOA);
    /* Everything else at the cut is the child's. */
    assert_string_equal(ask(*state, "sub.example.test.", "MX"),
                        "NOERROR aa\n" SOA_OF("sub.example.test."));
}

static void
rfc4035_3_1_4_1_a_child_alone_has_no_ds(void **state)
{
    memory_load(*state, "sub." Z, APEX);
    assert_string_equal(ask(*state, "sub.example.test.", "DS"),
                        "NOERROR aa\n" SOA_OF("sub.example.test."));
}

static void
the_deepest_zone_answers(void **state)
{
    memory_load(*state, Z,
                APEX "sub NS ns.sub\nns.sub A 192.0.2.7\n"
                     "www.sub A 192.0.2.8\n");
    memory_load(*state, "sub." Z, APEX "www A 192.0.2.9\n");
    assert_string_equal(ask(*state, "www.sub.example.test.", "A"),
                        "NOERROR aa\nanswer\n"
                        "www.sub.example.test. 300 IN A 192.0.2.9\n");
    assert_string_equal(ask(*state, "x.sub.example.test.", "A"),
                        "NXDOMAIN aa\n" SOA_OF("sub.example.test."));
}

static void
hosts_that_the_answer_names_come_with_their_addresses(void **state)
{
    (void) state;

    static const struct {
        const char *type;
        const char *rdata;
    } cases[] = {
        {"MX", "10 h.example.test."},
        {"NS", "h.example.test."},
        {"SRV", "1 2 3 h.example.test."},
        {"KX", "1 h.example.test."},
        {"AFSDB", "1 h.example.test."},
        {"SVCB", "1 h.example.test."},
        {"HTTPS", "1 h.example.test."},
        {"NAPTR", "1 1 \"A\" \"x\" \"\" h.example.test."},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memory_t *m = calloc(1, sizeof(*m));
        void *own = m;
        char text[512];
        const char *owner = i == 1 ? "example.test." : "x.example.test.";

        snprintf(text, sizeof(text),
                 APEX "h A 192.0.2.1\nh AAAA 2001:db8::1\n%s %s %s\n", owner,
                 cases[i].type, cases[i].rdata);
        memory_load(m, Z, text);

        const char *answer = ask(m, owner, cases[i].type);

        assert_non_null(strstr(answer, "h.example.test. 300 IN A 192.0.2.1\n"));
        assert_non_null(
            strstr(answer, "h.example.test. 300 IN AAAA 2001:db8::1\n"));
        memory_teardown(&own);
    }
}

static void
rfc9460_2_5_2_a_service_of_the_owner_itself_has_its_addresses(void **state)
{
    memory_load(*state, Z, APEX "x HTTPS 1 .\nx A 192.0.2.1\n");
    assert_string_equal(ask(*state, "x.example.test.", "HTTPS"),
                        "NOERROR aa\nanswer\n"
                        "x.example.test. 300 IN HTTPS 1 .\nadditional\n"
                        "x.example.test. 300 IN A 192.0.2.1\n");
}

static void
rfc9460_4_1_an_alias_comes_with_the_service_of_its_target(void **state)
{
    memory_load(*state, Z,
                APEX "@ HTTPS 0 svc\n"
                     "svc HTTPS 1 host\n"
                     "svc A 192.0.2.1\n"
                     "host AAAA 2001:db8::1\n"
                     "none SVCB 0 .\n"
                     "none A 192.0.2.2\n"
                     "loop SVCB 0 loop\n"
                     "plain SVCB 1 svc\n");
    assert_string_equal(ask(*state, "example.test.", "HTTPS"),
                        "NOERROR aa\nanswer\n"
                        "example.test. 300 IN HTTPS 0 svc.example.test.\n"
                        "additional\n"
                        "svc.example.test. 300 IN HTTPS 1 host.example.test.\n"
                        "svc.example.test. 300 IN A 192.0.2.1\n"
                        "host.example.test. 300 IN AAAA 2001:db8::1\n");
    assert_string_equal(ask(*state, "none.example.test.", "SVCB"),
                        "NOERROR aa\nanswer\n"
                        "none.example.test. 300 IN SVCB 0 .\n");
    assert_string_equal(ask(*state, "loop.example.test.", "SVCB"),
                        "NOERROR aa\nanswer\n"
                        "loop.example.test. 300 IN SVCB 0 "
                        "loop.example.test.\n");
    assert_string_equal(ask(*state, "plain.example.test.", "SVCB"),
                        "NOERROR aa\nanswer\n"
                        "plain.example.test. 300 IN SVCB 1 "
                        "svc.example.test.\nadditional\n"
                        "svc.example.test. 300 IN A 192.0.2.1\n");
}

static void
rfc3404_4_3_naptr_with_flag_s_comes_with_the_service(void **state)
{
    memory_load(*state, Z,
                APEX "x NAPTR 1 1 \"s\" \"x\" \"\" s\ns SRV 1 2 3 h\n"
                     "s A 192.0.2.1\n");
    assert_string_equal(ask(*state, "x.example.test.", "NAPTR"),
                        "NOERROR aa\nanswer\n"
                        "x.example.test. 300 IN NAPTR 1 1 \"s\" \"x\" \"\" "
                        "s.example.test.\nadditional\n"
                        "s.example.test. 300 IN SRV 1 2 3 h.example.test.\n");
}

static void
addresses_come_once_and_not_for_hosts_elsewhere(void **state)
{
    memory_load(*state, Z,
                APEX "x MX 1 h\nx MX 2 h\nx MX 3 h.other.test.\n"
                     "h A 192.0.2.1\n");
    memory_load(*state, "other.test.", APEX "h A 192.0.2.2\n");

    const char *answer = ask(*state, "x.example.test.", "MX");

    assert_non_null(strstr(answer, "additional\n"
                                   "h.example.test. 300 IN A 192.0.2.1\n"));
    assert_null(strstr(answer, "192.0.2.2"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rfc4592_2_2_1_wildcard_examples),
        TEST(rfc4592_3_3_1_only_the_closest_enclosers_wildcard_counts),
        TEST(rfc4592_4_3_a_wildcard_that_is_empty_gives_no_data),
        TEST(rfc4592_3_3_3_a_wildcard_cname_is_followed),
        TEST(rfc1034_4_3_2_3b_a_delegation_is_referred_with_glue),
        TEST(names_below_a_cut_are_occluded),
        TEST(a_chain_that_ends_in_a_delegation_stays_authoritative),
        TEST(rfc4035_3_1_4_1_ds_is_answered_by_the_parent),
        TEST(rfc4035_3_1_4_1_a_child_alone_has_no_ds),
        TEST(the_deepest_zone_answers),
        TEST(hosts_that_the_answer_names_come_with_their_addresses),
        TEST(rfc9460_2_5_2_a_service_of_the_owner_itself_has_its_addresses),
        TEST(rfc9460_4_1_an_alias_comes_with_the_service_of_its_target),
        TEST(rfc3404_4_3_naptr_with_flag_s_comes_with_the_service),
        TEST(addresses_come_once_and_not_for_hosts_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
