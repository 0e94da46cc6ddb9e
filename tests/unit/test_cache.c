#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/cache.h"
#include "dns/octets.h"
#include "dns/type.h"
#include "dns/writer.h"

enum { BLOCK = 4 << 20, NOW = 1000000, VIEW = 1, TTL = 300 };

static void *block;
static dns_cache_t *cache;
static const dns_cache_rules_t rules = {.now = NOW, .ttl_max = 86400};

static int
make_cache(void **state)
{
    (void) state;
    block = aligned_alloc(64, BLOCK);
    memset(block, 0, BLOCK);
    return dns_cache_init(block, BLOCK, &cache) == DNS_OK ? 0 : -1;
}

static int
drop_cache(void **state)
{
    (void) state;
    free(block);
    return 0;
}

typedef struct {
    uint8_t packet[600];
    dns_query_t query;
} asked_t;

static void
ask(asked_t *a, const char *text, uint16_t type, uint16_t flags,
    const dns_writer_opt_t *opt)
{
    uint8_t name[DNS_NAME_MAX];
    dns_writer_t w;
    int rcode;

    assert_int_equal(dns_name_from_text(name, text, strlen(text), NULL, NULL),
                     DNS_OK);
    dns_writer_init(&w, a->packet, sizeof(a->packet));
    dns_writer_put_header(&w, 77, flags);
    assert_int_equal(dns_writer_put_question(&w, name, type, DNS_CLASS_IN),
                     DNS_OK);

    if (opt != NULL) {
        assert_int_equal(dns_writer_put_opt(&w, opt), DNS_OK);
    }

    assert_int_equal(
        dns_query_parse(&a->query, a->packet, w.used, DNS_OVER_UDP, &rcode),
        DNS_OK);
}

static void
put_record(dns_writer_t *w, dns_section_t section, const uint8_t *owner,
           uint16_t type, uint32_t ttl, const void *rdata, uint16_t size)
{
    const dns_writer_record_t record = {
        .owner = owner,
        .type = type,
        .class_ = DNS_CLASS_IN,
        .ttl = ttl,
        .rdata = rdata,
        .rdata_size = size,
    };

    assert_int_equal(dns_writer_put_record(w, section, &record), DNS_OK);
}

static void
begin_response(dns_writer_t *w, const asked_t *a, uint8_t *wire, int rcode)
{
    dns_writer_init(w, wire, 4096);
    dns_writer_put_header(w, 1,
                          (uint16_t) (DNS_FLAG_QR | DNS_FLAG_RA |
                                      (a->query.flags & DNS_FLAG_RD) | rcode));
    assert_int_equal(dns_writer_put_question(w, a->query.qname.octets,
                                             a->query.qtype, DNS_CLASS_IN),
                     DNS_OK);
}

/* count addresses, the last octet of each from `mark` on, and an OPT. */
static size_t
respond(const asked_t *a, uint8_t *wire, unsigned count, uint8_t mark)
{
    dns_writer_opt_t opt = {.udp_size = 1232};
    dns_writer_t w;

    begin_response(&w, a, wire, 0);

    for (unsigned i = 0; i < count; i++) {
        uint8_t address[4] = {10, (uint8_t) (i >> 8), (uint8_t) i, mark};

        put_record(&w, DNS_ANSWER, a->query.qname.octets, DNS_TYPE_A, TTL,
                   address, sizeof(address));
    }

    assert_int_equal(dns_writer_put_opt(&w, &opt), DNS_OK);
    return w.used;
}

static void
keep(const asked_t *a, const uint8_t *wire, size_t size)
{
    dns_response_t response;
    dns_cache_ticket_t ticket = dns_cache_ticket(cache, &a->query, NULL, 0);

    assert_int_equal(dns_response_scan(&response, &a->query, wire, size),
                     DNS_OK);
    dns_cache_put(cache, &a->query, VIEW, &ticket, &response, wire, &rules);
}

static size_t
get(const asked_t *a, uint32_t now, uint8_t *out)
{
    uint16_t rcode;

    return dns_cache_get(cache, &a->query, VIEW, now, out, &rcode);
}

static uint8_t out[DNS_CACHE_WIRE_MAX + 64];

static void
a_hit_has_the_querys_id_case_and_aged_ttls(void **state)
{
    (void) state;
    asked_t a;
    asked_t b;
    uint8_t wire[4096];

    ask(&a, "www.example.test", DNS_TYPE_A, DNS_FLAG_RD, NULL);
    size_t size = respond(&a, wire, 2, 1);

    keep(&a, wire, size);
    ask(&b, "wWw.EXAMPLE.test", DNS_TYPE_A, DNS_FLAG_RD, NULL);
    put16(b.packet, 4711);
    b.query.id = 4711;

    size_t got = get(&b, NOW + 100, out);

    assert_int_equal(got, size - DNS_OPT_SIZE);
    assert_int_equal(get16(out), 4711);
    assert_memory_equal(out + 12, b.packet + 12, 18);
    assert_int_equal(out[11], 0); /* no OPT */
    assert_int_equal(get32(out + 12 + 22 + 6), TTL - 100);
    assert_int_equal(get(&b, NOW + TTL, out), 0);
}

static void
other_kinds_of_query_are_misses(void **state)
{
    (void) state;
    const dns_writer_opt_t dnssec = {.udp_size = 1232, .dnssec_ok = true};
    const dns_writer_opt_t plain = {.udp_size = 1232};
    asked_t a;
    uint8_t wire[4096];
    uint16_t rcode;

    ask(&a, "kind.test", DNS_TYPE_A, DNS_FLAG_RD, NULL);
    keep(&a, wire, respond(&a, wire, 1, 1));
    assert_true(get(&a, NOW, out) > 0);
    assert_int_equal(dns_cache_get(cache, &a.query, 2, NOW, out, &rcode), 0);

    ask(&a, "kind.test", DNS_TYPE_AAAA, DNS_FLAG_RD, NULL);
    assert_int_equal(get(&a, NOW, out), 0);
    ask(&a, "kind.test", DNS_TYPE_A, 0, NULL);
    assert_int_equal(get(&a, NOW, out), 0);
    ask(&a, "kind.test", DNS_TYPE_A, DNS_FLAG_RD | DNS_FLAG_CD, NULL);
    assert_int_equal(get(&a, NOW, out), 0);
    ask(&a, "kind.test", DNS_TYPE_A, DNS_FLAG_RD, &dnssec);
    assert_int_equal(get(&a, NOW, out), 0);
    ask(&a, "kind.test", DNS_TYPE_A, DNS_FLAG_RD, &plain);
    assert_true(get(&a, NOW, out) > 0);
}

/* RFC 2308 section 5 */
static void
negative_answers_are_kept_by_their_soa(void **state)
{
    (void) state;
    static const char soa[] =
        "\1a\0\1b\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\52";
    static const uint8_t apex[] = "\4test";
    asked_t a;
    uint8_t wire[4096];
    dns_writer_t w;
    uint16_t rcode;

    ask(&a, "no.test", DNS_TYPE_A, DNS_FLAG_RD, NULL);
    begin_response(&w, &a, wire, DNS_RCODE_NXDOMAIN);
    put_record(&w, DNS_AUTHORITY, apex, DNS_TYPE_SOA, 900, soa,
               sizeof(soa) - 1);
    keep(&a, wire, w.used);
    assert_true(dns_cache_get(cache, &a.query, VIEW, NOW + 41, out, &rcode) >
                0);
    assert_int_equal(rcode, DNS_RCODE_NXDOMAIN);
    assert_int_equal(get(&a, NOW + 42, out), 0);

    ask(&a, "nosoa.test", DNS_TYPE_A, DNS_FLAG_RD, NULL);
    begin_response(&w, &a, wire, DNS_RCODE_NXDOMAIN);
    keep(&a, wire, w.used);
    assert_int_equal(get(&a, NOW, out), 0);
}

static void
failures_and_cut_answers_are_not_kept(void **state)
{
    (void) state;
    asked_t a;
    uint8_t wire[4096];

    ask(&a, "fail.test", DNS_TYPE_A, DNS_FLAG_RD, NULL);
    size_t size = respond(&a, wire, 1, 1);

    wire[3] |= DNS_RCODE_SERVFAIL;
    keep(&a, wire, size);
    assert_int_equal(get(&a, NOW, out), 0);
    wire[3] &= 0xf0;
    wire[2] |= DNS_FLAG_TC >> 8;
    keep(&a, wire, size);
    assert_int_equal(get(&a, NOW, out), 0);
}

static void
large_answers_have_a_table_of_their_own(void **state)
{
    (void) state;
    asked_t a;
    uint8_t wire[4096];

    ask(&a, "large.test", DNS_TYPE_A, DNS_FLAG_RD, NULL);
    size_t size = respond(&a, wire, 200, 7);

    keep(&a, wire, size);
    assert_int_equal(get(&a, NOW + 1, out), size - DNS_OPT_SIZE);
    assert_int_equal(get32(out + size - DNS_OPT_SIZE - 10), TTL - 1);
}

static void
purges(void **state)
{
    (void) state;
    static const uint8_t tag[] = "group";
    asked_t a;
    asked_t b;
    uint8_t wire[4096];
    dns_response_t response;

    ask(&a, "one.purge.test", DNS_TYPE_A, DNS_FLAG_RD, NULL);
    ask(&b, "two.purge.test", DNS_TYPE_A, DNS_FLAG_RD, NULL);
    keep(&a, wire, respond(&a, wire, 1, 1));
    keep(&b, wire, respond(&b, wire, 1, 1));
    dns_cache_purge_name(cache, a.query.qname.octets, a.query.qname.size);
    assert_int_equal(get(&a, NOW, out), 0);
    assert_true(get(&b, NOW, out) > 0);

    dns_cache_ticket_t ticket =
        dns_cache_ticket(cache, &a.query, tag, sizeof(tag));
    size_t size = respond(&a, wire, 1, 1);

    assert_int_equal(dns_response_scan(&response, &a.query, wire, size),
                     DNS_OK);
    dns_cache_put(cache, &a.query, VIEW, &ticket, &response, wire, &rules);
    assert_true(get(&a, NOW, out) > 0);
    dns_cache_purge_group(cache, tag, sizeof(tag));
    assert_int_equal(get(&a, NOW, out), 0);
    /* What was made before the purge must not come in after it. */
    dns_cache_put(cache, &a.query, VIEW, &ticket, &response, wire, &rules);
    assert_int_equal(get(&a, NOW, out), 0);

    assert_true(get(&b, NOW, out) > 0);
    dns_cache_purge_all(cache);
    assert_int_equal(get(&b, NOW, out), 0);
}

static void
ttl_rules(void **state)
{
    (void) state;
    const dns_cache_rules_t capped = {.now = NOW, .ttl_max = 10};
    const dns_cache_rules_t raised = {
        .now = NOW, .ttl_min = 1000, .ttl_max = 86400};
    asked_t a;
    uint8_t wire[4096];
    dns_response_t response;
    dns_cache_ticket_t ticket;

    ask(&a, "rules.test", DNS_TYPE_A, DNS_FLAG_RD, NULL);
    size_t size = respond(&a, wire, 1, 1);

    ticket = dns_cache_ticket(cache, &a.query, NULL, 0);
    assert_int_equal(dns_response_scan(&response, &a.query, wire, size),
                     DNS_OK);
    dns_cache_put(cache, &a.query, VIEW, &ticket, &response, wire, &capped);
    assert_true(get(&a, NOW + 9, out) > 0);
    assert_int_equal(get(&a, NOW + 10, out), 0);
    dns_cache_put(cache, &a.query, VIEW, &ticket, &response, wire, &raised);
    size = get(&a, NOW + 999, out);
    assert_true(size > 0);
    assert_int_equal(get32(out + size - 10), 0); /* never below */
}

/* A flood of names pushes out the oldest, and the cache keeps its size. */
static void
gives_way_to_the_newest(void **state)
{
    (void) state;
    asked_t a;
    uint8_t wire[4096];
    char name[64];
    dns_cache_stats_t stats;
    unsigned hits = 0;

    for (unsigned i = 0; i < 20000; i++) {
        snprintf(name, sizeof(name), "n%u.flood.test", i);
        ask(&a, name, DNS_TYPE_A, DNS_FLAG_RD, NULL);
        keep(&a, wire, respond(&a, wire, 1, 1));
        hits += get(&a, NOW, out) > 0;
    }

    assert_int_equal(hits, 20000);
    dns_cache_stats(cache, &stats);
    assert_true(stats.replaced > 1000);
    assert_true(stats.kept >= 20000);
}

/* All octets of an answer are of one writing. */
static int
is_whole(const uint8_t *wire, size_t size, const asked_t *a)
{
    size_t at = 12 + a->query.question_size;
    uint8_t mark = wire[at + 15];

    for (; at + 16 <= size; at += 16) {
        if (wire[at + 15] != mark || get32(wire + at + 6) > TTL) {
            return 0;
        }
    }

    return at == size;
}

enum { NAMES = 4, ROUNDS = 20000 };

static asked_t shared[NAMES];

static void *
write_often(void *argument)
{
    uint8_t wire[4096];
    unsigned seed = (unsigned) (uintptr_t) argument;

    for (unsigned i = 0; i < ROUNDS; i++) {
        const asked_t *a = &shared[rand_r(&seed) % NAMES];
        dns_response_t response;
        size_t size = respond(a, wire, 1 + (unsigned) rand_r(&seed) % 24,
                              (uint8_t) rand_r(&seed));
        dns_cache_ticket_t ticket = dns_cache_ticket(cache, &a->query, NULL, 0);

        if (dns_response_scan(&response, &a->query, wire, size) == DNS_OK) {
            dns_cache_put(cache, &a->query, VIEW, &ticket, &response, wire,
                          &rules);
        }
    }

    return NULL;
}

static void *
read_often(void *argument)
{
    uint8_t wire[DNS_CACHE_WIRE_MAX + 64];
    unsigned seed = (unsigned) (uintptr_t) argument;
    uintptr_t torn = 0;

    for (unsigned i = 0; i < 4 * ROUNDS; i++) {
        const asked_t *a = &shared[rand_r(&seed) % NAMES];
        size_t size = get(a, NOW + 5, wire);

        torn += size > 0 && !is_whole(wire, size, a);
    }

    return (void *) torn;
}

static void
readers_never_see_half_an_answer(void **state)
{
    (void) state;
    pthread_t threads[6];
    char name[32];

    for (unsigned i = 0; i < NAMES; i++) {
        snprintf(name, sizeof(name), "n%u.threads.test", i);
        ask(&shared[i], name, DNS_TYPE_A, DNS_FLAG_RD, NULL);
    }

    for (uintptr_t i = 0; i < 6; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL,
                                        i < 3 ? write_often : read_often,
                                        (void *) (i + 1)),
                         0);
    }

    for (unsigned i = 0; i < 6; i++) {
        void *torn;

        pthread_join(threads[i], &torn);
        assert_null(torn);
    }

    assert_true(get(&shared[0], NOW, out) > 0);
}

static void
adds_the_opt_and_cuts_what_is_too_long(void **state)
{
    (void) state;
    const dns_writer_opt_t plain = {.udp_size = 1232};
    const dns_answer_options_t options = {.udp_size = 1232};
    asked_t a;
    uint8_t wire[4096];

    ask(&a, "opt.test", DNS_TYPE_A, DNS_FLAG_RD, &plain);
    keep(&a, wire, respond(&a, wire, 100, 1));
    size_t size = get(&a, NOW, out);
    size_t with = dns_response_put_opt(&a.query, &options, 0, out, size, 4096);

    assert_int_equal(with, size + DNS_OPT_SIZE);
    assert_int_equal(out[11], 1);

    size = get(&a, NOW, out);
    with = dns_response_put_opt(&a.query, &options, 0, out, size, 512);
    assert_int_equal(with, 12 + a.query.question_size + DNS_OPT_SIZE);
    assert_true((out[2] & (DNS_FLAG_TC >> 8)) != 0);
    assert_int_equal(get16(out + 6), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hit_has_the_querys_id_case_and_aged_ttls),
        cmocka_unit_test(other_kinds_of_query_are_misses),
        cmocka_unit_test(negative_answers_are_kept_by_their_soa),
        cmocka_unit_test(failures_and_cut_answers_are_not_kept),
        cmocka_unit_test(large_answers_have_a_table_of_their_own),
        cmocka_unit_test(purges),
        cmocka_unit_test(ttl_rules),
        cmocka_unit_test(gives_way_to_the_newest),
        cmocka_unit_test(readers_never_see_half_an_answer),
        cmocka_unit_test(adds_the_opt_and_cuts_what_is_too_long),
    };

    return cmocka_run_group_tests(tests, make_cache, drop_cache);
}
