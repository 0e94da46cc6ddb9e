#ifndef STORE_MYSQL_JOBS_H
#define STORE_MYSQL_JOBS_H

#include "client/mysql.h"
#include "dns/name.h"
#include "store/mysql.h"

enum {
    MYSQL_SIZES = 7,                    /* statements for 4, 8, 16 ... names */
    MYSQL_STATEMENTS = 2 * MYSQL_SIZES, /* for rows, then for what is below */
    MYSQL_NAME_SLOTS = 2048, /* a power of two, over twice the names */
    MYSQL_TYPE_SIZE = 32,    /* bytes: longer type texts are wrong anyway */
    /* Every byte of a name's text escaped for LIKE, and "%." */
    MYSQL_PATTERN_SIZE = 2 * DNS_NAME_TEXT_SIZE + 4,
};

/* A name as the statement's parameters. */
typedef struct {
    char name[DNS_NAME_TEXT_SIZE];
    unsigned long name_size;
    char pattern[MYSQL_PATTERN_SIZE];
    unsigned long pattern_size;
    int32_t zone_id;
} mysql_name_t;

/* The columns of a row. */
enum {
    COLUMN_NAME,
    COLUMN_TYPE,
    COLUMN_TTL,
    COLUMN_CONTENT,
    COLUMNS_MIN,
    COLUMN_PRIO = COLUMNS_MIN,
    COLUMN_ID,
    COLUMN_ZONE,
    MYSQL_COLUMNS,
};

/* One row as it is fetched. */
typedef struct {
    int32_t zone_id;
    char name[DNS_NAME_TEXT_SIZE];
    char type[MYSQL_TYPE_SIZE];
    char content[STORE_CONTENT_MAX];
    int64_t ttl;
    int64_t prio;
    uint64_t id;
    unsigned long sizes[MYSQL_COLUMNS];
    bool is_null[MYSQL_COLUMNS];
} mysql_row_t;

/* The next row of those that are stored; of at most MYSQL_COLUMNS columns.
   false: it is damaged. */
bool mysql_row_take(mysql_row_t *row, const MYSQL_STMT *statement,
                    const MYSQL_ROWS *packet);

/* A connection as the store's options describe it; NULL: no memory.  host:
   borrowed as long as it connects; NULL: the Unix socket. */
client_mysql_t *store_mysql_client(const store_options_t *options,
                                   const char *host, uint16_t port,
                                   unsigned timeout_ms);

/* The job; each asks the client for one thing after the other. */
typedef enum {
    MYSQL_IDLE,
    MYSQL_CONNECTING,
    MYSQL_LISTING_ZONES,
    MYSQL_LISTING_OWNERS,
    MYSQL_PREPARING,
    MYSQL_EXECUTING,
} mysql_job_t;

struct store_mysql_s {
    store_options_t *options; /* acquired */
    bool has_reversed_names;  /* sql/mysql/reversed_names.sql may have been
                                 run: descendants are found by an index */
    store_records_t *records; /* borrowed */
    store_mysql_skip_t skip;
    void *skip_data;
    uint64_t skipped;

    client_mysql_t *client; /* owned */
    MYSQL_STMT *statements[MYSQL_STATEMENTS];
    bool is_prepared[MYSQL_STATEMENTS];

    mysql_job_t job;
    dns_status_t status;
    bool is_gone;
    char error[STORE_MYSQL_ERROR_SIZE];
    uint64_t deadline_ms;

    dns_zone_list_t *zones;                    /* borrowed */
    dns_ancestors_t *owners;                   /* borrowed */
    dns_fetched_t *sets[STORE_MYSQL_SETS_MAX]; /* borrowed */
    unsigned set_count;
    unsigned statement;  /* which of them this fetch uses */
    char *text;          /* owned: of the statement being prepared */
    mysql_name_t *names; /* owned: STORE_MYSQL_NAMES_MAX */
    unsigned name_count; /* that the statement asks for */
    uint16_t name_slots[MYSQL_NAME_SLOTS]; /* by hash: number + 1; 0: free */
    MYSQL_BIND *parameters;                /* owned: 3 for each name */
    mysql_row_t row;
    uint8_t row_name[DNS_NAME_MAX];
    dns_status_t row_status; /* of a JSON row's records */
};

/* Names a statement has room for. */
unsigned store_mysql_statement_names(unsigned statement);

/* Does the statement ask for what is below names? */
static inline bool
store_mysql_is_below(unsigned statement)
{
    return statement >= MYSQL_SIZES;
}

/* The statement for a fetch; its text is owned by the caller; NULL: no
   memory. */
char *store_mysql_fetch_text(const store_mysql_t *db, unsigned statement);

/* Chooses the statement and fills the parameters from what the set wants:
   records of names, or what is below names.  DNS_ENOTFOUND: nothing. */
DNS_MUST_USE dns_status_t store_mysql_fill(store_mysql_t *db, bool below);

/* Puts all stored rows into the set. */
DNS_MUST_USE dns_status_t store_mysql_read_rows(store_mysql_t *db);

/* Puts the names of the listing of owners into owners. */
DNS_MUST_USE dns_status_t store_mysql_read_owners(store_mysql_t *db,
                                                  MYSQL_RES *rows);

/* Puts the rows of the zone listing into the list. */
DNS_MUST_USE dns_status_t store_mysql_read_zones(store_mysql_t *db,
                                                 MYSQL_RES *rows);

#endif
