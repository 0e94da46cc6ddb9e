#include "dns/cache.h"

#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

#include "dns/octets.h"
#include "dns/siphash.h"
#include "dns/type.h"

/* Everything that several workers write is read and written by whole words
   (relaxed atomics, which cost nothing), so that there is no data race. */

enum {
    GENERATIONS = 4096, /* of names, and of groups */
    WAYS = 8,           /* entries of a bucket */
    SMALL_WORDS = 64,   /* of an entry: 512 octets */
    LARGE_WORDS = 512,
    HEAD_WORDS = 7,
    LOCK_SECONDS = 3, /* after which a writer must have died */
};

/* The words before the wire octets; behind these come the TTLs' offsets. */
enum {
    W_SEQUENCE, /* low half; the high half is when it was locked */
    W_HASH,
    W_TIMES, /* kept at, valid until */
    W_GROUP,
    W_NAME,
    W_SHAPE, /* group's slot, wire size, count of TTLs, rcode */
    W_KIND,  /* type, class, flags, view */
};

typedef struct {
    uint32_t tags[WAYS * 2]; /* one cache line; the second half pads */
} bucket_tags_t;

/* One table of entries of one size. */
typedef struct {
    uint64_t offset; /* of the first bucket in the block */
    uint32_t buckets;
    uint32_t words; /* of an entry */
} table_t;

struct dns_cache_s {
    uint8_t key[DNS_SIPHASH_KEY_SIZE];
    table_t small;
    table_t large;
    uint64_t large_count; /* answers ever put into large */
    uint64_t kept;
    uint64_t replaced;
    uint64_t refused;
    uint64_t all; /* the generation of everything */
    uint64_t groups[GENERATIONS];
    uint64_t names[GENERATIONS];
};

static uint64_t
load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void
store(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static void
add(uint64_t *word)
{
    (void) __atomic_add_fetch(word, 1, __ATOMIC_RELAXED);
}

static uint64_t
pair(uint32_t high, uint32_t low)
{
    return (uint64_t) high << 32 | low;
}

static size_t
bucket_size(const table_t *table)
{
    return sizeof(bucket_tags_t) + (size_t) WAYS * table->words * 8;
}

static void
lay_out(table_t *table, uint64_t *offset, size_t size, uint32_t words)
{
    table->words = words;
    table->offset = *offset;
    table->buckets = (uint32_t) (size / bucket_size(table));
    *offset += table->buckets * bucket_size(table);
}

dns_status_t
dns_cache_init(void *block, size_t size, dns_cache_t **out)
{
    dns_cache_t *cache = block;
    uint64_t offset = (sizeof(*cache) + 63) / 64 * 64;

    if (size < DNS_CACHE_SIZE_MIN) {
        return DNS_ENOSPACE;
    }

    size_t rest = size - offset;

    if (getrandom(cache->key, sizeof(cache->key), 0) !=
        (ssize_t) sizeof(cache->key)) {
        return DNS_ESTORE;
    }

    lay_out(&cache->small, &offset, rest / 4 * 3, SMALL_WORDS);
    lay_out(&cache->large, &offset, rest / 4, LARGE_WORDS);
    *out = cache;
    return DNS_OK;
}

static bucket_tags_t *
bucket_of(dns_cache_t *cache, const table_t *table, uint64_t hash)
{
    uint64_t number = (hash >> 32) * table->buckets >> 32;

    return (bucket_tags_t *) ((uint8_t *) cache + table->offset +
                              number * bucket_size(table));
}

static uint64_t *
entry_of(bucket_tags_t *bucket, const table_t *table, unsigned way)
{
    return (uint64_t *) (bucket + 1) + (size_t) way * table->words;
}

static uint32_t
slot_of(const dns_cache_t *cache, const uint8_t *octets, size_t size)
{
    return (uint32_t) dns_siphash(cache->key, octets, size) % GENERATIONS;
}

/* What tells queries of one name apart. */
static uint64_t
kind_of(const dns_query_t *query, uint32_t view)
{
    uint32_t flags = query->flags & (DNS_FLAG_RD | DNS_FLAG_CD);

    /* Who sets DO is told AD in any case (RFC 6840 section 5.8). */
    if (query->edns.is_present && query->edns.dnssec_ok) {
        flags |= 1;
    } else {
        flags |= query->flags & DNS_FLAG_AD;
    }

    return pair(view * 2654435761u + flags,
                (uint32_t) query->qtype << 16 | query->qclass);
}

typedef struct {
    uint64_t name; /* hash of the name alone */
    uint64_t all;
    uint64_t kind;
} hash_t;

static hash_t
hash_of(const dns_cache_t *cache, const dns_query_t *query, uint32_t view)
{
    hash_t h;

    h.name = dns_siphash(cache->key, query->qname.octets, query->qname.size);
    h.kind = kind_of(query, view);
    h.all = (h.name ^ h.kind * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
    h.all ^= h.all >> 29;
    return h;
}

static uint32_t
tag_of(const hash_t *h)
{
    return (uint32_t) h->all | 1; /* 0: the way is empty */
}

dns_cache_ticket_t
dns_cache_ticket(const dns_cache_t *cache, const dns_query_t *query,
                 const uint8_t *group, size_t group_size)
{
    dns_cache_ticket_t ticket = {0};
    uint32_t name = slot_of(cache, query->qname.octets, query->qname.size);

    if (group != NULL) {
        ticket.group_slot = slot_of(cache, group, group_size);
    }

    ticket.group =
        __atomic_load_n(&cache->groups[ticket.group_slot], __ATOMIC_ACQUIRE);
    ticket.name = __atomic_load_n(&cache->names[name], __ATOMIC_ACQUIRE) +
                  __atomic_load_n(&cache->all, __ATOMIC_ACQUIRE);
    return ticket;
}

static bool
is_current(const dns_cache_t *cache, const uint64_t *entry, const hash_t *h)
{
    uint32_t slot = (uint32_t) (load(&entry[W_SHAPE]) >> 48);
    uint64_t name = load(&cache->names[(uint32_t) h->name % GENERATIONS]) +
                    load(&cache->all);

    return slot < GENERATIONS &&
           load(&entry[W_GROUP]) == load(&cache->groups[slot]) &&
           load(&entry[W_NAME]) == name;
}

static void
read_octets(uint8_t *out, const uint64_t *words, size_t size)
{
    for (size_t at = 0; at < size; at += 8, words++) {
        uint64_t word = load(words);

        memcpy(out + at, &word, 8);
    }
}

static unsigned
ttl_at(const uint64_t *offsets, unsigned i)
{
    return (unsigned) (load(&offsets[i / 4]) >> (i % 4 * 16)) & 0xffff;
}

/* The seconds that have passed go off each TTL. */
static void
count_down(uint8_t *out, size_t size, const uint64_t *offsets, unsigned count,
           uint32_t age)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned at = ttl_at(offsets, i);

        if (at + 4 <= size) {
            uint32_t ttl = get32(out + at);

            put32(out + at, ttl > age ? ttl - age : 0);
        }
    }
}

/* Of an answer that has expired. */
static void
set_stale(uint8_t *out, size_t size, const uint64_t *offsets, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned at = ttl_at(offsets, i);

        if (at + 4 <= size) {
            put32(out + at, DNS_CACHE_STALE_TTL);
        }
    }
}

/* Copies an entry; 0: it is not the one, not valid, or was written meanwhile.
   Seven arguments: a struct of them would be filled for each look-up. */
static size_t
/* NOLINTNEXTLINE(readability-function-size) */
read_entry(const dns_cache_t *cache, const table_t *table,
           const uint64_t *entry, const hash_t *h,
           const dns_cache_clock_t *clock, uint8_t *out, uint16_t *rcode)
{
    uint64_t sequence = __atomic_load_n(&entry[W_SEQUENCE], __ATOMIC_ACQUIRE);
    uint64_t times = load(&entry[W_TIMES]);
    uint64_t shape = load(&entry[W_SHAPE]);
    size_t size = (shape >> 32) & 0xffff;
    unsigned count = (shape >> 16) & 0xffff;
    size_t words = (size + 7) / 8;

    if ((sequence & 1) != 0 || load(&entry[W_HASH]) != h->all ||
        load(&entry[W_KIND]) != h->kind ||
        (uint32_t) times + (uint64_t) clock->grace <= clock->now ||
        size < DNS_HEADER_SIZE ||
        HEAD_WORDS + words + (count + 3) / 4 > table->words ||
        !is_current(cache, entry, h)) {
        return 0;
    }

    read_octets(out, entry + HEAD_WORDS, size);

    if ((uint32_t) times <= clock->now) {
        set_stale(out, size, entry + HEAD_WORDS + words, count);
    } else {
        count_down(out, size, entry + HEAD_WORDS + words, count,
                   clock->now - (uint32_t) (times >> 32));
    }

    *rcode = (uint16_t) shape;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return load(&entry[W_SEQUENCE]) == sequence ? size : 0;
}

static size_t
look_up(dns_cache_t *cache, const table_t *table, const hash_t *h,
        const dns_cache_clock_t *clock, uint8_t *out, uint16_t *rcode)
{
    bucket_tags_t *bucket = bucket_of(cache, table, h->all);
    uint32_t tag = tag_of(h);

    for (unsigned way = 0; way < WAYS; way++) {
        if (__atomic_load_n(&bucket->tags[way], __ATOMIC_RELAXED) != tag) {
            continue;
        }

        size_t size = read_entry(cache, table, entry_of(bucket, table, way), h,
                                 clock, out, rcode);

        if (size > 0) {
            return size;
        }
    }

    return 0;
}

/* The kept response becomes this query's. */
static bool
adopt(const dns_query_t *query, uint8_t *out, size_t size)
{
    const size_t name_size = query->qname.size;
    uint8_t name[DNS_NAME_MAX + 8];

    if (size < DNS_HEADER_SIZE + name_size + 4) {
        return false;
    }

    memcpy(name, out + DNS_HEADER_SIZE, name_size);
    lower_octets(name, name_size);

    if (memcmp(name, query->qname.octets, name_size) != 0) {
        return false; /* another name with the same hash */
    }

    put16(out, query->id);
    memcpy(out + DNS_HEADER_SIZE, query->packet + DNS_HEADER_SIZE, name_size);
    return true;
}

size_t
dns_cache_get_stale(dns_cache_t *cache, const dns_query_t *query, uint32_t view,
                    const dns_cache_clock_t *clock, uint8_t *out,
                    uint16_t *rcode)
{
    hash_t h = hash_of(cache, query, view);
    size_t size = look_up(cache, &cache->small, &h, clock, out, rcode);

    if (size == 0 && load(&cache->large_count) > 0) {
        size = look_up(cache, &cache->large, &h, clock, out, rcode);
    }

    return size > 0 && adopt(query, out, size) ? size : 0;
}

size_t
dns_cache_get(dns_cache_t *cache, const dns_query_t *query, uint32_t view,
              uint32_t now, uint8_t *out, uint16_t *rcode)
{
    const dns_cache_clock_t clock = {.now = now};

    return dns_cache_get_stale(cache, query, view, &clock, out, rcode);
}

/* The way that gives its place: the same query's, an empty one, one that is not
   valid, or the one kept longest. */
static unsigned
choose_way(dns_cache_t *cache, const table_t *table, bucket_tags_t *bucket,
           const hash_t *h, uint32_t now)
{
    unsigned best = 0;
    uint64_t best_age = 0;

    for (unsigned way = 0; way < WAYS; way++) {
        const uint64_t *entry = entry_of(bucket, table, way);
        uint64_t times = load(&entry[W_TIMES]);
        uint32_t tag = __atomic_load_n(&bucket->tags[way], __ATOMIC_RELAXED);
        uint64_t age;

        if (tag == tag_of(h) && load(&entry[W_HASH]) == h->all) {
            return way;
        }

        if (tag == 0) {
            age = UINT64_MAX;
        } else if ((uint32_t) times <= now) {
            age = UINT64_MAX - 1;
        } else {
            age = now - (times >> 32) + 1;
        }

        if (age > best_age) {
            best = way;
            best_age = age;
        }
    }

    if (best_age < UINT64_MAX - 1) {
        add(&cache->replaced);
    }

    return best;
}

/* Makes the sequence odd.  false: another worker writes there. */
static bool
lock_entry(uint64_t *entry, uint32_t now, uint32_t *sequence)
{
    uint64_t before = load(&entry[W_SEQUENCE]);

    if ((before & 1) != 0 && now - (uint32_t) (before >> 32) < LOCK_SECONDS) {
        return false;
    }

    *sequence = ((uint32_t) before + 1) | 1;

    if (!__atomic_compare_exchange_n(&entry[W_SEQUENCE], &before,
                                     pair(now, *sequence), false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        return false;
    }

    __atomic_thread_fence(__ATOMIC_RELEASE);
    return true;
}

static void
write_octets(uint64_t *words, const uint8_t *octets, size_t size)
{
    for (size_t at = 0; at < size; at += 8, words++) {
        uint64_t word = 0;

        memcpy(&word, octets + at, size - at < 8 ? size - at : 8);
        store(words, word);
    }
}

/* The OPT is not kept, nor counted. */
static void
write_wire(uint64_t *words, const dns_response_t *response, const uint8_t *wire)
{
    uint8_t head[16]; /* a response is longer: it has a question */

    memcpy(head, wire, sizeof(head));
    put16(head + DNS_HEADER_ARCOUNT_AT, response->additional_count);
    write_octets(words, head, sizeof(head));
    write_octets(words + 2, wire + sizeof(head), response->size - sizeof(head));
}

static void
write_offsets(uint64_t *words, const dns_response_t *response)
{
    for (unsigned i = 0; i < response->ttl_count; i += 4, words++) {
        uint64_t word = 0;

        for (unsigned k = 0; k < 4 && i + k < response->ttl_count; k++) {
            word |= (uint64_t) response->ttl_at[i + k] << (k * 16);
        }

        store(words, word);
    }
}

static uint32_t
lifetime(const dns_response_t *response, const dns_cache_rules_t *rules)
{
    uint32_t ttl = response->ttl;

    ttl = ttl < rules->ttl_min ? rules->ttl_min : ttl;
    ttl = ttl > rules->ttl_max ? rules->ttl_max : ttl;
    return ttl > response->keep_max ? response->keep_max : ttl;
}

/* Seven arguments: the answer, and what decides how long it is kept. */
void
/* NOLINTNEXTLINE(readability-function-size) */
dns_cache_put(dns_cache_t *cache, const dns_query_t *query, uint32_t view,
              const dns_cache_ticket_t *ticket, const dns_response_t *response,
              const uint8_t *wire, const dns_cache_rules_t *rules)
{
    hash_t h = hash_of(cache, query, view);
    uint32_t ttl = lifetime(response, rules);
    size_t wire_words = (response->size + 7) / 8;
    size_t words = HEAD_WORDS + wire_words + (response->ttl_count + 3) / 4;
    const table_t *table = words <= SMALL_WORDS ? &cache->small : &cache->large;
    uint32_t sequence;

    if (!response->may_be_kept || ttl == 0 || response->size < 17) {
        return;
    }

    if (words > LARGE_WORDS || response->size > DNS_CACHE_WIRE_MAX) {
        add(&cache->refused);
        return;
    }

    bucket_tags_t *bucket = bucket_of(cache, table, h.all);
    unsigned way = choose_way(cache, table, bucket, &h, rules->now);
    uint64_t *entry = entry_of(bucket, table, way);

    if (!lock_entry(entry, rules->now, &sequence)) {
        add(&cache->refused);
        return;
    }

    __atomic_store_n(&bucket->tags[way], tag_of(&h), __ATOMIC_RELAXED);
    store(&entry[W_HASH], h.all);
    store(&entry[W_TIMES], pair(rules->now, rules->now + ttl));
    store(&entry[W_GROUP], ticket->group);
    store(&entry[W_NAME], ticket->name);
    store(&entry[W_SHAPE], (uint64_t) ticket->group_slot << 48 |
                               (uint64_t) response->size << 32 |
                               (uint64_t) response->ttl_count << 16 |
                               response->rcode);
    store(&entry[W_KIND], h.kind);
    write_wire(entry + HEAD_WORDS, response, wire);
    write_offsets(entry + HEAD_WORDS + wire_words, response);
    __atomic_store_n(&entry[W_SEQUENCE], pair(rules->now, sequence + 1),
                     __ATOMIC_RELEASE);
    add(&cache->kept);

    if (table == &cache->large) {
        add(&cache->large_count);
    }
}

void
dns_cache_purge_name(dns_cache_t *cache, const uint8_t *name, size_t size)
{
    (void) __atomic_add_fetch(&cache->names[slot_of(cache, name, size)], 1,
                              __ATOMIC_RELEASE);
}

void
dns_cache_purge_group(dns_cache_t *cache, const uint8_t *group, size_t size)
{
    (void) __atomic_add_fetch(&cache->groups[slot_of(cache, group, size)], 1,
                              __ATOMIC_RELEASE);
}

void
dns_cache_purge_all(dns_cache_t *cache)
{
    (void) __atomic_add_fetch(&cache->all, (uint64_t) 1 << 32,
                              __ATOMIC_RELEASE);
}

void
dns_cache_stats(const dns_cache_t *cache, dns_cache_stats_t *out)
{
    out->capacity = (uint64_t) WAYS *
                    (cache->small.buckets + (uint64_t) cache->large.buckets);
    out->kept = load(&cache->kept);
    out->replaced = load(&cache->replaced);
    out->refused = load(&cache->refused);
}
