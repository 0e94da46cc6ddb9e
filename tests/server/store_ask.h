#ifndef TESTS_STORE_ASK_H
#define TESTS_STORE_ASK_H

/* One question answered from a networked store, round by round, as text. */

#include "../unit/engine_fixture.h"

#include "dns/fetched.h"

typedef dns_status_t (*list_zones_t)(dns_zone_list_t *zones);
typedef dns_status_t (*fetch_set_t)(dns_fetched_t *set);

static inline dns_status_t
answer_rounds(const dns_query_t *query, dns_fetched_t *set, uint8_t *out,
              dns_answer_t *answer, unsigned *rounds, fetch_set_t fetch_set)
{
    static const dns_answer_options_t engine = {.udp_size = 1232};
    dns_source_t source = dns_fetched_source(set);
    dns_status_t status;

    for (*rounds = 0; (status = dns_answer(query, &source, &engine, out, 65535,
                                           answer)) == DNS_NEEDS;
         ++*rounds) {
        assert_int_equal(
            dns_fetched_want_all(set, answer->needs, answer->need_count),
            DNS_OK);

        if ((status = fetch_set(set)) != DNS_OK) {
            break;
        }
    }

    return status;
}

static inline void
answer_line(const char *name, const char *type, list_zones_t list_zones,
            fetch_set_t fetch_set)
{
    static uint8_t out[65535];
    static dns_answer_t answer;
    static const uint8_t key[DNS_SIPHASH_KEY_SIZE] = "a key for a test";
    uint8_t packet[1024];
    question_t q = {.name = name, .type = type, .transport = DNS_OVER_TCP};
    dns_query_t query;
    dns_zone_list_t *zones;
    dns_fetched_t *set;
    unsigned rounds;
    int rcode;

    assert_int_equal(dns_zone_list_new(&zones, key), DNS_OK);
    assert_int_equal(dns_fetched_new(&set, zones), DNS_OK);
    assert_int_equal(dns_query_parse(&query, packet, make_query(&q, packet),
                                     q.transport, &rcode),
                     DNS_OK);

    dns_status_t status = list_zones(zones);

    if (status == DNS_OK) {
        status = answer_rounds(&query, set, out, &answer, &rounds, fetch_set);
        printf("rounds %u\n", rounds);
    }

    if (status == DNS_OK) {
        fputs(response_text(out, answer.size), stdout);
    } else {
        printf("%s\n", dns_status_text(status));
    }

    dns_fetched_free(set);
    dns_zone_list_free(zones);
}

#endif
