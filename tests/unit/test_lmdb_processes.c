#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

#include "store_fixture.h"

#define ZONE "example.test."

enum {
    KILLS = 12,
    LIFE_MAX_US = 60000,
    SNAPSHOTS = 3000,
    SMALL_MAP = 128 * 1024, /* bytes */
};

/* Adds the record nN with the address 10.N; gives what commit gives. */
static dns_status_t
add_number(store_lmdb_t *store, unsigned number, char *error)
{
    uint8_t address[4] = {10, (uint8_t) (number >> 16), (uint8_t) (number >> 8),
                          (uint8_t) number};
    char text[64];
    store_edit_t *edit = NULL;

    snprintf(text, sizeof(text), "n%u.%s", number, ZONE);

    if (store_edit_new(name_of(ZONE), &edit) != DNS_OK) {
        return DNS_ENOMEM;
    }

    dns_status_t status =
        store_edit_add(edit, name_of(text), DNS_TYPE_A, 60, address, 4);

    if (status == DNS_OK) {
        status = store_lmdb_commit(store, edit, error);
    }

    store_edit_free(edit);
    return status;
}

static bool
has_number(store_lmdb_reader_t *reader, unsigned number)
{
    dns_source_t source = {0};
    dns_lookup_t lookup = {0};
    dns_zone_t zone;
    dns_name_t name;
    char text[64];

    snprintf(text, sizeof(text), "n%u.%s", number, ZONE);
    dns_name_set(&name, name_of(text));
    assert_int_equal(store_lmdb_read_begin(reader, &source), DNS_OK);
    assert_int_equal(source.ops->find_zone(source.data, &name, 256, &zone), 0);
    assert_int_equal(source.ops->lookup(source.data, &zone, &name, &lookup), 0);
    store_lmdb_read_end(reader);
    return lookup.kind == DNS_LOOKUP_NODE;
}

/* The serial, and the number of nodes that a walk finds; the zone's whole is
   checked on the way. */
static void
assert_zone_is_whole(store_lmdb_reader_t *reader, uint32_t *serial,
                     unsigned *count)
{
    dns_source_t source = {0};
    dns_zone_t zone = {0};
    dns_rdata_t soa = {0};
    dns_name_t name;
    dns_node_t node;
    uint64_t at = 0;
    bool is_first = true;

    assert_int_equal(store_lmdb_read_begin(reader, &source), DNS_OK);
    assert_int_equal(store_lmdb_next_zone(reader, &at, &zone, &soa), DNS_OK);
    *serial = get32(soa.octets + soa.size - 20);

    for (*count = 0;
         store_lmdb_next_node(reader, &zone, &is_first, &name, &node) == DNS_OK;
         ++*count) {
        assert_int_equal(dns_node_check(&node), DNS_OK);
    }

    store_lmdb_read_end(reader);
}

/* Edits until it is killed, and says each commit that it was told of. */
_Noreturn static void
edit_for_ever(const char *folder, unsigned number, int pipe_end)
{
    char error[STORE_ERROR_SIZE];
    store_lmdb_t *store = NULL;

    if (store_lmdb_open(&store, folder, false, error) != DNS_OK) {
        _exit(1);
    }

    for (;; number++) {
        if (add_number(store, number, error) != DNS_OK ||
            write(pipe_end, &number, sizeof(number)) != sizeof(number)) {
            _exit(2);
        }
    }
}

/* Lets a child edit for a while and kills it; gives the first number that was
   not acknowledged. */
static unsigned
edit_and_kill(const fixture_t *f, unsigned number, unsigned life_us)
{
    int ends[2] = {-1, -1};
    unsigned acknowledged = number;

    assert_int_equal(pipe(ends), 0);

    pid_t child = fork();

    if (child == 0) {
        close(ends[0]);
        edit_for_ever(f->folder, number, ends[1]);
    }

    assert_true(child > 0);
    close(ends[1]);
    usleep(life_us);
    kill(child, SIGKILL);

    int status = 0;

    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));

    while (read(ends[0], &number, sizeof(number)) == sizeof(number)) {
        acknowledged = number + 1;
    }

    close(ends[0]);
    return acknowledged;
}

static void
a_killed_writer_loses_nothing_that_it_acknowledged(void **state)
{
    fixture_t *f = *state;
    unsigned seed = (unsigned) time(NULL);
    unsigned next = 0;

    print_message("seed %u\n", seed);
    assert_int_equal(load(f, ZONE, APEX_TEXT), DNS_OK);
    fixture_close(f);

    for (int i = 0; i < KILLS; i++) {
        uint32_t serial = 0;
        unsigned nodes = 0;
        unsigned first = next;

        next = edit_and_kill(f, next,
                             1000 + (unsigned) rand_r(&seed) % LIFE_MAX_US);
        fixture_open(f);

        for (unsigned n = first; n < next; n++) {
            assert_true(has_number(f->reader, n));
        }

        /* One more may be on the disk whose news was not heard; nothing of a
           commit is there without the rest of it. */
        next += has_number(f->reader, next);
        assert_zone_is_whole(f->reader, &serial, &nodes);
        assert_int_equal(serial, 7 + next);
        assert_int_equal(nodes, 1 + next);
        fixture_close(f);
    }

    fixture_open(f);
    print_message("%u edits over %d kills\n", next, KILLS);
}

/* Replaces the zone again and again: all its records have one number. */
_Noreturn static void
replace_for_ever(const char *folder)
{
    char error[STORE_ERROR_SIZE];
    store_lmdb_t *store = NULL;

    if (store_lmdb_open(&store, folder, false, error) != DNS_OK) {
        _exit(1);
    }

    for (unsigned number = 0;; number++) {
        store_edit_t *edit = NULL;
        uint8_t address[4] = {10, 0, (uint8_t) (number >> 8), (uint8_t) number};

        if (store_edit_new(name_of(ZONE), &edit) != DNS_OK) {
            _exit(2);
        }

        store_edit_replace_zone(edit);
        add_text(edit, ZONE, APEX_TEXT);

        for (int i = 0; i < 50; i++) {
            char text[64];

            snprintf(text, sizeof(text), "n%d.%s", i, ZONE);
            (void) !store_edit_add(edit, name_of(text), DNS_TYPE_A, 60, address,
                                   4);
        }

        if (store_lmdb_commit(store, edit, error) != DNS_OK) {
            _exit(3);
        }

        store_edit_free(edit);
    }
}

/* The address that all records of a snapshot must have. */
static uint32_t
number_of_snapshot(fixture_t *f)
{
    dns_source_t source = {0};
    uint32_t number = 0;

    assert_int_equal(store_lmdb_read_begin(f->reader, &source), DNS_OK);

    for (int i = 0; i < 50; i++) {
        dns_zone_t zone;
        dns_name_t name;
        dns_lookup_t lookup = {0};
        dns_rrset_t rrset = {0};
        char text[64];

        snprintf(text, sizeof(text), "n%d.%s", i, ZONE);
        dns_name_set(&name, name_of(text));
        assert_int_equal(source.ops->find_zone(source.data, &name, 256, &zone),
                         DNS_OK);
        assert_int_equal(source.ops->lookup(source.data, &zone, &name, &lookup),
                         DNS_OK);

        if (lookup.kind != DNS_LOOKUP_NODE) {
            assert_int_equal(i, 0); /* before the child's first commit */
            break;
        }

        assert_true(dns_node_find(&lookup.node, DNS_TYPE_A, &rrset));
        assert_true(i == 0 || get32(rrset.rdata + 2) == number);
        number = get32(rrset.rdata + 2);
    }

    store_lmdb_read_end(f->reader);
    return number;
}

static void
readers_see_whole_commits_of_another_process(void **state)
{
    fixture_t *f = *state;
    unsigned changes = 0;
    uint32_t last = 0;

    assert_int_equal(load(f, ZONE, APEX_TEXT), DNS_OK);
    fixture_close(f);

    pid_t child = fork();

    if (child == 0) {
        replace_for_ever(f->folder);
    }

    assert_true(child > 0);
    fixture_open(f);

    for (int i = 0; i < SNAPSHOTS || changes < 3; i++) {
        uint32_t number = number_of_snapshot(f);

        assert_true(number >= last);
        changes += number != last;
        last = number;
    }

    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void
the_map_grows_with_what_it_holds(void **state)
{
    fixture_t *f = *state;
    store_lmdb_t *store = NULL;
    store_lmdb_reader_t *reader = NULL;
    uint32_t serial = 0;
    unsigned nodes = 0;

    fixture_close(f);
    f->store = NULL;
    f->reader = NULL;
    assert_int_equal(lmdb_open(&store, f->folder, false, SMALL_MAP, f->error),
                     DNS_OK);
    f->store = store;
    assert_int_equal(load(f, ZONE, APEX_TEXT), DNS_OK);
    assert_int_equal(store_lmdb_reader_new(store, &reader), DNS_OK);

    store_edit_t *edit = NULL;

    assert_int_equal(store_edit_new(name_of(ZONE), &edit), 0);

    for (unsigned i = 0; i < 5000; i++) {
        uint8_t address[4] = {10, 0, 0, 1};
        char text[64];

        snprintf(text, sizeof(text), "n%u.%s", i, ZONE);
        assert_int_equal(
            store_edit_add(edit, name_of(text), DNS_TYPE_A, 60, address, 4),
            DNS_OK);
    }

    assert_false(has_number(reader, 4999));
    assert_int_equal(store_lmdb_commit(f->store, edit, f->error), DNS_OK);
    assert_string_equal(f->error, "");
    store_edit_free(edit);
    assert_true(has_number(reader, 4999));
    assert_zone_is_whole(reader, &serial, &nodes);
    assert_int_equal(nodes, 5001);
    assert_int_equal(serial, 8);
    store_lmdb_reader_free(reader);
}

/* The map of a process that reads is moved when another one made it larger. */
static void
a_reader_follows_a_map_that_another_process_made_larger(void **state)
{
    fixture_t *f = *state;
    store_lmdb_t *store = NULL;

    assert_int_equal(load(f, ZONE, APEX_TEXT), DNS_OK);
    fixture_close(f);
    assert_int_equal(lmdb_open(&store, f->folder, false, SMALL_MAP, f->error),
                     DNS_OK);
    f->store = store;
    assert_int_equal(store_lmdb_reader_new(store, &f->reader), DNS_OK);
    assert_false(has_number(f->reader, 0));

    pid_t child = fork();

    if (child == 0) {
        fixture_t other = {.folder = ""};
        char text[64];

        memcpy(other.folder, f->folder, sizeof(other.folder));
        fixture_open(&other);

        for (unsigned i = 0; i < 3000; i += 1000) {
            store_edit_t *edit = NULL;
            uint8_t address[4] = {10, 0, 0, 1};

            (void) !store_edit_new(name_of(ZONE), &edit);
            for (unsigned k = 0; k < 1000; k++) {
                snprintf(text, sizeof(text), "n%u.%s", i + k, ZONE);
                (void) !store_edit_add(edit, name_of(text), DNS_TYPE_A, 60,
                                       address, 4);
            }
            if (store_lmdb_commit(other.store, edit, other.error) != DNS_OK) {
                _exit(1);
            }
            store_edit_free(edit);
        }

        _exit(0);
    }

    int status = 0;

    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_true(has_number(f->reader, 2999));
    assert_int_equal(add_number(f->store, 70000, f->error), DNS_OK);
    assert_true(has_number(f->reader, 70000));
}

typedef struct {
    store_lmdb_t *store;
    unsigned first;
    atomic_bool failed;
} writer_t;

static void *
write_some(void *data)
{
    writer_t *w = data;
    char error[STORE_ERROR_SIZE];

    /* name_of() shares its memory: names are made by hand here. */
    for (unsigned i = 0; i < 50; i++) {
        uint8_t name[] = "\4a000\7example\4test";
        uint8_t apex[] = "\7example\4test";
        uint8_t address[4] = {10, 0, 0, 1};
        store_edit_t *edit = NULL;
        unsigned number = w->first + i;

        name[2] = (uint8_t) ('0' + number / 100 % 10);
        name[3] = (uint8_t) ('0' + number / 10 % 10);
        name[4] = (uint8_t) ('0' + number % 10);

        if (store_edit_new(apex, &edit) != DNS_OK ||
            store_edit_add(edit, name, DNS_TYPE_A, 60, address, 4) != DNS_OK ||
            store_lmdb_commit(w->store, edit, error) != DNS_OK) {
            atomic_store(&w->failed, true);
        }

        store_edit_free(edit);
    }

    return NULL;
}

static void
threads_of_one_process_write_in_turn(void **state)
{
    fixture_t *f = *state;
    pthread_t threads[3];
    writer_t writers[3];
    uint32_t serial = 0;
    unsigned nodes = 0;

    assert_int_equal(load(f, ZONE, APEX_TEXT), DNS_OK);

    for (unsigned i = 0; i < 3; i++) {
        writers[i].store = f->store;
        writers[i].first = 100 * i;
        atomic_init(&writers[i].failed, false);
        assert_int_equal(
            pthread_create(&threads[i], NULL, write_some, &writers[i]), 0);
    }

    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_false(atomic_load(&writers[i].failed));
    }

    assert_zone_is_whole(f->reader, &serial, &nodes);
    assert_int_equal(nodes, 151);
    assert_int_equal(serial, 7 + 150);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_killed_writer_loses_nothing_that_it_acknowledged),
        TEST(readers_see_whole_commits_of_another_process),
        TEST(the_map_grows_with_what_it_holds),
        TEST(a_reader_follows_a_map_that_another_process_made_larger),
        TEST(threads_of_one_process_write_in_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
