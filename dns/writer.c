#include "dns/writer.h"

#include <assert.h>
#include <string.h>

#include "dns/name.h"
#include "dns/octets.h"
#include "dns/private/rdata_layout.h"

enum {
    POINTER_TAG = 0xc000,
    POINTER_SIZE = 2, /* octets */
    CHAIN_MAX = 12,   /* targets that one look-up compares: bounds the work */
    BUCKETS_FULL = DNS_WRITER_BUCKETS_FEW, /* targets before the table grows */
};

/* The suffixes of one name: where each begins, and its hash. */
typedef struct {
    unsigned count;
    uint8_t at[DNS_NAME_LABELS_MAX + 1];
    uint32_t hash[DNS_NAME_LABELS_MAX + 1];
} suffixes_t;

/* Up to eight octets as a number, without reading others. */
static inline uint64_t
load_octets(const uint8_t *p, size_t size)
{
    if (size >= 4) {
        uint32_t first;
        uint32_t last;

        memcpy(&first, p, 4);
        memcpy(&last, p + size - 4, 4);
        return (uint64_t) last << 32 | first;
    }

    return (uint64_t) p[0] | (uint64_t) p[size / 2] << 8 |
           (uint64_t) p[size - 1] << 16;
}

static inline uint64_t
mix(uint64_t hash, uint64_t octets)
{
    hash = (hash ^ lower8(octets)) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

/* A label's hash on top of that of the labels behind it. */
static inline uint64_t
hash_label(uint64_t hash, const uint8_t *label)
{
    size_t size = label[0];
    const uint8_t *p = label + 1;

    for (; size > 8; p += 8, size -= 8) {
        uint64_t eight;

        memcpy(&eight, p, 8);
        hash = mix(hash, eight);
    }

    return mix(hash + label[0], load_octets(p, size));
}

static inline void
find_suffixes(suffixes_t *s, const uint8_t *name)
{
    unsigned at = 0;
    unsigned count = 0;

    while (name[at] != 0) {
        s->at[count++] = (uint8_t) at;
        at += 1u + name[at];
    }

    s->count = count;
    s->at[count] = (uint8_t) at;

    uint64_t hash = 0;

    while (count-- > 0) {
        hash = hash_label(hash, name + s->at[count]);
        s->hash[count] = (uint32_t) hash;
    }
}

/* Ends because put_name() only ever points backwards. */
static inline const uint8_t *
follow(const dns_writer_t *w, const uint8_t *label)
{
    while (label[0] > DNS_LABEL_MAX) {
        label = w->message + (get16(label) & DNS_POINTER_MAX);
    }

    return label;
}

static inline bool
octets_equal(uint64_t a, uint64_t b)
{
    return a == b || lower8(a) == lower8(b);
}

static inline bool
label_equal(const uint8_t *a, const uint8_t *b)
{
    size_t size = a[0];

    if (size != b[0]) {
        return false;
    }

    for (a++, b++; size > 8; a += 8, b += 8, size -= 8) {
        uint64_t x;
        uint64_t y;

        memcpy(&x, a, 8);
        memcpy(&y, b, 8);

        if (!octets_equal(x, y)) {
            return false;
        }
    }

    return size == 0 ||
           octets_equal(load_octets(a, size), load_octets(b, size));
}

static bool
holds_suffix(const dns_writer_t *w, unsigned at, const uint8_t *suffix)
{
    const uint8_t *label = follow(w, w->message + at);

    while (label_equal(label, suffix)) {
        if (suffix[0] == 0) {
            return true;
        }

        suffix += 1 + suffix[0];
        label = follow(w, label + 1 + label[0]);
    }

    return false;
}

/* An offset to point at, or 0 (the header, never a name). */
static unsigned
find_target(const dns_writer_t *w, const uint8_t *suffix, uint32_t hash)
{
    unsigned i = w->buckets[hash & (w->bucket_count - 1u)];

    for (int steps = 0; i != 0 && steps < CHAIN_MAX; steps++) {
        const dns_writer_target_t *target = &w->targets[i - 1];

        if (target->hash == hash && holds_suffix(w, target->at, suffix)) {
            return target->at;
        }

        i = target->next;
    }

    return 0;
}

static void
link_target(dns_writer_t *w, unsigned index)
{
    dns_writer_target_t *target = &w->targets[index];
    uint16_t *bucket = &w->buckets[target->hash & (w->bucket_count - 1u)];

    target->next = *bucket;
    *bucket = (uint16_t) (index + 1);
}

static void
grow_buckets(dns_writer_t *w)
{
    w->bucket_count = DNS_WRITER_BUCKETS;
    memset(w->buckets, 0, sizeof(w->buckets));

    for (unsigned i = 0; i < w->target_count; i++) {
        link_target(w, i);
    }
}

/* Remembers the first count labels of a name that was written at offset at. */
static void
remember(dns_writer_t *w, const suffixes_t *s, unsigned count, size_t at)
{
    for (unsigned i = 0; i < count; i++) {
        if (at + s->at[i] > DNS_POINTER_MAX ||
            w->target_count == DNS_WRITER_TARGETS) {
            return;
        }

        if (w->target_count == BUCKETS_FULL &&
            w->bucket_count == DNS_WRITER_BUCKETS_FEW) {
            grow_buckets(w);
        }

        w->targets[w->target_count].at = (uint16_t) (at + s->at[i]);
        w->targets[w->target_count].hash = s->hash[i];
        link_target(w, w->target_count++);
    }
}

/* Most answers hold no name but the question's, which callers point at by its
   offset: its labels are hashed when the first other name comes. */
static void
remember_question(dns_writer_t *w)
{
    suffixes_t s;

    w->has_unhashed_question = false;
    find_suffixes(&s, w->message + DNS_QUESTION_AT);
    remember(w, &s, s.count, DNS_QUESTION_AT);
}

static inline bool
has_space(const dns_writer_t *w, size_t size)
{
    return size <= w->limit - w->used;
}

void
dns_writer_init(dns_writer_t *w, uint8_t *message, size_t limit)
{
    assert(limit >= DNS_HEADER_SIZE);

    w->message = message;
    w->used = DNS_HEADER_SIZE;
    w->limit = (uint32_t) (limit < DNS_MESSAGE_MAX ? limit : DNS_MESSAGE_MAX);
    w->target_count = 0;
    w->bucket_count = DNS_WRITER_BUCKETS_FEW;
    w->has_unhashed_question = false;
    memset(w->buckets, 0, DNS_WRITER_BUCKETS_FEW * sizeof(w->buckets[0]));
    memset(message, 0, DNS_HEADER_SIZE);
}

void
dns_writer_put_header(dns_writer_t *w, uint16_t id, uint16_t flags)
{
    put16(w->message + DNS_HEADER_ID_AT, id);
    put16(w->message + DNS_HEADER_FLAGS_AT, flags);
}

void
dns_writer_add_flags(dns_writer_t *w, uint16_t flags)
{
    uint8_t *p = w->message + DNS_HEADER_FLAGS_AT;

    put16(p, get16(p) | flags);
}

void
dns_writer_truncate(dns_writer_t *w)
{
    dns_writer_add_flags(w, DNS_FLAG_TC);
}

unsigned
dns_writer_count(const dns_writer_t *w, dns_section_t section)
{
    return get16(w->message + DNS_HEADER_QDCOUNT_AT + 2 * section);
}

static void
add_count(dns_writer_t *w, dns_section_t section, unsigned count)
{
    uint8_t *p = w->message + DNS_HEADER_QDCOUNT_AT + 2 * section;

    put16(p, get16(p) + count);
}

/* Appends octets as they are.  DNS_ENOSPACE. */
static dns_status_t
put_octets(dns_writer_t *w, const void *octets, size_t size)
{
    if (!has_space(w, size)) {
        return DNS_ENOSPACE;
    }

    if (size > 0) {
        memcpy(w->message + w->used, octets, size);
    }

    w->used += (uint32_t) size;
    return DNS_OK;
}

dns_status_t
dns_writer_put_question(dns_writer_t *w, const uint8_t *name, uint16_t type,
                        uint16_t class_)
{
    size_t size = dns_name_size(name);

    if (!has_space(w, size + 4)) {
        return DNS_ENOSPACE;
    }

    uint8_t *p = w->message + w->used;

    memcpy(p, name, size);
    put16(p + size, type);
    put16(p + size + 2, class_);
    w->has_unhashed_question = w->used == DNS_QUESTION_AT;
    w->used += (uint32_t) size + 4;
    add_count(w, DNS_QUESTION, 1);
    return DNS_OK;
}

/* Writes a name and says where a pointer to the whole of it may point: 0 for
   the root and for what lies too far behind. */
static dns_status_t
put_compressed(dns_writer_t *w, const uint8_t *name, uint16_t *name_at)
{
    suffixes_t s;
    unsigned literal = 0; /* labels that no pointer stands for */
    unsigned target = 0;

    if (w->has_unhashed_question) {
        remember_question(w);
    }

    find_suffixes(&s, name);

    for (; literal < s.count; literal++) {
        target = find_target(w, name + s.at[literal], s.hash[literal]);
        if (target != 0) {
            break;
        }
    }

    size_t literal_size = s.at[literal];
    size_t size = literal_size + (target != 0 ? POINTER_SIZE : 1);
    uint8_t *out = w->message + w->used;

    if (!has_space(w, size)) {
        return DNS_ENOSPACE;
    }

    memcpy(out, name, literal_size);

    if (target != 0) {
        put16(out + literal_size, POINTER_TAG | target);
    } else {
        out[literal_size] = 0;
    }

    if (literal > 0) {
        remember(w, &s, literal, w->used);
        target = w->used <= DNS_POINTER_MAX ? w->used : 0;
    }

    *name_at = (uint16_t) target;
    w->used += (uint32_t) size;
    return DNS_OK;
}

dns_status_t
dns_writer_put_name(dns_writer_t *w, const uint8_t *name, dns_compress_t mode)
{
    uint16_t name_at;

    if (mode == DNS_LITERAL) {
        return put_octets(w, name, dns_name_size(name));
    }

    return put_compressed(w, name, &name_at);
}

/* Writes an owner name: a pointer if *owner_at is known, which it is set to
   otherwise. */
static inline dns_status_t
put_owner(dns_writer_t *w, const uint8_t *owner, uint16_t *owner_at)
{
    if (*owner_at == 0) {
        return put_compressed(w, owner, owner_at);
    }

    if (!has_space(w, POINTER_SIZE)) {
        return DNS_ENOSPACE;
    }

    put16(w->message + w->used, POINTER_TAG | *owner_at);
    w->used += POINTER_SIZE;
    return DNS_OK;
}

/* Writes the rdata of a type whose names are compressed. */
static dns_status_t
put_fields(dns_writer_t *w, const char *field, const dns_rdata_t *rdata)
{
    size_t at = 0;

    for (; *field != '\0'; field++) {
        const uint8_t *octets = rdata->octets + at;
        dns_status_t status;
        size_t size;

        if (!rdata_field_size(*field, octets, rdata->size - at, &size)) {
            return DNS_EMALFORMED;
        }

        if (*field == 'C') {
            status = dns_writer_put_name(w, octets, DNS_COMPRESS);
        } else {
            status = put_octets(w, octets, size);
        }

        if (status != DNS_OK) {
            return status;
        }

        at += size;
    }

    return DNS_OK;
}

/* The ten octets between owner and rdata; the size is set afterwards. */
typedef struct {
    uint8_t octets[DNS_RECORD_HEADER_SIZE];
    const rdata_layout_t *layout;
} record_header_t;

static inline void
init_record_header(record_header_t *h, uint16_t type, uint16_t class_,
                   uint32_t ttl)
{
    put16(h->octets, type);
    put16(h->octets + 2, class_);
    put32(h->octets + 4, ttl);
    h->layout = rdata_layout(type);
}

/* Writes what follows the owner name.  On failure the caller rewinds. */
static dns_status_t
put_rdata(dns_writer_t *w, const record_header_t *header,
          const dns_rdata_t *rdata)
{
    if (!has_space(w, DNS_RECORD_HEADER_SIZE)) {
        return DNS_ENOSPACE;
    }

    uint8_t *p = w->message + w->used;

    memcpy(p, header->octets, DNS_RECORD_HEADER_SIZE - 2);
    w->used += DNS_RECORD_HEADER_SIZE;

    uint32_t start = w->used;
    dns_status_t status = header->layout->is_compressed
                              ? put_fields(w, header->layout->fields, rdata)
                              : put_octets(w, rdata->octets, rdata->size);

    put16(p + DNS_RECORD_HEADER_SIZE - 2, w->used - start);
    return status;
}

dns_status_t
dns_writer_put_record(dns_writer_t *w, dns_section_t section,
                      const dns_writer_record_t *record)
{
    dns_writer_mark_t mark = dns_writer_mark(w);
    dns_rdata_t rdata = {record->rdata, record->rdata_size};
    uint16_t owner_at = record->owner_at;
    record_header_t header;

    init_record_header(&header, record->type, record->class_, record->ttl);

    dns_status_t status = put_owner(w, record->owner, &owner_at);

    if (status == DNS_OK) {
        status = put_rdata(w, &header, &rdata);
    }

    if (status != DNS_OK) {
        dns_writer_rewind(w, &mark);
        return status;
    }

    add_count(w, section, 1);
    return DNS_OK;
}

dns_status_t
dns_writer_put_rrset(dns_writer_t *w, dns_section_t section,
                     const uint8_t *owner, uint16_t owner_at,
                     const dns_rrset_t *rrset)
{
    dns_writer_mark_t mark = dns_writer_mark(w);
    record_header_t header;
    dns_rdata_t rdata;
    unsigned count = 0;

    init_record_header(&header, rrset->type, DNS_CLASS_IN, rrset->ttl);

    for (size_t at = 0; dns_rrset_next(rrset, &at, &rdata); count++) {
        dns_status_t status = put_owner(w, owner, &owner_at);

        if (status == DNS_OK) {
            status = put_rdata(w, &header, &rdata);
        }

        if (status != DNS_OK) {
            dns_writer_rewind(w, &mark);
            return status;
        }
    }

    add_count(w, section, count);
    return DNS_OK;
}

dns_status_t
dns_writer_put_opt(dns_writer_t *w, const dns_writer_opt_t *opt)
{
    if (!has_space(w, (size_t) DNS_OPT_SIZE + opt->options_size)) {
        return DNS_ENOSPACE;
    }

    uint8_t *p = w->message + w->used;

    p[0] = 0;
    put16(p + 1, DNS_TYPE_OPT);
    put16(p + 3, opt->udp_size);
    p[5] = (uint8_t) (opt->rcode >> 4);
    p[6] = opt->version;
    put16(p + 7, opt->dnssec_ok ? 0x8000 : 0);
    put16(p + 9, opt->options_size);
    w->used += DNS_OPT_SIZE;
    add_count(w, DNS_ADDITIONAL, 1);
    return put_octets(w, opt->options, opt->options_size);
}

dns_status_t
dns_writer_reserve(dns_writer_t *w, size_t octets)
{
    if (!has_space(w, octets)) {
        return DNS_ENOSPACE;
    }

    w->limit -= (uint32_t) octets;
    return DNS_OK;
}

void
dns_writer_release(dns_writer_t *w, size_t octets)
{
    w->limit += (uint32_t) octets;
}

dns_writer_mark_t
dns_writer_mark(const dns_writer_t *w)
{
    dns_writer_mark_t mark = {.used = w->used,
                              .target_count = w->target_count,
                              .has_unhashed_question =
                                  w->has_unhashed_question};

    memcpy(mark.counts, w->message + DNS_HEADER_QDCOUNT_AT,
           sizeof(mark.counts));
    return mark;
}

/* Targets are linked newest first, so that the newest heads its bucket. */
void
dns_writer_rewind(dns_writer_t *w, const dns_writer_mark_t *mark)
{
    assert(mark->used <= w->used);

    while (w->target_count > mark->target_count) {
        const dns_writer_target_t *target = &w->targets[--w->target_count];

        w->buckets[target->hash & (w->bucket_count - 1u)] = target->next;
    }

    w->used = mark->used;
    w->has_unhashed_question = mark->has_unhashed_question;
    memcpy(w->message + DNS_HEADER_QDCOUNT_AT, mark->counts,
           sizeof(mark->counts));
}
