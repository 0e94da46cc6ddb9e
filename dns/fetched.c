#include "dns/fetched.h"

#include <stdlib.h>
#include <string.h>

enum {
    BELOW_STEP = 3,                   /* names asked for what is below them, at
                                         first */
    INDEXED_FROM = 16,                /* entries that are looked through */
    INDEX_SLOTS = 2 * DNS_FETCHED_MAX /* a power of two */
};

typedef struct entry_s {
    uint32_t zone_id;
    uint32_t hash; /* of the name */
    bool rows_known;
    bool below_wanted;
    bool below_known;
    bool is_deferred;       /* asked for when it is known to exist */
    bool exists;            /* has records or descendants */
    bool is_checked;        /* for conflicts */
    struct entry_s *parent; /* NULL: of the apex */
    const dns_name_t *apex; /* own_apex, or that of another entry */
    dns_name_t name;
    dns_name_t own_apex;
    dns_node_builder_t builder; /* owned */
} entry_t;

struct dns_fetched_s {
    const dns_zone_list_t *zones; /* borrowed */
    entry_t **entries;            /* owned, and each of them */
    size_t count;
    size_t made; /* entries that have memory */
    size_t capacity;
    size_t last; /* rows of one name come together */
    bool has_index;
    uint16_t index[INDEX_SLOTS]; /* by hash: number + 1; 0: free */
};

dns_status_t
dns_fetched_new(dns_fetched_t **out, const dns_zone_list_t *zones)
{
    dns_fetched_t *set = calloc(1, sizeof(*set));

    if (set == NULL) {
        return DNS_ENOMEM;
    }

    set->zones = zones;
    *out = set;
    return DNS_OK;
}

void
dns_fetched_free(dns_fetched_t *set)
{
    if (set == NULL) {
        return;
    }

    for (size_t i = 0; i < set->made; i++) {
        dns_node_builder_free(&set->entries[i]->builder);
        free(set->entries[i]);
    }

    free(set->entries);
    free(set);
}

void
dns_fetched_reset(dns_fetched_t *set, const dns_zone_list_t *zones)
{
    set->zones = zones;
    set->count = 0;
    set->last = 0;
    set->has_index = false;
}

/* Who finds names of the same hash makes one query look through all of its own
   names, which are few. */
static uint32_t
hash_of(const uint8_t *name, size_t size)
{
    uint64_t hash = size;

    while (size > 0) {
        const size_t part = size < sizeof(hash) ? size : sizeof(hash);
        uint64_t word = 0;

        memcpy(&word, name, part);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
        name += part;
        size -= part;
    }

    return (uint32_t) hash;
}

static bool
is_entry(const entry_t *entry, uint32_t zone_id, uint32_t hash,
         const uint8_t *name, size_t size)
{
    return entry->hash == hash && entry->zone_id == zone_id &&
           entry->name.size == size &&
           memcmp(entry->name.octets, name, size) == 0;
}

static void
put_in_index(dns_fetched_t *set, size_t number)
{
    size_t at = set->entries[number]->hash;

    while (set->index[at % INDEX_SLOTS] != 0) {
        at++;
    }

    set->index[at % INDEX_SLOTS] = (uint16_t) (number + 1);
}

static void
make_index(dns_fetched_t *set)
{
    memset(set->index, 0, sizeof(set->index));
    set->has_index = true;

    for (size_t i = 0; i < set->count; i++) {
        put_in_index(set, i);
    }
}

/* The number of the entry, or count. */
static size_t
find_number(const dns_fetched_t *set, uint32_t zone_id, const uint8_t *name,
            size_t size)
{
    const uint32_t hash = hash_of(name, size);

    if (set->last < set->count &&
        is_entry(set->entries[set->last], zone_id, hash, name, size)) {
        return set->last;
    }

    if (set->has_index) {
        for (size_t at = hash; set->index[at % INDEX_SLOTS] != 0; at++) {
            const size_t i = set->index[at % INDEX_SLOTS] - 1u;

            if (is_entry(set->entries[i], zone_id, hash, name, size)) {
                return i;
            }
        }

        return set->count;
    }

    size_t i = 0;

    while (i < set->count &&
           !is_entry(set->entries[i], zone_id, hash, name, size)) {
        i++;
    }

    return i;
}

/* name: lower case. */
static entry_t *
find(dns_fetched_t *set, uint32_t zone_id, const uint8_t *name, size_t size)
{
    const size_t number = find_number(set, zone_id, name, size);

    if (number == set->count) {
        return NULL;
    }

    set->last = number;
    return set->entries[number];
}

static entry_t *
find_ancestor(dns_fetched_t *set, uint32_t zone_id, const dns_name_t *name,
              unsigned labels)
{
    const uint8_t *octets = dns_name_suffix(name, labels);

    return find(set, zone_id, octets,
                (size_t) (name->octets + name->size - octets));
}

static dns_status_t
find_zone(void *source, const dns_name_t *name, unsigned above, dns_zone_t *out)
{
    const dns_fetched_t *set = source;
    const dns_zone_t *zone = dns_zone_list_find(set->zones, name, above);

    if (zone == NULL) {
        return DNS_ENOTFOUND;
    }

    *out = *zone;
    return DNS_OK;
}

static void
give(dns_lookup_t *out, const entry_t *entry)
{
    out->node = dns_node_builder_node(&entry->builder);
    out->kind = out->node.size > 0 ? DNS_LOOKUP_NODE : DNS_LOOKUP_EMPTY;
    out->encloser_labels = entry->name.label_count;
}

/* The nearest ancestor in the set. */
static const entry_t *
nearest(dns_fetched_t *set, const dns_zone_t *zone, const dns_name_t *name)
{
    for (unsigned n = name->label_count; n-- > zone->apex.label_count;) {
        const entry_t *entry = find_ancestor(set, zone->id, name, n);

        if (entry != NULL) {
            return entry;
        }
    }

    return NULL;
}

/* The uppermost ancestor that is absent tells that all names below it are,
   whatever is known of them.  entry: the name's, or its nearest ancestor's. */
static dns_status_t
find_absent(const entry_t *entry, dns_lookup_t *out)
{
    const entry_t *absent = NULL;

    for (; entry != NULL && entry->parent != NULL && !entry->exists;
         entry = entry->parent) {
        absent = entry;
    }

    if (absent == NULL || !absent->rows_known || !absent->below_known) {
        return DNS_NEEDS;
    }

    *out = (dns_lookup_t){.kind = DNS_LOOKUP_ABSENT,
                          .encloser_labels =
                              (uint8_t) (absent->name.label_count - 1)};
    return DNS_OK;
}

/* The apex of a zone exists always. */
static dns_status_t
lookup(void *source, const dns_zone_t *zone, const dns_name_t *name,
       dns_lookup_t *out)
{
    dns_fetched_t *set = source;
    const entry_t *entry = find(set, zone->id, name->octets, name->size);

    if (entry != NULL && entry->rows_known &&
        (entry->exists || name->label_count <= zone->apex.label_count)) {
        give(out, entry);
        return DNS_OK;
    }

    return find_absent(entry != NULL ? entry : nearest(set, zone, name), out);
}

dns_source_t
dns_fetched_source(dns_fetched_t *set)
{
    static const dns_source_ops_t ops = {.find_zone = find_zone,
                                         .lookup = lookup};

    return (dns_source_t){&ops, set};
}

static dns_status_t
reserve(dns_fetched_t *set)
{
    if (set->count < set->capacity) {
        return DNS_OK;
    }

    if (set->count == DNS_FETCHED_MAX) {
        return DNS_ELIMIT;
    }

    size_t capacity = set->capacity == 0 ? 32 : 2 * set->capacity;
    entry_t **entries = realloc(set->entries, capacity * sizeof(entry_t *));

    if (entries == NULL) {
        return DNS_ENOMEM;
    }

    set->entries = entries;
    set->capacity = capacity;
    return DNS_OK;
}

/* Only the part that is used. */
static void
copy_name(dns_name_t *to, const dns_name_t *from)
{
    to->size = from->size;
    to->label_count = from->label_count;
    memcpy(to->octets, from->octets, from->size);
    memcpy(to->label_at, from->label_at,
           (from->label_count + 1u) * sizeof(to->label_at[0]));
}

/* One from a query before, or a new one. */
static entry_t *
next_entry(dns_fetched_t *set)
{
    if (set->count == set->made) {
        entry_t *entry = calloc(1, sizeof(*entry));

        if (entry != NULL) {
            set->entries[set->made++] = entry;
        }

        return entry;
    }

    entry_t *entry = set->entries[set->count];

    entry->rows_known = false;
    entry->below_wanted = false;
    entry->below_known = false;
    entry->is_deferred = false;
    entry->exists = false;
    entry->is_checked = false;
    entry->builder.size = 0;
    return entry;
}

/* A name that is not in the set yet; the last entry then. */
static dns_status_t
want_new(dns_fetched_t *set, const dns_zone_t *zone, const dns_name_t *name,
         entry_t *parent)
{
    dns_status_t status = reserve(set);

    if (status != DNS_OK) {
        return status;
    }

    entry_t *entry = next_entry(set);

    if (entry == NULL) {
        return DNS_ENOMEM;
    }

    const entry_t *before =
        set->count > 0 ? set->entries[set->count - 1] : NULL;

    entry->zone_id = zone->id;
    entry->parent = parent;
    entry->hash = hash_of(name->octets, name->size);
    copy_name(&entry->name, name);

    if (before != NULL && before->zone_id == zone->id) {
        entry->apex = before->apex;
    } else {
        copy_name(&entry->own_apex, &zone->apex);
        entry->apex = &entry->own_apex;
    }

    set->count++;

    if (set->has_index) {
        put_in_index(set, set->count - 1);
    } else if (set->count > INDEXED_FROM) {
        make_index(set);
    }

    return DNS_OK;
}

/* What is below names without records is asked for of the first few from the
   top, then of as many again as are known to exist: what the first one does not
   have, those below it have not either. */
static void
want_below(entry_t *entry)
{
    const entry_t *top = entry;
    unsigned above = 0; /* ancestors without records */
    unsigned limit = BELOW_STEP;

    while (top->parent != NULL && !top->exists) {
        top = top->parent;
        above++;
    }

    limit += top->name.label_count - top->apex->label_count;

    for (; entry->parent != NULL && !entry->exists; entry = entry->parent) {
        entry->below_wanted =
            entry->below_wanted || (entry->rows_known && above <= limit);
        above--;
    }
}

/* A name above the one that is needed: if it is known to have no records, it
   need not be asked for.  An apex without any is given a SOA by some stores. */
static void
skip_empty(entry_t *entry, const dns_ancestors_t *known)
{
    if (known != NULL && entry->parent != NULL &&
        dns_ancestors_is_empty(known, &entry->name)) {
        entry->rows_known = true;
        entry->below_known = true;
        entry->exists = true;
    }
}

static bool
is_for_later(const dns_need_t *need, unsigned labels)
{
    return need->first_labels != 0 && labels > need->first_labels &&
           labels < need->name.label_count;
}

/* What was deferred before and is of use by now; entry: the name's, or its
   nearest ancestor's. */
static void
want_deferred(const dns_fetched_t *set, const dns_need_t *need, entry_t *entry)
{
    for (size_t i = 0; i < set->count; i++) {
        set->entries[i]->is_deferred &= !set->entries[i]->exists;
    }

    for (; entry != NULL; entry = entry->parent) {
        entry->is_deferred &= is_for_later(need, entry->name.label_count);
    }
}

/* The name, and its ancestors that are not in the set yet. */
dns_status_t
dns_fetched_want(dns_fetched_t *set, const dns_need_t *need,
                 const dns_ancestors_t *known)
{
    const unsigned labels = need->name.label_count;
    unsigned n = labels + 1u;
    entry_t *entry = NULL;

    while (entry == NULL && n-- > need->zone.apex.label_count) {
        entry = find_ancestor(set, need->zone.id, &need->name, n);
    }

    want_deferred(set, need, entry);

    if (entry != NULL) {
        want_below(entry);
        n++;
    } else {
        n = need->zone.apex.label_count;
    }

    for (; n <= labels; n++) {
        dns_name_t name;

        dns_name_ancestor(&name, &need->name, n);

        dns_status_t status = want_new(set, &need->zone, &name, entry);

        if (status != DNS_OK) {
            return status;
        }

        entry = set->entries[set->count - 1];

        entry->is_deferred = is_for_later(need, n);

        if (n < labels) {
            skip_empty(entry, known);
        }
    }

    return DNS_OK;
}

dns_status_t
dns_fetched_want_all(dns_fetched_t *set, const dns_need_t *needs,
                     size_t need_count)
{
    dns_status_t status = DNS_OK;

    for (size_t i = 0; status == DNS_OK && i < need_count; i++) {
        status = dns_fetched_want(set, &needs[i], NULL);
    }

    return status;
}

bool
dns_fetched_next_wanted(const dns_fetched_t *set, size_t *at, dns_want_t *out)
{
    for (; *at < set->count; (*at)++) {
        const entry_t *entry = set->entries[*at];

        if ((!entry->rows_known && !entry->is_deferred) ||
            (entry->below_wanted && !entry->below_known)) {
            *out = (dns_want_t){entry->zone_id, entry->apex, &entry->name,
                                entry->rows_known};
            (*at)++;
            return true;
        }
    }

    return false;
}

/* The name, or its nearest ancestor, and all above it. */
static void
mark(dns_fetched_t *set, uint32_t zone_id, const dns_name_t *name)
{
    entry_t *entry = NULL;

    for (unsigned n = name->label_count + 1u; n-- > 0 && entry == NULL;) {
        entry = find_ancestor(set, zone_id, name, n);
    }

    for (; entry != NULL && !entry->exists; entry = entry->parent) {
        entry->exists = true;
    }
}

void
dns_fetched_mark(dns_fetched_t *set, uint32_t zone_id, const uint8_t *name)
{
    dns_name_t lower;

    dns_name_set(&lower, name);
    mark(set, zone_id, &lower);
}

dns_status_t
dns_fetched_add(dns_fetched_t *set, uint32_t zone_id, const uint8_t *name,
                const dns_rrset_t *type_and_ttl, const dns_rdata_t *rdata)
{
    dns_name_t lower;

    dns_name_set(&lower, name);

    entry_t *entry = find(set, zone_id, lower.octets, lower.size);

    if (entry == NULL) {
        return DNS_ENOTFOUND;
    }

    if (!entry->exists) {
        mark(set, zone_id, &lower);
    }

    return dns_node_builder_add_lowest(&entry->builder, type_and_ttl->type,
                                       type_and_ttl->ttl, rdata->octets,
                                       rdata->size);
}

dns_status_t
dns_fetched_put_node(dns_fetched_t *set, uint32_t zone_id, const uint8_t *name,
                     const dns_node_t *node)
{
    dns_name_t lower;

    dns_name_set(&lower, name);

    entry_t *entry = find(set, zone_id, lower.octets, lower.size);

    if (entry == NULL) {
        return DNS_ENOTFOUND;
    }

    if (!entry->exists) {
        mark(set, zone_id, &lower);
    }

    return dns_node_builder_reset(&entry->builder, node);
}

bool
dns_fetched_knows(dns_fetched_t *set, uint32_t zone_id, const uint8_t *name)
{
    const entry_t *entry = find(set, zone_id, name, dns_name_size(name));

    return entry != NULL && entry->rows_known;
}

dns_node_t
dns_fetched_node(dns_fetched_t *set, uint32_t zone_id, const uint8_t *name)
{
    dns_name_t lower;

    dns_name_set(&lower, name);

    const entry_t *entry = find(set, zone_id, lower.octets, lower.size);

    return entry == NULL ? (dns_node_t){NULL, 0}
                         : dns_node_builder_node(&entry->builder);
}

void
dns_fetched_restart(dns_fetched_t *set)
{
    for (size_t i = 0; i < set->count; i++) {
        entry_t *entry = set->entries[i];

        if (!entry->rows_known) {
            dns_node_builder_free(&entry->builder);
            entry->builder = (dns_node_builder_t){0};
        }

        /* If an earlier round had told it, it is asked once more. */
        if (!entry->below_known &&
            dns_node_builder_node(&entry->builder).size == 0) {
            entry->exists = false;
        }
    }
}

void
dns_fetched_resolve_below(dns_fetched_t *set, uint32_t zone_id,
                          const dns_ancestors_t *ancestors)
{
    for (size_t i = 0; i < set->count; i++) {
        entry_t *entry = set->entries[i];

        if (entry->zone_id == zone_id && entry->rows_known &&
            !entry->below_known) {
            entry->exists =
                entry->exists || dns_ancestors_has(ancestors, &entry->name);
            entry->below_known = true;
        }
    }
}

void
dns_fetched_resolve_conflicts(dns_fetched_t *set, dns_fetched_conflict_t visit,
                              void *data)
{
    for (size_t i = 0; i < set->count; i++) {
        entry_t *entry = set->entries[i];
        dns_conflict_t conflict;

        if (entry->is_checked || !entry->rows_known) {
            continue;
        }

        entry->is_checked = true;

        while (dns_conflict_remove(&entry->builder, entry->parent == NULL,
                                   &conflict)) {
            visit(data, &entry->name, &conflict);
        }
    }
}

void
dns_fetched_settle(dns_fetched_t *set)
{
    for (size_t i = 0; i < set->count; i++) {
        set->entries[i]->below_known |= set->entries[i]->below_wanted;
        set->entries[i]->rows_known |= !set->entries[i]->is_deferred;
    }
}
