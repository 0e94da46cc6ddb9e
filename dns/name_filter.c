#include "dns/name_filter.h"

#include "dns/type.h"

/* Where a program finds what it looks at: it is shown the datagram from its UDP
   header on. */
enum {
    HEADER_AT = 8,
    FLAGS_AT = HEADER_AT + 2,
    QUESTIONS_AT = HEADER_AT + 4,
    QNAME_AT = HEADER_AT + 12,
    QUESTION_MORE = 4,  /* octets behind the name: type and class */
    QCLASS_BEHIND = 2,  /* the name */
    FLAGS_ODD = 0xf800, /* a response, or another opcode than QUERY */
};

enum {
    LABELS_MORE = 10, /* that a name has at most beyond those of the suffix */
    JUMP_MAX = 255,   /* instructions over which a condition can jump */
    LEAF_SIZE = 2,    /* instructions for a word of the bitmap */
};

/* Words of scratch: first the places of the last labels, by their number in
   turn. */
enum { PLACES = BPF_MEMWORDS - 1, AT_LABEL = PLACES, AT_HASH = 0, AT_LENGTH };

/* A place in the program that jumps have been made to before it is known: the
   last of them, which knows the one before. */
typedef struct {
    uint32_t jump; /* its number and 1; 0: none */
} target_t;

typedef struct {
    struct sock_filter *out;
    size_t count; /* may be over the maximum: nothing is put then */
    target_t pass;
    target_t look_up; /* A: a word of the bitmap, X: a bit's number */
} program_t;


static void
put_jump(program_t *p, unsigned code, uint32_t k, size_t jt, size_t jf)
{
    if (p->count < DNS_NAME_FILTER_MAX) {
        p->out[p->count] = (struct sock_filter){.code = (uint16_t) code,
                                                .jt = (uint8_t) jt,
                                                .jf = (uint8_t) jf,
                                                .k = k};
    }

    p->count++;
}

static void
put(program_t *p, unsigned code, uint32_t k)
{
    put_jump(p, code, k, 0, 0);
}

static void
go_to(program_t *p, target_t *target)
{
    uint32_t before = target->jump;

    target->jump = (uint32_t) p->count + 1;
    put(p, BPF_JMP | BPF_JA, before);
}

/* Goes there if the condition (a jump's code) holds for A. */
static void
go_if(program_t *p, unsigned condition, uint32_t k, target_t *target)
{
    put_jump(p, BPF_JMP | condition, k, 0, 1);
    go_to(p, target);
}

static void
go_unless(program_t *p, unsigned condition, uint32_t k, target_t *target)
{
    put_jump(p, BPF_JMP | condition, k, 1, 0);
    go_to(p, target);
}

/* The target is here. */
static void
bind(program_t *p, target_t *target)
{
    uint32_t number = target->jump;

    while (number > 0 && p->count <= DNS_NAME_FILTER_MAX) {
        uint32_t *k = &p->out[number - 1].k;
        uint32_t before = *k;

        *k = (uint32_t) p->count - number;
        number = before;
    }

    target->jump = 0;
}

/* The packet is long enough for a question, and plain. */
static void
put_header(program_t *p)
{
    put(p, BPF_LD | BPF_W | BPF_LEN, 0);
    go_unless(p, BPF_JGE | BPF_K, QNAME_AT + 1 + QUESTION_MORE, &p->pass);
    put(p, BPF_LD | BPF_H | BPF_ABS, FLAGS_AT);
    go_if(p, BPF_JSET | BPF_K, FLAGS_ODD, &p->pass);
    put(p, BPF_LD | BPF_H | BPF_ABS, QUESTIONS_AT);
    go_unless(p, BPF_JEQ | BPF_K, 1, &p->pass);
}

/* The name ends and has n labels: X becomes the place of the suffix, if it is
   that. */
static void
put_name_end(program_t *p, unsigned n, unsigned places,
             const dns_name_t *suffix, target_t *other, target_t *found)
{
    if (n <= suffix->label_count) {
        put_jump(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
        go_to(p, other);
        return;
    }

    unsigned at = n - suffix->label_count;

    put_jump(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 4);
    put(p, BPF_LDX | BPF_MEM, (at - 1) % places);
    put(p, BPF_STX, AT_LABEL);
    put(p, BPF_LDX | BPF_MEM, at % places);
    go_to(p, found);
}

/* Walks over the labels of the name, and remembers the places of the last. */
static void
put_walk(program_t *p, const dns_name_t *suffix, target_t *other,
         target_t *found)
{
    unsigned places = suffix->label_count + 2u;
    unsigned last = suffix->label_count + LABELS_MORE;

    put(p, BPF_LDX | BPF_IMM, QNAME_AT);

    for (unsigned n = 0; n <= last; n++) {
        put(p, BPF_STX, n % places);
        put(p, BPF_LD | BPF_W | BPF_LEN, 0);
        go_unless(p, BPF_JGT | BPF_X, 0, &p->pass);
        put(p, BPF_LD | BPF_B | BPF_IND, 0);
        put_name_end(p, n, places, suffix, other, found);
        go_if(p, BPF_JGT | BPF_K, DNS_LABEL_MAX, &p->pass);
        put(p, BPF_ALU | BPF_ADD, 1);
        put(p, BPF_ALU | BPF_ADD | BPF_X, 0);
        put(p, BPF_MISC | BPF_TAX, 0);
    }

    go_to(p, &p->pass);
}

/* The octets of a chunk as a number, and the bits in which they may differ. */
static uint32_t
read_chunk(const uint8_t *octets, unsigned size, uint32_t *fold)
{
    uint32_t value = 0;

    *fold = 0;

    for (unsigned i = 0; i < size; i++) {
        value = value << 8 | octets[i];
        *fold = *fold << 8 | (octets[i] >= 'a' && octets[i] <= 'z' ? 0x20 : 0);
    }

    return value;
}

/* X is the suffix's place if all of its octets are there. */
static void
put_comparison(program_t *p, const dns_name_t *suffix, target_t *other)
{
    unsigned at = 0;

    put(p, BPF_LD | BPF_W | BPF_LEN, 0);
    put(p, BPF_ALU | BPF_SUB | BPF_X, 0);
    go_unless(p, BPF_JGE | BPF_K, suffix->size + (unsigned) QUESTION_MORE,
              &p->pass);

    while (at < suffix->size) {
        unsigned left = suffix->size - at;
        unsigned size = left >= 4 ? 4 : left >= 2 ? 2 : 1;
        unsigned width = size == 4 ? BPF_W : size == 2 ? BPF_H : BPF_B;
        uint32_t fold;
        uint32_t value = read_chunk(suffix->octets + at, size, &fold);

        put(p, BPF_LD | width | BPF_IND, at);
        put(p, BPF_ALU | BPF_OR | BPF_K, fold);
        go_unless(p, BPF_JEQ | BPF_K, value, other);
        at += size;
    }

    put(p, BPF_LD | BPF_H | BPF_IND, suffix->size + (unsigned) QCLASS_BEHIND);
    go_unless(p, BPF_JEQ | BPF_K, DNS_CLASS_IN, &p->pass);
}

/* A becomes dns_label_hash() of the label below the suffix. */
static void
put_hash(program_t *p, const dns_label_key_t *key)
{
    target_t done = {0};

    put(p, BPF_LDX | BPF_MEM, AT_LABEL);
    put(p, BPF_LD | BPF_B | BPF_IND, 0);
    put(p, BPF_ST, AT_LENGTH);
    put(p, BPF_ALU | BPF_XOR | BPF_K, key->seed);
    put(p, BPF_ST, AT_HASH);

    for (unsigned i = 0; i < DNS_LABEL_HASH_WORDS; i++) {
        put(p, BPF_LD | BPF_MEM, AT_LENGTH);
        go_unless(p, BPF_JGT | BPF_K, 4 * i, &done);
        put(p, BPF_LD | BPF_W | BPF_IND, 1 + 4 * i);
        put(p, BPF_ALU | BPF_OR | BPF_K, DNS_LABEL_HASH_FOLD);
        put(p, BPF_MISC | BPF_TAX, 0);
        put(p, BPF_LD | BPF_MEM, AT_HASH);
        put(p, BPF_ALU | BPF_XOR | BPF_X, 0);
        put(p, BPF_ALU | BPF_MUL | BPF_K, key->multiplier);
        put(p, BPF_ST, AT_HASH);
        put(p, BPF_LDX | BPF_MEM, AT_LABEL);
    }

    bind(p, &done);
    put(p, BPF_LD | BPF_MEM, AT_HASH);
    put(p, BPF_MISC | BPF_TAX, 0);
    put(p, BPF_ALU | BPF_RSH | BPF_K, DNS_LABEL_HASH_SHIFT);
    put(p, BPF_ALU | BPF_XOR | BPF_X, 0);
    put(p, BPF_ALU | BPF_MUL | BPF_K, key->last_multiplier);
}

/* Of the code that leads to one of 2 to the power of depth words. */
static size_t
tree_size(unsigned depth)
{
    size_t size = LEAF_SIZE;

    for (unsigned i = 0; i < depth; i++) {
        size = 2 * size + (size <= JUMP_MAX ? 1 : 2);
    }

    return size;
}

/* Leads over the words of the lower half if the number, in A, has the bit. */
static void
put_branch(program_t *p, unsigned depth)
{
    uint32_t bit = (uint32_t) 1 << (depth - 1);
    size_t half = tree_size(depth - 1);

    if (half <= JUMP_MAX) {
        put_jump(p, BPF_JMP | BPF_JSET | BPF_K, bit, half, 0);
    } else {
        put_jump(p, BPF_JMP | BPF_JSET | BPF_K, bit, 0, 1);
        put(p, BPF_JMP | BPF_JA, (uint32_t) half);
    }
}

/* Looks the hash, in A, up in the bitmap: a tree of jumps whose leaves are its
   words, each behind the branches of which it is the first leaf. */
static void
put_bitmap(program_t *p, const dns_name_filter_zone_t *zone)
{
    unsigned depth = zone->bits - 5;

    put(p, BPF_ALU | BPF_RSH | BPF_K, 32 - zone->bits);
    put(p, BPF_ST, AT_HASH);
    put(p, BPF_ALU | BPF_AND | BPF_K, 31);
    put(p, BPF_MISC | BPF_TAX, 0);
    put(p, BPF_LD | BPF_MEM, AT_HASH);
    put(p, BPF_ALU | BPF_RSH | BPF_K, 5);

    for (uint32_t word = 0; word < (uint32_t) 1 << depth; word++) {
        for (unsigned d = depth; d > 0; d--) {
            if (word % ((uint32_t) 1 << d) == 0) {
                put_branch(p, d);
            }
        }

        put(p, BPF_LD | BPF_IMM, zone->bitmap[word]);
        go_to(p, &p->look_up);
    }
}

static void
put_zone(program_t *p, const dns_name_filter_zone_t *zone)
{
    target_t other = {0};
    target_t found = {0};

    put_walk(p, zone->suffix, &other, &found);
    bind(p, &found);
    put_comparison(p, zone->suffix, &other);
    put_hash(p, zone->key);
    put_bitmap(p, zone);
    bind(p, &other);
}

static void
put_end(program_t *p, uint32_t one_in)
{
    go_to(p, &p->pass);
    bind(p, &p->look_up);
    put(p, BPF_ALU | BPF_RSH | BPF_X, 0);
    go_if(p, BPF_JSET | BPF_K, 1, &p->pass);
    put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t) (SKF_AD_OFF + SKF_AD_RANDOM));
    go_unless(p, BPF_JSET | BPF_K, one_in - 1, &p->pass);
    put(p, BPF_RET | BPF_K, 0);
    bind(p, &p->pass);
    put(p, BPF_RET | BPF_K, UINT32_MAX);
}

size_t
dns_name_filter_build(struct sock_filter *out,
                      const dns_name_filter_zone_t *zones, size_t zone_count,
                      uint32_t one_in)
{
    program_t p = {.out = out};

    put_header(&p);

    for (size_t i = 0; i < zone_count; i++) {
        if (zones[i].suffix->label_count > DNS_NAME_FILTER_LABELS_MAX) {
            return 0;
        }

        put_zone(&p, &zones[i]);
    }

    put_end(&p, one_in);
    return p.count <= DNS_NAME_FILTER_MAX ? p.count : 0;
}
