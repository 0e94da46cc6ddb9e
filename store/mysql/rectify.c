/*
 * What PowerDNS needs in its tables beside the records, and what its own API
 * sets after an edit ("rectify"): a row without a type for each empty
 * non-terminal; auth, which is 0 at and below a delegation; ordername, the
 * place in the order of NSEC or NSEC3 of a zone that it signs or serves signed.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/base_n.h"
#include "dns/nsec3.h"
#include "store/mysql/rectify.h"

enum {
    HASH_TEXT_SIZE = 33, /* base32hex of 20 octets, and a NUL */
    BATCH = 500,         /* rows in a statement */
};

/* The name whose rows are looked at. */
typedef struct {
    dns_name_t name;
    bool is_cut;   /* a delegation's own name */
    bool is_below; /* a delegation */
    bool has_ds;
    char order[DNS_NAME_TEXT_SIZE]; /* "" where there is none */
    bool has_order;
} named_t;

static const uint8_t *
key_of(const rectify_t *r, size_t at)
{
    return (const uint8_t *) r->texts.octets + at;
}

static int
compare_rows(const void *left, const void *right, void *data)
{
    const rectify_t *r = data;
    const row_t *a = left;
    const row_t *b = right;
    const size_t common = a->key_size < b->key_size ? a->key_size : b->key_size;
    const int order = common == 0 ? 0
                                  : memcmp(key_of(r, a->key_at),
                                           key_of(r, b->key_at), common);

    return order != 0 ? order : a->key_size - b->key_size;
}

/* A key that is a prefix is an ancestor's. */
static bool
is_within(const rectify_t *r, const row_t *row, size_t key_at, size_t key_size)
{
    return row->key_size >= key_size &&
           (key_size == 0 ||
            memcmp(key_of(r, row->key_at), key_of(r, key_at), key_size) == 0);
}

static size_t
group_end(const rectify_t *r, size_t first)
{
    size_t end = first + 1;

    while (end < r->count &&
           compare_rows(&r->rows[first], &r->rows[end], (void *) r) == 0) {
        end++;
    }

    return end;
}

/* "b.a" below the apex is "a b". */
static void
put_relative(const named_t *named, unsigned apex_labels, char *out)
{
    const unsigned count = named->name.label_count - apex_labels;
    const uint8_t *labels[DEPTH_MAX];
    const uint8_t *p = named->name.octets;

    for (unsigned i = 0; i < count && i < DEPTH_MAX; i++, p += 1 + *p) {
        labels[i] = p;
    }

    *out = '\0';

    for (unsigned i = count; i-- > 0;) {
        uint8_t one[2 + 63];
        char text[DNS_NAME_TEXT_SIZE];

        memcpy(one, labels[i], 1u + *labels[i]);
        one[1 + *labels[i]] = 0;
        text[dns_name_to_text(text, one) - 1] = '\0'; /* without its dot */
        out += sprintf(out, "%s%s", text, i > 0 ? " " : "");
    }
}

static void
put_hash(const rectify_t *r, const dns_name_t *name, char *out)
{
    uint8_t hash[DNS_NSEC3_HASH_SIZE];

    dns_nsec3_hash(&r->parameters, name, hash);
    base_encode(BASE_32_HEX, out, hash, sizeof(hash));
    out[HASH_TEXT_SIZE - 1] = '\0';
}

static void
set_name(const rectify_t *r, size_t key_at, size_t key_size, dns_name_t *out)
{
    uint8_t wire[DNS_NAME_MAX];

    if (dns_name_from_key(wire, key_of(r, key_at), key_size,
                          r->db->apex.octets) == DNS_OK) {
        dns_name_set(out, wire);
    }
}

/* The ordername of a name with records. */
static void
set_order(const rectify_t *r, named_t *named)
{
    named->has_order =
        r->order == ORDER_NSEC ||
        (r->order == ORDER_NSEC3 && !r->is_narrow && !named->is_below);

    if (!named->has_order) {
        return;
    }

    if (r->order == ORDER_NSEC) {
        put_relative(named, r->db->apex.label_count, named->order);
    } else {
        put_hash(r, &named->name, named->order);
    }
}

static dns_status_t
send_updates(rectify_t *r)
{
    dns_status_t status = DNS_OK;

    if (r->update_count > 0) {
        buffer_put(&r->updates, ") v ON v.id = r.id SET r.auth = v.auth,"
                                " r.ordername = v.ordername");
        status = my_run(r->db, &r->updates);
    }

    buffer_clear(&r->updates);
    r->update_count = 0;
    return status;
}

static void
put_order(rectify_t *r, buffer_t *out, const char *order)
{
    if (order == NULL) {
        buffer_put(out, "NULL");
    } else {
        my_put_quoted(out, my_of(r->db), order, strlen(order));
    }
}

/* order: NULL: none. */
static dns_status_t
want(rectify_t *r, const row_t *row, bool auth, const char *order)
{
    const char *found = row->has_order ? r->texts.octets + row->order_at : NULL;

    if (row->auth == auth && (found == NULL) == (order == NULL) &&
        (found == NULL || strcmp(found, order) == 0)) {
        return DNS_OK;
    }

    buffer_put(&r->updates, "%sSELECT %llu AS id, %d AS auth, ",
               r->update_count == 0 ? "UPDATE records r JOIN (" : " UNION ALL ",
               (unsigned long long) row->id, auth);
    put_order(r, &r->updates, order);
    buffer_put(&r->updates, " AS ordername");
    return ++r->update_count == BATCH ? send_updates(r) : DNS_OK;
}

/* Rows of a name that has records; those without a type are not needed. */
static dns_status_t
rectify_row(rectify_t *r, const row_t *row, const named_t *named)
{
    const bool is_auth = !named->is_cut && !named->is_below;
    const bool is_glue = row->kind == ROW_ADDRESS && !is_auth;
    const bool is_opted_out = row->kind == ROW_NS && r->order == ORDER_NSEC3 &&
                              r->is_opt_out && named->is_cut && !named->has_ds;
    const bool has_order = named->has_order && !is_glue && !is_opted_out;

    if (row->kind == ROW_EMPTY) {
        buffer_put(&r->removals, ", %llu", (unsigned long long) row->id);
        return DNS_OK;
    }

    return want(r, row, is_auth || row->kind == ROW_DS,
                has_order ? named->order : NULL);
}

static dns_status_t
open_empty(rectify_t *r, const row_t *row, size_t key_size)
{
    if (!rectify_grow((void **) &r->empties, r->empty_count, &r->empty_capacity,
                      sizeof(*r->empties))) {
        return DNS_ENOMEM;
    }

    r->open[r->depth++] = (open_t){(uint16_t) key_size, true, r->empty_count};
    r->empties[r->empty_count++] =
        (empty_t){.key_at = row->key_at, .key_size = (uint16_t) key_size};
    return DNS_OK;
}

/* The ancestors of a name that comes, as far as they have no records. */
static dns_status_t
open_ancestors(rectify_t *r, const row_t *row, size_t last_at)
{
    const uint8_t *key = key_of(r, row->key_at);
    dns_status_t status = DNS_OK;

    while (r->depth > 0 &&
           !is_within(r, row, last_at, r->open[r->depth - 1].key_size)) {
        r->depth--;
    }

    const size_t above = r->depth == 0 ? 0 : r->open[r->depth - 1].key_size;

    for (size_t size = 1; status == DNS_OK && size < row->key_size; size++) {
        if (key[size - 1] == 0 && size > above) {
            status = open_empty(r, row, size);
        }
    }

    if (status == DNS_OK && row->key_size > above) {
        r->open[r->depth++] = (open_t){row->key_size, false, 0};
    }

    return status;
}

static void
tell_ancestors(rectify_t *r, const named_t *named)
{
    const bool is_auth = !named->is_cut && !named->is_below;
    const bool counts =
        is_auth || (r->order == ORDER_NSEC3 && !r->is_opt_out && named->is_cut);

    for (size_t i = 0; i < r->depth; i++) {
        if (r->open[i].is_empty) {
            empty_t *empty = &r->empties[r->open[i].number];

            empty->leads_to_auth |= counts;
            empty->leads_to_hash |= is_auth || (named->is_cut && named->has_ds);
        }
    }
}

static bool
has_kind(const rectify_t *r, size_t first, size_t end, row_kind_t kind)
{
    for (size_t i = first; i < end; i++) {
        if (r->rows[i].kind == kind) {
            return true;
        }
    }

    return false;
}

static bool
is_all_empty(const rectify_t *r, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        if (r->rows[i].kind != ROW_EMPTY) {
            return false;
        }
    }

    return true;
}

/* The names that have records, in canonical order: what is above comes first.
 */
static dns_status_t
rectify_names(rectify_t *r)
{
    const row_t *cut = NULL;
    size_t last_at = 0;
    dns_status_t status = DNS_OK;
    size_t end;

    for (size_t i = 0; status == DNS_OK && i < r->count; i = end) {
        const row_t *row = &r->rows[i];
        named_t named;

        end = group_end(r, i);

        if (is_all_empty(r, i, end)) {
            continue;
        }

        status = open_ancestors(r, row, last_at);
        last_at = row->key_at;
        set_name(r, row->key_at, row->key_size, &named.name);
        named.is_below =
            cut != NULL && is_within(r, row, cut->key_at, cut->key_size);
        named.is_cut =
            !named.is_below && row->key_size > 0 && has_kind(r, i, end, ROW_NS);
        named.has_ds = has_kind(r, i, end, ROW_DS);
        cut = named.is_cut ? row : cut;
        set_order(r, &named);
        tell_ancestors(r, &named);

        for (size_t at = i; status == DNS_OK && at < end; at++) {
            status = rectify_row(r, &r->rows[at], &named);
        }
    }

    return status;
}

/* Empty non-terminals were found in canonical order. */
static empty_t *
find_empty(rectify_t *r, const row_t *row)
{
    size_t low = 0;
    size_t high = r->empty_count;

    while (low < high) {
        const size_t middle = (low + high) / 2;
        const row_t other = {.key_at = r->empties[middle].key_at,
                             .key_size = r->empties[middle].key_size};
        const int order = compare_rows(&other, row, r);

        if (order == 0) {
            return &r->empties[middle];
        }

        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    return NULL;
}

/* NULL: none. */
static const char *
order_of_empty(const rectify_t *r, const empty_t *empty, char *out)
{
    const bool has_order =
        r->is_opt_out ? empty->leads_to_hash : empty->leads_to_auth;
    dns_name_t name;

    if (r->order != ORDER_NSEC3 || r->is_narrow || !has_order) {
        return NULL;
    }

    set_name(r, empty->key_at, empty->key_size, &name);
    put_hash(r, &name, out);
    return out;
}

/* Rows without a type, at names that have no other. */
static dns_status_t
rectify_empties(rectify_t *r)
{
    char order[HASH_TEXT_SIZE];
    dns_status_t status = DNS_OK;
    size_t end;

    for (size_t i = 0; status == DNS_OK && i < r->count; i = end) {
        end = group_end(r, i);

        if (!is_all_empty(r, i, end)) {
            continue;
        }

        empty_t *empty = find_empty(r, &r->rows[i]);

        for (size_t at = i; status == DNS_OK && at < end; at++) {
            if (empty == NULL || empty->is_stored) {
                buffer_put(&r->removals, ", %llu",
                           (unsigned long long) r->rows[at].id);
                continue;
            }

            empty->is_stored = true;
            status = want(r, &r->rows[at], empty->leads_to_auth,
                          order_of_empty(r, empty, order));
        }
    }

    return status;
}

static void
put_missing(rectify_t *r, const empty_t *empty)
{
    char order[HASH_TEXT_SIZE];
    dns_name_t name;

    set_name(r, empty->key_at, empty->key_size, &name);
    buffer_put(&r->insertions, "%s(%u, ",
               r->insertions.size > 0
                   ? ", "
                   : "INSERT INTO records (domain_id, name, type, content, ttl,"
                     " prio, disabled, auth, ordername) VALUES ",
               r->db->zone_id);
    my_put_name(&r->insertions, my_of(r->db), name.octets);
    buffer_put(&r->insertions, ", NULL, NULL, NULL, NULL, 0, %d, ",
               empty->leads_to_auth);
    put_order(r, &r->insertions, order_of_empty(r, empty, order));
    buffer_put(&r->insertions, ")");
}

static dns_status_t
insert_empties(rectify_t *r)
{
    dns_status_t status = DNS_OK;
    unsigned count = 0;

    for (size_t i = 0; status == DNS_OK && i < r->empty_count; i++) {
        if (!r->empties[i].is_stored) {
            put_missing(r, &r->empties[i]);
            count++;
        }

        if (count > 0 && (count == BATCH || i + 1 == r->empty_count)) {
            status = my_run(r->db, &r->insertions);
            buffer_clear(&r->insertions);
            count = 0;
        }
    }

    return status;
}

static dns_status_t
remove_empties(rectify_t *r)
{
    buffer_t statement = {0};

    if (r->removals.size == 0 || r->removals.failed) {
        return r->removals.failed ? DNS_ENOMEM : DNS_OK;
    }

    buffer_put(&statement, "DELETE FROM records WHERE id IN (%s)",
               r->removals.octets + 2); /* behind the first comma */

    dns_status_t status = my_run(r->db, &statement);

    buffer_free(&statement);
    return status;
}

static dns_status_t
rectify(rectify_t *r)
{
    dns_status_t status = rectify_read_rows(r);

    if (status != DNS_OK) {
        return status == DNS_ENOTFOUND ? DNS_OK : status;
    }

    status = r->count == 0 ? DNS_OK : rectify_read_order(r);

    if (status == DNS_OK && r->count > 0) {
        qsort_r(r->rows, r->count, sizeof(*r->rows), compare_rows, r);
        status = rectify_names(r);
    }

    if (status == DNS_OK) {
        status = rectify_empties(r);
    }

    if (status == DNS_OK) {
        status = send_updates(r);
    }

    if (status == DNS_OK) {
        status = remove_empties(r);
    }

    return status == DNS_OK ? insert_empties(r) : status;
}

dns_status_t
my_rectify(store_database_t *db)
{
    rectify_t *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return database_fail(db, DNS_ENOMEM, "no memory for a zone's names");
    }

    r->db = db;

    dns_status_t status = rectify(r);

    buffer_free(&r->texts);
    buffer_free(&r->updates);
    buffer_free(&r->removals);
    buffer_free(&r->insertions);
    free(r->rows);
    free(r->empties);
    free(r);
    return status;
}
