/* What a zone keeps and does not serve, in the embedded store. */

#include "store/private/parked.h"
#include "store_fixture.h"

#define ZONE "example.test."

/* Parks records of a text; types of the text stand for themselves. */
static dns_status_t
park(fixture_t *f, const char *text, bool replaces)
{
    store_edit_t *edit = NULL;
    store_edit_t *parked = NULL;

    assert_int_equal(store_edit_new(name_of(ZONE), &edit), DNS_OK);
    assert_int_equal(store_edit_parked(edit, &parked), DNS_OK);

    if (replaces) {
        store_edit_replace_zone(parked);
    }

    add_text(parked, ZONE, text);

    dns_status_t status = store_lmdb_commit(f->store, edit, f->error);

    store_edit_free(edit);
    return status;
}

static dns_status_t
unpark(fixture_t *f, const char *name, uint16_t type)
{
    store_edit_t *edit = NULL;
    store_edit_t *parked = NULL;

    assert_int_equal(store_edit_new(name_of(ZONE), &edit), DNS_OK);
    assert_int_equal(store_edit_parked(edit, &parked), DNS_OK);
    assert_int_equal(
        store_edit_remove_if_any(parked, name_of(name), type, NULL, 0), DNS_OK);

    dns_status_t status = store_lmdb_commit(f->store, edit, f->error);

    store_edit_free(edit);
    return status;
}

/* All that the zone parks, as the store has it. */
static void
assert_parked(fixture_t *f, const char *expected)
{
    dns_source_t source = {0};
    store_nodes_t nodes = {0};
    dns_name_t apex;
    char *text = NULL;

    dns_name_set(&apex, name_of(ZONE));
    assert_int_equal(store_lmdb_read_begin(f->reader, &source), DNS_OK);
    assert_int_equal(store_lmdb_read_parked(f->reader, &apex, &nodes), DNS_OK);
    store_lmdb_read_end(f->reader);
    assert_int_equal(store_parked_write(&nodes, &text), DNS_OK);
    assert_string_equal(text == NULL ? "" : text, expected);
    free(text);
    store_nodes_free(&nodes);
}

#define ONE(name, type, data)                                                  \
    "{\"name\":\"" name ".example.test.\",\"type\":\"" type                    \
    "\",\"ttl\":300,\"data\":\"" data "\"}"

static void
lies_beside_the_nodes(void **state)
{
    fixture_t *f = *state;
    dns_source_t source = {0};
    dns_zone_t zone;
    dns_lookup_t lookup = {0};
    dns_name_t name;

    assert_int_equal(load(f, ZONE, APEX_TEXT), DNS_OK);
    assert_parked(f, "");
    assert_int_equal(park(f, "b 300 A 192.0.2.2\na 300 TXT x\n", false),
                     DNS_OK);
    assert_parked(
        f, "[" ONE("a", "TXT", "\\\"x\\\"") "," ONE("b", "A", "192.0.2.2") "]");

    dns_name_set(&name, name_of("b.example.test."));
    assert_int_equal(store_lmdb_read_begin(f->reader, &source), DNS_OK);
    assert_int_equal(source.ops->find_zone(source.data, &name, 256, &zone),
                     DNS_OK);
    assert_int_equal(source.ops->lookup(source.data, &zone, &name, &lookup),
                     DNS_OK);
    assert_int_not_equal(lookup.kind, DNS_LOOKUP_NODE);
    store_lmdb_read_end(f->reader);
}

static void
is_changed_by_parts(void **state)
{
    fixture_t *f = *state;

    assert_int_equal(load(f, ZONE, APEX_TEXT), DNS_OK);
    assert_int_equal(park(f, "a 300 A 192.0.2.1\nc 300 A 192.0.2.3\n", false),
                     DNS_OK);
    assert_int_equal(park(f, "b 300 A 192.0.2.2\na 300 A 192.0.2.9\n", false),
                     DNS_OK);
    assert_parked(
        f,
        "[" ONE("a", "A", "192.0.2.1") "," ONE("a", "A", "192.0.2.9") "," ONE(
            "b", "A", "192.0.2.2") "," ONE("c", "A", "192.0.2.3") "]");
    assert_int_equal(unpark(f, "a.example.test.", DNS_TYPE_A), DNS_OK);
    assert_int_equal(unpark(f, "c.example.test.", DNS_TYPE_TXT), DNS_OK);
    assert_int_equal(unpark(f, "none.example.test.", DNS_TYPE_A), DNS_OK);
    assert_parked(
        f, "[" ONE("b", "A", "192.0.2.2") "," ONE("c", "A", "192.0.2.3") "]");
    assert_int_equal(park(f, "d 300 A 192.0.2.4\n", true), DNS_OK);
    assert_parked(f, "[" ONE("d", "A", "192.0.2.4") "]");
    assert_int_equal(park(f, "", true), DNS_OK);
    assert_parked(f, "");
}

static void
stays_when_the_zone_is_replaced_and_goes_with_it(void **state)
{
    fixture_t *f = *state;
    store_edit_t *edit = NULL;

    assert_int_equal(park(f, "a 300 A 192.0.2.1\n", false), DNS_ENOTFOUND);
    assert_int_equal(load(f, ZONE, APEX_TEXT), DNS_OK);
    assert_int_equal(park(f, "a 300 A 192.0.2.1\n", false), DNS_OK);
    assert_int_equal(load(f, ZONE, APEX_TEXT "x A 192.0.2.7\n"), DNS_OK);
    assert_int_equal(add(f, ZONE, "y 300 A 192.0.2.7\n"), DNS_OK);
    assert_parked(f, "[" ONE("a", "A", "192.0.2.1") "]");

    assert_int_equal(store_edit_new(name_of(ZONE), &edit), DNS_OK);
    store_edit_delete_zone(edit);
    assert_int_equal(store_lmdb_commit(f->store, edit, f->error), DNS_OK);
    store_edit_free(edit);
    assert_int_equal(load(f, ZONE, APEX_TEXT), DNS_OK);
    assert_parked(f, "");
}

static void
an_edit_that_fails_parks_nothing(void **state)
{
    fixture_t *f = *state;
    store_edit_t *edit = NULL;
    store_edit_t *parked = NULL;

    assert_int_equal(load(f, ZONE, APEX_TEXT), DNS_OK);
    assert_int_equal(store_edit_new(name_of(ZONE), &edit), DNS_OK);
    assert_int_equal(store_edit_parked(edit, &parked), DNS_OK);
    add_text(parked, ZONE, "a 300 A 192.0.2.1\n");
    add_text(edit, ZONE, "c 300 CNAME a\nc 300 A 192.0.2.1\n");
    assert_int_equal(store_lmdb_commit(f->store, edit, f->error),
                     DNS_ECONFLICT);
    store_edit_free(edit);
    assert_parked(f, "");
}

static void
texts_that_are_none_give_no_records(void **state)
{
    static const char *const texts[] = {
        "",
        "7",
        "{}",
        "[7]",
        "[{}]",
        "[[]]",
        "[{\"name\":\"a\"}]",
        "[{\"name\":\"a..\",\"type\":\"A\",\"data\":\"192.0.2.1\"}]",
        "[{\"name\":\"a.\",\"type\":\"A\",\"data\":\"192.0.2\"}]",
        "[{\"name\":\"a.\",\"type\":\"NO\",\"data\":\"192.0.2.1\"}]",
        "[{\"name\":\"a.\",\"type\":7,\"data\":\"192.0.2.1\"}]"};

    (void) state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        store_nodes_t nodes = {0};

        assert_int_equal(store_parked_read(texts[i], strlen(texts[i]), &nodes),
                         DNS_OK);
        assert_int_equal(nodes.count, 0);
        store_nodes_free(&nodes);
    }
}

static void
aliases_have_two_types(void **state)
{
    static const char text[] =
        "[{\"name\":\"a.test.\",\"type\":\"ALIAS\",\"ttl\":60,"
        "\"data\":\"B.test.\",\"disabled\":false},"
        "{\"name\":\"a.test.\",\"type\":\"ALIAS\",\"ttl\":60,"
        "\"data\":\"c.test.\",\"disabled\":true}]";
    store_nodes_t nodes = {0};
    char *out = NULL;
    dns_rrset_t set;

    (void) state;
    assert_int_equal(store_parked_read(text, sizeof(text) - 1, &nodes), DNS_OK);
    assert_int_equal(nodes.count, 1);

    const dns_node_t node = dns_node_builder_node(&nodes.nodes[0].builder);

    assert_true(dns_node_find(&node, STORE_TYPE_ALIAS, &set));
    assert_true(dns_node_find(&node, STORE_TYPE_DISABLED_ALIAS, &set));
    assert_int_equal(store_parked_write(&nodes, &out), DNS_OK);
    assert_string_equal(out, text);
    free(out);
    store_nodes_free(&nodes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lies_beside_the_nodes, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(is_changed_by_parts, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(
            stays_when_the_zone_is_replaced_and_goes_with_it, fixture_setup,
            fixture_teardown),
        cmocka_unit_test_setup_teardown(an_edit_that_fails_parks_nothing,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test(texts_that_are_none_give_no_records),
        cmocka_unit_test(aliases_have_two_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
