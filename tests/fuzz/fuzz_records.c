/* What databases hold: a field's JSON, a row.  What is given is valid, and a
   field that is changed and read again means what it was changed to. */

#include <stdlib.h>
#include <string.h>

#include "dns/rdata.h"
#include "dns/type.h"
#include "store/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static store_records_t *records;

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Collects into a node; what is too much is left out. */
static void
visit(void *data, const store_record_t *record, const char *reason)
{
    require((record == NULL) == (reason != NULL));

    if (record == NULL) {
        return;
    }

    require(dns_rdata_check(record->type, record->rdata.octets,
                            record->rdata.size) == DNS_OK);
    (void) !dns_node_builder_add(data, record->type, record->ttl,
                                 record->rdata.octets, record->rdata.size);
}

static void
read_json(const char *text, size_t size, dns_node_builder_t *out)
{
    const store_json_t json = {
        .text = text, .size = size, .serial = 7, .visit = visit, .data = out};

    (void) !store_records_from_json(records, &json);
}

static bool
is_same(const dns_node_t *a, const dns_node_t *b)
{
    return a->size == b->size &&
           (a->size == 0 || memcmp(a->octets, b->octets, a->size) == 0);
}

/* Written into an empty field, the node reads back. */
static void
check_change(const dns_node_t *node)
{
    const dns_node_t nothing = {NULL, 0};
    const store_json_change_t change = {.old = &nothing, .node = node};
    dns_node_builder_t back = {0};
    char *json = NULL;

    require(store_records_change_json(records, &change, &json) == DNS_OK);

    if (json != NULL) {
        read_json(json, strlen(json), &back);
    }

    const dns_node_t again = dns_node_builder_node(&back);

    require(is_same(node, &again));
    free(json);
    dns_node_builder_free(&back);
}

static void
check_row(const char *text, size_t size)
{
    const char *space = memchr(text, ' ', size);
    const size_t type_size = space == NULL ? size : (size_t) (space - text);
    const store_row_t row = {
        .type = text,
        .type_size = type_size,
        .content = space == NULL ? NULL : space + 1,
        .content_size = space == NULL ? 0 : size - type_size - 1,
        .has_prio = size % 2 == 1,
        .prio = (int64_t) size,
    };
    store_record_t record;
    const char *reason = NULL;
    dns_status_t status =
        store_records_from_row(records, &row, &record, &reason);

    if (status == DNS_OK) {
        require(dns_rdata_check(record.type, record.rdata.octets,
                                record.rdata.size) == DNS_OK);
    } else {
        require(status == DNS_ENOTFOUND || reason != NULL);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
    dns_node_builder_t builder = {0};

    if (records == NULL) {
        require(store_records_new(&records) == DNS_OK);
    }

    check_row((const char *) octets, size);
    read_json((const char *) octets, size, &builder);

    const dns_node_t node = dns_node_builder_node(&builder);

    check_change(&node);
    dns_node_builder_free(&builder);
    return 0;
}
