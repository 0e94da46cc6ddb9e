#ifndef STORE_MYSQL_RECTIFY_H
#define STORE_MYSQL_RECTIFY_H

/* What my_rectify() knows of a zone: rectify_read.c reads it. */

#include "store/mysql/database.h"

enum {
    DEPTH_MAX = 128,           /* labels of a name */
    PARAMETERS_SIZE = 5 + 255, /* octets of NSEC3PARAM */
};

typedef enum { ORDER_NONE, ORDER_NSEC, ORDER_NSEC3 } order_t;

typedef enum { ROW_EMPTY, ROW_NS, ROW_DS, ROW_ADDRESS, ROW_OTHER } row_kind_t;

/* Offsets are into the texts. */
typedef struct {
    uint64_t id;
    size_t key_at; /* below the apex (dns/name.h) */
    uint16_t key_size;
    uint8_t kind; /* row_kind_t */
    bool auth;
    bool has_order;
    size_t order_at; /* text with a NUL */
} row_t;

/* An ancestor of the names that come, deepest last. */
typedef struct {
    uint16_t key_size;
    bool is_empty; /* no name of its own */
    size_t number; /* of the empties */
} open_t;

typedef struct {
    size_t key_at;
    uint16_t key_size;
    bool leads_to_auth;
    bool leads_to_hash; /* under opt-out */
    bool is_stored;
} empty_t;

typedef struct {
    store_database_t *db;
    order_t order;
    bool is_narrow; /* PowerDNS makes NSEC3 as it is asked */
    bool is_opt_out;
    uint8_t octets[PARAMETERS_SIZE];
    dns_rdata_t parameters;
    buffer_t texts; /* keys and ordernames */
    row_t *rows;    /* owned */
    size_t count;
    size_t capacity;
    empty_t *empties; /* owned */
    size_t empty_count;
    size_t empty_capacity;
    open_t open[DEPTH_MAX + 1];
    size_t depth;
    buffer_t updates;
    unsigned update_count;
    buffer_t removals;
    buffer_t insertions;
} rectify_t;

/* Room for one more item of an array. */
bool rectify_grow(void **items, size_t count, size_t *capacity,
                  size_t item_size);

/* How the zone's names are in order: by which kind of proofs, or not. */
dns_status_t rectify_read_order(rectify_t *r);

/* All rows that are not disabled.  DNS_ENOTFOUND: the layout is without the
   columns that this is about. */
dns_status_t rectify_read_rows(rectify_t *r);

#endif
