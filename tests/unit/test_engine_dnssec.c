#include "engine_fixture.h"
#include "store_fixture.h"

/*
 * Zones that come signed, served from the embedded store, which knows the
 * order of names.  The signatures are made up: the engine only carries them.
 */

/* The signature beside an owner's set. */
#define SIGNED(owner, type)                                                    \
    owner " RRSIG " type " 13 2 300 20370101000000 20260101000000 1 "          \
          "example.test. YQ==\n"

// clang-format off
#define NSEC_ZONE \
    APEX \
    SIGNED("@", "SOA") \
    "@ NSEC a A NS SOA RRSIG NSEC\n" \
    SIGNED("@", "NSEC") \
    "a A 192.0.2.1\n" \
    SIGNED("a", "A") \
    "a NSEC c.b A RRSIG NSEC\n" \
    SIGNED("a", "NSEC") \
    "c.b A 192.0.2.2\n" \
    "c.b NSEC cut A RRSIG NSEC\n" \
    SIGNED("c.b", "NSEC") \
    "cut NS ns.cut\n" \
    "ns.cut A 192.0.2.3\n" \
    "cut NSEC *.w NS RRSIG NSEC\n" \
    SIGNED("cut", "NSEC") \
    "*.w A 192.0.2.4\n" \
    SIGNED("*.w", "A") \
    "*.w NSEC safe A RRSIG NSEC\n" \
    SIGNED("*.w", "NSEC") \
    "safe NS ns.outside.\n" \
    "safe DS 1 13 2 " \
    "abababababababababababababababababababababababababababababababab\n" \
    SIGNED("safe", "DS") \
    "safe NSEC *.w NS DS RRSIG NSEC\n" \
    SIGNED("safe", "NSEC")
// clang-format on

static const char *
ask_store(fixture_t *f, const char *name, const char *type, bool dnssec_ok)
{
    static uint8_t out[65535];
    static dns_answer_t answer;
    dns_answer_options_t options = {.udp_size = 4096};
    question_t q = {
        .name = name, .type = type, .udp_size = 4096, .dnssec_ok = dnssec_ok};
    uint8_t packet[1024];
    dns_query_t query;
    dns_source_t source = {0};
    int rcode;
    size_t size = make_query(&q, packet);

    assert_int_equal(
        dns_query_parse(&query, packet, size, DNS_OVER_UDP, &rcode), DNS_OK);
    assert_int_equal(store_lmdb_read_begin(f->reader, &source), DNS_OK);
    assert_int_equal(dns_answer(&query, &source, &options, out, 4096, &answer),
                     DNS_OK);
    store_lmdb_read_end(f->reader);
    return response_text(out, answer.size);
}

static unsigned
count_of(const char *text, const char *part)
{
    unsigned count = 0;

    while ((text = strstr(text, part)) != NULL) {
        text += strlen(part);
        count++;
    }

    return count;
}

static void
assert_proofs(fixture_t *f, const char *name, const char *type,
              const char *const owners[2])
{
    const char *text = ask_store(f, name, type, true);
    unsigned count = 0;

    for (int i = 0; i < 2; i++) {
        char line[128];

        if (owners[i] == NULL) {
            continue;
        }

        snprintf(line, sizeof(line), "\n%s 300 IN NSEC ", owners[i]);
        count++;
        if (count_of(text, line) != 1) {
            fail_msg("%s %s: no%sin\n%s", name, type, line, text);
        }
    }

    assert_int_equal(count_of(text, " IN NSEC "), count);
    assert_int_equal(count_of(text, " IN RRSIG NSEC "), count);
    /* Nothing of it for others. */
    assert_int_equal(count_of(ask_store(f, name, type, false), " IN NSEC "), 0);
}

static void
rfc4035_3_1_3_nsec_proves_what_is_not_there(void **state)
{
    static const struct {
        const char *name;
        const char *type;
        const char *owners[2];
    } cases[] = {
        /* 3.1.3.1: no such type. */
        {"a.example.test.", "MX", {"a.example.test.", NULL}},
        {"b.example.test.", "A", {"a.example.test.", NULL}},
        /* 3.1.3.2: no such name, and no wildcard. */
        {"bb.example.test.", "A", {"c.b.example.test.", "example.test."}},
        {"x.c.b.example.test.", "A", {"c.b.example.test.", NULL}},
        {"zz.example.test.", "A", {"*.w.example.test.", "example.test."}},
        {"sb.example.test.", "A", {"safe.example.test.", "example.test."}},
        /* 3.1.3.3: the wildcard answers. */
        {"x.w.example.test.", "A", {"*.w.example.test.", NULL}},
        /* 3.1.3.4: the wildcard has no such type. */
        {"x.w.example.test.", "MX", {"*.w.example.test.", NULL}},
        /* 3.1.4: a delegation without DS; glue has no NSEC. */
        {"x.cut.example.test.", "A", {"cut.example.test.", NULL}},
        {"cut.example.test.", "DS", {"cut.example.test.", NULL}},
        {"ca.example.test.", "A", {"c.b.example.test.", "example.test."}},
        {"cuu.example.test.", "A", {"cut.example.test.", "example.test."}},
    };
    fixture_t *f = *state;

    assert_int_equal(load(f, "example.test.", NSEC_ZONE), DNS_OK);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_proofs(f, cases[i].name, cases[i].type, cases[i].owners);
    }
}

static void
rfc4035_3_1_1_signatures_stand_beside_their_sets(void **state)
{
    fixture_t *f = *state;

    assert_int_equal(load(f, "example.test.", NSEC_ZONE), DNS_OK);
    assert_string_equal(
        ask_store(f, "a.example.test.", "A", true),
        "NOERROR aa\nanswer\n"
        "a.example.test. 300 IN A 192.0.2.1\n"
        "a.example.test. 300 IN RRSIG A 13 2 300 20370101000000 "
        "20260101000000 1 example.test. YQ==\n");
    assert_string_equal(ask_store(f, "a.example.test.", "A", false),
                        "NOERROR aa\nanswer\n"
                        "a.example.test. 300 IN A 192.0.2.1\n");
}

static void
rfc4035_3_1_4_a_signed_delegation_comes_with_ds(void **state)
{
    fixture_t *f = *state;

    assert_int_equal(load(f, "example.test.", NSEC_ZONE), DNS_OK);

    const char *text = ask_store(f, "x.safe.example.test.", "A", true);

    assert_int_equal(count_of(text, " IN DS 1 13 2 "), 1);
    assert_int_equal(count_of(text, " IN RRSIG DS "), 1);
    assert_int_equal(count_of(text, " IN NSEC "), 0);
    assert_int_equal(
        count_of(ask_store(f, "x.safe.example.test.", "A", false), " DS "), 0);
}

/* The proof belongs to the authority section, the glue behind it. */
static void
a_wildcard_cname_to_a_delegation_is_proved_before_the_glue(void **state)
{
    fixture_t *f = *state;

    assert_int_equal(load(f, "example.test.",
                          NSEC_ZONE "*.al CNAME x.cut\n*.al NSEC c.b CNAME\n"),
                     DNS_OK);

    const char *text = ask_store(f, "q.al.example.test.", "A", true);
    const char *proof = strstr(text, "\n*.al.example.test. 300 IN NSEC");
    const char *glue = strstr(text, "additional\nns.cut.example.test.");

    assert_memory_equal(text, "NOERROR aa\nanswer\n", 18);
    assert_non_null(proof);
    assert_non_null(glue);
    assert_true(proof < glue);
}

/* The hashes of RFC 5155 appendix A: salt aabbccdd, 12 iterations. */
static void
rfc5155_appendix_b_1_name_error(void **state)
{
    static const char zone[] =
        "$TTL 3600\n"
        "@ SOA ns1 bugs.x.w 1 3600 300 3600000 3600\n@ NS ns1\n"
        "@ NSEC3PARAM 1 0 12 aabbccdd\n"
        "a NS ns1.a\nns1.a A 192.0.2.5\n*.w MX 1 ai\nx.w MX 1 xx\n"
        "x.y.w MX 1 xx\nns1 A 192.0.2.1\nai A 192.0.2.9\n"
        "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 1 12 aabbccdd "
        "2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS SOA NSEC3PARAM RRSIG\n"
        "b4um86eghhds6nea196smvmlo4ors995 NSEC3 1 1 12 aabbccdd "
        "gjeqe526plbf1g8mklp59enfd789njgi MX RRSIG\n"
        "35mthgpgcu1qg68fab165klnsnk3dpvl NSEC3 1 1 12 aabbccdd "
        "b4um86eghhds6nea196smvmlo4ors995 NS DS RRSIG\n"
        "zzz A 192.0.2.7\n";
    fixture_t *f = *state;

    assert_int_equal(load(f, "example.", zone), DNS_OK);

    const char *text = ask_store(f, "a.c.x.w.example.", "A", true);

    assert_memory_equal(text, "NXDOMAIN aa\n", 12);
    assert_int_equal(count_of(text, " IN NSEC3 "), 3);
    assert_non_null(
        strstr(text, "\n0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. "));
    assert_non_null(
        strstr(text, "\nb4um86eghhds6nea196smvmlo4ors995.example. "));
    assert_non_null(
        strstr(text, "\n35mthgpgcu1qg68fab165klnsnk3dpvl.example. "));
}

/* An owner of NSEC3 is in no chain: it is as if it did not exist. */
static void
rfc5155_7_2_8_owners_of_nsec3_do_not_exist(void **state)
{
    static const char zone[] =
        "$TTL 3600\n@ SOA ns h 1 3600 300 3600000 3600\n@ NS ns\n"
        "@ NSEC3PARAM 1 0 12 aabbccdd\n"
        "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 0 12 aabbccdd "
        "t644ebqk9bibcna874givr6joj62mlhv NS SOA\n"
        "t644ebqk9bibcna874givr6joj62mlhv NSEC3 1 0 12 aabbccdd "
        "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A\n"
        "t644ebqk9bibcna874givr6joj62mlhv A 192.0.2.1\n"
        "00000000000000000000000000000000 A 192.0.2.1\n";
    static const char hidden[] = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.";
    static const char below[] = "x.0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.";
    static const char shown[] = "t644ebqk9bibcna874givr6joj62mlhv.example.";
    static const char plain[] = "00000000000000000000000000000000.example.";
    fixture_t *f = *state;

    assert_int_equal(load(f, "example.", zone), DNS_OK);
    assert_memory_equal(ask_store(f, hidden, "A", true), "NXDOMAIN", 8);
    assert_memory_equal(ask_store(f, hidden, "NSEC3", true), "NXDOMAIN", 8);
    assert_memory_equal(ask_store(f, below, "A", false), "NXDOMAIN", 8);
    assert_true(count_of(ask_store(f, hidden, "A", true), " IN NSEC3 ") > 0);
    assert_memory_equal(ask_store(f, shown, "A", true), "NOERROR", 7);
    assert_memory_equal(ask_store(f, plain, "A", true), "NOERROR", 7);
}

/* Each wildcard of a chain is proved by its own zone. */
static void
wildcards_on_the_way_to_another_zone_are_proved(void **state)
{
    fixture_t *f = *state;

    assert_int_equal(load(f, "example.test.",
                          NSEC_ZONE
                          "*.al CNAME x.w.other.test.\n*.al NSEC c.b CNAME\n"),
                     DNS_OK);
    assert_int_equal(load(f, "other.test.",
                          APEX "@ NSEC *.w SOA NSEC\n*.w A 192.0.2.9\n"
                               "*.w NSEC @ A NSEC\n"),
                     DNS_OK);

    const char *text = ask_store(f, "q.al.example.test.", "A", true);

    assert_int_equal(count_of(text, "\n*.al.example.test. 300 IN NSEC"), 1);
    assert_int_equal(count_of(text, "\n*.w.other.test. 300 IN NSEC"), 1);
    text = ask_store(f, "q.al.example.test.", "A", false);
    assert_int_equal(count_of(text, " NSEC "), 0);
}

/* The table of NSEC3 owners follows edits and the end of a zone. */
static void
nsec3_owners_follow_edits(void **state)
{
    static const char owner[] = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.";
    static const char zone[] =
        "$TTL 300\n@ SOA ns h 1 3600 600 86400 60\n@ NS ns\n"
        "@ NSEC3PARAM 1 0 12 aabbccdd\n";
    fixture_t *f = *state;
    store_edit_t *edit = NULL;

    assert_int_equal(load(f, "example.", zone), DNS_OK);
    assert_int_equal(count_of(ask_store(f, "x.example.", "A", true), "NSEC3"),
                     0);
    assert_int_equal(
        add(f, "example.",
            "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom 5 NSEC3 1 0 12 aabbccdd "
            "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom SOA\n"),
        DNS_OK);
    assert_int_equal(count_of(ask_store(f, "x.example.", "A", true), "NSEC3"),
                     1);
    assert_int_equal(store_edit_new(name_of("example."), &edit), DNS_OK);
    assert_int_equal(
        store_edit_remove(edit, name_of(owner), DNS_TYPE_NSEC3, NULL, 0),
        DNS_OK);
    assert_int_equal(store_lmdb_commit(f->store, edit, f->error), DNS_OK);
    store_edit_free(edit);
    assert_int_equal(count_of(ask_store(f, "x.example.", "A", true), "NSEC3"),
                     0);
}

#define TEST_STORE(name)                                                       \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

/* RFC 4034 section 3: not one TTL for all signatures of a name. */
static void
signatures_have_the_ttl_of_the_set_that_they_cover(void **state)
{
    static const char zone[] = APEX
        "a 60 A 192.0.2.1\n"
        "a 7200 TXT x\n"
        "a 60 RRSIG A 13 2 60 20370101000000 20260101000000 1 @ YQ==\n"
        "a 7200 RRSIG TXT 13 2 7200 20370101000000 20260101000000 1 @ YQ==\n"
        "a 300 RRSIG MX 13 2 300 20370101000000 20260101000000 1 @ YQ==\n";
    fixture_t *f = *state;

    assert_int_equal(load(f, "example.test.", zone), DNS_OK);

    for (int dnssec_ok = 0; dnssec_ok < 2; dnssec_ok++) {
        const char *text = ask_store(f, "a.example.test.", "RRSIG", dnssec_ok);

        assert_non_null(strstr(text, "a.example.test. 60 IN RRSIG A "));
        assert_non_null(strstr(text, "a.example.test. 7200 IN RRSIG TXT "));
        assert_int_equal(count_of(text, " IN RRSIG MX "), 1);
        assert_int_equal(count_of(text, " RRSIG "), 3);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_STORE(rfc4035_3_1_3_nsec_proves_what_is_not_there),
        TEST_STORE(rfc4035_3_1_1_signatures_stand_beside_their_sets),
        TEST_STORE(rfc4035_3_1_4_a_signed_delegation_comes_with_ds),
        TEST_STORE(a_wildcard_cname_to_a_delegation_is_proved_before_the_glue),
        TEST_STORE(rfc5155_appendix_b_1_name_error),
        TEST_STORE(rfc5155_7_2_8_owners_of_nsec3_do_not_exist),
        TEST_STORE(wildcards_on_the_way_to_another_zone_are_proved),
        TEST_STORE(nsec3_owners_follow_edits),
        TEST_STORE(signatures_have_the_ttl_of_the_set_that_they_cover),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
