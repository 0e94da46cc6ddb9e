#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "dns/name_filter.h"
#include "names.h"

/* The programs run in the kernel, on a pair of datagram sockets that are no UDP
   sockets: packets begin with eight octets in place of a UDP header. */

enum {
    HEADERS = 20,
    PACKET_MAX = 600,
    BITS = 12,
    NEVER = 1 << 30,   /* one in so many passes by chance */
    LABELS_BELOW = 10, /* that a name may have below the suffix, at most */
};

static const dns_label_key_t key = {0x12345678, 0x9e3779b1, 0x85ebca6b};
static struct sock_filter program[DNS_NAME_FILTER_MAX];
static uint32_t bitmap[DNS_NAME_FILTER_WORDS_MAX];
static int sockets[2]; /* the filter is on the second */

typedef struct {
    uint8_t octets[PACKET_MAX];
    size_t size;
} packet_t;

static int
make_sockets(void **state)
{
    (void) state;
    memset(bitmap, 0, sizeof(bitmap));
    return socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets);
}

static int
close_sockets(void **state)
{
    (void) state;
    return close(sockets[0]) | close(sockets[1]);
}

static void
let_pass(const char *name)
{
    dns_name_t n = name_of(name);

    dns_name_filter_let_pass(bitmap, BITS, dns_label_hash(&key, n.octets));
}

static size_t
build(const char *suffix, uint32_t one_in)
{
    dns_name_t name = name_of(suffix);
    dns_name_filter_zone_t zone = {&name, &key, bitmap, BITS};

    return dns_name_filter_build(program, &zone, 1, one_in);
}

static void
attach(size_t count)
{
    struct sock_fprog f = {(unsigned short) count, program};

    assert_int_not_equal(count, 0);
    assert_int_equal(
        setsockopt(sockets[1], SOL_SOCKET, SO_ATTACH_FILTER, &f, sizeof(f)), 0);
}

static bool
passes(const packet_t *p)
{
    uint8_t received[PACKET_MAX + 1];

    assert_int_equal(send(sockets[0], p->octets, p->size, 0), p->size);
    ssize_t size = recv(sockets[1], received, sizeof(received), MSG_DONTWAIT);

    if (size >= 0) { /* as a whole */
        assert_int_equal(size, p->size);
        assert_memory_equal(received, p->octets, p->size);
    }

    return size >= 0;
}

/* A question for a name in wire form, class IN, with an OPT record or not. */
static packet_t
question(const uint8_t *name, size_t name_size, bool has_opt)
{
    static const uint8_t opt[] = {0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0};
    packet_t p = {.octets = {0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 1, 0, 0, 1}};

    memcpy(p.octets + HEADERS, name, name_size);
    memcpy(p.octets + HEADERS + name_size, "\0\1\0\1", 4);
    p.size = HEADERS + name_size + 4;

    if (has_opt) {
        p.octets[19] = 1;
        memcpy(p.octets + p.size, opt, sizeof(opt));
        p.size += sizeof(opt);
    }

    return p;
}

static packet_t
question_for(const char *text)
{
    uint8_t wire[DNS_NAME_MAX];

    assert_int_equal(dns_name_from_text(wire, text, strlen(text), NULL, NULL),
                     DNS_OK);
    return question(wire, dns_name_size(wire), false);
}

static bool
name_passes(const char *text)
{
    packet_t p = question_for(text);

    return passes(&p);
}

static void
names_below_the_suffix_are_dropped(void **state)
{
    (void) state;
    attach(build("flood.test.", NEVER));
    assert_false(name_passes("a.flood.test."));
    assert_false(name_passes("A.FLOOD.Test."));
    assert_false(name_passes("b.a.flood.test."));
    assert_false(name_passes("1.2.3.4.5.6.7.8.9.flood.test."));
    assert_false(name_passes("\\000.flood.test."));
    assert_false(name_passes("\\255\\128\\.x.flood.test."));
}

static void
other_names_pass(void **state)
{
    (void) state;
    attach(build("flood.test.", NEVER));
    assert_true(name_passes("."));
    assert_true(name_passes("test."));
    assert_true(name_passes("flood.test."));
    assert_true(name_passes("a.test."));
    assert_true(name_passes("a.flood.tesu."));
    assert_true(name_passes("a.xflood.test."));
    assert_true(name_passes("flood.test.a."));
    assert_true(name_passes("a.flood.test.a."));
    assert_true(name_passes("a\\005flood\\004test."));
    assert_true(name_passes("a\\005flood.test."));
}

/* Hyphens and digits of a suffix have no case. */
static void
a_suffix_is_compared_octet_for_octet(void **state)
{
    (void) state;
    attach(build("a-1@[.x.", NEVER));
    assert_false(name_passes("y.a-1@[.x."));
    assert_false(name_passes("y.A-1@[.X."));
    assert_true(name_passes("y.a\\0131@[.x."));
    assert_true(name_passes("y.a-\\017@[.x."));
    assert_true(name_passes("y.a-1`[.x."));
    assert_true(name_passes("y.a-1@{.x."));
}

/* Of each length of a label, in any case. */
static void
labels_that_are_there_pass(void **state)
{
    (void) state;
    for (unsigned size = 1; size <= DNS_LABEL_MAX; size++) {
        char text[100];

        for (unsigned i = 0; i < size; i++) {
            text[i] = (char) ('a' + (size + i) % 26);
        }

        strcpy(text + size, ".flood.test.");
        let_pass(text);
    }

    attach(build("flood.test.", NEVER));

    for (unsigned size = 1; size <= DNS_LABEL_MAX; size++) {
        char text[100] = "under.";

        for (unsigned i = 0; i < size; i++) {
            text[6 + i] = (char) ((i & 1 ? 'A' : 'a') + (size + i) % 26);
        }

        strcpy(text + 6 + size, ".Flood.TEST.");
        assert_true(name_passes(text + 6));
        assert_true(name_passes(text));
    }
}

/* Only those that collide with one of the set pass: few. */
static void
random_labels_are_dropped(void **state)
{
    unsigned passed = 0;

    (void) state;
    srandom(7);

    for (unsigned i = 0; i < 200; i++) {
        char text[64];

        snprintf(text, sizeof(text), "h%u.flood.test.", i);
        let_pass(text);
    }

    attach(build("flood.test.", NEVER));

    for (unsigned i = 0; i < 3000; i++) {
        char text[64];

        snprintf(text, sizeof(text), "%lx.flood.test.",
                 (unsigned long) random() << 20 ^ (unsigned long) random());
        dns_name_t name = name_of(text);
        uint32_t bit = dns_label_hash(&key, name.octets) >> (32 - BITS);
        bool may_pass = bitmap[bit / 32] >> bit % 32 & 1;

        assert_int_equal(name_passes(text), may_pass);
        passed += may_pass;
    }

    assert_in_range(passed, 50, 300); /* 200 of 4096 bits */

    for (unsigned i = 0; i < 200; i++) {
        char text[64];

        snprintf(text, sizeof(text), "H%u.flood.test.", i);
        assert_true(name_passes(text));
    }
}

static void
one_in_so_many_passes(void **state)
{
    unsigned passed = 0;

    (void) state;
    attach(build("flood.test.", 4));

    for (unsigned i = 0; i < 2000; i++) {
        passed += name_passes("a.flood.test.");
    }

    assert_in_range(passed, 350, 650);
}

static void
every_cut_packet_passes(void **state)
{
    packet_t whole = question_for("some.name.flood.test.");

    (void) state;
    attach(build("flood.test.", NEVER));
    assert_false(passes(&whole));

    for (size_t size = 0; size < whole.size; size++) {
        packet_t cut = whole;

        cut.size = size;
        assert_true(passes(&cut));
    }
}

static void
what_is_no_plain_question_passes(void **state)
{
    static const struct {
        unsigned at;
        uint8_t value;
    } odd[] = {
        {10, 0x81},                      /* a response */
        {10, 0x29},                      /* UPDATE */
        {12, 1},                         /* 257 questions */
        {13, 0},    {13, 2}, {20, 0xc0}, /* a pointer */
        {20, 64},
    };

    (void) state;
    attach(build("flood.test.", NEVER));

    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        packet_t p = question_for("a.flood.test.");

        assert_false(passes(&p));
        p.octets[odd[i].at] = odd[i].value;
        assert_true(passes(&p));
    }

    packet_t chaos = question_for("a.flood.test.");

    chaos.octets[chaos.size - 1] = 3;
    assert_true(passes(&chaos));
}

static void
edns_makes_no_difference(void **state)
{
    dns_name_t name = name_of("a.flood.test.");
    packet_t p = question(name.octets, name.size, true);

    (void) state;
    attach(build("flood.test.", NEVER));
    assert_false(passes(&p));
    let_pass("a.flood.test.");
    attach(build("flood.test.", NEVER));
    assert_true(passes(&p));
}

/* Names with more labels than the program walks over are for the server. */
static void
names_with_many_labels_pass(void **state)
{
    (void) state;
    attach(build("flood.test.", NEVER));

    for (unsigned count = 1; count <= DNS_NAME_LABELS_MAX - 6; count++) {
        uint8_t wire[DNS_NAME_MAX];

        for (unsigned i = 0; i < count; i++) {
            memcpy(wire + 2 * (size_t) i, "\1x", 2);
        }

        memcpy(wire + 2 * (size_t) count, "\5flood\4test", 12);
        packet_t p = question(wire, 2 * (size_t) count + 12, false);

        assert_int_equal(passes(&p), count > LABELS_BELOW);
    }
}

static void
each_length_of_a_suffix_is_found(void **state)
{
    char suffix[300] = "";

    (void) state;

    for (unsigned labels = 1; labels <= DNS_NAME_FILTER_LABELS_MAX; labels++) {
        char text[400];

        for (unsigned i = 0; i < labels; i++) {
            memmove(suffix + 2 + i % 3, suffix, strlen(suffix) + 1);
            memset(suffix, 'a' + (int) i, 1 + i % 3);
            suffix[1 + i % 3] = '.';
        }

        attach(build(suffix, NEVER));
        snprintf(text, sizeof(text), "other.%s", suffix);
        assert_false(name_passes(text));
        assert_true(name_passes(suffix));
        strcat(text, "zz.");
        assert_true(name_passes(text));
        suffix[0] = '\0';
    }

    assert_int_equal(build("a.b.c.d.e.f.g.h.i.j.k.l.m.n.", NEVER), 0);
}

static void
several_suffixes_are_found(void **state)
{
    static const dns_label_key_t other_key = {1, 0x27d4eb2f, 0xc2b2ae35};
    dns_name_t names[] = {name_of("flood.test."), name_of("b.flood2.test.")};
    uint32_t none[1 << (BITS - 5)] = {0};
    dns_name_filter_zone_t zones[] = {{&names[0], &key, bitmap, BITS},
                                      {&names[1], &other_key, none, 10}};

    (void) state;
    let_pass("www.flood.test.");
    attach(dns_name_filter_build(program, zones, 2, NEVER));
    assert_false(name_passes("a.flood.test."));
    assert_true(name_passes("www.flood.test."));
    assert_false(name_passes("www.b.flood2.test."));
    assert_false(name_passes("a.www.b.flood2.test."));
    assert_true(name_passes("b.flood2.test."));
    assert_true(name_passes("www.flood2.test."));
    assert_true(name_passes("www.example.test."));
}

/* A whole bitmap of the largest size fits beside a suffix of usual length, and
   leads each bit to its place. */
static void
the_largest_bitmap_fits(void **state)
{
    dns_name_t name = name_of("a-rather-long-name-of-a-zone.example.test.");
    dns_name_filter_zone_t zones[2] = {
        {&name, &key, bitmap, DNS_NAME_FILTER_BITS_MAX}};

    (void) state;
    srandom(11);

    for (unsigned i = 0; i < DNS_NAME_FILTER_WORDS_MAX; i++) {
        bitmap[i] = (uint32_t) random() << 16 ^ (uint32_t) random();
    }

    attach(dns_name_filter_build(program, zones, 1, NEVER));

    for (unsigned i = 0; i < 5000; i++) {
        char text[100];

        snprintf(text, sizeof(text),
                 "%lx.a-rather-long-name-of-a-zone.example.test.", random());
        dns_name_t full = name_of(text);
        uint32_t bit = dns_label_hash(&key, full.octets) >>
                       (32 - DNS_NAME_FILTER_BITS_MAX);

        assert_int_equal(name_passes(text), bitmap[bit / 32] >> bit % 32 & 1);
    }

    zones[1] = zones[0];
    assert_int_equal(dns_name_filter_build(program, zones, 2, NEVER), 0);
}

/* What the program should do with a packet, said plainly. */
static bool
should_pass(const packet_t *p, const dns_name_t *suffix)
{
    const uint8_t *o = p->octets;
    size_t name_size;
    dns_name_t name;

    if (p->size < HEADERS + 5 || (o[10] & 0xf8) != 0 || o[12] != 0 ||
        o[13] != 1 ||
        dns_name_check(o + HEADERS, p->size - HEADERS, &name_size) != DNS_OK ||
        HEADERS + name_size + 4 > p->size) {
        return true;
    }

    dns_name_set(&name, o + HEADERS);

    if (!dns_name_has_suffix(&name, suffix) ||
        name.label_count == suffix->label_count ||
        name.label_count >= suffix->label_count + 1 + LABELS_BELOW ||
        memcmp(o + HEADERS + name_size + 2, "\0\1", 2) != 0) {
        return true;
    }

    uint32_t bit =
        dns_label_hash(&key,
                       dns_name_suffix(&name, suffix->label_count + 1u)) >>
        (32 - BITS);

    return bitmap[bit / 32] >> bit % 32 & 1;
}

/* A question of few kinds of octets, some of them changed, cut anywhere. */
static packet_t
random_packet(void)
{
    static const uint8_t kinds[] = "\1\1\2\3aAbB\0\100@`\5\4\300";
    uint8_t name[80];
    unsigned size = 0;

    while (random() % 4 != 0 && size < 60) {
        unsigned length = (unsigned) random() % 4 + 1;

        name[size++] = (uint8_t) length;

        for (unsigned i = 0; i < length; i++) {
            name[size++] = kinds[(unsigned) random() % (sizeof(kinds) - 1)];
        }
    }

    memcpy(name + size, random() % 4 ? "\2ab\1A" : "\2a\202\1a", 6);
    packet_t p = question(name, size + 6, random() % 2);

    while (random() % 4 == 0) {
        p.octets[10 + (unsigned) random() % (p.size - 10)] =
            kinds[(unsigned) random() % (sizeof(kinds) - 1)];
    }

    if (random() % 8 == 0) {
        p.size = (unsigned) random() % (p.size + 1);
    }

    return p;
}

static void
random_packets_fare_as_they_should(void **state)
{
    dns_name_t suffix = name_of("ab.a.");
    unsigned passed = 0;

    (void) state;
    srandom(3);

    for (unsigned i = 0; i < 60; i++) {
        bitmap[(unsigned) random() % (1 << (BITS - 5))] |= (uint32_t) random();
    }

    attach(build("ab.a.", NEVER));

    for (unsigned i = 0; i < 20000; i++) {
        packet_t p = random_packet();
        bool passed_now = passes(&p);

        assert_int_equal(passed_now, should_pass(&p, &suffix));
        passed += passed_now;
    }

    assert_in_range(passed, 2000, 18000);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, make_sockets, close_sockets)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_below_the_suffix_are_dropped),
        TEST(other_names_pass),
        TEST(a_suffix_is_compared_octet_for_octet),
        TEST(labels_that_are_there_pass),
        TEST(random_labels_are_dropped),
        TEST(one_in_so_many_passes),
        TEST(every_cut_packet_passes),
        TEST(what_is_no_plain_question_passes),
        TEST(edns_makes_no_difference),
        TEST(names_with_many_labels_pass),
        TEST(each_length_of_a_suffix_is_found),
        TEST(several_suffixes_are_found),
        TEST(the_largest_bitmap_fits),
        TEST(random_packets_fare_as_they_should),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
