#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dns/ancestors.h"
#include "dns/name_filter.h"
#include "names.h"

static const uint8_t key[DNS_SIPHASH_KEY_SIZE] = "a key for a test";

static dns_ancestors_t *
ancestors_of(const char *apex)
{
    const dns_name_t name = name_of(apex);
    dns_ancestors_t *a;

    assert_int_equal(dns_ancestors_new(&a, &name, key), DNS_OK);
    return a;
}

static void
add(dns_ancestors_t *a, const char *owner)
{
    const dns_name_t name = name_of(owner);

    assert_int_equal(dns_ancestors_add(a, &name), DNS_OK);
}

static bool
has(const dns_ancestors_t *a, const char *text)
{
    const dns_name_t name = name_of(text);

    return dns_ancestors_has(a, &name);
}

static bool
cover(const dns_ancestors_t *a, const char *text)
{
    const dns_name_t name = name_of(text);

    return dns_ancestors_cover(a, &name);
}

static void
wildcards_cover_what_is_below_their_encloser(void **state)
{
    dns_ancestors_t *a = ancestors_of("example.test.");

    (void) state;
    add(a, "a.b.example.test.");
    assert_false(cover(a, "x.b.example.test."));
    add(a, "*.b.example.test.");
    add(a, "*.c.example.test.");
    assert_true(cover(a, "x.b.example.test."));
    assert_true(cover(a, "x.y.z.b.example.test."));
    assert_true(cover(a, "x.c.example.test."));
    assert_false(cover(a, "x.a.b.example.test."));
    assert_false(cover(a, "x.example.test."));
    assert_false(cover(a, "x.d.example.test."));
    add(a, "*.example.test.");
    assert_true(cover(a, "x.example.test."));
    assert_true(cover(a, "x.d.example.test."));
    assert_false(cover(a, "x.a.b.example.test."));
    dns_ancestors_free(a);
}

enum { BITS = 10 };

/* Is the first label of each child, and nothing else, let through below name?
   children: ends with NULL. */
static void
check_children(const dns_ancestors_t *a, const char *name,
               const char *const *children)
{
    uint32_t expected[1 << (BITS - 5)] = {0};
    uint32_t bitmap[1 << (BITS - 5)] = {0};
    const dns_name_t above = name_of(name);

    for (; *children != NULL; children++) {
        const dns_name_t child = name_of(*children);

        dns_name_filter_let_pass(
            expected, BITS,
            dns_label_hash(dns_ancestors_label_key(a), child.octets));
    }

    dns_ancestors_let_pass(a, &above, bitmap, BITS);
    assert_memory_equal(bitmap, expected, sizeof(bitmap));
}

static void
labels_directly_below_a_name_are_let_through(void **state)
{
    dns_ancestors_t *a = ancestors_of("zone.test.");

    (void) state;
    add(a, "zone.test.");
    add(a, "www.zone.test.");
    add(a, "a.b.c.zone.test.");
    add(a, "d.c.zone.test.");
    add(a, "c.zone.test.");
    add(a, "x.other.test.");
    check_children(a, "zone.test.",
                   (const char *[]){"www.zone.test.", "c.zone.test.", NULL});
    check_children(a, "c.zone.test.",
                   (const char *[]){"b.c.zone.test.", "d.c.zone.test.", NULL});
    check_children(a, "www.zone.test.", (const char *[]){NULL});
    dns_ancestors_free(a);
}

static void
wildcards_directly_below_a_name_are_told(void **state)
{
    dns_ancestors_t *a = ancestors_of("zone.test.");
    const dns_name_t apex = name_of("zone.test.");
    const dns_name_t wild = name_of("wild.zone.test.");

    (void) state;
    add(a, "*.wild.zone.test.");
    assert_false(dns_ancestors_has_wildcard(a, &apex));
    assert_true(dns_ancestors_has_wildcard(a, &wild));
    dns_ancestors_free(a);
}

static void
names_between_owner_and_apex_are_there(void **state)
{
    dns_ancestors_t *a = ancestors_of("example.test.");

    (void) state;
    add(a, "A.b.c.example.test.");
    add(a, "www.example.test.");
    add(a, "x.b.c.example.test.");
    assert_true(has(a, "b.c.example.test."));
    assert_true(has(a, "c.example.test."));
    assert_true(has(a, "example.test."));
    assert_false(has(a, "a.b.c.example.test."));
    assert_false(has(a, "www.example.test."));
    assert_false(has(a, "test."));
    dns_ancestors_free(a);
}

static void
owners_and_what_is_above_them_are_known(void **state)
{
    dns_ancestors_t *a = ancestors_of("zone.test");
    const dns_name_t owner = name_of("a.b.zone.test");
    const dns_name_t above = name_of("b.zone.test");
    const dns_name_t absent = name_of("c.b.zone.test");

    (void) state;
    add(a, "a.b.zone.test");
    assert_true(dns_ancestors_knows(a, &owner));
    assert_true(dns_ancestors_knows(a, &above));
    assert_false(dns_ancestors_knows(a, &absent));
    assert_false(dns_ancestors_has(a, &owner));
    dns_ancestors_free(a);
}

static void
tells_what_is_empty_and_how_far_a_name_exists(void **state)
{
    dns_ancestors_t *a = ancestors_of("zone.test");
    const dns_name_t apex = name_of("zone.test");
    const dns_name_t owner = name_of("x.zone.test");
    const dns_name_t empty = name_of("b.x.zone.test");
    const dns_name_t deep = name_of("q.a.b.x.zone.test");
    const dns_name_t other = name_of("q.r.s.t.u.v.zone.test");

    (void) state;
    assert_int_equal(dns_ancestors_encloser(a, &deep), 2);
    add(a, "a.b.x.zone.test");
    add(a, "x.zone.test");
    assert_true(dns_ancestors_is_empty(a, &empty));
    assert_false(dns_ancestors_is_empty(a, &owner));
    assert_false(dns_ancestors_is_empty(a, &deep));
    assert_int_equal(dns_ancestors_encloser(a, &apex), 2);
    assert_int_equal(dns_ancestors_encloser(a, &owner), 3);
    assert_int_equal(dns_ancestors_encloser(a, &empty), 4);
    assert_int_equal(dns_ancestors_encloser(a, &deep), 5);
    assert_int_equal(dns_ancestors_encloser(a, &other), 2);
    dns_ancestors_free(a);
}

static void
names_outside_are_left_out(void **state)
{
    dns_ancestors_t *a = ancestors_of("example.test.");

    (void) state;
    add(a, "a.b.other.test.");
    add(a, "example.test.");
    assert_false(has(a, "b.other.test."));
    assert_false(has(a, "example.test."));
    dns_ancestors_free(a);
}

static void
many_names_are_all_there(void **state)
{
    dns_ancestors_t *a = ancestors_of(".");
    char text[64];

    (void) state;

    for (unsigned i = 0; i < 5000; i++) {
        snprintf(text, sizeof(text), "a.n%u.test.", i);
        add(a, text);
    }

    for (unsigned i = 0; i < 5000; i++) {
        snprintf(text, sizeof(text), "n%u.test.", i);
        assert_true(has(a, text));
        snprintf(text, sizeof(text), "m%u.test.", i);
        assert_false(has(a, text));
    }

    assert_true(has(a, "."));
    dns_ancestors_free(a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_between_owner_and_apex_are_there),
        cmocka_unit_test(owners_and_what_is_above_them_are_known),
        cmocka_unit_test(tells_what_is_empty_and_how_far_a_name_exists),
        cmocka_unit_test(names_outside_are_left_out),
        cmocka_unit_test(wildcards_cover_what_is_below_their_encloser),
        cmocka_unit_test(labels_directly_below_a_name_are_let_through),
        cmocka_unit_test(wildcards_directly_below_a_name_are_told),
        cmocka_unit_test(many_names_are_all_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
