#include <sys/stat.h>

#include "store_fixture.h"

#define ZONE "example.test."

static void
assert_lookup(fixture_t *f, const char *name, dns_lookup_kind_t kind,
              unsigned encloser_labels)
{
    dns_source_t source = {0};
    dns_lookup_t lookup = {0};
    dns_zone_t zone;
    dns_name_t wanted;

    dns_name_set(&wanted, name_of(name));
    assert_int_equal(store_lmdb_read_begin(f->reader, &source), DNS_OK);
    assert_int_equal(source.ops->find_zone(source.data, &wanted, 256, &zone),
                     DNS_OK);
    assert_int_equal(source.ops->lookup(source.data, &zone, &wanted, &lookup),
                     DNS_OK);
    assert_int_equal(lookup.kind, kind);
    assert_int_equal(lookup.encloser_labels, encloser_labels);

    if (kind == DNS_LOOKUP_NODE) {
        assert_int_equal(dns_node_check(&lookup.node), DNS_OK);
    }

    store_lmdb_read_end(f->reader);
}

/* The zone that find_zone gives, as text; "" if none. */
static const char *
zone_of(fixture_t *f, const char *name, unsigned above, dns_zone_t *zone)
{
    static char text[DNS_NAME_TEXT_SIZE];
    dns_source_t source = {0};
    dns_name_t wanted;

    dns_name_set(&wanted, name_of(name));
    assert_int_equal(store_lmdb_read_begin(f->reader, &source), DNS_OK);

    dns_status_t status =
        source.ops->find_zone(source.data, &wanted, above, zone);

    store_lmdb_read_end(f->reader);
    text[0] = '\0';

    if (status == DNS_OK) {
        dns_name_to_text(text, zone->apex.octets);
    } else {
        assert_int_equal(status, DNS_ENOTFOUND);
    }

    return text;
}

static uint32_t
serial_of(fixture_t *f, const char *apex)
{
    dns_source_t source = {0};
    dns_zone_t zone;
    dns_rdata_t soa = {0};
    uint32_t serial = 0;
    char text[DNS_NAME_TEXT_SIZE];

    assert_int_equal(store_lmdb_read_begin(f->reader, &source), DNS_OK);

    for (uint64_t at = 0;
         store_lmdb_next_zone(f->reader, &at, &zone, &soa) == DNS_OK;) {
        dns_name_to_text(text, zone.apex.octets);
        if (strcmp(text, apex) == 0) {
            serial = get32(soa.octets + soa.size - 20);
        }
    }

    store_lmdb_read_end(f->reader);
    return serial;
}

static void
finds_names_empty_non_terminals_and_enclosers(void **state)
{
    fixture_t *f = *state;

    assert_int_equal(load(f, ZONE,
                          APEX_TEXT "a A 192.0.2.1\n"
                                    "d.c.b A 192.0.2.2\n"
                                    "z A 192.0.2.3\n"),
                     DNS_OK);

    assert_lookup(f, "example.test.", DNS_LOOKUP_NODE, 2);
    assert_lookup(f, "A.example.test.", DNS_LOOKUP_NODE, 3);
    assert_lookup(f, "d.c.b.example.test.", DNS_LOOKUP_NODE, 5);
    assert_lookup(f, "b.example.test.", DNS_LOOKUP_EMPTY, 3);
    assert_lookup(f, "c.b.example.test.", DNS_LOOKUP_EMPTY, 4);
    assert_lookup(f, "nope.example.test.", DNS_LOOKUP_ABSENT, 2);
    assert_lookup(f, "zz.example.test.", DNS_LOOKUP_ABSENT, 2);
    assert_lookup(f, "x.y.a.example.test.", DNS_LOOKUP_ABSENT, 3);
    assert_lookup(f, "x.z.example.test.", DNS_LOOKUP_ABSENT, 3);
    assert_lookup(f, "a.c.b.example.test.", DNS_LOOKUP_ABSENT, 4);
    assert_lookup(f, "e.c.b.example.test.", DNS_LOOKUP_ABSENT, 4);
    assert_lookup(f, "x.d.c.b.example.test.", DNS_LOOKUP_ABSENT, 5);
    assert_lookup(f, "bb.example.test.", DNS_LOOKUP_ABSENT, 2);
}

static void
tells_octets_0_and_1_and_dots_in_labels_apart(void **state)
{
    fixture_t *f = *state;

    assert_int_equal(load(f, ZONE,
                          APEX_TEXT "\\000.a A 192.0.2.1\n"
                                    "\\001.a A 192.0.2.2\n"
                                    "x\\.b A 192.0.2.3\n"
                                    "\\255 A 192.0.2.4\n"),
                     DNS_OK);
    assert_lookup(f, "\\000.a.example.test.", DNS_LOOKUP_NODE, 4);
    assert_lookup(f, "\\001.a.example.test.", DNS_LOOKUP_NODE, 4);
    assert_lookup(f, "\\002.a.example.test.", DNS_LOOKUP_ABSENT, 3);
    assert_lookup(f, "\\001\\001.a.example.test.", DNS_LOOKUP_ABSENT, 3);
    assert_lookup(f, "x\\.b.example.test.", DNS_LOOKUP_NODE, 3);
    assert_lookup(f, "x.b.example.test.", DNS_LOOKUP_ABSENT, 2);
    assert_lookup(f, "x.\\255.example.test.", DNS_LOOKUP_ABSENT, 3);
}

static void
the_deepest_zone_holds_a_name(void **state)
{
    fixture_t *f = *state;
    dns_zone_t zone;

    assert_string_equal(zone_of(f, "www.example.test.", 256, &zone), "");
    assert_int_equal(load(f, ZONE, APEX_TEXT), DNS_OK);
    assert_int_equal(load(f, "sub.example.test.", APEX_TEXT), DNS_OK);
    assert_int_equal(load(f, "a.b.c.example.test.", APEX_TEXT), DNS_OK);
    assert_int_equal(load(f, "other.test.", APEX_TEXT), DNS_OK);

    assert_string_equal(zone_of(f, "www.example.test.", 256, &zone), ZONE);
    assert_string_equal(zone_of(f, "sub.example.test.", 256, &zone),
                        "sub.example.test.");
    assert_string_equal(zone_of(f, "x.y.SUB.example.test.", 256, &zone),
                        "sub.example.test.");
    assert_string_equal(zone_of(f, "subx.example.test.", 256, &zone), ZONE);
    assert_string_equal(zone_of(f, "b.c.example.test.", 256, &zone), ZONE);
    assert_string_equal(zone_of(f, "z.b.c.example.test.", 256, &zone), ZONE);
    assert_string_equal(zone_of(f, "other.test.", 256, &zone), "other.test.");
    assert_string_equal(zone_of(f, "test.", 256, &zone), "");
    assert_string_equal(zone_of(f, ".", 256, &zone), "");
    /* DS is asked of the parent. */
    assert_string_equal(zone_of(f, "sub.example.test.", 3, &zone), ZONE);
    assert_string_equal(zone_of(f, "example.test.", 2, &zone), "");
    assert_string_equal(zone_of(f, ".", 0, &zone), "");
}

static void
the_root_can_be_a_zone(void **state)
{
    fixture_t *f = *state;
    dns_zone_t zone;

    assert_int_equal(load(f, ".", APEX_TEXT "www.example. A 192.0.2.1\n"),
                     DNS_OK);
    assert_string_equal(zone_of(f, ".", 256, &zone), ".");
    assert_string_equal(zone_of(f, "a.b.", 256, &zone), ".");
    assert_string_equal(zone_of(f, "a.", 1, &zone), ".");
    assert_lookup(f, ".", DNS_LOOKUP_NODE, 0);
    assert_lookup(f, "example.", DNS_LOOKUP_EMPTY, 1);
    assert_lookup(f, "www.example.", DNS_LOOKUP_NODE, 2);
    assert_lookup(f, "x.example.", DNS_LOOKUP_ABSENT, 1);
    assert_int_equal(load(f, ZONE, APEX_TEXT), DNS_OK);
    assert_string_equal(zone_of(f, "a.example.test.", 256, &zone), ZONE);
    assert_string_equal(zone_of(f, "test.", 256, &zone), ".");
}

static bool
has_zones_below(fixture_t *f, const char *text)
{
    dns_source_t source = {0};
    dns_name_t name;

    dns_name_set(&name, name_of(text));
    assert_int_equal(store_lmdb_read_begin(f->reader, &source), DNS_OK);

    bool is_true = store_lmdb_has_zones_below(f->reader, &name);

    store_lmdb_read_end(f->reader);
    return is_true;
}

static void
says_whether_zones_lie_below_a_name(void **state)
{
    fixture_t *f = *state;

    assert_false(has_zones_below(f, "."));
    assert_int_equal(load(f, ZONE, APEX_TEXT), DNS_OK);
    assert_true(has_zones_below(f, "."));
    assert_true(has_zones_below(f, "test."));
    assert_false(has_zones_below(f, "tes."));
    assert_false(has_zones_below(f, ZONE));
    assert_int_equal(load(f, "myexample.test.", APEX_TEXT), DNS_OK);
    assert_int_equal(load(f, "a.zz.test.", APEX_TEXT), DNS_OK);
    assert_false(has_zones_below(f, ZONE));
    assert_int_equal(load(f, "b.a.example.test.", APEX_TEXT), DNS_OK);
    assert_true(has_zones_below(f, ZONE));
    assert_true(has_zones_below(f, "a.example.test."));
    assert_false(has_zones_below(f, "b.a.example.test."));
    assert_false(has_zones_below(f, "b.example.test."));
    assert_true(has_zones_below(f, "zz.test."));
    assert_false(has_zones_below(f, "zzz.test."));
}

static void
says_whether_a_zone_has_cuts_and_wildcards(void **state)
{
    const unsigned both = DNS_ZONE_NO_CUTS | DNS_ZONE_NO_WILDCARDS;
    fixture_t *f = *state;
    dns_zone_t zone = {0};

    assert_int_equal(load(f, ZONE, APEX_TEXT "a A 192.0.2.1\n"), DNS_OK);
    zone_of(f, ZONE, 256, &zone);
    assert_int_equal(zone.flags, both);

    assert_int_equal(add(f, ZONE, "a 5 NS ns.example.test.\n"), DNS_OK);
    zone_of(f, ZONE, 256, &zone);
    assert_int_equal(zone.flags, DNS_ZONE_NO_WILDCARDS);

    assert_int_equal(add(f, ZONE, "b.*.b 5 A 192.0.2.1\n"), DNS_OK);
    zone_of(f, ZONE, 256, &zone);
    assert_int_equal(zone.flags, 0);

    assert_int_equal(load(f, ZONE, APEX_TEXT "@ DNAME a.test.\n"), DNS_OK);
    zone_of(f, ZONE, 256, &zone);
    assert_int_equal(zone.flags, DNS_ZONE_NO_WILDCARDS);
}

static void
an_edit_raises_serial_and_generation(void **state)
{
    fixture_t *f = *state;
    dns_zone_t before = {0};
    dns_zone_t after = {0};

    assert_int_equal(load(f, ZONE, APEX_TEXT), DNS_OK);
    assert_int_equal(serial_of(f, ZONE), 7);
    zone_of(f, ZONE, 256, &before);

    assert_int_equal(add(f, ZONE, "a 5 A 192.0.2.1\n"), DNS_OK);
    assert_int_equal(serial_of(f, ZONE), 8);
    zone_of(f, ZONE, 256, &after);
    assert_int_equal(before.id, after.id);
    assert_true(after.generation > before.generation);

    /* Nothing new: nothing changes. */
    assert_int_equal(add(f, ZONE, "a 5 A 192.0.2.1\n"), DNS_OK);
    assert_int_equal(serial_of(f, ZONE), 8);

    /* A loaded zone keeps the serial that it has. */
    assert_int_equal(load(f, ZONE, APEX_TEXT), DNS_OK);
    assert_int_equal(serial_of(f, ZONE), 7);
    zone_of(f, ZONE, 256, &before);
    assert_true(before.generation > after.generation);
}

static void
rfc1982_3_1_the_serial_wraps(void **state)
{
    fixture_t *f = *state;

    assert_int_equal(
        load(f, ZONE, "@ 5 SOA a. b. 4294967295 1 1 1 1\n@ 5 NS a.\n"), DNS_OK);
    assert_int_equal(add(f, ZONE, "a 5 A 192.0.2.1\n"), DNS_OK);
    assert_int_equal(serial_of(f, ZONE), 0);
}

static void
removes_sets_and_records(void **state)
{
    static const uint8_t address[] = {192, 0, 2, 1};
    fixture_t *f = *state;
    store_edit_t *edit = NULL;

    assert_int_equal(load(f, ZONE, APEX_TEXT "b.a A 192.0.2.1\n"), DNS_OK);
    assert_int_equal(store_edit_new(name_of(ZONE), &edit), 0);
    assert_int_equal(store_edit_remove(edit, name_of("b.a.example.test."),
                                       DNS_TYPE_A, address, 4),
                     DNS_OK);
    assert_int_equal(store_lmdb_commit(f->store, edit, f->error), DNS_OK);
    assert_lookup(f, "b.a.example.test.", DNS_LOOKUP_ABSENT, 2);
    assert_lookup(f, "a.example.test.", DNS_LOOKUP_ABSENT, 2);

    /* Again: it is not there any more. */
    assert_int_equal(store_lmdb_commit(f->store, edit, f->error),
                     DNS_ENOTFOUND);
    assert_string_equal(f->error, "b.a.example.test.: no such record");
    store_edit_free(edit);

    assert_int_equal(store_edit_new(name_of(ZONE), &edit), 0);
    assert_int_equal(store_edit_remove_if_any(edit,
                                              name_of("b.a.example.test."),
                                              DNS_TYPE_A, NULL, 0),
                     DNS_OK);
    assert_int_equal(store_lmdb_commit(f->store, edit, f->error), DNS_OK);
    store_edit_free(edit);
    assert_int_equal(serial_of(f, ZONE), 8);
}

static void
deletes_a_zone(void **state)
{
    fixture_t *f = *state;
    store_edit_t *edit = NULL;
    dns_zone_t zone;

    assert_int_equal(load(f, ZONE, APEX_TEXT "a A 192.0.2.1\n"), DNS_OK);
    assert_int_equal(store_edit_new(name_of(ZONE), &edit), 0);
    store_edit_delete_zone(edit);
    assert_int_equal(store_lmdb_commit(f->store, edit, f->error), DNS_OK);
    assert_string_equal(zone_of(f, ZONE, 256, &zone), "");
    assert_int_equal(store_lmdb_commit(f->store, edit, f->error),
                     DNS_ENOTFOUND);
    store_edit_free(edit);
    assert_int_equal(add(f, ZONE, "a 5 A 192.0.2.1\n"), DNS_ENOTFOUND);
    assert_string_equal(f->error, "example.test.: no such zone");
}

/* Each zone that a name server must refuse, and the reason. */
static void
refuses_a_zone_with_the_reason(void **state)
{
    static const struct {
        const char *text;
        dns_status_t status;
        const char *error;
    } cases[] = {
        {"", DNS_ECONFLICT,
         "example.test.: no SOA record at the top of the zone"},
        {"a 5 A 192.0.2.1\n", DNS_ECONFLICT,
         "example.test.: no SOA record at the top of the zone"},
        {"@ 5 NS a.\n", DNS_ECONFLICT,
         "example.test.: no SOA record at the top of the zone"},
        {"@ 5 SOA a. b. 1 1 1 1 1\n", DNS_ECONFLICT,
         "example.test.: no NS record at the top of the zone"},
        {APEX_TEXT "@ SOA a. b. 1 1 1 1 1\n", DNS_ECONFLICT,
         "example.test.: more than one SOA record"},
        {APEX_TEXT "a SOA a. b. 1 1 1 1 1\n", DNS_ECONFLICT,
         "a.example.test.: SOA record below the top of the zone"},
        {APEX_TEXT "a CNAME b\na A 192.0.2.1\n", DNS_ECONFLICT,
         "a.example.test.: CNAME beside other data"},
        {APEX_TEXT "@ CNAME b\n", DNS_ECONFLICT,
         "example.test.: CNAME beside other data"},
        {APEX_TEXT "a CNAME b\na CNAME c\n", DNS_ECONFLICT,
         "a.example.test.: more than one CNAME record"},
        {APEX_TEXT "a DNAME b\na CNAME c\n", DNS_ECONFLICT,
         "a.example.test.: CNAME beside other data"},
        {APEX_TEXT "a DNAME b\na DNAME c\n", DNS_ECONFLICT,
         "a.example.test.: more than one DNAME record"},
        {APEX_TEXT "a DNAME b\na NS c\n", DNS_ECONFLICT,
         "a.example.test.: DNAME beside NS below the top of the zone"},
        {APEX_TEXT "a.other.test. A 192.0.2.1\n", DNS_EMALFORMED,
         "a.other.test.: not in the zone"},
    };
    fixture_t *f = *state;

    assert_int_equal(load(f, ZONE, APEX_TEXT "old A 192.0.2.1\n"), DNS_OK);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(load(f, ZONE, cases[i].text), cases[i].status);
        assert_string_equal(f->error, cases[i].error);
        assert_lookup(f, "old.example.test.", DNS_LOOKUP_NODE, 3);
    }

    assert_int_equal(load(f, ZONE,
                          APEX_TEXT "a CNAME b\n"
                                    "a NSEC b CNAME NSEC\n"
                                    "@ DNAME b.test.\n"),
                     DNS_OK);
}

static void
refuses_rdata_that_is_not_of_its_type(void **state)
{
    static const uint8_t address[] = {192, 0, 2};
    fixture_t *f = *state;
    store_edit_t *edit = NULL;

    assert_int_equal(load(f, ZONE, APEX_TEXT), DNS_OK);
    assert_int_equal(store_edit_new(name_of(ZONE), &edit), 0);
    assert_int_equal(store_edit_add(edit, name_of("a.example.test."),
                                    DNS_TYPE_A, 5, address, 3),
                     DNS_EMALFORMED);
    assert_int_equal(store_lmdb_commit(f->store, edit, f->error),
                     DNS_EMALFORMED);
    assert_string_equal(
        f->error, "a.example.test.: the data is not of the record's type");
    store_edit_free(edit);
}

static void
walks_a_zone_in_canonical_order(void **state)
{
    static const char *const order[] = {
        "example.test.",         "*.example.test.",   "a.example.test.",
        "\\000.a.example.test.", "z.a.example.test.", "b.example.test.",
    };
    fixture_t *f = *state;
    dns_source_t source = {0};
    dns_zone_t zone = {0};
    dns_name_t name;
    dns_node_t node;
    bool is_first = true;
    size_t count = 0;
    char text[DNS_NAME_TEXT_SIZE];

    assert_int_equal(load(f, ZONE,
                          APEX_TEXT "b A 192.0.2.1\nz.a A 192.0.2.1\n"
                                    "\\000.a A 192.0.2.1\na A 192.0.2.1\n"
                                    "* A 192.0.2.1\n"),
                     DNS_OK);
    assert_int_equal(load(f, "zz.test.", APEX_TEXT), DNS_OK);
    zone_of(f, ZONE, 256, &zone);
    assert_int_equal(store_lmdb_read_begin(f->reader, &source), DNS_OK);

    while (store_lmdb_next_node(f->reader, &zone, &is_first, &name, &node) ==
           DNS_OK) {
        dns_name_to_text(text, name.octets);
        assert_true(count < 6);
        assert_string_equal(text, order[count++]);
    }

    assert_int_equal(count, 6);
    store_lmdb_read_end(f->reader);
}

static void
a_snapshot_does_not_see_a_later_commit(void **state)
{
    fixture_t *f = *state;
    dns_source_t source = {0};
    dns_lookup_t lookup = {0};
    dns_zone_t zone;
    dns_name_t name;

    dns_name_set(&name, name_of("a.example.test."));
    assert_int_equal(load(f, ZONE, APEX_TEXT), DNS_OK);
    assert_int_equal(store_lmdb_read_begin(f->reader, &source), DNS_OK);

    uint64_t snapshot = store_lmdb_snapshot(f->reader);

    assert_int_equal(add(f, ZONE, "a 5 A 192.0.2.1\n"), DNS_OK);
    assert_int_equal(source.ops->find_zone(source.data, &name, 256, &zone), 0);
    assert_int_equal(source.ops->lookup(source.data, &zone, &name, &lookup), 0);
    assert_int_equal(lookup.kind, DNS_LOOKUP_ABSENT);
    store_lmdb_read_end(f->reader);

    assert_int_equal(store_lmdb_read_begin(f->reader, &source), DNS_OK);
    assert_int_not_equal(store_lmdb_snapshot(f->reader), snapshot);
    store_lmdb_read_end(f->reader);
    assert_lookup(f, "a.example.test.", DNS_LOOKUP_NODE, 3);
}

static void
all_is_there_after_reopening(void **state)
{
    fixture_t *f = *state;

    assert_int_equal(load(f, ZONE, APEX_TEXT "a A 192.0.2.1\n"), DNS_OK);
    fixture_close(f);
    fixture_open(f);
    assert_lookup(f, "a.example.test.", DNS_LOOKUP_NODE, 3);
}

static void
an_unknown_format_is_refused(void **state)
{
    fixture_t *f = *state;
    uint32_t format = STORE_FORMAT + 1;
    MDB_val key = {6, "format"};
    MDB_val value = {sizeof(format), &format};
    MDB_txn *txn = NULL;
    store_lmdb_t *store = NULL;

    assert_int_equal(mdb_txn_begin(f->store->env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_put(txn, f->store->meta, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    fixture_close(f);
    assert_int_equal(store_lmdb_open(&store, f->folder, false, f->error),
                     DNS_ESTORE);
    assert_non_null(strstr(f->error, "format 2"));
    f->store = NULL;
    f->reader = NULL;
}

static void
a_folder_that_cannot_be_made_is_named(void **state)
{
    fixture_t *f = *state;
    store_lmdb_t *store = NULL;

    assert_int_equal(
        store_lmdb_open(&store, "/nonexistent/folder", false, f->error),
        DNS_ESTORE);
    assert_non_null(strstr(f->error, "/nonexistent/folder"));
    assert_int_equal(
        store_lmdb_open(&store, "/nonexistent/folder", true, f->error),
        DNS_ESTORE);
}

static off_t
file_size(const fixture_t *f, char *path, size_t room)
{
    struct stat file;

    snprintf(path, room, "%s/data.mdb", f->folder);
    assert_int_equal(stat(path, &file), 0);
    return file.st_size;
}

/* Takes pages at the end of the file and gives them back in one transaction. */
static void
take_and_give_back(fixture_t *f, size_t size)
{
    uint8_t *octets = calloc(1, size);
    MDB_val key = {3, "big"};
    MDB_val value = {size, octets};
    MDB_txn *txn = NULL;

    assert_int_equal(mdb_txn_begin(f->store->env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_put(txn, f->store->meta, &key, &value, 0), 0);
    assert_int_equal(mdb_del(txn, f->store->meta, &key, NULL), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    free(octets);
}

static void
a_file_is_whole_without_its_free_end_and_no_shorter(void **state)
{
    fixture_t *f = *state;
    char path[128];
    MDB_envinfo info;
    MDB_stat stat;

    assert_int_equal(load(f, ZONE, APEX_TEXT "a A 192.0.2.1\n"), DNS_OK);

    for (size_t size = 1000; size < 20000000; size *= 7) {
        take_and_give_back(f, size);
        assert_int_equal(lmdb_check_file(f->folder, f->error), DNS_OK);
        assert_int_equal(add(f, ZONE, "a 60 A 192.0.2.2\n"), DNS_OK);
    }

    mdb_env_info(f->store->env, &info);
    mdb_env_stat(f->store->env, &stat);

    const off_t size = file_size(f, path, sizeof(path));

    /* What this test is about: the file ends before its last page. */
    assert_true(size < (off_t) (info.me_last_pgno * stat.ms_psize));
    assert_int_equal(lmdb_check_file(f->folder, f->error), DNS_OK);
    fixture_close(f);
    fixture_open(f);
    fixture_close(f);
    assert_int_equal(truncate(path, size - (off_t) stat.ms_psize), 0);
    assert_int_equal(lmdb_check_file(f->folder, f->error), DNS_ESTORE);
    assert_non_null(strstr(f->error, "was cut"));
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(lmdb_check_file(f->folder, f->error), DNS_ESTORE);
    assert_non_null(strstr(f->error, "is empty"));
    f->store = NULL;
    f->reader = NULL;
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(finds_names_empty_non_terminals_and_enclosers),
        TEST(tells_octets_0_and_1_and_dots_in_labels_apart),
        TEST(the_deepest_zone_holds_a_name),
        TEST(the_root_can_be_a_zone),
        TEST(says_whether_zones_lie_below_a_name),
        TEST(says_whether_a_zone_has_cuts_and_wildcards),
        TEST(an_edit_raises_serial_and_generation),
        TEST(rfc1982_3_1_the_serial_wraps),
        TEST(removes_sets_and_records),
        TEST(deletes_a_zone),
        TEST(refuses_a_zone_with_the_reason),
        TEST(refuses_rdata_that_is_not_of_its_type),
        TEST(walks_a_zone_in_canonical_order),
        TEST(a_snapshot_does_not_see_a_later_commit),
        TEST(all_is_there_after_reopening),
        TEST(an_unknown_format_is_refused),
        TEST(a_folder_that_cannot_be_made_is_named),
        TEST(a_file_is_whole_without_its_free_end_and_no_shorter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
