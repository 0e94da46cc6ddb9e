#include "dns/edns.h"
#include "engine_fixture.h"

#define Z "example.test."

static const dns_answer_options_t plain = {.udp_size = 1232};

/* The OPT of a response, which stands last; NULL: it has none. */
static const uint8_t *
find_opt(const uint8_t *wire, size_t size, dns_message_record_t *opt)
{
    dns_message_t m;

    assert_int_equal(dns_message_open(&m, wire, size), DNS_OK);

    while (dns_message_next(&m, opt) == DNS_OK) {
        if (opt->section == DNS_ADDITIONAL && opt->type == DNS_TYPE_OPT) {
            return wire + opt->rdata_at;
        }
    }

    return NULL;
}

static void
load_many(memory_t *m, unsigned count)
{
    char *text = malloc(64u * count + sizeof(APEX) + 256);

    strcpy(text, APEX "many MX 1 h\nh A 192.0.2.1\n");

    for (unsigned i = 0; i < count; i++) {
        sprintf(text + strlen(text), "big A 10.0.%u.%u\n", i >> 8, i & 255);
    }

    memory_load(m, Z, text);
    free(text);
}

static void
rfc2181_9_a_set_that_does_not_fit_is_left_out_whole(void **state)
{
    load_many(*state, 200);
    assert_string_equal(ask(*state, "big.example.test.", "A"),
                        "NOERROR aa tc\n");

    const char *whole = ask_tcp(*state, "big.example.test.", "A");

    assert_memory_equal(whole, "NOERROR aa\nanswer\n", 18);
    assert_non_null(strstr(whole, " 10.0.0.199\n"));
}

static void
rfc6891_7_opt_stays_in_a_truncated_answer(void **state)
{
    static uint8_t out[65535];
    static dns_answer_t answer;
    dns_message_record_t opt;
    question_t q = {.name = "big.example.test.",
                    .type = "A",
                    .udp_size = 512,
                    .dnssec_ok = true};

    load_many(*state, 200);
    assert_int_equal(answer_wire(*state, &q, &plain, out, &answer), DNS_OK);
    assert_true(answer.is_truncated);
    assert_int_equal(answer.ttl, 0);
    assert_non_null(find_opt(out, answer.size, &opt));
    assert_int_equal(opt.class_, 1232);
    assert_int_equal(opt.ttl, 0x8000); /* DO, RFC 3225 section 3 */
}

static void
rfc6891_6_1_1_no_opt_without_one_in_the_query(void **state)
{
    static uint8_t out[65535];
    static dns_answer_t answer;
    dns_message_record_t opt;
    question_t q = {.name = "h.example.test.", .type = "A"};

    load_many(*state, 1);
    assert_int_equal(answer_wire(*state, &q, &plain, out, &answer), DNS_OK);
    assert_null(find_opt(out, answer.size, &opt));
}

static void
rfc5001_2_nsid_is_told_when_it_is_asked_for(void **state)
{
    static const uint8_t asks[] = {0, DNS_OPTION_NSID, 0, 0};
    static uint8_t out[65535];
    static dns_answer_t answer;
    dns_answer_options_t options = {
        .udp_size = 1232, .nsid = (const uint8_t *) "here", .nsid_size = 4};
    dns_message_record_t opt;
    dns_option_t nsid = {0};
    question_t q = {.name = "h.example.test.", .type = "A", .udp_size = 1232};

    load_many(*state, 1);
    assert_int_equal(answer_wire(*state, &q, &options, out, &answer), DNS_OK);
    assert_non_null(find_opt(out, answer.size, &opt));
    assert_int_equal(opt.rdata_size, 0);

    q.options = asks;
    q.options_size = sizeof(asks);
    assert_int_equal(answer_wire(*state, &q, &options, out, &answer), DNS_OK);

    const uint8_t *data = find_opt(out, answer.size, &opt);

    assert_true(dns_option_find(data, opt.rdata_size, DNS_OPTION_NSID, &nsid));
    assert_int_equal(nsid.size, 4);
    assert_memory_equal(nsid.data, "here", 4);
}

static void
the_servers_own_options_go_into_the_opt(void **state)
{
    static const uint8_t cookie[] = {0, DNS_OPTION_COOKIE, 0, 2, 'h', 'i'};
    static uint8_t out[65535];
    static dns_answer_t answer;
    dns_answer_options_t options = {.udp_size = 1232,
                                    .edns_options = cookie,
                                    .edns_options_size = sizeof(cookie)};
    dns_message_record_t opt;
    question_t q = {.name = "h.example.test.", .type = "A", .udp_size = 1232};

    load_many(*state, 1);
    assert_int_equal(answer_wire(*state, &q, &options, out, &answer), DNS_OK);

    const uint8_t *data = find_opt(out, answer.size, &opt);

    assert_int_equal(opt.rdata_size, sizeof(cookie));
    assert_memory_equal(data, cookie, sizeof(cookie));
}

static void
rfc9471_3_1_glue_that_does_not_fit_truncates(void **state)
{
    char text[4096] = APEX;

    for (int i = 0; i < 13; i++) {
        char line[128];

        snprintf(line, sizeof(line),
                 "sub NS a%d-long-name.sub\na%d-long-name.sub AAAA "
                 "2001:db8::%d\n",
                 i, i, i + 1);
        strcat(text, line);
    }

    memory_load(*state, Z, text);

    const char *answer = ask(*state, "x.sub.example.test.", "A");

    assert_memory_equal(answer, "NOERROR tc\nauthority\n", 21);
    assert_null(strstr(ask_tcp(*state, "x.sub.example.test.", "A"), " tc"));
}

static void
rfc9471_3_2_sibling_glue_may_be_missing(void **state)
{
    char text[4096] = APEX "sib NS ns.outside.\n";

    for (int i = 0; i < 13; i++) {
        char line[128];

        snprintf(line, sizeof(line),
                 "sub NS a%d-long-name.sib\na%d-long-name.sib AAAA "
                 "2001:db8::%d\n",
                 i, i, i + 1);
        strcat(text, line);
    }

    memory_load(*state, Z, text);

    const char *answer = ask(*state, "x.sub.example.test.", "A");

    assert_memory_equal(answer, "NOERROR\nauthority\n", 18);
}

static void
addresses_of_hosts_that_do_not_fit_do_not_truncate(void **state)
{
    char text[8192] = APEX "x MX 1 h\n";

    for (int i = 0; i < 40; i++) {
        char line[64];

        snprintf(line, sizeof(line), "h A 10.0.0.%d\n", i);
        strcat(text, line);
    }

    memory_load(*state, Z, text);
    assert_string_equal(ask(*state, "x.example.test.", "MX"),
                        "NOERROR aa\nanswer\n"
                        "x.example.test. 300 IN MX 1 h.example.test.\n");
}

static const char *
ask_chaos(memory_t *m, const char *name, const dns_answer_options_t *options)
{
    static uint8_t out[65535];
    static dns_answer_t answer;
    question_t q = {.name = name, .type = "TXT", .class_ = "CH"};

    assert_int_equal(answer_wire(m, &q, options, out, &answer), DNS_OK);
    return response_text(out, answer.size);
}

static void
rfc4892_class_ch_tells_what_the_operator_lets_it(void **state)
{
    dns_answer_options_t options = {
        .udp_size = 1232, .version = "Resolua", .hostname = "here"};

    assert_string_equal(ask_chaos(*state, "VERSION.bind.", &options),
                        "NOERROR aa\nanswer\n"
                        "VERSION.bind. 0 CH TXT \"Resolua\"\n");
    assert_string_equal(ask_chaos(*state, "id.server.", &options),
                        "NOERROR aa\nanswer\nid.server. 0 CH TXT \"here\"\n");
    assert_string_equal(ask_chaos(*state, "x.bind.", &options), "REFUSED\n");
    assert_string_equal(ask_chaos(*state, "version.bind.", &plain),
                        "REFUSED\n");
}

static void
other_classes_are_refused(void **state)
{
    static uint8_t out[65535];
    static dns_answer_t answer;
    question_t q = {.name = Z, .type = "SOA", .class_ = "HS"};

    load_many(*state, 1);
    assert_int_equal(answer_wire(*state, &q, &plain, out, &answer), DNS_OK);
    assert_string_equal(response_text(out, answer.size), "REFUSED\n");
}

static void
every_limit_gives_a_whole_message(void **state)
{
    static uint8_t out[65535];
    static dns_answer_t answer;
    dns_source_t source = {&memory_ops, *state};
    uint8_t packet[1024];
    dns_query_t query;
    int rcode;
    question_t q = {.name = "big.example.test.", .type = "A", .udp_size = 4096};
    size_t size = make_query(&q, packet);

    load_many(*state, 60);
    assert_int_equal(
        dns_query_parse(&query, packet, size, DNS_OVER_UDP, &rcode), DNS_OK);

    for (size_t limit = 64; limit < 1300; limit++) {
        assert_int_equal(
            dns_answer(&query, &source, &plain, out, limit, &answer), DNS_OK);
        assert_true(answer.size <= limit);
        response_text(out, answer.size);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rfc2181_9_a_set_that_does_not_fit_is_left_out_whole),
        TEST(rfc6891_7_opt_stays_in_a_truncated_answer),
        TEST(rfc6891_6_1_1_no_opt_without_one_in_the_query),
        TEST(rfc5001_2_nsid_is_told_when_it_is_asked_for),
        TEST(the_servers_own_options_go_into_the_opt),
        TEST(rfc9471_3_1_glue_that_does_not_fit_truncates),
        TEST(rfc9471_3_2_sibling_glue_may_be_missing),
        TEST(addresses_of_hosts_that_do_not_fit_do_not_truncate),
        TEST(rfc4892_class_ch_tells_what_the_operator_lets_it),
        TEST(other_classes_are_refused),
        TEST(every_limit_gives_a_whole_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
