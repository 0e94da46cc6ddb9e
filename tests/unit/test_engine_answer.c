#include "engine_fixture.h"

#define Z   "example.test."
#define SOA SOA_OF(Z)

static void
rfc1034_4_3_2_a_name_outside_all_zones_is_not_ours(void **state)
{
    memory_load(*state, Z, APEX);
    assert_string_equal(ask(*state, "www.other.test.", "A"),
                        dns_status_text(DNS_ENOTFOUND));
    assert_string_equal(ask(*state, "test.", "A"),
                        dns_status_text(DNS_ENOTFOUND));
}

static void
rfc1034_4_3_2_3a_an_existing_name_is_answered(void **state)
{
    memory_load(*state, Z, APEX "www A 192.0.2.1\nwww A 192.0.2.2\n");
    assert_string_equal(ask(*state, "www.example.test.", "A"),
                        "NOERROR aa\nanswer\n"
                        "www.example.test. 300 IN A 192.0.2.1\n"
                        "www.example.test. 300 IN A 192.0.2.2\n");
}

static void
rfc4343_the_question_keeps_its_letters(void **state)
{
    memory_load(*state, Z, APEX "www A 192.0.2.1\n");
    assert_string_equal(ask(*state, "wWw.ExAmple.test.", "A"),
                        "NOERROR aa\nanswer\n"
                        "wWw.ExAmple.test. 300 IN A 192.0.2.1\n");
}

static void
rfc2308_2_1_no_name_gives_nxdomain_with_soa(void **state)
{
    memory_load(*state, Z, APEX);
    assert_string_equal(ask(*state, "nope.example.test.", "A"),
                        "NXDOMAIN aa\n" SOA);
}

static void
rfc2308_2_2_no_type_gives_noerror_with_soa(void **state)
{
    memory_load(*state, Z, APEX "www A 192.0.2.1\n");
    assert_string_equal(ask(*state, "www.example.test.", "MX"),
                        "NOERROR aa\n" SOA);
}

static void
rfc2308_3_the_soa_has_the_smaller_of_ttl_and_minimum(void **state)
{
    memory_load(*state, Z, "@ 30 SOA ns host 1 3600 600 86400 60\n@ NS ns\n");
    assert_string_equal(ask(*state, "nope.example.test.", "A"),
                        "NXDOMAIN aa\nauthority\n"
                        "example.test. 30 IN SOA ns.example.test. "
                        "host.example.test. 1 3600 600 86400 60\n");
}

static void
rfc8020_an_empty_non_terminal_exists(void **state)
{
    memory_load(*state, Z, APEX "a.b.c A 192.0.2.1\n");
    assert_string_equal(ask(*state, "b.c.example.test.", "A"),
                        "NOERROR aa\n" SOA);
    assert_string_equal(ask(*state, "c.example.test.", "A"),
                        "NOERROR aa\n" SOA);
    assert_string_equal(ask(*state, "x.c.example.test.", "A"),
                        "NXDOMAIN aa\n" SOA);
}

static void
rfc1034_3_6_2_cname_is_followed_in_the_zone(void **state)
{
    memory_load(*state, Z, APEX "a CNAME b\nb CNAME c\nc A 192.0.2.1\n");
    assert_string_equal(ask(*state, "a.example.test.", "A"),
                        "NOERROR aa\nanswer\n"
                        "a.example.test. 300 IN CNAME b.example.test.\n"
                        "b.example.test. 300 IN CNAME c.example.test.\n"
                        "c.example.test. 300 IN A 192.0.2.1\n");
    assert_string_equal(ask(*state, "a.example.test.", "CNAME"),
                        "NOERROR aa\nanswer\n"
                        "a.example.test. 300 IN CNAME b.example.test.\n");
}

static void
cname_is_followed_into_other_zones(void **state)
{
    memory_load(*state, Z, APEX "a CNAME www.other.test.\n");
    memory_load(*state, "other.test.", APEX "www A 192.0.2.9\n");
    assert_string_equal(ask(*state, "a.example.test.", "A"),
                        "NOERROR aa\nanswer\n"
                        "a.example.test. 300 IN CNAME www.other.test.\n"
                        "www.other.test. 300 IN A 192.0.2.9\n");
}

static void
cname_that_leaves_the_zones_says_so(void **state)
{
    static const dns_answer_options_t options = {.udp_size = 1232};
    static uint8_t out[65535];
    static dns_answer_t answer;
    question_t q = {.name = "a.example.test.", .type = "A"};

    memory_load(*state, Z, APEX "a CNAME www.other.test.\n");
    assert_int_equal(answer_wire(*state, &q, &options, out, &answer), DNS_OK);
    assert_true(answer.leaves_zones);
    assert_true(answer.in_zone);
    assert_int_equal(answer.ttl, 300);
    assert_string_equal(response_text(out, answer.size),
                        "NOERROR aa\nanswer\n"
                        "a.example.test. 300 IN CNAME www.other.test.\n");
}

static void
rfc6604_the_rcode_is_that_of_the_last_name(void **state)
{
    memory_load(*state, Z, APEX "a CNAME nope\nb CNAME c\nc A 192.0.2.1\n");
    assert_string_equal(
        ask(*state, "a.example.test.", "A"),
        "NXDOMAIN aa\nanswer\n"
        "a.example.test. 300 IN CNAME nope.example.test.\n" SOA);
    assert_string_equal(ask(*state, "b.example.test.", "MX"),
                        "NOERROR aa\nanswer\n"
                        "b.example.test. 300 IN CNAME c.example.test.\n" SOA);
}

static void
rfc1034_3_6_2_cname_loops_end(void **state)
{
    memory_load(*state, Z, APEX "a CNAME b\nb CNAME a\nc CNAME c\n");
    assert_string_equal(ask(*state, "a.example.test.", "A"),
                        "NOERROR aa\nanswer\n"
                        "a.example.test. 300 IN CNAME b.example.test.\n"
                        "b.example.test. 300 IN CNAME a.example.test.\n");
    assert_string_equal(ask(*state, "c.example.test.", "A"),
                        "NOERROR aa\nanswer\n"
                        "c.example.test. 300 IN CNAME c.example.test.\n");
}

static void
a_chain_has_16_steps_at_most(void **state)
{
    char text[4096] = APEX;

    for (int i = 0; i < 30; i++) {
        char line[64];

        snprintf(line, sizeof(line), "n%d CNAME n%d\n", i, i + 1);
        strcat(text, line);
    }

    memory_load(*state, Z, text);

    const char *answer = ask_tcp(*state, "n0.example.test.", "A");

    assert_non_null(strstr(answer, "\nn16.example.test. 300 IN CNAME"));
    assert_null(strstr(answer, "\nn17.example.test. 300 IN CNAME"));
    assert_memory_equal(answer, "NOERROR aa\n", 11);
}

static void
rfc6672_3_1_dname_comes_with_a_cname(void **state)
{
    memory_load(*state, Z,
                APEX "old 99 DNAME new\na.new A 192.0.2.1\n"
                     "old A 192.0.2.2\n");
    assert_string_equal(ask(*state, "a.old.example.test.", "A"),
                        "NOERROR aa\nanswer\n"
                        "old.example.test. 99 IN DNAME new.example.test.\n"
                        "a.old.example.test. 99 IN CNAME a.new.example.test.\n"
                        "a.new.example.test. 300 IN A 192.0.2.1\n");
    /* The owner itself is not redirected: section 2.3. */
    assert_string_equal(ask(*state, "old.example.test.", "A"),
                        "NOERROR aa\nanswer\n"
                        "old.example.test. 300 IN A 192.0.2.2\n");
    assert_string_equal(ask(*state, "a.old.example.test.", "CNAME"),
                        "NOERROR aa\nanswer\n"
                        "old.example.test. 99 IN DNAME new.example.test.\n"
                        "a.old.example.test. 99 IN CNAME "
                        "a.new.example.test.\n");
}

#define LABEL_60 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
rfc6672_2_2_dname_past_255_octets_is_yxdomain(void **state)
{
    memory_load(*state, Z, APEX "d DNAME " LABEL_60 "." LABEL_60 "\n");
    assert_string_equal(ask(*state, LABEL_60 "." LABEL_60 ".d." Z, "A"),
                        "YXDOMAIN aa\nanswer\n"
                        "d.example.test. 300 IN DNAME " LABEL_60 "." LABEL_60
                        "." Z "\n");
}

static void
rfc6672_2_3_dname_at_the_apex_redirects_what_is_below(void **state)
{
    memory_load(*state, Z, APEX "@ DNAME other.test.\n");
    assert_string_equal(ask(*state, "x.example.test.", "A"),
                        "NOERROR aa\nanswer\n"
                        "example.test. 300 IN DNAME other.test.\n"
                        "x.example.test. 300 IN CNAME x.other.test.\n");
    assert_string_equal(ask(*state, "example.test.", "MX"), "NOERROR aa\n" SOA);
}

static void
rfc6672_2_4_names_below_dname_are_occluded(void **state)
{
    memory_load(*state, Z, APEX "d DNAME other.test.\nx.d A 192.0.2.1\n");
    assert_string_equal(ask(*state, "x.d.example.test.", "A"),
                        "NOERROR aa\nanswer\n"
                        "d.example.test. 300 IN DNAME other.test.\n"
                        "x.d.example.test. 300 IN CNAME x.other.test.\n");
}

static void
a_dname_loop_ends(void **state)
{
    memory_load(*state, Z, APEX "d DNAME x.d\n");

    const char *answer = ask_tcp(*state, "a.d.example.test.", "A");

    assert_memory_equal(answer,
                        "NOERROR aa\nanswer\nd.example.test. 300 IN "
                        "DNAME x.d.example.test.\n",
                        60);
    /* The DNAME once, a CNAME for each step. */
    assert_null(strstr(answer + 70, "DNAME"));
}

static void
rfc8482_4_1_any_over_udp_is_one_set(void **state)
{
    memory_load(*state, Z,
                APEX "a A 192.0.2.1\na A 192.0.2.2\na MX 1 a\n"
                     "c CNAME a\n");
    assert_string_equal(ask(*state, "a.example.test.", "ANY"),
                        "NOERROR aa\nanswer\n"
                        "a.example.test. 300 IN A 192.0.2.1\n"
                        "a.example.test. 300 IN A 192.0.2.2\n");
    assert_string_equal(ask_tcp(*state, "a.example.test.", "ANY"),
                        "NOERROR aa\nanswer\n"
                        "a.example.test. 300 IN A 192.0.2.1\n"
                        "a.example.test. 300 IN A 192.0.2.2\n"
                        "a.example.test. 300 IN MX 1 a.example.test.\n");
    assert_string_equal(ask(*state, "c.example.test.", "ANY"),
                        "NOERROR aa\nanswer\n"
                        "c.example.test. 300 IN CNAME a.example.test.\n");
}

static void
the_root_can_be_a_zone(void **state)
{
    memory_load(
        *state, ".",
        "$TTL 300\n@ 3600 SOA ns. host. 1 3600 600 86400 60\n@ 3600 NS ns.\n"
        "www.test A 192.0.2.1\nnet NS ns.net.\nns.net A 192.0.2.2\n");
    assert_string_equal(ask(*state, "www.test.", "A"),
                        "NOERROR aa\nanswer\nwww.test. 300 IN A 192.0.2.1\n");
    assert_string_equal(ask(*state, "nope.", "A"),
                        "NXDOMAIN aa\nauthority\n"
                        ". 60 IN SOA ns. host. 1 3600 600 86400 60\n");
    assert_string_equal(ask(*state, ".", "NS"),
                        "NOERROR aa\nanswer\n. 3600 IN NS ns.\n");
    assert_string_equal(ask(*state, "a.net.", "A"),
                        "NOERROR\nauthority\nnet. 300 IN NS ns.net.\n"
                        "additional\nns.net. 300 IN A 192.0.2.2\n");
    assert_string_equal(ask(*state, ".", "DS"),
                        "NOERROR aa\nauthority\n"
                        ". 60 IN SOA ns. host. 1 3600 600 86400 60\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rfc1034_4_3_2_a_name_outside_all_zones_is_not_ours),
        TEST(rfc1034_4_3_2_3a_an_existing_name_is_answered),
        TEST(rfc4343_the_question_keeps_its_letters),
        TEST(rfc2308_2_1_no_name_gives_nxdomain_with_soa),
        TEST(rfc2308_2_2_no_type_gives_noerror_with_soa),
        TEST(rfc2308_3_the_soa_has_the_smaller_of_ttl_and_minimum),
        TEST(rfc8020_an_empty_non_terminal_exists),
        TEST(rfc1034_3_6_2_cname_is_followed_in_the_zone),
        TEST(cname_is_followed_into_other_zones),
        TEST(cname_that_leaves_the_zones_says_so),
        TEST(rfc6604_the_rcode_is_that_of_the_last_name),
        TEST(rfc1034_3_6_2_cname_loops_end),
        TEST(a_chain_has_16_steps_at_most),
        TEST(rfc6672_3_1_dname_comes_with_a_cname),
        TEST(rfc6672_2_2_dname_past_255_octets_is_yxdomain),
        TEST(rfc6672_2_3_dname_at_the_apex_redirects_what_is_below),
        TEST(rfc6672_2_4_names_below_dname_are_occluded),
        TEST(a_dname_loop_ends),
        TEST(rfc8482_4_1_any_over_udp_is_one_set),
        TEST(the_root_can_be_a_zone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
