/* What of PowerDNS's tables is rectified after an edit. */

#include <mysqld_error.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dns/nsec3.h"
#include "dns/rdata_text.h"
#include "dns/type.h"
#include "store/mysql/rectify.h"

static bool
is_no_table(store_database_t *db)
{
    const unsigned number = client_mysql_code(my_client(db));

    return number == ER_NO_SUCH_TABLE || number == ER_BAD_FIELD_ERROR;
}

static void
read_parameters(rectify_t *r, const char *text, size_t size)
{
    const dns_rdata_input_t input = {
        .type = DNS_TYPE_NSEC3PARAM, .text = text, .size = size};
    uint8_t rdata[DNS_RDATA_MAX];
    uint16_t rdata_size;

    if (dns_rdata_from_text(&input, rdata, &rdata_size, NULL) == DNS_OK &&
        rdata_size <= sizeof(r->octets)) {
        memcpy(r->octets, rdata, rdata_size);
        r->parameters = (dns_rdata_t){r->octets, rdata_size};
        r->is_opt_out = (rdata[1] & DNS_NSEC3_OPT_OUT) != 0;
    }
}

/* One row: is the zone signed, its NSEC3PARAM, is it narrow. */
static dns_status_t
take_order(rectify_t *r)
{
    MYSQL_RES *rows = client_mysql_rows(my_client(r->db));
    MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);

    if (row == NULL) {
        return database_fail(r->db, DNS_ESTORE, "the statement gives no rows");
    }

    if (row[1] != NULL) {
        read_parameters(r, row[1], mysql_fetch_lengths(rows)[1]);
    }

    const bool is_signed = row[0] != NULL && strcmp(row[0], "0") != 0;

    r->is_narrow = row[2] != NULL && strcmp(row[2], "1") == 0;
    r->order = !is_signed                ? ORDER_NONE
               : r->parameters.size == 0 ? ORDER_NSEC
                                         : ORDER_NSEC3;
    return DNS_OK;
}

/* Tables that a small layout does without: then nothing is signed. */
dns_status_t
rectify_read_order(rectify_t *r)
{
    const unsigned id = r->db->zone_id;
    buffer_t statement = {0};

    buffer_put(&statement,
               "SELECT EXISTS(SELECT 1 FROM cryptokeys WHERE domain_id = %u"
               " AND active = 1) OR EXISTS(SELECT 1 FROM domainmetadata WHERE"
               " domain_id = %u AND kind = 'PRESIGNED' AND content = '1'),"
               " (SELECT MAX(content) FROM domainmetadata WHERE domain_id = %u"
               " AND kind = 'NSEC3PARAM'), (SELECT MAX(content) FROM"
               " domainmetadata WHERE domain_id = %u AND kind = 'NSEC3NARROW')",
               id, id, id, id);

    dns_status_t status = my_run(r->db, &statement);

    buffer_free(&statement);

    if (status == DNS_ESTORE && is_no_table(r->db)) {
        r->order = ORDER_NONE;
        return DNS_OK;
    }

    return status == DNS_OK ? take_order(r) : status;
}

static row_kind_t
kind_of(const char *type)
{
    return type == NULL || *type == '\0'   ? ROW_EMPTY
           : strcasecmp(type, "NS") == 0   ? ROW_NS
           : strcasecmp(type, "DS") == 0   ? ROW_DS
           : strcasecmp(type, "A") == 0    ? ROW_ADDRESS
           : strcasecmp(type, "AAAA") == 0 ? ROW_ADDRESS
                                           : ROW_OTHER;
}

bool
rectify_grow(void **items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity) {
        return true;
    }

    const size_t more = *capacity == 0 ? 64 : 2 * *capacity;
    void *grown = realloc(*items, more * item_size);

    if (grown == NULL) {
        return false;
    }

    *items = grown;
    *capacity = more;
    return true;
}

/* id, name, type, auth, ordername; what is no name of the zone is left alone.
 */
static dns_status_t
add_row(rectify_t *r, MYSQL_ROW row, const unsigned long *sizes)
{
    const dns_name_t *apex = &r->db->apex;
    uint8_t wire[DNS_NAME_MAX];
    uint8_t key[DNS_KEY_MAX];
    dns_name_t name;

    if (row[1] == NULL ||
        dns_name_from_text(wire, row[1], sizes[1], NULL, NULL) != DNS_OK ||
        !dns_name_is_within(wire, apex->octets)) {
        return DNS_OK;
    }

    if (!rectify_grow((void **) &r->rows, r->count, &r->capacity,
                      sizeof(*r->rows))) {
        return DNS_ENOMEM;
    }

    dns_name_set(&name, wire);

    const size_t size = dns_name_key(key, &name, apex->label_count);
    row_t *out = &r->rows[r->count++];

    *out = (row_t){.id = strtoull(row[0], NULL, 10),
                   .key_at = r->texts.size,
                   .key_size = (uint16_t) size,
                   .kind = (uint8_t) kind_of(row[2]),
                   .auth = row[3] != NULL && strcmp(row[3], "1") == 0,
                   .has_order = row[4] != NULL};
    buffer_put_octets(&r->texts, (const char *) key, size);
    out->order_at = r->texts.size;

    if (row[4] != NULL) {
        buffer_put_octets(&r->texts, row[4], sizes[4] + 1);
    }

    return r->texts.failed ? DNS_ENOMEM : DNS_OK;
}

dns_status_t
rectify_read_rows(rectify_t *r)
{
    dns_status_t status = my_walk_for_zone(
        r->db, "SELECT id, name, type, auth, ordername FROM records WHERE"
               " disabled = 0 AND domain_id = ");

    if (status != DNS_OK) {
        return status == DNS_ESTORE && is_no_table(r->db) ? DNS_ENOTFOUND
                                                          : status;
    }

    MYSQL_RES *rows = client_mysql_rows(my_client(r->db));
    MYSQL_ROW row = NULL;

    do {
        status = my_walk_next(r->db, &row);

        if (status == DNS_OK && row != NULL) {
            status = add_row(r, row, mysql_fetch_lengths(rows));
        }
    } while (status == DNS_OK && row != NULL);

    return my_walk_end(r->db, status);
}
