#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

/* A store in a folder of its own, and zones for it from master-file text. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dns/rdata_text.h"
#include "dns/type.h"
#include "dns/zonefile.h"
#include "store/private/lmdb.h"

typedef struct {
    char folder[64];
    store_lmdb_t *store;
    store_lmdb_reader_t *reader;
    char error[STORE_ERROR_SIZE];
} fixture_t;

#define APEX_TEXT                                                              \
    "$TTL 300\n"                                                               \
    "@ SOA ns.example.test. host.example.test. 7 3600 600 86400 60\n"          \
    "@ NS ns.example.test.\n"

static inline const uint8_t *
name_of(const char *text)
{
    static uint8_t names[4][DNS_NAME_MAX];
    static int turn;
    uint8_t *name = names[turn++ & 3];

    assert_int_equal(dns_name_from_text(name, text, strlen(text), NULL, NULL),
                     DNS_OK);
    return name;
}

static inline void
fixture_open(fixture_t *f)
{
    if (store_lmdb_open(&f->store, f->folder, false, f->error) != DNS_OK) {
        fail_msg("%s", f->error);
    }

    assert_int_equal(store_lmdb_reader_new(f->store, &f->reader), DNS_OK);
}

static inline void
fixture_close(fixture_t *f)
{
    store_lmdb_reader_free(f->reader);
    store_lmdb_close(f->store);
}

static inline int
fixture_setup(void **state)
{
    fixture_t *f = calloc(1, sizeof(*f));

    strcpy(f->folder, "/tmp/resolua-store-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    fixture_open(f);
    *state = f;
    return 0;
}

static inline int
fixture_teardown(void **state)
{
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    fixture_t *f = *state;
    char path[128];

    fixture_close(f);

    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", f->folder, files[i]);
        unlink(path);
    }

    rmdir(f->folder);
    free(f);
    return 0;
}

/* Adds the records of a text to an edit. */
static inline void
add_text(store_edit_t *edit, const char *apex, const char *text)
{
    dns_zonefile_options_t options = {
        .text = text, .size = strlen(text), .origin = name_of(apex)};
    dns_zonefile_t *file = NULL;
    dns_record_t record;
    dns_status_t status = dns_zonefile_open(&file, &options);

    while (status == DNS_OK &&
           (status = dns_zonefile_next(file, &record)) == DNS_OK) {
        (void) !store_edit_add(edit, record.owner, record.type, record.ttl,
                               record.rdata, record.rdata_size);
    }

    if (status != DNS_ENOTFOUND) {
        fail_msg("%s", dns_zonefile_error(file));
    }

    dns_zonefile_free(file);
}

/* Replaces a zone; gives what commit gives. */
static inline dns_status_t
load(fixture_t *f, const char *apex, const char *text)
{
    store_edit_t *edit = NULL;

    assert_int_equal(store_edit_new(name_of(apex), &edit), 0);
    store_edit_replace_zone(edit);
    add_text(edit, apex, text);

    dns_status_t status = store_lmdb_commit(f->store, edit, f->error);

    store_edit_free(edit);
    return status;
}

/* Adds records to a zone. */
static inline dns_status_t
add(fixture_t *f, const char *apex, const char *text)
{
    store_edit_t *edit = NULL;

    assert_int_equal(store_edit_new(name_of(apex), &edit), 0);
    add_text(edit, apex, text);

    dns_status_t status = store_lmdb_commit(f->store, edit, f->error);

    store_edit_free(edit);
    return status;
}

#endif
