#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dns/name.h"

#define WIRE(text) ((const uint8_t *) (text))

static const uint8_t *
name(const char *text)
{
    static uint8_t buffers[4][DNS_NAME_MAX];
    static unsigned next;
    uint8_t *out = buffers[next++ % 4];

    assert_int_equal(dns_name_from_text(out, text, strlen(text), NULL, NULL),
                     DNS_OK);
    return out;
}

static size_t
random_name(uint8_t *out)
{
    size_t size = 0;

    for (int labels = rand() % 8; labels > 0; labels--) {
        unsigned length = 1u + (unsigned) rand() % (rand() % 9 ? 3 : 63);

        if (size + 1 + length + 1 > DNS_NAME_MAX) {
            break;
        }

        out[size++] = (uint8_t) length;

        while (length-- > 0) {
            out[size++] = (uint8_t) (rand() % 2 ? rand() : 'A' + rand() % 2);
        }
    }

    out[size++] = 0;
    return size;
}

static void
checks_wire_names(void **state)
{
    (void) state;
    uint8_t longest[300];
    size_t size = 0;

    assert_int_equal(dns_name_check(WIRE("\1a\0rest"), 7, &size), DNS_OK);
    assert_int_equal(size, 3);
    assert_int_equal(dns_name_check(WIRE(""), 1, &size), DNS_OK);
    assert_int_equal(size, 1);
    assert_int_equal(dns_name_check(WIRE(""), 0, &size), DNS_EMALFORMED);
    assert_int_equal(dns_name_check(WIRE("\1a"), 2, &size), DNS_EMALFORMED);
    assert_int_equal(dns_name_check(WIRE("\5ab"), 3, &size), DNS_EMALFORMED);
    assert_int_equal(dns_name_check(WIRE("\100a"), 66, &size), DNS_EMALFORMED);
    assert_int_equal(dns_name_check(WIRE("\300\14"), 2, &size), DNS_EMALFORMED);

    /* 63 + 63 + 63 + 61 octets with lengths and root: 255 exactly. */
    memset(longest, 'x', sizeof(longest));
    longest[0] = longest[64] = longest[128] = 63;
    longest[192] = 61;
    longest[254] = 0;
    assert_int_equal(dns_name_check(longest, 255, &size), DNS_OK);
    assert_int_equal(size, 255);
    longest[192] = 62;
    longest[255] = 0;
    assert_int_equal(dns_name_check(longest, 256, &size), DNS_EMALFORMED);
}

/* RFC 1035 section 5.1. */
static void
reads_text_with_escapes_and_origin(void **state)
{
    (void) state;
    uint8_t out[DNS_NAME_MAX];
    const uint8_t *origin = name("example.");

    assert_int_equal(dns_name_from_text(out, "a\\.b.c", 6, origin, NULL),
                     DNS_OK);
    assert_memory_equal(out, "\3a.b\1c\7example", 15);
    assert_int_equal(dns_name_from_text(out, "\\000\\255.", 9, origin, NULL),
                     DNS_OK);
    assert_memory_equal(out, "\2\0\377", 4);
    assert_int_equal(dns_name_from_text(out, "@", 1, origin, NULL), DNS_OK);
    assert_true(dns_name_equal(out, origin));
    assert_int_equal(dns_name_from_text(out, "\\@", 2, origin, NULL), DNS_OK);
    assert_memory_equal(out, "\1@\7example", 11);
    assert_int_equal(dns_name_from_text(out, ".", 1, origin, NULL), DNS_OK);
    assert_memory_equal(out, "", 1);
    assert_int_equal(dns_name_from_text(out, "www", 3, NULL, NULL), DNS_OK);
    assert_memory_equal(out, "\3www", 5);
}

static void
says_where_text_is_wrong(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        size_t at;
    } wrong[] = {
        {"", 0},      {"..", 0},     {".a", 0},      {"a..b", 2}, {"ab\\", 2},
        {"a\\25", 1}, {"a\\256", 1}, {"a.\\3x4", 2}, {"@", 0},
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t out[DNS_NAME_MAX];
        size_t at = 99;

        assert_int_equal(dns_name_from_text(out, wrong[i].text,
                                            strlen(wrong[i].text), NULL, &at),
                         DNS_EMALFORMED);
        assert_int_equal(at, wrong[i].at);
    }
}

static void
bounds_labels_and_names_in_text(void **state)
{
    (void) state;
    char text[600];
    uint8_t out[DNS_NAME_MAX];
    const uint8_t *origin = name("o.");

    memset(text, 'x', sizeof(text));
    assert_int_equal(dns_name_from_text(out, text, 63, NULL, NULL), DNS_OK);
    assert_int_equal(dns_name_from_text(out, text, 64, NULL, NULL),
                     DNS_EMALFORMED);

    text[63] = text[127] = text[191] = '.';
    assert_int_equal(dns_name_from_text(out, text, 253, NULL, NULL), DNS_OK);
    assert_int_equal(dns_name_size(out), 255);
    assert_int_equal(dns_name_from_text(out, text, 254, NULL, NULL),
                     DNS_EMALFORMED);
    text[253] = '.';
    assert_int_equal(dns_name_from_text(out, text, 254, NULL, NULL), DNS_OK);
    assert_int_equal(dns_name_from_text(out, text, 255, NULL, NULL),
                     DNS_EMALFORMED);
    assert_int_equal(dns_name_from_text(out, text, 253, origin, NULL),
                     DNS_EMALFORMED);
    assert_int_equal(dns_name_from_text(out, text, 251, origin, NULL), DNS_OK);
}

static void
writes_text_that_reads_back(void **state)
{
    (void) state;
    uint8_t all[DNS_NAME_MAX];
    char text[DNS_NAME_TEXT_SIZE];

    assert_int_equal(dns_name_to_text(text, WIRE("")), 1);
    assert_string_equal(text, ".");
    dns_name_to_text(text, WIRE("\13a\"().;@\\$ \177\3com"));
    assert_string_equal(text, "a\\\"\\(\\)\\.\\;\\@\\\\\\$\\032\\127.com.");

    for (unsigned start = 0; start < 256; start += 250) {
        size_t size = 0;

        for (unsigned i = 0; i < 250; i++) {
            if (i % 63 == 0) {
                all[size++] = i < 189 ? 63 : 61;
            }
            all[size++] = (uint8_t) (start + i);
        }

        all[size++] = 0;
        assert_int_equal(size, 255);

        uint8_t back[DNS_NAME_MAX];
        size_t length = dns_name_to_text(text, all);

        assert_in_range(length, 1, DNS_NAME_TEXT_SIZE - 1);
        assert_int_equal(dns_name_from_text(back, text, length, NULL, NULL),
                         DNS_OK);
        assert_memory_equal(back, all, 255);
    }
}

/* RFC 4034 section 6.1, its example. */
static void
orders_as_rfc4034_section_6_1(void **state)
{
    (void) state;
    static const char *const sorted[] = {
        "example.",         "a.example.",      "yljkjljk.a.example.",
        "Z.a.example.",     "zABC.a.EXAMPLE.", "z.example.",
        "\\001.z.example.", "*.z.example.",    "\\200.z.example.",
    };
    enum { COUNT = sizeof(sorted) / sizeof(sorted[0]) };

    for (int i = 0; i < COUNT; i++) {
        for (int k = 0; k < COUNT; k++) {
            int order = dns_name_compare(name(sorted[i]), name(sorted[k]));

            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
    }
}

static void
walks_up_the_tree(void **state)
{
    (void) state;
    dns_name_t n;
    dns_name_t up;

    dns_name_set(&n, name("WWW.Example.TEST."));
    assert_int_equal(n.label_count, 3);
    assert_int_equal(n.size, 18);
    assert_memory_equal(n.octets, "\3www\7example\4test", 18);
    assert_memory_equal(dns_name_suffix(&n, 1), "\4test", 6);
    dns_name_ancestor(&up, &n, 2);
    assert_int_equal(up.label_count, 2);
    assert_memory_equal(up.octets, "\7example\4test", 14);
    assert_int_equal(up.label_at[1], 8);
    dns_name_ancestor(&n, &n, 0);
    assert_int_equal(n.size, 1);
    assert_int_equal(n.octets[0], 0);

    assert_true(dns_name_is_within(name("a.B.c."), name("b.C.")));
    assert_true(dns_name_is_within(name("b.c."), name("b.c.")));
    assert_true(dns_name_is_within(name("b.c."), name(".")));
    assert_false(dns_name_is_within(name("ab.c."), name("b.c.")));
    assert_false(dns_name_is_within(name("c."), name("b.c.")));

    assert_int_equal(dns_name_wildcard(&n, WIRE("\1A")), DNS_OK);
    assert_memory_equal(n.octets, "\1*\1a", 5);
    assert_int_equal(n.label_count, 2);
}

/* RFC 4343 section 3: only ASCII letters. */
static void
folds_the_case_of_letters_only(void **state)
{
    (void) state;

    for (unsigned i = 0; i < 256; i++) {
        uint8_t wire[] = {9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

        memset(wire + 1, (int) i, 9);
        dns_name_lower(wire);
        for (unsigned k = 1; k <= 9; k++) {
            assert_int_equal(wire[k], i >= 'A' && i <= 'Z' ? i + 32 : i);
        }
    }
}

static void
makes_keys_that_order_as_names(void **state)
{
    (void) state;
    unsigned seed = (unsigned) time(NULL);

    printf("seed %u\n", seed);
    srand(seed);

    for (int round = 0; round < 20000; round++) {
        uint8_t a[DNS_NAME_MAX];
        uint8_t b[DNS_NAME_MAX];
        uint8_t back[DNS_NAME_MAX];
        uint8_t key_a[DNS_KEY_MAX];
        uint8_t key_b[DNS_KEY_MAX];
        dns_name_t x;
        dns_name_t y;

        random_name(a);
        random_name(b);
        dns_name_set_exact(&x, a);
        dns_name_set(&y, b);

        size_t na = dns_name_key(key_a, &x, 0);
        size_t nb = dns_name_key(key_b, &y, 0);
        int order = memcmp(key_a, key_b, na < nb ? na : nb);
        int expected = dns_name_compare(a, b);

        if (order == 0) {
            order = na < nb ? -1 : na > nb;
        }

        assert_int_equal((order > 0) - (order < 0),
                         (expected > 0) - (expected < 0));
        assert_int_equal(na <= nb && memcmp(key_a, key_b, na) == 0,
                         dns_name_is_within(b, a));
        dns_name_set(&x, a);
        assert_int_equal(dns_name_has_suffix(&y, &x), dns_name_is_within(b, a));
        assert_int_equal(dns_name_from_key(back, key_b, nb, WIRE("")), DNS_OK);
        assert_memory_equal(back, y.octets, y.size);
    }
}

static void
leaves_the_apex_out_of_keys(void **state)
{
    (void) state;
    dns_name_t n;
    uint8_t key[DNS_KEY_MAX];
    uint8_t back[DNS_NAME_MAX];

    dns_name_set(&n, name("a.\\000\\001.example.test."));

    size_t size = dns_name_key(key, &n, 2);

    assert_int_equal(size, 7);
    assert_memory_equal(key, "\1\1\1\2\0a\0", 7);
    assert_int_equal(dns_name_from_key(back, key, size, name("example.test.")),
                     DNS_OK);
    assert_memory_equal(back, n.octets, n.size);
}

static void
refuses_what_is_no_key(void **state)
{
    (void) state;
    uint8_t back[DNS_NAME_MAX];
    uint8_t key[256];

    assert_int_equal(dns_name_from_key(back, WIRE("a"), 1, WIRE("")),
                     DNS_EMALFORMED);
    assert_int_equal(dns_name_from_key(back, WIRE("\0"), 1, WIRE("")),
                     DNS_EMALFORMED);
    assert_int_equal(dns_name_from_key(back, WIRE("\1\3\0"), 3, WIRE("")),
                     DNS_EMALFORMED);
    assert_int_equal(dns_name_from_key(back, WIRE("\1"), 1, WIRE("")),
                     DNS_EMALFORMED);
    memset(key, 'x', sizeof(key));
    key[64] = 0;
    assert_int_equal(dns_name_from_key(back, key, 65, WIRE("")),
                     DNS_EMALFORMED);
    key[64] = 'x';
    for (int i = 1; i < 256; i += 2) {
        key[i] = 0;
    }
    assert_int_equal(dns_name_from_key(back, key, 254, WIRE("")), DNS_OK);
    assert_int_equal(dns_name_from_key(back, key, 256, WIRE("")),
                     DNS_EMALFORMED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks_wire_names),
        cmocka_unit_test(reads_text_with_escapes_and_origin),
        cmocka_unit_test(says_where_text_is_wrong),
        cmocka_unit_test(bounds_labels_and_names_in_text),
        cmocka_unit_test(writes_text_that_reads_back),
        cmocka_unit_test(orders_as_rfc4034_section_6_1),
        cmocka_unit_test(walks_up_the_tree),
        cmocka_unit_test(folds_the_case_of_letters_only),
        cmocka_unit_test(makes_keys_that_order_as_names),
        cmocka_unit_test(leaves_the_apex_out_of_keys),
        cmocka_unit_test(refuses_what_is_no_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
